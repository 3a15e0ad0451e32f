//! The databases must not drift apart.

use std::{collections::BTreeSet, fs, path::Path};

use crate::store::{
    Store,
    pool::{StoreRuntime, open_sqlite},
    takeover::inventory,
    testing::{Database, Kind},
};

fn folders(database: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(database);
    let entries = fs::read_dir(&path).expect("the folder of migrations");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

#[test]
fn every_migration_is_there_for_every_database() {
    let sqlite = folders("sqlite");
    for database in ["postgres", "mysql"] {
        let missing: Vec<_> = sqlite.symmetric_difference(&folders(database)).cloned().collect();
        assert_eq!(missing, Vec::<String>::new(), "in sqlite or {database} alone; see migrations/README.md");
    }
}

/// What columns are called, whatever their types are called.
fn columns(kind: Kind) -> BTreeSet<String> {
    let database = Database::new(kind);
    let runtime = StoreRuntime::start().expect("threads");
    let dsn = database.dsn().to_owned();
    let (sender, opened) = std::sync::mpsc::channel();
    runtime.spawn(async move { _ = sender.send(Store::open(dsn.as_str(), None).await.map(drop)) });
    opened.recv().expect("an answer").expect("it opens");
    let tables = match kind {
        Kind::Sqlite => {
            let mut connection = open_sqlite(database.dsn()).expect("opens");
            return inventory(&mut connection).expect("tables").0.into_iter().flat_map(named).collect();
        }
        Kind::Postgres => "c.table_schema = 'public'",
        Kind::Mysql => "c.table_schema = DATABASE()",
    };
    let sql =
        format!("SELECT CONCAT(c.table_name, '.', c.column_name) FROM information_schema.columns c WHERE {tables}");
    database.column(&sql).into_iter().collect()
}

fn named((table, columns): (String, BTreeSet<String>)) -> Vec<String> {
    columns.into_iter().map(|column| format!("{table}.{column}")).collect()
}

#[test]
fn every_database_has_the_same_columns() {
    let sqlite = columns(Kind::Sqlite);
    assert!(sqlite.contains("group_hourly_stats.duration_ms"));
    for kind in [Kind::Postgres, Kind::Mysql] {
        let other = columns(kind);
        let differ: Vec<_> = sqlite.symmetric_difference(&other).collect();
        assert_eq!(differ, Vec::<&String>::new(), "in SQLite or {kind:?} alone; see migrations/README.md");
    }
}
