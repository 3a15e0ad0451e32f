//! Which request is for the web UI, which for the API and which for a provider. Holds with and without a built UI.

use gpt_load_benches::{double::Options, raw::Answer};
use gpt_load_schema::channel::Channel;
use serde_json::json;

use crate::support::{AUTH_KEY, Gateway, Request};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn is_page(answer: &Answer) -> bool {
    answer.head.status == 200 && answer.head.header("content-type") == Some("text/html; charset=utf-8")
}

#[actix_web::test]
async fn browsers_get_pages_and_programs_get_the_gateway() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    for path in ["/", "/keys", "/logs?status_code=429", "/settings", "/login", "/policies", "/cluster", "/no/such/page"]
    {
        let answer = gateway.send(&Request::new("GET", path).header("accept", BROWSER)).await;
        assert!(is_page(&answer), "{path}: {}", answer.head.status);
        assert_eq!(answer.head.header("cache-control"), Some("no-cache, no-store, must-revalidate"), "{path}");
        let policy = answer.head.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.head.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    for path in ["/keys", "/api/no-such", "/proxy/nope/v1/models", "/assets/none.js", "/v1/nope?key=wrong"] {
        let answer = gateway.send(&Request::new("GET", path).header("accept", "application/json")).await;
        assert!(!is_page(&answer) && answer.head.status >= 400, "{path}: {}", answer.head.status);
    }
    // A browser that opens an address of the API or of a provider gets what is there.
    for (path, status) in
        [("/api/groups", 401), ("/v1/models", 401), ("/proxy/default/v1/models", 401), ("/health", 200)]
    {
        let answer = gateway.send(&Request::new("GET", path).header("accept", BROWSER)).await;
        assert_eq!((answer.head.status, is_page(&answer)), (status, false), "{path}");
    }
    assert_eq!(gateway.double.requests().len(), 0);
}

#[actix_web::test]
async fn the_root_entrance_still_proxies_whatever_is_posted() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    for path in ["/v1/chat/completions", "/chat/completions", "/keys", "/settings/x"] {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        let request = Request::new("POST", path).key(AUTH_KEY).header("accept", BROWSER).json(&body);
        let before = gateway.double.requests().len();
        let answer = gateway.send(&request).await;
        assert_eq!(gateway.double.requests().len(), before + 1, "{path}");
        assert_eq!(answer.head.header("x-frame-options"), None, "{path}: answers of upstreams pass unchanged");
    }
    let posted = gateway.send(&Request::new("POST", "/api/no-such").key(AUTH_KEY).json(&json!({}))).await;
    assert_eq!((posted.head.status, posted.json()["code"].as_str()), (404, Some("NOT_FOUND")));
    assert_eq!(posted.head.header("x-frame-options"), Some("SAMEORIGIN"));
}

#[actix_web::test]
async fn the_ui_lives_under_the_path_prefix() {
    let gateway = Gateway::start_with(Options::default(), &[("BASE_PATH", "/llm")]).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    for path in ["/llm", "/llm/", "/llm/keys"] {
        let answer = gateway.send(&Request::new("GET", path).header("accept", BROWSER)).await;
        assert!(is_page(&answer), "{path}: {}", answer.head.status);
        assert!(String::from_utf8_lossy(&answer.body()).contains("href=\"/llm/"), "{path}");
    }
    for path in ["/", "/keys", "/llmx"] {
        let answer = gateway.send(&Request::new("GET", path).header("accept", BROWSER)).await;
        assert_eq!(answer.head.status, 404, "{path}");
    }
}
