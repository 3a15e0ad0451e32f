use std::{collections::BTreeSet, time::Duration};

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::{KeyHealth, KeyState},
    log::OutcomeClass,
    time::Timestamp,
};

use super::{
    fixture::{FIRST, Node, verdict},
    panics::respawned,
};
use crate::{
    commands::{Command, Reply},
    group,
    pool::{Asked, KeyLease},
};

fn end(lease: KeyLease, class: OutcomeClass) {
    lease.settle(verdict(class, None), Asked { upstream: &"http://up".into(), model: "" }, Timestamp::now());
}

/// 64 clients that send `each` requests one after the other. Answers the keys that were used.
async fn serve(node: &Node, group: GroupId, each: usize, answer: impl Fn(KeyId) -> OutcomeClass + Copy) -> Vec<KeyId> {
    let pool = node.pool(group);
    let mut used = Vec::new();
    for _ in 0..each {
        let lease = || pool.checkout(&FIRST, Timestamp::now()).expect("the pool never looks empty");
        let leases: Vec<KeyLease> = (0..64).map(|_| lease()).collect();
        // What a provider takes for its answer.
        tokio::time::sleep(Duration::from_millis(1)).await;
        for lease in leases {
            used.push(lease.id());
            let class = answer(lease.id());
            end(lease, class);
        }
    }
    used
}

async fn stored(node: &Node, group: GroupId) -> Vec<(KeyHealth, i64)> {
    node.keys(group).await.into_iter().map(|key| (key.health, key.failure_count)).collect()
}

#[actix_rt::test]
async fn an_egress_block_changes_nothing_three_times_over() {
    let node = Node::start().await;
    let group = node.group("default", 100).await;
    let before = stored(&node, group).await;
    for class in [OutcomeClass::KeyForbidden, OutcomeClass::KeyInvalid, OutcomeClass::KeyForbidden] {
        serve(&node, group, 40, |_| class).await;
        node.flush().await;
        let counts = node.pool(group).counts();
        assert_eq!((counts.active + counts.degraded, counts.total()), (100, 100));
        assert!(node.keys(group).await.iter().all(|key| key.health.state.is_selectable() && key.failure_count == 0));
        let [tripped] = &node.pool(group).guard()[..] else { panic!("the guard has tripped") };
        assert_eq!((tripped.class, tripped.failed, &*tripped.message), (class, 100, "said no"));

        serve(&node, group, 5, |_| OutcomeClass::Success).await;
        node.flush().await;
        assert!(node.pool(group).guard().is_empty());
        assert_eq!(node.pool(group).counts().active, 100);
        assert_eq!(stored(&node, group).await, before);
    }
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn exactly_the_revoked_keys_become_invalid() {
    let node = Node::start().await;
    let group = node.group("default", 100).await;
    let revoked: BTreeSet<KeyId> = node.keys(group).await.iter().step_by(10).map(|key| key.id).collect();
    serve(&node, group, 5, |_| OutcomeClass::Success).await;
    let answer = |key| if revoked.contains(&key) { OutcomeClass::KeyInvalid } else { OutcomeClass::Success };
    serve(&node, group, 10, answer).await;
    node.flush().await;
    let invalid = node.keys(group).await.into_iter().filter(|key| key.health.state == KeyState::Invalid);
    assert_eq!(invalid.map(|key| key.id).collect::<BTreeSet<_>>(), revoked);
    assert_eq!(node.pool(group).counts().active, 90);
    let used = serve(&node, group, 10, answer).await;
    assert!(used.iter().all(|key| !revoked.contains(key)));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn one_broken_key_is_found_and_a_broken_provider_is_not_blamed_on_keys() {
    let node = Node::start().await;
    let group = node.group("default", 10).await;
    let broken = node.keys(group).await[4].id;
    serve(&node, group, 20, |key| if key == broken { OutcomeClass::UpstreamFault } else { OutcomeClass::Success })
        .await;
    node.flush().await;
    let out = node.keys(group).await.into_iter().filter(|key| key.health.state != KeyState::Active);
    assert_eq!(out.map(|key| (key.id, key.health.state)).collect::<Vec<_>>(), [(broken, KeyState::Disabled)]);

    let other = node.group("other", 10).await;
    let before = stored(&node, other).await;
    serve(&node, other, 5, |_| OutcomeClass::Success).await;
    serve(&node, other, 40, |_| OutcomeClass::UpstreamFault).await;
    serve(&node, other, 5, |_| OutcomeClass::Success).await;
    node.flush().await;
    assert_eq!(stored(&node, other).await, before);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_person_lets_the_held_failures_take_effect() {
    let node = Node::start().await;
    let group = node.group("default", 10).await;
    serve(&node, group, 10, |_| OutcomeClass::KeyInvalid).await;
    let reply = node.execute(Command::AcceptHeld(group)).await;
    assert!(matches!(reply, Reply::Changed { count: 10, total: 10 }), "{reply:?}");
    assert!(node.keys(group).await.iter().all(|key| key.health.state == KeyState::Invalid && key.failure_count == 1));
    assert!(node.pool(group).guard().is_empty());
    let again = node.execute(Command::AcceptHeld(group)).await;
    assert!(matches!(again, Reply::Changed { count: 0, total: 10 }), "{again:?}");
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_restart_in_the_middle_of_a_block_leaves_all_keys_serving() {
    let node = Node::start().await;
    let group = node.group("default", 50).await;
    serve(&node, group, 10, |_| OutcomeClass::KeyInvalid).await;
    let node = node.restart().await;
    assert!(node.pool(group).guard().is_empty());
    assert_eq!((node.pool(group).counts().degraded, node.pool(group).counts().total()), (50, 50));
    assert!(stored(&node, group).await.iter().all(|(_, failures)| *failures == 0));
    serve(&node, group, 10, |_| OutcomeClass::Success).await;
    node.flush().await;
    assert_eq!(node.pool(group).counts().active, 50);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn the_actors_panic_in_the_middle_of_a_block_costs_no_key() {
    let node = Node::start().await;
    let group = node.group("default", 50).await;
    let member = node.runtime.directory().member(group).expect("the group runs");
    serve(&node, group, 10, |_| OutcomeClass::KeyForbidden).await;
    member.link.nudge(group::panic::Panic);
    respawned(&node, 1).await;
    serve(&node, group, 10, |_| OutcomeClass::KeyForbidden).await;
    node.flush().await;
    assert_eq!(node.pool(group).guard().len(), 1, "the successor sees the block as well");
    serve(&node, group, 10, |_| OutcomeClass::Success).await;
    node.flush().await;
    assert_eq!(node.pool(group).counts().active, 50);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_guard_that_is_switched_off_lets_go_at_once() {
    let node = Node::start().await;
    let group = node.group("default", 10).await;
    serve(&node, group, 10, |_| OutcomeClass::KeyInvalid).await;
    node.flush().await;
    assert_eq!(node.pool(group).guard().len(), 1);
    node.set("pool_guard", "false").await;
    while !node.pool(group).guard().is_empty() {
        tokio::task::yield_now().await;
    }
    node.flush().await;
    assert_eq!(node.pool(group).counts().active, 10);
    node.runtime.stop().await;
}
