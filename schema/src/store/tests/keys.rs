use super::*;
use crate::key::{KeyTraits, ModelHealth};

on_every_database! {
    a_key_is_added_once_per_group,
    large_imports_and_deletions_go_in_batches,
    a_batch_is_the_first_keys_alone,
    another_groups_keys_are_out_of_reach,
    keys_are_read_by_id_within_their_group,
    keys_are_read_in_id_order_and_by_filter,
    pages_show_the_last_used_first_and_the_never_used_last,
    health_survives_and_an_older_generation_does_not,
    only_keys_that_are_out_are_restored,
    notes_are_cut_to_their_column,
    what_a_person_decides_about_a_key_is_stored_and_the_rest_kept,
    the_last_rows_of_a_key_come_newest_first_and_are_only_its_own,
}

fn values(count: usize) -> Vec<Secret> {
    (0..count).map(|index| Secret::from(format!("sk-{index:08}"))).collect()
}

fn delta(key: &KeyRecord, health: KeyHealth) -> KeyDelta {
    KeyDelta { id: key.id, health, failures: 0, reset_failures: false }
}

async fn put_into(fixture: &Fixture, key: &KeyRecord, state: KeyState) {
    let delta = KeyDelta { failures: 4, ..delta(key, KeyHealth { consecutive_failures: 4, ..KeyHealth::new(state) }) };
    fixture.writer.commit(&[delta], &[], NOW).await.expect("committed");
}

async fn keys_are_read_by_id_within_their_group(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (one, two) = (fixture.group("one").await.id, fixture.group("two").await.id);
    let [first, second] = &fixture.keys(one, &["sk-1", "sk-2"]).await[..] else { panic!("two keys") };
    let other = fixture.keys(two, &["sk-3"]).await.remove(0);
    let wanted = [second.id, other.id, KeyId(i64::MAX), first.id];
    let read: Vec<_> = fixture.store.keys_of(one, &wanted).await.expect("read").iter().map(|key| key.id).collect();
    assert_eq!(read, [first.id, second.id]);
    assert!(fixture.store.keys_of(one, &[]).await.expect("read").is_empty());
}

async fn a_key_is_added_once_per_group(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (one, two) = (fixture.group("one").await.id, fixture.group("two").await.id);
    let add = async |group, list: &[&str]| {
        let values: Vec<Secret> = list.iter().copied().map(Secret::from).collect();
        fixture.writer.insert_keys(group, &values, KeyState::Pending, KeySource::File, NOW).await
    };
    let first = add(one, &["sk-1", "sk-2", "sk-1"]).await.expect("added");
    assert_eq!((first.keys.len(), first.ignored), (2, 1));
    let second = add(one, &["sk-2", "sk-3"]).await.expect("added");
    assert_eq!((second.keys.len(), second.ignored), (1, 1));
    assert_eq!(add(two, &["sk-1"]).await.expect("added").keys.len(), 1);
    assert_eq!(add(two, &[]).await.expect("nothing").keys.len(), 0);
    assert!(matches!(add(GroupId(99), &["sk-1"]).await, Err(StoreError::NotFound("the group"))));

    let stored = fixture.store.keys_after(one, &KeyFilter::default(), None, 10).await.expect("keys");
    let returned: Vec<_> = first.keys.into_iter().chain(second.keys).collect();
    assert_eq!(format!("{stored:?}"), format!("{returned:?}"), "what the import answered is what is stored");
    assert_eq!(stored[0].value.as_ref().map(Secret::expose), Some("sk-1"));
    assert_eq!((stored[0].health.state, stored[0].source, stored[0].weight), (KeyState::Pending, KeySource::File, 1));
    assert_eq!(stored[0].hash.len(), 64);
    assert!(!fixture.database.everything().contains("sk-1"));
}

async fn large_imports_and_deletions_go_in_batches(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (group, other) = (fixture.group("one").await.id, fixture.group("two").await.id);
    fixture.keys(other, &["sk-00000001"]).await;
    let all = values(2_500);
    let inserted =
        fixture.writer.insert_keys(group, &all, KeyState::Active, KeySource::Manual, NOW).await.expect("added");
    assert_eq!((inserted.keys.len(), inserted.ignored), (2_500, 0));
    assert_eq!(fixture.store.group_key_counts(group).await.expect("counts").active, 2_500);

    let gone = fixture.writer.delete_keys(group, &KeySelector::Values(all[..1_200].to_vec())).await.expect("deleted");
    assert_eq!(gone, inserted.keys[..1_200].iter().map(|key| key.id).collect::<Vec<_>>());
    let ids = inserted.keys[1_190..1_210].iter().map(|key| key.id).collect();
    let gone = fixture.writer.delete_keys(group, &KeySelector::Ids(ids)).await.expect("deleted");
    assert_eq!(gone.len(), 10, "ten of them had gone before");
    let gone = fixture.writer.delete_keys(group, &KeySelector::State(KeyState::Invalid)).await.expect("deleted");
    assert_eq!(gone, []);
    assert_eq!(fixture.writer.delete_keys(group, &KeySelector::All).await.expect("deleted").len(), 1_290);
    let counts = fixture.store.key_counts().await.expect("counts");
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(other, KeyCounts { active: 1, ..KeyCounts::default() })]);
}

async fn a_batch_is_the_first_keys_alone(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let all = values(KEY_BATCH + 5);
    let keys = fixture.writer.insert_keys(group, &all, KeyState::Invalid, KeySource::Manual, NOW).await.expect("added");
    let ids: Vec<KeyId> = keys.keys.iter().map(|key| key.id).collect();
    let gone = fixture.writer.delete_some_keys(group, &KeySelector::Values(all)).await.expect("deleted");
    assert_eq!(gone, ids[..KEY_BATCH]);
    let invalid = KeySelector::State(KeyState::Invalid);
    let back = fixture.writer.restore_some_keys(group, &invalid, NOW).await.expect("restored");
    assert_eq!(back.iter().map(|key| key.id).collect::<Vec<_>>(), ids[KEY_BATCH..]);
    assert_eq!(fixture.writer.restore_some_keys(group, &invalid, NOW).await.expect("nothing").len(), 0);
    assert_eq!(fixture.writer.delete_some_keys(group, &KeySelector::All).await.expect("deleted"), ids[KEY_BATCH..]);
    assert_eq!(fixture.writer.delete_some_keys(group, &KeySelector::Ids(Vec::new())).await.expect("nothing"), []);
}

async fn another_groups_keys_are_out_of_reach(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (one, two) = (fixture.group("one").await.id, fixture.group("two").await.id);
    let key = fixture.keys(one, &["sk-1"]).await.remove(0);
    assert_eq!(fixture.writer.delete_keys(two, &KeySelector::Ids(vec![key.id])).await.expect("nothing"), []);
    assert!(fixture.store.key_by_value(two, &"sk-1".into()).await.expect("reads").is_none());
    assert_eq!(fixture.store.key(key.id).await.expect("reads").map(|key| key.group_id), Some(one));
}

async fn keys_are_read_in_id_order_and_by_filter(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let keys = fixture.keys(group, &["sk-1", "sk-2", "sk-3"]).await;
    put_into(&fixture, &keys[1], KeyState::Invalid).await;
    let ids = async |filter: KeyFilter, after, limit| -> Vec<KeyId> {
        let keys = fixture.store.keys_after(group, &filter, after, limit).await.expect("keys");
        keys.into_iter().map(|key| key.id).collect()
    };
    assert_eq!(ids(KeyFilter::default(), None, 2).await, [keys[0].id, keys[1].id]);
    assert_eq!(ids(KeyFilter::default(), Some(keys[1].id), 2).await, [keys[2].id]);
    let invalid = KeyFilter { state: Some(KeyState::Invalid), ..KeyFilter::default() };
    assert_eq!(ids(invalid, None, 9).await, [keys[1].id]);
    let by_value = KeyFilter { value: Some("sk-3".into()), ..KeyFilter::default() };
    assert_eq!(ids(by_value, None, 9).await, [keys[2].id]);
    assert_eq!(ids(KeyFilter { source: Some(KeySource::File), ..KeyFilter::default() }, None, 9).await, []);
}

async fn pages_show_the_last_used_first_and_the_never_used_last(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let keys = fixture.keys(group, &["sk-1", "sk-2", "sk-3", "sk-4"]).await;
    let used = |key: &KeyRecord, at: i64| RequestLog { timestamp: Timestamp(NOW.0 + at), ..log(group, Some(key)) };
    fixture.writer.commit(&[], &[used(&keys[0], 2), used(&keys[2], 9)], NOW).await.expect("committed");
    let page = async |page, size| {
        let page = fixture.store.keys_page(group, &KeyFilter::default(), page, size).await.expect("a page");
        (page.items.into_iter().map(|key| key.id).collect::<Vec<_>>(), page.total)
    };
    assert_eq!(page(1, 3).await, (vec![keys[2].id, keys[0].id, keys[3].id], 4));
    assert_eq!(page(2, 3).await, (vec![keys[1].id], 4));
    assert_eq!(page(u64::MAX, u64::MAX).await, (vec![], 4));
}

async fn health_survives_and_an_older_generation_does_not(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let key = fixture.keys(group, &["sk-1"]).await.remove(0);
    let models = vec![ModelHealth { model: "gpt".to_owned(), backoff_level: 1, ..ModelHealth::default() }];
    let health = KeyHealth {
        last_rule: Some("status-403".to_owned()),
        cooldown_level: 2,
        next_validation_at: Some(Timestamp(77)),
        validation_level: 3,
        models,
        state: KeyState::Disabled,
        generation: 2,
        consecutive_failures: 3,
        backoff_level: 1,
        disabled_until: Some(Timestamp(11)),
        resting_until: Some(Timestamp(12)),
        last_failure_at: Some(Timestamp(13)),
        last_success_at: Some(Timestamp(14)),
        last_validated_at: Some(Timestamp(15)),
        last_error: Some(format!("a\0{}", "é".repeat(2_000))),
        last_class: Some("upstream_fault".to_owned()),
    };
    let counted = KeyDelta { failures: 3, ..delta(&key, health.clone()) };
    fixture.writer.commit(&[counted.clone(), counted.clone()], &[], NOW).await.expect("committed");
    let stale = delta(&key, KeyHealth::new(KeyState::Active));
    fixture.writer.commit(&[stale], &[], NOW).await.expect("committed");
    let stored = fixture.store.key(key.id).await.expect("reads").expect("is there");
    let cut = Some(format!("a{}", "é".repeat(1_023)));
    assert_eq!(stored.health, KeyHealth { last_error: cut, ..health });
    assert_eq!(stored.failure_count, 6);
    fixture
        .writer
        .commit(&[KeyDelta { failures: 1, reset_failures: true, ..counted }], &[], NOW)
        .await
        .expect("committed");
    assert_eq!(fixture.store.key(key.id).await.expect("reads").expect("is there").failure_count, 1);
}

async fn only_keys_that_are_out_are_restored(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let keys = fixture.keys(group, &["sk-1", "sk-2", "sk-3", "sk-4"]).await;
    for (key, state) in keys.iter().zip([KeyState::Invalid, KeyState::Disabled, KeyState::Degraded, KeyState::Invalid])
    {
        put_into(&fixture, key, state).await;
    }
    let restore = async |which: KeySelector| fixture.writer.restore_keys(group, &which, NOW).await.expect("restored");
    let restored = restore(KeySelector::Values(vec!["sk-1".into(), "sk-3".into(), "unknown".into()])).await;
    assert_eq!(restored.len(), 1);
    assert_eq!(restored[0].id, keys[0].id);
    assert_eq!(restored[0].health, KeyHealth { generation: 1, ..KeyHealth::new(KeyState::Active) });
    assert_eq!(restored[0].failure_count, 0);
    assert_eq!(restore(KeySelector::State(KeyState::Disabled)).await.len(), 1);
    assert_eq!(restore(KeySelector::All).await.len(), 1);
    assert_eq!(restore(KeySelector::All).await.len(), 0);
    let counts = fixture.store.group_key_counts(group).await.expect("counts");
    assert_eq!(counts, KeyCounts { active: 3, degraded: 1, ..KeyCounts::default() });
}

async fn notes_are_cut_to_their_column(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let key = fixture.keys(group, &["sk-1"]).await.remove(0);
    fixture.writer.set_key_notes(key.id, &"日".repeat(300), NOW).await.expect("noted");
    assert_eq!(fixture.store.key(key.id).await.expect("reads").expect("is there").notes, "日".repeat(255));
    assert!(matches!(fixture.writer.set_key_notes(KeyId(99), "", NOW).await, Err(StoreError::NotFound("the key"))));
}

async fn what_a_person_decides_about_a_key_is_stored_and_the_rest_kept(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (group, other) = (fixture.group("one").await.id, fixture.group("two").await.id);
    let keys = fixture.keys(group, &["sk-1", "sk-2"]).await;
    let set = async |group, id, traits: KeyTraits| fixture.writer.set_key_traits(group, id, &traits, NOW).await;
    let all = KeyTraits { weight: Some(7), priority: Some(-3), upstream: Some(Some("https://a".to_owned())) };
    let changed = set(group, keys[0].id, all).await.expect("changed");
    assert_eq!((changed.weight, changed.priority, changed.upstream.as_deref()), (7, -3, Some("https://a")));
    let changed = set(group, keys[0].id, KeyTraits { weight: Some(8), ..KeyTraits::default() }).await.expect("changed");
    assert_eq!((changed.weight, changed.priority, changed.upstream.as_deref()), (8, -3, Some("https://a")));
    let unbound = KeyTraits { upstream: Some(None), ..KeyTraits::default() };
    let changed = set(group, keys[0].id, unbound).await.expect("changed");
    let stored = fixture.store.key(keys[0].id).await.expect("reads").expect("is there");
    assert_eq!(format!("{changed:?}"), format!("{stored:?}"), "what was answered is what is stored");
    assert_eq!((stored.weight, stored.upstream), (8, None));
    let untouched = fixture.store.key(keys[1].id).await.expect("reads").expect("is there");
    assert_eq!((untouched.weight, untouched.priority), (1, 0));
    for (group, id) in [(other, keys[0].id), (group, KeyId(99))] {
        assert!(matches!(set(group, id, KeyTraits::default()).await, Err(StoreError::NotFound("the key"))));
    }
}

async fn the_last_rows_of_a_key_come_newest_first_and_are_only_its_own(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (group, other) = (fixture.group("one").await.id, fixture.group("two").await.id);
    let keys = fixture.keys(group, &["sk-1", "sk-2"]).await;
    let elsewhere = fixture.keys(other, &["sk-1"]).await.remove(0);
    let row =
        |group, key: &KeyRecord, at: i64| RequestLog { timestamp: Timestamp(NOW.0 + at), ..log(group, Some(key)) };
    let mut rows: Vec<_> = (0..4).map(|at| row(group, &keys[0], at)).collect();
    rows[2].request_type = RequestType::Retry;
    let others = [row(group, &keys[1], 9), row(other, &elsewhere, 9), log(group, None)];
    fixture.writer.commit(&[], &[rows.clone(), others.to_vec()].concat(), NOW).await.expect("committed");
    let found = fixture.store.key_logs(group, &keys[0].hash, 3).await.expect("logs");
    let ids: Vec<_> = found.iter().map(|row| row.id).collect();
    assert_eq!(ids, [rows[3].id, rows[2].id, rows[1].id]);
    assert_eq!(fixture.store.key_logs(other, &keys[0].hash, 9).await.expect("logs").len(), 1);
}
