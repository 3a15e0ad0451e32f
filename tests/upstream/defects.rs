//! The defects of awc that the guard exists for, played by raw upstreams.

use std::cell::RefCell;
use std::rc::Rc;

use gpt_load::upstream::{OutboundBody, TransportKind};
use tokio::sync::oneshot;

use super::server::{Connection, Identity, Server};
use super::*;

/// Answers the requests of the first connection with `answers` in turn, those of later ones with "fresh".
async fn scripted(answers: &'static [&'static str]) -> Server {
    Server::start(move |mut connection: Connection| async move {
        let mut number = 0;
        while connection.request().await.is_some() {
            let script = if connection.number == 0 { answers.get(number) } else { None };
            connection.send(script.map_or_else(|| answer("fresh"), |text| (*text).to_owned())).await;
            number += 1;
        }
    })
    .await
}

#[actix_rt::test]
async fn plain_awc_gives_one_user_the_answer_of_another() {
    let server = Server::start(|mut connection| async move {
        connection.request().await;
        connection.send("HTTP/1.1 103 Early Hints\r\n\r\n").await;
        // The final answer follows once awc has pooled the connection again.
        connection.request().await;
        connection.send(answer("for the first")).await;
        connection.closed().await;
    })
    .await;
    let client = awc::Client::default();
    let url = format!("http://{}/", server.authority());
    let first = client.get(&url).send().await.unwrap();
    assert_eq!(first.status(), 103);
    let mut second = client.get(&url).send().await.unwrap();
    assert_eq!(second.body().await.unwrap(), "for the first");
}

#[actix_rt::test]
async fn an_interim_answer_is_not_the_answer() {
    let server = scripted(&[
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond",
    ])
    .await;
    let (clients, target) = (clients(), plain(&server));
    let first = get(&clients, &target).await.unwrap();
    assert_eq!((first.status.as_u16(), first.reused, first.headers.contains_key("link")), (200, false, false));
    assert_eq!(text(Ok(first)).await, "first");
    let second = get(&clients, &target).await.unwrap();
    assert!(second.reused);
    assert_eq!(text(Ok(second)).await, "second");
    assert_eq!(server.accepted(), 1);
}

/// Sends a whole answer, then `surplus` in a packet of its own, and tells when it is out.
async fn unsolicited(surplus: &'static str) -> (Server, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let (told, out) = oneshot::channel();
    let (go, begin) = oneshot::channel();
    let signals = RefCell::new(Some((told, begin)));
    let signals = Rc::new(signals);
    let server = Server::start(move |mut connection| {
        let signals = signals.borrow_mut().take();
        async move {
            connection.request().await;
            let Some((told, begin)) = signals else { return connection.send(answer("fresh")).await };
            connection.send(answer("first")).await;
            begin.await.unwrap();
            connection.send(surplus).await;
            told.send(()).unwrap();
            assert!(connection.request().await.is_none(), "a poisoned connection is not used again");
        }
    })
    .await;
    (server, out, go)
}

#[actix_rt::test]
async fn bytes_on_an_idle_connection_poison_it() {
    for surplus in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
        "x",
    ] {
        let (server, out, go) = unsolicited(surplus).await;
        let (clients, target) = (clients(), plain(&server));
        assert_eq!(text(get(&clients, &target).await).await, "first");
        go.send(()).unwrap();
        out.await.unwrap();
        let second = get(&clients, &target).await.unwrap();
        assert!(!second.reused);
        assert_eq!(text(Ok(second)).await, "fresh");
    }
}

#[actix_rt::test]
async fn bytes_in_the_same_packet_behind_an_answer_poison_the_connection() {
    let server = scripted(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 103 Early Hints\r\n\r\n"]).await;
    let (clients, target) = (clients(), plain(&server));
    assert_eq!(text(get(&clients, &target).await).await, "first");
    assert_eq!(text(get(&clients, &target).await).await, "fresh");
    assert_eq!(server.accepted(), 2);
}

async fn cut(text: &'static str, identity: Option<&Identity>) -> (Vec<u8>, TransportError) {
    let handle = move |mut connection: Connection| async move {
        connection.request().await;
        connection.send(text).await;
        connection.finish().await;
    };
    let response = match identity {
        None => {
            let server = Server::start(handle).await;
            get(&clients(), &plain(&server)).await.unwrap()
        }
        Some(identity) => {
            let server = Server::start_tls(identity.server(&[b"http/1.1"]), handle).await;
            get(&trusting(identity), &tls(&server)).await.unwrap()
        }
    };
    let (body, error) = read(response).await;
    (body, error.expect("a cut body is an error"))
}

#[actix_rt::test]
async fn a_cut_body_is_an_error_also_when_tls_ends_properly() {
    let identity = Identity::new();
    for tls in [None, Some(&identity)] {
        for (text, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "hello"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "hello"),
        ] {
            let (received, error) = cut(text, tls).await;
            assert_eq!((received.as_slice(), error.kind), (body.as_bytes(), TransportKind::Cut));
            assert!(error.to_string().ends_with("the upstream's answer was cut off in its body"), "{error}");
        }
    }
}

#[actix_rt::test]
async fn an_answer_that_ends_with_the_connection_arrives_whole() {
    let identity = Identity::new();
    let handle = |mut connection: Connection| async move {
        connection.request().await;
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nto the ").await;
        connection.send("end").await;
        connection.finish().await;
    };
    let server = Server::start(handle).await;
    let (clients, target) = (clients(), plain(&server));
    assert_eq!(text(get(&clients, &target).await).await, "to the end");
    assert_eq!(text(get(&clients, &target).await).await, "to the end");
    assert_eq!(server.accepted(), 2);
    let server = Server::start_tls(identity.server(&[]), handle).await;
    assert_eq!(text(get(&trusting(&identity), &tls(&server)).await).await, "to the end");
}

#[actix_rt::test]
async fn tls_without_close_notify_does_not_end_an_answer() {
    let identity = Identity::new();
    let server = Server::start_tls(identity.server(&[]), |mut connection| async move {
        connection.request().await;
        connection.send("HTTP/1.1 200 OK\r\n\r\nhalf").await;
    })
    .await;
    let (body, error) = read(get(&trusting(&identity), &tls(&server)).await.unwrap()).await;
    assert_eq!((body.as_slice(), error.unwrap().kind), (&b"half"[..], TransportKind::Cut));
}

/// The first connection serves one request, then closes without a word when it has read `read` bytes of the second.
async fn closing_while_reused(read_request: bool, partial: &'static str) -> Server {
    Server::start(move |mut connection| async move {
        connection.request().await;
        connection.send(answer("served")).await;
        if connection.number == 0 {
            if read_request {
                connection.head().await;
            }
            connection.send(partial).await;
            return;
        }
        connection.closed().await;
    })
    .await
}

#[actix_rt::test]
async fn a_stale_connection_is_retried_once_over_a_new_one() {
    let server = closing_while_reused(true, "").await;
    let (clients, target) = (clients(), plain(&server));
    assert_eq!(text(get(&clients, &target).await).await, "served");
    let body = OutboundBody::Full(Bytes::from_static(b"again"));
    let second = post(&clients, &target, body).await.unwrap();
    assert!(!second.reused);
    assert_eq!(text(Ok(second)).await, "served");
    assert_eq!(server.accepted(), 2);
}

#[actix_rt::test]
async fn what_cannot_be_replayed_is_not_retried() {
    let server = closing_while_reused(true, "").await;
    let (clients, target) = (clients(), plain(&server));
    assert_eq!(text(get(&clients, &target).await).await, "served");
    let error = post(&clients, &target, streamed(&["once"], None)).await.unwrap_err();
    assert_eq!((error.kind, error.request_sent, server.accepted()), (TransportKind::Reset, true, 1));
}

#[actix_rt::test]
async fn a_byte_of_an_answer_forbids_the_retry() {
    let server = closing_while_reused(true, "H").await;
    let (clients, target) = (clients(), plain(&server));
    assert_eq!(text(get(&clients, &target).await).await, "served");
    let error = get(&clients, &target).await.unwrap_err();
    assert_eq!((error.kind, error.request_sent, server.accepted()), (TransportKind::Cut, true, 1));
}

#[actix_rt::test]
async fn a_new_connection_that_closes_is_not_retried() {
    let server = Server::start(|mut connection| async move {
        connection.request().await;
    })
    .await;
    let error = get(&clients(), &plain(&server)).await.unwrap_err();
    assert_eq!((error.kind, error.request_sent, server.accepted()), (TransportKind::Reset, true, 1));
}

#[actix_rt::test]
async fn a_bodiless_answer_with_a_length_does_not_hang() {
    for head in
        ["HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 204 X\r\nContent-Length: 9\r\n\r\n"]
    {
        let (server, _) = Server::answering(move |_| head.to_owned()).await;
        let response = get(&clients(), &plain(&server)).await.unwrap();
        assert_eq!(response.headers.get("content-length").unwrap(), "9");
        assert_eq!(text(Ok(response)).await, "");
    }
    let (server, _) = Server::answering(|_| "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_owned()).await;
    let (clients, target) = (clients(), plain(&server));
    for reused in [false, true] {
        let response = send(&clients, &target, request(&Method::HEAD, "/", OutboundBody::Empty)).await.unwrap();
        assert_eq!((response.reused, response.headers.get("content-length").unwrap().as_bytes()), (reused, &b"9"[..]));
        assert_eq!(text(Ok(response)).await, "");
    }
}

#[actix_rt::test]
async fn answers_that_break_the_protocol_are_named() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(97));
    for (reply, reason) in [
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(), "the upstream switched protocols without being asked"),
        ("SSH-2.0-OpenSSH\r\n".to_owned(), "the upstream's answer is not HTTP/1.1"),
        (many, "the upstream's answer has more than 96 headers"),
    ] {
        let (server, _) = Server::answering(move |_| reply.clone()).await;
        let error = get(&clients(), &plain(&server)).await.unwrap_err();
        assert_eq!(error.kind, TransportKind::Protocol);
        assert_eq!(error.to_string(), format!("{}: {reason}", server.authority()));
    }
}
