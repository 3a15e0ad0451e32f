use gpt_load_actors::commands::{Command, Order};
use gpt_load_schema::ids::GroupId;
use serde_json::{Value, json};

use super::support::Api;

#[actix_web::test]
async fn health_has_four_fields_and_needs_no_key() {
    let api = Api::start().await;
    let answer = api.send(actix_web::test::TestRequest::with_uri("/health")).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["status"], &body["version"]), (200, &json!("healthy"), &json!("1.2.3")));
    let timestamp = body["timestamp"].as_str().unwrap();
    assert_eq!((timestamp.len(), timestamp.ends_with('Z')), (20, true), "{timestamp}");
    assert!(body["uptime"].as_str().unwrap().ends_with('s'));
    assert_eq!(body.as_object().unwrap().len(), 4);
}

#[actix_web::test]
async fn probes_may_ask_for_the_head_only() {
    let api = Api::start().await;
    for path in ["/health", "/health/live", "/health/ready"] {
        let request = actix_web::test::TestRequest::with_uri(path).method(actix_web::http::Method::HEAD);
        assert_eq!(api.send(request).await.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn a_running_node_is_live_and_ready() {
    let api = Api::start().await;
    let live = api.send(actix_web::test::TestRequest::with_uri("/health/live")).await;
    assert_eq!((live.status, live.json()), (200, json!({"status": "ok"})));
    let ready = api.send(actix_web::test::TestRequest::with_uri("/health/ready")).await;
    let checks = json!({"database": "ok", "routing": "ok"});
    assert_eq!((ready.status, ready.json()), (200, json!({"status": "ready", "checks": checks})));
}

#[actix_web::test]
async fn a_node_without_routes_is_not_ready() {
    let api = Api::start().await;
    api.state.routing.store(None);
    let ready = api.send(actix_web::test::TestRequest::with_uri("/health/ready")).await;
    assert_eq!((ready.status, &ready.json()["checks"]["routing"]), (503, &json!("starting")));
    assert_eq!(ready.headers["retry-after"], "2");
}

#[actix_web::test]
async fn what_is_wrong_is_told_to_holders_of_the_key_alone() {
    let api = Api::start().await;
    let (out, fine) = (api.group("out-of-keys").await, api.group("fine").await);
    api.keys(out, &["sk-1", "sk-2"]).await;
    api.keys(fine, &["sk-3", "sk-4"]).await;
    api.group("empty").await;
    let told = async || api.get("/health").await.json()["warnings"].clone();
    assert_eq!(told().await, Value::Null);
    for (group, key, order) in
        [(out, "sk-1", Order::Disable), (out, "sk-2", Order::Invalidate), (fine, "sk-3", Order::Invalidate)]
    {
        let key = api.state.store.key_by_value(GroupId(group), &key.into()).await.unwrap().unwrap();
        api.state.runtime.execute(Command::OrderKey(GroupId(group), key.id, order)).await.unwrap();
    }
    assert_eq!(told().await, json!(["group out-of-keys: no key may serve (1 disabled for a while, 1 invalid)"]));
    for request in [
        actix_web::test::TestRequest::with_uri("/health"),
        actix_web::test::TestRequest::with_uri("/health").insert_header(("Authorization", "Bearer wrong")),
    ] {
        let answer = api.send(request.peer_addr("192.0.2.1:1".parse().unwrap())).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("healthy")));
        assert!(!answer.text.contains("out-of-keys") && answer.json().get("warnings").is_none(), "{}", answer.text);
    }
}
