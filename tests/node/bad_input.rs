//! Nonsense in: a clear error in the right shape, nothing lost, the node lives.

use gpt_load_benches::double::Options;
use gpt_load_schema::channel::Channel;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{AUTH_KEY, Gateway, Request, code, definition, start_node};

async fn assert_lives(gateway: &Gateway) {
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
}

#[actix_web::test]
async fn malformed_json_passes_to_the_provider_and_harms_nothing() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let depth = "[".repeat(200_000);
    for body in ["{", "{\"model\":", "[]", "null", "\u{0}", "{\"model\": 1, \"model\": \"\\ud800\"}", &depth] {
        let request = Request::new("POST", "/v1/chat/completions").key(AUTH_KEY).body(body.to_owned());
        assert!(gateway.send(&request).await.head.status < 500, "{body:.40}");
        assert_eq!(gateway.double.requests().last().unwrap().body, body.as_bytes(), "{body:.40}");
    }
    assert_lives(&gateway).await;
}

#[actix_web::test]
async fn a_body_over_the_limit_is_413_whether_its_length_is_announced_or_not() {
    let env = [("MAX_REQUEST_BYTES", "100000"), ("REPLAY_BUFFER_BYTES", "50000")];
    let gateway = Gateway::start_with(Options::default(), &env).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    let announced = Request::new("POST", "/v1/files").key(AUTH_KEY).body(vec![b'x'; 100_001]);
    let answer = gateway.send(&announced).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (413, "PAYLOAD_TOO_LARGE"));
    let mut body = Vec::new();
    for _ in 0..30 {
        body.extend_from_slice(b"2710\r\n");
        body.extend_from_slice(&[b'x'; 10_000]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    let growing = Request::new("POST", "/v1/files").key(AUTH_KEY).header("transfer-encoding", "chunked").body(body);
    let answer = gateway.send(&growing).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (413, "PAYLOAD_TOO_LARGE"));
    assert_lives(&gateway).await;
}

#[actix_web::test]
async fn a_group_that_must_read_the_body_refuses_one_it_cannot_buffer() {
    let gateway = Gateway::start_with(Options::default(), &[("REPLAY_BUFFER_BYTES", "50000")]).await;
    let mut definition = definition("default", Channel::OpenAi, &[&gateway.double.url()], json!({}));
    definition.param_overrides = json!({"temperature": 0}).as_object().cloned();
    gateway.add_group(definition, &["sk-1"]).await;
    let body = json!({"model": "m", "input": "x".repeat(60_000)});
    let answer = gateway.send(&Request::new("POST", "/v1/embeddings").key(AUTH_KEY).json(&body)).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (413, "PAYLOAD_TOO_LARGE"));
    assert!(answer.json()["message"].as_str().unwrap().contains("REPLAY_BUFFER_BYTES"));
    assert_lives(&gateway).await;
}

#[actix_web::test]
async fn broken_http_closes_one_connection_and_no_more() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    for nonsense in [
        "GET\r\n\r\n",
        "POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: nine\r\n\r\n",
        "POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "POST /v1/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = tokio::net::TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // Either a 4xx or a closed connection; never silence.
        let read = tokio::time::timeout(crate::support::PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "{nonsense:?}");
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{nonsense:?}");
    }
    assert_lives(&gateway).await;
}

#[actix_web::test]
async fn websocket_is_refused_and_the_concurrency_limit_answers_503() {
    let gateway = Gateway::start_with(Options::default(), &[("MAX_CONCURRENT_REQUESTS", "1")]).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    let upgrade = Request::new("GET", "/v1/realtime").key(AUTH_KEY);
    let answer = gateway.send(&upgrade.header("upgrade", "websocket").header("connection", "upgrade")).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (501, "NOT_IMPLEMENTED"));
    use gpt_load_benches::double::{At, Behaviour};
    gateway.double.on_next(1, Behaviour::hang(At::Head));
    let mut first = gateway.client().await;
    first.send(&Request::chat(false).bytes()).await.unwrap();
    gateway.double.wait_for(1).await;
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!((answer.head.status, answer.head.header("retry-after")), (503, Some("1")));
    assert_eq!(gateway.send(&Request::new("GET", "/health")).await.head.status, 200);
    drop(first);
    gateway.double.wait_aborted(0).await;
    gateway.idle().await;
    assert_lives(&gateway).await;
}

#[actix_web::test]
async fn a_bad_configuration_stops_the_start_with_every_error_named() {
    let folder = tempfile::tempdir().unwrap();
    let env =
        [("PORT", "seventy"), ("WORKERS", "0"), ("HTTPS_PROXY", "gopher://user:hunter2@proxy"), ("LOG_FORMAT", "xml")];
    let error = format!("{:#}", start_node(folder.path(), &env).await.err().unwrap());
    for name in ["PORT", "WORKERS", "HTTPS_PROXY", "LOG_FORMAT"] {
        assert!(error.contains(name), "{name} in: {error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
}

#[actix_web::test]
async fn an_unreadable_keys_file_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.txt").display().to_string();
    let error = start_node(folder.path(), &[("KEYS_FILE", &missing)]).await.err().unwrap();
    assert!(format!("{error:#}").contains("KEYS_FILE") && format!("{error:#}").contains("missing.txt"), "{error:#}");
    let binary = folder.path().join("binary");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    let error = start_node(folder.path(), &[("KEYS_FILE", &binary.display().to_string())]).await.err().unwrap();
    assert!(format!("{error:#}").contains("KEYS_FILE"), "{error:#}");
}

#[actix_web::test]
async fn unknown_settings_and_broken_group_input_are_refused_with_the_field() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let before = gateway.node.store().settings().await.unwrap();
    let put = |body| Request::new("PUT", "/api/settings").key(AUTH_KEY).json(&body);
    for (body, field) in [
        (json!({"no_such_setting": 1}), "no_such_setting"),
        (json!({"max_retries": -1}), "max_retries"),
        (json!({"max_retries": 1.5}), "max_retries"),
        (json!({"request_timeout": "ten"}), "request_timeout"),
        (json!({"proxy_url": "gopher://x"}), "proxy_url"),
        (json!({"max_retries": 2, "blacklist_threshold": null}), "blacklist_threshold"),
    ] {
        let answer = gateway.send(&put(body.clone())).await;
        assert_eq!((answer.head.status, code(&answer).as_str()), (400, "VALIDATION_FAILED"), "{body}");
        assert!(String::from_utf8_lossy(&answer.body()).contains(field), "{body}");
    }
    assert_eq!(gateway.node.store().settings().await.unwrap(), before);
    let group = json!({
        "name": "g", "channel_type": "openai", "test_model": "m", "upstreams": [{"url": "https://a.example", "weight": 1}],
        "config": {"proxy_url": "socks5://user:hunter2@:0"}
    });
    let answer = gateway.send(&Request::new("POST", "/api/groups").key(AUTH_KEY).json(&group)).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (400, "VALIDATION_FAILED"));
    assert!(!String::from_utf8_lossy(&answer.body()).contains("hunter2"));
    let answer = gateway.send(&Request::new("POST", "/api/groups").key(AUTH_KEY).body("{not json")).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (400, "INVALID_JSON"));
    assert_lives(&gateway).await;
}
