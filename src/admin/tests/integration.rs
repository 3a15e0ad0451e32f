use actix_web::http::Method;
use serde_json::{Value, json};

use super::support::{Api, group, with};

/// A node with groups of every kind; the global proxy key is `pk-global`.
async fn node() -> Api {
    let api = Api::start().await;
    api.put("/api/settings", json!({"proxy_keys": "pk-global, pk-other"})).await.message();
    for (name, change) in [
        ("plain", json!({"display_name": "Plain", "sort": 2, "proxy_keys": " pk-plain ,"})),
        ("custom", json!({"sort": 1, "validation_endpoint": "/v1/other"})),
        ("usual", json!({"sort": 1, "validation_endpoint": "/v1/chat/completions"})),
        ("claude", json!({"sort": 0, "channel_type": "anthropic", "validation_endpoint": "/v2/messages"})),
        (
            "answers",
            json!({"sort": 3, "channel_type": "openai-response", "validation_endpoint": "/v1/chat/completions"}),
        ),
        ("all", json!({"sort": 4, "group_type": "aggregate", "proxy_keys": "pk-all"})),
    ] {
        api.post("/api/groups", with(group(name), &change)).await.data();
    }
    api
}

fn anonymous(method: Method, path: &str) -> actix_web::test::TestRequest {
    actix_web::test::TestRequest::with_uri(path).method(method).insert_header(("Accept-Language", "en"))
}

fn entry(name: &str, display_name: &str, channel_type: &str, path: &str) -> Value {
    json!({"name": name, "display_name": display_name, "channel_type": channel_type, "path": path})
}

#[actix_web::test]
async fn a_key_lists_the_groups_that_accept_it() {
    let api = node().await;
    let ask =
        async |key: &str| api.send(anonymous(Method::GET, &format!("/api/integration/info?key={key}"))).await.data();
    let everything = json!([
        entry("claude", "", "anthropic", "/proxy/claude"),
        entry("usual", "", "openai", "/proxy/usual"),
        entry("custom", "", "custom", "/proxy/custom/v1/other"),
        entry("plain", "Plain", "openai", "/proxy/plain"),
        entry("answers", "", "custom", "/proxy/answers/v1/chat/completions"),
        entry("all", "", "openai", "/proxy/all"),
    ]);
    assert_eq!(ask("pk-global").await, everything);
    assert_eq!(ask("pk-other").await, everything);
    assert_eq!(ask("pk-plain").await, json!([entry("plain", "Plain", "openai", "/proxy/plain")]));
    assert_eq!(ask("pk-all").await, json!([entry("all", "", "openai", "/proxy/all")]));
}

#[actix_web::test]
async fn a_group_answers_at_its_own_address_to_every_method() {
    let api = node().await;
    for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS]
    {
        for (name, key, expected) in [
            ("plain", "pk-plain", entry("plain", "Plain", "openai", "")),
            ("plain", "pk-global", entry("plain", "Plain", "openai", "")),
            ("custom", "pk-global", entry("custom", "", "custom", "/v1/other")),
        ] {
            let path = format!("/proxy/{name}/api/integration/info?key={key}");
            let answer = api.send(anonymous(method.clone(), &path)).await;
            assert_eq!(answer.data(), json!([expected]), "{method} {path}");
        }
    }
}

#[actix_web::test]
async fn without_a_right_key_nothing_is_told() {
    let api = node().await;
    let cases = [
        ("/api/integration/info", 400, "VALIDATION_FAILED", "key"),
        ("/api/integration/info?key=", 400, "VALIDATION_FAILED", "key"),
        ("/api/integration/info?key=wrong", 400, "VALIDATION_FAILED", "key"),
        ("/api/integration/info?key=pk-global,%20pk-other", 400, "VALIDATION_FAILED", "key"),
        ("/proxy/plain/api/integration/info", 400, "VALIDATION_FAILED", "key"),
        ("/proxy/plain/api/integration/info?key=wrong", 400, "VALIDATION_FAILED", "key"),
        ("/proxy/plain/api/integration/info?key=pk-all", 400, "VALIDATION_FAILED", "key"),
        ("/proxy/none/api/integration/info?key=pk-global", 404, "NOT_FOUND", ""),
        ("/proxy/none/api/integration/info", 400, "VALIDATION_FAILED", "key"),
    ];
    for (path, status, code, field) in cases {
        // Headers are not consulted.
        let request = anonymous(Method::GET, path).insert_header(("Authorization", "Bearer pk-global"));
        api.send(request).await.is_error(status, code, field, path);
    }
}
