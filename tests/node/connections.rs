//! Client connections under stress: what one request leaves unread, unsent or broken must not reach the next.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gpt_load_benches::{
    double::{At, Behaviour, Options},
    raw::{Client, End},
};
use gpt_load_schema::{channel::Channel, log::OutcomeClass};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{AUTH_KEY, Gateway, PATIENCE, Request, code, definition};

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

/// Asks until the node admits a request again.
async fn admitted_again(gateway: &Gateway) {
    in_time(async {
        while gateway.send(&Request::chat(false)).await.head.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[actix_web::test]
async fn a_refused_request_whose_body_was_not_read_never_becomes_the_next_one() {
    let env = [("MAX_REQUEST_BYTES", "2000000"), ("REPLAY_BUFFER_BYTES", "65536")];
    let gateway = Gateway::start_with(Options::default(), &env).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    // A body that reads like a request, in case the connection goes on where the body should be.
    let smuggled = String::from_utf8(Request::new("POST", "/v1/smuggled").key(AUTH_KEY).bytes()).unwrap();
    for (size, key, status) in [(1_000, "wrong", 401), (500_000, "wrong", 401), (3_000_000, AUTH_KEY, 413)] {
        let body = smuggled.repeat(size / smuggled.len() + 1);
        let request = Request::new("POST", "/v1/files").key(key).body(body);
        let mut client = gateway.client().await;
        let answer = in_time(client.exchange(&request.bytes())).await;
        if let Ok(answer) = answer {
            assert_eq!(answer.head.status, status, "{size}");
            // Either the connection is closed, or it answers exactly what is asked next.
            if client.send(&Request::chat(false).bytes()).await.is_ok()
                && let Ok(next) = in_time(client.answer()).await
            {
                assert_eq!((next.head.status, next.end), (200, End::Complete), "{size}");
            }
        }
    }
    let targets: Vec<_> = gateway.double.requests().into_iter().map(|request| request.target).collect();
    assert!(targets.iter().all(|target| target == "/v1/chat/completions"), "{targets:?}");
}

#[actix_web::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let gateway =
        Gateway::start_with(Options::default(), &[("MAX_REQUEST_BYTES", "1000000"), ("REPLAY_BUFFER_BYTES", "65536")])
            .await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    let request = Request::new("POST", "/v1/files").key(AUTH_KEY).body(vec![b'x'; 20_000_000]).bytes();
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let sending = actix_web::rt::spawn(async move {
        _ = writing.write_all(&request).await;
        writing
    });
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("PAYLOAD_TOO_LARGE") {
        let read = in_time(reading.read_buf(&mut answer)).await.expect("the refusal before a reset");
        assert!(read > 0, "{:?}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 413"));
    sending.abort();
}

#[actix_web::test]
async fn ambiguous_framing_is_refused_and_nothing_is_smuggled() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let hidden = String::from_utf8(Request::new("POST", "/v1/smuggled").key(AUTH_KEY).bytes()).unwrap();
    let auth = format!("authorization: Bearer {AUTH_KEY}");
    for head in [
        format!("POST /v1/a HTTP/1.1\r\nhost: a\r\n{auth}\r\ncontent-length: 5\r\ntransfer-encoding: chunked"),
        format!("POST /v1/a HTTP/1.1\r\nhost: a\r\n{auth}\r\ntransfer-encoding: chunked\r\ncontent-length: 5"),
        format!("POST /v1/a HTTP/1.1\r\nhost: a\r\n{auth}\r\ntransfer-encoding: chunked, identity"),
        format!("POST /v1/a HTTP/1.1\r\nhost: a\r\n{auth}\r\ntransfer-encoding: xchunked"),
        format!("POST /v1/a HTTP/1.1\r\nhost: a\r\n{auth}\r\ntransfer-encoding : chunked"),
        format!("POST /v1/a HTTP/1.1\r\nhost: a\r\n{auth}\r\ncontent-length: +5"),
        format!("POST /v1/a HTTP/1.1\r\nhost: a\r\n{auth}\r\ncontent-length: 5, 5"),
        format!("POST /v1/a HTTP/1.1\r\nhost: a\r\n{auth}\r\nx: a\u{0}b\r\ncontent-length: 5"),
    ] {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(format!("{head}\r\n\r\n0\r\n\r\n{hidden}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        _ = in_time(stream.read_to_end(&mut answer)).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || text.starts_with("HTTP/1.1 4"), "{head}: {text}");
    }
    assert!(gateway.double.requests().is_empty(), "{:?}", gateway.double.requests());
}

#[actix_web::test]
async fn odd_targets_stay_as_they_are() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    for (sent, received) in [
        ("http://elsewhere.example/v1/a?b=c", "/v1/a?b=c"),
        ("//v1//a", "//v1//a"),
        ("/v1/a%2F..%2Fb%00c", "/v1/a%2F..%2Fb%00c"),
        ("/v1/a?x=%zz&&y", "/v1/a?x=%zz&&y"),
    ] {
        let answer = gateway.send(&Request::new("POST", sent).key(AUTH_KEY).body("{}")).await;
        assert!(answer.head.status < 500, "{sent}: {}", answer.head.status);
        let last = gateway.double.requests().pop().unwrap();
        assert_eq!((last.target.as_str(), last.header("host")), (received, Some(&*gateway.double.addr.to_string())));
    }
    let mut many = Request::chat(false);
    for number in 0..100 {
        many = many.header(&format!("x-{number}"), "1");
    }
    let answer = gateway.send(&many).await;
    assert!((400..500).contains(&answer.head.status), "{}", answer.head.status);
}

/// An upstream that sends an endless body and counts what the gateway took of it.
fn flood(bytes: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 64 * 1024];
        assert!(stream.read(&mut request).unwrap() > 0);
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {bytes}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let piece = vec![b'x'; 64 * 1024];
        let mut left = bytes;
        while left > 0 {
            let Ok(written) = stream.write(&piece[..piece.len().min(left)]) else { return };
            left -= written;
            counter.fetch_add(written, Ordering::SeqCst);
        }
    });
    (address, taken)
}

#[actix_web::test]
async fn a_client_that_does_not_read_holds_the_upstream_back() {
    const BODY: usize = 100 << 20;
    // What the kernel may hold on the two connections at most.
    const BUFFERS: usize = 32 << 20;
    let gateway = Gateway::start().await;
    let (address, taken) = flood(BODY);
    gateway
        .add_group(definition("default", Channel::OpenAi, &[&format!("http://{address}")], json!({})), &["sk-1"])
        .await;
    let mut client = gateway.client().await;
    client.send(&Request::chat(false).bytes()).await.unwrap();
    client.head().await.unwrap();
    // Until nothing moves any more.
    let mut before = usize::MAX;
    while before != taken.load(Ordering::SeqCst) {
        before = taken.load(Ordering::SeqCst);
        assert!(before < BUFFERS, "{before}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut read = 0;
    while let Some(piece) = in_time(client.piece()).await.unwrap() {
        read += piece.len();
    }
    assert_eq!(read, BODY);
    assert!(gateway.final_log().await.is_success);
}

#[actix_web::test]
async fn slow_heads_and_slow_bodies_are_cut_off() {
    let env = [("SERVER_READ_TIMEOUT", "1"), ("MAX_CONCURRENT_REQUESTS", "1"), ("REPLAY_BUFFER_BYTES", "1000")];
    let gateway = Gateway::start_with(Options::default(), &env).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    let head = |length| {
        format!("POST /v1/x HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {AUTH_KEY}\r\ncontent-length: {length}\r\n")
    };
    for (sent, status) in [
        (head(10), "HTTP/1.1 408"),
        (format!("{}\r\nabc", head(10)), "HTTP/1.1 408"),
        (format!("{}\r\nabc", head(5_000)), "HTTP/1.1 408"),
    ] {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        _ = in_time(stream.read_to_end(&mut answer)).await;
        assert!(answer.starts_with(status.as_bytes()), "{sent:?}: {:?}", String::from_utf8_lossy(&answer));
    }
    admitted_again(&gateway).await;
    let logs = gateway.logs().await;
    assert!(logs.iter().all(|log| log.class != Some(OutcomeClass::UpstreamFault)), "{logs:?}");
}

#[actix_web::test]
async fn a_hang_up_at_any_moment_frees_the_place_and_writes_at_most_one_row() {
    let env = [("MAX_CONCURRENT_REQUESTS", "1"), ("REPLAY_BUFFER_BYTES", "1000")];
    let gateway = Gateway::start_with(Options::default(), &env).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"max_wait_ms": 20_000, "max_retries": 5})).await;
    let head = |length| {
        format!(
            "POST /v1/x HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {AUTH_KEY}\r\ncontent-length: {length}\r\n\r\nabc"
        )
    };
    // While a body to be buffered, and one to be streamed, is on its way.
    for length in [10, 5_000] {
        // The node has the request when another one is refused; it may itself be the one that is refused.
        let client = in_time(async {
            loop {
                let mut client = gateway.client().await;
                client.send(head(length).as_bytes()).await.unwrap();
                if gateway.send(&Request::chat(false)).await.head.status == 503 {
                    return client;
                }
            }
        })
        .await;
        drop(client);
        admitted_again(&gateway).await;
    }
    // While a stream is running.
    gateway.double.on_next(1, Behaviour::hang(At::After(2)));
    let mut client = gateway.client().await;
    client.send(&Request::chat(true).bytes()).await.unwrap();
    client.head().await.unwrap();
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 503, "a stream keeps its place");
    drop(client);
    admitted_again(&gateway).await;
    // While waiting for a resting key.
    gateway.double.on_next(1, Behaviour::rate_limited(10));
    let mut client = gateway.client().await;
    let before = gateway.double.requests().len();
    client.send(&Request::chat(false).bytes()).await.unwrap();
    in_time(gateway.double.wait_answered(before as u64)).await;
    drop(client);
    in_time(async {
        while gateway.logs().await.last().is_none_or(|log| log.class != Some(OutcomeClass::Abandoned)) {}
    })
    .await;
    let mut ids: Vec<_> = gateway
        .logs()
        .await
        .into_iter()
        .filter(|log| log.request_type == gpt_load_schema::log::RequestType::Final)
        .map(|log| log.request_id)
        .collect();
    let rows = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows, "one final row per request");
}

#[actix_web::test]
async fn idle_upstream_connections_are_closed_when_their_time_is_over() {
    let gateway = Gateway::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let config = json!({"idle_conn_timeout": 1});
    gateway.add_group(definition("default", Channel::OpenAi, &[&upstream], config), &["sk-1"]).await;
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !String::from_utf8_lossy(&request).contains("\r\n\r\n{") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        // The end of the connection, with no further request to bring it about.
        while stream.read_buf(&mut request).await.unwrap_or_default() > 0 {}
    };
    let request = Request::chat(false);
    let (answer, ()) = in_time(async { tokio::join!(gateway.send(&request), serving) }).await;
    assert_eq!(answer.head.status, 200);
}

#[actix_web::test]
async fn an_upstream_that_is_down_is_not_asked_by_every_request() {
    let gateway = Gateway::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sick = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    let upstreams = [&*format!("http://{sick}"), &gateway.double.url()];
    gateway.add_group(definition("default", Channel::OpenAi, &upstreams, json!({})), &["sk-1", "sk-2"]).await;
    for _ in 0..40 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    // Five faults open the circuit; a slow machine may see a probe or two.
    let asked = asked.load(Ordering::SeqCst);
    assert!((5..=8).contains(&asked), "{asked}");
}

#[actix_web::test]
async fn a_body_without_a_length_is_replayed_with_one() {
    let gateway = Gateway::with_keys(&["sk-bad", "sk-good"]).await;
    gateway.double.on_key("sk-bad", Behaviour::invalid_key());
    let chunked = "5\r\n{\"mod\r\n9\r\nel\": \"m\"}\r\n0\r\n\r\n";
    let request = Request::new("POST", "/v1/things").key(AUTH_KEY).header("transfer-encoding", "chunked");
    gateway.send(&request.body(chunked)).await;
    assert_eq!(gateway.double.requests().len(), 2);
    for received in gateway.double.requests() {
        assert_eq!(received.body.as_ref(), br#"{"model": "m"}"#);
        assert_eq!((received.header("content-length"), received.header("transfer-encoding")), (Some("14"), None));
    }
    gateway.send(&Request::new("POST", "/v1/empty").key(AUTH_KEY)).await;
    let empty = gateway.double.requests().pop().unwrap();
    assert_eq!((empty.header("content-length"), empty.body.len()), (Some("0"), 0));
}

#[actix_web::test]
async fn a_method_of_ones_own_and_pipelined_requests_get_their_own_answers() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let mut client: Client = gateway.client().await;
    let mut bytes = Request::chat(false).bytes();
    bytes.extend(Request::new("POST", "/v1/files").key("wrong").body("x").bytes());
    bytes.extend(Request::chat(true).bytes());
    client.send(&bytes).await.unwrap();
    let first = in_time(client.answer()).await.unwrap();
    let second = in_time(client.answer()).await.unwrap();
    assert_eq!((first.head.status, second.head.status, code(&second).as_str()), (200, 401, "UNAUTHORIZED"));
    if let Ok(third) = in_time(client.answer()).await {
        assert_eq!((third.head.status, third.end), (200, End::Complete));
    }
}
