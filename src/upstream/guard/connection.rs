//! The state of one guarded connection.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::GuardError;
use crate::upstream::framing::Filter;
use crate::upstream::idle::IdlePlace;
use crate::upstream::scope::{Facts, Scope};
use crate::upstream::wire::PendingInput;

/// Bytes looked at in one go for an answer that comes before the request is sent.
const EARLY_READ_BYTES: usize = 2048;

/// A connection inside the guard.
pub(super) struct Guarded<Io> {
    /// `None` once closed: the socket does not wait for the pool to come across it.
    io: Option<Io>,
    exchange: Option<Exchange>,
    requests: u32,
    scope: Rc<Scope>,
    place: IdlePlace,
    /// When a sweep first found the connection idle behind this number of requests.
    idle_since: Option<(u32, Instant)>,
}

/// A request on its way and its answer.
struct Exchange {
    filter: Filter,
    facts: Rc<Facts>,
    /// The answer came before the request was sent; the rest of the request is swallowed.
    refused_early: bool,
}

impl<Io> Guarded<Io> {
    pub(super) fn new(io: Io, scope: Rc<Scope>, place: IdlePlace) -> Self {
        Self { io: Some(io), exchange: None, requests: 0, scope, place, idle_since: None }
    }

    fn close(&mut self) {
        self.io = None;
        self.place.leave();
    }

    fn fail(&mut self, error: GuardError) -> io::Error {
        let facts = self.exchange.take().map_or_else(|| self.scope.facts(), |exchange| exchange.facts);
        facts.failure.set(Some(error));
        self.close();
        error.into()
    }

    fn fail_io(&mut self, error: &io::Error) -> io::Error {
        let answered = self.exchange.as_ref().is_some_and(|exchange| exchange.filter.has_started());
        let kind = error.kind();
        self.fail(if answered { GuardError::BrokenAnswer(kind) } else { GuardError::Broken(kind) })
    }

    fn begin(&mut self, request: &[u8]) {
        let facts = self.scope.facts();
        facts.reused.set(self.requests > 0);
        self.requests = self.requests.saturating_add(1);
        self.place.leave();
        let filter = Filter::new(request.starts_with(b"HEAD "));
        self.exchange = Some(Exchange { filter, facts, refused_early: false });
    }

    /// Ends the exchange when its whole answer has been handed over.
    fn settle(&mut self) {
        let Some(exchange) = &mut self.exchange else { return };
        if !exchange.filter.is_done() || !exchange.filter.take_held().is_empty() {
            return;
        }
        let reusable = exchange.filter.is_reusable() && !exchange.refused_early;
        self.exchange = None;
        if !(reusable && self.place.take()) {
            self.close();
        }
    }

    pub(super) fn poll_ready<R>(&self, poll: impl FnOnce(&Io) -> Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        self.io.as_ref().map_or(Poll::Ready(Err(GuardError::Closed.into())), poll)
    }
}

impl<Io: AsyncRead + PendingInput + Unpin> Guarded<Io> {
    pub(super) fn sweep(&mut self, now: Instant, timeout: Duration) {
        if self.exchange.is_some() || self.requests == 0 {
            return;
        }
        let since = match self.idle_since {
            Some((requests, since)) if requests == self.requests => since,
            _ => now,
        };
        self.idle_since = Some((self.requests, since));
        let ended = self.io.as_ref().is_some_and(PendingInput::has_pending_input);
        if ended || now.saturating_duration_since(since) >= timeout {
            self.close();
        }
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(io) = &mut self.io else { return Poll::Ready(Ok(())) };
            let Some(exchange) = &mut self.exchange else { return self.poll_idle(cx) };
            let held = exchange.filter.take_held();
            if !held.is_empty() {
                let length = held.len().min(buf.remaining());
                buf.put_slice(&held.split_to(length));
                self.settle();
                return Poll::Ready(Ok(()));
            }
            if let Some(failure) = exchange.filter.failure() {
                return Poll::Ready(Err(self.fail(failure.into())));
            }
            let before = buf.filled().len();
            match Pin::new(io).poll_read(cx, buf) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.fail_io(&error))),
                Poll::Ready(Ok(())) => {}
            }
            if buf.filled().len() == before {
                return Poll::Ready(match exchange.filter.end() {
                    Ok(()) => {
                        self.exchange = None;
                        self.close();
                        Ok(())
                    }
                    Err(error) => Err(self.fail(error.into())),
                });
            }
            exchange.facts.answered.set(true);
            let passed = exchange.filter.pass(&mut buf.filled_mut()[before..]);
            buf.set_filled(before + passed);
            if passed > 0 {
                self.settle();
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reading while no request is under way is the pool asking whether the connection still works.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut probe = [0; 1];
        let mut probe = ReadBuf::new(&mut probe);
        if let Some(io) = &mut self.io
            && !self.scope.fresh_only()
            && Pin::new(&mut *io).poll_read(cx, &mut probe).is_pending()
            && !io.has_pending_input()
        {
            return Poll::Pending;
        }
        self.close();
        Poll::Ready(Ok(()))
    }

    /// Whether the upstream has refused the request before all of it was sent.
    fn refused_early(&mut self, cx: &mut Context<'_>) -> bool {
        let (Some(io), Some(exchange)) = (&mut self.io, &mut self.exchange) else { return false };
        // An answer below 400 may go on reading the request: it is left for the ordinary way.
        while !exchange.refused_early && exchange.filter.status().is_none() && exchange.filter.failure().is_none() {
            let mut chunk = [0; EARLY_READ_BYTES];
            let mut chunk = ReadBuf::new(&mut chunk);
            match Pin::new(&mut *io).poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(())) if !chunk.filled().is_empty() => {}
                _ => break,
            }
            exchange.facts.answered.set(true);
            let passed = exchange.filter.pass(chunk.filled_mut());
            exchange.filter.hold(&chunk.filled()[..passed]);
            exchange.refused_early = exchange.filter.status().is_some_and(|status| status >= 400);
            exchange.facts.refused_early.set(exchange.refused_early);
        }
        exchange.refused_early
    }
}

impl<Io: AsyncRead + AsyncWrite + PendingInput + Unpin> Guarded<Io> {
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.io.is_some() && self.exchange.is_none() {
            self.begin(bytes);
        } else if self.refused_early(cx) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let Some(io) = &mut self.io else { return Poll::Ready(Err(self.fail(GuardError::Closed))) };
        let written = Pin::new(io).poll_write(cx, bytes);
        match written {
            Poll::Ready(Ok(_)) => {
                if let Some(exchange) = &self.exchange {
                    exchange.facts.sent.set(true);
                }
                written
            }
            _ if self.refused_early(cx) => Poll::Ready(Ok(bytes.len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.fail_io(&error))),
            Poll::Pending => Poll::Pending,
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Err(self.fail(GuardError::Closed))) };
        if self.exchange.as_ref().is_some_and(|exchange| exchange.refused_early) {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(io).poll_flush(cx);
        match flushed {
            Poll::Ready(Ok(())) => flushed,
            _ if self.refused_early(cx) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.fail_io(&error))),
            Poll::Pending => Poll::Pending,
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Some(io) => Pin::new(io).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
