//! What a group says of itself at its own address.

use gpt_load_schema::channel::Channel;
use serde_json::json;

use crate::support::{AUTH_KEY, Gateway, Request};

#[actix_web::test]
async fn integration_info_is_never_proxied_and_its_neighbours_are() {
    let gateway = Gateway::start().await;
    gateway.group("team", Channel::OpenAi, &["sk-1"], json!({})).await;
    for method in ["GET", "POST", "DELETE"] {
        let path = format!("/proxy/team/api/integration/info?key={AUTH_KEY}");
        let answer = gateway.send(&Request::new(method, &path)).await;
        let expected = json!([{"name": "team", "display_name": "", "channel_type": "openai", "path": ""}]);
        assert_eq!((answer.head.status, &answer.json()["data"]), (200, &expected), "{method}");
        let answer = gateway.send(&Request::new(method, "/proxy/team/api/integration/info").key(AUTH_KEY)).await;
        assert_eq!((answer.head.status, &answer.json()["code"]), (400, &json!("VALIDATION_FAILED")), "{method}");
    }
    assert!(gateway.double.requests().is_empty());
    let neighbour = format!("/proxy/team/v1/api/integration/info?key={AUTH_KEY}");
    gateway.send(&Request::new("POST", &neighbour).json(&json!({}))).await;
    assert_eq!(gateway.double.requests().len(), 1);
}

#[actix_web::test]
async fn the_log_of_a_request_is_listed_counted_and_told() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    let row = gateway.final_log().await;
    let get = async |path: &str| gateway.send(&Request::new("GET", path).key(AUTH_KEY)).await.json()["data"].clone();
    let listed = get("/api/logs?key_value=sk-1&is_success=true").await;
    assert_eq!(
        (&listed["items"][0]["id"], &listed["pagination"]["total_items"]),
        (&json!(row.id.to_string()), &json!(1))
    );
    let told = get(&format!("/api/logs/{}/attempts", row.request_id)).await;
    assert_eq!(told["attempts"], listed["items"]);
    let stats = get(&format!("/api/groups/{}/stats", row.group_id)).await;
    assert_eq!(
        (&stats["stats_24_hour"]["total_requests"], &stats["avg_response_time"]),
        (&json!(1), &json!(row.duration_ms))
    );
    let dashboard = get("/api/dashboard/stats").await;
    assert_eq!((&dashboard["request_count"]["value"], &dashboard["rpm"]["value"]), (&json!(1), &json!(0.1)));
}
