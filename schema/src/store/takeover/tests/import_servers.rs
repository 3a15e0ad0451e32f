//! Imports from servers, and into them.

use super::{
    old_server::{MADE, OldServer, troubled},
    *,
};
use crate::{
    store::testing::{Database, Kind},
    time::Timestamp,
};

async fn here(kind: Kind) -> (Database, Store) {
    let database = Database::new(kind);
    let store = open(database.dsn(), Some("here")).await.expect("opens");
    (database, store)
}

async fn import(store: &Store, dsn: &str, watch: Watch) -> StoreResult<Report> {
    store.writer(1).import(dsn, Some(PASSPHRASE.into()), Options::default(), watch).await
}

/// From `source` into every kind of database, dying on the way.
async fn brought_in(source: Kind) {
    let old = troubled(source, PASSPHRASE, 2_300);
    let before = old.dump(|table| Some(table.to_owned()));
    for kind in Kind::ALL {
        let (_database, store) = here(kind).await;
        let mut died = 0;
        let report = loop {
            match import(&store, &old.dsn(), dying(1 + died % 2)).await {
                Ok(report) => break report,
                Err(StoreError::Internal(text)) => assert!(text.contains("panic"), "{text}"),
                Err(error) => panic!("{kind:?}: {error}"),
            }
            died += 1;
            assert!(died < 100, "it gets on");
        };
        assert!(died > 2, "it died {died} times");
        let counts = &report.keys;
        assert_eq!((counts.read, counts.taken, counts.duplicates, counts.orphans), (2_300, 2_254, 23, 23), "{kind:?}");
        assert_eq!((report.groups_taken, report.members_taken, report.hours.left), (3, 1, 1), "{kind:?}");
        assert_eq!(store.request_totals().await.expect("totals"), (16, 3), "{kind:?}");
        let groups = store.groups().await.expect("groups");
        let id = |name: &str| groups.iter().find(|group| group.definition.name == name).expect("a group").id.0;
        let all = [keys(&store, id("openai")).await, keys(&store, id("claude")).await].concat();
        assert_eq!(all.len(), 2_254);
        for key in &all {
            assert_eq!(format!("note {}", value(key).trim_start_matches("sk-")), key.notes, "{kind:?}");
            assert_eq!(key.created_at, Timestamp(MADE), "{kind:?}");
        }
        let logs = store.recent_logs(None, 1_000).await.expect("logs");
        assert_eq!(logs.len(), usize::try_from(report.logs.taken).expect("a count"));

        let again = import(&store, &old.dsn(), quiet()).await.expect("once more");
        assert_eq!(
            (again.keys.taken, again.groups_taken, again.hours.read, again.logs.taken),
            (0, 0, 0, 0),
            "{kind:?}"
        );
        assert_eq!(store.request_totals().await.expect("totals"), (16, 3), "{kind:?}");
    }
    assert_eq!(old.dump(|table| Some(table.to_owned())), before, "nothing is written to the source");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_installation_is_brought_in() {
    brought_in(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mysql_installation_is_brought_in() {
    brought_in(Kind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_brought_into_a_server() {
    let old = old::troubled(PASSPHRASE, 1_200);
    for kind in [Kind::Postgres, Kind::Mysql] {
        let (_database, store) = here(kind).await;
        let report = import(&store, &old.path, quiet()).await.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!((report.keys.read, report.keys.taken, report.keys.orphans), (1_200, 1_176, 12), "{kind:?}");
        assert_eq!((report.hours.read, report.hours.left), (5, 2), "{kind:?}");
        // Of two rows of the same hour, under two offsets, one batch makes one.
        assert_eq!(store.request_totals().await.expect("totals"), (16, 3), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_older_database_is_refused() {
    let (own, store) = here(Kind::Sqlite).await;
    for kind in [Kind::Postgres, Kind::Mysql] {
        let (other, _) = here(kind).await;
        let refused = import(&store, other.dsn(), quiet()).await.expect_err("ours").to_string();
        assert!(refused.contains("one of this program"), "{refused}");
        let empty = Database::new(kind);
        let refused = import(&store, empty.dsn(), quiet()).await.expect_err("empty").to_string();
        assert!(refused.contains("not one of an older GPT-Load"), "{refused}");
        let old = OldServer::new(kind, old::Generation::Two);
        old.plain_keys(1, 0..3);
        let absent = format!("{}x", old.database.dsn());
        let refused = import(&store, &absent, quiet()).await.expect_err("no such database");
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
        let report = import(&store, &old.dsn(), quiet()).await.expect("plain keys under any passphrase");
        assert_eq!((report.keys.read, report.keys.in_clear_text), (3, 3));
    }
    drop(own);
}
