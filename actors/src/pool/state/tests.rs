mod models;
mod reference;
mod steps;
mod validations;

use std::sync::Arc;

use gpt_load_schema::log::OutcomeClass;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    super::{Consequence, Reach, Ruling},
    *,
};

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

fn outcome(generation: i64, verdict: &Verdict) -> Event<'_> {
    Event::Outcome { generation, verdict, model: "", key_specific: false }
}

fn after(standing: &Standing, class: OutcomeClass, retry_after: Option<u64>, now: Timestamp) -> Transition {
    judged(standing, &verdict(class, retry_after), now)
}

fn judged(standing: &Standing, verdict: &Verdict, now: Timestamp) -> Transition {
    accept(standing, &outcome(standing.health.generation, verdict), &LIMITS, now)
}

fn ruled(class: OutcomeClass, consequence: Consequence) -> Verdict {
    let ruling = Ruling { policy: Arc::from("strict / rule 1"), consequence: Some(consequence) };
    Verdict { ruling: Some(ruling), ..verdict(class, None) }
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
        standing = accept(&standing, &outcome(0, &forbidden), &limits, NOW).standing;
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

#[test]
fn a_fault_of_the_keys_own_counts_as_many_times_as_it_took_to_know() {
    let fault = verdict(OutcomeClass::UpstreamFault, None);
    let own = |standing: &Standing, now| {
        accept(
            standing,
            &Event::Outcome { generation: 0, verdict: &fault, model: "m", key_specific: true },
            &LIMITS,
            now,
        )
    };
    let found = own(&key(KeyState::Active), NOW);
    assert_eq!((found.standing.health.state, found.failures), (KeyState::Disabled, 3));
    assert_eq!(found.standing.health.disabled_until, Some(NOW + Duration::from_secs(60)));
    assert_eq!(found.standing.health.last_class.as_deref(), Some("upstream_fault"));
    let in_flight = own(&found.standing, NOW);
    assert_eq!(
        (in_flight.standing.health.disabled_until, in_flight.failures),
        (found.standing.health.disabled_until, 1)
    );
    let later = NOW + Duration::from_secs(60);
    let back = accept(&found.standing, &Event::BackoffOver, &LIMITS, later).standing;
    let again = own(&back, later);
    assert_eq!((again.standing.health.state, again.failures), (KeyState::Disabled, 1));
    assert_eq!(again.standing.health.disabled_until, Some(later + Duration::from_secs(120)));
    let pending = own(&key(KeyState::Pending), NOW);
    assert_eq!((pending.standing.health.state, pending.failures), (KeyState::Pending, 1));
}

#[test]
fn a_policy_decides_instead_of_the_class() {
    use Consequence::{Degrade, Disable, Invalidate, Rest, Spare};
    let (five, minute) = (Duration::from_secs(300), Duration::from_secs(60));
    let rows = [
        (OutcomeClass::KeyInvalid, Spare, KeyState::Active, None, None, 0),
        (OutcomeClass::UpstreamFault, Degrade(None), KeyState::Degraded, None, None, 1),
        (OutcomeClass::UpstreamFault, Degrade(Some(five)), KeyState::Disabled, Some(five), None, 1),
        (OutcomeClass::RateLimited, Disable(Some(five)), KeyState::Disabled, Some(five), None, 0),
        (OutcomeClass::ClientError, Disable(None), KeyState::Disabled, Some(minute), None, 0),
        (OutcomeClass::UpstreamFault, Invalidate, KeyState::Invalid, None, None, 1),
        (OutcomeClass::KeyInvalid, Rest(five), KeyState::Active, None, Some(five), 0),
    ];
    for (class, consequence, state, disabled, rests, failures) in rows {
        let after = judged(&key(KeyState::Active), &ruled(class, consequence), NOW);
        let health = &after.standing.health;
        assert_eq!((health.state, after.failures), (state, failures), "{consequence:?}");
        assert_eq!(health.disabled_until, disabled.map(|time| NOW + time), "{consequence:?}");
        assert_eq!(health.resting_until, rests.map(|time| NOW + time), "{consequence:?}");
        let rule = (consequence != Spare).then_some("strict / rule 1");
        assert_eq!(health.last_rule.as_deref(), rule, "{consequence:?}");
        for class in [OutcomeClass::Success, OutcomeClass::Abandoned] {
            let spared = judged(&key(KeyState::Active), &ruled(class, consequence), NOW).standing;
            assert_eq!(spared, key(KeyState::Active), "no policy makes a failure of what is none");
        }
    }
    let out = judged(&key(KeyState::Active), &ruled(OutcomeClass::UpstreamFault, Disable(Some(five))), NOW).standing;
    let longer = judged(&out, &ruled(OutcomeClass::UpstreamFault, Disable(Some(2 * five))), NOW).standing;
    assert_eq!(longer.health.disabled_until, Some(NOW + 2 * five));
    let in_flight = judged(&out, &ruled(OutcomeClass::UpstreamFault, Disable(None)), NOW).standing;
    assert_eq!(in_flight.health.disabled_until, out.health.disabled_until);
    let without = Verdict {
        ruling: Some(Ruling { policy: "p".into(), consequence: None }),
        ..verdict(OutcomeClass::KeyInvalid, None)
    };
    let health = judged(&key(KeyState::Active), &without, NOW).standing.health;
    assert_eq!((health.state, health.last_rule.as_deref()), (KeyState::Invalid, Some("p")));
}

#[test]
fn a_limit_of_the_account_sends_its_other_keys_to_rest() {
    let until = NOW + Duration::from_secs(9);
    let told = |state, model| accept(&key(state), &Event::Rest { until, model }, &LIMITS, NOW).standing.health;
    let rested = told(KeyState::Pending, None);
    assert_eq!((rested.state, rested.resting_until, rested.last_class), (KeyState::Pending, Some(until), None));
    let rested = told(KeyState::Active, Some("m"));
    assert_eq!((rested.resting_until, rested.models[0].resting_until), (None, Some(until)));
    assert_eq!(told(KeyState::Invalid, None), key(KeyState::Invalid).health);
    let late = accept(&key(KeyState::Active), &Event::Rest { until: NOW, model: None }, &LIMITS, NOW);
    assert_eq!(late.standing, key(KeyState::Active));
}

#[test]
fn a_person_invalidates_and_restores() {
    let invalid = accept(&key(KeyState::Active), &Event::Invalidate, &LIMITS, NOW);
    let health = &invalid.standing.health;
    assert_eq!((health.state, health.last_rule.as_deref(), invalid.failures), (KeyState::Invalid, Some("by-hand"), 0));
    assert_eq!(health.next_validation_at, Some(NOW + LIMITS.validation_interval));
    let restored = accept(&invalid.standing, &Event::Restore, &LIMITS, NOW);
    assert!(restored.reset_failures && restored.standing.is_clean());
}

#[test]
fn texts_fit_into_the_database() {
    let long = Verdict { message: "é".repeat(2_000), ..verdict(OutcomeClass::KeyForbidden, None) };
    let policy = Ruling { policy: "ü".repeat(200).into(), consequence: None };
    let health = judged(&key(KeyState::Active), &Verdict { ruling: Some(policy), ..long }, NOW).standing.health;
    assert_eq!(
        (health.last_error.map(|text| text.len()), health.last_rule.map(|text| text.len())),
        (Some(2048), Some(254))
    );
}
