//! A database that cannot be written for a while: nothing of a write is left behind, and it may be tried again.

use diesel_async::SimpleAsyncConnection;

use super::*;
use crate::store::pool::Pools;

/// Runs `sql` on the connection that writes.
async fn on_writer(store: &Store, sql: &str) {
    let Pools::Sqlite { writer, .. } = &store.engine.pools else { panic!("SQLite alone has this trouble") };
    let mut connection = writer.get().await.expect("the connection is free");
    connection.batch_execute(sql).await.expect("the statement runs");
}

/// More than fits into the pages that a database has to spare.
fn many_rows(group: GroupId, key: &KeyRecord) -> Vec<RequestLog> {
    (0..2_000).map(|_| RequestLog { request_body: "x".repeat(1_000), ..log(group, Some(key)) }).collect()
}

/// While `trouble` lasts every write is refused as one to be tried again, and after `relief` each is done once.
async fn nothing_is_left_behind(trouble: &str, relief: &str) {
    let fixture = Fixture::new(Kind::Sqlite).await;
    let group = fixture.group("one").await.id;
    let key = fixture.keys(group, &["sk-1"]).await.remove(0);
    let rows = many_rows(group, &key);
    let delta = KeyDelta { id: key.id, health: KeyHealth::new(KeyState::Degraded), failures: 1, reset_failures: false };
    let delta = std::slice::from_ref(&delta);
    on_writer(&fixture.store, trouble).await;
    for _ in 0..4 {
        let refused = fixture.writer.commit(delta, &rows, NOW).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{trouble}: {refused:?}");
        assert_eq!(fixture.store.log_counts().await.expect("reads go on"), (0, 0), "{trouble}");
    }
    on_writer(&fixture.store, relief).await;
    fixture.writer.commit(delta, &rows, NOW).await.expect("commits again");
    assert_eq!(fixture.store.log_counts().await.expect("reads"), (2_000, 0), "{trouble}");
    let stored = fixture.store.key(key.id).await.expect("reads").expect("is there");
    assert_eq!((stored.request_count, stored.failure_count), (2_000, 1), "{trouble}");
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_behind() {
    nothing_is_left_behind("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1073741823").await;
}

#[tokio::test]
async fn a_full_disk_within_a_statement_leaves_nothing_behind() {
    // A cache of a few pages spills into the file in the middle of the transaction, so that SQLite itself undoes it.
    let trouble = "PRAGMA cache_size = 5; PRAGMA cache_spill = 1; PRAGMA max_page_count = 1";
    nothing_is_left_behind(trouble, "PRAGMA max_page_count = 1073741823").await;
}

#[tokio::test]
async fn a_read_only_database_leaves_nothing_behind() {
    nothing_is_left_behind("PRAGMA query_only = ON", "PRAGMA query_only = OFF").await;
}

#[tokio::test]
async fn a_locked_database_leaves_nothing_behind() {
    let fixture = Fixture::new(Kind::Sqlite).await;
    let group = fixture.group("one").await.id;
    let neighbour = open(fixture.database.dsn(), Some("passphrase")).await.expect("opens");
    on_writer(&fixture.store, "PRAGMA busy_timeout = 0").await;
    let Pools::Sqlite { writer, .. } = &neighbour.engine.pools else { panic!("it is SQLite") };
    let mut holder = writer.get().await.expect("the connection is free");
    holder.batch_execute("BEGIN IMMEDIATE").await.expect("the lock is free");
    let row = [log(group, None)];
    let refused = fixture.writer.commit(&[], &row, NOW).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(fixture.store.log_counts().await.expect("reads"), (0, 0));
    holder.batch_execute("ROLLBACK").await.expect("the lock is given back");
    fixture.writer.commit(&[], &row, NOW).await.expect("commits again");
    assert_eq!(fixture.store.log_counts().await.expect("reads"), (1, 0));
}

#[tokio::test]
async fn a_refused_row_does_not_pass_for_trouble() {
    let fixture = Fixture::new(Kind::Sqlite).await;
    let group = fixture.group("one").await.id;
    on_writer(
        &fixture.store,
        "ALTER TABLE request_logs ADD COLUMN more TEXT NOT NULL DEFAULT 'x' CHECK (model <> 'bad')",
    )
    .await;
    let row = RequestLog { model: "bad".to_owned(), ..log(group, None) };
    let refused = fixture.writer.commit(&[], &[row], NOW).await;
    assert!(matches!(refused, Err(StoreError::Internal(_))), "{refused:?}");
}
