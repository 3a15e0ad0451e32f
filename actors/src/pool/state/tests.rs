use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);
const LIMITS: Limits = Limits {
    blacklist_threshold: 3,
    backoff_initial: Duration::from_secs(60),
    backoff_max: Duration::from_secs(1800),
    cooldown_max: Duration::from_secs(3600),
    validation_interval: Duration::from_secs(3600),
    guard: None,
};

fn verdict(class: OutcomeClass, retry_after: Option<u64>) -> Verdict {
    Verdict {
        message: "said no".to_owned(),
        retry_after: retry_after.map(Duration::from_secs),
        ..Verdict::new(class, "test")
    }
}

fn after(standing: &Standing, class: OutcomeClass, retry_after: Option<u64>, now: Timestamp) -> Transition {
    let verdict = verdict(class, retry_after);
    accept(standing, &Event::Outcome { generation: standing.health.generation, verdict: &verdict }, &LIMITS, now)
}

fn key(state: KeyState) -> Standing {
    Standing::stored(KeyHealth::new(state))
}

#[test]
fn classes_that_say_nothing_of_the_key_change_nothing() {
    for state in KeyState::ALL {
        for class in [OutcomeClass::UpstreamFault, OutcomeClass::ClientError, OutcomeClass::Abandoned] {
            let transition = after(&key(state), class, Some(9), NOW);
            assert_eq!(transition, Transition { standing: key(state), failures: 0, reset_failures: false });
        }
    }
}

#[test]
fn the_third_counted_failure_disables_with_a_doubling_backoff() {
    let first = after(&key(KeyState::Active), OutcomeClass::KeyForbidden, None, NOW);
    assert_eq!((first.standing.health.state, first.failures), (KeyState::Degraded, 1));
    let second = after(&first.standing, OutcomeClass::KeyForbidden, None, NOW);
    assert_eq!(second.standing.health.state, KeyState::Degraded);
    let third = after(&second.standing, OutcomeClass::KeyForbidden, None, NOW).standing;
    assert_eq!(third.health.state, KeyState::Disabled);
    assert_eq!(third.health.disabled_until, Some(NOW + Duration::from_secs(60)));
    assert_eq!(third.health.last_class.as_deref(), Some("key_forbidden"));
    assert_eq!(third.health.last_error.as_deref(), Some("said no"));

    let later = NOW + Duration::from_secs(60);
    assert_eq!(accept(&third, &Event::BackoffOver, &LIMITS, NOW).standing, third);
    let back = accept(&third, &Event::BackoffOver, &LIMITS, later).standing;
    assert_eq!((back.health.state, back.health.disabled_until), (KeyState::Degraded, None));
    let again = after(&back, OutcomeClass::KeyForbidden, None, later).standing;
    assert_eq!(again.health.disabled_until, Some(later + Duration::from_secs(120)));

    let proved = after(&back, OutcomeClass::Success, None, later).standing.health;
    assert_eq!((proved.state, proved.consecutive_failures, proved.backoff_level), (KeyState::Active, 0, 0));
}

#[test]
fn a_threshold_of_zero_never_disables() {
    let limits = Limits { blacklist_threshold: 0, ..LIMITS };
    let forbidden = verdict(OutcomeClass::KeyForbidden, None);
    let mut standing = key(KeyState::Active);
    for _ in 0..50 {
        standing = accept(&standing, &Event::Outcome { generation: 0, verdict: &forbidden }, &limits, NOW).standing;
    }
    assert_eq!((standing.health.state, standing.health.consecutive_failures), (KeyState::Degraded, 50));
}

#[test]
fn cooldowns_follow_the_provider_within_the_cap_and_double_without_it() {
    let rest = |standing: &Standing| standing.health.resting_until.map(|until| until.since(NOW).as_secs());
    assert_eq!(rest(&after(&key(KeyState::Active), OutcomeClass::RateLimited, Some(20), NOW).standing), Some(20));
    assert_eq!(rest(&after(&key(KeyState::Active), OutcomeClass::RateLimited, Some(9999), NOW).standing), Some(3600));

    let mut standing = key(KeyState::Active);
    let mut rests = Vec::new();
    for _ in 0..8 {
        let now = standing.health.resting_until.unwrap_or(NOW);
        standing = after(&standing, OutcomeClass::RateLimited, None, now).standing;
        rests.push(standing.health.resting_until.map(|until| until.since(now).as_secs()));
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60].map(Some));
    assert_eq!(standing.health.state, KeyState::Active);

    let ended = standing.health.resting_until.unwrap_or(NOW);
    let proved = after(&standing, OutcomeClass::Success, None, ended).standing;
    assert!(proved.is_clean());
    assert_eq!(rest(&after(&proved, OutcomeClass::RateLimited, None, NOW).standing), Some(1));
}

#[test]
fn requests_in_flight_do_not_lengthen_what_they_all_report() {
    let limited = after(&key(KeyState::Active), OutcomeClass::RateLimited, None, NOW).standing;
    let same = after(&limited, OutcomeClass::RateLimited, None, NOW + Duration::from_millis(10)).standing;
    assert_eq!(same, limited);

    let spent = after(&key(KeyState::Active), OutcomeClass::QuotaExhausted, None, NOW).standing;
    assert_eq!(spent.health.disabled_until, Some(NOW + Duration::from_secs(1800)));
    assert_eq!(after(&spent, OutcomeClass::QuotaExhausted, None, NOW + Duration::from_secs(1)).standing, spent);
}

#[test]
fn a_used_up_quota_waits_for_its_reset() {
    let known = after(&key(KeyState::Degraded), OutcomeClass::QuotaExhausted, Some(7200), NOW);
    assert_eq!(known.standing.health.disabled_until, Some(NOW + Duration::from_secs(7200)));
    assert_eq!(known.failures, 0);
    let mut standing = key(KeyState::Active);
    let mut hours = Vec::new();
    for _ in 0..7 {
        let now = standing.health.disabled_until.unwrap_or(NOW);
        standing = accept(&standing, &Event::BackoffOver, &LIMITS, now).standing;
        standing = after(&standing, OutcomeClass::QuotaExhausted, None, now).standing;
        hours.push(standing.health.disabled_until.map(|until| until.since(now).as_secs_f64() / 3600.0));
    }
    assert_eq!(hours, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0].map(Some));
}

#[test]
fn a_refused_key_is_invalid_until_restored() {
    for state in [KeyState::Active, KeyState::Degraded, KeyState::Disabled] {
        let refused = after(&key(state), OutcomeClass::KeyInvalid, None, NOW);
        assert_eq!((refused.standing.health.state, refused.failures), (KeyState::Invalid, 1));
        for class in OutcomeClass::ALL {
            assert_eq!(after(&refused.standing, class, None, NOW).standing, refused.standing);
        }
        let restored = accept(&refused.standing, &Event::Restore, &LIMITS, NOW);
        assert_eq!(restored.standing.health.state, KeyState::Active);
        assert_eq!(restored.standing.health.generation, 1);
        assert!(restored.reset_failures);
    }
}

#[test]
fn a_pending_key_has_three_chances_with_pauses() {
    assert_eq!(
        after(&key(KeyState::Pending), OutcomeClass::Success, None, NOW).standing.health.state,
        KeyState::Active
    );
    let classes = [OutcomeClass::KeyForbidden, OutcomeClass::QuotaExhausted, OutcomeClass::KeyInvalid];
    let mut standing = key(KeyState::Pending);
    let mut seen = Vec::new();
    for class in classes {
        standing = after(&standing, class, None, standing.health.resting_until.unwrap_or(NOW)).standing;
        seen.push((standing.health.state, standing.health.resting_until.map(|until| until.since(NOW).as_secs())));
    }
    assert_eq!(seen, [(KeyState::Pending, Some(60)), (KeyState::Pending, Some(180)), (KeyState::Invalid, None)]);
}

#[test]
fn a_person_disables_until_enabled() {
    let disabled = accept(&key(KeyState::Active), &Event::Disable, &LIMITS, NOW).standing;
    assert_eq!((disabled.health.state, disabled.health.disabled_until), (KeyState::Disabled, None));
    assert_eq!(accept(&disabled, &Event::BackoffOver, &LIMITS, Timestamp(i64::MAX)).standing, disabled);
    assert_eq!(accept(&disabled, &Event::Enable, &LIMITS, NOW).standing.health.state, KeyState::Degraded);
}

/// An event and the milliseconds that pass before it.
#[derive(Clone, Debug)]
enum Step {
    Outcome(OutcomeClass, Option<u64>, i64),
    BackoffOver,
    Restore,
    Disable,
    Enable,
}

fn step() -> impl Strategy<Value = (Step, u64)> {
    let outcome = (select(OutcomeClass::ALL.to_vec()), option::of(0..100_000_u64), 0..3_i64)
        .prop_map(|(class, wait, behind)| Step::Outcome(class, wait, behind));
    let step = prop_oneof![
        12 => outcome,
        4 => Just(Step::BackoffOver),
        1 => Just(Step::Restore),
        1 => Just(Step::Disable),
        1 => Just(Step::Enable),
    ];
    (step, 0..4_000_000_u64)
}

fn take(standing: &Standing, step: &Step, now: Timestamp) -> Transition {
    match step {
        Step::Outcome(class, wait, behind) => {
            let verdict = verdict(*class, *wait);
            let generation = standing.health.generation - behind;
            accept(standing, &Event::Outcome { generation, verdict: &verdict }, &LIMITS, now)
        }
        Step::BackoffOver => accept(standing, &Event::BackoffOver, &LIMITS, now),
        Step::Restore => accept(standing, &Event::Restore, &LIMITS, now),
        Step::Disable => accept(standing, &Event::Disable, &LIMITS, now),
        Step::Enable => accept(standing, &Event::Enable, &LIMITS, now),
    }
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_a_key(
        state in select(KeyState::ALL.to_vec()),
        steps in vec(step(), 0..60),
    ) {
        let mut standing = key(state);
        let mut now = NOW;
        let mut by_hand = state == KeyState::Disabled;
        for (step, pause) in steps {
            now = now + Duration::from_millis(pause);
            let before = standing.clone();
            let transition = take(&before, &step, now);
            standing = transition.standing;
            let health = &standing.health;

            prop_assert!(health.consecutive_failures >= 0 && health.backoff_level >= 0);
            prop_assert!((0..=1).contains(&transition.failures));
            prop_assert!(health.generation >= before.health.generation);
            if let Step::Outcome(class, _, behind) = step {
                if behind > 0 {
                    prop_assert_eq!(&standing, &before, "an outcome of an earlier generation counts for nothing");
                }
                if class != OutcomeClass::Success {
                    prop_assert!(health.backoff_level >= before.health.backoff_level, "the backoff shrinks by success only");
                }
            }
            by_hand = match (step, health.state) {
                (Step::Disable, _) => true,
                (_, KeyState::Disabled) => by_hand,
                _ => false,
            };
            if health.state == KeyState::Disabled {
                prop_assert_eq!(health.disabled_until.is_none(), by_hand);
                let event = if by_hand { Event::Enable } else { Event::BackoffOver };
                let due = health.disabled_until.unwrap_or(now);
                prop_assert_eq!(accept(&standing, &event, &LIMITS, due).standing.health.state, KeyState::Degraded);
            } else {
                prop_assert!(health.disabled_until.is_none(), "only a disabled key has a backoff");
            }
        }
    }
}
