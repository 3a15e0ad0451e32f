//! How clients may connect: HTTP/1.0, HTTP/2 with and without TLS, HTTPS.

use std::sync::Arc;

use actix_web::http::Version;
use gpt_load_benches::{
    double::Options,
    raw::{Client, End},
};
use gpt_load_schema::channel::Channel;
use rustls_pki_types::ServerName;
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::{AUTH_KEY, Gateway, Request};

pub(crate) struct Certificate {
    folder: tempfile::TempDir,
    der: rustls_pki_types::CertificateDer<'static>,
}

pub(crate) fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    Certificate { folder, der: made.cert.der().clone() }
}

pub(crate) async fn https_gateway(certificate: &Certificate) -> Gateway {
    let path = |name: &str| certificate.folder.path().join(name).display().to_string();
    let env = [("TLS_CERT_FILE", &*path("cert.pem")), ("TLS_KEY_FILE", &*path("key.pem"))];
    let gateway = Gateway::start_with(Options::default(), &env).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    gateway
}

pub(crate) fn tls_config(certificate: &Certificate, protocols: &[&[u8]]) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der.clone()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

#[actix_web::test]
async fn https_clients_are_served() {
    let certificate = certificate();
    let gateway = https_gateway(&certificate).await;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls_config(&certificate, &[b"http/1.1"])));
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    let answer = Client::over(stream).exchange(&Request::chat(true).bytes()).await.unwrap();
    assert_eq!((answer.head.status, answer.end), (200, End::Complete));
}

#[actix_web::test]
async fn http2_clients_are_served_over_tls() {
    let certificate = certificate();
    let gateway = https_gateway(&certificate).await;
    let connector = awc::Connector::new().rustls_0_23(Arc::new(tls_config(&certificate, &[b"h2"])));
    let client = awc::Client::builder().connector(connector).no_default_headers().finish();
    let url = format!("https://localhost:{}/v1/chat/completions", gateway.address().port());
    let body = json!({"model": "m", "stream": true, "messages": []});
    let request = client.post(url).insert_header(("authorization", format!("Bearer {AUTH_KEY}")));
    let mut answer = request.send_json(&body).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    let body = answer.body().await.unwrap();
    assert!(String::from_utf8_lossy(&body).ends_with("data: [DONE]\n\n"));
}

#[actix_web::test]
async fn cleartext_http2_by_prior_knowledge_is_understood() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4, "the server's first frame is SETTINGS");
}

#[actix_web::test]
async fn http10_clients_get_an_answer_without_chunks() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let body = r#"{"model":"m","messages":[]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer {AUTH_KEY}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = gateway.client().await.exchange(request.as_bytes()).await.unwrap();
    assert_eq!((answer.head.status, answer.end), (200, End::Complete));
    assert_eq!(answer.head.header("transfer-encoding"), None);
    assert!(answer.json()["choices"].is_array());
}

#[actix_web::test]
async fn a_connection_serves_many_requests() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let mut client = gateway.client().await;
    for stream in [false, true, false, true] {
        let answer = client.exchange(&Request::chat(stream).bytes()).await.unwrap();
        assert_eq!((answer.head.status, answer.end), (200, End::Complete));
    }
    assert_eq!(gateway.double.connections(), 1, "the upstream connection is reused too");
}
