use actix_web::http::Method;
use serde_json::json;

use super::support::Api;

#[actix_web::test]
async fn notes_are_kept_with_their_key() {
    let api = Api::start().await;
    let group = api.group("team").await;
    api.keys(group, &["sk-1"]).await;
    let key = async || api.get(&format!("/api/keys?group_id={group}")).await.data()["items"][0].clone();
    let path = format!("/api/keys/{}/notes", key().await["id"]);
    let long = "名".repeat(255);
    for (sent, kept) in [
        (json!({"notes": " of Ann \n"}), "of Ann"),
        (json!({"notes": format!(" {long} ")}), long.as_str()),
        (json!({"notes": "again"}), "again"),
        (json!({}), ""),
        (json!({"notes": "more"}), "more"),
        (json!({"notes": null}), ""),
    ] {
        assert_eq!(api.put(&path, sent.clone()).await.message(), "Notes saved");
        assert_eq!(key().await["notes"], kept, "{sent}");
    }
}

#[actix_web::test]
async fn notes_that_break_a_rule_change_nothing() {
    let api = Api::start().await;
    let group = api.group("team").await;
    api.keys(group, &["sk-1"]).await;
    let id = api.get(&format!("/api/keys?group_id={group}")).await.data()["items"][0]["id"].clone();
    let good = json!({"notes": "x"}).to_string();
    let cases = [
        (id.to_string(), json!({"notes": "名".repeat(256)}).to_string(), 400, "VALIDATION_FAILED", "notes"),
        (id.to_string(), json!({"notes": 1}).to_string(), 400, "INVALID_JSON", "notes"),
        (id.to_string(), String::new(), 400, "INVALID_JSON", ""),
        (id.to_string(), "[]".to_owned(), 400, "INVALID_JSON", ""),
        ("9999".to_owned(), good.clone(), 404, "NOT_FOUND", ""),
        ("0".to_owned(), good.clone(), 400, "BAD_REQUEST", "id"),
        ("-1".to_owned(), good.clone(), 400, "BAD_REQUEST", "id"),
        ("x".to_owned(), good, 400, "BAD_REQUEST", "id"),
    ];
    for (id, body, status, code, field) in cases {
        let answer = api.raw(Method::PUT, &format!("/api/keys/{id}/notes"), body.clone()).await;
        answer.is_error(status, code, field, &format!("{id} {body:.40}"));
    }
    assert_eq!(api.get(&format!("/api/keys?group_id={group}")).await.data()["items"][0]["notes"], "");
}
