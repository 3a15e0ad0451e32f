use std::time::Duration;

use gpt_load_schema::{log::OutcomeClass, time::Timestamp};
use serde_json::json;

use super::support::Api;

#[actix_web::test]
async fn stats_have_the_fields_of_the_one_file_setup() {
    let api = Api::start().await;
    let group = api.group("default").await;
    api.keys(group, &["sk-1", "sk-2"]).await;
    let stats = api.get("/stats").await.json();
    let expected = [
        ("total_keys", json!(2)),
        ("active_keys", json!(2)),
        ("blacklisted_keys", json!(0)),
        ("total_requests", json!(0)),
        ("success_count", json!(0)),
        ("failure_count", json!(0)),
        ("success_rate", json!(0.0)),
    ];
    for (field, value) in expected {
        assert_eq!(stats[field], value, "{field}");
    }
    assert!(stats["current_index"].is_u64() && stats["uptime_seconds"].is_u64());
    assert_eq!(stats.as_object().unwrap().len(), 9);
}

#[actix_web::test]
async fn nothing_is_blacklisted_and_nothing_to_reset() {
    let api = Api::start().await;
    let group = api.group("default").await;
    api.keys(group, &["sk-1"]).await;
    assert_eq!(api.get("/blacklist").await.json(), json!({"total_blacklisted": 0, "keys": []}));
    let reset = api.get("/reset-keys").await.json();
    assert_eq!((&reset["success"], &reset["reset_count"]), (&json!(true), &json!(0)));
    assert!(reset["message"].is_string());
}

#[actix_web::test]
async fn blacklisted_keys_are_masked_explained_and_reset() {
    let api = Api::start().await;
    let group = api.group("default").await;
    api.keys(group, &["sk-1234567890-a", "sk-1234567890-b", "sk-1234567890-c"]).await;
    let now = Timestamp::now();
    api.settle("sk-1234567890-a", OutcomeClass::QuotaExhausted, "no credit", now).await;
    api.settle("sk-1234567890-b", OutcomeClass::KeyInvalid, "", now).await;
    api.settle("sk-1234567890-c", OutcomeClass::RateLimited, "too fast", now).await;
    let since = now.to_rfc3339();
    let until = (now + Duration::from_secs(3600)).to_rfc3339();
    let mut list = api.get("/blacklist").await.json();
    list["keys"].as_array_mut().unwrap().sort_by_key(|key| key["key"].to_string());
    let expected = json!({"total_blacklisted": 2, "keys": [
        {
            "key": "sk-1****90-a", "state": "disabled", "class": "quota_exhausted", "message": "no credit",
            "since": since, "until": until,
        },
        {
            "key": "sk-1****90-b", "state": "invalid", "class": "key_invalid", "message": null,
            "since": since, "until": null,
        },
    ]});
    assert_eq!(list, expected);
    let stats = api.get("/stats").await.json();
    assert_eq!([&stats["total_keys"], &stats["active_keys"], &stats["blacklisted_keys"]], [3, 1, 2]);
    assert_eq!(api.get("/reset-keys").await.json()["reset_count"], 2);
    assert_eq!(api.get("/blacklist").await.json()["total_blacklisted"], 0);
    assert_eq!(api.get("/stats").await.json()["active_keys"], 3);
}

#[actix_web::test]
async fn without_a_default_group_there_is_nothing_to_tell() {
    let api = Api::start().await;
    api.group("other").await;
    for path in ["/stats", "/blacklist", "/reset-keys"] {
        api.get(path).await.is_error(404, "NOT_FOUND", "", path);
    }
}
