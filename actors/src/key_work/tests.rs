use std::time::{Duration, Instant};

use gpt_load_schema::{
    group::GroupType,
    ids::GroupId,
    key::{KeySource, KeyState},
    key_text::{KeyList, read},
    store::{KeyCounts, KeyFilter, Store},
    task::{Task, TaskKind},
    time::Timestamp,
};

use super::KeyWorkError;
use crate::{
    commands::{Command, KEY_BATCH, Reply},
    tests::fixture::{FIRST, Node, definition},
};

/// So many keys that a task over them is seen at work.
const MANY: usize = 30 * KEY_BATCH;

fn keys(numbers: impl IntoIterator<Item = usize>) -> KeyList {
    let text: Vec<String> = numbers.into_iter().map(|number| format!("sk-test-{number}")).collect();
    read(&text.join("\n")).expect("keys")
}

fn start_import(node: &Node, group: GroupId, keys: KeyList) -> Task {
    let state = Some(KeyState::Active);
    node.runtime.key_work().import(group, keys, state, KeySource::Manual).expect("it starts")
}

/// Asks until `holds` of the task.
async fn task_until(node: &Node, holds: impl Fn(&Task) -> bool) -> Task {
    let begun = Instant::now();
    loop {
        let task = node.runtime.tasks().current(Timestamp::now()).expect("there is a task");
        if holds(&task) {
            return task;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come to pass: {task:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn ended(node: &Node) -> Task {
    task_until(node, |task| !task.is_running()).await
}

async fn counts(node: &Node, group: GroupId) -> KeyCounts {
    node.store.group_key_counts(group).await.expect("counts")
}

#[actix_rt::test]
async fn an_import_counts_every_key_and_all_serve_at_its_end() {
    let node = Node::start().await;
    node.runtime.tasks().owned_by("node-1");
    let group = node.group("default", 3).await;
    let numbers = (1..=2_500).chain(2_401..=2_600).chain([7]);
    let task = start_import(&node, group, keys(numbers));
    assert_eq!((task.kind, task.total, task.group.as_str()), (TaskKind::KeyImport, 2_701, "default"));
    assert_eq!(task.owner, "node-1");
    let task = ended(&node).await;
    assert_eq!((task.processed, task.error), (2_701, None));
    assert_eq!(task.result, Some(vec![("added_count", 2_597), ("ignored_count", 104)]));
    assert_eq!(node.pool(group).counts().active, 2_600);
    let served: std::collections::HashSet<_> =
        (0..2_600).map(|_| node.pool(group).checkout(&FIRST, Timestamp::now()).expect("a key").id()).collect();
    assert_eq!(served.len(), 2_600, "all of them rotate");

    let task = node.runtime.key_work().delete(group, keys((2_000..3_500).chain([1, 1]))).expect("it starts");
    assert_eq!((task.kind, task.total), (TaskKind::KeyDelete, 1_502));
    let task = ended(&node).await;
    assert_eq!(task.result, Some(vec![("deleted_count", 602), ("ignored_count", 900)]));
    assert_eq!((task.processed, node.pool(group).counts().total()), (1_502, 1_998));
    assert_eq!(node.pool(group).ids(None).len(), 1_998);
    node.runtime.stop().await;
    let (kept, _) = node.store.task().await.expect("reads").expect("it is kept");
    assert_eq!(kept, task);
}

#[actix_rt::test]
async fn nothing_begins_without_keys_without_a_group_or_beside_another_task() {
    let node = Node::start().await;
    let group = node.group("default", 1).await;
    let work = node.runtime.key_work();
    let state = Some(KeyState::Active);
    let import = |group, keys| work.import(group, keys, state, KeySource::Manual);
    assert!(matches!(import(group, KeyList::default()), Err(KeyWorkError::Nothing)));
    assert!(matches!(import(GroupId(99), keys([1])), Err(KeyWorkError::NoSuchGroup)));
    let mut aggregate = definition("all");
    aggregate.group_type = GroupType::Aggregate;
    let Reply::Group(all) = node.execute(Command::CreateGroup(Box::new(aggregate))).await else { panic!("no group") };
    assert!(matches!(work.delete(all.id, keys([1])), Err(KeyWorkError::NoSuchGroup)));
    let other = node.group("other", 0).await;
    assert!(matches!(work.copy(other, group, None).await, Err(KeyWorkError::Nothing)));
    assert_eq!(node.runtime.tasks().current(Timestamp::now()), None);

    start_import(&node, group, keys(1..=MANY));
    assert!(matches!(work.delete(group, keys([1])), Err(KeyWorkError::TaskRunning(_))));
    assert!(matches!(work.copy(group, other, None).await, Err(KeyWorkError::TaskRunning(_))));
    node.runtime.stop().await;
    assert!(matches!(work.delete(group, keys([1])), Err(KeyWorkError::NotReady)));
}

#[actix_rt::test]
async fn a_cancelled_import_keeps_what_it_did_and_tells_it() {
    let node = Node::start().await;
    let group = node.group("default", 0).await;
    start_import(&node, group, keys(1..=MANY));
    task_until(&node, |task| task.processed > 0).await;
    node.runtime.tasks().cancel(Timestamp::now()).expect("it runs");
    let task = ended(&node).await;
    assert_eq!((task.error.as_deref(), task.is_cancelled), (Some("cancelled"), true));
    assert!(task.processed > 0 && task.processed < task.total, "{task:?}");
    assert_eq!(task.processed % KEY_BATCH as u64, 0);
    assert_eq!(task.result, Some(vec![("added_count", task.processed), ("ignored_count", 0)]));
    assert_eq!(counts(&node, group).await.total().unsigned_abs(), task.processed, "exactly what is told");
    assert_eq!(node.pool(group).counts().total().unsigned_abs(), task.processed);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_stopped_node_ends_its_task_and_the_next_start_shows_it() {
    let node = Node::start().await;
    let group = node.group("default", 0).await;
    start_import(&node, group, keys(1..=MANY));
    task_until(&node, |task| task.processed > 0).await;
    let node = node.restart().await;
    let task = ended(&node).await;
    assert_eq!(task.error.as_deref(), Some("the node was stopped"));
    assert_eq!(task.result, Some(vec![("added_count", task.processed), ("ignored_count", 0)]));
    assert_eq!(counts(&node, group).await.total().unsigned_abs(), task.processed);
    start_import(&node, group, keys(1..=10));
    assert_eq!(ended(&node).await.error, None, "nothing blocks");
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_group_that_goes_ends_its_import() {
    let node = Node::start().await;
    let group = node.group("default", 0).await;
    start_import(&node, group, keys(1..=MANY));
    task_until(&node, |task| task.processed > 0).await;
    node.execute(Command::DeleteGroup(group)).await;
    assert_eq!(ended(&node).await.error.as_deref(), Some("the group was deleted"));
    assert_eq!(counts(&node, group).await.total(), 0);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_copy_goes_over_all_keys_and_skips_what_nobody_can_read() {
    let node = Node::start().await;
    let (from, to) = (node.group("from", 1_500).await, node.group("to", 3).await);
    node.execute(Command::OrderKey(from, node.keys(from).await[4].id, crate::commands::Order::Invalidate)).await;
    let task = node.runtime.key_work().copy(from, to, Some(KeyState::Active)).await.expect("it starts");
    assert_eq!((task.total, task.group.as_str()), (1_499, "to"));
    let task = ended(&node).await;
    assert_eq!((task.processed, task.total), (1_499, 1_499));
    assert_eq!(task.result, Some(vec![("added_count", 1_496), ("ignored_count", 3)]));
    assert_eq!(node.pool(to).counts().total(), 1_499);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn whole_groups_are_restored_and_cleared_in_batches() {
    let node = Node::start().await;
    let (group, other) = (node.group("default", 2_500).await, node.group("other", 1).await);
    let invalid = |node: &Node| {
        let store: Store = node.store.clone();
        async move {
            let filter = KeyFilter { state: Some(KeyState::Invalid), ..KeyFilter::default() };
            store.keys_after(group, &filter, None, 10_000).await.expect("keys").len()
        }
    };
    for key in node.keys(group).await.iter().take(3) {
        node.execute(Command::OrderKey(group, key.id, crate::commands::Order::Invalidate)).await;
    }
    assert_eq!(invalid(&node).await, 3);
    let work = node.runtime.key_work();
    assert_eq!(work.restore_all(group, KeyState::Invalid).await.expect("restored"), (3, 2_500));
    assert_eq!((invalid(&node).await, node.pool(group).counts().active), (0, 2_500));
    assert_eq!(work.delete_all(group, Some(KeyState::Invalid)).await.expect("deleted"), (0, 2_500));
    assert_eq!(work.delete_all(group, None).await.expect("deleted"), (2_500, 0));
    assert_eq!((counts(&node, group).await.total(), node.pool(group).counts().total()), (0, 0));
    assert!(!node.pool(group).is_usable(Timestamp::now()));
    assert_eq!(counts(&node, other).await.total(), 1);
    assert!(work.delete_all(GroupId(99), None).await.is_err());
    node.runtime.stop().await;
}
