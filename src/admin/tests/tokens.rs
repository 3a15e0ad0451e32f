use actix_web::http::Method;
use gpt_load_schema::access::Role;
use serde_json::{Value, json};

use super::support::{Api, KEY};

#[actix_web::test]
async fn a_value_is_shown_once_and_opens_until_it_is_deleted() {
    let api = Api::start().await;
    let body = json!({"name": " ci ", "role": "viewer", "expires_at": null});
    let created = api.post("/api/tokens", body).await.data();
    let value = created["token"].as_str().unwrap().to_owned();
    assert!(value.starts_with("gptload_") && value.len() == 51, "{value}");
    assert_eq!((&created["name"], &created["role"]), (&json!("ci"), &json!("viewer")));
    assert_eq!(created["prefix"], value[..12]);
    assert_eq!((&created["last_used_at"], &created["is_expired"]), (&Value::Null, &json!(false)));
    let path = format!("/api/tokens/{}", created["id"]);
    for answer in [api.get("/api/tokens").await, api.get(&path).await] {
        assert!(!answer.text.contains(&value) && answer.text.contains(&value[..12]), "{}", answer.text);
    }
    for (name, value) in [("Authorization", format!("Bearer {value}")), ("X-Api-Key", value.clone())] {
        let request = Api::anonymous(Method::GET, "/api/groups").insert_header((name, value));
        api.send(request).await.data();
    }
    api.send(Api::anonymous(Method::GET, &format!("/api/groups?key={value}"))).await.data();
    assert!(api.get(&path).await.data()["last_used_at"].is_string());
    let stored = api.state.store.access_tokens().await.unwrap();
    assert_eq!(stored[0].hash, api.state.store.lookup_hash(&value));
    assert!(!format!("{stored:?}").contains(&value));

    api.delete(&path).await.message();
    let gone = api.send(Api::with_key(Method::GET, "/api/groups", &value)).await;
    gone.is_error(401, "UNAUTHORIZED", "", "a deleted token");
    api.delete(&path).await.is_error(404, "NOT_FOUND", "", "deleted twice");
}

#[actix_web::test]
async fn role_and_expiry_rule_from_their_change_on() {
    let api = Api::start().await;
    let (id, value) = api.token("ci", Role::Viewer).await;
    let path = format!("/api/tokens/{id}");
    let status = async |method: Method, path: &str| {
        let body = json!({"name": "", "description": ""}).to_string();
        api.send(Api::with_key(method, path, &value).set_payload(body)).await.status
    };
    assert_eq!((status(Method::GET, "/api/groups").await, status(Method::POST, "/api/groups").await), (200, 403));
    api.patch(&path, json!({"role": "admin"})).await.data();
    assert_eq!(status(Method::POST, "/api/groups").await, 400, "allowed, and the body is looked at");
    let changed = api.patch(&path, json!({"expires_at": "2020-01-01T00:00:00Z"})).await.data();
    assert_eq!((&changed["is_expired"], &changed["role"]), (&json!(true), &json!("admin")));
    for _ in 0..20 {
        let answer = api.send(Api::with_key(Method::GET, "/api/groups", &value)).await;
        answer.is_error(401, "UNAUTHORIZED", "", "expired");
        assert!(answer.json()["message"].as_str().unwrap().contains("expired"), "{}", answer.text);
    }
    // An expired token is no guess: its address may go on.
    api.patch(&path, json!({"expires_at": null, "name": "ci2"})).await.data();
    assert_eq!(status(Method::GET, "/api/groups").await, 200);
    let me = api.send(Api::with_key(Method::GET, "/api/auth/me", &value)).await.data();
    assert_eq!(me, json!({"kind": "token", "id": id, "name": "ci2", "role": "admin"}));
}

#[actix_web::test]
async fn whose_key_it_is() {
    let api = Api::start().await;
    let me = api.get("/api/auth/me").await.data();
    assert_eq!(me, json!({"kind": "management_key", "id": null, "name": "management_key", "role": "admin"}));
    let (_, viewer) = api.token("v", Role::Viewer).await;
    for (key, role) in [(KEY, "admin"), (viewer.as_str(), "viewer")] {
        let body = json!({"auth_key": key}).to_string();
        let answer = api.send(Api::anonymous(Method::POST, "/api/auth/login").set_payload(body)).await;
        assert_eq!((answer.status, &answer.json()["role"]), (200, &json!(role)));
    }
}

#[actix_web::test]
async fn what_breaks_a_rule_names_its_field() {
    let api = Api::start().await;
    api.token("taken", Role::Viewer).await;
    let long = "n".repeat(101);
    for (body, status, code, field) in [
        (json!({"role": "viewer"}), 400, "INVALID_JSON", "name"),
        (json!({"name": "a"}), 400, "INVALID_JSON", "role"),
        (json!({"name": " ", "role": "viewer"}), 400, "VALIDATION_FAILED", "name"),
        (json!({"name": long, "role": "viewer"}), 400, "VALIDATION_FAILED", "name"),
        (json!({"name": "a\nb", "role": "viewer"}), 400, "VALIDATION_FAILED", "name"),
        (json!({"name": "a", "role": "root"}), 400, "VALIDATION_FAILED", "role"),
        (json!({"name": "a", "role": "viewer", "expires_at": "soon"}), 400, "VALIDATION_FAILED", "expires_at"),
        (json!({"name": "a", "role": "viewer", "expires_at": 5}), 400, "INVALID_JSON", "expires_at"),
        (
            json!({"name": "a", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"}),
            400,
            "VALIDATION_FAILED",
            "expires_at",
        ),
        (json!({"name": "taken", "role": "viewer"}), 409, "DUPLICATE_RESOURCE", "name"),
    ] {
        let case = body.to_string();
        api.post("/api/tokens", body).await.is_error(status, code, field, &case);
    }
    let (id, _) = api.token("other", Role::Viewer).await;
    let path = format!("/api/tokens/{id}");
    api.patch(&path, json!({"name": "taken"})).await.is_error(409, "DUPLICATE_RESOURCE", "name", "taken");
    api.get("/api/tokens/999").await.is_error(404, "NOT_FOUND", "", "unknown");
    api.get("/api/tokens/x").await.is_error(400, "BAD_REQUEST", "id", "no id");
}

#[actix_web::test]
async fn wrong_tokens_are_guesses() {
    let api = Api::start().await;
    let (_, value) = api.token("t", Role::Admin).await;
    for _ in 0..10 {
        let request = Api::with_key(Method::GET, "/api/groups", &format!("{value}x"));
        api.send(request).await.is_error(401, "UNAUTHORIZED", "", "a guess");
    }
    let right = api.send(Api::with_key(Method::GET, "/api/groups", &value)).await;
    right.is_error(429, "TOO_MANY_REQUESTS", "", "the address has to wait");
}
