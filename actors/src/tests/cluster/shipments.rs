use std::sync::atomic::Ordering;

use gpt_load_schema::{key::KeyState, log::OutcomeClass};

use super::{Mate, Team, until};

/// State, failures and requests of each key of the group of that name.
async fn keys(mate: &Mate, group: gpt_load_schema::ids::GroupId) -> Vec<(KeyState, i64)> {
    mate.keys(group).await.iter().map(|key| (key.health.state, key.failure_count)).collect()
}

#[actix_rt::test]
async fn what_a_follower_leaves_behind_is_stored_by_the_leader_once() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let group = leader.group("default", 3).await;
    until("the follower has the keys", async || follower.has(group, 3)).await;
    follower.use_key(group, 1, OutcomeClass::KeyInvalid, None).await;
    follower.use_key(group, 2, OutcomeClass::KeyForbidden, None).await;
    follower.record(500);
    leader.record(70);
    follower.flush().await;
    leader.flush().await;
    assert_eq!(team.rows().await, 570);
    let expected = [(KeyState::Invalid, 1), (KeyState::Degraded, 1), (KeyState::Active, 0)];
    assert_eq!(keys(&leader, group).await, expected);
    let stats = follower.runtime.stats();
    assert_eq!((stats.logs_waiting, stats.logs_written, stats.logs_dropped), (0, 500, 0));
    follower.runtime.stop().await;
    assert_eq!(follower.runtime.journal().bytes, 0, "nothing is owed after a clean stop");
    leader.runtime.stop().await;
}

#[actix_rt::test]
async fn a_confirmation_that_is_lost_is_found_in_the_database() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    leader.faults.mute.lock().push("reply");
    follower.record(10);
    follower.flush().await;
    assert_eq!(team.rows().await, 10);
    assert!(leader.faults.said("reply") >= 1);
    leader.runtime.stop().await;
    follower.runtime.stop().await;
}

#[actix_rt::test]
async fn a_shipment_that_is_lost_is_sent_again_and_one_that_comes_twice_counts_once() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let group = leader.group("default", 1).await;
    until("the follower has the key", async || follower.has(group, 1)).await;
    follower.flush().await;
    let before = follower.faults.sent();
    follower.faults.lose.store(1, Ordering::Release);
    follower.faults.doubles.store(true, Ordering::Release);
    follower.use_key(group, 1, OutcomeClass::KeyForbidden, None).await;
    follower.record(10);
    follower.flush().await;
    assert!(follower.faults.sent() >= before + 2, "the first was lost");
    follower.record(5);
    follower.flush().await;
    // All of it once more.
    let sent = follower.faults.sent.lock().clone();
    for payload in sent {
        follower.cluster.uplink.send(payload).await.expect("sent");
    }
    until("all has arrived", async || leader.cluster.uplink.backlog().await == Ok(0)).await;
    assert_eq!(team.rows().await, 15);
    assert_eq!(keys(&leader, group).await, [(KeyState::Degraded, 1)]);
    leader.runtime.stop().await;
    follower.runtime.stop().await;
}

#[actix_rt::test]
async fn a_change_of_leaders_in_the_middle_loses_and_doubles_nothing() {
    let team = Team::new().await;
    let first = team.mate("a").await;
    first.leads().await;
    let second = team.mate("b").await;
    second.follows("a").await;
    let third = team.slave("c").await;
    third.follows("a").await;
    for round in 0..3 {
        for mate in [&first, &second, &third] {
            mate.record(200);
        }
        if round == 0 {
            first.cluster.lease.release().await;
        }
        if round == 1 {
            second.leads().await;
            second.cluster.lease.release().await;
        }
    }
    team.rows_are(1_800).await;
    for mate in [&third, &second, &first] {
        until("nothing waits", async || mate.runtime.cluster_view().waiting == 0).await;
        assert_eq!(mate.runtime.stats().logs_written, 600);
    }
    for mate in [third, second, first] {
        mate.runtime.stop().await;
    }
    assert_eq!(team.rows().await, 1_800);
}

#[actix_rt::test]
async fn what_a_killed_follower_owed_is_stored_once() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let group = leader.group("default", 3).await;
    until("the follower has the keys", async || follower.has(group, 3)).await;
    // Stored and confirmed; stored and not confirmed; not even sent.
    follower.use_key(group, 1, OutcomeClass::KeyForbidden, None).await;
    follower.record(10);
    follower.flush().await;
    leader.faults.mute.lock().push("reply");
    follower.use_key(group, 2, OutcomeClass::KeyForbidden, None).await;
    follower.record(20);
    team.rows_are(30).await;
    follower.faults.lose.store(u64::MAX, Ordering::Release);
    follower.use_key(group, 3, OutcomeClass::KeyForbidden, None).await;
    follower.record(40);
    let dir = follower.kill().await;
    leader.faults.mute.lock().clear();
    assert_eq!(team.rows().await, 30);

    let follower = team.mate_in("c", true, dir).await;
    team.rows_are(70).await;
    follower.flush().await;
    assert_eq!(keys(&leader, group).await, [(KeyState::Degraded, 1); 3]);
    follower.record(3);
    follower.runtime.stop().await;
    assert_eq!((team.rows().await, follower.runtime.journal().bytes), (73, 0));
    leader.runtime.stop().await;
}

#[actix_rt::test]
async fn while_the_cluster_is_away_everything_waits_and_then_arrives() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    leader.line.cut();
    follower.line.cut();
    until("nobody leads", async || leader.cluster.lease.current().is_none()).await;
    leader.record(5);
    follower.record(7);
    assert!(leader.runtime.flush().await.is_err(), "nobody writes");
    assert_eq!((team.rows().await, leader.runtime.stats().logs_waiting), (0, 5));
    leader.line.mend();
    follower.line.mend();
    team.rows_are(12).await;
    leader.runtime.stop().await;
    follower.runtime.stop().await;
    assert_eq!(team.rows().await, 12);
}
