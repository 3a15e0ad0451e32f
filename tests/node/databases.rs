//! A node on each kind of database: it serves, is the only one, remembers, and outlives a server that goes away.

use std::time::{Duration, Instant};

use gpt_load_benches::double::Options;
use gpt_load_schema::{
    channel::Channel,
    log::RequestType,
    store::testing::{Database, Gate, Kind},
};
use serde_json::{Value, json};

use crate::{
    clients::Clients,
    support::{AUTH_KEY, Gateway, Request, start_node},
};

async fn a_node_serves_and_remembers(kind: Kind) {
    let database = Database::new(kind);
    let env = [("DATABASE_DSN", database.dsn()), ("ENCRYPTION_KEY", "a passphrase of this test")];
    let gateway = Gateway::start_with(Options::default(), &env).await;
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({})).await;
    for _ in 0..5 {
        let chat = Request::new("POST", "/v1/chat/completions").json(&json!({"model": "m", "messages": []}));
        assert_eq!(gateway.send(&chat.key(AUTH_KEY)).await.head.status, 200);
    }
    gateway.idle().await;
    gateway.logs().await;
    let shown = async |gateway: &Gateway| {
        let api = async |path: &str| gateway.api("GET", path, &Value::Null).await;
        let group = api("/api/groups").await[0]["id"].clone();
        let (keys, logs) = (api(&format!("/api/keys?group_id={group}")).await, api("/api/logs?model=M").await);
        let stats = api("/api/dashboard/stats").await;
        let used: i64 =
            keys["items"].as_array().unwrap().iter().map(|key| key["request_count"].as_i64().unwrap()).sum();
        (
            keys["pagination"]["total_items"].clone(),
            used,
            logs["pagination"]["total_items"].clone(),
            stats["key_count"].clone(),
        )
    };
    let before = shown(&gateway).await;
    assert_eq!((&before.0, before.1, &before.2), (&json!(2), 5, &json!(5)), "{before:?}");

    let folder = tempfile::tempdir().unwrap();
    let second = start_node(folder.path(), &env).await.err().expect("a second node is refused").to_string();
    assert!(second.contains("in use by") && second.contains("REDIS_DSN"), "{second}");

    let gateway = gateway.restart_with(&env).await;
    assert_eq!(shown(&gateway).await, before, "after a restart");
    gateway.node.stop().await;
    let everything = database.everything();
    assert!(everything.contains("/v1/chat/completions") && !everything.contains("sk-1"), "keys are encrypted at rest");
}

#[actix_web::test]
async fn a_node_on_sqlite_serves_and_remembers() {
    a_node_serves_and_remembers(Kind::Sqlite).await;
}

#[actix_web::test]
async fn a_node_on_postgres_serves_and_remembers() {
    a_node_serves_and_remembers(Kind::Postgres).await;
}

#[actix_web::test]
async fn a_node_on_mysql_serves_and_remembers() {
    a_node_serves_and_remembers(Kind::Mysql).await;
}

/// How long the database is away: longer than a node tries again.
const AWAY: Duration = Duration::from_secs(2);

/// While the database is away clients are served; management says so at once; afterwards every row is there once.
async fn a_database_that_goes_away_is_not_noticed_by_clients(kind: Kind) {
    let database = Database::new(kind);
    let gate = Gate::before(&database).await;
    let dsn = database.dsn_at(gate.port);
    let gateway = Gateway::start_with(Options::default(), &[("DATABASE_DSN", &dsn)]).await;
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2", "sk-3"], json!({})).await;
    let clients = Clients::start(&gateway, 8);
    clients.wait(50, |seen| seen.status == 200).await;

    gate.shut();
    let away = Instant::now();
    for path in ["/api/groups", "/api/logs", "/api/dashboard/stats"] {
        let asked = Instant::now();
        let answer = gateway.send(&Request::new("GET", path).key(AUTH_KEY)).await;
        assert_eq!(answer.head.status, 503, "{path}: {}", String::from_utf8_lossy(&answer.body()));
        assert!(answer.head.header("retry-after").is_some(), "{path}");
        assert!(asked.elapsed() < AWAY, "{path}: {:?}", asked.elapsed());
    }
    tokio::time::sleep(AWAY.saturating_sub(away.elapsed())).await;
    clients.wait(50, |seen| seen.status == 200 && seen.asked > away).await;
    gate.open();
    let back = Instant::now();
    clients.wait(50, |seen| seen.status == 200 && seen.asked > back).await;
    let seen = clients.stop().await;
    assert!(seen.iter().all(|seen| seen.status == 200), "no client noticed");

    gateway.idle().await;
    let logs = gateway.logs().await;
    let finals = logs.iter().filter(|log| log.request_type == RequestType::Final).count();
    assert_eq!(finals, seen.len(), "each request is there once");
    let counted: i64 = {
        let group = gateway.find_group("default").await.id;
        let keys = gateway.node.store().keys_after(group, &Default::default(), None, 10).await.unwrap();
        keys.iter().map(|key| key.request_count).sum()
    };
    assert_eq!(usize::try_from(counted).unwrap(), seen.len());
    gateway.node.stop().await;
}

#[actix_web::test]
async fn a_postgres_that_goes_away_is_not_noticed_by_clients() {
    a_database_that_goes_away_is_not_noticed_by_clients(Kind::Postgres).await;
}

#[actix_web::test]
async fn a_mysql_that_goes_away_is_not_noticed_by_clients() {
    a_database_that_goes_away_is_not_noticed_by_clients(Kind::Mysql).await;
}
