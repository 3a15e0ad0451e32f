//! HTTP/2 as an opt-in.

use std::sync::Arc;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use gpt_load::upstream::{OutboundBody, Profile, TransportKind};

use super::server::{Identity, Server};
use super::*;

fn http2(authority: String) -> Target {
    let profile = Arc::new(Profile { http2: true, ..Profile::default() });
    Target { profile, scheme_https: true, authority }
}

/// An upstream that speaks both and answers with the version, the path and the body it saw.
fn both(identity: &Identity) -> (String, actix_web::dev::ServerHandle) {
    let echo = |request: HttpRequest, body: Bytes| async move {
        let text = format!("{:?} {} {}", request.version(), request.uri(), String::from_utf8_lossy(&body));
        HttpResponse::Ok().body(text)
    };
    let server = HttpServer::new(move || App::new().default_service(web::to(echo)))
        .workers(1)
        .disable_signals()
        .bind_rustls_0_23(("127.0.0.1", 0), identity.server(&[]))
        .unwrap();
    let authority = server.addrs()[0].to_string();
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(server);
    (authority, handle)
}

#[actix_rt::test]
async fn an_upstream_that_offers_http2_is_spoken_to_in_http2() {
    let identity = Identity::new();
    let (authority, server) = both(&identity);
    let (clients, target) = (trusting(&identity), http2(authority.clone()));
    for _ in 0..3 {
        let body = OutboundBody::Full(Bytes::from_static(b"full"));
        let seen = text(send(&clients, &target, request(&Method::POST, "/a%2Fb?c", body)).await).await;
        assert_eq!(seen, format!("HTTP/2.0 https://{authority}/a%2Fb?c full"));
    }
    let seen = text(post(&clients, &target, streamed(&["str", "eam"], None)).await).await;
    assert_eq!(seen, format!("HTTP/2.0 https://{authority}/ stream"));
    let without = Target { profile: Arc::default(), ..target };
    assert_eq!(text(get(&clients, &without).await).await, "HTTP/1.1 / ");
    server.stop(false).await;
}

#[actix_rt::test]
async fn others_are_spoken_to_in_guarded_http1() {
    let identity = Identity::new();
    for protocols in [&[&b"http/1.1"[..]][..], &[]] {
        let server = Server::start_tls(identity.server(protocols), |mut connection| async move {
            while connection.request().await.is_some() {
                connection.send(format!("HTTP/1.1 103 X\r\n\r\n{}", answer("one"))).await;
            }
        })
        .await;
        let (clients, target) = (trusting(&identity), http2(server.authority()));
        for reused in [false, true] {
            let response = get(&clients, &target).await.unwrap();
            assert_eq!(response.reused, reused);
            assert_eq!(text(Ok(response)).await, "one");
        }
        assert_eq!(server.accepted(), 2, "one was the question which protocol to speak");
    }
}

#[actix_rt::test]
async fn a_broken_promise_is_an_error_once() {
    let identity = Identity::new();
    let (promising, silent) = (Arc::new(identity.server(&[b"h2"])), Arc::new(identity.server(&[])));
    let server = Server::start_tls_by(
        move |number| Arc::clone(if number == 0 { &promising } else { &silent }),
        |mut connection| async move {
            while connection.request().await.is_some() {
                connection.send(answer("one")).await;
            }
        },
    )
    .await;
    let (clients, target) = (trusting(&identity), http2(server.authority()));
    let error = get(&clients, &target).await.unwrap_err();
    assert_eq!((error.kind, error.request_sent), (TransportKind::Protocol, true));
    assert_eq!(text(get(&clients, &target).await).await, "one");
}

#[actix_rt::test]
async fn an_upstream_that_cannot_be_asked_is_a_connection_error() {
    let identity = Identity::new();
    let server = Server::start_tls(identity.server(&[]), |_| async {}).await;
    let target = http2(server.authority());
    assert_eq!(get(&clients(), &target).await.unwrap_err().kind, TransportKind::Tls);
    drop(server);
    tokio::task::yield_now().await;
    assert_eq!(get(&clients(), &target).await.unwrap_err().kind, TransportKind::Connect);
}
