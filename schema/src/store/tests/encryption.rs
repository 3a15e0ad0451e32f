//! Passphrases and data keys that change, and databases that become encrypted or plain.

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query, sql_types,
};
use serde_json::json;

use super::*;
use crate::group::{HeaderAction, HeaderRule};
use crate::store::unlock::Passphrases;

on_every_database! { secrets_survive_whatever_becomes_of_their_keys }

const KEYS: usize = 1_200;
const LOGS: usize = 700;
const HEADER: &str = "header-rule-secret";
const PROXY: &str = "http://user:proxy-secret@127.0.0.1:9";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::Text)]
    text: String,
}

fn texts(dsn: &str, sql: &str) -> Vec<String> {
    let mut connection = SqliteConnection::establish(dsn).expect("the file");
    let rows: Vec<Row> = sql_query(sql).load(&mut connection).expect(sql);
    rows.into_iter().map(|row| row.text).collect()
}

/// Every row of every table.
fn dump(dsn: &str) -> Vec<String> {
    let tables = texts(dsn, "SELECT name AS text FROM sqlite_master WHERE type = 'table' ORDER BY name");
    let rows = |table: String| {
        let columns = texts(dsn, &format!("SELECT name AS text FROM pragma_table_info('{table}')"));
        let quoted: Vec<String> = columns.iter().map(|column| format!(r#"quote("{column}")"#)).collect();
        let of_table =
            texts(dsn, &format!(r#"SELECT {} AS text FROM "{table}" ORDER BY rowid"#, quoted.join("||','||")));
        of_table.into_iter().map(move |row| format!("{table}: {row}")).collect::<Vec<_>>()
    };
    tables.into_iter().flat_map(rows).collect()
}

/// Stored values that are under the data key `id`.
fn under(dsn: &str, id: i64) -> usize {
    let begin = format!("v2:{id}:");
    let outside = |row: &&String| !row.starts_with("encryption_keys") && row.contains(&begin);
    dump(dsn).iter().filter(outside).count()
}

fn hashes(dsn: &str) -> Vec<String> {
    texts(dsn, "SELECT key_hash AS text FROM api_keys UNION ALL SELECT key_hash FROM request_logs ORDER BY 1")
}

/// A store with every kind of secret in it.
async fn filled(store: &Store) -> GroupId {
    let writer = store.writer(1);
    let mut definition = definition("openai");
    definition.config = json!({"proxy_url": PROXY}).as_object().cloned();
    let rule = HeaderRule { key: "X-Tenant".to_owned(), value: HEADER.to_owned(), action: HeaderAction::Set };
    definition.header_rules = Some(vec![rule]);
    let group = writer.insert_group(&definition, NOW).await.expect("a group").id;
    let settings = [("proxy_keys", "pk-global"), ("proxy_url", PROXY), ("max_retries", "5")];
    let settings = settings.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
    writer.put_settings(&settings.into(), NOW).await.expect("settings");
    let values: Vec<Secret> = (0..KEYS).map(|number| Secret::from(format!("sk-secret-{number}"))).collect();
    let keys = writer.insert_keys(group, &values, KeyState::Active, KeySource::Manual, NOW).await.expect("keys").keys;
    let logs: Vec<RequestLog> = (0..LOGS).map(|number| log(group, keys.get(number))).collect();
    writer.commit(&[], &logs, NOW).await.expect("log rows");
    group
}

/// Everything that [`filled`] stored is readable.
async fn assert_whole(store: &Store) {
    let groups = store.groups().await.expect("groups");
    let definition = &groups[0].definition;
    assert_eq!(definition.proxy_keys, "pk-one,pk-two");
    assert_eq!(definition.config.as_ref().map(|config| config["proxy_url"].clone()), Some(json!(PROXY)));
    assert_eq!(definition.header_rules.as_ref().map(|rules| rules[0].value.as_str()), Some(HEADER));
    let settings = store.settings().await.expect("settings");
    assert_eq!((settings["proxy_keys"].as_str(), settings["proxy_url"].as_str()), ("pk-global", PROXY));
    let keys = store.keys_after(groups[0].id, &KeyFilter::default(), None, 10_000).await.expect("keys");
    for (number, key) in keys.iter().take(KEYS).enumerate() {
        assert_eq!(key.value.as_ref().map(Secret::expose), Some(format!("sk-secret-{number}").as_str()));
    }
    assert!(keys.len() >= KEYS, "{}", keys.len());
    let found = store.key_by_value(groups[0].id, &"sk-secret-7".into()).await.expect("reads");
    assert_eq!(found.map(|key| key.id), Some(keys[7].id), "by its hash");
    let logs = store.recent_logs(None, 10_000).await.expect("log rows");
    let readable =
        |log: &&RequestLog| log.key.as_ref().is_some_and(|(_, value)| value.expose().starts_with("sk-secret-"));
    assert_eq!(logs.iter().filter(readable).count(), LOGS);
}

async fn opened(dsn: &str, current: &str, previous: &str) -> StoreResult<Store> {
    let (current, previous) = (Secret::from(current), Secret::from(previous));
    let passphrases = Passphrases::new(Some(&current), Some(&previous));
    Store::open_as(dsn.into(), passphrases, Derivation::with_rounds(2)).await
}

async fn migrate(dsn: &str, from: &str, to: &str) -> StoreResult<MigratedKeys> {
    migrate_watched(dsn, from, to, Box::new(|_| ())).await
}

async fn migrate_watched(dsn: &str, from: &str, to: &str, watch: Watch) -> StoreResult<MigratedKeys> {
    let (from, to) = (Secret::from(from), Secret::from(to));
    let passphrases = Passphrases::new(Some(&to), Some(&from));
    Store::migrate_keys_with(dsn.into(), passphrases, Derivation::with_rounds(2), watch).await
}

fn refusal<T>(result: StoreResult<T>) -> String {
    match result.err().expect("it is refused") {
        StoreError::Encryption(text) => text,
        other => panic!("{other}"),
    }
}

/// Goes on until there is nothing more to do; answers the batches that were done.
async fn rotated(writer: &Writer) -> usize {
    let mut batches = 1;
    while writer.continue_rotation(NOW).await.expect("a batch") {
        batches += 1;
    }
    batches
}

#[tokio::test]
async fn the_passphrase_changes_at_a_start_and_touches_the_wrapped_keys_alone() {
    let fixture = Fixture::new(Kind::Sqlite).await;
    filled(&fixture.store).await;
    let without_keys = |rows: Vec<String>| -> Vec<String> {
        rows.into_iter().filter(|row| !row.starts_with("encryption_keys")).collect()
    };
    let before = dump(fixture.database.dsn());
    let text = refusal(opened(fixture.database.dsn(), "new", "wrong").await);
    assert!(
        text.contains("neither ENCRYPTION_KEY nor ENCRYPTION_KEY_PREVIOUS") && text.contains("Nothing was changed"),
        "{text}"
    );
    assert_eq!(dump(fixture.database.dsn()), before);

    assert_whole(&opened(fixture.database.dsn(), "new", "passphrase").await.expect("the previous one opens it")).await;
    let after = dump(fixture.database.dsn());
    assert_ne!(after, before);
    assert_eq!(without_keys(after.clone()), without_keys(before));
    assert_whole(&open(fixture.database.dsn(), Some("new")).await.expect("the new one alone")).await;
    assert_whole(&opened(fixture.database.dsn(), "new", "passphrase").await.expect("once more does no harm")).await;
    let text = refusal(open(fixture.database.dsn(), Some("passphrase")).await);
    assert!(text.contains("was made with another key") && text.contains("ENCRYPTION_KEY_PREVIOUS"), "{text}");
    let text = refusal(opened(fixture.database.dsn(), "", "new").await);
    assert!(text.contains("ENCRYPTION_KEY is empty"), "the previous one alone is none: {text}");
    assert_eq!(dump(fixture.database.dsn()), after);
}

#[tokio::test]
async fn a_rotation_brings_everything_under_a_fresh_data_key() {
    let fixture = Fixture::new(Kind::Sqlite).await;
    let group = filled(&fixture.store).await;
    let (before, hashes_before) = (under(fixture.database.dsn(), 2), hashes(fixture.database.dsn()));
    assert_eq!(before, 1 + 2 + KEYS + LOGS, "a group, two settings, keys, log rows");
    let writer = &fixture.writer;
    assert!(writer.begin_rotation(NOW).await.expect("begins"));
    assert!(!writer.begin_rotation(NOW).await.expect("is under way"));
    let state = fixture.store.encryption_state().await.expect("the state");
    assert_eq!((state.encrypts, state.data_keys), (true, 2));
    assert_eq!(state.rotation.map(|rotation| rotation.total), Some(2 * (KEYS + LOGS) as i64));
    assert_whole(&fixture.store).await;
    fixture.keys(group, &["sk-meanwhile"]).await;
    assert_eq!(
        (under(fixture.database.dsn(), 2), under(fixture.database.dsn(), 3)),
        (before, 1),
        "what is new is under the new key"
    );

    assert!(writer.continue_rotation(NOW).await.expect("settings"));
    assert!(writer.continue_rotation(NOW).await.expect("groups"));
    assert!(writer.continue_rotation(NOW).await.expect("some keys"));
    assert!((1..before).contains(&under(fixture.database.dsn(), 2)), "one batch at a time");
    assert_whole(&fixture.store).await;
    // A process that dies here goes on where it was.
    let reopened = open(fixture.database.dsn(), Some("passphrase")).await.expect("opens");
    assert!(reopened.rotates().await.expect("reads"));
    assert_whole(&reopened).await;
    let batches = rotated(&reopened.writer(1)).await;
    assert!(batches >= 8, "{batches}");
    assert!(!reopened.rotates().await.expect("reads"));
    let state = reopened.encryption_state().await.expect("the state");
    let rotation = state.rotation.expect("there was one");
    assert_eq!((state.data_keys, rotation.unreadable, rotation.finished_at), (1, 0, Some(NOW)));
    assert_eq!((under(fixture.database.dsn(), 2), under(fixture.database.dsn(), 3)), (0, before + 1));
    let wrapped = texts(fixture.database.dsn(), "SELECT purpose || id AS text FROM encryption_keys ORDER BY id");
    assert_eq!(wrapped, ["lookup1", "data3"]);
    let mut kept = hashes(fixture.database.dsn());
    kept.retain(|hash| hashes_before.contains(hash));
    assert_eq!(kept, hashes_before, "hashes survive");
    assert_whole(&open(fixture.database.dsn(), Some("passphrase")).await.expect("opens")).await;
}

#[tokio::test]
async fn a_rotation_is_checked_and_keeps_a_key_that_is_needed() {
    let fixture = Fixture::new(Kind::Sqlite).await;
    let group = filled(&fixture.store).await;
    // A value that was moved from another row does not decrypt where it is.
    let moved = "UPDATE api_keys SET key_value = (SELECT key_value FROM api_keys WHERE id = 1) WHERE id = 2";
    SqliteConnection::establish(fixture.database.dsn()).expect("the file").batch_execute(moved).expect("a change");
    assert!(fixture.writer.begin_rotation(NOW).await.expect("begins"));
    rotated(&fixture.writer).await;
    let state = fixture.store.encryption_state().await.expect("the state");
    assert_eq!((state.data_keys, state.rotation.map(|rotation| rotation.unreadable)), (2, Some(1)));
    assert_eq!(under(fixture.database.dsn(), 2), 1);
    let refused = refusal(migrate(fixture.database.dsn(), "passphrase", "new").await);
    assert!(refused.contains("1 of 1200 keys are not readable (ids 2)"), "{refused}");
    let gone = KeySelector::Ids(vec![KeyId(2)]);
    fixture.writer.delete_keys(group, &gone).await.expect("the damaged key goes");
    assert!(fixture.writer.begin_rotation(NOW).await.expect("begins again"));
    rotated(&fixture.writer).await;
    assert_eq!(fixture.store.encryption_state().await.expect("the state").data_keys, 1);
}

#[tokio::test]
async fn what_is_written_while_a_rotation_begins_is_never_lost() {
    let fixture = Fixture::new(Kind::Sqlite).await;
    let group = fixture.group("openai").await.id;
    let (writer, store) = (fixture.writer.clone(), fixture.store.clone());
    let writing = tokio::spawn(async move {
        for number in 0..300 {
            let value = [Secret::from(format!("sk-{number}"))];
            writer.insert_keys(group, &value, KeyState::Active, KeySource::Manual, NOW).await.expect("a key");
            let keys = store.keys_after(group, &KeyFilter::default(), None, 1_000).await.expect("keys");
            assert!(keys.iter().all(|key| key.value.is_some()), "every key is readable at every moment");
        }
    });
    let mut rotations = 0;
    while !writing.is_finished() {
        assert!(fixture.writer.begin_rotation(NOW).await.expect("begins"));
        rotated(&fixture.writer).await;
        rotations += 1;
    }
    writing.await.expect("no write failed");
    assert!(rotations > 1, "{rotations}");
    let reopened = open(fixture.database.dsn(), Some("passphrase")).await.expect("opens");
    let keys = reopened.keys_after(group, &KeyFilter::default(), None, 1_000).await.expect("keys");
    assert_eq!(keys.iter().filter(|key| key.value.is_some()).count(), 300);
}

#[tokio::test]
async fn a_plain_database_has_no_data_key_to_rotate() {
    let database = Database::new(Kind::Sqlite);
    let dsn = database.dsn().to_owned();
    let store = open(&dsn, None).await.expect("opens");
    let refused = refusal(store.writer(1).begin_rotation(NOW).await);
    assert!(refused.contains("migrate-keys --to"), "{refused}");
    let state = store.encryption_state().await.expect("the state");
    assert_eq!(state, EncryptionState { encrypts: false, data_keys: 0, rotation: None });
}

#[tokio::test]
async fn encryption_is_enabled_changed_and_disabled_offline() {
    let database = Database::new(Kind::Sqlite);
    let dsn = database.dsn().to_owned();
    let plain = open(&dsn, None).await.expect("opens");
    filled(&plain).await;
    let hashes_before = hashes(&dsn);
    drop(plain);
    let before = dump(&dsn);
    for (from, to, word) in [
        ("", "", "nothing to do"),
        ("a", "a", "both keys are the same"),
        ("a", "", "stores plain text"),
        ("a", "b", "stores plain text"),
    ] {
        let refused = refusal(migrate(&dsn, from, to).await);
        assert!(refused.contains(word), "{from} {to}: {refused}");
    }
    assert_eq!(dump(&dsn), before, "a refusal changes nothing");

    let done = migrate(&dsn, "", "one").await.expect("enables");
    assert_eq!((done.done, done.keys, done.has_legacy_tables), (Migrated::Enabled, KEYS as i64, false));
    let bytes = database.everything();
    for secret in ["sk-secret-", HEADER, "proxy-secret", "pk-one", "pk-global"] {
        assert!(!bytes.contains(secret), "{secret} is still in the file");
    }
    assert_eq!(hashes(&dsn), hashes_before);
    assert_whole(&open(&dsn, Some("one")).await.expect("opens")).await;
    assert!(refusal(migrate(&dsn, "", "one").await).contains("encrypted already"));
    assert!(refusal(migrate(&dsn, "", "two").await).contains("encrypted already"));
    assert!(refusal(migrate(&dsn, "wrong", "two").await).contains("does not open this database"));
    assert!(refusal(open(&dsn, None).await).contains("ENCRYPTION_KEY is empty"));

    let done = migrate(&dsn, "one", "two").await.expect("changes");
    assert_eq!((done.done, done.keys), (Migrated::Changed, KEYS as i64));
    assert!(refusal(open(&dsn, Some("one")).await).contains("another key"));
    assert_whole(&open(&dsn, Some("two")).await.expect("opens")).await;

    // A key of a log row that does not decrypt is no reason to keep the rest encrypted.
    let broken = "UPDATE request_logs SET key_value = 'v2:2:AAAA' WHERE id = (SELECT min(id) FROM request_logs)";
    SqliteConnection::establish(&dsn).expect("the file").batch_execute(broken).expect("a change");
    let done = migrate(&dsn, "two", "").await.expect("disables");
    assert_eq!((done.done, done.unreadable_logs), (Migrated::Disabled, 1));
    assert!(refusal(open(&dsn, Some("two")).await).contains("stores plain text"));
    let plain = open(&dsn, None).await.expect("opens");
    assert!(!plain.encrypts());
    let logs = plain.recent_logs(None, 10_000).await.expect("log rows");
    let lost = |log: &&RequestLog| log.key.as_ref().is_some_and(|(_, value)| value.expose() == "failed-to-decrypt");
    assert_eq!((logs.len(), logs.iter().filter(lost).count()), (LOGS, 1));
    assert_eq!((hashes(&dsn), under(&dsn, 2)), (hashes_before, 0));
}

#[tokio::test]
async fn a_migration_that_was_broken_off_is_refused_at_a_start_and_goes_on() {
    let database = Database::new(Kind::Sqlite);
    let dsn = database.dsn().to_owned();
    filled(&open(&dsn, None).await.expect("opens")).await;
    for (from, to, stage, named, other) in
        [("", "one", "api_keys", "--to", ("one", "")), ("one", "", "request_logs", "--from", ("one", "two"))]
    {
        let (path, given) = (dsn.clone(), (from.to_owned(), to.to_owned()));
        let dying: Watch = Box::new(move |moment| assert_ne!(moment.stage, stage, "killed here"));
        let killed = tokio::spawn(async move { migrate_watched(&path, &given.0, &given.1, dying).await }).await;
        assert!(killed.is_err_and(|error| error.is_panic()), "{stage}");
        let refused = refusal(open(&dsn, Some("one")).await);
        assert!(refused.contains("was broken off") && refused.contains(named), "{refused}");
        let refused = refusal(migrate(&dsn, other.0, other.1).await);
        assert!(refused.contains("was broken off"), "{refused}");
        migrate(&dsn, from, to).await.expect("goes on to the end");
        assert_whole(&open(&dsn, Some(to)).await.expect("opens")).await;
    }
    assert_eq!(under(&dsn, 2), 0);
}

#[tokio::test]
async fn header_rules_of_former_versions_are_sealed_at_the_next_start() {
    let fixture = Fixture::new(Kind::Sqlite).await;
    for number in 0..120 {
        fixture.group(&format!("group-{number}")).await;
    }
    let rules = r#"[{"key":"X-Tenant","value":"header-rule-secret","action":"set"},{"key":"X-Odd","value":"v2:9:AAAA","action":"set"}]"#;
    let former = format!(
        "UPDATE groups SET header_rules = '{rules}'; UPDATE recasts SET purpose = 'header_rules', stage = 'groups', \
         last_row = '', finished_at = NULL"
    );
    SqliteConnection::establish(fixture.database.dsn())
        .expect("the file")
        .batch_execute(&former)
        .expect("a former version");
    let Fixture { store, writer, database } = fixture;
    let dsn = database.dsn();
    drop((store, writer));
    for _ in 0..2 {
        let store = open(dsn, Some("passphrase")).await.expect("opens");
        let groups = store.groups().await.expect("groups");
        assert_eq!(groups.len(), 120);
        for group in groups {
            let rules = group.definition.header_rules.expect("there are some");
            assert_eq!((rules[0].value.as_str(), rules[1].value.as_str()), (HEADER, "v2:9:AAAA"));
        }
    }
    assert!(!database.everything().contains(HEADER), "not even where it was");
}

async fn secrets_survive_whatever_becomes_of_their_keys(kind: Kind) {
    let database = Database::new(kind);
    let dsn = database.dsn();
    filled(&open(dsn, None).await.expect("opens")).await;
    let done = migrate(dsn, "", "one").await.expect("enables");
    assert_eq!((done.done, done.keys, done.has_legacy_tables), (Migrated::Enabled, KEYS as i64, false));
    let everything = database.everything();
    for secret in ["sk-secret-", HEADER, "proxy-secret", "pk-one", "pk-global"] {
        assert!(!everything.contains(secret), "{secret} is still there");
    }
    let store = open(dsn, Some("one")).await.expect("opens");
    assert_whole(&store).await;
    let writer = store.writer(store.epoch().await.expect("reads") + 1);
    assert!(writer.begin_rotation(NOW).await.expect("begins"));
    assert!(!writer.begin_rotation(NOW).await.expect("is under way"));
    assert!(rotated(&writer).await >= 8);
    let state = store.encryption_state().await.expect("the state");
    assert_eq!((state.data_keys, state.rotation.map(|rotation| rotation.unreadable)), (1, Some(0)));
    assert_whole(&store).await;
    drop((store, writer));
    assert_whole(&opened(dsn, "two", "one").await.expect("the previous one opens it")).await;
    assert!(refusal(open(dsn, Some("one")).await).contains("another key"));
    let done = migrate(dsn, "two", "").await.expect("disables");
    assert_eq!((done.done, done.unreadable_logs), (Migrated::Disabled, 0));
    assert_whole(&open(dsn, None).await.expect("opens")).await;
}
