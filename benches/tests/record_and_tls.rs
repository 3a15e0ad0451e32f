//! What the double records, and the same answers and faults over TLS.

use std::sync::Arc;

use gpt_load_benches::double::{At, Behaviour, Double, Options};
use gpt_load_benches::raw::{Client, End, post};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const CHAT: &str = "/v1/chat/completions";
const ASK: &str = r#"{"model":"m","messages":[]}"#;

#[tokio::test]
async fn requests_are_recorded_as_they_came() {
    let double = Double::start(Options::default()).unwrap();
    let mut client = Client::connect(double.addr).await.unwrap();
    let request = b"POST /v1/chat%2Fx?b=2&a=1&a=%20 HTTP/1.1\r\nX-B: 1\r\nx-a: caf\xc3\xa9\r\nX-B: 2\r\n\
        Api-Key: sk-azure\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n";
    client.exchange(request).await.unwrap();
    let received = double.wait_answered(0).await;
    assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/v1/chat%2Fx?b=2&a=1&a=%20"));
    let names: Vec<_> = received.headers.iter().map(|(name, _)| std::str::from_utf8(name).unwrap()).collect();
    assert_eq!(names, ["X-B", "x-a", "X-B", "Api-Key", "Transfer-Encoding"]);
    assert_eq!(received.header_values("x-b"), ["1", "2"]);
    assert_eq!(received.key.as_deref(), Some("sk-azure"));
    assert_eq!((received.body.as_ref(), received.body_length), (b"abcde".as_ref(), 5));
    assert_eq!(received.body_sha256, "36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c");
    assert_eq!(received.aborted_at, None);
}

#[tokio::test]
async fn large_bodies_are_kept_in_part() {
    let double = Double::start(Options { body_limit: 1000, ..Options::default() }).unwrap();
    let mut client = Client::connect(double.addr).await.unwrap();
    let body = "x".repeat(1_000_000);
    client.exchange(&post("/v1/unknown", "sk-a", &body)).await.unwrap();
    let received = double.wait_for(1).await.remove(0);
    assert_eq!((received.body.len(), received.body_length), (1000, 1_000_000));
}

#[tokio::test]
async fn an_unfinished_request_counts_as_aborted() {
    let double = Double::start(Options::default()).unwrap();
    let mut client = Client::connect(double.addr).await.unwrap();
    client.send(b"POST /v1/x HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    drop(client);
    assert_eq!(double.wait_aborted(0).await.body_length, 0);
}

#[tokio::test]
async fn every_place_of_a_key_is_known() {
    let double = Double::start(Options::default()).unwrap();
    let mut client = Client::connect(double.addr).await.unwrap();
    for line in ["Authorization: Bearer k", "X-Api-Key: k", "x-goog-api-key: k", "api-key: k"] {
        client.exchange(format!("GET /v1/models HTTP/1.1\r\n{line}\r\n\r\n").as_bytes()).await.unwrap();
    }
    client.exchange(b"GET /v1beta/models?key=k HTTP/1.1\r\n\r\n").await.unwrap();
    let without = client.exchange(b"GET /v1/models HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(without.head.status, 401);
    let keys: Vec<_> = double.wait_for(6).await.into_iter().map(|received| received.key).collect();
    assert_eq!(keys[..5], vec![Some("k".to_owned()); 5]);
    assert_eq!(keys[5], None);
}

#[tokio::test]
async fn a_continue_is_sent_when_asked_for() {
    let double = Double::start(Options::default()).unwrap();
    let mut client = Client::connect(double.addr).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nAuthorization: Bearer k\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        ASK.len()
    );
    client.send(head.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 100);
    assert_eq!(client.exchange(ASK.as_bytes()).await.unwrap().head.status, 200);
}

#[tokio::test]
async fn a_stopped_double_refuses_connections() {
    let double = Double::start(Options::default()).unwrap();
    let addr = double.addr;
    let mut client = Client::connect(addr).await.unwrap();
    client.exchange(&post(CHAT, "k", ASK)).await.unwrap();
    double.stop();
    assert_eq!(Client::connect(addr).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(client.closed().await.unwrap_or(true));
    assert!(Double::start(Options { addr, ..Options::default() }).is_ok(), "the address is free again");
}

async fn tls_client(double: &Double) -> Client<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(double.ca_pem().expect("TLS is on").as_bytes()).expect("it is PEM"))
        .expect("it is valid");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("it is valid");
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(double.addr).await.expect("the double accepts");
    let name = ServerName::try_from("localhost").expect("it is valid");
    Client::over(TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("the double accepts"))
}

#[tokio::test]
async fn tls_answers_and_breaks_in_its_own_ways() {
    let double = Double::start(Options { tls: true, ..Options::default() }).unwrap();
    let mut client = tls_client(&double).await;
    let whole = client.exchange(&post(CHAT, "k", ASK)).await.unwrap();
    assert_eq!((whole.head.status, whole.end), (200, End::Complete));
    for (behaviour, end) in [
        (Behaviour::cut(At::After(10)), End::Cut),
        (Behaviour { drop: Some(At::After(10)), ..Behaviour::ok() }, End::Broken),
    ] {
        double.on_next(1, behaviour);
        let answer = tls_client(&double).await.exchange(&post(CHAT, "k", ASK)).await.unwrap();
        assert_eq!((answer.body().len(), answer.end), (10, end));
    }
}
