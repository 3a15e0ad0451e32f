use gpt_load_schema::{
    ids::PolicyId,
    policy::{PolicyDefinition, PolicyLink, PolicyType, defaults},
};
use serde_json::json;

use super::fixture::Node;
use crate::commands::{Command, Reply};

fn limit(name: &str) -> PolicyDefinition {
    PolicyDefinition {
        name: name.to_owned(),
        description: String::new(),
        kind: PolicyType::RateLimit,
        config: json!({"limit": 1, "interval": "1m"}).as_object().cloned().expect("an object"),
        priority: 0,
        is_active: true,
    }
}

async fn create(node: &Node, definition: PolicyDefinition) -> PolicyId {
    match node.execute(Command::CreatePolicy(Box::new(definition))).await {
        Reply::Policy(policy) => policy.id,
        other => panic!("not a policy: {other:?}"),
    }
}

async fn names(node: &Node) -> Vec<String> {
    let policies = node.store.policies().await.expect("the policies are read");
    policies.into_iter().map(|policy| policy.definition.name).collect()
}

#[actix_rt::test]
async fn a_deleted_default_does_not_come_back() {
    let node = Node::start().await;
    let all: Vec<String> = defaults().into_iter().map(|policy| policy.name).collect();
    assert_eq!(names(&node).await, all);
    assert!(node.store.group_policies().await.expect("the links are read").is_empty());
    let first = node.store.policies().await.expect("the policies are read")[0].id;
    node.execute(Command::DeletePolicy(first)).await;
    let node = node.restart().await;
    assert_eq!(names(&node).await, all[1..]);
    for policy in node.store.policies().await.expect("the policies are read") {
        node.execute(Command::DeletePolicy(policy.id)).await;
    }
    let node = node.restart().await;
    assert_eq!(names(&node).await, [""; 0]);
}

#[actix_rt::test]
async fn groups_are_published_with_what_is_active_in_them() {
    let node = Node::start().await;
    let group = node.group("first", 0).await;
    let shown = || -> Vec<String> {
        let table = node.sink.0.load_full().expect("a table was published");
        table.groups[0].policies.iter().map(|policy| policy.definition.name.clone()).collect()
    };
    let (a, b, c) = (create(&node, limit("a")).await, create(&node, limit("b")).await, create(&node, limit("c")).await);
    assert_eq!(shown(), [""; 0]);
    let link = |policy_id, priority, is_active| PolicyLink { policy_id, priority, is_active };
    let links = vec![link(a, 2, true), link(b, 1, true), link(c, 0, false)];
    node.execute(Command::SetGroupPolicies(group, links)).await;
    assert_eq!(shown(), ["b", "a"]);

    node.execute(Command::UpdatePolicy(b, Box::new(PolicyDefinition { is_active: false, ..limit("b") }))).await;
    assert_eq!(shown(), ["a"]);
    node.execute(Command::UpdatePolicy(b, Box::new(limit("renamed")))).await;
    assert_eq!(shown(), ["renamed", "a"]);
    node.execute(Command::DeletePolicy(a)).await;
    assert_eq!(shown(), ["renamed"]);
}
