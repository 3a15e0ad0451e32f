//! Standings per model.

use gpt_load_schema::key::ModelHealth;

use super::{super::models::MODELS, *};

/// A failure that concerns one model.
fn about_model(class: OutcomeClass, retry_after: Option<u64>) -> Verdict {
    Verdict { reach: Reach { model: true, account: false }, ..verdict(class, retry_after) }
}

fn on(standing: &Standing, verdict: &Verdict, model: &str, now: Timestamp) -> Transition {
    let event = Event::Outcome { generation: standing.health.generation, verdict, model, key_specific: false };
    accept(standing, &event, &LIMITS, now)
}

fn model<'a>(standing: &'a Standing, name: &str) -> Option<&'a ModelHealth> {
    standing.health.models.iter().find(|health| health.model == name)
}

#[test]
fn a_limit_of_one_model_rests_that_model() {
    let limited = about_model(OutcomeClass::RateLimited, Some(20));
    let rested = on(&key(KeyState::Active), &limited, "a", NOW);
    assert_eq!((rested.standing.health.state, rested.standing.health.resting_until), (KeyState::Active, None));
    assert_eq!(model(&rested.standing, "a").and_then(ModelHealth::out_until), Some(NOW + Duration::from_secs(20)));
    assert_eq!(rested.standing.health.last_class.as_deref(), Some("rate_limited"));
    assert!(!rested.standing.is_clean());

    let unstated = about_model(OutcomeClass::RateLimited, None);
    let mut standing = key(KeyState::Active);
    let mut rests = Vec::new();
    let mut now = NOW;
    for _ in 0..3 {
        standing = on(&standing, &unstated, "a", now).standing;
        assert_eq!(on(&standing, &unstated, "a", now).standing, standing, "what was in flight says the same");
        let until = model(&standing, "a").and_then(|health| health.resting_until).expect("it rests");
        rests.push(until.since(now).as_secs());
        now = until;
    }
    assert_eq!(rests, [1, 2, 4]);
    assert_eq!(on(&key(KeyState::Active), &limited, "", NOW).standing.health.models, [], "no model was asked for");
    assert!(on(&key(KeyState::Active), &limited, "", NOW).standing.health.resting_until.is_some());
}

#[test]
fn a_forbidden_model_is_out_at_the_threshold_while_the_key_serves_others() {
    let forbidden = about_model(OutcomeClass::KeyForbidden, None);
    let mut standing = key(KeyState::Active);
    let mut failures = 0;
    for _ in 0..3 {
        assert_eq!(model(&standing, "a").and_then(ModelHealth::out_until), None);
        let step = on(&standing, &forbidden, "a", NOW);
        (standing, failures) = (step.standing, failures + step.failures);
    }
    assert_eq!((standing.health.state, standing.health.consecutive_failures, failures), (KeyState::Active, 0, 3));
    assert_eq!(model(&standing, "a").and_then(ModelHealth::out_until), Some(NOW + Duration::from_secs(60)));
    let in_flight = on(&standing, &forbidden, "a", NOW).standing;
    assert_eq!(model(&in_flight, "a").and_then(ModelHealth::out_until), Some(NOW + Duration::from_secs(60)));
    let later = NOW + Duration::from_secs(60);
    let again = on(&standing, &forbidden, "a", later).standing;
    assert_eq!(model(&again, "a").and_then(ModelHealth::out_until), Some(later + Duration::from_secs(120)));

    let other = on(&standing, &verdict(OutcomeClass::Success, None), "b", NOW).standing;
    assert_eq!(other, standing, "a success with another model forgives nothing");
    let proved = on(&standing, &verdict(OutcomeClass::Success, None), "a", NOW).standing;
    assert!(proved.is_clean());
    assert_eq!(proved.health.last_success_at, Some(NOW));
}

#[test]
fn a_success_leaves_a_cooldown_and_forgets_what_is_over() {
    let mut standing = on(&key(KeyState::Active), &about_model(OutcomeClass::RateLimited, None), "a", NOW).standing;
    standing = on(&standing, &about_model(OutcomeClass::RateLimited, Some(50)), "b", NOW).standing;
    let success = verdict(OutcomeClass::Success, None);
    let early = on(&standing, &success, "a", NOW).standing;
    assert_eq!(
        model(&early, "a").map(|health| (health.cooldown_level, health.resting_until.is_some())),
        Some((0, true))
    );
    assert_eq!(on(&early, &success, "a", NOW + Duration::from_millis(9)).standing, early, "told once");
    let later = on(&early, &success, "c", NOW + Duration::from_secs(50)).standing;
    assert!(later.is_clean(), "{later:?}");
}

#[test]
fn few_models_are_remembered_and_the_oldest_end_goes_first() {
    let mut standing = key(KeyState::Active);
    for number in 0..2 * MODELS {
        let wait = 1_000 - u64::try_from(number).expect("small");
        standing =
            on(&standing, &about_model(OutcomeClass::RateLimited, Some(wait)), &format!("m{number:03}"), NOW).standing;
    }
    let names: Vec<&str> = standing.health.models.iter().map(|health| health.model.as_str()).collect();
    assert_eq!(names.len(), MODELS);
    assert!(names.is_sorted() && names[0] == "m000" && names.contains(&"m127"), "{names:?}");
    let limited = about_model(OutcomeClass::RateLimited, Some(9));
    assert_eq!(on(&key(KeyState::Active), &limited, &"x".repeat(300), NOW).standing.health.models, []);
}
