use std::{collections::BTreeMap, time::Duration};

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::{KeySource, KeyState},
    log::OutcomeClass,
    secret::Secret,
    store::{KeySelector, StoreError},
    time::Timestamp,
};

use super::fixture::{Node, add, definition};
use crate::{
    commands::{Command, CommandError, KeyTraits, Reply},
    pool::{Overview, Part},
};

fn changed(reply: &Reply) -> (i64, i64) {
    match reply {
        Reply::Changed { count, total } => (*count, *total),
        other => panic!("not a change: {other:?}"),
    }
}

#[actix_rt::test]
async fn groups_come_change_and_go() {
    let node = Node::start().await;
    let version = || node.sink.0.load_full().map(|table| (table.version, table.groups.len()));
    assert_eq!(version(), Some((1, 0)));
    let group = node.group("first", 2).await;
    assert_eq!(version(), Some((2, 1)));

    let renamed = node.execute(Command::UpdateGroup(group, Box::new(definition("renamed")))).await;
    assert!(matches!(renamed, Reply::Group(group) if group.definition.name == "renamed"));
    let table = node.sink.0.load_full().expect("a table was published");
    assert_eq!(table.groups[0].group.definition.name, "renamed");
    assert_eq!(node.pool(group).counts().active, 2, "the pool stays");

    let taken = node.runtime.execute(Command::CreateGroup(Box::new(definition("renamed")))).await;
    assert!(matches!(taken, Err(CommandError::Store(StoreError::Duplicate(_)))));
    node.execute(Command::DeleteGroup(group)).await;
    assert_eq!(version().map(|(_, groups)| groups), Some(0));
    let missing = node.runtime.execute(add(group, 1..=1)).await;
    assert!(matches!(missing, Err(CommandError::Store(StoreError::NotFound(_)))));
    assert_eq!(node.runtime.stats().respawns, 0, "a group that is stopped on purpose does not come back");
    node.runtime.stop().await;
    assert!(matches!(node.runtime.execute(Command::DeleteGroup(group)).await, Err(CommandError::NoLeader)));
}

#[actix_rt::test]
async fn keys_are_added_to_the_pool_with_the_groups_first_state() {
    let node = Node::start().await;
    let group = node.group("default", 3).await;
    let values = ["sk-test-2", "sk-new-1", "sk-new-1", "sk-new-2"].map(Secret::from).to_vec();
    let reply = node.execute(Command::AddKeys { group, values, state: None, source: KeySource::File }).await;
    assert!(matches!(reply, Reply::Added { added: 2, ignored: 2, total: 5 }), "{reply:?}");
    let counts = node.pool(group).counts();
    assert_eq!((counts.active, counts.pending), (3, 2));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn restored_keys_serve_again_and_deleted_ones_never() {
    let node = Node::start().await;
    let group = node.group("default", 4).await;
    node.use_key(group, 1, OutcomeClass::KeyInvalid, None).await;
    let late = node.lease(group, 2).await;
    node.use_key(group, 2, OutcomeClass::KeyInvalid, None).await;
    let restored = node.execute(Command::RestoreKeys(group, KeySelector::State(KeyState::Invalid))).await;
    assert_eq!(changed(&restored), (2, 4), "states that were not in the database yet are restored as well");
    assert_eq!(node.pool(group).counts().active, 4);
    late.settle(
        super::fixture::verdict(OutcomeClass::KeyInvalid, None),
        crate::pool::Asked { upstream: &"http://up".into(), model: "" },
        Timestamp::now(),
    );
    node.flush().await;
    let keys = node.keys(group).await;
    assert!(keys.iter().all(|key| key.health.state == KeyState::Active), "what was in flight counts for nothing");
    assert_eq!(
        keys.iter().map(|key| (key.health.generation, key.failure_count)).collect::<Vec<_>>(),
        [(1, 0), (1, 0), (0, 0), (0, 0)]
    );

    let deleted = node.execute(Command::DeleteKeys(group, KeySelector::Ids(vec![keys[0].id, keys[3].id]))).await;
    assert_eq!(changed(&deleted), (2, 2));
    assert_eq!(node.pool(group).counts().total(), 2);
    let rest = node.execute(Command::DeleteKeys(group, KeySelector::All)).await;
    assert_eq!(changed(&rest), (2, 0));
    assert!(!node.pool(group).is_usable(Timestamp::now()));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn settings_rule_the_states_as_soon_as_they_are_stored() {
    let node = Node::start().await;
    let group = node.group("default", 1).await;
    let values = BTreeMap::from([("blacklist_threshold".to_owned(), Some("1".to_owned()))]);
    node.execute(Command::PutSettings(values)).await;
    node.use_key(group, 1, OutcomeClass::KeyForbidden, None).await;
    node.flush().await;
    assert_eq!(node.keys(group).await[0].health.state, KeyState::Disabled);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn what_a_person_decides_about_a_key_is_in_the_pool_and_survives_a_restart() {
    let node = Node::start().await;
    let group = node.group("default", 2).await;
    let lease = node.lease(group, 1).await;
    let id = lease.id();
    let traits = KeyTraits { weight: Some(9), priority: Some(-2), upstream: Some(Some("http://up".to_owned())) };
    let reply = node.execute(Command::UpdateKey(group, id, traits)).await;
    assert_eq!(changed(&reply), (1, 2));
    let seen = |node: &Node| {
        let key = node.pool(group).key(id, Timestamp::now()).expect("the key is in the pool");
        (key.record.weight, key.record.priority, key.record.upstream, key.in_flight)
    };
    assert_eq!(seen(&node), (9, -2, Some("http://up".to_owned()), 1), "requests in flight still count");
    assert_eq!(lease.bound_to(), None, "a request goes on as it began");
    drop(lease);
    let missing = node.runtime.execute(Command::UpdateKey(group, KeyId(99), KeyTraits::default())).await;
    assert!(matches!(missing, Err(CommandError::Store(StoreError::NotFound("the key")))));
    let node = node.restart().await;
    assert_eq!(seen(&node), (9, -2, Some("http://up".to_owned()), 0));
    let unbind = KeyTraits { upstream: Some(None), ..KeyTraits::default() };
    node.execute(Command::UpdateKey(group, id, unbind)).await;
    assert_eq!(seen(&node), (9, -2, None, 0));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn an_overview_counts_all_keys_and_shows_a_part() {
    let node = Node::start().await;
    let group = node.group("default", 5).await;
    node.use_key(group, 1, OutcomeClass::KeyInvalid, None).await;
    node.use_key(group, 2, OutcomeClass::RateLimited, Some(Duration::from_secs(60))).await;
    node.use_key(group, 3, OutcomeClass::QuotaExhausted, Some(Duration::from_secs(600))).await;
    node.flush().await;
    let (lease, now) = (node.lease(group, 4).await, Timestamp::now());
    let look = |state, skip, take| node.pool(group).overview(Part { state, skip, take }, now);
    let all = look(None, 1, 2);
    assert_eq!((all.counts.active, all.counts.disabled, all.counts.invalid), (3, 1, 1));
    assert_eq!((all.resting, all.in_flight, all.matching), (1, 1, 5));
    let rest = node.keys(group).await[1].health.resting_until;
    assert_eq!(all.next_return, rest, "the nearest return");
    let ids = |overview: &Overview| overview.keys.iter().map(|key| key.record.id.0).collect::<Vec<_>>();
    assert_eq!(ids(&all), [2, 3]);
    assert_eq!(all.keys[0].next_return(now), rest);
    let active = look(Some(KeyState::Active), 1, 9);
    assert_eq!((ids(&active), active.matching), (vec![4, 5], 3));
    assert_eq!(active.keys[0].in_flight, 1);
    assert_eq!(ids(&look(None, 99, 9)), Vec::<i64>::new());
    drop(lease);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_hot_reload_shows_what_others_wrote() {
    let node = Node::start().await;
    let now = Timestamp::now();
    let writer = node.store.writer(node.store.epoch().await.expect("the epoch is read"));
    let group = writer.insert_group(&definition("elsewhere"), now).await.expect("the group is stored").id;
    let values = ["sk-a", "sk-b"].map(Secret::from);
    writer.insert_keys(group, &values, KeyState::Active, KeySource::Manual, now).await.expect("the keys are stored");
    node.runtime.reload().await.expect("the node reads again");
    assert_eq!(node.pool(group).counts().active, 2);
    assert_eq!(node.pool(GroupId(group.0)).group_id(), group);
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn positions_are_set_all_or_none_and_published_once() {
    let node = Node::start().await;
    let (first, second) = (node.group("first", 0).await, node.group("second", 0).await);
    let version = || node.sink.0.load_full().map(|table| table.version);
    let before = version().expect("a table was published");
    node.execute(Command::ReorderGroups(vec![(first, 20), (second, 10)])).await;
    assert_eq!(version(), Some(before + 1));
    let sorts = async || {
        let groups = node.store.groups().await.expect("the groups are read");
        groups.iter().map(|group| (group.id, group.definition.sort)).collect::<Vec<_>>()
    };
    assert_eq!(sorts().await, [(second, 10), (first, 20)]);
    let unknown = node.runtime.execute(Command::ReorderGroups(vec![(second, 30), (GroupId(99), 1)])).await;
    assert!(matches!(unknown, Err(CommandError::Store(StoreError::NotFound(_)))));
    assert_eq!(sorts().await, [(second, 10), (first, 20)]);
    node.runtime.stop().await;
}
