//! The encryption key and the data key change while applications go on, and a kill in the middle costs nothing.

use std::{
    net::SocketAddr,
    path::Path,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query, sql_types};
use gpt_load_benches::{
    double::{Double, Options},
    raw::Client,
};
use gpt_load_schema::store::{KeyFilter, Store};
use serde_json::{Value, json};

use crate::{
    program::{Program, command, output, spawn, start},
    support::{AUTH_KEY, PATIENCE, Request},
};

const OLD: &str = "former-passphrase-never-printed-0123456789";
const NEW: &str = "latest-passphrase-never-printed-0123456789";
const WRONG: &str = "wrong-passphrase-never-printed-0123456789";
const KEYS: usize = 4_000;

fn env<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [("AUTH_KEY", AUTH_KEY), ("LOG_LEVEL", "info")].into_iter().chain(more.iter().copied()).collect()
}

async fn api(program: &Program, method: &str, path: &str, body: Value) -> Value {
    let answer = program.send(&Request::new(method, path).key(AUTH_KEY).json(&body)).await;
    assert_eq!(answer.head.status, 200, "{method} {path}: {}", String::from_utf8_lossy(&answer.body()));
    answer.json()["data"].take()
}

/// The group `default` in front of the double, with header rules and proxy keys of its own and many keys.
async fn prepare(program: &Program, double: &Double) {
    let group = json!({"name": "default", "channel_type": "openai", "test_model": "m", "proxy_keys": "pk-group-never-printed",
        "upstreams": [{"url": double.url(), "weight": 1}],
        "header_rules": [{"key": "x-tenant", "value": "tenant-never-printed", "action": "set"}]});
    let group = api(program, "POST", "/api/groups", group).await;
    let keys: Vec<String> = (0..KEYS).map(|number| format!("sk-never-printed-{number}")).collect();
    let body = json!({"group_id": group["id"], "keys": keys, "new_key_state": "active"});
    assert_eq!(api(program, "POST", "/api/keys/add-multiple", body).await["added_count"], KEYS);
}

/// Applications that ask without a pause until they are told to end.
struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<actix_web::rt::task::JoinHandle<u64>>,
}

impl Traffic {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |key: &'static str| {
            let stop = stop.clone();
            actix_web::rt::spawn(async move {
                let mut client = Client::connect(address).await.unwrap();
                let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
                let request = Request::new("POST", "/v1/chat/completions").key(key).json(&body).bytes();
                let mut answers = 0;
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.exchange(&request).await.unwrap();
                    assert_eq!(answer.head.status, 200, "{}", String::from_utf8_lossy(&answer.body()));
                    answers += 1;
                }
                answers
            })
        };
        let clients = [AUTH_KEY, "pk-group-never-printed"].map(client).into();
        Self { stop, clients }
    }

    /// Answers how many requests succeeded; one that failed fails the test.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let mut answers = 0;
        for client in self.clients {
            answers += client.await.expect("no request failed");
        }
        answers
    }
}

/// Asks how far the rotation is until `holds`.
async fn rotation_until(program: &Program, holds: impl Fn(&Value) -> bool) -> Value {
    let asking = async {
        loop {
            let state = api(program, "GET", "/api/encryption", Value::Null).await;
            if holds(&state) {
                return state;
            }
        }
    };
    tokio::time::timeout(PATIENCE * 2, asking).await.expect("the rotation goes on")
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::Text)]
    text: String,
}

fn texts(folder: &Path, sql: &str) -> Vec<String> {
    let path = folder.join("data/gpt-load.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let rows: Vec<Row> = sql_query(sql).load(&mut connection).unwrap();
    rows.into_iter().map(|row| row.text).collect()
}

/// Every row of every table.
fn dump(folder: &Path) -> Vec<String> {
    let tables = texts(folder, "SELECT name AS text FROM sqlite_master WHERE type = 'table' ORDER BY name");
    let rows = |table: String| {
        let columns = texts(folder, &format!("SELECT name AS text FROM pragma_table_info('{table}')"));
        let quoted: Vec<String> = columns.iter().map(|column| format!(r#"quote("{column}")"#)).collect();
        let all = texts(folder, &format!(r#"SELECT {} AS text FROM "{table}" ORDER BY rowid"#, quoted.join("||','||")));
        all.into_iter().map(move |row| format!("{table}: {row}")).collect::<Vec<_>>()
    };
    tables.into_iter().flat_map(rows).collect()
}

/// Every key in the database of a stopped node decrypts, under one data key.
async fn assert_readable(folder: &Path, passphrase: &str) {
    let path = folder.join("data/gpt-load.db");
    let store = Store::open(path.to_str().unwrap(), Some(&passphrase.into())).await.unwrap();
    let group = store.groups().await.unwrap().remove(0);
    assert_eq!(group.definition.proxy_keys, "pk-group-never-printed");
    assert_eq!(group.definition.header_rules.unwrap()[0].value, "tenant-never-printed");
    let keys = store.keys_after(group.id, &KeyFilter::default(), None, 100_000).await.unwrap();
    let readable = |number: &usize| {
        let value = keys[*number].value.as_ref();
        value.is_some_and(|value| value.expose() == format!("sk-never-printed-{number}"))
    };
    assert_eq!((keys.len(), (0..KEYS).filter(readable).count()), (KEYS, KEYS));
    let logs = store.recent_logs(None, 1_000_000).await.unwrap();
    let lost = logs
        .iter()
        .filter(|log| log.key.as_ref().is_some_and(|(_, key)| !key.expose().starts_with("sk-never-printed-")));
    assert_eq!(lost.count(), 0, "of {} log rows", logs.len());
    let state = store.encryption_state().await.unwrap();
    assert_eq!((state.encrypts, state.data_keys), (true, 1));
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn stopped(mut program: Program) {
    program.signal("TERM");
    assert!(program.ended().await.success());
}

#[actix_web::test]
async fn a_data_key_rotates_under_traffic_and_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let env = env(&[("ENCRYPTION_KEY", OLD)]);
    let mut program = start(folder.path(), &env).await;
    prepare(&program, &double).await;
    let traffic = Traffic::start(program.address());
    let begun = api(&program, "POST", "/api/encryption/rotate", json!({})).await;
    assert_eq!(
        (&begun["is_encrypted"], &begun["data_keys"], &begun["rotation"]["is_running"]),
        (&json!(true), &json!(2), &json!(true))
    );
    let again = program.send(&Request::new("POST", "/api/encryption/rotate").key(AUTH_KEY).json(&json!({}))).await;
    assert_eq!((again.head.status, again.json()["code"].as_str()), (409, Some("TASK_IN_PROGRESS")));
    let middle = rotation_until(&program, |state| state["rotation"]["processed"].as_i64() > Some(0)).await;
    assert_eq!(middle["rotation"]["is_running"], true, "killed in the middle: {middle}");
    assert!(traffic.end().await > 0);
    program.signal("KILL");
    program.ended().await;
    let under = |id: i64| {
        let sql = format!("SELECT CAST(COUNT(*) AS TEXT) AS text FROM api_keys WHERE key_value LIKE 'v2:{id}:%'");
        texts(folder.path(), &sql)[0].parse::<usize>().unwrap()
    };
    let (old, new) = (under(2), under(3));
    assert!(old > 0 && new > 0 && old + new == KEYS, "{old} under the old key, {new} under the new one");

    let program = start(folder.path(), &env).await;
    let traffic = Traffic::start(program.address());
    let ended = rotation_until(&program, |state| state["rotation"]["is_running"] == false).await;
    assert_eq!((&ended["data_keys"], &ended["rotation"]["unreadable"]), (&json!(1), &json!(0)));
    assert!(traffic.end().await > 0);
    stopped(program).await;
    assert_readable(folder.path(), OLD).await;
}

#[actix_web::test]
async fn the_encryption_key_changes_at_a_start_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let program = start(folder.path(), &env(&[("ENCRYPTION_KEY", OLD)])).await;
    prepare(&program, &double).await;
    stopped(program).await;
    let refused = async |more: &[(&'static str, &'static str)], word: &str| {
        let (before, printed) = (dump(folder.path()), output(folder.path()).len());
        let mut program = spawn(folder.path(), &env(more));
        assert!(!program.ended().await.success(), "{more:?}");
        let said = output(folder.path())[printed..].to_owned();
        assert!(said.contains(word) && said.contains("Nothing was changed"), "{more:?}: {said}");
        assert_eq!(dump(folder.path()), before, "{more:?}");
    };
    refused(&[("ENCRYPTION_KEY", NEW), ("ENCRYPTION_KEY_PREVIOUS", WRONG)], "neither ENCRYPTION_KEY nor").await;
    refused(&[("ENCRYPTION_KEY", WRONG)], "does not open this database").await;
    refused(&[("ENCRYPTION_KEY_PREVIOUS", OLD)], "migrate-keys --from").await;

    let program = start(folder.path(), &env(&[("ENCRYPTION_KEY", NEW), ("ENCRYPTION_KEY_PREVIOUS", OLD)])).await;
    let traffic = Traffic::start(program.address());
    api(&program, "POST", "/api/encryption/rotate", json!({})).await;
    rotation_until(&program, |state| state["rotation"]["is_running"] == false).await;
    assert!(traffic.end().await > 0);
    stopped(program).await;
    refused(&[("ENCRYPTION_KEY", OLD)], "does not open this database").await;
    let program = start(folder.path(), &env(&[("ENCRYPTION_KEY", NEW)])).await;
    let traffic = Traffic::start(program.address());
    rotation_until(&program, |state| state["data_keys"] == 1).await;
    assert!(traffic.end().await > 0);
    stopped(program).await;
    assert_readable(folder.path(), NEW).await;
}

#[actix_web::test]
async fn both_rotations_have_commands_that_tell_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let run = |arguments: &[&str], more: &[(&'static str, &'static str)]| command(folder.path(), arguments, &env(more));
    let nothing = run(&["migrate-keys", "--to", NEW], &[]);
    assert!(!nothing.status.success() && said(&nothing).contains("there is no database"), "{}", said(&nothing));
    assert!(!folder.path().join("data").exists(), "none was made");

    let plain = start(folder.path(), &env(&[])).await;
    prepare(&plain, &double).await;
    let running = run(&["migrate-keys"], &[("MIGRATE_KEYS_TO", OLD)]);
    assert!(!running.status.success() && said(&running).contains("is in use by node"), "{}", said(&running));
    let port = plain.address().port().to_string();
    let port: &'static str = Box::leak(port.into_boxed_str());
    let refused = run(&["rotate-data-key"], &[("HOST", "127.0.0.1"), ("PORT", port)]);
    assert!(!refused.status.success() && said(&refused).contains("not encrypted"), "{}", said(&refused));
    stopped(plain).await;

    std::fs::write(folder.path().join("old"), format!("{OLD}\n")).unwrap();
    std::fs::write(folder.path().join("new"), NEW).unwrap();
    let enabled = run(&["migrate-keys", "--to-file", "old"], &[]);
    assert!(
        enabled.status.success() && said(&enabled).contains("is encrypted now (4000 provider keys checked)"),
        "{}",
        said(&enabled)
    );
    assert!(!said(&enabled).contains("warning"), "{}", said(&enabled));
    let database = std::fs::read(folder.path().join("data/gpt-load.db")).unwrap();
    let database = String::from_utf8_lossy(&database);
    for secret in ["sk-never-printed-", "pk-group-never-printed", "tenant-never-printed", AUTH_KEY] {
        assert!(!database.contains(secret), "{secret} is still in the file");
    }
    assert_readable(folder.path(), OLD).await;
    let again = run(&["migrate-keys"], &[("MIGRATE_KEYS_TO", OLD)]);
    assert!(!again.status.success() && said(&again).contains("encrypted already"), "{}", said(&again));
    let wrong = run(&["migrate-keys", "--from", WRONG, "--to-file", "new"], &[]);
    assert!(!wrong.status.success() && said(&wrong).contains("does not open this database"), "{}", said(&wrong));
    assert!(said(&wrong).contains("warning: a key given as an argument can be seen"), "{}", said(&wrong));

    let offline = run(&["rotate-data-key"], &[("ENCRYPTION_KEY", OLD)]);
    assert!(offline.status.success() && said(&offline).contains("the data key was rotated"), "{}", said(&offline));
    let changed = run(&["migrate-keys", "--from-file", "old", "--to-file", "new", "--json"], &[]);
    assert!(changed.status.success() && said(&changed).contains("under another key"), "{}", said(&changed));
    assert_readable(folder.path(), NEW).await;

    let node = start(folder.path(), &env(&[("ENCRYPTION_KEY", NEW)])).await;
    let traffic = Traffic::start(node.address());
    let port: &'static str = Box::leak(node.address().port().to_string().into_boxed_str());
    let address = [("HOST", "127.0.0.1"), ("PORT", port), ("ENCRYPTION_KEY", NEW)];
    let online = actix_web::rt::task::spawn_blocking({
        let path = folder.path().to_owned();
        move || command(&path, &["rotate-data-key"], &env(&address))
    });
    let online = online.await.unwrap();
    assert!(online.status.success() && said(&online).contains("secrets: "), "{}", said(&online));
    assert!(traffic.end().await > 0);
    stopped(node).await;
    let disabled = run(&["migrate-keys"], &[("MIGRATE_KEYS_FROM", NEW)]);
    assert!(disabled.status.success() && said(&disabled).contains("is decrypted now"), "{}", said(&disabled));
    let plain = start(folder.path(), &env(&[])).await;
    let traffic = Traffic::start(plain.address());
    let state = api(&plain, "GET", "/api/encryption", Value::Null).await;
    assert_eq!((&state["is_encrypted"], &state["data_keys"]), (&json!(false), &json!(0)));
    assert!(traffic.end().await > 0);
    for told in [&nothing, &running, &refused, &enabled, &again, &wrong, &offline, &changed, &online, &disabled] {
        let told = said(told);
        assert!([OLD, NEW, WRONG, AUTH_KEY, "sk-never-printed-"].iter().all(|secret| !told.contains(secret)), "{told}");
    }
}
