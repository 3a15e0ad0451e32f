//! Why an outbound call did not bring an answer.

use std::fmt;

use actix_http::error::PayloadError;
use awc::error::{ConnectError, SendRequestError};

use super::dial::{DialError, DialStage};
use super::framing::FramingError;
use super::guard::GuardError;
use super::scope::Facts;

/// What went wrong, and thereby whose side it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// Name resolution or TCP.
    Connect,
    /// The TLS handshake with the upstream.
    Tls,
    /// The outbound proxy.
    Proxy,
    /// Out of time before the response head.
    Timeout,
    /// The connection broke before the response head.
    Reset,
    /// The answer stopped in the middle.
    Cut,
    /// The upstream does not speak HTTP as it should.
    Protocol,
    /// The client's side: reading the request body failed.
    Body,
    /// The client's side: its path or query cannot stand in the request line.
    Unsendable,
    /// The gateway's side: the request cannot or must not be sent (address not allowed).
    Refused,
}

impl TransportKind {
    /// The stable word for logs, metrics and evidence.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Proxy => "outbound-proxy",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Cut => "cut",
            Self::Protocol => "protocol",
            Self::Body => "request-body",
            Self::Unsendable => "unsendable",
            Self::Refused => "refused",
        }
    }
}

/// A call without an answer, or an answer without an end. Names hosts, never secrets.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// What went wrong.
    pub kind: TransportKind,
    /// Whether the upstream may have received some of the request.
    pub request_sent: bool,
    message: String,
}

impl TransportError {
    pub(super) fn new(kind: TransportKind, request_sent: bool, message: impl fmt::Display) -> Self {
        Self { kind, request_sent, message: message.to_string() }
    }

    /// The answer took longer than the gateway waits.
    pub fn timeout(message: impl fmt::Display) -> Self {
        Self::new(TransportKind::Timeout, true, message)
    }

    /// The answer is not one the gateway can use.
    pub fn protocol(message: impl fmt::Display) -> Self {
        Self::new(TransportKind::Protocol, true, message)
    }

    pub(super) fn unsendable(message: impl fmt::Display) -> Self {
        Self::new(TransportKind::Unsendable, false, message)
    }

    pub(super) fn refused(message: impl fmt::Display) -> Self {
        Self::new(TransportKind::Refused, false, message)
    }

    pub(super) fn from_dial(error: &DialError) -> Self {
        let kind = match error.stage {
            DialStage::Connect => TransportKind::Connect,
            DialStage::Timeout => TransportKind::Timeout,
            DialStage::Tls => TransportKind::Tls,
            DialStage::Proxy => TransportKind::Proxy,
            DialStage::Refused => TransportKind::Refused,
        };
        Self::new(kind, false, error)
    }

    /// For a call that ended without a response head.
    pub(super) fn from_send(error: &SendRequestError, facts: &Facts, authority: &str) -> Self {
        let sent = facts.sent.get();
        if let Some(failure) = facts.failure.get() {
            return Self::from_guard(failure, sent, authority);
        }
        let made = |kind, reason: &dyn fmt::Display| Self::new(kind, sent, format_args!("{authority}: {reason}"));
        match error {
            SendRequestError::Connect(ConnectError::Timeout) => {
                let reason = format_args!("{authority}: no connection within the time to connect");
                Self::new(TransportKind::Timeout, false, reason)
            }
            SendRequestError::Connect(ConnectError::Io(error)) => {
                match error.get_ref().and_then(|inner| inner.downcast_ref::<DialError>()) {
                    Some(error) => Self::from_dial(error),
                    // awc's own TLS handshake, which only HTTP/2 uses.
                    None => Self::new(TransportKind::Tls, false, format_args!("{authority}: {error}")),
                }
            }
            SendRequestError::Connect(error) => made(TransportKind::Connect, error),
            SendRequestError::Timeout => made(TransportKind::Timeout, error),
            SendRequestError::Send(error) => made(TransportKind::Reset, error),
            SendRequestError::H2(error) if error.is_io() || error.is_go_away() => made(TransportKind::Reset, error),
            SendRequestError::Response(error) => made(TransportKind::Protocol, error),
            SendRequestError::Body(error) => made(TransportKind::Body, error),
            SendRequestError::Url(_) | SendRequestError::Http(_) => made(TransportKind::Refused, error),
            _ => made(TransportKind::Protocol, error),
        }
    }

    /// For a body that did not come to its end.
    pub(super) fn from_payload(error: &PayloadError, facts: &Facts, authority: &str) -> Self {
        match (facts.failure.get(), error) {
            (Some(failure), _) => Self::from_guard(failure, true, authority),
            (None, PayloadError::Io(_) | PayloadError::Http2Payload(_) | PayloadError::Incomplete(_)) => {
                Self::new(TransportKind::Cut, true, format_args!("{authority}: {error}"))
            }
            (None, _) => Self::new(TransportKind::Protocol, true, format_args!("{authority}: {error}")),
        }
    }

    fn from_guard(failure: GuardError, sent: bool, authority: &str) -> Self {
        let kind = match failure {
            GuardError::Framing(FramingError::NoAnswer) | GuardError::Broken(_) | GuardError::Closed => {
                TransportKind::Reset
            }
            GuardError::Framing(error) if error.is_cut() => TransportKind::Cut,
            GuardError::BrokenAnswer(_) => TransportKind::Cut,
            GuardError::Framing(_) => TransportKind::Protocol,
        };
        Self::new(kind, sent, format_args!("{authority}: {failure}"))
    }
}
