//! What reaches the wire, and how calls end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use futures_util::future::join_all;
use gpt_load::upstream::{OutboundBody, Profile, TransportKind};
use tokio::sync::{Notify, oneshot};

use super::server::{Identity, Server};
use super::*;

#[actix_rt::test]
async fn the_path_reaches_the_wire_byte_for_byte() {
    let (server, requests) = Server::answering(|_| answer("")).await;
    let (clients, target) = (clients(), plain(&server));
    for path in [
        "/",
        "//v1///x/../y/./z",
        "/v1/models/a%2Fb%20c%c3%a4:generate?alt=sse&&x=%2B+%&a=1&a=2&=",
        "/v1?q={\"a\":[1,2]|^~`\\}".replace('"', "%22").as_str(),
        "/{\"json\"}?",
    ] {
        text(send(&clients, &target, request(&Method::GET, path, OutboundBody::Empty)).await).await;
        assert_eq!(requests.borrow_mut().pop().unwrap().line(), format!("GET {path} HTTP/1.1"));
    }
}

#[actix_rt::test]
async fn what_a_url_cannot_carry_is_refused_and_named() {
    let (server, _) = Server::answering(|_| answer("")).await;
    let long = format!("/{}?q", "x".repeat(65_534));
    for path in ["/a#b", "/a?b#c", "/a b", "/\u{e4}", "/a\r\nX: y", "v1", "", "*", long.as_str()] {
        let error =
            send(&clients(), &plain(&server), request(&Method::GET, path, OutboundBody::Empty)).await.unwrap_err();
        assert_eq!((error.kind, error.request_sent), (TransportKind::Unsendable, false), "{path:.20}");
    }
    for authority in ["", ":80", "user@host", "host:99999", "host:", "ho st", "host/path"] {
        let target = Target { authority: authority.to_owned(), ..plain(&server) };
        assert_eq!(get(&clients(), &target).await.unwrap_err().kind, TransportKind::Refused, "{authority}");
    }
    assert_eq!(server.accepted(), 0);
}

#[actix_rt::test]
async fn headers_and_bodies_keep_their_form() {
    let (server, requests) = Server::answering(|_| answer("")).await;
    let (clients, target) = (clients(), plain(&server));
    let bytes: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let full = OutboundBody::Full(Bytes::from(bytes.clone()));
    let sent = OutboundRequest {
        headers: headers(&[("expect", "100-continue"), ("x-a", "1"), ("content-length", "7"), ("connection", "close")]),
        ..request(&Method::POST, "/", full)
    };
    text(send(&clients, &target, sent).await).await;
    text(post(&clients, &target, streamed(&["on", "", "ce"], Some(4))).await).await;
    text(post(&clients, &target, streamed(&["on", "ce"], None)).await).await;
    text(post(&clients, &target, OutboundBody::Empty).await).await;
    text(get(&clients, &target).await).await;
    assert_eq!(server.accepted(), 1);
    let requests = requests.borrow();
    let framing: Vec<_> = requests
        .iter()
        .map(|request| {
            (request.header("content-length"), request.header("transfer-encoding"), request.header("expect"))
        })
        .collect();
    assert_eq!(
        framing,
        [
            (Some("200000"), None, None),
            (Some("4"), None, None),
            (None, Some("chunked"), None),
            (Some("0"), None, None),
            (None, None, None)
        ]
    );
    assert_eq!((requests[0].header("x-a"), requests[0].header("connection")), (Some("1"), None));
    assert_eq!(requests[0].header("host"), Some(server.authority().as_str()));
    assert!(requests[0].body == bytes);
    assert_eq!(requests[1].body, b"once");
    assert_eq!(requests[2].body, b"2\r\non\r\n2\r\nce\r\n0\r\n\r\n");
}

#[actix_rt::test]
async fn every_byte_of_an_answer_arrives() {
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let sent = bytes.clone();
    let server = Server::start(move |mut connection| {
        let sent = sent.clone();
        async move {
            connection.request().await;
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nX-A: 2\r\n").await;
            connection.send("\r\n").await;
            for piece in sent.chunks(777) {
                connection.send(format!("{:x};x=y\r\n", piece.len())).await;
                connection.send(piece).await;
                connection.send("\r\n").await;
            }
            connection.send("0\r\nTrailer: t\r\n\r\n").await;
            connection.closed().await;
        }
    })
    .await;
    let response = get(&clients(), &plain(&server)).await.unwrap();
    let values: Vec<_> = response.headers.get_all("x-a").map(|value| value.to_str().unwrap().to_owned()).collect();
    assert_eq!(values, ["1", "2"]);
    let (body, error) = read(response).await;
    assert!(error.is_none() && body == bytes);
}

#[actix_rt::test]
async fn a_failing_request_body_is_the_clients_fault() {
    let (server, _) = Server::answering(|_| answer("")).await;
    let failing = futures_util::stream::iter([Ok(Bytes::from_static(b"x")), Err(std::io::Error::other("client gone"))]);
    for body in [
        OutboundBody::Stream { length: None, stream: Box::pin(failing) },
        streamed(&["short"], Some(9)),
        streamed(&["too long"], Some(3)),
    ] {
        let error = post(&clients(), &plain(&server), body).await.unwrap_err();
        assert_eq!(error.kind, TransportKind::Body, "{error}");
    }
}

#[actix_rt::test]
async fn dropping_the_call_or_its_body_closes_the_connection() {
    let (told, arrived) = oneshot::channel();
    let (closed, gone) = oneshot::channel();
    let signals = Rc::new(RefCell::new(Some((told, closed))));
    let server = Server::start(move |mut connection| {
        let (told, closed) = signals.borrow_mut().take().unwrap();
        async move {
            connection.request().await;
            told.send(()).unwrap();
            connection.closed().await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let (clients, target) = (clients(), plain(&server));
    tokio::select! {
        _ = get(&clients, &target) => panic!("there is no answer"),
        () = async { arrived.await.unwrap() } => {}
    }
    gone.await.unwrap();

    let (closed, gone) = oneshot::channel();
    let closed = Rc::new(RefCell::new(Some(closed)));
    let server = Server::start(move |mut connection| {
        let closed = closed.borrow_mut().take().unwrap();
        async move {
            connection.request().await;
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome").await;
            connection.closed().await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let mut response = get(&clients, &plain(&server)).await.unwrap();
    assert_eq!(response.body.next().await.unwrap().unwrap(), "some");
    drop(response);
    gone.await.unwrap();
}

#[actix_rt::test]
async fn an_early_refusal_is_an_answer() {
    let endless = || OutboundBody::Stream {
        length: None,
        stream: Box::pin(futures_util::stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 65_536])))),
    };
    let large = || {
        let zeros = (0..2048).map(|_| Ok(Bytes::from_static(&[0; 65_536])));
        OutboundBody::Stream { length: Some(2048 * 65_536), stream: Box::pin(futures_util::stream::iter(zeros)) }
    };
    let full = || OutboundBody::Full(Bytes::from(vec![0; 32 << 20]));
    let bodies: [&dyn Fn() -> OutboundBody; 3] = [&endless, &large, &full];
    for body in bodies {
        for stays_open in [true, false] {
            let server = Server::start(move |mut connection| async move {
                connection.head().await;
                connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large").await;
                if stays_open {
                    std::future::pending::<()>().await;
                }
            })
            .await;
            let (clients, target) = (clients(), plain(&server));
            let response = post(&clients, &target, body()).await.unwrap();
            assert_eq!(response.status.as_u16(), 413);
            assert_eq!(text(Ok(response)).await, "too large");
            let again = post(&clients, &target, body()).await.unwrap();
            assert!(!again.reused, "half a request was sent over that connection");
        }
    }
}

#[actix_rt::test]
async fn more_than_a_hundred_streams_at_once() {
    const STREAMS: usize = 150;
    let (arrived, all) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
    let server = Server::start(move |mut connection| {
        let (arrived, all) = (Rc::clone(&arrived), Rc::clone(&all));
        async move {
            connection.request().await;
            arrived.set(arrived.get() + 1);
            if arrived.get() == STREAMS {
                all.notify_waiters();
            } else {
                all.notified().await;
            }
            connection.send(answer("x")).await;
            connection.closed().await;
        }
    })
    .await;
    let (clients, target) = (clients(), plain(&server));
    let answers = join_all((0..STREAMS).map(|_| async { text(get(&clients, &target).await).await })).await;
    assert_eq!(answers, vec!["x"; STREAMS]);
}

#[actix_rt::test]
async fn time_outs_and_refused_connections_are_told_apart() {
    let server = Server::start(|mut connection| async move { connection.closed().await }).await;
    let hasty =
        OutboundRequest { head_timeout: Duration::from_millis(20), ..request(&Method::GET, "/", OutboundBody::Empty) };
    let error = send(&clients(), &plain(&server), hasty).await.unwrap_err();
    assert_eq!((error.kind, error.request_sent), (TransportKind::Timeout, true));

    let target = plain(&server);
    drop(server);
    tokio::task::yield_now().await;
    let error = get(&clients(), &target).await.unwrap_err();
    assert_eq!((error.kind, error.request_sent), (TransportKind::Connect, false), "{error}");

    // Accepts nothing: the handshake hangs.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let profile = Arc::new(Profile { connect_timeout: Duration::from_millis(20), ..Profile::default() });
    let authority = listener.local_addr().unwrap().to_string();
    let error = get(&clients(), &Target { profile, scheme_https: true, authority }).await.unwrap_err();
    assert_eq!((error.kind, error.request_sent), (TransportKind::Timeout, false), "{error}");
}

#[actix_rt::test]
async fn an_untrusted_certificate_is_a_tls_error() {
    let identity = Identity::new();
    let server = Server::start_tls(identity.server(&[]), |_| async {}).await;
    let error = get(&clients(), &tls(&server)).await.unwrap_err();
    assert_eq!((error.kind, error.request_sent), (TransportKind::Tls, false), "{error}");
}

#[actix_rt::test]
async fn link_local_addresses_are_refused_literally_and_behind_names() {
    let (server, _) = Server::answering(|_| answer("")).await;
    // The last two are names to Rust, which the resolver turns into 169.254.169.254.
    for host in ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "2852039166", "0xa9fea9fe"] {
        let target = Target { authority: format!("{host}:80"), ..plain(&server) };
        let error = get(&clients(), &target).await.unwrap_err();
        assert_eq!(error.kind, TransportKind::Refused, "{host}: {error}");
        assert!(error.to_string().contains("ALLOW_LINK_LOCAL_UPSTREAMS"));
        let proxied = via(&format!("http://{host}:80"), plain(&server));
        assert_eq!(get(&clients(), &proxied).await.unwrap_err().kind, TransportKind::Refused, "{host} as a proxy");
    }
    let proxied =
        via(&format!("http://{}", server.authority()), Target { authority: "169.254.1.1".into(), ..plain(&server) });
    assert_eq!(get(&clients(), &proxied).await.unwrap_err().kind, TransportKind::Refused);
}

#[actix_rt::test]
async fn connections_of_different_profiles_are_never_mixed() {
    let (server, _) = Server::answering(|_| answer("")).await;
    let clients = clients();
    let other = Arc::new(Profile { max_idle_per_host: 1, ..Profile::default() });
    let targets = [plain(&server), Target { profile: other, ..plain(&server) }];
    for (round, target) in targets.iter().chain(&targets).enumerate() {
        let response = get(&clients, target).await.unwrap();
        assert_eq!(response.reused, round >= 2);
        text(Ok(response)).await;
    }
    assert_eq!((server.accepted(), clients.profiles()), (2, 2));
}

#[actix_rt::test]
async fn idle_connections_are_limited_and_swept() {
    let closed = Rc::new(Cell::new(0));
    let (count, gone) = (Rc::clone(&closed), Rc::new(Notify::new()));
    let told = Rc::clone(&gone);
    let server = Server::start(move |mut connection| {
        let (count, told) = (Rc::clone(&count), Rc::clone(&told));
        async move {
            while connection.request().await.is_some() {
                connection.send(answer("x")).await;
            }
            count.set(count.get() + 1);
            told.notify_one();
        }
    })
    .await;
    let profile = Arc::new(Profile { max_idle_per_host: 1, ..Profile::default() });
    let idle_timeout = profile.idle_timeout;
    let (clients, target) = (clients(), Target { profile, ..plain(&server) });
    let both = [get(&clients, &target).await.unwrap(), get(&clients, &target).await.unwrap()];
    for response in both {
        text(Ok(response)).await;
    }
    gone.notified().await;
    assert_eq!((server.accepted(), closed.get()), (2, 1));

    let now = Instant::now();
    clients.sweep(now);
    clients.sweep(now + idle_timeout / 2);
    let again = get(&clients, &target).await.unwrap();
    assert!(again.reused);
    text(Ok(again)).await;
    clients.sweep(now + idle_timeout);
    clients.sweep(now + idle_timeout * 2);
    gone.notified().await;
    assert_eq!((server.accepted(), closed.get(), clients.profiles()), (2, 2, 1));
    clients.sweep(now + Duration::from_secs(3600));
    clients.sweep(now + Duration::from_secs(7200));
    assert_eq!(clients.profiles(), 0);
}
