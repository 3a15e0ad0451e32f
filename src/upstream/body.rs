//! The body of an outbound request as awc takes it.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_util::Stream;

use super::scope::Facts;

/// Bytes of a buffered body given to awc at a time: awc copies what it is given before it sends.
const SLICE_BYTES: usize = 64 * 1024;

/// A body that ends at once when the upstream has refused the request.
///
/// A body with a known length is a stream to awc too, which can stop early where a sized body must not; its `Content-Length` is
/// a header like any other, and the length is checked here.
pub(super) struct RequestBody {
    content: Content,
    facts: Rc<Facts>,
}

pub(super) enum Content {
    /// No body; `true` says so with `Content-Length: 0`.
    Empty(bool),
    Full(Bytes),
    Sized {
        left: u64,
        stream: ByteStream,
    },
    Chunked(ByteStream),
}

pub(super) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, io::Error>>>>;

impl Content {
    /// The same content once more, if it can be sent twice.
    pub(super) fn copy(&self) -> Option<Self> {
        match self {
            Self::Empty(said) => Some(Self::Empty(*said)),
            Self::Full(bytes) => Some(Self::Full(bytes.clone())),
            Self::Sized { .. } | Self::Chunked(_) => None,
        }
    }
}

impl RequestBody {
    pub(super) fn new(content: Content, facts: Rc<Facts>) -> Self {
        Self { content, facts }
    }
}

impl MessageBody for RequestBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        match &self.content {
            Content::Empty(false) => BodySize::None,
            Content::Empty(true) => BodySize::Sized(0),
            Content::Full(_) | Content::Sized { .. } | Content::Chunked(_) => BodySize::Stream,
        }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        if self.facts.refused_early.get() {
            return Poll::Ready(None);
        }
        match &mut self.content {
            Content::Empty(_) => Poll::Ready(None),
            Content::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Full(bytes) => Poll::Ready(Some(Ok(bytes.split_to(bytes.len().min(SLICE_BYTES))))),
            Content::Chunked(stream) => stream.as_mut().poll_next(cx),
            Content::Sized { left, stream } => stream.as_mut().poll_next(cx).map(|item| match item {
                Some(Ok(bytes)) => match left.checked_sub(bytes.len() as u64) {
                    Some(rest) => {
                        *left = rest;
                        Some(Ok(bytes))
                    }
                    None => Some(Err(io::Error::other("the request body is longer than its Content-Length"))),
                },
                None if *left > 0 => {
                    let message = "the request body is shorter than its Content-Length";
                    Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, message)))
                }
                end => end,
            }),
        }
    }
}
