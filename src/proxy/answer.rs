//! Answers to the client: heads, whole bodies, relayed bodies, relayed failures.

use std::collections::VecDeque;

use actix_http::{
    body::{BodySize, MessageBody},
    header::{HeaderMap, HeaderName, HeaderValue},
};
use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use bytes::Bytes;
use gpt_load_schema::{channel::Channel, secret::Secret};
use uuid::Uuid;

use super::{
    error::{ERROR_SOURCE, ProxyError},
    exchange::Exchange,
    relay::Relay,
    table::Route,
};
use crate::channel::{error::redact_bytes, headers::forward_response};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-gpt-load-request-id");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-gpt-load-attempts");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// An upstream's failure as it can still be given to the client.
pub struct FailedAnswer {
    /// Upstream's status.
    pub status: StatusCode,
    /// Upstream's headers.
    pub headers: HeaderMap,
    /// Its body, bounded, encoded as it came.
    pub body: Bytes,
    /// Its body decoded, when it came compressed.
    pub decoded: Option<Vec<u8>>,
    /// Whether it answers `HEAD`, so that its length is that of a body that does not follow.
    pub is_head: bool,
}

impl FailedAnswer {
    /// The failure as it came, with the key that was used masked wherever the provider repeated it.
    pub fn redacted(mut self, key: &Secret) -> Self {
        let clear = self.decoded.as_deref().unwrap_or(&self.body);
        if let Some(masked) = redact_bytes(clear, key) {
            self.headers.remove(header::CONTENT_ENCODING);
            self.body = masked.into();
        }
        let leaking: Vec<HeaderName> = self
            .headers
            .iter()
            .filter(|(_, value)| redact_bytes(value.as_bytes(), key).is_some())
            .map(|(name, _)| name.clone())
            .collect();
        for name in leaking {
            self.headers.remove(name);
        }
        self
    }

    /// The answer to the client.
    pub fn response(&self, exchange: &Exchange) -> HttpResponse {
        let mut response = if self.is_head {
            headless(self.status, &self.headers, exchange)
        } else {
            whole(self.status, &self.headers, self.body.clone(), exchange)
        };
        response.headers_mut().insert(ERROR_SOURCE, HeaderValue::from_static("upstream"));
        response
    }
}

/// Masks the key where an upstream repeats it in the headers of a good answer: a redirect or an upload URL often carries
/// the query of the request it answers.
pub fn mask_key(headers: &mut HeaderMap, key: &Secret) {
    let shortest = key.expose().len();
    let masked = |value: &HeaderValue| if value.len() < shortest { None } else { redact_bytes(value.as_bytes(), key) };
    if headers.iter().any(|(_, value)| masked(value).is_some()) {
        headers.retain(|_, value| {
            let Some(masked) = masked(value) else { return true };
            let Ok(masked) = HeaderValue::from_bytes(&masked) else { return false };
            *value = masked;
            true
        });
    }
}

/// A refusal of the gateway, in the native shape of the group's channel.
pub fn refusal(error: &ProxyError, route: &Route, exchange: &Exchange) -> HttpResponse {
    let mut response = error.response(route.group.definition.channel);
    stamp(&mut response, exchange);
    response
}

/// A whole answer.
pub fn whole(status: StatusCode, headers: &HeaderMap, body: Bytes, exchange: &Exchange) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, body);
    *response.headers_mut() = forwarded(headers);
    stamp(&mut response, exchange);
    response.map_into_boxed_body()
}

/// An answer without a body, whose length is announced all the same where the upstream does so: to `HEAD`, 204 and 304.
pub fn headless(status: StatusCode, headers: &HeaderMap, exchange: &Exchange) -> HttpResponse {
    let length = headers.get(header::CONTENT_LENGTH).filter(|_| status != StatusCode::NO_CONTENT);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let mut response = HttpResponse::with_body(status, Announced(length));
    *response.headers_mut() = forwarded(headers);
    stamp(&mut response, exchange);
    response.map_into_boxed_body()
}

/// An answer whose body follows.
pub fn relayed(
    status: StatusCode,
    headers: &HeaderMap,
    is_event_stream: bool,
    stamps: &HeaderMap,
    relay: Relay,
) -> HttpResponse {
    let mut head = forwarded(headers);
    if is_event_stream {
        if !head.contains_key(&ACCEL_BUFFERING) {
            head.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
        }
        if !head.contains_key(header::CACHE_CONTROL) {
            head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
    }
    for (name, value) in stamps {
        head.insert(name.clone(), value.clone());
    }
    let mut response = HttpResponse::with_body(status, relay);
    *response.headers_mut() = head;
    response.map_into_boxed_body()
}

/// Marks an answer with the request's id and its number of attempts.
pub fn stamp_headers(headers: &mut HeaderMap, exchange: &Exchange) {
    stamp_with(headers, exchange.request_id(), exchange.attempts());
}

/// A refusal of a request that was not admitted, in the native shape of `channel`.
pub fn turned_away(error: &ProxyError, channel: Channel, request_id: Uuid) -> HttpResponse {
    let mut response = error.response(channel);
    stamp_with(response.headers_mut(), request_id, 0);
    response
}

fn stamp_with(headers: &mut HeaderMap, request_id: Uuid, attempts: u32) {
    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    if let Ok(id) = HeaderValue::from_str(request_id.hyphenated().encode_lower(&mut id)) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(ATTEMPTS, HeaderValue::from(attempts));
}

fn stamp<B>(response: &mut HttpResponse<B>, exchange: &Exchange) {
    stamp_headers(response.headers_mut(), exchange);
}

/// Upstream's headers for the client; the body's length is the server's to say.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut head = forward_response(headers);
    head.remove(header::CONTENT_LENGTH);
    head
}

/// Chunks joined into one; without copying when there is but one.
pub fn join(mut chunks: VecDeque<Bytes>) -> Bytes {
    match chunks.len() {
        0 => Bytes::new(),
        1 => chunks.pop_front().unwrap_or_default(),
        _ => {
            let mut joined = Vec::with_capacity(chunks.iter().map(Bytes::len).sum());
            chunks.iter().for_each(|chunk| joined.extend_from_slice(chunk));
            joined.into()
        }
    }
}

/// A body that has no bytes, whatever length it announces.
struct Announced(Option<u64>);

impl MessageBody for Announced {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0.map_or(BodySize::None, BodySize::Sized)
    }

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes, Self::Error>>> {
        std::task::Poll::Ready(None)
    }
}
