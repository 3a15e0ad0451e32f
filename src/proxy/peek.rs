//! Looking at an answer's body before the answer is committed to.

use std::{collections::VecDeque, future::poll_fn, pin::Pin, task::Poll};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::{
    channel::tap::{FirstEvent, Tap},
    upstream::{OutboundPayload, TransportError},
};

/// Bytes of a stream looked at for its first event before it is committed to whatever they are.
const FIRST_EVENT_BYTES: usize = 64 << 10;

/// What has been read of an answer before it is committed to.
#[derive(Default)]
pub struct Peek {
    /// What was read, in pieces as they came.
    pub ready: VecDeque<Bytes>,
    /// How much that is.
    pub bytes: usize,
    /// Whether nothing is to come.
    pub ended: bool,
}

impl Peek {
    /// Waits for the first event, or for so many bytes that there will be none.
    pub async fn until_first_event(
        &mut self,
        payload: &mut OutboundPayload,
        tap: &mut Tap,
    ) -> Result<(), TransportError> {
        while tap.first_event() == FirstEvent::None && self.bytes < FIRST_EVENT_BYTES && !self.ended {
            let next = payload.next().await;
            self.take(next, tap)?;
        }
        Ok(())
    }

    /// Takes what has arrived already, without waiting for more.
    pub async fn what_is_here(&mut self, payload: &mut OutboundPayload, tap: &mut Tap) -> Result<(), TransportError> {
        while self.bytes < FIRST_EVENT_BYTES && !self.ended {
            let here = poll_fn(|cx| {
                Poll::Ready(match Pin::new(&mut *payload).poll_next(cx) {
                    Poll::Ready(next) => Some(next),
                    Poll::Pending => None,
                })
            });
            match here.await {
                Some(next) => self.take(next, tap)?,
                None => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, next: Option<Result<Bytes, TransportError>>, tap: &mut Tap) -> Result<(), TransportError> {
        match next {
            None => self.ended = true,
            Some(Ok(chunk)) => {
                tap.feed(&chunk);
                self.bytes += chunk.len();
                self.ready.push_back(chunk);
            }
            Some(Err(error)) => return Err(error),
        }
        Ok(())
    }
}

/// Reads a body that must be at hand before it can be judged or changed: at most `cap` bytes of it, and whether that is
/// all.
pub async fn collect(
    mut payload: OutboundPayload,
    cap: usize,
    deadline: Instant,
) -> Result<(Bytes, bool), TransportError> {
    let all = async {
        let mut whole = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            whole.extend_from_slice(&chunk?);
            if whole.len() > cap {
                whole.truncate(cap);
                return Ok((whole.freeze(), false));
            }
        }
        Ok((whole.freeze(), true))
    };
    timeout_at(deadline, all)
        .await
        .unwrap_or_else(|_| Err(TransportError::timeout("the answer's body did not arrive in time")))
}
