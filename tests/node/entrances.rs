//! Which request reaches which group, with which proxy key, shaped how.

use gpt_load_benches::double::Options;
use gpt_load_schema::{
    channel::Channel,
    group::{GroupType, HeaderAction, HeaderRule, SubGroup},
};
use serde_json::json;

use crate::support::{AUTH_KEY, Gateway, Request, code, definition};

#[actix_web::test]
async fn every_channel_gets_its_own_credential_and_path() {
    let gateway = Gateway::start().await;
    for channel in Channel::ALL {
        gateway.group(channel.as_str(), channel, &[&format!("sk-{channel}")], json!({})).await;
    }
    let table = [
        ("openai", "/v1/chat/completions", "/v1/chat/completions", "authorization", "Bearer sk-openai"),
        ("openai", "/chat/completions", "/v1/chat/completions", "authorization", "Bearer sk-openai"),
        ("openai-response", "/v1/responses", "/v1/responses", "authorization", "Bearer sk-openai-response"),
        ("anthropic", "/v1/messages", "/v1/messages", "x-api-key", "sk-anthropic"),
        (
            "gemini",
            "/v1beta/openai/chat/completions",
            "/v1beta/openai/chat/completions",
            "authorization",
            "Bearer sk-gemini",
        ),
    ];
    for (group, path, sent, header, value) in table {
        gateway.double.reset();
        let answer = gateway.send(&Request::chat_at(&format!("/proxy/{group}{path}"), false)).await;
        assert_eq!(answer.head.status, 200, "{group}{path}");
        let received = &gateway.double.requests()[0];
        assert_eq!(received.target, sent);
        assert_eq!(received.header_values(header), [value], "{group}{path}");
        assert!(!format!("{received:?}").contains(AUTH_KEY), "the proxy key went upstream");
    }
    gateway.double.reset();
    let target = format!("/proxy/gemini/v1beta/models/gemini-2.0-flash:generateContent?key={AUTH_KEY}&b=%20x&a=1&a=2");
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    assert_eq!(gateway.send(&Request::new("POST", &target).json(&body)).await.head.status, 200);
    let sent = "/v1beta/models/gemini-2.0-flash:generateContent?b=%20x&a=1&a=2&key=sk-gemini";
    assert_eq!(gateway.double.requests()[0].target, sent);
}

#[actix_web::test]
async fn a_proxy_key_is_accepted_in_all_its_places_and_only_where_it_belongs() {
    let gateway = Gateway::start().await;
    let mut own = definition("own", Channel::OpenAi, &[&gateway.double.url()], json!({}));
    own.proxy_keys = "sk-own-1, sk-own-2".to_owned();
    gateway.add_group(own, &["sk-up"]).await;
    gateway.group("other", Channel::OpenAi, &["sk-up"], json!({})).await;
    let at = |group: &str| {
        Request::new("POST", &format!("/proxy/{group}/v1/chat/completions"))
            .json(&json!({"model": "m", "messages": []}))
    };
    for (request, status) in [
        (at("own").key("sk-own-1"), 200),
        (at("own").header("x-api-key", "sk-own-2"), 200),
        (at("own").header("x-goog-api-key", "sk-own-2"), 200),
        (at("own").header("api-key", "sk-own-2"), 200),
        (
            Request::new("POST", "/proxy/own/v1/embeddings?key=sk-own-1").json(&json!({"model": "m", "input": "hi"})),
            200,
        ),
        (at("own").key(AUTH_KEY), 200),
        (at("own").key("sk-up"), 401),
        (at("own"), 401),
        (at("other").key("sk-own-1"), 401),
    ] {
        let answer = gateway.send(&request).await;
        assert_eq!(answer.head.status, status);
        if status == 401 {
            assert_eq!(code(&answer), "UNAUTHORIZED");
        }
    }
    for received in gateway.double.requests() {
        assert!(!format!("{received:?}").contains("sk-own"), "{received:?}");
    }
}

#[actix_web::test]
async fn unknown_groups_and_paths_are_404_in_a_shape_sdks_understand() {
    let gateway = Gateway::start().await;
    for target in ["/proxy/nope/v1/chat/completions", "/v1/chat/completions", "/proxy//v1/chat/completions"] {
        let answer = gateway.send(&Request::chat_at(target, false)).await;
        assert_eq!((answer.head.status, code(&answer).as_str()), (404, "NOT_FOUND"), "{target}");
        assert!(answer.json()["error"]["message"].is_string(), "{target}");
    }
    assert_eq!(gateway.send(&Request::new("GET", "/nothing/here")).await.head.status, 404);
    assert_eq!(gateway.send(&Request::new("GET", "/")).await.head.status, 200);
}

#[actix_web::test]
async fn overrides_redirects_and_header_rules_change_only_what_they_name() {
    let gateway = Gateway::start().await;
    let mut definition = definition("shaped", Channel::OpenAi, &[&gateway.double.url()], json!({}));
    definition.param_overrides = json!({"temperature": 0.5}).as_object().cloned();
    definition.model_redirect_rules = json!({"alias": "real-model"}).as_object().cloned().unwrap();
    definition.header_rules = Some(vec![
        HeaderRule { key: "X-Team".to_owned(), value: "${GROUP_NAME}".to_owned(), action: HeaderAction::Set },
        HeaderRule { key: "X-Drop".to_owned(), value: String::new(), action: HeaderAction::Remove },
    ]);
    gateway.add_group(definition, &["sk-1"]).await;
    let sent = r#"{ "big": 12345678901234567890.10,  "model":"alias", "temperature" : 1, "messages":[{"role":"user", "content" : "hi"}] }"#;
    let request = Request::new("POST", "/proxy/shaped/v1/chat/completions")
        .key(AUTH_KEY)
        .header("content-type", "application/json")
        .header("x-drop", "1")
        .body(sent);
    assert_eq!(gateway.send(&request).await.head.status, 200);
    let received = &gateway.double.requests()[0];
    let expected = r#"{ "big": 12345678901234567890.10,  "model":"real-model", "temperature" : 0.5, "messages":[{"role":"user", "content" : "hi"}] }"#;
    assert_eq!(std::str::from_utf8(&received.body).unwrap(), expected);
    assert_eq!((received.header("x-team"), received.header("x-drop")), (Some("shaped"), None));
    assert_eq!(gateway.final_log().await.model, "alias");
}

#[actix_web::test]
async fn a_strict_group_refuses_models_without_a_redirect_and_lists_only_its_own() {
    let gateway = Gateway::start().await;
    let mut definition = definition("strict", Channel::OpenAi, &[&gateway.double.url()], json!({}));
    definition.model_redirect_rules = json!({"alias": "real-model"}).as_object().cloned().unwrap();
    definition.model_redirect_strict = true;
    gateway.add_group(definition, &["sk-1"]).await;
    let answer = gateway.send(&Request::chat_at("/proxy/strict/v1/chat/completions", false)).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (400, "BAD_REQUEST"));
    let answer = gateway.send(&Request::new("GET", "/proxy/strict/v1/models").key(AUTH_KEY)).await;
    let models: Vec<_> = answer.json()["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(models, ["alias"]);
}

#[actix_web::test]
async fn an_aggregate_shares_its_traffic_by_weight_and_falls_over_to_another_member() {
    let gateway = Gateway::start().await;
    let one = gateway.group("one", Channel::OpenAi, &["sk-one"], json!({})).await;
    let two = gateway.group("two", Channel::OpenAi, &["sk-two"], json!({})).await;
    let empty = gateway.group("empty", Channel::OpenAi, &[], json!({})).await;
    let mut both = definition("both", Channel::OpenAi, &[], json!({}));
    both.group_type = GroupType::Aggregate;
    both.test_model = "-".to_owned();
    let both = gateway.add_group(both, &[]).await;
    let members = [(one, 3), (two, 1), (empty, 5)].map(|(group_id, weight)| SubGroup { group_id, weight }).to_vec();
    gateway.node.runtime().execute(gpt_load_actors::commands::Command::SetSubGroups(both, members)).await.unwrap();
    for _ in 0..8 {
        assert_eq!(gateway.send(&Request::chat_at("/proxy/both/v1/chat/completions", false)).await.head.status, 200);
    }
    let ones = gateway.double.requests().iter().filter(|request| request.key.as_deref() == Some("sk-one")).count();
    assert_eq!(ones, 6);
    gateway.double.on_key("sk-one", gpt_load_benches::double::Behaviour::status(503));
    for _ in 0..8 {
        assert_eq!(gateway.send(&Request::chat_at("/proxy/both/v1/chat/completions", false)).await.head.status, 200);
    }
    let logs = gateway.logs().await;
    assert!(logs.iter().all(|log| log.parent.as_ref().is_some_and(|(_, name)| name == "both")));
}

#[actix_web::test]
async fn a_path_prefix_moves_the_whole_node() {
    let gateway = Gateway::start_with(Options::default(), &[("BASE_PATH", "/llm")]).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    for target in ["/llm/v1/chat/completions", "/llm/proxy/default/v1/chat/completions"] {
        assert_eq!(gateway.send(&Request::chat_at(target, false)).await.head.status, 200, "{target}");
    }
    assert_eq!(gateway.double.requests()[0].target, "/v1/chat/completions");
    assert_eq!(gateway.send(&Request::new("GET", "/llm/health")).await.head.status, 200);
    assert_eq!(gateway.send(&Request::new("GET", "/health")).await.head.status, 404);
}

#[actix_web::test]
async fn cors_answers_preflights_only_when_switched_on() {
    let env = [("ENABLE_CORS", "true"), ("ALLOWED_ORIGINS", "https://app.example")];
    let gateway = Gateway::start_with(Options::default(), &env).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    let preflight = Request::new("OPTIONS", "/v1/chat/completions").header("origin", "https://app.example");
    let answer = gateway.send(&preflight).await;
    assert_eq!(answer.head.status, 204);
    assert_eq!(answer.head.header("access-control-allow-origin"), Some("https://app.example"));
    let answer = gateway.send(&Request::chat(false).header("origin", "https://evil.example")).await;
    assert_eq!((answer.head.status, answer.head.header("access-control-allow-origin")), (200, None));
    assert_eq!(gateway.double.requests().len(), 1);
}

#[actix_web::test]
async fn every_answer_of_the_data_path_names_its_request() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    for (request, status, attempts) in [
        (Request::chat(false), 200, "1"),
        (Request::chat(true), 200, "1"),
        (Request::chat_at("/proxy/nope/v1/chat/completions", false), 404, "0"),
        (Request::new("POST", "/v1/chat/completions").key("wrong"), 401, "0"),
    ] {
        let answer = gateway.send(&request).await;
        assert_eq!(answer.head.status, status);
        assert_eq!(answer.head.header("x-gpt-load-request-id").map(str::len), Some(36), "{status}");
        assert_eq!(answer.head.header("x-gpt-load-attempts"), Some(attempts), "{status}");
    }
}
