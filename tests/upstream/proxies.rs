//! Outbound proxies, each a few lines of its protocol in front of a tunnel.

use std::cell::RefCell;
use std::rc::Rc;

use gpt_load::upstream::{OutboundBody, TransportKind};
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::server::{Connection, Identity, Request, Server};
use super::*;

type Seen = Rc<RefCell<Vec<String>>>;

async fn tunnel(mut connection: Connection, address: &str) {
    let mut upstream = TcpStream::connect(address).await.unwrap();
    let _ = copy_bidirectional(&mut connection.io, &mut upstream).await;
}

/// Opens a tunnel to wherever the client says, and writes down what it said.
async fn serve_connect(mut connection: Connection, seen: Seen) {
    let Some(head) = connection.head().await else { return };
    let address = head.split(' ').nth(1).unwrap().to_owned();
    seen.borrow_mut().push(head);
    connection.send("HTTP/1.1 200 Connection established\r\n\r\n").await;
    tunnel(connection, &address).await;
}

/// SOCKS 5 with user and password; notes the target as it was asked for.
async fn serve_socks(mut connection: Connection, seen: Seen) {
    let io = &mut connection.io;
    assert_eq!(io.read_u8().await.unwrap(), 5);
    let mut methods = vec![0; io.read_u8().await.unwrap().into()];
    io.read_exact(&mut methods).await.unwrap();
    assert!(methods.contains(&2));
    connection.send([5, 2]).await;
    let io = &mut connection.io;
    assert_eq!(io.read_u8().await.unwrap(), 1);
    let mut user = vec![0; io.read_u8().await.unwrap().into()];
    io.read_exact(&mut user).await.unwrap();
    let mut password = vec![0; io.read_u8().await.unwrap().into()];
    io.read_exact(&mut password).await.unwrap();
    if (user.as_slice(), password.as_slice()) != (b"us@er", b"pa:ss") {
        return connection.send([1, 1]).await;
    }
    connection.send([1, 0]).await;
    let io = &mut connection.io;
    let mut command = [0; 4];
    io.read_exact(&mut command).await.unwrap();
    assert_eq!(command[..3], [5, 1, 0]);
    let host = match command[3] {
        1 => std::net::Ipv4Addr::from(io.read_u32().await.unwrap()).to_string(),
        3 => {
            let mut name = vec![0; io.read_u8().await.unwrap().into()];
            io.read_exact(&mut name).await.unwrap();
            String::from_utf8(name).unwrap()
        }
        kind => panic!("address of kind {kind}"),
    };
    let port = io.read_u16().await.unwrap();
    seen.borrow_mut().push(format!("{host}:{port}"));
    connection.send([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    tunnel(connection, &format!("127.0.0.1:{port}")).await;
}

async fn upstream(identity: &Identity) -> Server {
    Server::start_tls(identity.server(&[b"http/1.1"]), |mut connection| async move {
        while connection.request().await.is_some() {
            connection.send(answer("through")).await;
        }
    })
    .await
}

#[actix_rt::test]
async fn an_http_proxy_opens_tunnels_for_https() {
    let (identity, seen) = (Identity::new(), Seen::default());
    let upstream = upstream(&identity).await;
    let log = Rc::clone(&seen);
    let proxy = Server::start(move |connection| serve_connect(connection, Rc::clone(&log))).await;
    let target = via(&format!("http://us%40er:pa%3Ass@{}", proxy.authority()), tls(&upstream));
    let clients = trusting(&identity);
    assert_eq!(text(get(&clients, &target).await).await, "through");
    assert_eq!(text(get(&clients, &target).await).await, "through");
    let address = upstream.authority();
    let basic = "dXNAZXI6cGE6c3M=";
    let expected =
        format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nProxy-Authorization: Basic {basic}\r\n\r\n");
    assert_eq!(*seen.borrow(), [expected]);
    // Without the proxy the pooled tunnel must not be used.
    assert!(!get(&clients, &tls(&upstream)).await.unwrap().reused);
}

#[actix_rt::test]
async fn an_https_proxy_is_spoken_to_in_tls() {
    let (identity, seen) = (Identity::new(), Seen::default());
    let upstream = upstream(&identity).await;
    let log = Rc::clone(&seen);
    let config = identity.server(&[]);
    let proxy = Server::start_tls(config, move |connection| serve_connect(connection, Rc::clone(&log))).await;
    let target = via(&format!("https://{}", proxy.authority()), tls(&upstream));
    assert_eq!(text(get(&trusting(&identity), &target).await).await, "through");
    assert_eq!(seen.borrow().len(), 1);
    let error = get(&clients(), &target).await.unwrap_err();
    assert_eq!((error.kind, error.request_sent), (TransportKind::Proxy, false), "{error}");
}

#[actix_rt::test]
async fn an_http_proxy_forwards_plain_http_in_absolute_form() {
    let (proxy, requests) = Server::answering(|_: &Request| answer("forwarded")).await;
    let target = Target { authority: "upstream.example:8080".into(), ..plain(&proxy) };
    let target = via(&format!("http://u:p@{}", proxy.authority()), target);
    let clients = clients();
    for reused in [false, true] {
        let sent = request(&Method::GET, "/v1/a%2Fb?x=%20", OutboundBody::Empty);
        let response = send(&clients, &target, sent).await.unwrap();
        assert_eq!(response.reused, reused);
        assert_eq!(text(Ok(response)).await, "forwarded");
    }
    let requests = requests.borrow();
    assert_eq!(requests[1].line(), "GET http://upstream.example:8080/v1/a%2Fb?x=%20 HTTP/1.1");
    assert_eq!(requests[1].header("host"), Some("upstream.example:8080"));
    assert_eq!(requests[1].header("proxy-authorization"), Some("Basic dTpw"));
}

#[actix_rt::test]
async fn socks5_resolves_here_and_socks5h_at_the_proxy() {
    let (identity, seen) = (Identity::new(), Seen::default());
    let upstream = upstream(&identity).await;
    let port = upstream.address.port();
    let log = Rc::clone(&seen);
    let proxy = Server::start(move |connection| serve_socks(connection, Rc::clone(&log))).await;
    let clients = trusting(&identity);
    for (scheme, host, asked) in [("socks5", "127.0.0.1", "127.0.0.1"), ("socks5h", "localhost", "localhost")] {
        let target = Target { authority: format!("{host}:{port}"), ..tls(&upstream) };
        let target = via(&format!("{scheme}://us%40er:pa%3Ass@{}", proxy.authority()), target);
        assert_eq!(text(get(&clients, &target).await).await, "through");
        assert_eq!(seen.borrow_mut().pop().unwrap(), format!("{asked}:{port}"));
    }
    let target = via(&format!("socks5://us%40er:hunter2@{}", proxy.authority()), tls(&upstream));
    let error = get(&clients, &target).await.unwrap_err();
    assert_eq!((error.kind, error.request_sent), (TransportKind::Proxy, false));
    assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("us@er"), "{error:?}");
}

#[actix_rt::test]
async fn a_proxy_that_refuses_is_named_as_the_culprit() {
    let identity = Identity::new();
    for (reply, reason) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it asks for other credentials (407)"),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "it refused a tunnel to h.example:443 with status 403"),
        ("HTTP/1.1 200 OK\r\n\r\nx", "it sent data before the tunnel was used"),
        ("nonsense\r\n\r\n", "its answer is not HTTP/1.1"),
        ("", "it closed the connection instead of opening a tunnel"),
    ] {
        let proxy = Server::start(move |mut connection| async move {
            connection.head().await;
            connection.send(reply).await;
            connection.finish().await;
        })
        .await;
        let target = Target { authority: "h.example".into(), ..tls(&proxy) };
        let target = via(&format!("http://user:hunter2@{}", proxy.authority()), target);
        let error = get(&trusting(&identity), &target).await.unwrap_err();
        assert_eq!((error.kind, error.request_sent), (TransportKind::Proxy, false));
        assert_eq!(error.to_string(), format!("outbound proxy http://{}: {reason}", proxy.authority()));
    }
    let (proxy, _) = Server::answering(|_| "HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    let target = via(&format!("http://{}", proxy.authority()), plain(&proxy));
    assert_eq!(get(&clients(), &target).await.unwrap_err().kind, TransportKind::Proxy);
}
