//! The client's request body: buffered for replay up to a limit, streamed beyond.

use std::{cell::Cell, io, pin::Pin, rc::Rc, time::Duration};

use actix_http::{error::PayloadError, header::HeaderMap};
use actix_web::{http::header, web};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::time::timeout;

use super::error::ProxyError;
use crate::{config::Config, upstream::OutboundBody};

/// Stands for "no limit" where a timer needs a number.
const NO_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Limits on request bodies.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes up to which a body is buffered and can be sent again.
    pub replay: usize,
    /// Bytes up to which a body is accepted; 0 = no limit.
    pub max: u64,
    /// How long a buffered body, or one chunk of a streamed one, may take to arrive.
    pub read_timeout: Duration,
}

impl BodyLimits {
    /// The limits that `config` sets.
    pub fn of(config: &Config) -> Self {
        Self {
            replay: config.replay_buffer_bytes,
            max: config.max_request_bytes,
            read_timeout: if config.server_read_timeout.is_zero() { NO_TIMEOUT } else { config.server_read_timeout },
        }
    }
}

/// A request body.
pub enum Body {
    /// Whole; can be sent as often as needed.
    Buffered(Bytes),
    /// Too large to keep, or of unknown length and growing; can be sent once.
    Streaming(StreamingBody),
}

/// A body that flows through.
pub struct StreamingBody {
    prefix: Bytes,
    rest: web::Payload,
    length: Option<u64>,
    limits: BodyLimits,
    failure: Rc<Cell<Option<BodyFailure>>>,
}

/// Why a streamed body ended early; the client's side.
#[derive(Clone, Copy, Debug)]
enum BodyFailure {
    TooLarge,
    Slow,
    Gone,
}

/// Tells, after a call failed, whether the client's body was the reason.
#[derive(Clone)]
pub struct BodyWatch {
    failure: Rc<Cell<Option<BodyFailure>>>,
    limits: BodyLimits,
}

impl BodyWatch {
    /// The refusal to answer, if the client's body ended the call.
    pub fn error(&self) -> Option<ProxyError> {
        self.failure.get().map(|failure| match failure {
            BodyFailure::TooLarge => ProxyError::BodyTooLarge(self.limits.max),
            BodyFailure::Slow => ProxyError::BodyTimeout(self.limits.read_timeout),
            BodyFailure::Gone => {
                ProxyError::BadRequest("the request body ended before its announced length".to_owned())
            }
        })
    }
}

/// Reads a body as far as the limits say; gives back the payload of one that was read to its end.
///
/// # Errors
///
/// [`ProxyError::BodyTooLarge`], [`ProxyError::BodyTimeout`], or [`ProxyError::BadRequest`] for a body that is cut or
/// whose framing is damaged.
pub async fn read(
    headers: &HeaderMap,
    mut payload: web::Payload,
    limits: BodyLimits,
) -> Result<(Body, Option<web::Payload>), ProxyError> {
    let length = content_length(headers)?;
    if limits.max > 0 && length.is_some_and(|length| length > limits.max) {
        return Err(ProxyError::BodyTooLarge(limits.max));
    }
    if length.is_some_and(|length| length > limits.replay as u64) {
        return Ok((Body::Streaming(StreamingBody::new(Bytes::new(), payload, length, limits)), None));
    }
    // HTTP/2 may announce neither a length nor a coding: an empty body ends at once.
    match next_chunk(&mut payload, limits.read_timeout).await? {
        None => Ok((Body::Buffered(Bytes::new()), Some(payload))),
        Some(first) => collect(first, payload, length, limits).await,
    }
}

async fn collect(
    first: Bytes,
    mut payload: web::Payload,
    length: Option<u64>,
    limits: BodyLimits,
) -> Result<(Body, Option<web::Payload>), ProxyError> {
    if length == Some(first.len() as u64) {
        return Ok((Body::Buffered(first), Some(payload)));
    }
    let mut buffer = BytesMut::from(first);
    let all = async {
        while let Some(chunk) = payload.next().await {
            buffer.extend_from_slice(&chunk.map_err(|error| damaged(&error))?);
            if buffer.len() > limits.replay {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let whole = timeout(limits.read_timeout, all).await.map_err(|_| ProxyError::BodyTimeout(limits.read_timeout))??;
    let buffer = buffer.freeze();
    if whole {
        return Ok((Body::Buffered(buffer), Some(payload)));
    }
    if limits.max > 0 && buffer.len() as u64 > limits.max {
        return Err(ProxyError::BodyTooLarge(limits.max));
    }
    Ok((Body::Streaming(StreamingBody::new(buffer, payload, length, limits)), None))
}

async fn next_chunk(payload: &mut web::Payload, limit: Duration) -> Result<Option<Bytes>, ProxyError> {
    let mut next = payload.next();
    // A small body has come with its head: no timer is set up for it.
    let item = match (&mut next).now_or_never() {
        Some(item) => item,
        None => timeout(limit, next).await.map_err(|_| ProxyError::BodyTimeout(limit))?,
    };
    item.transpose().map_err(|error| damaged(&error))
}

fn damaged(error: &PayloadError) -> ProxyError {
    ProxyError::BadRequest(format!("the request body could not be read: {error}"))
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, ProxyError> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| ProxyError::BadRequest("the Content-Length header is not a number".to_owned()))
}

impl StreamingBody {
    fn new(prefix: Bytes, rest: web::Payload, length: Option<u64>, limits: BodyLimits) -> Self {
        Self { prefix, rest, length, limits, failure: Rc::default() }
    }

    /// What is known of the body so far; for the model of a multipart form.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// What tells afterwards whether the client's side ended it.
    pub fn watch(&self) -> BodyWatch {
        BodyWatch { failure: Rc::clone(&self.failure), limits: self.limits }
    }

    /// The body as awc sends it.
    pub fn into_outbound(self) -> OutboundBody {
        let length = self.length;
        OutboundBody::Stream { length, stream: self.into_stream() }
    }

    fn into_stream(self) -> Pin<Box<dyn Stream<Item = io::Result<Bytes>>>> {
        let Self { prefix, rest, limits, failure, .. } = self;
        let watch = Rc::clone(&failure);
        let mut seen = prefix.len() as u64;
        let first = stream::iter((!prefix.is_empty()).then_some(Ok(prefix)));
        let rest = stream::unfold((rest, failure), move |(mut rest, failure)| async move {
            let end = |why: BodyFailure| {
                failure.set(Some(why));
                Some(Err(io::Error::other("the client's request body ended early")))
            };
            let item = match timeout(limits.read_timeout, rest.next()).await {
                Err(_) => end(BodyFailure::Slow),
                Ok(None) => None,
                Ok(Some(Ok(chunk))) => Some(Ok(chunk)),
                Ok(Some(Err(_))) => end(BodyFailure::Gone),
            };
            item.map(|item| (item, (rest, failure)))
        });
        let counted = rest.map(move |item: io::Result<Bytes>| {
            let chunk = item?;
            seen += chunk.len() as u64;
            if limits.max > 0 && seen > limits.max {
                watch.set(Some(BodyFailure::TooLarge));
                return Err(io::Error::other("the client's request body is too large"));
            }
            Ok(chunk)
        });
        Box::pin(first.chain(counted))
    }
}
