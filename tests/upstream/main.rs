//! Outbound calls against upstreams and proxies that misbehave.

// clippy takes the helpers of an integration test for production code.
#![allow(clippy::unwrap_used, clippy::panic)]

mod calls;
mod defects;
mod http2;
mod proxies;
mod server;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::StreamExt as _;
use gpt_load::upstream::{
    Clients, OutboundBody, OutboundRequest, OutboundResponse, Profile, Target, Tls, TransportError, send,
};
use http::Method;
use rustls::RootCertStore;

use self::server::{Identity, Server};

/// Far beyond what any test needs: a test that reaches it has hung.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn clients() -> Rc<Clients> {
    Rc::new(Clients::new(Tls::with_roots(RootCertStore::empty()).unwrap()))
}

pub(crate) fn trusting(identity: &Identity) -> Rc<Clients> {
    Rc::new(Clients::new(Tls::with_roots(identity.roots()).unwrap()))
}

pub(crate) fn plain(server: &Server) -> Target {
    Target { profile: Arc::new(Profile::default()), scheme_https: false, authority: server.authority() }
}

pub(crate) fn tls(server: &Server) -> Target {
    Target { scheme_https: true, ..plain(server) }
}

pub(crate) fn via(proxy: &str, target: Target) -> Target {
    let proxy = Some(Arc::new(proxy.parse().unwrap()));
    Target { profile: Arc::new(Profile { proxy, ..Profile::default() }), ..target }
}

pub(crate) fn request<'a>(method: &'a Method, path: &'a str, body: OutboundBody) -> OutboundRequest<'a> {
    OutboundRequest { method, path_and_query: path, headers: HeaderMap::new(), body, head_timeout: PATIENCE }
}

pub(crate) fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

pub(crate) async fn get(clients: &Clients, target: &Target) -> Result<OutboundResponse, TransportError> {
    send(clients, target, request(&Method::GET, "/", OutboundBody::Empty)).await
}

pub(crate) async fn post(
    clients: &Clients,
    target: &Target,
    body: OutboundBody,
) -> Result<OutboundResponse, TransportError> {
    send(clients, target, request(&Method::POST, "/", body)).await
}

/// The body up to its end, and the error it ended with.
pub(crate) async fn read(mut response: OutboundResponse) -> (Vec<u8>, Option<TransportError>) {
    let mut body = Vec::new();
    while let Some(chunk) = response.body.next().await {
        match chunk {
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(error) => {
                assert!(response.body.next().await.is_none(), "an error is the end");
                return (body, Some(error));
            }
        }
    }
    (body, None)
}

/// The body of an answer that must be whole.
pub(crate) async fn text(response: Result<OutboundResponse, TransportError>) -> String {
    let (body, error) = read(response.unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    String::from_utf8(body).unwrap()
}

pub(crate) fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn streamed(chunks: &[&'static str], length: Option<u64>) -> OutboundBody {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
    OutboundBody::Stream { length, stream: Box::pin(futures_util::stream::iter(chunks)) }
}
