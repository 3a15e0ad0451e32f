//! A provider that is down under load: no key is blamed, and traffic is back with the provider.

use std::time::{Duration, Instant};

use gpt_load_benches::double::{At, Behaviour};
use gpt_load_schema::channel::Channel;
use serde_json::json;

use crate::{clients::Clients, support::Gateway};

const KEYS: usize = 100;
const CLIENTS: usize = 16;
/// Much longer than a breaker, a threshold of failures or a guard needs to act.
const DOWN: Duration = Duration::from_secs(2);
/// From the provider's return to whole traffic.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// Takes the provider away by `fail`, gives it back by `heal`; while it is away clients see `status`.
async fn outage(status: u16, fail: impl Fn(&Gateway), heal: impl Fn(&Gateway)) {
    let gateway = Gateway::start().await;
    let keys: Vec<String> = (0..KEYS).map(|number| format!("sk-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let config = json!({"max_retries": 1, "response_header_timeout": 1, "breaker_threshold": 5});
    let group = gateway.group("default", Channel::OpenAi, &keys, config).await;
    let clients = Clients::start(&gateway, CLIENTS);
    clients.wait(2 * KEYS, |seen| seen.status == 200).await;

    let down = Instant::now();
    fail(&gateway);
    clients.wait(CLIENTS, |seen| seen.status == status).await;
    let pool = gateway.pool_until(group, |pool| pool["upstreams"][0]["circuit"] == "open").await;
    assert!(pool["upstreams"][0]["consecutive_faults"].as_u64() >= Some(5), "{pool}");
    tokio::time::sleep(DOWN.saturating_sub(down.elapsed())).await;
    let pool = gateway.pool(group).await;
    assert_eq!(pool["counts"]["active"], KEYS, "not one key left the pool: {}", pool["counts"]);
    assert_eq!((&pool["resting"], &pool["held"]), (&json!(0), &json!(0)));

    heal(&gateway);
    let healed = Instant::now();
    clients.wait(2 * KEYS, |seen| seen.status == 200).await;
    let seen = clients.stop().await;
    let before = seen.iter().filter(|seen| seen.answered < down);
    assert!(before.map(|seen| seen.status).all(|status| status == 200), "all was well before");
    let back = seen.iter().find(|seen| seen.answered > healed && seen.status == 200).unwrap().answered - healed;
    assert!(back < BACK_WITHIN, "traffic was back after {back:?}");
    let after = seen.iter().filter(|seen| seen.asked > healed);
    assert!(after.map(|seen| seen.status).all(|status| status == 200), "and whole");

    let pool = gateway.pool(group).await;
    assert_eq!(pool["counts"]["active"], KEYS, "{}", pool["counts"]);
    assert_eq!((&pool["upstreams"][0]["circuit"], &pool["guard"]), (&json!("closed"), &json!([])));
    assert_eq!(gateway.warnings().await, Vec::<String>::new());
    let keys = gateway.node.store().keys_after(group, &Default::default(), None, 1_000).await.unwrap();
    assert!(keys.iter().all(|key| key.failure_count == 0), "and none was counted against");
}

#[actix_web::test]
async fn a_provider_that_refuses_connections_costs_no_key() {
    outage(502, |gateway| gateway.double.shut(), |gateway| gateway.double.open().unwrap()).await;
}

#[actix_web::test]
async fn a_provider_that_answers_500_costs_no_key() {
    outage(
        500,
        |gateway| gateway.double.on_every(Some(Behaviour::status(500))),
        |gateway| gateway.double.on_every(None),
    )
    .await;
}

#[actix_web::test]
async fn a_provider_that_says_nothing_costs_no_key() {
    outage(
        504,
        |gateway| gateway.double.on_every(Some(Behaviour::hang(At::Head))),
        |gateway| gateway.double.on_every(None),
    )
    .await;
}
