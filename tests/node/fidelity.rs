//! Bytes in = bytes out, in both directions.

use std::time::Duration;

use gpt_load_benches::{
    double::{Behaviour, Framing, Options},
    raw::End,
};
use gpt_load_schema::channel::Channel;
use serde_json::json;

use crate::support::{AUTH_KEY, Gateway, Request};

/// Recorded in shape from each provider: multi-byte characters, comments, CRLF, odd spacing, several data lines.
const STREAMS: [(Channel, &str, &str); 4] = [
    (Channel::OpenAi, "/v1/chat/completions", include_str!("golden/openai.sse")),
    (Channel::OpenAiResponse, "/v1/responses", include_str!("golden/openai-response.sse")),
    (Channel::Anthropic, "/v1/messages", include_str!("golden/anthropic.sse")),
    (
        Channel::Gemini,
        "/v1beta/models/gemini-2.0-flash:streamGenerateContent?alt=sse",
        include_str!("golden/gemini.sse"),
    ),
];

#[actix_web::test]
async fn golden_streams_come_out_identical_whatever_the_chunk_boundaries() {
    let gateway = Gateway::start().await;
    for (channel, path, golden) in STREAMS {
        gateway.group(channel.as_str(), channel, &["sk-1"], json!({})).await;
        for chunk in [1, 2, 3, 7, 64, 100_000] {
            let behaviour = Behaviour::golden(golden).chunk(chunk).framing(Framing::Chunked);
            gateway.double.on_next(1, behaviour.header("content-type", "text/event-stream"));
            let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
            let request = match channel {
                Channel::Gemini => Request::new("POST", &format!("/proxy/{channel}{path}"))
                    .key(AUTH_KEY)
                    .json(&json!({"contents": contents})),
                _ => Request::chat_at(&format!("/proxy/{channel}{path}"), true),
            };
            let answer = gateway.send(&request).await;
            assert_eq!((answer.head.status, answer.end), (200, End::Complete), "{channel} in pieces of {chunk}");
            assert_eq!(answer.body(), golden.as_bytes(), "{channel} in pieces of {chunk}");
        }
    }
    assert!(gateway.logs().await.iter().all(|log| log.is_success));
}

#[actix_web::test]
async fn every_chunk_is_forwarded_as_it_arrives() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    gateway.double.on_next(1, Behaviour::ok().events(5).delay_event(Duration::from_millis(60)));
    let mut client = gateway.client().await;
    client.send(&Request::chat(true).bytes()).await.unwrap();
    let head = client.head().await.unwrap();
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert_eq!(head.header("cache-control"), Some("no-cache"));
    let begun = std::time::Instant::now();
    let mut arrivals = Vec::new();
    while client.piece().await.unwrap().is_some() {
        arrivals.push(begun.elapsed());
    }
    let spread = *arrivals.last().unwrap() - arrivals[0];
    assert!(spread >= Duration::from_millis(200), "events came in one lump: {arrivals:?}");
}

#[actix_web::test]
async fn bodies_headers_and_codings_pass_unchanged() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let body: Vec<u8> = (0..=255_u8).cycle().take(300_000).collect();
    for framing in [Framing::Length, Framing::Chunked, Framing::Close] {
        let behaviour = Behaviour::golden(body.clone()).framing(framing);
        let behaviour = behaviour.header("content-type", "application/octet-stream").header("set-cookie", "a=1");
        gateway.double.on_next(1, behaviour.header("set-cookie", "b=2").header("x-odd", "caf\u{e9}"));
        let answer = gateway.send(&Request::chat(false)).await;
        assert_eq!(answer.end, End::Complete, "{framing:?}");
        assert_eq!(answer.body(), body, "{framing:?}");
        assert_eq!(answer.head.header_values("set-cookie").len(), 2, "{framing:?}");
        let length = answer.head.header("content-length").map(str::to_owned);
        assert_eq!(length.is_some(), framing == Framing::Length, "{framing:?}");
        assert_eq!(answer.head.header("x-content-type-options"), None, "security headers are for own answers only");
    }
    gateway.double.on_next(1, Behaviour::ok().gzip());
    let answer = gateway.send(&Request::chat(false).header("accept-encoding", "gzip")).await;
    assert_eq!(answer.head.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.body()[..2], [0x1f, 0x8b]);
    let gzipped = gateway.logs().await.pop().unwrap();
    assert!(gzipped.usage.output.is_some(), "usage is read from a decoded copy");
}

#[actix_web::test]
async fn requests_arrive_as_the_client_sent_them() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let target = "/v1/files/a%2Fb%20c?x=%7E&x=2&y";
    let body = "\u{feff}not json \u{0} at all";
    let request = Request::new("DELETE", target)
        .key(AUTH_KEY)
        .header("x-custom", "one")
        .header("x-custom", "two")
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "gone")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(body);
    gateway.send(&request).await;
    let received = &gateway.double.requests()[0];
    assert_eq!((received.method.as_str(), received.target.as_str()), ("DELETE", target));
    assert_eq!(received.body, body.as_bytes());
    assert_eq!(received.header_values("x-custom"), ["one", "two"]);
    assert_eq!(received.header("x-hop"), None);
    assert!(received.header("traceparent").is_some());
    assert!(received.header("x-forwarded-for").is_none());
    assert!(received.header("host").is_some_and(|host| host == gateway.double.addr.to_string()));
}

#[actix_web::test]
async fn large_and_unsized_bodies_stream_through() {
    let gateway = Gateway::start_with(Options::default(), &[("REPLAY_BUFFER_BYTES", "65536")]).await;
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({})).await;
    let body: Vec<u8> = (0..=255_u8).cycle().take(1_000_000).collect();
    let request = Request::new("POST", "/v1/audio/transcriptions").key(AUTH_KEY).body(body.clone());
    gateway.send(&request).await;
    let mut chunked = Vec::new();
    for piece in body.chunks(10_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let request = Request::new("POST", "/v1/audio/transcriptions").key(AUTH_KEY);
    gateway.send(&request.header("transfer-encoding", "chunked").body(chunked)).await;
    let received = gateway.double.requests();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].header("content-length"), Some("1000000"));
    assert_eq!(received[1].header("transfer-encoding"), Some("chunked"));
    assert!(received.iter().all(|request| request.body == body));
}

#[actix_web::test]
async fn head_and_options_and_expect_work() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    gateway.double.on_next(1, Behaviour::raw("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n"));
    let mut client = gateway.client().await;
    client.send(&Request::new("HEAD", "/v1/models").key(AUTH_KEY).bytes()).await.unwrap();
    let head = client.head().await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("1234")));
    assert_eq!(gateway.double.requests()[0].method, "HEAD");
    gateway.send(&Request::new("OPTIONS", "/v1/models").key(AUTH_KEY)).await;
    assert_eq!(gateway.double.requests()[1].method, "OPTIONS");
    let answer = gateway.send(&Request::chat(false).header("expect", "100-continue")).await;
    assert_eq!((answer.head.status, answer.interim.as_slice()), (200, [100].as_slice()));
    assert_eq!(gateway.double.requests()[2].header("expect"), None);
}

#[actix_web::test]
async fn an_answer_without_a_body_stays_without_one() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let raw = "HTTP/1.1 204 No Content\r\nx-kept: 1\r\n\r\n";
    gateway.double.on_next(1, Behaviour::raw(raw));
    let answer = gateway.send(&Request::new("DELETE", "/v1/files/file-1").key(AUTH_KEY)).await;
    assert_eq!((answer.head.status, answer.body().len(), answer.head.header("x-kept")), (204, 0, Some("1")));
    gateway.double.on_next(1, Behaviour::status(307).header("location", "https://elsewhere.example/"));
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!((answer.head.status, answer.head.header("location")), (307, Some("https://elsewhere.example/")));
}
