//! One step of the state machine.

use std::time::Duration;

use gpt_load_schema::{
    key::{KeyHealth, KeyState},
    log::OutcomeClass,
    time::Timestamp,
};

use super::{
    super::{Consequence, Verdict},
    Limits, Standing, Transition, is_untroubled,
};

/// Failures that turn a pending key invalid.
const PENDING_FAILURES: i32 = 3;
/// Pause of a pending key after its first failure; doubled after each further one.
const PENDING_PAUSE: Duration = Duration::from_secs(60);
/// First cooldown when the provider names no time, and its limit.
const COOLDOWN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// First time out for a used-up quota when the provider names no reset, and its limit.
const QUOTA: (Duration, Duration) = (Duration::from_secs(30 * 60), Duration::from_secs(24 * 60 * 60));
/// A provider that names a quota reset further away is not believed: billing periods last a month at most.
const QUOTA_RESET_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// What the database holds of a text and of a rule.
pub(super) const ERROR_BYTES: usize = 2048;
const RULE_BYTES: usize = 255;
/// What stands in the place of a rule when a person decided.
const BY_HAND: &str = "by-hand";

/// A key while an event changes it.
pub(super) struct Step<'a> {
    pub(super) health: KeyHealth,
    pub(super) failures: i64,
    reset_failures: bool,
    pub(super) limits: &'a Limits,
    pub(super) now: Timestamp,
}

impl<'a> Step<'a> {
    pub(super) fn from(before: &Standing, limits: &'a Limits, now: Timestamp) -> Self {
        Self { health: before.health.clone(), failures: 0, reset_failures: false, limits, now }
    }

    pub(super) fn end(self) -> Transition {
        let standing = Standing::stored(self.health);
        Transition { standing, failures: self.failures, reset_failures: self.reset_failures }
    }

    pub(super) fn outcome(&mut self, verdict: &Verdict, model: &str, key_specific: bool) {
        match verdict.class {
            _ if self.health.state == KeyState::Invalid => {}
            OutcomeClass::Abandoned => {}
            OutcomeClass::Success => self.success(model),
            _ => self.failure(verdict, model, key_specific),
        }
    }

    pub(super) fn backoff_over(&mut self) {
        if self.health.state == KeyState::Disabled && self.health.disabled_until.is_some_and(|until| until <= self.now)
        {
            self.enable();
            self.health.next_validation_at = Some(self.now);
        }
    }

    pub(super) fn told_to_rest(&mut self, until: Timestamp, model: Option<&str>) {
        if self.health.state == KeyState::Invalid || until <= self.now {
            return;
        }
        match model {
            Some(model) => self.rest_model(model, until),
            None => self.rest_until(until),
        }
    }

    pub(super) fn restore(&mut self) {
        self.health = KeyHealth {
            generation: self.health.generation.saturating_add(1),
            last_success_at: self.health.last_success_at,
            last_validated_at: self.health.last_validated_at,
            ..KeyHealth::new(KeyState::Active)
        };
        self.reset_failures = true;
    }

    pub(super) fn disable(&mut self) {
        self.health.state = KeyState::Disabled;
        self.health.disabled_until = None;
        self.health.next_validation_at = None;
        self.note_by_hand();
    }

    pub(super) fn enable(&mut self) {
        if self.health.state == KeyState::Disabled {
            self.health.state = KeyState::Degraded;
            self.health.disabled_until = None;
            self.health.next_validation_at = None;
        }
    }

    pub(super) fn invalidated_by_hand(&mut self) {
        self.invalidate();
        self.note_by_hand();
    }

    fn success(&mut self, model: &str) {
        if self.forgive_model(model) {
            self.health.last_success_at = Some(self.now);
        }
        match self.health.state {
            _ if is_untroubled(&self.health) => {}
            // The request was in flight when the key went out.
            KeyState::Disabled => self.forgive(),
            _ => self.prove(),
        }
    }

    /// The provider accepts the key.
    pub(super) fn prove(&mut self) {
        self.forgive();
        self.health.state = KeyState::Active;
        self.health.disabled_until = None;
        self.health.next_validation_at = None;
        self.health.validation_level = 0;
    }

    fn forgive(&mut self) {
        let health = &mut self.health;
        health.consecutive_failures = 0;
        health.backoff_level = 0;
        health.cooldown_level = 0;
        health.resting_until = health.resting_until.filter(|until| *until > self.now);
        health.last_success_at = Some(self.now);
    }

    /// A failure of any class that can concern the key.
    pub(super) fn failure(&mut self, verdict: &Verdict, model: &str, key_specific: bool) {
        let model = Some(model).filter(|model| verdict.reach.model && !model.is_empty());
        if let Some(consequence) = verdict.ruling.as_ref().and_then(|ruling| ruling.consequence) {
            return self.ruled(consequence, verdict);
        }
        match verdict.class {
            OutcomeClass::RateLimited => self.rate_limited(verdict, model),
            OutcomeClass::QuotaExhausted => self.quota_exhausted(verdict),
            OutcomeClass::KeyInvalid => {
                self.note(verdict);
                match self.health.state {
                    KeyState::Pending => self.pending_failure(),
                    _ => self.refused(),
                }
            }
            OutcomeClass::KeyForbidden => {
                self.note(verdict);
                match model {
                    Some(model) => self.fail_model(model),
                    None => self.counted_failure(),
                }
            }
            OutcomeClass::UpstreamFault if key_specific => {
                self.note(verdict);
                self.own_fault();
            }
            OutcomeClass::UpstreamFault
            | OutcomeClass::ClientError
            | OutcomeClass::Success
            | OutcomeClass::Abandoned => {}
        }
    }

    fn ruled(&mut self, consequence: Consequence, verdict: &Verdict) {
        if consequence == Consequence::Spare {
            return;
        }
        self.note(verdict);
        match consequence {
            Consequence::Spare => {}
            Consequence::Degrade(None) => self.counted_failure(),
            Consequence::Degrade(Some(time)) => {
                self.count(1);
                self.out_for(Some(time));
            }
            Consequence::Disable(time) => self.out_for(time),
            Consequence::Invalidate => self.refused(),
            Consequence::Rest(time) => self.rest_until(self.now + time),
        }
    }

    fn rate_limited(&mut self, verdict: &Verdict, model: Option<&str>) {
        self.note(verdict);
        let stated = stated(verdict);
        if let Some(model) = model {
            return self.limit_model(model, stated);
        }
        let health = &mut self.health;
        if let Some(rest) = cooldown(&mut health.cooldown_level, health.resting_until, stated, self.now) {
            self.rest_until(self.now + rest.min(self.limits.cooldown_max));
        }
    }

    fn quota_exhausted(&mut self, verdict: &Verdict) {
        self.note(verdict);
        let reset = stated(verdict).map(|wait| self.now + wait.min(QUOTA_RESET_MAX));
        match self.health.state {
            KeyState::Pending => {
                self.pending_failure();
                if let Some(reset) = reset.filter(|_| self.health.state == KeyState::Pending) {
                    self.rest_until(reset);
                    self.health.next_validation_at = self.health.resting_until;
                }
            }
            KeyState::Disabled => self.prolong(reset),
            _ => {
                let backoff = self.now + doubled(QUOTA, self.raise_backoff());
                self.take_out(reset.unwrap_or(backoff));
            }
        }
    }

    /// The provider, or a policy, does not want the key any more.
    fn refused(&mut self) {
        self.count(1);
        self.invalidate();
    }

    fn counted_failure(&mut self) {
        match self.health.state {
            KeyState::Pending => self.pending_failure(),
            _ => self.count_towards_threshold(1),
        }
    }

    /// The threshold was reached by faults, which count only once they are known to be the key's own: the first time they
    /// count all together.
    fn own_fault(&mut self) {
        match self.health.state {
            KeyState::Pending => self.pending_failure(),
            KeyState::Disabled => self.count(1),
            _ => {
                let threshold = i32::try_from(self.limits.blacklist_threshold).unwrap_or(i32::MAX);
                self.count_towards_threshold(threshold.saturating_sub(self.health.consecutive_failures).max(1));
            }
        }
    }

    fn count_towards_threshold(&mut self, times: i32) {
        self.count(times);
        if self.health.state == KeyState::Disabled {
            return;
        }
        if self.limits.is_threshold(self.health.consecutive_failures) {
            self.out_for(None);
        } else {
            self.health.state = KeyState::Degraded;
            self.health.next_validation_at = None;
        }
    }

    /// A failure of a key that has never been proved: a pause, and at the third the end.
    fn pending_failure(&mut self) {
        self.count(1);
        let failures = self.health.consecutive_failures;
        if failures >= PENDING_FAILURES {
            self.invalidate();
        } else {
            let level = u32::try_from(failures - 1).unwrap_or(0);
            self.rest_until(self.now + doubled((PENDING_PAUSE, Duration::MAX), level));
            self.health.next_validation_at = self.health.resting_until;
        }
    }

    fn count(&mut self, times: i32) {
        self.health.consecutive_failures = self.health.consecutive_failures.max(0).saturating_add(times);
        self.health.last_failure_at = Some(self.now);
        self.failures += i64::from(times);
    }

    fn invalidate(&mut self) {
        self.health.state = KeyState::Invalid;
        self.health.disabled_until = None;
        self.health.resting_until = None;
        self.health.validation_level = 0;
        self.schedule_validation();
    }

    /// Out for a stated time, else for the usual backoff.
    fn out_for(&mut self, time: Option<Duration>) {
        let stated = time.map(|time| self.now + time);
        if self.health.state == KeyState::Disabled {
            return self.prolong(stated);
        }
        let until = stated.unwrap_or_else(|| self.now + doubled(self.backoff(), self.raise_backoff()));
        self.take_out(until);
    }

    pub(super) fn backoff(&self) -> (Duration, Duration) {
        (self.limits.backoff_initial, self.limits.backoff_max)
    }

    /// The level of the backoff that begins; the next is one higher.
    fn raise_backoff(&mut self) -> u32 {
        raise(&mut self.health.backoff_level)
    }

    fn take_out(&mut self, until: Timestamp) {
        self.health.state = KeyState::Disabled;
        self.health.disabled_until = Some(until);
        self.health.next_validation_at = Some(until);
        self.health.last_failure_at = Some(self.now);
    }

    /// A key that is out learns that it is for longer. One that a person disabled is so until enabled.
    fn prolong(&mut self, stated: Option<Timestamp>) {
        if let (Some(until), Some(stated)) = (self.health.disabled_until, stated) {
            self.health.disabled_until = Some(until.max(stated));
            self.health.next_validation_at = self.health.disabled_until;
        }
    }

    fn rest_until(&mut self, until: Timestamp) {
        self.health.resting_until = self.health.resting_until.max(Some(until));
    }

    pub(super) fn note(&mut self, verdict: &Verdict) {
        self.health.last_class = Some(verdict.class.as_str().to_owned());
        self.health.last_rule = Some(cut(verdict.decided_by(), RULE_BYTES).to_owned());
        self.health.last_error = Some(cut(&verdict.message, ERROR_BYTES).to_owned()).filter(|text| !text.is_empty());
    }

    fn note_by_hand(&mut self) {
        self.health.last_class = None;
        self.health.last_rule = Some(BY_HAND.to_owned());
        self.health.last_error = None;
    }
}

/// The wait that the provider named.
fn stated(verdict: &Verdict) -> Option<Duration> {
    verdict.retry_after.filter(|wait| !wait.is_zero())
}

/// The cooldown that a limit asks for; `None` when the key or model rests already and no time was named.
pub(super) fn cooldown(
    level: &mut i32,
    resting_until: Option<Timestamp>,
    stated: Option<Duration>,
    now: Timestamp,
) -> Option<Duration> {
    let is_resting = resting_until.is_some_and(|until| until > now);
    stated.or_else(|| (!is_resting).then(|| doubled(COOLDOWN, raise(level))))
}

/// The level, which is one higher next time.
pub(super) fn raise(level: &mut i32) -> u32 {
    let current = (*level).max(0);
    *level = current.saturating_add(1);
    u32::try_from(current).unwrap_or(0)
}

/// `first` doubled `times` times, at most `max`.
pub(super) fn doubled((first, max): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(max)
}

/// As much of the text as fits into `bytes`.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
