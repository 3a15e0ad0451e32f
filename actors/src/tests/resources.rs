//! Resources on their way through a node, and the one key that serves them.

use std::time::Duration;

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::KeyState,
    log::OutcomeClass,
    resource::{Resource, ResourceKind},
    store::KeySelector,
    time::Timestamp,
};

use super::fixture::Node;
use crate::{commands::Command, pool::Withheld, sync::panic::Panic};

fn resource(group: GroupId, key: KeyId, id: &str, lasts: Duration) -> Resource {
    let now = Timestamp::now();
    let kind = ResourceKind::Batch;
    Resource { group_id: group, id: id.into(), key_id: key, kind, created_at: now, expires_at: now + lasts }
}

async fn owner(node: &Node, group: GroupId, id: &str) -> Option<KeyId> {
    let owners = node.runtime.resource_owners(&[group], &[id.into()], Timestamp::now()).await;
    owners.expect("the owners are known").pop().map(|owner| owner.key_id)
}

#[actix_rt::test]
async fn owners_survive_a_panic_and_a_restart() {
    let node = Node::start().await;
    let group = node.group("default", 2).await;
    let key = node.keys(group).await[1].id;
    node.runtime.remember(resource(group, key, "batch_1", Duration::from_secs(60)));
    assert_eq!(owner(&node, group, "batch_1").await, Some(key));
    node.runtime.sync_link().nudge(Panic);
    node.runtime.remember(resource(group, key, "batch_2", Duration::from_secs(60)));
    let node = node.restart().await;
    assert_eq!(owner(&node, group, "batch_1").await, Some(key));
    assert_eq!(owner(&node, group, "batch_2").await, Some(key));
    assert_eq!(owner(&node, group, "batch_3").await, None);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_key_serves_alone_and_says_why_it_cannot() {
    let node = Node::start().await;
    let group = node.group("default", 3).await;
    let (pool, keys) = (node.pool(group), node.keys(group).await);
    let checkout = |number: usize| pool.checkout_key(keys[number].id, "", Timestamp::now());
    for _ in 0..5 {
        assert_eq!(checkout(1).expect("it serves").id(), keys[1].id);
    }
    node.use_key(group, 1, OutcomeClass::KeyForbidden, None).await;
    node.flush().await;
    let both = (checkout(0), checkout(0));
    assert!(both.0.is_ok() && both.1.is_ok(), "a key on probation serves as many as need it");
    node.use_key(group, 2, OutcomeClass::RateLimited, Some(Duration::from_secs(30))).await;
    assert!(matches!(checkout(1), Err(Withheld::Resting(until)) if until > Timestamp::now()));
    node.use_key(group, 3, OutcomeClass::QuotaExhausted, Some(Duration::from_secs(300))).await;
    node.flush().await;
    let withheld = checkout(2).expect_err("it is out");
    assert!(
        matches!(withheld, Withheld::Out { state: KeyState::Disabled, until: Some(until) } if until > Timestamp::now()),
        "{withheld:?}"
    );
    node.execute(Command::DeleteKeys(group, KeySelector::Ids(vec![keys[2].id]))).await;
    assert_eq!(checkout(2).expect_err("it is deleted"), Withheld::Gone);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn what_is_over_leaves_the_database() {
    let node = Node::start().await;
    let group = node.group("default", 1).await;
    let key = node.keys(group).await[0].id;
    node.runtime.remember(resource(group, key, "over", Duration::ZERO));
    node.runtime.remember(resource(group, key, "not-over", Duration::from_secs(60)));
    node.flush().await;
    assert_eq!(owner(&node, group, "over").await, None);
    let ids = [Box::from("over"), Box::from("not-over")];
    let stored = || node.store.resource_owners(std::slice::from_ref(&group), &ids, Timestamp(0));
    assert_eq!(stored().await.expect("read").len(), 2);
    node.runtime.prune();
    let pruned = async {
        while stored().await.expect("read").len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), pruned).await.expect("it is pruned");
    assert_eq!(&*stored().await.expect("read")[0].id, "not-over");
    node.runtime.stop().await;
}
