//! One outbound call.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::header::{self, HeaderMap, HeaderValue};
use actix_http::{Payload, RequestHead, ResponseHead, StatusCode, Uri, Version};
use bytes::Bytes;
use futures_util::Stream;
use http::Method;
use http::uri::{Authority, PathAndQuery, Scheme};

use super::body::{ByteStream, Content, RequestBody};
use super::clients::{Client, Clients};
use super::dial::Destination;
use super::error::{TransportError, TransportKind};
use super::guard::GuardError;
use super::profile::Profile;
use super::scope::Facts;

/// The longest path and query that the `http` crate can carry, in bytes.
const MAX_PATH_BYTES: usize = 65_534;

/// Where a call goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// The kind of connection.
    pub profile: Arc<Profile>,
    /// TLS or not.
    pub scheme_https: bool,
    /// `host[:port]`; IPv6 literals in brackets.
    pub authority: String,
}

/// What is sent.
pub struct OutboundRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// Sent byte for byte; begins with `/`.
    pub path_and_query: &'a str,
    /// End-to-end headers. `Host` is set from the target when absent; `Expect`, `Content-Length`, `Transfer-Encoding` and `Connection`
    /// are replaced by what the connection needs.
    pub headers: HeaderMap,
    /// The body.
    pub body: OutboundBody,
    /// Bounds everything up to the response head, sending the body included.
    pub head_timeout: Duration,
}

/// The body of a request.
pub enum OutboundBody {
    /// None; POST, PUT and PATCH say `Content-Length: 0`.
    Empty,
    /// A buffered one, which can be sent again without copying.
    Full(Bytes),
    /// One that can be sent only once.
    Stream {
        /// Sent as `Content-Length`; without it the body is chunked.
        length: Option<u64>,
        /// The bytes; an error aborts the call with [`TransportKind::Body`].
        stream: ByteStream,
    },
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct OutboundResponse {
    /// The status.
    pub status: StatusCode,
    /// All headers as the upstream sent them.
    pub headers: HeaderMap,
    /// The body; dropping it closes the connection unless it was read to its end.
    pub body: OutboundPayload,
    /// Whether the connection had served another request before.
    pub reused: bool,
}

/// The body of an answer. Ends with an error unless every byte the upstream announced has arrived.
pub struct OutboundPayload {
    payload: Option<Payload>,
    facts: Rc<Facts>,
    authority: Box<str>,
}

impl std::fmt::Debug for OutboundPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundPayload").finish_non_exhaustive()
    }
}

impl Stream for OutboundPayload {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(payload) = &mut self.payload else { return Poll::Ready(None) };
        let item = std::task::ready!(Pin::new(payload).poll_next(cx));
        if !matches!(item, Some(Ok(_))) {
            self.payload = None;
        }
        let failed = |error| TransportError::from_payload(&error, &self.facts, &self.authority);
        Poll::Ready(item.map(|item| item.map_err(failed)))
    }
}

/// Sends `request` to `target` and waits for the response head.
///
/// When a connection that had served another request before breaks before any byte of the answer, the call is made once more
/// over a new connection, provided its body can be sent again. Dropping the future or the payload closes the connection.
///
/// # Errors
/// See [`TransportKind`]. An answer of any status is not an error, but for a 407 of the outbound proxy itself.
pub async fn send(
    clients: &Clients,
    target: &Target,
    request: OutboundRequest<'_>,
) -> Result<OutboundResponse, TransportError> {
    let head_timeout = request.head_timeout;
    let mut call = Call { clients, target, facts: Rc::default() };
    let outcome = tokio::time::timeout(head_timeout, Box::pin(call.run(request))).await;
    outcome.unwrap_or_else(|_| {
        let reason = format_args!("{}: no response head within {head_timeout:?}", target.authority);
        Err(TransportError::new(TransportKind::Timeout, call.facts.sent.get(), reason))
    })
}

/// A call under way.
struct Call<'a> {
    clients: &'a Clients,
    target: &'a Target,
    /// Of the try that is under way.
    facts: Rc<Facts>,
}

impl Call<'_> {
    async fn run(&mut self, request: OutboundRequest<'_>) -> Result<OutboundResponse, TransportError> {
        let client = self.clients.client(&self.target.profile);
        let host = host(self.target)?;
        let http2 = self.speaks_http2(&client, &host).await?;
        let (head, content) = prepare(self.target, host, http2, request)?;
        let again = content.copy();
        match (self.exchange(&client, http2, &head, content, false).await, again) {
            (Err(_), Some(content)) if self.is_stale() => {
                self.facts = Rc::default();
                self.exchange(&client, http2, &head, content, true).await
            }
            (result, _) => result,
        }
    }

    /// Whether the upstream had closed the connection before it could see the request.
    fn is_stale(&self) -> bool {
        let before_answer = self.facts.failure.get().is_some_and(GuardError::before_answer);
        self.facts.reused.get() && !self.facts.answered.get() && before_answer
    }

    async fn speaks_http2(&self, client: &Client, host: &Authority) -> Result<bool, TransportError> {
        let Target { profile, scheme_https: true, authority } = self.target else { return Ok(false) };
        if !profile.http2 {
            return Ok(false);
        }
        let to = Destination { host: host.host(), port: host.port_u16().unwrap_or(443), https: true };
        let asked = client.protocols.speaks_http2(authority, profile, self.clients.tls(), to).await;
        asked.map_err(|error| TransportError::from_dial(&error))
    }

    async fn exchange(
        &self,
        client: &Client,
        http2: bool,
        head: &Rc<RequestHead>,
        content: Content,
        fresh_only: bool,
    ) -> Result<OutboundResponse, TransportError> {
        let Target { profile, scheme_https, authority } = self.target;
        let body = RequestBody::new(content, Rc::clone(&self.facts));
        // No guard watches an HTTP/2 connection: the request counts as sent unless there was no connection.
        self.facts.sent.set(http2);
        let mut exchange = match (http2, scheme_https) {
            (true, _) => (client.http2)(Rc::clone(head), body),
            (false, true) => (client.https)(Rc::clone(head), body),
            (false, false) => (client.plain)(Rc::clone(head), body),
        };
        let scope = self.clients.scope();
        let outcome = poll_fn(|cx| scope.enter(&self.facts, fresh_only, || exchange.as_mut().poll(cx))).await;
        let (response, payload) = outcome.map_err(|error| TransportError::from_send(&error, &self.facts, authority))?;
        if http2 && response.version != Version::HTTP_2 {
            client.protocols.distrust(authority);
            let reason = format_args!("{authority}: offered HTTP/2 and answered in HTTP/1.1");
            return Err(TransportError::new(TransportKind::Protocol, true, reason));
        }
        if let Some(proxy) = &profile.proxy
            && response.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            && is_absolute(self.target)
        {
            let reason = format_args!("outbound proxy {proxy}: it asks for other credentials (407)");
            return Err(TransportError::new(TransportKind::Proxy, true, reason));
        }
        Ok(self.response(response, payload))
    }

    fn response(&self, response: ResponseHead, payload: Payload) -> OutboundResponse {
        OutboundResponse {
            status: response.status,
            headers: response.headers,
            reused: self.facts.reused.get(),
            body: OutboundPayload {
                payload: Some(payload),
                facts: Rc::clone(&self.facts),
                authority: self.target.authority.as_str().into(),
            },
        }
    }
}

/// Whether the request line names the whole URL, for a proxy that forwards plain http.
fn is_absolute(target: &Target) -> bool {
    !target.scheme_https && target.profile.proxy.as_ref().is_some_and(|proxy| proxy.takes_absolute_form())
}

/// The request as awc encodes it.
fn prepare(
    target: &Target,
    host: Authority,
    http2: bool,
    request: OutboundRequest<'_>,
) -> Result<(Rc<RequestHead>, Content), TransportError> {
    let OutboundRequest { method, path_and_query, mut headers, body, .. } = request;
    for name in [header::EXPECT, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        headers.remove(name);
    }
    if !headers.contains_key(header::HOST) {
        headers.insert(header::HOST, value(&target.authority)?);
    }
    if is_absolute(target)
        && let Some(authorization) = target.profile.proxy.as_ref().and_then(|proxy| proxy.basic_authorization())
    {
        let mut authorization = value(authorization.expose())?;
        authorization.set_sensitive(true);
        headers.insert(header::PROXY_AUTHORIZATION, authorization);
    }
    let (content, length) = match body {
        OutboundBody::Full(bytes) if !bytes.is_empty() => {
            let length = bytes.len() as u64;
            (Content::Full(bytes), Some(length))
        }
        OutboundBody::Full(_) => (Content::Empty(true), None),
        OutboundBody::Empty => (Content::Empty(matches!(*method, Method::POST | Method::PUT | Method::PATCH)), None),
        OutboundBody::Stream { length: Some(left), stream } => (Content::Sized { left, stream }, Some(left)),
        OutboundBody::Stream { length: None, stream } => (Content::Chunked(stream), None),
    };
    let mut head = RequestHead::default();
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        head.no_chunking(true);
    }
    head.method = method.clone();
    head.uri = uri(target, host, http2, path_and_query)?;
    head.headers = headers;
    Ok((Rc::new(head), content))
}

fn value(text: &str) -> Result<HeaderValue, TransportError> {
    HeaderValue::from_str(text).map_err(|_| TransportError::refused("a header value holds control characters"))
}

/// The host of the call; a port that is no number must not become the default one.
fn host(target: &Target) -> Result<Authority, TransportError> {
    let valid = |host: &Authority| {
        let bare = host.as_str() == host.host();
        !host.host().is_empty() && !host.as_str().contains('@') && (bare || host.port_u16().is_some())
    };
    let host = target.authority.parse().ok().filter(valid);
    host.ok_or_else(|| TransportError::refused("the upstream's host is not of the form host[:port]"))
}

/// The URL of the call. awc is shown plain http where TLS is made below the guard, and https where awc shall make it.
fn uri(target: &Target, host: Authority, http2: bool, path_and_query: &str) -> Result<Uri, TransportError> {
    let Target { authority, .. } = target;
    let text = if is_absolute(target) {
        Bytes::from(format!("http://{authority}{path_and_query}"))
    } else {
        Bytes::copy_from_slice(path_and_query.as_bytes())
    };
    // A fragment would be cut off without a word, and so would the query of an overlong path.
    if !path_and_query.starts_with('/') || path_and_query.contains('#') || text.len() > MAX_PATH_BYTES {
        let reason = "the path must begin with '/', hold no '#' and have at most 65534 bytes";
        return Err(TransportError::unsendable(format_args!("{authority}: {reason}")));
    }
    let path = PathAndQuery::from_maybe_shared(text).map_err(|_| {
        let reason = "the path or query holds characters that must be percent-encoded";
        TransportError::unsendable(format_args!("{authority}: {reason}"))
    })?;
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if http2 { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(host);
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(TransportError::refused)
}
