use actix_web::http::Method;
use gpt_load_schema::key::{KeyHealth, KeyState};
use serde_json::{Value, json};

use super::support::Api;

impl Api {
    /// Values of the keys that `query` finds.
    async fn values(&self, query: &str) -> Vec<String> {
        let data = self.get(&format!("/api/keys?{query}")).await.data();
        let items = data["items"].as_array().unwrap().iter();
        items.map(|key| key["key_value"].as_str().unwrap().to_owned()).collect()
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("sk-{number:05}")).collect()
}

#[actix_web::test]
async fn added_keys_are_counted_and_listed() {
    let api = Api::start().await;
    let group = api.group("a").await;
    let body = json!({"group_id": group, "keys_text": "sk-1, sk-2\nsk-1;sk-3|x", "new_key_state": "active"});
    let added = api.post("/api/keys/add-multiple", body).await.data();
    assert_eq!(added, json!({"added_count": 3, "ignored_count": 1, "total_in_group": 3}));
    let body = json!({"group_id": group, "keys": [" sk-3|x ", "", "sk-4"]});
    let added = api.post("/api/keys/add-multiple", body).await.data();
    assert_eq!(added, json!({"added_count": 1, "ignored_count": 1, "total_in_group": 4}));
    let body = json!({"group_id": group, "key_values": ["sk-5"]});
    assert_eq!(api.post("/api/keys/add-multiple", body).await.data()["added_count"], 1);
    assert_eq!(api.values(&format!("group_id={group}")).await, ["sk-5", "sk-4", "sk-3|x", "sk-2", "sk-1"]);
}

#[actix_web::test]
async fn the_key_object_is_the_union() {
    let api = Api::start().await;
    let group = api.group("a").await;
    api.keys(group, &["sk-1"]).await;
    let key = api.get(&format!("/api/keys?group_id={group}")).await.data()["items"][0].clone();
    let mut fields: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut expected = [
        "id",
        "key_value",
        "key_hash",
        "group_id",
        "status",
        "notes",
        "request_count",
        "failure_count",
        "last_used_at",
        "created_at",
        "updated_at",
        "last_failure_at",
        "last_success_at",
        "last_validated_at",
        "disabled_until",
        "consecutive_failures",
        "backoff_level",
        "last_error_message",
        "last_class",
        "weight",
        "priority",
        "upstream",
        "resting_until",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!((&key["status"], &key["notes"], &key["last_used_at"]), (&json!("active"), &json!(""), &Value::Null));
    assert_eq!((&key["request_count"], &key["last_error_message"]), (&json!(0), &json!("")));
}

#[actix_web::test]
async fn new_keys_get_the_state_of_the_request_or_of_the_settings() {
    let api = Api::start().await;
    let group = api.group("a").await;
    for (key, word) in [("sk-1", json!("active")), ("sk-2", json!("pending")), ("sk-3", json!(null))] {
        let body = json!({"group_id": group, "keys": [key], "new_key_state": word});
        api.post("/api/keys/add-multiple", body).await.data();
    }
    api.put(&format!("/api/groups/{group}"), json!({"config": {"new_key_state": "active"}})).await.data();
    api.post("/api/keys/add-multiple", json!({"group_id": group, "keys": ["sk-4"]})).await.data();
    assert_eq!(api.values(&format!("group_id={group}&status=active")).await, ["sk-4", "sk-1"]);
    assert_eq!(api.values(&format!("group_id={group}&status=pending")).await, ["sk-3", "sk-2"]);
    let body = json!({"group_id": group, "keys": ["sk-5"], "new_key_state": "degraded"});
    let answer = api.post("/api/keys/add-multiple", body).await;
    answer.is_error(400, "VALIDATION_FAILED", "new_key_state", "degraded");
}

#[actix_web::test]
async fn pages_and_filters() {
    let api = Api::start().await;
    let group = api.group("a").await;
    api.keys(group, &["sk-1", "sk-2", "sk-3"]).await;
    api.put_into(group, "sk-2", KeyHealth::new(KeyState::Disabled)).await;
    let data = api.get(&format!("/api/keys?group_id={group}&page=2&page_size=2")).await.data();
    assert_eq!(data["items"].as_array().unwrap().len(), 1);
    assert_eq!(data["pagination"], json!({"page": 2, "page_size": 2, "total_items": 3, "total_pages": 2}));
    let past = api.get(&format!("/api/keys?group_id={group}&page=9223372036854775807")).await.data();
    assert_eq!((&past["items"], &past["pagination"]["page"]), (&json!([]), &json!(i64::MAX)));
    let none = api.get(&format!("/api/keys?group_id={group}&status=invalid")).await.data();
    assert_eq!(none["items"], json!([]));
    assert_eq!(none["pagination"]["total_pages"], 0);
    assert_eq!(api.values(&format!("group_id={group}&status=disabled")).await, ["sk-2"]);
    for state in KeyState::ALL {
        api.values(&format!("group_id={group}&status={state}")).await;
    }
    assert_eq!(api.values(&format!("group_id={group}&key_value=sk-3")).await, ["sk-3"]);
    for other in ["sk-", "sk-3%20", "%ff", "SK-3"] {
        assert_eq!(api.values(&format!("group_id={group}&key_value={other}")).await, Vec::<String>::new(), "{other}");
    }
}

#[actix_web::test]
async fn list_and_export_check_their_parameters() {
    let api = Api::start().await;
    let group = api.group("a").await;
    for path in ["/api/keys", "/api/keys/export"] {
        for id in ["", "0", "-1", "x", "1.0", "99999999999999999999", "%ff"] {
            let answer = api.get(&format!("{path}?group_id={id}")).await;
            answer.is_error(400, "BAD_REQUEST", "group_id", id);
        }
        api.get(path).await.is_error(400, "BAD_REQUEST", "group_id", path);
        api.get(&format!("{path}?group_id=9999")).await.is_error(404, "NOT_FOUND", "", path);
        let answer = api.get(&format!("{path}?group_id={group}&status=good")).await;
        answer.is_error(400, "VALIDATION_FAILED", "status", path);
    }
    let answer = api.get(&format!("/api/keys/export?group_id={group}&format=csv")).await;
    answer.is_error(400, "VALIDATION_FAILED", "format", "csv");
}

#[actix_web::test]
async fn exports_come_whole_in_id_order() {
    let api = Api::start().await;
    let group = api.group("a").await;
    let keys = numbered(1000);
    api.keys(group, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    api.put_into(group, "sk-00007", KeyHealth::new(KeyState::Invalid)).await;
    let text = api.get(&format!("/api/keys/export?group_id={group}")).await;
    assert_eq!(text.text, keys.join("\n") + "\n");
    assert_eq!(text.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(text.headers["content-disposition"], "attachment; filename=keys-a-all.txt");
    let invalid = api.get(&format!("/api/keys/export?group_id={group}&status=invalid")).await;
    assert_eq!(invalid.text, "sk-00007\n");
    assert_eq!(invalid.headers["content-disposition"], "attachment; filename=keys-a-invalid.txt");
    let data = api.get(&format!("/api/keys/export?group_id={group}&status=active&format=json")).await.data();
    let rest: Vec<_> = keys.iter().filter(|key| *key != "sk-00007").collect();
    let expected = json!({"group_id": group, "group_name": "a", "status": "active", "keys": rest, "total": 999});
    assert_eq!(data, expected);
    let empty = api.get(&format!("/api/keys/export?group_id={group}&status=pending&format=json")).await.data();
    assert_eq!((&empty["keys"], &empty["total"]), (&json!([]), &json!(0)));
}

#[actix_web::test]
async fn named_keys_are_deleted() {
    let api = Api::start().await;
    let group = api.group("a").await;
    let other = api.group("b").await;
    api.keys(group, &["sk-1", "sk-2", "sk-3"]).await;
    api.keys(other, &["sk-1"]).await;
    let body = json!({"group_id": group, "key_values": ["sk-1", "sk-9", "sk-1"]});
    let deleted = api.post("/api/keys/delete-multiple", body).await.data();
    assert_eq!(deleted, json!({"deleted_count": 1, "ignored_count": 2, "total_in_group": 2}));
    assert_eq!(api.values(&format!("group_id={group}")).await, ["sk-3", "sk-2"]);
    assert_eq!(api.values(&format!("group_id={other}")).await, ["sk-1"]);
}

#[actix_web::test]
async fn only_invalid_keys_are_restored() {
    let api = Api::start().await;
    let group = api.group("a").await;
    api.keys(group, &["sk-1", "sk-2", "sk-3", "sk-4"]).await;
    for (key, state) in [("sk-1", KeyState::Invalid), ("sk-2", KeyState::Disabled), ("sk-4", KeyState::Invalid)] {
        api.put_into(group, key, KeyHealth::new(state)).await;
    }
    let body = json!({"group_id": group, "keys_text": "sk-1 sk-1 sk-2 sk-3 sk-9"});
    let restored = api.post("/api/keys/restore-multiple", body).await.data();
    assert_eq!(restored, json!({"restored_count": 1, "ignored_count": 4, "total_in_group": 4}));
    let key = api.get(&format!("/api/keys?group_id={group}&key_value=sk-1")).await.data()["items"][0].clone();
    assert_eq!((&key["status"], &key["failure_count"]), (&json!("active"), &json!(0)));
    assert_eq!(api.values(&format!("group_id={group}&status=disabled")).await, ["sk-2"]);
    let said = api.post("/api/keys/restore-all-invalid", json!({"group_id": group})).await.message();
    assert_eq!(said, "1 keys restored");
    assert_eq!(api.values(&format!("group_id={group}&status=active")).await.len(), 3);
}

#[actix_web::test]
async fn whole_groups_are_cleared() {
    let api = Api::start().await;
    let group = api.group("a").await;
    api.keys(group, &["sk-1", "sk-2", "sk-3"]).await;
    api.put_into(group, "sk-2", KeyHealth::new(KeyState::Invalid)).await;
    let body = json!({"group_id": group});
    assert_eq!(api.post("/api/keys/clear-all-invalid", body.clone()).await.message(), "1 invalid keys deleted");
    assert_eq!(api.values(&format!("group_id={group}")).await, ["sk-3", "sk-1"]);
    assert_eq!(api.post("/api/keys/clear-all", body.clone()).await.message(), "2 keys deleted");
    assert_eq!(api.post("/api/keys/clear-all", body).await.message(), "0 keys deleted");
}

#[actix_web::test]
async fn key_requests_check_their_fields() {
    let api = Api::start().await;
    let id = api.group("a").await;
    let cases = [
        (json!({"keys_text": "sk"}), 400, "INVALID_JSON", "group_id"),
        (json!({"group_id": 0, "keys_text": "sk"}), 400, "INVALID_JSON", "group_id"),
        (json!({"group_id": -1, "keys_text": "sk"}), 400, "INVALID_JSON", "group_id"),
        (json!({"group_id": "1", "keys_text": "sk"}), 400, "INVALID_JSON", "group_id"),
        (json!({"group_id": 1.5, "keys_text": "sk"}), 400, "INVALID_JSON", "group_id"),
        (json!({"group_id": id}), 400, "INVALID_JSON", "keys_text"),
        (json!({"group_id": id, "keys_text": ""}), 400, "INVALID_JSON", "keys_text"),
        (json!({"group_id": id, "keys_text": null}), 400, "INVALID_JSON", "keys_text"),
        (json!({"group_id": id, "keys_text": ["sk"]}), 400, "INVALID_JSON", "keys_text"),
        (json!({"group_id": id, "keys": "sk"}), 400, "INVALID_JSON", "keys"),
        (json!({"group_id": id, "keys": ["sk", 1]}), 400, "INVALID_JSON", "keys[1]"),
        (json!({"group_id": id, "key_values": [null]}), 400, "INVALID_JSON", "key_values[0]"),
        (json!({"group_id": 9999, "keys_text": " "}), 404, "NOT_FOUND", ""),
        (json!({"group_id": id, "keys_text": " \n,; "}), 400, "VALIDATION_FAILED", "keys_text"),
        (json!({"group_id": id, "keys_text": "[\"sk-1\", 2]"}), 400, "VALIDATION_FAILED", "keys_text"),
        (json!({"group_id": id, "keys": []}), 400, "VALIDATION_FAILED", "keys"),
        (json!({"group_id": id, "keys": [" "]}), 400, "VALIDATION_FAILED", "keys"),
        (json!({"group_id": id, "keys": ["sk\n1"]}), 400, "VALIDATION_FAILED", "keys"),
        (json!({"group_id": id, "keys": ["sk"], "keys_text": "sk"}), 400, "VALIDATION_FAILED", "keys"),
        (json!({"group_id": id, "keys": numbered(5001)}), 400, "VALIDATION_FAILED", "keys"),
        (json!({"group_id": id, "keys_text": numbered(5001).join(" ")}), 400, "VALIDATION_FAILED", "keys_text"),
    ];
    for route in ["add-multiple", "delete-multiple", "restore-multiple"] {
        for (body, status, code, field) in &cases {
            let case: String = format!("{route} {body}").chars().take(100).collect();
            let answer = api.post(&format!("/api/keys/{route}"), body.clone()).await;
            answer.is_error(*status, code, field, &case);
        }
    }
    for route in ["restore-all-invalid", "clear-all-invalid", "clear-all"] {
        for (body, status, code, field) in [
            (json!({}), 400, "INVALID_JSON", "group_id"),
            (json!({"group_id": 0}), 400, "INVALID_JSON", "group_id"),
            (json!({"group_id": true}), 400, "INVALID_JSON", "group_id"),
            (json!({"group_id": 9999}), 404, "NOT_FOUND", ""),
        ] {
            api.post(&format!("/api/keys/{route}"), body).await.is_error(status, code, field, route);
        }
    }
    assert_eq!(api.values(&format!("group_id={id}")).await, Vec::<String>::new());
}

#[actix_web::test]
async fn five_thousand_keys_are_taken_at_once() {
    let api = Api::start().await;
    let group = api.group("a").await;
    let body = json!({"group_id": group, "keys": numbered(5000)});
    let added = api.post("/api/keys/add-multiple", body.clone()).await.data();
    assert_eq!(added, json!({"added_count": 5000, "ignored_count": 0, "total_in_group": 5000}));
    let restored = api.post("/api/keys/restore-multiple", body.clone()).await.data();
    assert_eq!(restored, json!({"restored_count": 0, "ignored_count": 5000, "total_in_group": 5000}));
    let deleted = api.post("/api/keys/delete-multiple", body).await.data();
    assert_eq!(deleted, json!({"deleted_count": 5000, "ignored_count": 0, "total_in_group": 0}));
}

#[actix_web::test]
async fn an_aggregate_takes_no_keys() {
    let api = Api::start().await;
    let body = json!({"name": "all", "channel_type": "openai", "group_type": "aggregate"});
    let id = api.post("/api/groups", body).await.data()["id"].as_i64().unwrap();
    let answer = api.post("/api/keys/add-multiple", json!({"group_id": id, "keys": ["sk"]})).await;
    answer.is_error(400, "BAD_REQUEST", "group_id", "aggregate");
}

#[actix_web::test]
async fn errors_never_repeat_a_key() {
    let api = Api::start().await;
    for body in [r#"{"group_id": 1, "keys_text": "sk-secret"#, r#"{"group_id": 1, "keys": ["sk-secret", {}]}"#] {
        let answer = api.raw(Method::POST, "/api/keys/add-multiple", body).await;
        assert_eq!(answer.status, 400);
        assert!(!answer.text.contains("sk-secret"), "{}", answer.text);
    }
}
