use std::time::{Duration, Instant};

use gpt_load_schema::{
    key::{KeySource, KeyState},
    log::OutcomeClass,
    secret::Secret,
    time::Timestamp,
};

use super::fixture::{FIRST, Node, add, definition, log_row, verdict};
use crate::{group, sync};

/// Waits for the successor of an actor that was asked to panic.
pub(crate) async fn respawned(node: &Node, times: u64) {
    let asked = Instant::now();
    while node.runtime.stats().respawns < times {
        assert!(asked.elapsed() < Duration::from_secs(5), "nobody noticed the panic");
        tokio::task::yield_now().await;
    }
}

#[actix_rt::test]
async fn a_group_outlives_its_actors_panic() {
    let node = Node::start().await;
    let group = node.group("default", 3).await;
    let other = node.group("other", 1).await;
    let second = node.lease(group, 2).await;
    node.use_key(group, 1, OutcomeClass::KeyInvalid, None).await;
    let member = node.runtime.directory().member(group).expect("the group runs");
    member.link.nudge(group::panic::Panic);
    assert!(node.pool(group).checkout(&FIRST, Timestamp::now()).is_ok(), "the data path does not notice");
    assert!(node.pool(other).checkout(&FIRST, Timestamp::now()).is_ok());
    respawned(&node, 1).await;
    second.settle(
        verdict(OutcomeClass::KeyInvalid, None),
        crate::pool::Asked { upstream: &"http://up".into(), model: "" },
        Timestamp::now(),
    );
    member.link.ask(group::Settle).await.expect("the successor answers");
    assert_eq!(node.pool(group).counts().invalid, 2, "what waited and what came later is applied");

    node.flush().await;
    let states: Vec<KeyState> = node.keys(group).await.iter().map(|key| key.health.state).collect();
    assert_eq!(states, [KeyState::Invalid, KeyState::Invalid, KeyState::Active]);
    assert_eq!(node.runtime.stats().outcomes_waiting, 0);
    node.execute(add(group, 4..=5)).await;
    assert_eq!(node.pool(group).counts().total(), 5);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn no_panic_of_a_group_loses_an_outcome() {
    let node = Node::start().await;
    node.set("pool_guard", "false").await;
    let group = node.group("default", 20).await;
    let member = node.runtime.directory().member(group).expect("the group runs");
    for number in 1..=20 {
        node.use_key(group, number, OutcomeClass::KeyForbidden, None).await;
        if number % 4 == 0 {
            member.link.nudge(group::panic::Panic);
        }
    }
    respawned(&node, 1).await;
    node.flush().await;
    let failures: Vec<i64> = node.keys(group).await.iter().map(|key| key.failure_count).collect();
    assert_eq!(failures, [1; 20]);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn rows_outlive_the_writers_panic() {
    let node = Node::start().await;
    for number in 0..1_000 {
        node.runtime.record(log_row(number));
        if number == 500 {
            node.runtime.sync_link().nudge(sync::panic::Panic);
        }
    }
    respawned(&node, 1).await;
    node.flush().await;
    assert_eq!(node.store.log_counts().await.expect("the rows are counted"), (1_000, 0));
    assert_eq!(node.runtime.stats().logs_written, 1_000);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_commit_that_outlives_its_writer_counts_once() {
    let node = Node::start().await;
    node.set("pool_guard", "false").await;
    let group = node.group("default", 6).await;
    for number in 1..=6 {
        node.use_key(group, number, OutcomeClass::KeyForbidden, None).await;
        let runtime = node.runtime.clone();
        let flush = actix_rt::spawn(async move { runtime.flush().await });
        for _ in 0..20 * number {
            tokio::task::yield_now().await;
        }
        node.runtime.sync_link().nudge(sync::panic::Panic);
        respawned(&node, number.try_into().expect("small")).await;
        let _ = flush.await;
        node.runtime.sync_link().ask(sync::Pump).await.expect("the successor lives");
    }
    node.flush().await;
    let failures: Vec<i64> = node.keys(group).await.iter().map(|key| key.failure_count).collect();
    assert_eq!(failures, [1; 6]);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn what_a_writer_stored_before_it_died_is_shown_by_its_successor() {
    let node = Node::start().await;
    let group = node.group("default", 1).await;
    // Stands for the writer's own writes between their commit and the pool.
    let writer = node.store.writer(node.store.epoch().await.expect("the epoch is read"));
    let now = Timestamp::now();
    let late = [Secret::from("sk-late")];
    writer.insert_keys(group, &late, KeyState::Active, KeySource::Manual, now).await.expect("the key is stored");
    let other = writer.insert_group(&definition("late"), now).await.expect("the group is stored").id;
    node.runtime.sync_link().nudge(sync::panic::Panic);
    respawned(&node, 1).await;
    node.flush().await;
    assert_eq!(node.pool(group).counts().active, 2);
    assert_eq!(node.pool(other).counts().total(), 0, "the group is routed");
    node.runtime.stop().await;
}
