//! Validations, and when the next is due.

use super::*;

fn validated(standing: &Standing, class: OutcomeClass, now: Timestamp) -> Transition {
    let verdict = verdict(class, None);
    accept(standing, &Event::Validated { generation: standing.health.generation, verdict: &verdict }, &LIMITS, now)
}

fn due_in(standing: &Standing, now: Timestamp) -> Option<u64> {
    standing.health.next_validation_at.map(|at| at.since(now).as_secs())
}

#[test]
fn a_key_that_is_accepted_serves() {
    for state in KeyState::ALL {
        let mut standing = key(state);
        standing.health.disabled_until = (state == KeyState::Disabled).then_some(NOW + Duration::from_secs(9));
        standing.health.consecutive_failures = 2;
        let health = validated(&standing, OutcomeClass::Success, NOW).standing.health;
        assert_eq!((health.state, health.consecutive_failures), (KeyState::Active, 0), "{state}");
        assert_eq!((health.disabled_until, health.next_validation_at), (None, None), "{state}");
        assert_eq!((health.last_validated_at, health.validation_level), (Some(NOW), 0), "{state}");
    }
}

#[test]
fn a_key_that_a_person_disabled_stays_so() {
    let by_hand = accept(&key(KeyState::Active), &Event::Disable, &LIMITS, NOW).standing;
    assert_eq!(by_hand.health.next_validation_at, None);
    let health = validated(&by_hand, OutcomeClass::Success, NOW).standing.health;
    assert_eq!((health.state, health.disabled_until, health.last_validated_at), (KeyState::Disabled, None, Some(NOW)));
}

#[test]
fn a_client_error_means_that_a_pending_key_was_accepted() {
    let health = validated(&key(KeyState::Pending), OutcomeClass::ClientError, NOW).standing.health;
    assert_eq!((health.state, health.next_validation_at), (KeyState::Active, None));
    assert_eq!(health.last_error.as_deref(), Some("accepted, but the test model was not: said no"));
    for state in [KeyState::Active, KeyState::Degraded, KeyState::Disabled] {
        let standing = key(state);
        let health = validated(&standing, OutcomeClass::ClientError, NOW).standing.health;
        assert_eq!(health, KeyHealth { last_validated_at: Some(NOW), ..standing.health }, "{state}");
    }
}

#[test]
fn limits_and_faults_prove_nothing() {
    for state in KeyState::ALL {
        for class in [OutcomeClass::RateLimited, OutcomeClass::UpstreamFault, OutcomeClass::Abandoned] {
            let unproved = validated(&key(state), class, NOW);
            assert_eq!(unproved, Transition { standing: key(state), failures: 0, reset_failures: false });
        }
    }
}

#[test]
fn an_invalid_key_is_validated_less_and_less_often() {
    let mut standing = after(&key(KeyState::Active), OutcomeClass::KeyInvalid, None, NOW).standing;
    let mut waits = vec![due_in(&standing, NOW)];
    for class in OutcomeClass::ALL.repeat(3) {
        if matches!(class, OutcomeClass::KeyInvalid | OutcomeClass::KeyForbidden | OutcomeClass::ClientError) {
            let now = standing.health.next_validation_at.expect("a validation is due");
            let step = validated(&standing, class, now);
            assert_eq!((step.failures, step.standing.health.last_validated_at), (0, Some(now)));
            standing = step.standing;
            waits.push(due_in(&standing, now));
        }
    }
    let hours: Vec<u64> = waits.iter().map(|wait| wait.expect("it is due again") / 3600).collect();
    assert_eq!(hours, [1, 2, 4, 8, 16, 24, 24, 24, 24, 24]);
    let long = Limits { validation_interval: Duration::from_secs(48 * 3600), ..LIMITS };
    let refused = verdict(OutcomeClass::KeyInvalid, None);
    let invalid = accept(&standing, &Event::Validated { generation: 0, verdict: &refused }, &long, NOW).standing;
    assert_eq!(due_in(&invalid, NOW), Some(48 * 3600), "a longer setting counts");
}

#[test]
fn validations_come_at_once_after_pauses_and_after_backoffs() {
    assert_eq!(key(KeyState::Pending).health.next_validation_at, None);
    let failed = validated(&key(KeyState::Pending), OutcomeClass::KeyInvalid, NOW).standing;
    assert_eq!((failed.health.state, due_in(&failed, NOW)), (KeyState::Pending, Some(60)));
    let spent = verdict(OutcomeClass::QuotaExhausted, Some(7200));
    let spent =
        accept(&key(KeyState::Pending), &Event::Validated { generation: 0, verdict: &spent }, &LIMITS, NOW).standing;
    assert_eq!(due_in(&spent, NOW), Some(7200));

    let mut standing = key(KeyState::Active);
    for _ in 0..3 {
        standing = after(&standing, OutcomeClass::KeyForbidden, None, NOW).standing;
    }
    assert_eq!((standing.health.state, due_in(&standing, NOW)), (KeyState::Disabled, Some(60)));
    let late = NOW + Duration::from_secs(61);
    let back = accept(&standing, &Event::BackoffOver, &LIMITS, late).standing;
    assert_eq!((back.health.state, back.health.next_validation_at), (KeyState::Degraded, Some(late)));
    let again = validated(&back, OutcomeClass::KeyForbidden, late).standing;
    assert_eq!((again.health.state, due_in(&again, late)), (KeyState::Disabled, Some(120)));
    let never = Limits { blacklist_threshold: 0, ..LIMITS };
    let forbidden = verdict(OutcomeClass::KeyForbidden, None);
    let degraded = accept(&back, &Event::Validated { generation: 0, verdict: &forbidden }, &never, late).standing;
    assert_eq!(
        (degraded.health.state, degraded.health.next_validation_at),
        (KeyState::Degraded, None),
        "not due for ever"
    );
}
