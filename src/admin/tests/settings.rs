use gpt_load_schema::settings::DYNAMIC;
use serde_json::{Value, json};

use super::support::Api;

fn setting<'a>(categories: &'a Value, key: &str) -> &'a Value {
    let mut settings = categories.as_array().unwrap().iter().flat_map(|at| at["settings"].as_array().unwrap());
    settings.find(|setting| setting["key"] == key).unwrap()
}

#[actix_web::test]
async fn every_setting_is_listed_with_its_type() {
    let api = Api::start().await;
    let categories = api.get("/api/settings").await.data();
    let keys: Vec<_> = categories
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|category| category["settings"].as_array().unwrap())
        .map(|setting| setting["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys, DYNAMIC.iter().map(|declaration| declaration.key).collect::<Vec<_>>());
    let timeout = setting(&categories, "request_timeout");
    assert_eq!(timeout["value"], 600);
    assert_eq!(timeout["type"], "int");
    assert_eq!(timeout["default_value"], "600");
    assert_eq!(timeout["min_value"], 1);
    assert_eq!(timeout["required"], true);
    assert_eq!(timeout["category"], "Request settings");
    assert_eq!((&timeout["unit"], &timeout["is_secret"]), (&json!("s"), &json!(false)));
    let proxy_keys = setting(&categories, "proxy_keys");
    assert_eq!((proxy_keys.get("unit"), &proxy_keys["is_secret"]), (None, &json!(true)));
    let logging = setting(&categories, "enable_request_body_logging");
    assert_eq!((&logging["value"], &logging["type"]), (&json!(false), &json!("bool")));
    assert_eq!(logging.get("min_value"), None);
    assert_eq!(setting(&categories, "proxy_url")["default_value"], "");
}

#[actix_web::test]
async fn saved_settings_are_in_the_next_answer() {
    let api = Api::start().await;
    let change = json!({
        "request_timeout": 30,
        "enable_request_body_logging": true,
        "proxy_keys": " sk-a, ,sk-b ,",
        "proxy_url": "",
        "request_log_retention_days": 9_007_199_254_740_993_i64,
    });
    assert_eq!(api.put("/api/settings", change).await.message(), "Settings saved");
    let categories = api.get("/api/settings").await.data();
    assert_eq!(setting(&categories, "request_timeout")["value"], 30);
    assert_eq!(setting(&categories, "enable_request_body_logging")["value"], true);
    assert_eq!(setting(&categories, "proxy_keys")["value"], "sk-a,sk-b");
    assert_eq!(setting(&categories, "request_log_retention_days")["value"], 9_007_199_254_740_993_i64);
    assert_eq!(setting(&categories, "connect_timeout")["value"], 15);
}

#[actix_web::test]
async fn an_empty_object_changes_nothing() {
    let api = Api::start().await;
    api.put("/api/settings", json!({})).await.message();
}

#[actix_web::test]
async fn a_broken_rule_names_the_setting_and_stores_nothing() {
    let api = Api::start().await;
    let cases = [
        json!({"no_such_setting": 1}),
        json!({"request_timeout": null}),
        json!({"request_timeout": 1.5}),
        json!({"request_timeout": 0}),
        json!({"request_timeout": -1}),
        json!({"request_timeout": "30"}),
        json!({"request_timeout": [30]}),
        json!({"request_timeout": 99_999_999_999_999_999_999_u128 as f64}),
        json!({"enable_request_body_logging": 1}),
        json!({"app_url": ""}),
        json!({"app_url": 1}),
        json!({"proxy_keys": " , "}),
        json!({"failover_status_codes": "99"}),
        json!({"new_key_state": "degraded"}),
    ];
    for case in cases {
        let field = case.as_object().unwrap().keys().next().unwrap().clone();
        let answer = api.put("/api/settings", case.clone()).await;
        answer.is_error(400, "VALIDATION_FAILED", &field, &case.to_string());
    }
    let mixed = json!({"connect_timeout": 99, "request_timeout": 0, "max_retries": -1});
    let answer = api.put("/api/settings", mixed).await;
    assert_eq!(answer.json()["details"].as_array().unwrap().len(), 2);
    assert_eq!(setting(&api.get("/api/settings").await.data(), "connect_timeout")["value"], 15);
}

#[actix_web::test]
async fn a_body_that_is_no_object_is_refused() {
    let api = Api::start().await;
    for body in ["", "[]", "null", "{\"request_timeout\":", "\u{0}"] {
        let answer = api.raw(actix_web::http::Method::PUT, "/api/settings", body).await;
        answer.is_error(400, "INVALID_JSON", "", body);
    }
}

#[actix_web::test]
async fn group_options_have_native_system_values_in_order() {
    let api = Api::start().await;
    api.put("/api/settings", json!({"max_retries": 7})).await.message();
    let options = api.get("/api/groups/config-options").await.data();
    let options = options.as_array().unwrap();
    let keys: Vec<_> = options.iter().map(|option| option["key"].as_str().unwrap()).take(14).collect();
    assert_eq!(keys[0], "request_timeout");
    assert_eq!(keys[13], "enable_request_body_logging");
    let value = |key: &str| &options.iter().find(|option| option["key"] == key).unwrap()["default_value"];
    assert_eq!(value("max_retries"), &json!(7));
    assert_eq!(value("enable_request_body_logging"), &json!(false));
    assert_eq!(value("proxy_url"), &json!(""));
    let timeout = &options[0];
    assert_eq!((&timeout["type"], &timeout["unit"], &timeout["min_value"]), (&json!("int"), &json!("s"), &json!(1)));
    assert!(options.iter().all(|option| option["key"] != "app_url"));
}

#[actix_web::test]
async fn a_proxy_that_may_be_stored_can_be_asked() {
    let api = Api::start().await;
    let long = format!("socks5://user:{}@host", "x".repeat(256));
    let texts = [
        "http://host",
        "http://host/",
        "https://user:pass@host:8443",
        "socks5h://us%40er:p%3Ass@[::1]:1080",
        "http://user@host",
        "http://host/path",
        "http://host?query",
        "http://host#fragment",
        "http://host:0",
        "http://us%3Aer:word@host",
        "http://user:%ff@host",
        "http://user:%0d%0a@host",
        "socks5://user@host",
        "socks5://:@host",
        long.as_str(),
    ];
    let mut stored = 0;
    for text in texts {
        if api.put("/api/settings", json!({"proxy_url": text})).await.status == 200 {
            assert!(text.parse::<crate::upstream::proxy_url::ProxyUrl>().is_ok(), "{text}");
            stored += 1;
        }
    }
    assert_eq!(stored, 6);
}
