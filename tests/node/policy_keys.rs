//! What policies make of keys.

use std::time::Duration;

use gpt_load_benches::double::Behaviour;
use gpt_load_schema::{channel::Channel, ids::GroupId, key::KeyState, time::Timestamp};
use serde_json::{Value, json};

use crate::support::{AUTH_KEY, Gateway, Request};

/// Attaches one policy of this type with one rule for a status.
async fn attach(gateway: &Gateway, group: GroupId, kind: &str, status: u16, rule: &Value) {
    let mut rule = rule.clone();
    rule["conditions"] = json!([{"type": "status_code", "operator": "equals", "value": status}]);
    let body = json!({"name": format!("{kind} of {group}"), "type": kind, "config": {"rules": [rule]}});
    let made = gateway.send(&Request::new("POST", "/api/policies").key(AUTH_KEY).json(&body)).await.json();
    let links = json!([{"policy_id": made["data"]["id"]}]);
    let path = format!("/api/groups/{group}/policies");
    let attached = gateway.send(&Request::new("PUT", &path).key(AUTH_KEY).json(&links)).await;
    assert_eq!(attached.head.status, 200, "{}", attached.json());
}

#[actix_web::test]
async fn a_degradation_rule_takes_a_key_out_that_the_class_would_spare() {
    let gateway = Gateway::with_keys(&["sk-1", "sk-2"]).await;
    let group = gateway.find_group("default").await.id;
    attach(&gateway, group, "degradation", 500, &json!({"name": "sick", "action": "disable", "duration": "5m"})).await;
    gateway.double.on_key("sk-1", Behaviour::status(500));
    for _ in 0..4 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    let used = gateway.double.requests();
    assert_eq!(used.iter().filter(|request| request.key.as_deref() == Some("sk-1")).count(), 1);
    let states = gateway.key_states(group).await;
    assert_eq!(states, [("sk-1".to_owned(), KeyState::Disabled), ("sk-2".to_owned(), KeyState::Active)]);
    let keys = gateway.node.store().keys_after(group, &Default::default(), None, 10).await.unwrap();
    assert_eq!(keys[0].health.last_rule.as_deref(), Some(&*format!("policy degradation of {group}: sick")));
    let left = keys[0].health.disabled_until.unwrap().since(Timestamp::now());
    assert!(left > Duration::from_secs(290) && left <= Duration::from_secs(300), "{left:?}");
}

#[actix_web::test]
async fn a_retry_rule_that_blames_the_key_goes_on_with_another() {
    let gateway = Gateway::with_keys(&["sk-1", "sk-2"]).await;
    let group = gateway.find_group("default").await.id;
    attach(&gateway, group, "retry", 400, &json!({"action": "invalidate"})).await;
    gateway.double.on_key("sk-1", Behaviour::status(400));
    for _ in 0..3 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    let states = gateway.key_states(group).await;
    assert_eq!(states, [("sk-1".to_owned(), KeyState::Invalid), ("sk-2".to_owned(), KeyState::Active)]);
}

#[actix_web::test]
async fn a_key_may_be_spared_or_sent_to_rest() {
    let gateway = Gateway::start().await;
    let spared = gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({})).await;
    attach(&gateway, spared, "degradation", 401, &json!({"action": "spare"})).await;
    gateway.double.on_key("sk-1", Behaviour::invalid_key());
    for _ in 0..4 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    assert!(gateway.key_states(spared).await.iter().all(|(_, state)| *state == KeyState::Active));

    let rested = gateway.group("rested", Channel::OpenAi, &["sk-3"], json!({})).await;
    attach(&gateway, rested, "degradation", 503, &json!({"action": "rest", "duration": "1m"})).await;
    gateway.double.on_key("sk-3", Behaviour::status(503));
    let target = "/proxy/rested/v1/chat/completions";
    assert_eq!(gateway.send(&Request::chat_at(target, false)).await.head.status, 503);
    let answer = gateway.send(&Request::chat_at(target, false)).await;
    assert_eq!(answer.head.status, 429);
    let seconds: u64 = answer.head.header("retry-after").unwrap().parse().unwrap();
    assert!((50..=60).contains(&seconds), "{seconds}");
    assert_eq!(gateway.key_states(rested).await, [("sk-3".to_owned(), KeyState::Active)]);
}
