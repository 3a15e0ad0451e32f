use std::collections::BTreeSet;

use super::*;

on_every_database! {
    a_row_comes_back_as_it_was,
    the_same_rows_twice_count_once,
    hostile_text_is_stored_cut_and_without_nul,
    a_stale_epoch_changes_nothing,
    old_rows_are_pruned_oldest_first,
    concurrent_writers_and_readers_never_meet_a_lock,
}

async fn a_row_comes_back_as_it_was(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let key = fixture.keys(group, &["sk-logged"]).await.remove(0);
    let row = RequestLog {
        parent: Some((GroupId(50), "all".to_owned())),
        evidence: Some("429".to_owned()),
        upstream_model: Some("gpt-4.1-2026".to_owned()),
        class: Some(OutcomeClass::RateLimited),
        ..log(group, Some(&key))
    };
    fixture.writer.commit(&[], std::slice::from_ref(&row), NOW).await.expect("committed");
    let stored = fixture.store.recent_logs(Some(group), 5).await.expect("logs");
    assert_eq!(format!("{stored:?}"), format!("{:?}", [&row]));
    assert_eq!(stored[0].key.as_ref().map(|(_, value)| value.expose()), Some("sk-logged"));
    assert!(!fixture.database.everything().contains("sk-logged"));
    assert!(fixture.store.recent_logs(Some(GroupId(50)), 5).await.expect("logs").is_empty());
}

async fn the_same_rows_twice_count_once(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let key = fixture.keys(group, &["sk-1"]).await.remove(0);
    let retry = RequestLog { request_type: RequestType::Retry, is_success: false, ..log(group, Some(&key)) };
    let failed = RequestLog { is_success: false, timestamp: Timestamp(NOW.0 + 9), ..log(group, Some(&key)) };
    let through = RequestLog { parent: Some((GroupId(50), "all".to_owned())), ..log(group, Some(&key)) };
    let rows = [retry, failed, through, log(group, None)];
    for rows in [&rows[..2], &rows[..], &rows[1..]] {
        fixture.writer.commit(&[], rows, NOW).await.expect("committed");
    }
    fixture.writer.commit(&[], &[rows[0].clone(), rows[0].clone()], NOW).await.expect("committed");
    assert_eq!(fixture.store.log_counts().await.expect("counts"), (3, 1));
    assert_eq!(
        fixture.store.request_totals().await.expect("totals"),
        (2, 1),
        "the aggregate's rows are not counted again"
    );
    let key = fixture.store.key(key.id).await.expect("reads").expect("is there");
    assert_eq!((key.request_count, key.last_used_at), (1, Some(Timestamp(NOW.0 + 9))));
}

async fn hostile_text_is_stored_cut_and_without_nul(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let long = format!("\0{}", "é".repeat(70_000));
    let row = RequestLog {
        model: long.clone(),
        source_ip: long.clone(),
        request_path: long.clone(),
        error_message: long.clone(),
        user_agent: long.clone(),
        upstream_addr: long.clone(),
        request_body: long.clone(),
        finish_reason: Some(long.clone()),
        evidence: Some(long),
        ..log(group, None)
    };
    fixture.writer.commit(&[], &[row], NOW).await.expect("committed");
    let stored = fixture.store.recent_logs(None, 1).await.expect("logs").remove(0);
    let cut = |bytes: usize| "é".repeat(bytes / 2);
    assert_eq!((stored.model, stored.source_ip, stored.request_path), (cut(255), cut(64), cut(500)));
    assert_eq!((stored.user_agent, stored.upstream_addr, stored.finish_reason), (cut(512), cut(500), Some(cut(64))));
    assert_eq!(
        (stored.error_message, stored.request_body, stored.evidence),
        (cut(65_000), cut(65_000), Some(cut(65_000)))
    );
}

async fn a_stale_epoch_changes_nothing(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let key = fixture.keys(group, &["sk-1"]).await.remove(0);
    let successor = fixture.store.writer(7);
    successor.set_key_notes(key.id, "by the successor", NOW).await.expect("a higher epoch takes over");

    let stale = |result: StoreResult<()>| match result {
        Err(StoreError::StaleEpoch { claimed, current }) => assert_eq!((claimed, current), (1, 7)),
        other => panic!("a stale epoch answered {other:?}"),
    };
    let writer = &fixture.writer;
    let delta = KeyDelta { id: key.id, health: KeyHealth::new(KeyState::Invalid), failures: 1, reset_failures: false };
    stale(writer.commit(&[delta], &[log(group, Some(&key))], NOW).await);
    stale(writer.delete_keys(group, &KeySelector::All).await.map(drop));
    stale(writer.delete_group(group).await);
    stale(writer.insert_group(&definition("two"), NOW).await.map(drop));
    stale(writer.insert_keys(group, &["sk-2".into()], KeyState::Active, KeySource::Manual, NOW).await.map(drop));
    stale(writer.set_key_notes(key.id, "stale", NOW).await);

    assert_eq!(fixture.store.groups().await.expect("groups").len(), 1);
    assert_eq!(fixture.store.log_counts().await.expect("counts"), (0, 0));
    assert_eq!(fixture.store.epoch().await.expect("epoch"), 7);
    let stored = fixture.store.keys_after(group, &KeyFilter::default(), None, 9).await.expect("keys");
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].health.state, stored[0].notes.as_str()), (KeyState::Active, "by the successor"));
}

async fn old_rows_are_pruned_oldest_first(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let rows: Vec<_> = (0..10).map(|at| RequestLog { timestamp: Timestamp(NOW.0 + at), ..log(group, None) }).collect();
    fixture.writer.commit(&[], &rows, NOW).await.expect("committed");
    let before = Timestamp(NOW.0 + 5);
    assert_eq!(fixture.writer.prune_logs(before, 3).await.expect("pruned"), 3);
    assert_eq!(fixture.writer.prune_logs(before, 3).await.expect("pruned"), 2);
    assert_eq!(fixture.writer.prune_logs(before, 3).await.expect("pruned"), 0);
    let left: Vec<_> = fixture.store.recent_logs(None, 99).await.expect("logs").iter().map(|row| row.id).collect();
    assert_eq!(left, rows[5..].iter().rev().map(|row| row.id).collect::<Vec<_>>(), "newest first");
}

async fn concurrent_writers_and_readers_never_meet_a_lock(kind: Kind) {
    const TASKS: i64 = 16;
    const COMMITS: i64 = 10;
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let key = fixture.keys(group, &["sk-1"]).await.remove(0);
    // A second store on the same file stands for another process.
    let neighbour = open(fixture.database.dsn(), Some("passphrase")).await.expect("opens");
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = if task % 2 == 0 { fixture.store.clone() } else { neighbour.clone() };
            let key = key.clone();
            tokio::spawn(async move {
                for _ in 0..COMMITS {
                    let rows = [log(group, Some(&key)), log(group, Some(&key))];
                    store.writer(1).commit(&[], &rows, NOW).await.expect("commits");
                    store.recent_logs(Some(group), 5).await.expect("reads");
                    store.keys_page(group, &KeyFilter::default(), 1, 10).await.expect("reads");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task fails");
    }
    let rows = TASKS * COMMITS * 2;
    assert_eq!(fixture.store.log_counts().await.expect("counts"), (rows, 0));
    assert_eq!(fixture.store.request_totals().await.expect("totals"), (rows, 0));
    let stored = fixture.store.key(key.id).await.expect("reads").expect("is there");
    assert_eq!(stored.request_count, rows);
    let ids = fixture.store.recent_logs(None, 1_000).await.expect("logs");
    assert_eq!(ids.iter().map(|row| row.id).collect::<BTreeSet<_>>().len(), usize::try_from(rows).expect("small"));
}
