//! What a viewer sees of a node that works.

use gpt_load_schema::{channel::Channel, secret::mask};
use serde_json::json;

use crate::support::{Gateway, Request, code};

const SECRET: &str = "sk-secret-of-the-roles-test-0123456789";

#[actix_web::test]
async fn a_viewer_follows_traffic_without_seeing_a_key() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &[SECRET], json!({})).await;
    let (_, viewer) = gateway.token("viewer", "viewer").await;
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    gateway.final_log().await;
    let mut seen = 0;
    for path in [
        "/api/logs".to_owned(),
        format!("/api/keys?group_id={group}"),
        format!("/api/groups/{group}/pool"),
        "/api/audit".to_owned(),
        "/blacklist".to_owned(),
        "/stats".to_owned(),
        "/metrics".to_owned(),
    ] {
        let answer = gateway.send(&Request::new("GET", &path).key(&viewer)).await;
        let text = String::from_utf8_lossy(&answer.body()).into_owned();
        assert_eq!(answer.head.status, 200, "{path}: {text}");
        assert!(!text.contains(SECRET), "{path}: {text}");
        seen += usize::from(text.contains(&mask(SECRET)));
    }
    assert_eq!(seen, 4, "logs, keys, pool and audit log name the key by its mask");
    for (method, path) in [
        ("GET", format!("/api/keys/export?group_id={group}")),
        ("GET", "/api/logs/export".to_owned()),
        ("GET", "/reset-keys".to_owned()),
        ("DELETE", format!("/api/groups/{group}")),
    ] {
        let answer = gateway.send(&Request::new(method, &path).key(&viewer)).await;
        assert_eq!((answer.head.status, code(&answer).as_str()), (403, "FORBIDDEN"), "{method} {path}");
    }
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200, "the group is still there");
}
