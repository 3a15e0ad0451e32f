use serde_json::json;

use super::*;
use crate::{
    ids::PolicyId,
    policy::{GroupPolicy, PolicyDefinition, PolicyLink, PolicyType},
};

on_every_database! {
    policies_come_change_and_go,
    links_follow_their_groups_and_policies,
}

fn limit(name: &str) -> PolicyDefinition {
    PolicyDefinition {
        name: name.to_owned(),
        description: "日本".to_owned(),
        kind: PolicyType::RateLimit,
        config: json!({"scope": "ip", "limit": 3, "interval": "1m"}).as_object().cloned().expect("an object"),
        priority: -2,
        is_active: false,
    }
}

fn link(policy: PolicyId, priority: i64) -> PolicyLink {
    PolicyLink { policy_id: policy, priority, is_active: true }
}

async fn policies_come_change_and_go(kind: Kind) {
    let Fixture { store, writer, database: _database } = Fixture::new(kind).await;
    assert!(store.never_had_policies().await.expect("reads"));
    let stored = writer.insert_policy(&limit("one"), NOW).await.expect("added");
    assert_eq!((&stored.definition, stored.created_at, stored.updated_at), (&limit("one"), NOW, NOW));
    assert_eq!(store.policy(stored.id).await.expect("reads"), Some(stored.clone()));
    let taken = writer.insert_policies(&[limit("two"), limit("one")], NOW).await;
    assert!(matches!(taken, Err(StoreError::Duplicate("a policy of this name"))));
    assert_eq!(store.policies().await.expect("reads").len(), 1, "all or none");

    let two = writer.insert_policy(&PolicyDefinition { priority: -3, ..limit("two") }, NOW).await.expect("added");
    let names = async || -> Vec<String> {
        store.policies().await.expect("reads").into_iter().map(|policy| policy.definition.name).collect()
    };
    assert_eq!(names().await, ["two", "one"]);
    let later = Timestamp(NOW.0 + 1);
    let changed = PolicyDefinition { is_active: true, priority: -9, ..limit("first") };
    let updated = writer.update_policy(stored.id, &changed, later).await.expect("updated");
    assert_eq!((updated.definition, updated.created_at, updated.updated_at), (changed, NOW, later));
    assert_eq!(names().await, ["first", "two"]);
    let renamed = writer.update_policy(two.id, &limit("first"), NOW).await;
    assert!(matches!(renamed, Err(StoreError::Duplicate("a policy of this name"))));
    let missing = writer.update_policy(PolicyId(99), &limit("x"), NOW).await;
    assert!(matches!(missing, Err(StoreError::NotFound("the policy"))));

    writer.delete_policy(stored.id).await.expect("deleted");
    assert!(matches!(writer.delete_policy(stored.id).await, Err(StoreError::NotFound("the policy"))));
    writer.delete_policy(two.id).await.expect("deleted");
    assert_eq!(names().await, [""; 0]);
    assert!(!store.never_had_policies().await.expect("reads"), "deleted ones count");
}

async fn links_follow_their_groups_and_policies(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let Fixture { store, writer, .. } = &fixture;
    let (a, b) = (fixture.group("a").await.id, fixture.group("b").await.id);
    let stored = writer.insert_policies(&[limit("one"), limit("two")], NOW).await.expect("added");
    let (one, two) = (stored[0].id, stored[1].id);
    writer.set_group_policies(a, &[link(one, 5), link(two, 1)], NOW).await.expect("linked");
    writer.set_group_policies(b, &[link(one, 0)], NOW).await.expect("linked");
    let links = async || -> Vec<(GroupId, PolicyId)> {
        let links = store.group_policies().await.expect("reads");
        links.into_iter().map(|GroupPolicy { group_id, link }| (group_id, link.policy_id)).collect()
    };
    assert_eq!(links().await, [(a, two), (a, one), (b, one)]);

    let twice = writer.set_group_policies(a, &[link(one, 0), link(one, 1)], NOW).await;
    assert!(matches!(twice, Err(StoreError::Duplicate("the policy in this group"))));
    let unknown = writer.set_group_policies(a, &[link(PolicyId(99), 0)], NOW).await;
    assert!(matches!(unknown, Err(StoreError::NotFound("the policy"))), "{unknown:?}");
    let nowhere = writer.set_group_policies(GroupId(99), &[], NOW).await;
    assert!(matches!(nowhere, Err(StoreError::NotFound("the group"))));
    assert_eq!(links().await.len(), 3, "what was refused changed nothing");

    writer.delete_policy(two).await.expect("deleted");
    assert_eq!(links().await, [(a, one), (b, one)]);
    writer.delete_group(a).await.expect("deleted");
    assert_eq!(links().await, [(b, one)]);
    writer.set_group_policies(b, &[], NOW).await.expect("replaced");
    assert_eq!(links().await, []);
}
