use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

use super::*;

async fn error(dsn: &str, passphrase: Option<&str>) -> StoreError {
    open(dsn, passphrase).await.err().expect("the database must be refused")
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let fixture = Fixture::new().await;
    let group = fixture.group("openai").await;
    fixture.keys(group.id, &["sk-one"]).await;
    let reopened = open(&fixture.dsn, Some("passphrase")).await.expect("opens again");
    reopened.ping().await.expect("answers");
    assert_eq!(reopened.epoch().await.expect("epoch"), 1);
    assert_eq!(reopened.groups().await.expect("groups"), std::slice::from_ref(&group));
    let key = reopened.key_by_value(group.id, &"sk-one".into()).await.expect("reads").expect("is there");
    assert_eq!(key.value.as_ref().map(Secret::expose), Some("sk-one"));
}

#[tokio::test]
async fn a_wrong_or_missing_passphrase_changes_nothing() {
    let fixture = Fixture::new().await;
    for passphrase in [Some("other"), Some(""), None] {
        let refused = error(&fixture.dsn, passphrase).await;
        assert!(matches!(&refused, StoreError::Encryption(text) if text.contains("migrate-keys")), "{refused}");
    }
    open(&fixture.dsn, Some("passphrase")).await.expect("the right passphrase still opens");
}

#[tokio::test]
async fn a_plain_database_is_not_encrypted_on_the_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let dsn = dir.path().join("plain.db").to_str().expect("UTF-8").to_owned();
    let store = open(&dsn, None).await.expect("opens");
    assert!(!store.encrypts());
    let group = store.writer(1).insert_group(&definition("openai"), NOW).await.expect("a group");
    assert_eq!(group.definition.proxy_keys, "pk-one,pk-two");
    assert!(raw_bytes(&dsn).contains("pk-one,pk-two"));
    let refused = error(&dsn, Some("passphrase")).await;
    assert!(matches!(&refused, StoreError::Encryption(text) if text.contains("migrate-keys --to")), "{refused}");
    open(&dsn, Some("")).await.expect("an empty passphrase is none");
}

#[tokio::test]
async fn databases_of_other_programs_are_left_alone() {
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

#[tokio::test]
async fn a_start_that_was_cut_off_is_made_good() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("cut.db");
    let dsn = path.to_str().expect("UTF-8");
    let list = "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
                run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";
    SqliteConnection::establish(dsn).expect("a file").batch_execute(list).expect("the list of migrations");
    let store = open(dsn, Some("passphrase")).await.expect("opens");
    assert_eq!(store.groups().await.expect("groups"), []);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_a_fresh_database() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new().await;
    for file in [fixture.dsn.clone(), format!("{}-wal", fixture.dsn)] {
        assert_eq!(std::fs::metadata(file).expect("is there").permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let fixture = Fixture::new().await;
    SqliteConnection::establish(&fixture.dsn)
        .expect("the file")
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')")
        .expect("a migration from the future");
    let refused = error(&fixture.dsn, Some("passphrase")).await;
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
        ("postgres://u:hunter2hunter2@h/db".to_owned(), "only SQLite is built in"),
        ("u:hunter2hunter2@tcp(h)/db".to_owned(), "only SQLite is built in"),
    ] {
        let refused = error(&dsn, None).await.to_string();
        assert!(refused.contains(word) && !refused.contains("hunter2"), "{dsn}: {refused}");
    }
}

#[tokio::test]
async fn two_nodes_may_start_at_once() {
    for _ in 0..20 {
        two_nodes_start_at_once().await;
    }
}

async fn two_nodes_start_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let dsn = dir.path().join("gpt-load.db").to_str().expect("UTF-8").to_owned();
    let (one, two) = tokio::join!(open(&dsn, Some("passphrase")), open(&dsn, Some("passphrase")));
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
