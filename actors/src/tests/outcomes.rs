use std::time::Duration;

use gpt_load_schema::{key::KeyState, log::OutcomeClass, time::Timestamp};

use super::fixture::{FIRST, Node, verdict};
use crate::pool::{Asked, NoKey, Reach, Verdict};

#[actix_rt::test]
async fn outcomes_are_in_the_database_after_a_flush() {
    let node = Node::start().await;
    let group = node.group("default", 4).await;
    node.use_key(group, 1, OutcomeClass::KeyInvalid, None).await;
    node.use_key(group, 2, OutcomeClass::KeyForbidden, None).await;
    node.use_key(group, 3, OutcomeClass::QuotaExhausted, Some(Duration::from_secs(600))).await;
    node.use_key(group, 4, OutcomeClass::Success, None).await;
    node.flush().await;
    let keys = node.keys(group).await;
    let seen: Vec<_> = keys.iter().map(|key| (key.health.state, key.failure_count)).collect();
    let expected = [(KeyState::Invalid, 1), (KeyState::Degraded, 1), (KeyState::Disabled, 0), (KeyState::Active, 0)];
    assert_eq!(seen, expected);
    assert_eq!(keys[0].health.last_error.as_deref(), Some("said no"));
    let counts = node.pool(group).counts();
    assert_eq!((counts.invalid, counts.degraded, counts.disabled, counts.active), (1, 1, 1, 1));
    let stats = node.runtime.stats();
    assert_eq!((stats.outcomes_waiting, stats.respawns), (0, 0));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_dropped_task_abandons_its_lease() {
    let node = Node::start().await;
    let group = node.group("default", 1).await;
    let lease = node.lease(group, 1).await;
    let before = node.runtime.stats().outcomes_applied;
    let task = actix_rt::spawn(async move {
        let _lease = lease;
        std::future::pending::<()>().await;
    });
    task.abort();
    assert!(task.await.is_err());
    node.flush().await;
    assert_eq!(node.runtime.stats().outcomes_applied, before + 1);
    assert_eq!(node.keys(group).await[0].health.state, KeyState::Active);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_restart_keeps_cooldown_backoff_and_counters() {
    let node = Node::start().await;
    let group = node.group("default", 3).await;
    for _ in 0..2 {
        node.use_key(group, 1, OutcomeClass::KeyForbidden, None).await;
        node.flush().await;
    }
    let lease = node.lease(group, 1).await;
    lease.settle(
        verdict(OutcomeClass::KeyForbidden, None),
        Asked { upstream: &"http://up".into(), model: "" },
        Timestamp::now(),
    );
    node.use_key(group, 2, OutcomeClass::RateLimited, Some(Duration::from_secs(300))).await;
    node.flush().await;
    let before = node.keys(group).await;
    assert_eq!((before[0].health.state, before[0].failure_count), (KeyState::Disabled, 3));

    let node = node.restart().await;
    let pool = node.pool(group);
    let after = node.keys(group).await;
    assert_eq!(
        after.iter().map(|key| &key.health).collect::<Vec<_>>(),
        before.iter().map(|key| &key.health).collect::<Vec<_>>()
    );
    let out: Vec<_> = pool.out_of_rotation(9, Timestamp::now()).into_iter().map(|key| (key.id, key.health)).collect();
    assert_eq!(out, [(before[0].id, before[0].health.clone()), (before[1].id, before[1].health.clone())]);
    let served = (0..5).map(|_| pool.checkout(&FIRST, Timestamp::now()).map(|lease| lease.id()));
    assert!(served.into_iter().all(|id| id == Ok(before[2].id)));
    let until = before[1].health.resting_until.expect("it rests");
    let third = pool.checkout(&FIRST, Timestamp::now()).expect("a key is usable");
    third.settle(
        verdict(OutcomeClass::RateLimited, Some(Duration::from_secs(900))),
        Asked { upstream: &"http://up".into(), model: "" },
        Timestamp::now(),
    );
    assert_eq!(pool.checkout(&FIRST, Timestamp::now()).err(), Some(NoKey::AllResting(until)));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_rested_key_comes_back_by_the_clock() {
    let node = Node::start().await;
    let group = node.group("default", 1).await;
    node.use_key(group, 1, OutcomeClass::RateLimited, Some(Duration::from_millis(400))).await;
    node.flush().await;
    let until = node.keys(group).await[0].health.resting_until.expect("it rests");
    let pool = node.pool(group);
    loop {
        let now = Timestamp::now();
        match pool.checkout(&FIRST, now) {
            Ok(_) => break assert!(now >= until),
            Err(NoKey::AllResting(nearest)) => assert_eq!(nearest, until),
            Err(NoKey::NoneUsable) => panic!("the key only rests"),
        }
        tokio::task::yield_now().await;
    }
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_restart_keeps_levels_models_and_validations() {
    let node = Node::start().await;
    let group = node.group("default", 3).await;
    let about_model = |class| Verdict { reach: Reach { model: true, account: false }, ..verdict(class, None) };
    let settle = async |number, verdict, model| {
        let asked = Asked { upstream: &"http://up".into(), model };
        node.lease(group, number).await.settle(verdict, asked, Timestamp::now());
        node.flush().await;
    };
    settle(1, verdict(OutcomeClass::RateLimited, None), "").await;
    for _ in 0..3 {
        settle(2, about_model(OutcomeClass::KeyForbidden), "m").await;
    }
    settle(2, about_model(OutcomeClass::RateLimited), "n").await;
    settle(3, verdict(OutcomeClass::KeyInvalid, None), "").await;
    let before: Vec<_> = node.keys(group).await.into_iter().map(|key| (key.health, key.failure_count)).collect();
    assert_eq!(before[0].0.cooldown_level, 1);
    let [m, n] = &before[1].0.models[..] else { panic!("two models are remembered") };
    assert_eq!((m.consecutive_failures, m.backoff_level, m.disabled_until.is_some()), (3, 1, true));
    assert_eq!((n.cooldown_level, n.resting_until.is_some()), (1, true));
    assert_eq!((before[1].0.state, before[1].1), (KeyState::Active, 3));
    assert!(before[2].0.next_validation_at.is_some());

    let node = node.restart().await;
    let after: Vec<_> = node.keys(group).await.into_iter().map(|key| (key.health, key.failure_count)).collect();
    assert_eq!(after, before);
    // The pool knows it as well: what the model's next failure says comes on top.
    let asked = Asked { upstream: &"http://up".into(), model: "m" };
    node.lease(group, 2).await.settle(about_model(OutcomeClass::KeyForbidden), asked, Timestamp::now());
    node.flush().await;
    let health = &node.keys(group).await[1].health;
    assert_eq!((health.models[0].consecutive_failures, health.models.len()), (4, 2));
    node.runtime.stop().await;
}
