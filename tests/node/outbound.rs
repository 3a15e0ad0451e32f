//! TLS, HTTP/2 and outbound proxies, through the whole node.

use gpt_load_benches::double::{At, Behaviour, Double, Options};
use gpt_load_benches::raw::End;
use gpt_load_schema::channel::Channel;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::support::{AUTH_KEY, Gateway, Request, definition, start_node};

#[actix_web::test]
async fn a_tls_provider_is_trusted_through_the_extra_ca_and_its_cut_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Double::start(Options { tls: true, ..Options::default() }).unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, provider.ca_pem().unwrap()).unwrap();
    let env = [("AUTH_KEY", AUTH_KEY), ("EXTRA_CA_FILE", &*ca.display().to_string())];
    let gateway = Gateway::start_with(Options::default(), &env).await;
    let url = format!("https://localhost:{}", provider.addr.port());
    let config = json!({"max_retries": 0});
    gateway.add_group(definition("default", Channel::OpenAi, &[&url], config), &["sk-1"]).await;
    assert_eq!(gateway.send(&Request::chat(true)).await.end, End::Complete);
    for cut in [Behaviour::cut(At::After(3)), Behaviour { drop: Some(At::After(3)), ..Behaviour::ok() }] {
        provider.on_next(1, cut);
        let answer = gateway.send(&Request::chat(true)).await;
        assert_eq!(answer.head.status, 200);
        assert_ne!(answer.end, End::Complete);
    }
}

#[actix_web::test]
async fn an_untrusted_certificate_is_a_502_that_says_so() {
    let gateway = Gateway::start_with(Options { tls: true, ..Options::default() }, &[]).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"max_retries": 0})).await;
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!(answer.head.status, 502);
    assert!(gateway.final_log().await.evidence.unwrap().starts_with("tls"));
}

/// A proxy that opens one tunnel and tells which host it was asked for.
async fn connect_proxy(listener: TcpListener, to: std::net::SocketAddr) -> String {
    let (mut client, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let mut upstream = TcpStream::connect(to).await.unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    actix_web::rt::spawn(async move { copy_bidirectional(&mut client, &mut upstream).await });
    String::from_utf8(head).unwrap()
}

#[actix_web::test]
async fn a_groups_own_proxy_carries_its_calls() {
    let folder = tempfile::tempdir().unwrap();
    let provider =
        Double::start(Options { tls: true, tls_names: vec!["provider.example".to_owned()], ..Options::default() })
            .unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, provider.ca_pem().unwrap()).unwrap();
    let gateway = Gateway::start_with(Options::default(), &[("EXTRA_CA_FILE", &*ca.display().to_string())]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = json!({"proxy_url": format!("http://user:p%40ss@{}", listener.local_addr().unwrap())});
    gateway.add_group(definition("default", Channel::OpenAi, &["https://provider.example"], config), &["sk-1"]).await;
    let request = Request::chat(false);
    let (head, answer) = tokio::join!(connect_proxy(listener, provider.addr), gateway.send(&request));
    assert_eq!(answer.head.status, 200);
    assert!(head.starts_with("CONNECT provider.example:443 HTTP/1.1\r\n"), "{head}");
    // base64 of user:p@ss
    assert!(head.contains("dXNlcjpwQHNz"), "{head}");
}

#[actix_web::test]
async fn link_local_upstreams_are_refused_unless_allowed() {
    let gateway = Gateway::start().await;
    let config = json!({"max_retries": 0});
    let metadata = definition("default", Channel::OpenAi, &["http://169.254.169.254"], config);
    gateway.add_group(metadata, &["sk-1"]).await;
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!(answer.head.status, 502);
    assert!(String::from_utf8_lossy(&answer.body()).contains("ALLOW_LINK_LOCAL_UPSTREAMS"));
}

#[actix_web::test]
async fn two_nodes_do_not_share_a_port() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start().await;
    let port = gateway.address().port().to_string();
    let error = start_node(folder.path(), &[("PORT", &port)]).await.err().unwrap();
    assert!(format!("{error:#}").contains("PORT"), "{error:#}");
}
