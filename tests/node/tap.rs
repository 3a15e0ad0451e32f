//! Tokens, finish reasons and models, as they land in the log.

use gpt_load_benches::double::Behaviour;
use gpt_load_schema::channel::Channel;
use serde_json::json;

use crate::support::{AUTH_KEY, Gateway, Request};

#[actix_web::test]
async fn usage_of_all_channels_streamed_and_not_is_in_the_log() {
    let gateway = Gateway::start().await;
    for channel in Channel::ALL {
        gateway.group(channel.as_str(), channel, &["sk-1"], json!({})).await;
    }
    let chat = |target: &str, stream| Request::chat_at(target, stream);
    let gemini = |action: &str| {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
        Request::new("POST", &format!("/proxy/gemini/v1beta/models/gemini-2.0-flash:{action}"))
            .key(AUTH_KEY)
            .json(&body)
    };
    let requests = [
        ("openai", chat("/proxy/openai/v1/chat/completions", false)),
        ("responses stream", chat("/proxy/openai-response/v1/responses", true)),
        ("responses", chat("/proxy/openai-response/v1/responses", false)),
        ("anthropic stream", chat("/proxy/anthropic/v1/messages", true)),
        ("anthropic", chat("/proxy/anthropic/v1/messages", false)),
        ("gemini stream", gemini("streamGenerateContent?alt=sse")),
        ("gemini array", gemini("streamGenerateContent")),
        ("gemini", gemini("generateContent")),
    ];
    for (number, (name, request)) in requests.into_iter().enumerate() {
        let answer = gateway.send(&request).await;
        assert_eq!(answer.head.status, 200, "{name}");
        let logs = gateway.logs().await;
        assert_eq!(logs.len(), number + 1, "{name}");
        let log = logs.last().unwrap();
        assert!(log.is_success, "{name}: {log:?}");
        assert!(log.usage.input.is_some_and(|tokens| tokens > 0), "{name}: {log:?}");
        assert!(log.usage.output.is_some_and(|tokens| tokens > 0), "{name}: {log:?}");
        assert_eq!(log.is_stream, name.contains("stream") || name.contains("array"), "{name}");
    }
}

#[actix_web::test]
async fn usage_that_nobody_told_is_unknown_and_nothing_is_asked_for_it() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    gateway.double.on_next(1, Behaviour { no_usage: true, ..Behaviour::ok() });
    gateway.send(&Request::chat(true)).await;
    let log = gateway.final_log().await;
    assert_eq!((log.usage.input, log.usage.output), (None, None));
    assert_eq!(log.finish_reason.as_deref(), Some("stop"));
    assert!(!String::from_utf8_lossy(&gateway.double.requests()[0].body).contains("stream_options"));
}

#[actix_web::test]
async fn a_group_may_ask_for_usage_in_streams() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"include_stream_usage": true})).await;
    gateway.send(&Request::chat(true)).await;
    let sent = gateway.double.requests()[0].json();
    assert_eq!(sent["stream_options"], json!({"include_usage": true}));
    gateway.send(&Request::chat(false)).await;
    assert_eq!(gateway.double.requests()[1].json().get("stream_options"), None);
}

#[actix_web::test]
async fn bodies_are_logged_only_where_the_group_asks_for_it() {
    let gateway = Gateway::start().await;
    gateway.group("quiet", Channel::OpenAi, &["sk-1"], json!({})).await;
    gateway.group("open", Channel::OpenAi, &["sk-1"], json!({"enable_request_body_logging": true})).await;
    for group in ["quiet", "open"] {
        let request = Request::chat_at(&format!("/proxy/{group}/v1/chat/completions"), false);
        gateway.send(&request.header("user-agent", "test-agent")).await;
    }
    let logs = gateway.logs().await;
    assert_eq!((logs[0].request_body.as_str(), logs[0].user_agent.as_str()), ("", ""));
    assert!(logs[1].request_body.contains("\"messages\"") && logs[1].user_agent == "test-agent");
}
