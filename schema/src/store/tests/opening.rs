use std::path::Path;

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

use super::*;
use crate::store::pool::StoreRuntime;

on_every_database! {
    what_was_written_is_there_after_a_restart,
    a_wrong_or_missing_passphrase_changes_nothing,
    a_plain_database_is_not_encrypted_on_the_way,
    databases_of_other_programs_are_left_alone,
    a_start_that_was_cut_off_is_made_good,
    a_newer_database_is_refused,
    two_nodes_may_start_at_once,
}

async fn error(dsn: &str, passphrase: Option<&str>) -> StoreError {
    open(dsn, passphrase).await.err().expect("the database must be refused")
}

async fn what_was_written_is_there_after_a_restart(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("openai").await;
    fixture.keys(group.id, &["sk-one"]).await;
    let reopened = open(fixture.database.dsn(), Some("passphrase")).await.expect("opens again");
    reopened.ping().await.expect("answers");
    assert_eq!(reopened.epoch().await.expect("epoch"), 1);
    assert_eq!(reopened.groups().await.expect("groups"), std::slice::from_ref(&group));
    let key = reopened.key_by_value(group.id, &"sk-one".into()).await.expect("reads").expect("is there");
    assert_eq!(key.value.as_ref().map(Secret::expose), Some("sk-one"));
}

async fn a_wrong_or_missing_passphrase_changes_nothing(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    for passphrase in [Some("other"), Some(""), None] {
        let refused = error(fixture.database.dsn(), passphrase).await;
        assert!(matches!(&refused, StoreError::Encryption(text) if text.contains("migrate-keys")), "{refused}");
    }
    open(fixture.database.dsn(), Some("passphrase")).await.expect("the right passphrase still opens");
}

async fn a_plain_database_is_not_encrypted_on_the_way(kind: Kind) {
    let database = Database::new(kind);
    let dsn = database.dsn();
    let store = open(dsn, None).await.expect("opens");
    assert!(!store.encrypts());
    let group = store.writer(1).insert_group(&definition("openai"), NOW).await.expect("a group");
    assert_eq!(group.definition.proxy_keys, "pk-one,pk-two");
    assert!(database.everything().contains("pk-one,pk-two"));
    let refused = error(dsn, Some("passphrase")).await;
    assert!(matches!(&refused, StoreError::Encryption(text) if text.contains("migrate-keys --to")), "{refused}");
    open(dsn, Some("")).await.expect("an empty passphrase is none");
}

async fn databases_of_other_programs_are_left_alone(kind: Kind) {
    for sql in
        ["CREATE TABLE groups (id integer); CREATE TABLE api_keys (id integer)", "CREATE TABLE songs (id integer)"]
    {
        let database = Database::new(kind);
        if kind == Kind::Sqlite {
            std::fs::create_dir_all(Path::new(database.dsn()).parent().expect("a folder")).expect("the folder is made");
        }
        let sql = if kind == Kind::Mysql { sql.replace("groups", "`groups`") } else { sql.to_owned() };
        database.run(&sql);
        let before = database.everything();
        let refused = error(database.dsn(), None).await;
        assert!(
            matches!(&refused, StoreError::Incompatible(text) if text.contains("another program")
                && text.contains("Nothing was changed")),
            "{refused}"
        );
        assert_eq!(database.everything(), before);
    }
}

#[tokio::test]
async fn files_of_other_programs_are_not_touched() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, sql, word) in [
        ("like.db", "CREATE TABLE groups (id integer); CREATE TABLE api_keys (id integer)", "another program"),
        ("other.db", "CREATE TABLE songs (id integer)", "another program"),
    ] {
        let path = dir.path().join(name);
        let dsn = path.to_str().expect("UTF-8");
        SqliteConnection::establish(dsn).expect("a file").batch_execute(sql).expect("tables");
        let before = std::fs::read(&path).expect("readable");
        let refused = error(dsn, None).await;
        assert!(matches!(&refused, StoreError::Incompatible(text) if text.contains(word)), "{refused}");
        assert_eq!(std::fs::read(&path).expect("readable"), before);
        assert!(!dir.path().join(format!("{name}-wal")).exists());
    }
}

async fn a_start_that_was_cut_off_is_made_good(kind: Kind) {
    let database = Database::new(kind);
    let mut sql = "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
                   run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
        .to_owned();
    match kind {
        Kind::Sqlite => {
            std::fs::create_dir_all(Path::new(database.dsn()).parent().expect("a folder")).expect("the folder is made");
        }
        Kind::Postgres => {}
        // Tables are made for good one by one; these are the first of them.
        Kind::Mysql => {
            let first = include_str!("../../../../migrations/mysql/2026-01-01-000000_gateway/up.sql");
            let (begun, _) = first.split_once("CREATE TABLE IF NOT EXISTS api_keys").expect("a table in the middle");
            sql = format!("{sql}; {begun}");
        }
    }
    database.run(&sql);
    let store = open(database.dsn(), Some("passphrase")).await.expect("opens");
    assert_eq!(store.groups().await.expect("groups"), []);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_a_fresh_database() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new(Kind::Sqlite).await;
    let dsn = fixture.database.dsn();
    for file in [dsn.to_owned(), format!("{dsn}-wal")] {
        assert_eq!(std::fs::metadata(file).expect("is there").permissions().mode() & 0o777, 0o600);
    }
}

async fn a_newer_database_is_refused(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.database.run("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')");
    let refused = error(fixture.database.dsn(), Some("passphrase")).await;
    assert!(matches!(&refused, StoreError::Incompatible(text) if text.contains("newer GPT-Load")), "{refused}");
}

#[tokio::test]
async fn unusable_paths_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let directory = dir.path().to_str().expect("UTF-8");
    let file = dir.path().join("file");
    std::fs::write(
        &file,
        "not a database, but long enough to have a header that SQLite can look at and refuse; ".repeat(4),
    )
    .expect("writable");
    let file = file.to_str().expect("UTF-8").to_owned();
    for (dsn, word) in [
        (directory.to_owned(), "is a directory"),
        (format!("{file}/gpt-load.db"), "cannot create the directory"),
        (file, "not a SQLite database"),
        (":memory:".to_owned(), "in memory"),
        ("postgres://u:hunter2hunter2@127.0.0.1:1/db".to_owned(), "cannot connect to PostgreSQL at 127.0.0.1:1/db: "),
        ("u:hunter2hunter2@tcp(127.0.0.1:1)/db".to_owned(), "cannot connect to MySQL at 127.0.0.1:1/db: "),
        ("postgres://u:hunter2hunter2@h/db?sslmode=maybe".to_owned(), "DATABASE_DSN: `sslmode` is"),
        ("u:hunter2hunter2@tcp(h)/db?tls=maybe".to_owned(), "DATABASE_DSN: the MySQL parameter `tls` is"),
    ] {
        let refused = error(&dsn, None).await.to_string();
        assert!(refused.contains(word) && !refused.contains("hunter2"), "{dsn}: {refused}");
    }
}

async fn two_nodes_may_start_at_once(kind: Kind) {
    for _ in 0..if kind == Kind::Sqlite { 20 } else { 3 } {
        two_nodes_start_at_once(kind).await;
    }
}

async fn two_nodes_start_at_once(kind: Kind) {
    let database = Database::new(kind);
    let dsn = database.dsn();
    let (one, two) = tokio::join!(open(dsn, Some("passphrase")), open(dsn, Some("passphrase")));
    let (one, two) = (one.expect("opens"), two.expect("opens"));
    let group = one.writer(1).insert_group(&definition("openai"), NOW).await.expect("a group");
    assert_eq!(two.group(group.id).await.expect("reads"), Some(group));
}

#[tokio::test]
async fn a_dropped_call_still_ends() {
    let runtime = StoreRuntime::start().expect("threads");
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let (end, ended) = tokio::sync::oneshot::channel();
    {
        let call = runtime.run(async move {
            wait.await.expect("the signal comes after the caller has gone");
            end.send(()).expect("the test waits");
            Ok(())
        });
        let mut call = std::pin::pin!(call);
        let first_poll =
            std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context).is_pending()));
        assert!(first_poll.await, "the call waits for its signal");
    }
    go.send(()).expect("the call still waits");
    ended.await.expect("the call went on to its end");
}
