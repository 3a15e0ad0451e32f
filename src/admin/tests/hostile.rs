use actix_web::http::Method;
use serde_json::{Value, json};

use super::support::{Api, group, with};

/// Values that no field expects, or expects differently.
fn hostile() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(1e308),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}"),
        json!("🗝️\u{202e}"),
        json!("a".repeat(100_000)),
        json!([]),
        json!([null]),
        json!([[], {}]),
        json!([""]),
        json!([{"id": i64::MAX, "sort": i64::MAX, "url": "http://", "weight": u64::MAX, "key": "\u{0}", "action": ""}]),
        json!({}),
        json!({"": ""}),
        json!({"a": {"b": [1, {"c": null}]}}),
    ]
}

/// Method, path, a good body and the fields to spoil; `id` is a group, `key` one of its keys.
fn routes(id: i64, key: i64) -> Vec<(Method, String, Value, Vec<&'static str>)> {
    let group_fields = vec![
        "name",
        "display_name",
        "description",
        "group_type",
        "upstreams",
        "channel_type",
        "sort",
        "test_model",
        "validation_endpoint",
        "param_overrides",
        "model_redirect_rules",
        "model_redirect_strict",
        "config",
        "header_rules",
        "proxy_keys",
    ];
    let key_fields = vec!["group_id", "keys_text", "keys", "key_values", "new_key_state"];
    let keys = json!({"group_id": id, "keys_text": "sk-1"});
    let whole = json!({"group_id": id});
    vec![
        (Method::POST, "/api/auth/login".to_owned(), json!({}), vec!["auth_key"]),
        (Method::POST, format!("/api/groups/{id}/copy"), json!({}), vec!["copy_keys"]),
        (Method::POST, format!("/api/groups/{id}/sub-groups"), json!({}), vec!["sub_groups"]),
        (Method::PUT, format!("/api/groups/{id}/sub-groups/{id}/weight"), json!({}), vec!["weight"]),
        (Method::PUT, "/api/keys/1/notes".to_owned(), json!({}), vec!["notes"]),
        (Method::POST, "/api/groups".to_owned(), group("g"), group_fields.clone()),
        (Method::PUT, format!("/api/groups/{id}"), json!({}), group_fields),
        (Method::PUT, "/api/groups/reorder".to_owned(), json!({}), vec!["items"]),
        (Method::POST, "/api/keys/add-multiple".to_owned(), keys.clone(), key_fields.clone()),
        (Method::POST, "/api/keys/delete-multiple".to_owned(), keys.clone(), key_fields.clone()),
        (Method::POST, "/api/keys/restore-multiple".to_owned(), keys, key_fields),
        (Method::POST, "/api/keys/restore-all-invalid".to_owned(), whole.clone(), vec!["group_id"]),
        (Method::POST, "/api/keys/clear-all-invalid".to_owned(), whole.clone(), vec!["group_id"]),
        (Method::POST, "/api/keys/clear-all".to_owned(), whole, vec!["group_id"]),
        (Method::PATCH, format!("/api/keys/{key}"), json!({}), vec!["state", "weight", "priority", "upstream"]),
        (
            Method::PUT,
            "/api/settings".to_owned(),
            json!({}),
            vec!["app_url", "request_timeout", "enable_request_body_logging", "proxy_url", "failover_status_codes", ""],
        ),
    ]
}

async fn target(api: &Api) -> (i64, i64) {
    let id = api.group("target").await;
    api.keys(id, &["sk-target"]).await;
    (id, api.key_id(id, "sk-target").await)
}

#[actix_web::test]
async fn no_value_of_any_field_is_the_servers_fault() {
    let api = Api::start().await;
    let (id, key) = target(&api).await;
    for (method, path, good, fields) in routes(id, key) {
        for field in fields {
            for value in hostile() {
                let body = with(good.clone(), &json!({field: value}));
                let answer = api.raw(method.clone(), &path, body.to_string()).await;
                let case: String = format!("{method} {path} {field}: {value}").chars().take(120).collect();
                assert!(answer.status < 500, "{case} → {} {}", answer.status, answer.text);
                assert!(answer.json().is_object(), "{case}");
            }
        }
    }
}

#[actix_web::test]
async fn no_query_is_the_servers_fault() {
    let api = Api::start().await;
    let id = api.group("target").await;
    let values = ["", "-1", "0", "9223372036854775808", "1e9", "%00", "%ff%fe", "%zz", "'%20OR%201=1--", "a%0d%0ab"];
    let pool = format!("/api/groups/{id}/pool");
    for path in ["/api/keys", "/api/keys/export", "/api/groups", &pool] {
        for field in ["group_id", "status", "state", "key_value", "page", "page_size", "format", "wrap"] {
            for value in values {
                let query = format!("{path}?{field}={value}&group_id={id}");
                let answer = api.get(&query).await;
                assert!(answer.status < 500, "{query} → {} {}", answer.status, answer.text);
            }
        }
    }
}

#[actix_web::test]
async fn no_bytes_are_the_servers_fault() {
    let api = Api::start().await;
    let (id, key) = target(&api).await;
    let deep = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let bodies: Vec<Vec<u8>> = vec![
        b"\xff\xfe{\"a\": 1}".to_vec(),
        b"{\"name\": \"\xc3\x28\"}".to_vec(),
        b"{\"name\": \"\\ud800\"}".to_vec(),
        b"{\"group_id\": 1, \"group_id\": 2, \"keys_text\": \"a\", \"keys_text\": [], \"items\": 1, \"items\": []}"
            .to_vec(),
        b"{\"group_id\": 1e1000}".to_vec(),
        format!("{{\"group_id\": {}}}", "9".repeat(10_000)).into_bytes(),
        format!("{{\"sort\": -0.{}1}}", "0".repeat(10_000)).into_bytes(),
        deep.into_bytes(),
        vec![b'['; 1 << 20],
        vec![0; 4096],
        b"group_id=1&keys_text=a".to_vec(),
    ];
    for (method, path, ..) in routes(id, key) {
        for body in &bodies {
            let answer = api.raw(method.clone(), &path, body.clone()).await;
            let case = format!("{method} {path} {:.40}", String::from_utf8_lossy(body));
            assert!(answer.status < 500, "{case} → {} {}", answer.status, answer.text);
            assert!(answer.json().is_object(), "{case}");
        }
    }
}

#[actix_web::test]
async fn no_path_is_the_servers_fault() {
    let api = Api::start().await;
    let ids = ["0", "-1", "9223372036854775808", "1.0", "%ff", "%00", "a", "%2e%2e", "1%2f2", "", "%zz"];
    for id in ids {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::POST, Method::PATCH] {
            for path in [format!("/api/groups/{id}"), format!("/api/keys/{id}"), format!("/api/groups/{id}/pool")] {
                let answer = api.raw(method.clone(), &path, "{}").await;
                assert!((400..500).contains(&answer.status) || id.is_empty(), "{method} {path} → {}", answer.status);
            }
        }
    }
}
