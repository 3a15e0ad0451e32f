use std::time::{Duration, Instant};

use gpt_load_schema::{key::KeyState, log::OutcomeClass, time::Timestamp};

use super::{Team, until};
use crate::{
    commands::{Command, Order},
    pool::{Announced, Asked, NoKey, Remaining},
    tests::fixture::{FIRST, verdict},
};

#[actix_rt::test]
async fn a_key_that_failed_on_one_node_rests_on_all_without_the_database() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let group = leader.group("default", 1).await;
    let third = team.slave("c").await;
    until("all have the key", async || follower.has(group, 1) && third.has(group, 1)).await;
    // No shipment arrives: what the others learn, they learn from the node itself.
    follower.faults.lose.store(u64::MAX, std::sync::atomic::Ordering::Release);
    follower.use_key(group, 1, OutcomeClass::RateLimited, Some(Duration::from_secs(600))).await;
    let rests =
        |mate: &super::Mate| matches!(mate.pool(group).checkout(&FIRST, Timestamp::now()), Err(NoKey::AllResting(_)));
    until("it rests on all nodes", async || rests(&leader) && rests(&third)).await;
    let stored = &leader.keys(group).await[0];
    assert_eq!(stored.health.resting_until, None, "the database does not know yet");
    for mate in [third, follower, leader] {
        mate.runtime.kill().await;
    }
}

#[actix_rt::test]
async fn failures_in_a_row_count_over_all_nodes() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    leader.set("blacklist_threshold", "3").await;
    let group = leader.group("default", 2).await;
    until("the follower has the keys", async || follower.has(group, 2)).await;
    let failures =
        |mate: &super::Mate, id| mate.pool(group).key(id, Timestamp::now()).map(|key| key.record.failure_count);
    let id = leader.keys(group).await[0].id;
    for (mate, other, count) in [(&leader, &follower, 1), (&follower, &leader, 2)] {
        mate.use_key(group, 1, OutcomeClass::KeyForbidden, None).await;
        until("the other knows", async || failures(other, id) == Some(count)).await;
        until("this one too", async || failures(mate, id) == Some(count)).await;
    }
    leader.use_key(group, 1, OutcomeClass::KeyForbidden, None).await;
    until("it is out on both", async || {
        leader.pool(group).counts().disabled == 1 && follower.pool(group).counts().disabled == 1
    })
    .await;
    follower.flush().await;
    leader.flush().await;
    let stored = &leader.keys(group).await[0];
    assert_eq!(
        (stored.health.state, stored.health.consecutive_failures, stored.failure_count),
        (KeyState::Disabled, 3, 3)
    );
    leader.runtime.stop().await;
    follower.runtime.stop().await;
}

#[actix_rt::test]
async fn what_a_person_orders_is_not_undone_by_what_another_node_found_before() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let group = leader.group("default", 2).await;
    until("the follower has the keys", async || follower.has(group, 2)).await;
    let lease = follower.lease(group, 1).await;
    let id = lease.id();
    // The follower fails with the key, and neither its word nor its shipment arrives before the order.
    follower.faults.mute.lock().push("keys");
    follower.faults.lose.store(1, std::sync::atomic::Ordering::Release);
    lease.settle(
        verdict(OutcomeClass::KeyForbidden, None),
        Asked { upstream: &"http://up".into(), model: "" },
        Timestamp::now(),
    );
    until("the follower knows", async || follower.pool(group).counts().degraded == 1).await;
    leader.execute(Command::OrderKey(group, id, Order::Disable)).await;
    until("the order is in force", async || follower.pool(group).counts().disabled == 1).await;
    follower.flush().await;
    let stored = leader.store.key(id).await.expect("read").expect("is there");
    assert_eq!((stored.health.state, stored.failure_count), (KeyState::Disabled, 1), "the failure counts all the same");
    assert_eq!(stored.health.disabled_until, None);
    assert_eq!((leader.pool(group).counts().disabled, follower.pool(group).counts().disabled), (1, 1));
    leader.runtime.stop().await;
    follower.runtime.stop().await;
}

#[actix_rt::test]
async fn a_limit_that_is_used_up_on_one_node_is_so_on_all() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let group = leader.group("default", 1).await;
    until("the follower has the key", async || follower.has(group, 1)).await;
    let lease = follower.lease(group, 1).await;
    let remaining = Remaining { left: 0, limit: Some(9), reset_in: Duration::from_secs(600) };
    lease.learn(&Announced { requests: Some(remaining), ..Announced::default() }, "", Timestamp::now());
    drop(lease);
    let rests =
        |mate: &super::Mate| matches!(mate.pool(group).checkout(&FIRST, Timestamp::now()), Err(NoKey::AllResting(_)));
    until("it rests on both", async || rests(&follower) && rests(&leader)).await;
    leader.runtime.stop().await;
    follower.runtime.stop().await;
    assert_eq!(
        team.store.keys_of(group, &leader.pool(group).ids(None)).await.expect("read")[0].health.resting_until,
        None
    );
}

/// Says how long it took with `cargo test -p gpt-load-actors --lib all_nodes_know_of_each_failure -- --nocapture`.
#[actix_rt::test]
async fn all_nodes_know_of_each_failure() {
    const KEYS: usize = 100;
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let group = leader.group("default", KEYS).await;
    let third = team.slave("c").await;
    let count = i64::try_from(KEYS).expect("small");
    until("all have the keys", async || follower.has(group, count) && third.has(group, count)).await;
    let mut times = Vec::new();
    for _ in 0..KEYS {
        let lease = follower.pool(group).checkout(&FIRST, Timestamp::now()).expect("a key is left");
        let (id, failed) = (lease.id(), Instant::now());
        let asked = Asked { upstream: &"http://up".into(), model: "" };
        lease.settle(verdict(OutcomeClass::RateLimited, Some(Duration::from_secs(600))), asked, Timestamp::now());
        let rests = |mate: &super::Mate| {
            let key = mate.pool(group).key(id, Timestamp::now()).expect("it is there");
            key.away_until.is_some()
        };
        until("it rests", async || rests(&leader) && rests(&third)).await;
        times.push(failed.elapsed());
    }
    times.sort_unstable();
    println!("p50 {:?}, p99 {:?}, longest {:?}", times[KEYS / 2], times[KEYS * 99 / 100], times[KEYS - 1]);
    for mate in [third, follower, leader] {
        mate.runtime.stop().await;
    }
}
