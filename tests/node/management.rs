//! Management changes rule the data path at once.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use gpt_load_schema::channel::Channel;
use serde_json::{Value, json};

use crate::support::{AUTH_KEY, Gateway, Request, code};

impl Gateway {
    async fn manage(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(&Request::new(method, path).key(AUTH_KEY).json(body)).await;
        assert_eq!(answer.head.status, 200, "{method} {path}: {}", answer.json());
        answer.json()
    }

    async fn chat_at(&self, group: &str) -> u16 {
        self.send(&Request::chat_at(&format!("/proxy/{group}/v1/chat/completions"), false)).await.head.status
    }
}

#[actix_web::test]
async fn a_renamed_group_serves_by_its_new_name_alone() {
    let gateway = Gateway::start().await;
    let id = gateway.group("before", Channel::OpenAi, &["sk-1"], json!({})).await;
    assert_eq!(gateway.chat_at("before").await, 200);
    gateway.manage("PUT", &format!("/api/groups/{id}"), &json!({"name": "after"})).await;
    assert_eq!((gateway.chat_at("before").await, gateway.chat_at("after").await), (404, 200));
    let listed = gateway.manage("GET", "/api/groups", &json!({})).await;
    assert_eq!(listed["data"][0]["name"], "after");
    // The name is free again.
    gateway.group("before", Channel::OpenAi, &["sk-2"], json!({})).await;
    assert_eq!(gateway.chat_at("before").await, 200);
}

#[actix_web::test]
async fn keys_serve_from_the_answer_of_their_addition_to_that_of_their_deletion() {
    let gateway = Gateway::start().await;
    let id = gateway.group("default", Channel::OpenAi, &[], json!({})).await;
    for round in 0..5 {
        assert_eq!(gateway.chat_at("default").await, 503, "no key");
        let keys = json!({"group_id": id, "keys": [format!("sk-{round}")]});
        gateway.manage("POST", "/api/keys/add-multiple", &keys).await;
        assert_eq!(gateway.chat_at("default").await, 200);
        gateway.manage("POST", "/api/keys/delete-multiple", &keys).await;
    }
    let used: BTreeSet<_> = gateway.double.requests().into_iter().filter_map(|request| request.key).collect();
    assert_eq!(used.len(), 5);
}

#[actix_web::test]
async fn settings_are_read_as_they_were_saved_and_rule_at_once() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    gateway.manage("PUT", "/api/settings", &json!({"proxy_keys": "pk-new", "request_timeout": 77})).await;
    let saved = gateway.manage("GET", "/api/settings", &json!({})).await;
    let settings =
        saved["data"].as_array().unwrap().iter().flat_map(|category| category["settings"].as_array().unwrap());
    let value = |key: &str| settings.clone().find(|setting| setting["key"] == key).unwrap()["value"].clone();
    assert_eq!((value("proxy_keys"), value("request_timeout")), (json!("pk-new"), json!(77)));
    assert_eq!(gateway.chat_at("default").await, 401, "the former proxy key");
    let body = json!({"model": "m", "messages": []});
    let answer = gateway.send(&Request::new("POST", "/v1/chat/completions").key("pk-new").json(&body)).await;
    assert_eq!(answer.head.status, 200);
}

#[actix_web::test]
async fn a_group_is_deleted_under_traffic_without_a_fault() {
    let gateway = Arc::new(Gateway::start().await);
    gateway.group("stays", Channel::OpenAi, &["sk-stays"], json!({})).await;
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (gateway, over) = (Arc::clone(&gateway), Arc::clone(&over));
            actix_web::rt::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let request = Request::chat_at("/proxy/goes/v1/chat/completions", false);
                    let answer = gateway.send(&request).await;
                    let expected = match answer.head.status {
                        200 => true,
                        404 => code(&answer) == "NOT_FOUND",
                        503 => code(&answer) == "NO_KEYS_AVAILABLE",
                        _ => false,
                    };
                    assert!(expected, "{} {}", answer.head.status, answer.json());
                }
            })
        })
        .collect();
    for round in 0..5 {
        let id = gateway.group("goes", Channel::OpenAi, &["sk-goes"], json!({})).await;
        assert_eq!(gateway.chat_at("goes").await, 200, "{round}");
        gateway.manage("DELETE", &format!("/api/groups/{id}"), &json!({})).await;
        assert_eq!((gateway.chat_at("goes").await, gateway.chat_at("stays").await), (404, 200));
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    gateway.node.runtime().flush().await.unwrap();
    let stats = gateway.node.runtime().stats();
    assert_eq!((stats.respawns, stats.logs_waiting, stats.logs_dropped, stats.outcomes_waiting), (0, 0, 0, 0));
}
