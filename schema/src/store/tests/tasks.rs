use super::*;
use crate::task::{Task, TaskKind};

on_every_database! {
    the_last_noted_task_is_remembered,
    a_stale_leader_notes_nothing,
}

fn task() -> Task {
    Task {
        kind: TaskKind::KeyImport,
        group: "team".to_owned(),
        owner: "node-1".to_owned(),
        processed: 2_000,
        total: 9_000,
        result: Some(vec![("added_count", 1_990), ("ignored_count", 10)]),
        error: None,
        is_cancelled: false,
        started_at: NOW,
        finished_at: None,
    }
}

async fn the_last_noted_task_is_remembered(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    assert_eq!(fixture.store.task().await.expect("reads"), None);
    let running = task();
    fixture.writer.put_task(&running, Timestamp(NOW.0 + 5)).await.expect("noted");
    assert_eq!(fixture.store.task().await.expect("reads"), Some((running, Timestamp(NOW.0 + 5))));
    let ended = Task {
        kind: TaskKind::KeyValidation,
        group: String::new(),
        result: None,
        error: Some("the disk\0is full".to_owned()),
        is_cancelled: true,
        finished_at: Some(Timestamp(NOW.0 + 9)),
        ..task()
    };
    fixture.writer.put_task(&ended, Timestamp(NOW.0 + 9)).await.expect("noted");
    let stored = Task { error: Some("the diskis full".to_owned()), ..ended };
    assert_eq!(fixture.store.task().await.expect("reads"), Some((stored, Timestamp(NOW.0 + 9))));
}

async fn a_stale_leader_notes_nothing(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.store.writer(2).put_task(&task(), NOW).await.expect("noted");
    let late = fixture.writer.put_task(&Task { processed: 1, ..task() }, NOW).await;
    assert!(matches!(late, Err(StoreError::StaleEpoch { claimed: 1, current: 2 })), "{late:?}");
    assert_eq!(fixture.store.task().await.expect("reads").map(|(task, _)| task.processed), Some(2_000));
}
