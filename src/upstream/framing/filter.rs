//! The filter between a connection and awc: one whole answer passes, nothing else.

use std::ops::Range;

use bytes::{Buf as _, BytesMut};

use super::head::{self, Body, Step};
use super::{FramingError, MAX_INTERIM_ANSWERS};

#[derive(Debug)]
enum Phase {
    Head,
    Body(Body),
    Done,
}

/// Passes the bytes of one answer on and everything else not.
///
/// Bytes are given with [`Filter::pass`] and come out in place; a head that arrives in pieces is held back until it is
/// complete and then comes out of [`Filter::take_held`]. Two things are changed in a head, because awc would lose the body
/// otherwise: the version of an HTTP/1.1 answer that ends with the connection becomes HTTP/1.0, and the value of `Upgrade`
/// (hop-by-hop, never forwarded) becomes blank.
#[derive(Debug)]
pub struct Filter {
    to_head: bool,
    phase: Phase,
    /// An incomplete head.
    partial: BytesMut,
    /// What has been held back and may go out.
    ready: BytesMut,
    started: bool,
    interim: usize,
    status: Option<u16>,
    keep_alive: bool,
    awc_waits: bool,
    surplus: bool,
    failure: Option<FramingError>,
}

/// What became of a piece: `output` passes, `undecided..` is the beginning of a head.
struct Sorted {
    output: Range<usize>,
    undecided: usize,
}

impl Filter {
    /// For the answer to one request; `to_head` when its method is HEAD.
    pub fn new(to_head: bool) -> Self {
        Self {
            to_head,
            phase: Phase::Head,
            partial: BytesMut::new(),
            ready: BytesMut::new(),
            started: false,
            interim: 0,
            status: None,
            keep_alive: false,
            awc_waits: false,
            surplus: false,
            failure: None,
        }
    }

    /// Takes the next bytes of the connection. What passes is moved to the front of `bytes`; returns its length.
    pub fn pass(&mut self, bytes: &mut [u8]) -> usize {
        if bytes.is_empty() || self.failure.is_some() {
            return 0;
        }
        self.started = true;
        if self.partial.is_empty() {
            let sorted = self.sort(bytes);
            self.partial.extend_from_slice(&bytes[sorted.undecided..]);
            let length = sorted.output.len();
            if sorted.output.start > 0 {
                bytes.copy_within(sorted.output, 0);
            }
            return length;
        }
        self.partial.extend_from_slice(bytes);
        // A head ends with a line feed: without one there is nothing to decide but its size.
        if memchr::memchr(b'\n', bytes).is_some() || self.partial.len() > super::MAX_HEAD_BYTES {
            let mut piece = std::mem::take(&mut self.partial);
            let sorted = self.sort(&mut piece);
            self.partial = piece.split_off(sorted.undecided);
            piece.truncate(sorted.output.end);
            piece.advance(sorted.output.start);
            self.ready = piece;
        }
        0
    }

    /// Bytes that were held back and now pass; they precede everything that [`Filter::pass`] returns later.
    pub fn take_held(&mut self) -> &mut BytesMut {
        &mut self.ready
    }

    /// Keeps bytes that passed for [`Filter::take_held`].
    pub fn hold(&mut self, passed: &[u8]) {
        self.ready.extend_from_slice(passed);
    }

    /// The connection has ended. `Ok` when the answer is whole.
    pub fn end(&mut self) -> Result<(), FramingError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        match &self.phase {
            Phase::Done | Phase::Body(Body::UntilClose) => {
                self.phase = Phase::Done;
                Ok(())
            }
            Phase::Body(_) => Err(FramingError::CutBody),
            Phase::Head if !self.started => Err(FramingError::NoAnswer),
            Phase::Head => {
                head::read(&self.partial, self.to_head)?;
                Err(FramingError::CutHead)
            }
        }
    }

    /// Whether the whole answer has passed or is held ready.
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Status of the final answer, once its head is complete.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Whether any byte has arrived since the request.
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// Whether the connection may serve another request behind this answer.
    pub fn is_reusable(&self) -> bool {
        self.is_done() && self.keep_alive && !self.awc_waits && !self.surplus && self.failure.is_none()
    }

    /// Whether bytes followed the complete answer.
    pub fn has_surplus(&self) -> bool {
        self.surplus
    }

    /// What is wrong with the answer; it concerns the bytes behind those that passed.
    pub fn failure(&self) -> Option<FramingError> {
        self.failure
    }

    fn sort(&mut self, bytes: &mut [u8]) -> Sorted {
        let mut start = 0;
        while matches!(self.phase, Phase::Head) {
            match head::read(&bytes[start..], self.to_head) {
                Ok(Step::Incomplete) => return Sorted { output: 0..0, undecided: start },
                Ok(Step::Interim(length)) => {
                    self.interim += 1;
                    if self.interim > MAX_INTERIM_ANSWERS {
                        return self.fail(FramingError::TooManyInterimAnswers, bytes.len());
                    }
                    start += length;
                    if start == bytes.len() {
                        return Sorted { output: 0..0, undecided: start };
                    }
                }
                Ok(Step::Final(head)) => {
                    let body_at = start + head.length;
                    self.begin_body(head, &mut bytes[start..]);
                    let end = body_at + self.count(&bytes[body_at..]);
                    return Sorted { output: start..end, undecided: bytes.len() };
                }
                Err(error) => return self.fail(error, bytes.len()),
            }
        }
        Sorted { output: 0..self.count(bytes), undecided: bytes.len() }
    }

    fn fail(&mut self, error: FramingError, length: usize) -> Sorted {
        self.failure = Some(error);
        Sorted { output: 0..0, undecided: length }
    }

    fn begin_body(&mut self, head: head::Head, bytes: &mut [u8]) {
        if matches!(head.body, Body::UntilClose) {
            bytes[head.minor_version_at] = b'0';
        }
        for value in head.upgrade_values {
            bytes[value].fill(b' ');
        }
        self.status = Some(head.status);
        self.keep_alive = head.keep_alive && !matches!(head.body, Body::UntilClose);
        self.awc_waits = head.awc_waits;
        self.phase = match head.body {
            Body::Length(0) => Phase::Done,
            body => Phase::Body(body),
        };
    }

    /// How many of `bytes` belong to the body.
    fn count(&mut self, bytes: &[u8]) -> usize {
        let counted = match &mut self.phase {
            Phase::Body(Body::UntilClose) => return bytes.len(),
            Phase::Body(Body::Length(left)) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= take as u64;
                if *left == 0 {
                    self.phase = Phase::Done;
                }
                take
            }
            Phase::Body(Body::Chunked(chunked)) => {
                let (take, result) = chunked.advance(bytes);
                if let Err(error) = result {
                    self.failure = Some(error);
                    return take;
                }
                if chunked.is_done() {
                    self.phase = Phase::Done;
                }
                take
            }
            Phase::Done | Phase::Head => 0,
        };
        self.surplus |= counted < bytes.len();
        counted
    }
}
