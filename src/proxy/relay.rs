//! The answer's body on its way to the client: unchanged, as it arrives, watched by the tap.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_http::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_util::Stream;
use gpt_load_actors::pool::Verdict;
use tokio::time::{Instant, Sleep, sleep_until};

use super::exchange::{Ending, Exchange};
use crate::{
    channel::{
        classify,
        tap::{Tap, TapReport},
    },
    upstream::send::OutboundPayload,
};

/// The client's connection must be closed without a clean end, because the upstream's answer had none.
///
/// Clients of HTTP/1.1 and 2 miss the last chunk or the end of the stream. To an HTTP/1.0 client the end of the connection
/// is the end of a body without a length, and the server offers no way to reset it: such a client cannot tell.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's answer broke off: {0}")]
pub struct Broken(&'static str);

/// Time limits on an answer that has begun.
#[derive(Clone, Copy, Debug)]
pub struct RelayLimits {
    /// Longest time without a byte.
    pub idle: Duration,
    /// When the whole answer must have ended; `None` for streams.
    pub deadline: Option<Instant>,
}

/// An answer that is committed to.
pub struct Begun {
    /// Upstream's status.
    pub status: u16,
    /// Length of the body, if announced.
    pub length: Option<u64>,
    /// What has arrived of the body and was shown to the tap.
    pub ready: VecDeque<Bytes>,
    /// What is to come.
    pub payload: OutboundPayload,
    /// Whether nothing is to come.
    pub ended: bool,
    /// Reads along.
    pub tap: Tap,
}

/// An answer's body. Writes the request's final row at its end, whichever way it ends.
pub struct Relay {
    status: u16,
    size: BodySize,
    remaining: Option<u64>,
    ready: VecDeque<Bytes>,
    payload: OutboundPayload,
    ended: bool,
    tap: Option<Tap>,
    exchange: Box<Exchange>,
    limits: RelayLimits,
    timer: Option<Pin<Box<Sleep>>>,
    last_byte: Instant,
    breaking: Option<&'static str>,
}

impl Relay {
    /// The rest of an answer that has begun.
    pub fn new(begun: Begun, exchange: Box<Exchange>, limits: RelayLimits) -> Self {
        let Begun { status, length, ready, payload, ended, tap } = begun;
        Self {
            status,
            size: length.map_or(BodySize::Stream, BodySize::Sized),
            remaining: length,
            ready,
            payload,
            ended,
            tap: Some(tap),
            exchange,
            limits,
            timer: None,
            last_byte: Instant::now(),
            breaking: None,
        }
    }

    /// Counts `chunk` and, when it completes a body of known length, concludes before the client can have it all.
    fn hand_over(&mut self, chunk: Bytes, cx: &mut Context<'_>) -> Bytes {
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(chunk.len() as u64);
            if *remaining == 0 && self.ready.is_empty() {
                // Polling to the end gives the connection back to the pool; what it says after the last byte is no
                // longer this answer.
                if !self.ended {
                    let _ = Pin::new(&mut self.payload).poll_next(cx);
                    self.ended = true;
                }
                self.conclude_whole();
            }
        }
        chunk
    }

    fn conclude_whole(&mut self) -> Option<&'static str> {
        let report = self.tap.take()?.finish(true);
        let broken = self.missing_end(&report);
        let verdict = match (&report.error, broken) {
            (Some(error), _) => error.clone(),
            (None, Some(what)) => classify::transport("missing-terminal-event", what.to_owned()),
            (None, None) => classify::success(),
        };
        let is_success = report.error.is_none() && broken.is_none() && self.status < 400;
        self.conclude(verdict, is_success, report);
        broken
    }

    fn missing_end(&self, report: &TapReport) -> Option<&'static str> {
        (self.exchange.is_stream && report.content_seen && !report.terminal_seen && report.error.is_none())
            .then_some("the stream ended without its terminal event")
    }

    fn conclude_broken(&mut self, rule: &'static str, message: String) {
        if let Some(tap) = self.tap.take() {
            let report = tap.finish(false);
            let verdict = report.error.clone().unwrap_or_else(|| classify::transport(rule, message));
            self.conclude(verdict, false, report);
        }
    }

    fn conclude(&mut self, verdict: Verdict, is_success: bool, report: TapReport) {
        self.exchange.conclude(Ending { status: self.status, verdict, is_success, report: Some(report) });
    }

    /// Bytes handed over before must reach the socket before the connection is torn down, so the break waits one turn.
    fn break_off(&mut self, what: &'static str, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        self.breaking = Some(what);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        loop {
            let idle_at = self.last_byte + self.limits.idle;
            let due = self.limits.deadline.map_or(idle_at, |deadline| deadline.min(idle_at));
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if self.limits.deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready("request-timeout");
            }
            if idle_at <= now {
                return Poll::Ready("stream-idle");
            }
            // Bytes came since the timer was set: it is moved on only when it rings, not with every chunk.
            timer.as_mut().reset(due);
        }
    }
}

impl MessageBody for Relay {
    type Error = Broken;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if let Some(what) = this.breaking {
            return Poll::Ready(Some(Err(Broken(what))));
        }
        if let Some(chunk) = this.ready.pop_front() {
            return Poll::Ready(Some(Ok(this.hand_over(chunk, cx))));
        }
        if this.ended {
            return match this.conclude_whole() {
                Some(what) => this.break_off(what, cx),
                None => Poll::Ready(None),
            };
        }
        match Pin::new(&mut this.payload).poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                this.last_byte = Instant::now();
                if let Some(tap) = &mut this.tap {
                    tap.feed(&chunk);
                    this.exchange.remember(tap.take_learnt());
                }
                Poll::Ready(Some(Ok(this.hand_over(chunk, cx))))
            }
            Poll::Ready(Some(Err(error))) => {
                this.conclude_broken(error.kind.as_str(), error.to_string());
                this.break_off("the connection to the upstream failed", cx)
            }
            Poll::Ready(None) => {
                this.ended = true;
                match this.conclude_whole() {
                    Some(what) => this.break_off(what, cx),
                    None => Poll::Ready(None),
                }
            }
            Poll::Pending => match this.poll_timer(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(rule) => {
                    this.conclude_broken(rule, "the upstream sent nothing more within the time limit".to_owned());
                    this.break_off("the upstream took too long", cx)
                }
            },
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(tap) = self.tap.take() {
            self.exchange.abandon(Some(tap.finish(false)));
        }
    }
}
