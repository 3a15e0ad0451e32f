//! Take-overs that are killed, disturbed, or find keys that nothing opens.

use diesel::connection::SimpleConnection;

use super::{
    old::{Generation, Old, dump, troubled},
    *,
};

/// A small installation that has more than one batch of everything.
fn several_batches() -> Old {
    let old = troubled(PASSPHRASE, 2_300);
    let mut connection = old.connection();
    connection.batch_execute("BEGIN").expect("begins");
    for hour in 0..2_100 {
        let at = jiff::Timestamp::from_second(1_700_000_000 + hour * 3_600).expect("a time");
        let time = at.strftime("%Y-%m-%d %H:00:00+00:00");
        let sql = format!("INSERT INTO group_hourly_stats (time,group_id,success_count) VALUES ('{time}',2,1)");
        connection.batch_execute(&sql).expect("an hour");
    }
    connection.batch_execute("COMMIT").expect("commits");
    old
}

#[tokio::test]
async fn killed_at_any_moment_it_goes_on_where_it_was() {
    let old = several_batches();
    let whole = Path::new(&old.path).with_extension("whole");
    let whole = whole.to_str().expect("UTF-8");
    std::fs::copy(&old.path, whole).expect("a copy");
    let expected = take_over_with(whole, Some(PASSPHRASE), Options::default(), quiet()).await.expect("uninterrupted");

    let before = dump(&old.path, |table| Some(table.to_owned()));
    let mut died = 0;
    let report = loop {
        // Every attempt gets a batch or two further, and dies; some die while they check.
        let watch = if died % 5 == 4 { dying_in(1, |stage| stage == "check") } else { dying(1 + died % 2) };
        match take_over_with(&old.path, Some(PASSPHRASE), Options::default(), watch).await {
            Ok(report) => break report,
            Err(StoreError::Internal(text)) => assert!(text.contains("panic"), "{text}"),
            Err(error) => panic!("{error}"),
        }
        died += 1;
        assert!(died < 100, "it gets on");
        let old_tables = |table: &str| (!table.starts_with("new_")).then(|| table.to_owned());
        assert_eq!(dump(&old.path, old_tables), before, "the old tables are not touched");
    };
    assert!(died >= 5, "it died {died} times");
    let logs = |report: &Report| report.logs.taken + report.logs.old;
    assert_eq!((logs(&report), &report.keys), (logs(&expected), &expected.keys));
    assert_eq!((&report.hours, report.groups_taken), (&expected.hours, expected.groups_taken));
    let (one, other) = (open(&old.path, Some(PASSPHRASE)).await, open(whole, Some(PASSPHRASE)).await);
    let (one, other) = (one.expect("opens"), other.expect("opens"));
    assert_eq!(one.request_totals().await.expect("totals"), other.request_totals().await.expect("totals"));
    for group in [1, 2] {
        let values = |keys: Vec<KeyRecord>| keys.iter().map(|key| (key.id, value(key).to_owned())).collect::<Vec<_>>();
        assert_eq!(values(keys(&one, group).await), values(keys(&other, group).await));
    }
    let copies = old.beside("before-takeover");
    assert_eq!(
        copies.iter().filter(|name| !name.contains("whole")).count(),
        1,
        "one copy for all attempts: {copies:?}"
    );
}

#[tokio::test]
async fn a_half_made_copy_of_another_version_is_made_afresh() {
    let old = troubled(PASSPHRASE, 1_500);
    let died = take_over_with(&old.path, Some(PASSPHRASE), Options::default(), dying(2)).await;
    assert!(died.is_err());
    old.run("DELETE FROM new___diesel_schema_migrations WHERE version = (SELECT max(version) FROM new___diesel_schema_migrations)");
    let report = take_over_with(&old.path, Some(PASSPHRASE), Options::default(), quiet()).await.expect("afresh");
    assert_eq!(report.keys.read, 1_500);
}

#[tokio::test]
async fn there_is_one_copy_however_often_it_dies() {
    let old = troubled(PASSPHRASE, 1_500);
    let copy = format!("{}.before-takeover", old.path);
    let run = async |watch| take_over_with(&old.path, Some(PASSPHRASE), Options::default(), watch).await;
    std::fs::write(format!("{}.copy", old.path), "the beginning of a copy").expect("writable");
    assert!(run(dying(2)).await.is_err());
    std::fs::rename(&copy, format!("{}.copy", old.path)).expect("as if it had died before this");
    run(quiet()).await.expect("goes on");
    assert_eq!((old.beside(".before-takeover").len(), old.beside(".copy").len()), (1, 0));
    let keys = dump(&copy, |table| (table == "api_keys").then(|| table.to_owned()));
    assert_eq!(keys.iter().filter(|line| line.starts_with("api_keys: ")).count(), 1_500);
}

#[tokio::test]
async fn another_passphrase_does_not_go_on_with_a_copy() {
    let old = Old::new(Generation::Two);
    old.plain_keys(1, 0..2_500);
    let died = take_over_with(&old.path, Some("one"), Options::default(), dying(3)).await;
    assert!(died.is_err());
    let refused = take_over_with(&old.path, Some("two"), Options::default(), quiet()).await.expect_err("refused");
    assert!(matches!(refused, StoreError::Encryption(_)), "{refused}");
    take_over_with(&old.path, Some("one"), Options::default(), quiet()).await.expect("goes on");
    let store = open(&old.path, Some("one")).await.expect("opens");
    assert_eq!(keys(&store, 1).await.len(), 2_500);
}

#[tokio::test]
async fn an_old_program_that_goes_on_writing_is_noticed() {
    let old = troubled(PASSPHRASE, 300);
    let path = old.path.clone();
    let mut wrote = false;
    let writes: Watch = Box::new(move |moment: Moment| {
        if moment.stage == "request log" && !wrote {
            wrote = true;
            let mut connection = diesel::Connection::establish(&path).expect("the file");
            diesel::SqliteConnection::batch_execute(
                &mut connection,
                "PRAGMA busy_timeout = 5000; INSERT INTO api_keys (key_value,group_id,status) VALUES ('sk-late',1,'active')",
            )
            .expect("a key");
        }
    });
    let refused = take_over_with(&old.path, Some(PASSPHRASE), Options::default(), writes).await.expect_err("refused");
    assert!(matches!(&refused, StoreError::Unavailable(text) if text.contains("Stop that program")), "{refused}");
    assert!(dump(&old.path, |table| table.strip_prefix("new_").map(str::to_owned)).is_empty(), "cleared away");
    let store = open(&old.path, Some(PASSPHRASE)).await.expect("the next start takes it over");
    assert!(keys(&store, 1).await.iter().any(|key| value(key) == "sk-late"));
}

#[tokio::test]
async fn keys_that_nothing_opens_are_left_out_only_by_order() {
    let old = troubled(PASSPHRASE, 200);
    let other = crate::crypto::legacy::LegacyKey::derive(&"other".into());
    old.run(&format!("UPDATE api_keys SET key_value = '{}' WHERE id IN (3, 4)", other.seal("sk-x")));
    let before = old.bytes();
    let refused = open(&old.path, Some(PASSPHRASE)).await.err().expect("refused").to_string();
    for part in ["not 2 others", "ids 3, 4)", "--leave-unreadable", "Nothing was changed"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(old.bytes(), before);
    let lenient = Options { leave_unreadable: true };
    let wrong = take_over_with(&old.path, Some("wrong"), lenient, quiet()).await.expect_err("a wrong passphrase");
    assert!(matches!(wrong, StoreError::Encryption(_)), "{wrong}");
    let report = take_over_with(&old.path, Some(PASSPHRASE), lenient, quiet()).await.expect("without them");
    assert_eq!((report.keys.unreadable, report.keys.taken), (2, 194));
    let left = dump(&old.path, |table| (table == "legacy_api_keys").then(|| table.to_owned()));
    assert_eq!(left.iter().filter(|line| line.starts_with("legacy_api_keys: ")).count(), 200, "they are still there");
}
