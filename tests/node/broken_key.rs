//! One slow and one broken key among healthy ones.

use std::time::Duration;

use gpt_load_benches::double::Behaviour;
use gpt_load_schema::channel::Channel;
use serde_json::{Value, json};

use crate::{clients::Clients, support::Gateway};

const KEYS: [&str; 8] = ["sk-1", "sk-2", "sk-3", "sk-4", "sk-5", "sk-6", "sk-broken", "sk-slow"];

fn states(pool: &Value) -> Vec<&str> {
    pool["keys"]["items"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn a_slow_and_a_broken_key_are_found_among_healthy_ones() {
    let gateway = Gateway::start().await;
    let config = json!({"max_retries": 3, "response_header_timeout": 1, "breaker_threshold": 0});
    let group = gateway.group("default", Channel::OpenAi, &KEYS, config).await;
    gateway.double.on_key("sk-broken", Behaviour::status(500));
    gateway.double.on_key("sk-slow", Behaviour::ok().delay_head(Duration::from_secs(20)));
    let clients = Clients::start(&gateway, 4);
    let pool = gateway.pool_until(group, |pool| pool["counts"]["disabled"] == 2).await;
    let seen = clients.stop().await;
    assert!(seen.iter().all(|seen| seen.status == 200), "no client noticed");
    let expected = ["active", "active", "active", "active", "active", "active", "disabled", "disabled"];
    assert_eq!(states(&pool), expected);
    for key in &pool["keys"]["items"].as_array().unwrap()[6..] {
        let key = gateway.api("GET", &format!("/api/keys/{}", key["id"]), &Value::Null).await;
        assert_eq!(key["state_reason"]["class"], "upstream_fault", "{key}");
        assert!(key["next_return"].is_string() && !key["last_outcomes"].as_array().unwrap().is_empty(), "{key}");
    }
}

#[actix_web::test]
async fn with_the_provider_down_no_key_is_found_broken() {
    let gateway = Gateway::start().await;
    let config = json!({"max_retries": 1, "breaker_threshold": 0});
    let group = gateway.group("default", Channel::OpenAi, &KEYS, config).await;
    let clients = Clients::start(&gateway, 4);
    clients.wait(5 * KEYS.len(), |seen| seen.status == 200).await;
    gateway.double.on_every(Some(Behaviour::status(500)));
    clients.wait(20 * KEYS.len(), |seen| seen.status == 500).await;
    let pool = gateway.pool(group).await;
    assert_eq!(pool["counts"]["active"], KEYS.len(), "{}", pool["counts"]);
    gateway.double.on_every(None);
    clients.wait(5 * KEYS.len(), |seen| seen.status == 200).await;
    clients.stop().await;
    assert_eq!(gateway.pool(group).await["counts"]["active"], KEYS.len());
}
