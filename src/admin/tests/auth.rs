use actix_web::http::Method;
use serde_json::json;

use super::support::{Api, KEY};

fn method(name: &str) -> Method {
    name.parse().unwrap()
}

fn anonymous(name: &str, path: &str) -> actix_web::test::TestRequest {
    Api::anonymous(method(name), path)
}

#[actix_web::test]
async fn the_key_is_taken_from_each_place() {
    let api = Api::start().await;
    let path = "/api/channel-types";
    for (name, value) in [("Authorization", "Bearer "), ("X-Api-Key", ""), ("X-Goog-Api-Key", "")] {
        let request = anonymous("GET", path).insert_header((name, format!("{value}{KEY}")));
        api.send(request).await.data();
        let request = anonymous("GET", path).insert_header((name, format!("{value}{KEY}x")));
        api.send(request).await.is_error(401, "UNAUTHORIZED", "", name);
    }
    api.send(anonymous("GET", &format!("{path}?key={KEY}"))).await.data();
    let wrong_first = anonymous("GET", &format!("{path}?key=x")).insert_header(("X-Api-Key", KEY));
    api.send(wrong_first).await.is_error(401, "UNAUTHORIZED", "", "the query decides");
}

#[actix_web::test]
async fn login_tells_right_from_wrong() {
    let api = Api::start().await;
    let cases = [
        (json!({"auth_key": KEY}).to_string(), 200),
        (json!({"auth_key": "x"}).to_string(), 401),
        (json!({"auth_key": ""}).to_string(), 400),
        (json!({"auth_key": null}).to_string(), 400),
        (json!({"auth_key": 1}).to_string(), 400),
        ("{}".to_owned(), 400),
        ("[]".to_owned(), 400),
        (String::new(), 400),
        ("{".to_owned(), 400),
    ];
    for (body, status) in cases {
        let answer = api.send(anonymous("POST", "/api/auth/login").set_payload(body.clone())).await;
        let members = answer.json();
        assert_eq!((answer.status, &members["success"]), (status, &json!(status == 200)), "{body}");
        assert!(!members["message"].as_str().unwrap().is_empty());
        let role = if status == 200 { json!("admin") } else { json!(null) };
        assert_eq!(members["role"], role, "{members}");
    }
}

#[actix_web::test]
async fn the_eleventh_guess_from_an_address_must_wait() {
    let api = Api::start().await;
    let login = |key: &str| anonymous("POST", "/api/auth/login").set_payload(json!({"auth_key": key}).to_string());
    for _ in 0..5 {
        assert_eq!(api.send(login("x")).await.status, 401);
        let guess = anonymous("GET", "/api/groups").insert_header(("X-Api-Key", "x"));
        assert_eq!(api.send(guess).await.status, 401);
    }
    let refused = api.send(login(KEY)).await;
    assert_eq!((refused.status, &refused.json()["success"]), (429, &json!(false)));
    let seconds: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let guess = anonymous("GET", "/api/groups").insert_header(("X-Api-Key", KEY));
    api.send(guess).await.is_error(429, "TOO_MANY_REQUESTS", "", "a right key of a refused address");
    api.get("/api/groups").await.data();
}

#[actix_web::test]
async fn requests_without_any_key_are_no_guesses() {
    let api = Api::start().await;
    for _ in 0..20 {
        assert_eq!(api.send(anonymous("GET", "/api/groups")).await.status, 401);
    }
    let request = anonymous("GET", "/api/groups").insert_header(("X-Api-Key", KEY));
    api.send(request).await.data();
}

#[actix_web::test]
async fn unknown_paths_have_both_shapes() {
    let api = Api::start().await;
    for path in ["/api", "/api/", "/api/nope", "/api/groups/1/unknown", "/api/keys/1/unknown", "/api/nothing/here"] {
        let answer = api.send(anonymous("GET", path)).await;
        answer.is_error(404, "NOT_FOUND", "", path);
        assert_eq!(answer.json()["error"], answer.json()["message"]);
    }
}

#[actix_web::test]
async fn wrong_methods_learn_the_right_ones() {
    let api = Api::start().await;
    let cases = [
        ("DELETE", "/api/groups", "GET, HEAD, POST"),
        ("GET", "/api/groups/1", "PUT, DELETE"),
        ("GET", "/api/auth/login", "POST"),
        ("POST", "/api/settings", "GET, HEAD, PUT"),
        ("GET", "/api/keys/add-multiple", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("POST", "/stats", "GET, HEAD"),
    ];
    for (name, path, allow) in cases {
        let answer = api.send(Api::request(method(name), path)).await;
        answer.is_error(405, "METHOD_NOT_ALLOWED", "", path);
        assert_eq!(answer.headers["allow"], allow, "{name} {path}");
    }
}

#[actix_web::test]
async fn a_slash_at_the_end_does_not_matter() {
    let api = Api::start().await;
    for path in ["/api/channel-types/", "/api/groups/", "/api/groups/list/", "/api/settings/"] {
        api.get(path).await.data();
    }
    assert_eq!(api.get("/health/").await.status, 200);
}

#[actix_web::test]
async fn answers_speak_the_language_asked_for() {
    let api = Api::start().await;
    for (tag, text) in [
        ("en-US", "The group does not exist"),
        ("zh", "分组不存在"),
        ("fr", "分组不存在"),
        ("ja", "グループが存在しません"),
    ] {
        let request = Api::request(Method::DELETE, "/api/groups/7").insert_header(("Accept-Language", tag));
        assert_eq!(api.send(request).await.json()["message"], text, "{tag}");
    }
}

#[actix_web::test]
async fn own_answers_carry_security_headers() {
    let api = Api::start().await;
    let answer = api.get("/api/channel-types").await;
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["referrer-policy"], "strict-origin-when-cross-origin");
    assert_eq!(answer.headers["permissions-policy"], "camera=(), microphone=(), geolocation=(), payment=(), usb=()");
    assert_eq!(answer.headers["x-frame-options"], "SAMEORIGIN");
    assert_eq!(answer.headers["cache-control"], "no-store");
}
