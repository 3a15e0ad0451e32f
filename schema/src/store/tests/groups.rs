use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::group::{HeaderAction, HeaderRule, SubGroup};

on_every_database! {
    every_field_of_a_group_comes_back,
    a_group_is_replaced_but_keeps_its_type,
    names_are_unique,
    groups_are_listed_by_position_then_newest_first,
    members_follow_their_groups,
    a_group_goes_with_its_keys_and_its_id_never_returns,
    the_last_validation_is_noted,
    settings_are_stored_replaced_and_removed,
}

async fn every_field_of_a_group_comes_back(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let entered = GroupDefinition {
        display_name: "日本".repeat(100),
        param_overrides: json!({"temperature": 0.10, "z": 1, "a": [null]}).as_object().cloned(),
        model_redirect_rules: json!({"b": "c", "a": "d"}).as_object().cloned().expect("an object"),
        model_redirect_strict: true,
        config: json!({"max_retries": 2, "proxy_url": "http://user:hunter2hunter2@proxy:8080"}).as_object().cloned(),
        header_rules: Some(vec![HeaderRule { key: "X-A".into(), value: "b".into(), action: HeaderAction::Set }]),
        sort: -3,
        validation_endpoint: "/v1/models".to_owned(),
        ..definition("full")
    };
    let stored = fixture.writer.insert_group(&entered, NOW).await.expect("added");
    assert_eq!(stored.definition, entered);
    assert_eq!((stored.created_at, stored.updated_at, stored.last_validated_at), (NOW, NOW, None));
    assert_eq!(fixture.store.group(stored.id).await.expect("reads"), Some(stored));
    let raw = fixture.database.everything();
    assert!(raw.contains("/v1/models"), "the file was read");
    assert!(!raw.contains("hunter2") && !raw.contains("pk-one"), "secrets are encrypted at rest");
}

async fn a_group_is_replaced_but_keeps_its_type(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await;
    let changed = GroupDefinition { group_type: GroupType::Aggregate, config: None, ..definition("renamed") };
    let later = Timestamp(NOW.0 + 5);
    let stored = fixture.writer.update_group(group.id, &changed, later).await.expect("updated");
    assert_eq!(stored.definition, definition("renamed"));
    assert_eq!((stored.created_at, stored.updated_at), (NOW, later));
    let missing = fixture.writer.update_group(GroupId(99), &changed, later).await;
    assert!(matches!(missing, Err(StoreError::NotFound("the group"))));
}

async fn names_are_unique(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.group("one").await;
    let two = fixture.group("two").await;
    let again = fixture.writer.insert_group(&definition("one"), NOW).await;
    assert!(matches!(again, Err(StoreError::Duplicate("a group of this name"))));
    let renamed = fixture.writer.update_group(two.id, &definition("one"), NOW).await;
    assert!(matches!(renamed, Err(StoreError::Duplicate("a group of this name"))));
    assert_eq!(fixture.store.groups().await.expect("groups").len(), 2);
}

async fn groups_are_listed_by_position_then_newest_first(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let [a, b, c] = [fixture.group("a").await.id, fixture.group("b").await.id, fixture.group("c").await.id];
    let order = async || -> Vec<GroupId> {
        fixture.store.groups().await.expect("groups").into_iter().map(|group| group.id).collect()
    };
    assert_eq!(order().await, [c, b, a]);
    fixture.writer.reorder_groups(&[(a, 1), (b, 1), (c, 2)], NOW).await.expect("reordered");
    assert_eq!(order().await, [b, a, c]);
    let unknown = fixture.writer.reorder_groups(&[(c, 0), (GroupId(99), 0)], NOW).await;
    assert!(matches!(unknown, Err(StoreError::NotFound("the group"))));
    assert_eq!(order().await, [b, a, c], "all or none");
}

async fn members_follow_their_groups(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let aggregate = fixture
        .writer
        .insert_group(&GroupDefinition { group_type: GroupType::Aggregate, ..definition("all") }, NOW)
        .await;
    let aggregate = aggregate.expect("added").id;
    let [a, b] = [fixture.group("a").await.id, fixture.group("b").await.id];
    let members = [SubGroup { group_id: a, weight: 1 }, SubGroup { group_id: b, weight: 1_000 }];
    fixture.writer.set_sub_groups(aggregate, &members, NOW).await.expect("set");
    let stored = fixture.store.group(aggregate).await.expect("reads").expect("is there");
    assert_eq!((stored.sub_groups.as_slice(), stored.definition.group_type), (&members[..], GroupType::Aggregate));

    let unknown = [SubGroup { group_id: GroupId(99), weight: 1 }];
    let refused = fixture.writer.set_sub_groups(aggregate, &unknown, NOW).await;
    assert!(matches!(refused, Err(StoreError::NotFound("the sub-group"))));

    fixture.writer.delete_group(a).await.expect("a member may go");
    let stored = fixture.store.groups().await.expect("groups");
    let stored = stored.iter().find(|group| group.id == aggregate).expect("is there");
    assert_eq!(stored.sub_groups, members[1..]);
    fixture.writer.delete_group(aggregate).await.expect("an aggregate may go");
}

async fn a_group_goes_with_its_keys_and_its_id_never_returns(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let keys = fixture.keys(group, &["sk-1", "sk-2"]).await;
    fixture.writer.delete_group(group).await.expect("deleted");
    assert!(matches!(fixture.writer.delete_group(group).await, Err(StoreError::NotFound("the group"))));
    assert_eq!(fixture.store.group(group).await.expect("reads"), None);
    assert!(fixture.store.key_counts().await.expect("counts").is_empty());
    let next = fixture.group("two").await.id;
    assert!(next > group);
    assert!(fixture.keys(next, &["sk-1"]).await[0].id > keys[1].id);
}

async fn the_last_validation_is_noted(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    fixture.writer.set_group_validated(group, Timestamp(7)).await.expect("noted");
    let stored = fixture.store.group(group).await.expect("reads").expect("is there");
    assert_eq!(stored.last_validated_at, Some(Timestamp(7)));
}

async fn settings_are_stored_replaced_and_removed(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let put = async |values: &[(&str, Option<&str>)]| {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect();
        fixture.writer.put_settings(&values, NOW).await.expect("stored");
    };
    put(&[("proxy_keys", Some("pk-global")), ("max_retries", Some("5")), ("proxy_url", Some(""))]).await;
    put(&[("max_retries", None), ("proxy_keys", Some("pk-changed")), ("unknown", None)]).await;
    let expected: BTreeMap<String, String> =
        [("proxy_keys", "pk-changed"), ("proxy_url", "")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(fixture.store.settings().await.expect("settings"), expected);
    assert!(!fixture.database.everything().contains("pk-changed"));
}
