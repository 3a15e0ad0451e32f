//! The state machine against a simple reference model, written from the tables of the specification alone.

use std::collections::BTreeMap;

use gpt_load_schema::key::ModelHealth;

use super::{
    steps::{Attempt, HOUR, MINUTE, MODELS, SECOND, Step, Theme, step},
    *,
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RefModel {
    in_a_row: i32,
    backoffs: u32,
    cooldowns: u32,
    out_until: i64,
    rest_until: i64,
}

/// What the tables say of a key. Times are milliseconds, zero = none.
#[derive(Clone, Debug)]
struct Reference {
    state: KeyState,
    by_hand: bool,
    generation: i64,
    in_a_row: i32,
    backoffs: u32,
    cooldowns: u32,
    out_until: i64,
    rest_until: i64,
    due: Option<i64>,
    vain: u32,
    counted: i64,
    models: BTreeMap<&'static str, RefModel>,
}

impl Reference {
    fn new(state: KeyState) -> Self {
        Self {
            state,
            by_hand: state == KeyState::Disabled,
            generation: 0,
            in_a_row: 0,
            backoffs: 0,
            cooldowns: 0,
            out_until: 0,
            rest_until: 0,
            due: None,
            vain: 0,
            counted: 0,
            models: BTreeMap::new(),
        }
    }

    fn see(&mut self, step: &Step, now: i64) {
        match step {
            Step::Attempt(attempt) if attempt.behind == 0 => self.attempt(attempt, now),
            Step::Validated { class, wait, behind: 0 } => self.validated(*class, *wait, now),
            Step::Attempt(_) | Step::Validated { .. } => {}
            Step::BackoffOver => {
                if self.state == KeyState::Disabled && !self.by_hand && self.out_until <= now {
                    (self.state, self.out_until, self.due) = (KeyState::Degraded, 0, Some(now));
                }
            }
            Step::Rest(0, _) => {}
            Step::Rest(wait, model) => {
                let until = now + millis(*wait);
                if self.state != KeyState::Invalid {
                    let rest = match model {
                        Some(model) => &mut self.models.entry(model).or_default().rest_until,
                        None => &mut self.rest_until,
                    };
                    *rest = until.max(*rest);
                }
            }
            Step::Restore => {
                let generation = self.generation + 1;
                *self = Self { generation, ..Self::new(KeyState::Active) };
            }
            Step::Disable => {
                (self.state, self.by_hand, self.out_until, self.due) = (KeyState::Disabled, true, 0, None);
            }
            Step::Enable => {
                if self.state == KeyState::Disabled {
                    (self.state, self.by_hand, self.out_until, self.due) = (KeyState::Degraded, false, 0, None);
                }
            }
            Step::Invalidate => self.invalid(now),
        }
    }

    fn attempt(&mut self, attempt: &Attempt, now: i64) {
        use OutcomeClass::{
            Abandoned, ClientError, KeyForbidden, KeyInvalid, QuotaExhausted, RateLimited, Success, UpstreamFault,
        };
        let model = (attempt.is_about_model && !attempt.model.is_empty()).then_some(attempt.model);
        match (self.state, attempt.class, attempt.ruling) {
            (KeyState::Invalid, _, _) | (_, Abandoned, _) => {}
            (_, Success, _) => {
                if let Some(model) = self.models.get_mut(attempt.model) {
                    *model = RefModel { rest_until: model.rest_until, ..RefModel::default() };
                }
                self.forgiven(now);
                if self.state != KeyState::Disabled {
                    (self.state, self.due, self.vain) = (KeyState::Active, None, 0);
                }
            }
            (_, _, Some(consequence)) => self.ruled(consequence, now),
            (_, RateLimited, None) => self.limited(model, attempt.wait, now),
            (_, QuotaExhausted, None) => self.spent(attempt.wait, now),
            (_, KeyInvalid, None) => self.refused(now),
            (_, KeyForbidden, None) => match model {
                Some(model) => self.forbidden(model, now),
                None => self.failed(1, now),
            },
            (_, UpstreamFault, None) if attempt.is_own_fault => self.failed((3 - self.in_a_row).max(1), now),
            (_, UpstreamFault | ClientError, None) => {}
        }
    }

    fn validated(&mut self, class: OutcomeClass, wait: Option<u64>, now: i64) {
        use OutcomeClass::{
            Abandoned, ClientError, KeyForbidden, KeyInvalid, QuotaExhausted, RateLimited, Success, UpstreamFault,
        };
        match (self.state, class) {
            (_, RateLimited | UpstreamFault | Abandoned) => {}
            (KeyState::Disabled, Success) if self.by_hand => {}
            (_, Success) | (KeyState::Pending, ClientError) => {
                self.forgiven(now);
                (self.state, self.out_until, self.due, self.vain) = (KeyState::Active, 0, None, 0);
            }
            (KeyState::Invalid, _) => {
                self.vain += 1;
                self.due = Some(now + twice(HOUR, self.vain, 24 * HOUR));
            }
            (_, ClientError) => self.due = self.due.filter(|due| *due > now),
            (_, QuotaExhausted) => self.spent(wait, now),
            (_, KeyInvalid) => self.refused(now),
            (_, KeyForbidden) => self.failed(1, now),
        }
    }

    fn forgiven(&mut self, now: i64) {
        (self.in_a_row, self.backoffs, self.cooldowns) = (0, 0, 0);
        if self.rest_until <= now {
            self.rest_until = 0;
        }
    }

    fn counts(&mut self, times: i32) {
        self.in_a_row += times;
        self.counted += i64::from(times);
    }

    /// A counted failure: pending keys have three, others as many as the threshold.
    fn failed(&mut self, times: i32, now: i64) {
        match self.state {
            KeyState::Pending => self.pending(now),
            KeyState::Disabled => self.counts(1),
            _ => {
                self.counts(times);
                if self.in_a_row >= 3 {
                    self.backs_off(now);
                } else {
                    (self.state, self.due) = (KeyState::Degraded, None);
                }
            }
        }
    }

    fn pending(&mut self, now: i64) {
        self.counts(1);
        if self.in_a_row >= 3 {
            return self.invalid(now);
        }
        self.rest_until = self.rest_until.max(now + MINUTE * i64::from(self.in_a_row));
        self.due = Some(self.rest_until);
    }

    fn backs_off(&mut self, now: i64) {
        self.out(now + twice(MINUTE, self.backoffs, 30 * MINUTE));
        self.backoffs += 1;
    }

    fn out(&mut self, until: i64) {
        (self.state, self.by_hand, self.out_until, self.due) = (KeyState::Disabled, false, until, Some(until));
    }

    fn out_longer(&mut self, until: i64) {
        if !self.by_hand {
            self.out(until.max(self.out_until));
        }
    }

    fn invalid(&mut self, now: i64) {
        (self.state, self.by_hand, self.out_until, self.rest_until) = (KeyState::Invalid, false, 0, 0);
        (self.vain, self.due) = (0, Some(now + HOUR));
    }

    fn refused(&mut self, now: i64) {
        if self.state == KeyState::Pending {
            return self.pending(now);
        }
        self.counts(1);
        self.invalid(now);
    }

    fn spent(&mut self, wait: Option<u64>, now: i64) {
        let reset = wait.filter(|wait| *wait > 0).map(|wait| now + millis(wait));
        match (self.state, reset) {
            (KeyState::Pending, reset) => {
                self.pending(now);
                if let (KeyState::Pending, Some(reset)) = (self.state, reset) {
                    self.rest_until = self.rest_until.max(reset);
                    self.due = Some(self.rest_until);
                }
            }
            (KeyState::Disabled, Some(reset)) => self.out_longer(reset),
            (KeyState::Disabled, None) => {}
            (_, reset) => {
                self.out(reset.unwrap_or(now + twice(30 * MINUTE, self.backoffs, 24 * HOUR)));
                self.backoffs += 1;
            }
        }
    }

    fn limited(&mut self, model: Option<&'static str>, wait: Option<u64>, now: i64) {
        let (cooldowns, rest_until) = match model {
            Some(model) => {
                let model = self.models.entry(model).or_default();
                (&mut model.cooldowns, &mut model.rest_until)
            }
            None => (&mut self.cooldowns, &mut self.rest_until),
        };
        match wait.filter(|wait| *wait > 0) {
            Some(wait) => *rest_until = (*rest_until).max(now + millis(wait).min(HOUR)),
            None if *rest_until > now => {}
            None => {
                *rest_until = now + twice(SECOND, *cooldowns, MINUTE);
                *cooldowns += 1;
            }
        }
    }

    fn forbidden(&mut self, model: &'static str, now: i64) {
        self.counted += 1;
        let model = self.models.entry(model).or_default();
        model.in_a_row += 1;
        if model.in_a_row >= 3 && model.out_until <= now {
            model.out_until = now + twice(MINUTE, model.backoffs, 30 * MINUTE);
            model.backoffs += 1;
        }
    }

    fn ruled(&mut self, consequence: Consequence, now: i64) {
        let end = |time: Duration| now + i64::try_from(time.as_millis()).expect("short");
        match consequence {
            Consequence::Spare => {}
            Consequence::Degrade(None) => self.failed(1, now),
            Consequence::Degrade(Some(time)) => {
                self.counts(1);
                self.out_for(Some(end(time)), now);
            }
            Consequence::Disable(time) => self.out_for(time.map(end), now),
            Consequence::Invalidate => {
                self.counts(1);
                self.invalid(now);
            }
            Consequence::Rest(time) => self.rest_until = self.rest_until.max(end(time)),
        }
    }

    fn out_for(&mut self, until: Option<i64>, now: i64) {
        match (self.state, until) {
            (KeyState::Disabled, Some(until)) => self.out_longer(until),
            (KeyState::Disabled, None) => {}
            (_, Some(until)) => self.out(until),
            (_, None) => self.backs_off(now),
        }
    }

    /// What of a model can still matter at `now`.
    fn model(&self, name: &str, now: i64) -> RefModel {
        let model = self.models.get(name).cloned().unwrap_or_default();
        let ahead = |until: i64| if until > now { until } else { 0 };
        RefModel { out_until: ahead(model.out_until), rest_until: ahead(model.rest_until), ..model }
    }
}

fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds).expect("short") * SECOND
}

/// `first`, `times` times doubled, at most `max`.
fn twice(first: i64, times: u32, max: i64) -> i64 {
    (0..times).fold(first, |wait, _| (2 * wait).min(max)).min(max)
}

/// The same of the real key.
fn model_of(health: &KeyHealth, name: &str, now: i64) -> RefModel {
    let none = ModelHealth::default();
    let model = health.models.iter().find(|model| model.model == name).unwrap_or(&none);
    let ahead = |until: Option<Timestamp>| until.map_or(0, |until| if until.0 > now { until.0 } else { 0 });
    RefModel {
        in_a_row: model.consecutive_failures,
        backoffs: model.backoff_level.unsigned_abs(),
        cooldowns: model.cooldown_level.unsigned_abs(),
        out_until: ahead(model.disabled_until),
        rest_until: ahead(model.resting_until),
    }
}

fn take(standing: &Standing, step: &Step, now: Timestamp) -> Transition {
    let generation = standing.health.generation;
    let event = |event: Event<'_>| accept(standing, &event, &LIMITS, now);
    match step {
        Step::Attempt(attempt) => {
            let ruling =
                attempt.ruling.map(|consequence| Ruling { policy: "p".into(), consequence: Some(consequence) });
            let reach = Reach { model: attempt.is_about_model, account: false };
            let verdict = Verdict { ruling, reach, ..verdict(attempt.class, attempt.wait) };
            event(Event::Outcome {
                generation: generation - attempt.behind,
                verdict: &verdict,
                model: attempt.model,
                key_specific: attempt.is_own_fault,
            })
        }
        Step::Validated { class, wait, behind } => {
            event(Event::Validated { generation: generation - behind, verdict: &verdict(*class, *wait) })
        }
        Step::BackoffOver => event(Event::BackoffOver),
        Step::Rest(wait, model) => event(Event::Rest { until: now + Duration::from_secs(*wait), model: *model }),
        Step::Restore => event(Event::Restore),
        Step::Disable => event(Event::Disable),
        Step::Enable => event(Event::Enable),
        Step::Invalidate => event(Event::Invalidate),
    }
}

fn is_success(step: &Step) -> bool {
    match step {
        Step::Attempt(Attempt { class, .. }) => *class == OutcomeClass::Success,
        // A client error says that a pending key was accepted.
        Step::Validated { class, .. } => matches!(class, OutcomeClass::Success | OutcomeClass::ClientError),
        Step::Restore => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_breaks_a_key_or_the_tables(
        state in select(KeyState::ALL.to_vec()),
        theme in any::<u64>(),
        numbers in vec(any::<u64>(), 1..9),
    ) {
        let (mut standing, mut reference) = (key(state), Reference::new(state));
        let (mut now, mut counted) = (NOW, 0);
        for (step, pause) in numbers.into_iter().map(|number| step(&Theme::of(theme), number)) {
            now = Timestamp(now.0 + pause);
            let before = standing;
            let transition = take(&before, &step, now);
            standing = transition.standing;
            let health = &standing.health;

            prop_assert!(health.consecutive_failures >= 0 && health.backoff_level >= 0 && health.cooldown_level >= 0);
            prop_assert!(health.validation_level >= 0 && transition.failures >= 0);
            if let Step::Attempt(Attempt { behind: 1, .. }) | Step::Validated { behind: 1, .. } = step {
                prop_assert_eq!(&standing, &before, "an outcome of an earlier generation counts for nothing");
            }
            if !is_success(&step) {
                prop_assert!(health.backoff_level >= before.health.backoff_level, "the backoff shrinks by success only");
            }
            if health.state == KeyState::Disabled {
                let event = if health.disabled_until.is_none() { Event::Enable } else { Event::BackoffOver };
                let due = health.disabled_until.unwrap_or(now);
                let back = accept(&standing, &event, &LIMITS, due).standing.health.state;
                prop_assert_eq!(back, KeyState::Degraded, "a disabled key always returns");
            } else {
                prop_assert!(health.disabled_until.is_none(), "only a disabled key has a backoff");
            }

            counted = if transition.reset_failures { 0 } else { counted } + transition.failures;
            reference.see(&step, now.0);
            let seen = (health.state, health.generation, health.consecutive_failures, counted);
            prop_assert_eq!(seen, (reference.state, reference.generation, reference.in_a_row, reference.counted));
            let levels = (health.backoff_level.unsigned_abs(), health.cooldown_level.unsigned_abs());
            prop_assert_eq!(levels, (reference.backoffs, reference.cooldowns));
            prop_assert_eq!(health.disabled_until.map_or(0, |until| until.0), reference.out_until);
            prop_assert_eq!(health.resting_until.map_or(0, |until| until.0), reference.rest_until);
            prop_assert_eq!(health.next_validation_at.map(|due| due.0), reference.due);
            for name in &MODELS[1..] {
                prop_assert_eq!(model_of(health, name, now.0), reference.model(name, now.0));
            }
        }
    }
}
