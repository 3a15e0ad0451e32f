//! Access tokens of a whole node: what they open, and until when.

use gpt_load_schema::channel::Channel;
use serde_json::json;

use crate::support::{Gateway, Request, code};

impl Gateway {
    /// Makes an access token; answers its id and its value.
    pub(crate) async fn token(&self, name: &str, role: &str) -> (i64, String) {
        let made = self.api("POST", "/api/tokens", &json!({"name": name, "role": role})).await;
        (made["id"].as_i64().unwrap(), made["token"].as_str().unwrap().to_owned())
    }
}

#[actix_web::test]
async fn a_token_opens_the_management_api_and_nothing_else_also_after_a_restart() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    let (id, value) = gateway.token("robot", "admin").await;
    let ask = async |gateway: &Gateway| gateway.send(&Request::new("GET", "/api/groups").key(&value)).await.head.status;
    assert_eq!(ask(&gateway).await, 200);
    let chat = Request::new("POST", "/v1/chat/completions").key(&value).json(&json!({"model": "m", "messages": []}));
    assert_eq!(gateway.send(&chat).await.head.status, 401, "a token is no proxy key");
    assert!(gateway.double.requests().is_empty());

    let gateway = gateway.restart().await;
    let seen = gateway.api("GET", &format!("/api/tokens/{id}"), &json!({})).await;
    assert!(seen["last_used_at"].is_string(), "the use is remembered: {seen}");
    assert_eq!(ask(&gateway).await, 200);
    gateway.api("DELETE", &format!("/api/tokens/{id}"), &json!({})).await;
    assert_eq!(ask(&gateway).await, 401);
    let gateway = gateway.restart().await;
    assert_eq!(ask(&gateway).await, 401);
}

#[actix_web::test]
async fn a_token_ends_in_the_middle_of_a_connection() {
    let gateway = Gateway::start().await;
    let (id, value) = gateway.token("robot", "viewer").await;
    let mut client = gateway.client().await;
    let request = Request::new("GET", &format!("/api/groups?key={value}")).bytes();
    assert_eq!(client.exchange(&request).await.unwrap().head.status, 200);
    let expired = json!({"expires_at": "2020-01-01T00:00:00Z"});
    gateway.api("PATCH", &format!("/api/tokens/{id}"), &expired).await;
    let answer = client.exchange(&request).await.unwrap();
    assert_eq!((answer.head.status, code(&answer).as_str()), (401, "UNAUTHORIZED"));
}
