//! The guard between a connection and awc.
//!
//! Its reader sees exactly one whole answer per request ([`Filter`]) or an error. A connection on which anything else happened
//! — bytes nobody asked for, a request that was not sent whole, a wish to close — is closed when its answer ends; awc's pool then
//! finds an end of file and drops it. Body bytes are read straight into awc's buffer and never copied here.

mod connection;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::connection::Guarded;
#[cfg(doc)]
use super::framing::Filter;
use super::framing::FramingError;
use super::idle::{IdlePlace, Pooled};
use super::scope::Scope;
use super::wire::PendingInput;

/// Why the guard ended a connection. Every `io::Error` of the guard carries one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The answer is missing, cut or breaks the protocol.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The connection broke before any byte of an answer.
    #[error("the connection to the upstream broke before an answer ({0})")]
    Broken(io::ErrorKind),
    /// The connection broke inside an answer.
    #[error("the connection to the upstream broke inside the answer ({0})")]
    BrokenAnswer(io::ErrorKind),
    /// The connection had been closed and cannot serve a request.
    #[error("the connection to the upstream is closed")]
    Closed,
}

impl GuardError {
    /// Whether the connection ended before any byte of an answer.
    pub fn before_answer(self) -> bool {
        matches!(self, Self::Framing(FramingError::NoAnswer) | Self::Broken(_) | Self::Closed)
    }
}

impl From<GuardError> for io::Error {
    fn from(error: GuardError) -> Self {
        let kind = match error {
            GuardError::Framing(error) if error.is_cut() => io::ErrorKind::UnexpectedEof,
            GuardError::Framing(FramingError::NoAnswer) => io::ErrorKind::UnexpectedEof,
            GuardError::Framing(_) => io::ErrorKind::InvalidData,
            GuardError::Broken(kind) | GuardError::BrokenAnswer(kind) => kind,
            GuardError::Closed => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

/// A guarded connection.
pub struct GuardedIo<Io> {
    guarded: Rc<RefCell<Guarded<Io>>>,
}

impl<Io: AsyncRead + AsyncWrite + PendingInput + Unpin + 'static> GuardedIo<Io> {
    pub(super) fn new(io: Io, scope: Rc<Scope>, place: IdlePlace) -> Self {
        Self { guarded: Rc::new(RefCell::new(Guarded::new(io, scope, place))) }
    }

    pub(super) fn pooled(&self) -> Weak<dyn Pooled> {
        let guarded: Rc<dyn Pooled> = Rc::clone(&self.guarded) as Rc<dyn Pooled>;
        Rc::downgrade(&guarded)
    }
}

impl<Io: AsyncRead + PendingInput + Unpin> Pooled for RefCell<Guarded<Io>> {
    fn sweep(&self, now: Instant, timeout: Duration) {
        self.borrow_mut().sweep(now, timeout);
    }
}

impl<Io> fmt::Debug for GuardedIo<Io> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedIo").finish_non_exhaustive()
    }
}

impl<Io: AsyncRead + PendingInput + Unpin> AsyncRead for GuardedIo<Io> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.guarded.borrow_mut().poll_read(cx, buf)
    }
}

impl<Io: AsyncRead + AsyncWrite + PendingInput + Unpin> AsyncWrite for GuardedIo<Io> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.guarded.borrow_mut().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.guarded.borrow_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.guarded.borrow_mut().poll_shutdown(cx)
    }
}

impl<Io: ActixStream + PendingInput> ActixStream for GuardedIo<Io> {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.guarded.borrow().poll_ready(|io| io.poll_read_ready(cx))
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.guarded.borrow().poll_ready(|io| io.poll_write_ready(cx))
    }
}
