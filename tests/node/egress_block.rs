//! The provider refuses every key at once: the keys are not to blame, and none is lost.

use gpt_load_benches::double::Behaviour;
use gpt_load_schema::channel::Channel;
use serde_json::{Value, json};

use crate::{
    clients::Clients,
    support::{Gateway, PATIENCE},
};

const KEYS: usize = 30;
const CLIENTS: usize = 8;
const SAID: &str = "Access from your IP address is not permitted.";

async fn pool_of_thirty(gateway: &Gateway) -> gpt_load_schema::ids::GroupId {
    let keys: Vec<String> = (0..KEYS).map(|number| format!("sk-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    // No key is validated meanwhile, so that only the clients' requests speak.
    let config = json!({"max_retries": 2});
    gateway.group("default", Channel::OpenAi, &keys, config).await
}

fn out(pool: &Value) -> i64 {
    pool["counts"]["disabled"].as_i64().unwrap() + pool["counts"]["invalid"].as_i64().unwrap()
}

/// Blocks every key with `status` until the guard has seen each of them fail often enough to go, then ends the block.
async fn block(gateway: &Gateway, group: gpt_load_schema::ids::GroupId, clients: &Clients, status: u16, class: &str) {
    gateway.double.on_every(Some(Behaviour::status(status).message(SAID)));
    let pool = gateway.pool_until(group, |pool| pool["guard"][0]["failed"] == KEYS).await;
    assert_eq!(pool["guard"].as_array().map(Vec::len), Some(1), "{pool}");
    let episode = &pool["guard"][0];
    assert_eq!((&episode["class"], &episode["upstream"]), (&json!(class), &json!(gateway.double.url())));
    assert!(episode["message"].as_str().unwrap().contains(SAID), "{episode}");
    assert!(["upstream", "egress", "account"].contains(&episode["suspect"].as_str().unwrap()), "{episode}");
    // Every key has had its three strikes, and some.
    clients.wait(4 * KEYS, |seen| seen.status == status).await;
    let pool = gateway.pool(group).await;
    assert_eq!(out(&pool), 0, "no key is lost: {}", pool["counts"]);
    assert!(pool["held"].as_u64() > Some(0), "their exits are held: {pool}");
    let warnings = gateway.warnings().await;
    let cause = format!("suspected cause: {}", pool["guard"][0]["suspect"].as_str().unwrap());
    assert!(warnings.len() == 1 && warnings[0].contains(&cause), "{warnings:?}");
    assert!(!warnings[0].contains(SAID));

    gateway.double.on_every(None);
    clients.wait(2 * KEYS + CLIENTS, |_| true).await;
    let pool = gateway.pool_until(group, |pool| pool["counts"]["active"] == KEYS).await;
    assert_eq!((&pool["guard"], &pool["held"]), (&json!([]), &json!(0)));
    assert_eq!(gateway.warnings().await, Vec::<String>::new());
}

#[actix_web::test]
async fn three_blocks_in_a_row_cost_no_key() {
    let gateway = Gateway::start().await;
    let group = pool_of_thirty(&gateway).await;
    let clients = Clients::start(&gateway, CLIENTS);
    for (status, class) in [(403, "key_forbidden"), (401, "key_invalid"), (403, "key_forbidden")] {
        clients.wait(KEYS, |seen| seen.status == 200).await;
        block(&gateway, group, &clients, status, class).await;
        // Whole again: each key has its turn, and none is refused.
        let from = clients.seen().len();
        clients.wait(2 * KEYS, |_| true).await;
        assert!(clients.seen()[from..].iter().all(|seen| seen.status == 200), "traffic is normal");
    }
    let seen = clients.stop().await;
    let gateways_own = seen.iter().filter(|seen| !seen.code.is_empty()).count();
    assert_eq!(gateways_own, 0, "clients got the provider's own answers throughout");
}

#[actix_web::test]
async fn traffic_is_normal_from_the_first_success_on() {
    let gateway = Gateway::start().await;
    let group = pool_of_thirty(&gateway).await;
    gateway.double.on_every(Some(Behaviour::status(401).message(SAID)));
    let request = crate::support::Request::chat(false);
    let blocked = async {
        while gateway.pool(group).await["guard"][0]["failed"] != KEYS {
            assert_eq!(gateway.send(&request).await.head.status, 401);
        }
    };
    tokio::time::timeout(PATIENCE, blocked).await.expect("the guard sees all keys fail");
    gateway.double.on_every(None);
    for _ in 0..2 * KEYS {
        assert_eq!(gateway.send(&request).await.head.status, 200);
    }
    assert_eq!(out(&gateway.pool(group).await), 0);
}

#[actix_web::test]
async fn a_person_who_knows_better_lets_the_keys_go() {
    let gateway = Gateway::start().await;
    let group = pool_of_thirty(&gateway).await;
    let clients = Clients::start(&gateway, CLIENTS);
    gateway.double.on_every(Some(Behaviour::status(401)));
    let pool = gateway.pool_until(group, |pool| pool["held"] == KEYS).await;
    let id = &pool["keys"]["items"][0]["id"];
    let key = gateway.api("GET", &format!("/api/keys/{id}"), &Value::Null).await;
    assert_eq!((&key["status"], &key["held"]["class"]), (&json!("degraded"), &json!("key_invalid")));
    assert_eq!(
        (&key["state_reason"]["class"], &key["state_reason"]["rule"]),
        (&json!("key_invalid"), &json!("pool-guard"))
    );
    let accepted = gateway.api("POST", &format!("/api/groups/{group}/pool/accept"), &json!({})).await;
    assert_eq!(accepted, json!({"accepted_count": KEYS}));
    let pool = gateway.pool(group).await;
    assert_eq!((&pool["counts"]["invalid"], &pool["guard"]), (&json!(KEYS), &json!([])));
    drop(clients);
}
