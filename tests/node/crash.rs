//! What a killed process leaves behind, and who may take it over.

use std::{collections::BTreeSet, path::Path, time::Duration};

use gpt_load_benches::{
    double::{At, Behaviour, Double, Options},
    raw::Client,
};
use gpt_load_schema::{
    key::KeyState,
    log::RequestType,
    store::{KeyFilter, Store},
};
use serde_json::json;

use crate::{
    program::{Program, output, spawn, start},
    support::{AUTH_KEY, Request},
};

const ENV: [(&str, &str); 2] = [("AUTH_KEY", AUTH_KEY), ("LOG_LEVEL", "warn")];

async fn prepare(program: &Program, double: &Double, keys: &[&str]) {
    let group = json!({"name": "default", "channel_type": "openai", "test_model": "m", "sort": 1,
        "upstreams": [{"url": double.url(), "weight": 1}]});
    let group = program.send(&Request::new("POST", "/api/groups").key(AUTH_KEY).json(&group)).await.json();
    let body = json!({"group_id": group["data"]["id"], "keys": keys, "new_key_state": "active"});
    let added = program.send(&Request::new("POST", "/api/keys/add-multiple").key(AUTH_KEY).json(&body)).await;
    assert_eq!(added.json()["data"]["added_count"], keys.len());
}

/// Clients that ask until the connection breaks; answers how many whole answers they got.
async fn load(address: std::net::SocketAddr) -> u64 {
    let Ok(mut client) = Client::connect(address).await else { return 0 };
    let request = Request::chat(false).bytes();
    let mut answers = 0;
    while client.exchange(&request).await.is_ok_and(|answer| answer.head.status == 200) {
        answers += 1;
    }
    answers
}

/// Rows and counters of the database in `folder` must tell the same; answers the number of requests.
async fn assert_consistent(folder: &Path) -> i64 {
    let path = folder.join("data/gpt-load.db");
    let store = Store::open(path.to_str().unwrap(), None).await.unwrap();
    let rows = store.recent_logs(None, 1_000_000).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<BTreeSet<_>>().len(), rows.len(), "no id twice");
    let finals = rows.iter().filter(|row| row.request_type == RequestType::Final).count();
    let (successes, failures) = store.request_totals().await.unwrap();
    assert_eq!(successes + failures, i64::try_from(finals).unwrap(), "hourly statistics = rows");
    let group = store.groups().await.unwrap()[0].id;
    for key in store.keys_after(group, &KeyFilter::default(), None, 100).await.unwrap() {
        let of_key = |row: &&gpt_load_schema::log::RequestLog| {
            row.is_success && row.key.as_ref().is_some_and(|(id, _)| *id == key.id)
        };
        assert_eq!(key.request_count, i64::try_from(rows.iter().filter(of_key).count()).unwrap(), "counters = rows");
    }
    successes + failures
}

#[actix_web::test]
async fn every_whole_answer_before_a_kill_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let mut whole = 0;
    for round in 0..3_u64 {
        let mut program = start(folder.path(), &ENV).await;
        if round == 0 {
            prepare(&program, &double, &["sk-1", "sk-2", "sk-3"]).await;
        }
        let clients: Vec<_> = (0..4).map(|_| actix_web::rt::spawn(load(program.address()))).collect();
        tokio::time::sleep(Duration::from_millis(700 + 130 * round)).await;
        program.signal("KILL");
        program.ended().await;
        for client in clients {
            whole += client.await.unwrap();
        }
    }
    let mut last = start(folder.path(), &ENV).await;
    last.signal("TERM");
    assert!(last.ended().await.success(), "{}", output(folder.path()));
    let stored = assert_consistent(folder.path()).await.unsigned_abs();
    assert!(whole > 0);
    assert!((whole..=whole + 3 * 4).contains(&stored), "{stored} rows for {whole} answers");
}

#[actix_web::test]
async fn a_clean_stop_under_load_stores_every_request() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let mut program = start(folder.path(), &ENV).await;
    prepare(&program, &double, &["sk-1", "sk-2"]).await;
    let clients: Vec<_> = (0..4).map(|_| actix_web::rt::spawn(load(program.address()))).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    program.signal("TERM");
    assert!(program.ended().await.success(), "{}", output(folder.path()));
    let mut whole = 0;
    for client in clients {
        whole += client.await.unwrap();
    }
    let stored = assert_consistent(folder.path()).await.unsigned_abs();
    assert!((whole..=whole + 4).contains(&stored), "{stored} rows for {whole} answers");
}

#[actix_web::test]
async fn a_kill_keeps_states_and_cooldowns_and_gives_the_database_back() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    double.on_key("sk-1", Behaviour::invalid_key());
    double.on_key("sk-2", Behaviour::rate_limited(600));
    let mut program = start(folder.path(), &ENV).await;
    prepare(&program, &double, &["sk-1", "sk-2", "sk-3"]).await;
    for _ in 0..3 {
        assert_eq!(program.send(&Request::chat(false)).await.head.status, 200);
    }
    // Waits for the commit: the figures of `/stats` are those of the database.
    assert_eq!(program.send(&Request::new("GET", "/stats").key(AUTH_KEY)).await.json()["total_requests"], 3);

    let mut second = spawn(folder.path(), &ENV);
    assert!(!second.ended().await.success(), "one node per database");
    let said = output(folder.path());
    assert!(said.contains("is in use by node") && said.contains("DATABASE_DSN"), "{said}");

    program.signal("KILL");
    program.ended().await;
    let asked = double.requests().len();
    let program = start(folder.path(), &ENV).await;
    for _ in 0..3 {
        assert_eq!(program.send(&Request::chat(false)).await.head.status, 200);
    }
    let used: BTreeSet<_> =
        double.requests().split_off(asked).into_iter().map(|request| request.key.unwrap()).collect();
    assert_eq!(used, BTreeSet::from(["sk-3".to_owned()]), "the others are out or rest");
    drop(program);
    let store = Store::open(folder.path().join("data/gpt-load.db").to_str().unwrap(), None).await.unwrap();
    let group = store.groups().await.unwrap()[0].id;
    let keys = store.keys_after(group, &KeyFilter::default(), None, 9).await.unwrap();
    let states: Vec<_> = keys.iter().map(|key| (key.health.state, key.health.resting_until.is_some())).collect();
    assert_eq!(states, [(KeyState::Invalid, false), (KeyState::Active, true), (KeyState::Active, false)]);
}

#[actix_web::test]
async fn unusable_places_are_refused_with_a_sentence_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(place("folder")).unwrap();
    std::fs::write(place("garbage"), "no database at all, and longer than the head of one: ".repeat(40)).unwrap();
    let (a_folder, garbage, within) = (place("folder"), place("garbage"), place("garbage/gpt-load.db"));
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("DATABASE_DSN", &a_folder)], "is a directory"),
        (&[("DATABASE_DSN", &garbage)], "is not a SQLite database"),
        (&[("DATABASE_DSN", &within)], "cannot create the directory"),
        (&[("DATA_DIR", &garbage)], "cannot create the directory"),
    ];
    for (env, sentence) in cases {
        let mut program = spawn(folder.path(), env);
        assert!(!program.ended().await.success(), "{env:?}");
        let said = output(folder.path());
        assert!(said.contains(sentence) && !said.contains("panic"), "{env:?}: {said}");
        std::fs::remove_file(folder.path().join("output")).unwrap();
    }
    assert!(std::fs::read_to_string(place("garbage")).unwrap().starts_with("no database at all"));
}

#[actix_web::test]
async fn another_auth_key_rules_from_the_next_start_on() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let mut program = start(folder.path(), &ENV).await;
    prepare(&program, &double, &["sk-1"]).await;
    program.signal("TERM");
    program.ended().await;
    let other = "another-management-key-0123456789abcdef";
    let program = start(folder.path(), &[("AUTH_KEY", other)]).await;
    let status = async |request: Request| program.send(&request).await.head.status;
    assert_eq!(status(Request::new("GET", "/api/groups").key(other)).await, 200);
    assert_eq!(status(Request::new("GET", "/api/groups").key(AUTH_KEY)).await, 401);
    // Applications know the proxy key of the first start; only a person takes it from them.
    assert_eq!(status(Request::chat(false)).await, 200);
}

#[actix_web::test]
async fn changes_of_the_env_file_come_into_force_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let file = folder.path().join(".env");
    std::fs::write(&file, "LOG_LEVEL=error\nMAX_CONCURRENT_REQUESTS=5\n").unwrap();
    let program = start(folder.path(), &[("AUTH_KEY", AUTH_KEY)]).await;
    prepare(&program, &double, &["sk-1"]).await;
    assert_eq!(program.send(&Request::chat(false)).await.head.status, 200);
    assert!(!output(folder.path()).contains("access"), "quiet");
    std::fs::write(&file, "LOG_LEVEL=info\nMAX_CONCURRENT_REQUESTS=1\n").unwrap();
    while !output(folder.path()).contains("access") {
        program.send(&Request::chat(false)).await;
    }
    let asked = double.requests().len();
    double.on_path("chat", Behaviour::hang(At::Head));
    let mut occupant = Client::connect(program.address()).await.unwrap();
    occupant.send(&Request::chat(false).bytes()).await.unwrap();
    until(|| double.requests().len() > asked).await;
    assert_eq!(program.send(&Request::chat(false)).await.head.status, 503);
    std::fs::write(&file, "LOG_LEVEL=info\nMAX_CONCURRENT_REQUESTS=none\n").unwrap();
    until(|| output(folder.path()).contains("the former stays in force")).await;
    assert_eq!(program.send(&Request::chat(false)).await.head.status, 503);
}

async fn until(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, waiting).await.expect("it comes to pass");
}

#[actix_web::test]
async fn a_stopping_node_says_so_to_its_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = start(folder.path(), &[("LOG_LEVEL", "info")]).await;
    program.signal("TERM");
    assert!(program.ended().await.success());
    let output = output(folder.path());
    assert!(output.contains("stopping: requests in flight"), "{output}");
    assert!(output.trim_end().ends_with("stopped"), "{output}");
}
