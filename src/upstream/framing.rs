//! HTTP/1.1 response framing (RFC 9112 §6): where an answer ends and whether it is whole. Pure, no I/O.
//!
//! [`Filter`] takes the bytes of a connection in any pieces and passes on exactly one answer: interim (1xx) heads are
//! dropped, the body is counted, bytes behind the answer are noticed and kept back. Heads are read by `httparse` with the
//! settings of `actix-http`, so that both always agree about what a head says.

mod chunked;
mod filter;
mod head;
#[cfg(test)]
mod tests;

pub use filter::Filter;
pub use head::MAX_HEADERS;

/// The largest response head that is accepted, in bytes.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How many interim (1xx) answers may precede the final one.
pub const MAX_INTERIM_ANSWERS: usize = 32;

/// Why an answer of an upstream cannot be passed on as whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// The connection ended before any byte of an answer.
    #[error("the upstream closed the connection without an answer")]
    NoAnswer,
    /// The connection ended inside the response head.
    #[error("the upstream's answer was cut off in its head")]
    CutHead,
    /// The connection ended inside the body.
    #[error("the upstream's answer was cut off in its body")]
    CutBody,
    /// Not an HTTP/1 response.
    #[error("the upstream's answer is not HTTP/1.1")]
    MalformedHead,
    /// The head is larger than [`MAX_HEAD_BYTES`].
    #[error("the head of the upstream's answer is larger than {MAX_HEAD_BYTES} bytes")]
    HeadTooLarge,
    /// The head has more than [`MAX_HEADERS`] header lines.
    #[error("the upstream's answer has more than {MAX_HEADERS} headers")]
    TooManyHeaders,
    /// More than [`MAX_INTERIM_ANSWERS`] interim answers.
    #[error("the upstream sent more than {MAX_INTERIM_ANSWERS} interim answers")]
    TooManyInterimAnswers,
    /// A 101 although no upgrade was asked for.
    #[error("the upstream switched protocols without being asked")]
    UnexpectedUpgrade,
    /// `Content-Length` is not a number or occurs more than once.
    #[error("the upstream's answer has an invalid or repeated Content-Length")]
    BadContentLength,
    /// `Transfer-Encoding` together with `Content-Length`.
    #[error("the upstream's answer has both Transfer-Encoding and Content-Length")]
    LengthAndTransferEncoding,
    /// A transfer coding other than `chunked`, a repeated one, or one in an HTTP/1.0 answer.
    #[error("the upstream's answer has a Transfer-Encoding other than a single chunked")]
    UnsupportedTransferEncoding,
    /// The chunked coding is broken.
    #[error("the upstream's answer has a malformed chunk")]
    MalformedChunk,
}

impl FramingError {
    /// Whether the answer simply stopped, in contrast to one that breaks the protocol.
    pub fn is_cut(self) -> bool {
        matches!(self, Self::CutHead | Self::CutBody)
    }
}
