//! Answers at the edge of what HTTP allows: each must reach the client as it is, and the log must say what it was.

use std::time::Duration;

use gpt_load_benches::{
    double::{Behaviour, Framing},
    raw::End,
};
use gpt_load_schema::{channel::Channel, log::OutcomeClass};
use serde_json::json;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{AUTH_KEY, Gateway, Request, code, definition};

#[actix_web::test]
async fn an_event_stream_of_no_bytes_is_an_answer_and_no_hang_up() {
    for raw in [
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let gateway = Gateway::with_keys(&["sk-1"]).await;
        gateway.double.on_next(1, Behaviour::raw(raw));
        let answer = gateway.send(&Request::chat(true)).await;
        assert_eq!((answer.head.status, answer.end, answer.body().len()), (200, End::Complete, 0), "{raw}");
        let log = gateway.final_log().await;
        assert_eq!((log.class, log.status_code), (Some(OutcomeClass::Success), 200), "{raw}");
    }
}

#[actix_web::test]
async fn a_huge_error_body_keeps_its_status_and_class() {
    let gateway = Gateway::with_keys(&["sk-1", "sk-2"]).await;
    let body = format!(r#"{{"error":{{"message":"no","details":"{}"}}}}"#, "x".repeat(3 << 20));
    for framing in [Framing::Length, Framing::Chunked] {
        let huge = Behaviour { body: Behaviour::golden(body.clone()).body, ..Behaviour::status(400) };
        gateway.double.on_next(1, huge.framing(framing));
        let answer = gateway.send(&Request::chat(false)).await;
        assert_eq!((answer.head.status, answer.head.header("x-gpt-load-attempts")), (400, Some("1")), "{framing:?}");
        assert!(body.as_bytes().starts_with(&answer.body()) && answer.body().len() >= 1 << 20, "{framing:?}");
    }
    let logs = gateway.logs().await;
    assert_eq!(logs.len(), 2);
    assert!(logs.iter().all(|log| log.class == Some(OutcomeClass::ClientError)), "{logs:?}");
}

#[actix_web::test]
async fn a_head_answer_says_no_length_that_the_upstream_did_not_say() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    for (raw, length) in [
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Some("0")),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 77\r\n\r\n", Some("77")),
    ] {
        gateway.double.on_next(1, Behaviour::raw(raw));
        let mut client = gateway.client().await;
        client.send(&Request::new("HEAD", "/v1/models").key(AUTH_KEY).bytes()).await.unwrap();
        let head = client.head().await.unwrap();
        assert_eq!(head.header("content-length"), length, "{raw}");
        assert_eq!(head.header("transfer-encoding"), None, "{raw}");
    }
    let raw = "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n";
    gateway.double.on_next(1, Behaviour::raw(raw));
    let answer = gateway.send(&Request::new("GET", "/v1/models").key(AUTH_KEY)).await;
    assert_eq!((answer.head.status, answer.head.header("etag")), (304, Some("\"a\"")));
    assert_eq!(answer.head.header("content-length"), None);
}

#[actix_web::test]
async fn media_types_are_read_in_any_case() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8";
    gateway.double.on_next(1, Behaviour::raw(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())));
    let answer = gateway.send(&Request::chat(true)).await;
    assert_eq!((answer.head.status, answer.end), (200, End::Complete));
    assert_eq!(answer.head.header("x-accel-buffering"), Some("no"));
    assert_eq!(gateway.final_log().await.finish_reason.as_deref(), Some("stop"));
}

#[actix_web::test]
async fn a_stream_that_was_asked_for_is_not_bounded_by_the_request_timeout_whatever_its_type() {
    let gateway = Gateway::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let definition = definition("lines", Channel::OpenAi, &[&upstream], json!({"request_timeout": 1}));
    gateway.add_group(definition, &["sk-1"]).await;
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        stream.read_buf(&mut request).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..6 {
            stream.write_all(b"3\r\n{}\n\r\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        stream
    };
    let request = Request::chat_at("/proxy/lines/v1/chat/completions", true);
    let (answer, _upstream) = tokio::join!(gateway.send(&request), serving);
    assert_eq!((answer.head.status, answer.end), (200, End::Complete));
    assert_eq!(answer.body(), "{}\n".repeat(6));
}

#[actix_web::test]
async fn a_request_that_no_upstream_could_take_is_the_clients_error() {
    let gateway = Gateway::start().await;
    gateway
        .group(
            "gemini",
            Channel::Gemini,
            &["sk-a-key-of-some-length-0123456789", "sk-a-key-of-some-length-1123456789"],
            json!({}),
        )
        .await;
    let target = "/proxy/gemini/v1beta/models/m:generateContent?pad=";
    let target = format!("{target}{}", "x".repeat(65_530 - target.len()));
    let answer = gateway.send(&Request::new("POST", &target).key(AUTH_KEY).json(&json!({}))).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (400, "BAD_REQUEST"));
    assert!(gateway.double.requests().is_empty());
    let log = gateway.final_log().await;
    assert_eq!((log.class, log.attempt), (Some(OutcomeClass::ClientError), 1));
}

#[actix_web::test]
async fn the_last_attempts_first_error_event_is_passed_through_and_told() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"max_retries": 0})).await;
    gateway.double.on_next(1, Behaviour::error_event(0));
    let answer = gateway.send(&Request::chat(true)).await;
    assert_eq!((answer.head.status, answer.head.header("x-gpt-load-attempts")), (200, Some("1")));
    assert!(String::from_utf8_lossy(&answer.body()).contains("error"));
    let log = gateway.final_log().await;
    assert!(!log.is_success && log.class != Some(OutcomeClass::Success), "{log:?}");
    assert!(!log.error_message.is_empty());
}

#[actix_web::test]
async fn error_bodies_in_unknown_codings_pass_and_are_judged_by_their_status() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"max_retries": 0})).await;
    let odd = Behaviour { body: Behaviour::golden(vec![0xff, 0xfe, 1, 2]).body, ..Behaviour::status(422) };
    gateway.double.on_next(1, odd.header("content-encoding", "exi"));
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!((answer.head.status, answer.head.header("content-encoding")), (422, Some("exi")));
    assert_eq!(answer.body().as_ref(), [0xff, 0xfe, 1, 2]);
    assert_eq!(gateway.final_log().await.class, Some(OutcomeClass::ClientError));
}
