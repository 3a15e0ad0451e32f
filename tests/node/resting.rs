//! Keys that must rest: the provider is not asked before their time, clients are told the truth, a restart forgets nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use gpt_load_benches::double::Behaviour;
use gpt_load_schema::{channel::Channel, key::KeyState};
use serde_json::{Value, json};

use crate::{
    clients::Clients,
    support::{Gateway, Request, code},
};

const KEYS: usize = 20;
/// What the provider asks for.
const REST: Duration = Duration::from_secs(2);
/// What was in flight when a key's first 429 came has reached the provider by then.
const IN_FLIGHT: Duration = Duration::from_millis(250);
/// The gateway's clock counts whole milliseconds.
const TICK: Duration = Duration::from_millis(2);
/// What a return may be late by on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);

#[actix_web::test]
async fn while_every_key_rests_the_provider_is_left_alone() {
    let gateway = Gateway::start().await;
    let keys: Vec<String> = (0..KEYS).map(|number| format!("sk-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let group = gateway.group("default", Channel::OpenAi, &keys, json!({})).await;
    gateway.double.on_every(Some(Behaviour::rate_limited(REST.as_secs())));
    let clients = Clients::start(&gateway, 4);
    gateway.pool_until(group, |pool| pool["resting"] == KEYS).await;
    gateway.double.on_every(None);
    clients.wait(KEYS, |seen| seen.status == 200).await;
    let seen = clients.stop().await;

    let mut uses: BTreeMap<String, Vec<Instant>> = BTreeMap::new();
    for request in gateway.double.requests() {
        uses.entry(request.key.unwrap()).or_default().push(request.at);
    }
    assert_eq!(uses.len(), KEYS);
    for (key, times) in &uses {
        for pause in times.iter().map(|time| *time - times[0]).filter(|pause| *pause > IN_FLIGHT) {
            assert!(pause + TICK >= REST, "{key} was asked again after {pause:?}");
        }
    }
    // Once every key rests, the gateway answers by itself.
    let first_rest = uses.values().map(|times| times[0]).min().unwrap();
    let last_rest = uses.values().map(|times| times[0]).max().unwrap();
    let idle: Vec<_> = seen.iter().filter(|seen| seen.code == "ALL_KEYS_RESTING").collect();
    assert!(!idle.is_empty());
    for answer in &idle {
        let told = Duration::from_secs(answer.retry_after.expect("a time to come back"));
        let left = (first_rest + REST).saturating_duration_since(answer.answered);
        assert!(told >= left, "told {told:?}, but the first key was back only after {left:?}");
        let at_latest = (last_rest + REST).saturating_duration_since(answer.asked) + AT_ONCE;
        assert!(told < at_latest + Duration::from_secs(1), "told {told:?}, and it was {at_latest:?} at most");
    }
    for answer in seen.iter().filter(|seen| seen.status != 200) {
        assert_eq!((answer.status, answer.retry_after.is_some()), (429, true), "{answer:?}");
    }
    let resumed = seen.iter().find(|seen| seen.status == 200).unwrap().answered;
    let late = resumed.saturating_duration_since(first_rest + REST);
    assert!(resumed + TICK > first_rest + REST && late < AT_ONCE, "traffic was back {late:?} after the first key");
    let states = gateway.key_states(group).await;
    assert!(states.iter().all(|(_, state)| *state == KeyState::Active), "a rest is no failure");
}

#[actix_web::test]
async fn who_waits_as_told_is_served() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({"max_retries": 0})).await;
    gateway.double.on_next(2, Behaviour::rate_limited(1));
    for _ in 0..2 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 429);
    }
    let told = gateway.send(&Request::chat(false)).await;
    assert_eq!((told.head.status, code(&told).as_str()), (429, "ALL_KEYS_RESTING"));
    let wait = told.head.header("retry-after").unwrap().parse().unwrap();
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
}

/// What a restart must not change of a key.
fn lasting(key: &Value) -> Value {
    let fields = [
        "key_value",
        "status",
        "request_count",
        "failure_count",
        "consecutive_failures",
        "backoff_level",
        "last_failure_at",
        "last_success_at",
        "disabled_until",
        "resting_until",
        "last_used_at",
        "state_reason",
        "next_return",
        "last_outcomes",
        "weight",
        "priority",
    ];
    fields.iter().map(|field| ((*field).to_owned(), key[field].clone())).collect::<serde_json::Map<_, _>>().into()
}

#[actix_web::test]
async fn a_restart_forgets_nothing() {
    let gateway = Gateway::start().await;
    let keys = ["sk-revoked", "sk-resting", "sk-empty", "sk-forbidden", "sk-good"];
    let group = gateway.group("default", Channel::OpenAi, &keys, json!({"max_retries": 10})).await;
    gateway.double.on_key("sk-revoked", Behaviour::invalid_key());
    gateway.double.on_key("sk-resting", Behaviour::rate_limited(600));
    gateway.double.on_key("sk-empty", Behaviour::insufficient_quota());
    gateway.double.on_key("sk-forbidden", Behaviour::status(403).message("no").times(1));
    for _ in 0..3 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    gateway.idle().await;
    let ids: Vec<_> = {
        gateway.node.runtime().flush().await.unwrap();
        let keys = gateway.node.store().keys_after(group, &Default::default(), None, 10).await.unwrap();
        keys.into_iter().map(|key| key.id).collect()
    };
    let described = async |gateway: &Gateway| {
        let mut described = Vec::new();
        for id in &ids {
            described.push(lasting(&gateway.api("GET", &format!("/api/keys/{id}"), &Value::Null).await));
        }
        described
    };
    let before = described(&gateway).await;
    let states: Vec<_> =
        before.iter().map(|key| (key["status"].as_str().unwrap(), &key["state_reason"]["class"])).collect();
    let class = |word: &str| json!(word);
    let expected = [
        ("invalid", &class("key_invalid")),
        ("active", &class("rate_limited")),
        ("disabled", &class("quota_exhausted")),
    ];
    assert_eq!(states[..3], expected);
    assert_eq!(states[4], ("active", &Value::Null));
    let asked = gateway.double.requests().len();

    let gateway = gateway.restart().await;
    assert_eq!(described(&gateway).await, before);
    for _ in 0..4 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    let used: BTreeSet<_> =
        gateway.double.requests().split_off(asked).into_iter().map(|request| request.key.unwrap()).collect();
    assert!(!used.contains("sk-revoked") && !used.contains("sk-resting") && !used.contains("sk-empty"), "{used:?}");
}
