//! The chunked transfer coding (RFC 9112 §7.1), followed without being decoded.

use super::FramingError;

/// Bytes of one size line with its extensions, or of all trailers, that are accepted.
const MAX_OVERHEAD: u32 = 64 * 1024;

/// Where the next byte of a chunked body belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FirstDigit,
    Digits,
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

/// A chunked body that is being read. Accepts no more than the decoder of `actix-http` does.
#[derive(Debug, Clone)]
pub(super) struct Chunked {
    state: State,
    /// Size of the chunk while its size line is read, then what is left of its data.
    left: u64,
    overhead: u32,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { state: State::FirstDigit, left: 0, overhead: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How many of `bytes` are a valid part of this body; an error concerns the byte behind them.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> (usize, Result<(), FramingError>) {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += take;
                self.left -= take as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            match self.step(bytes[at]) {
                Some(next) => self.state = next,
                None => return (at, Err(FramingError::MalformedChunk)),
            }
            at += 1;
        }
        (at, Ok(()))
    }

    fn step(&mut self, byte: u8) -> Option<State> {
        self.overhead += 1;
        if self.overhead > MAX_OVERHEAD {
            return None;
        }
        match (self.state, byte) {
            (State::FirstDigit, _) => {
                self.left = hex(byte)?;
                self.overhead = 0;
                Some(State::Digits)
            }
            (State::Digits | State::Blank, b'\t' | b' ') => Some(State::Blank),
            (State::Digits | State::Blank, b';') => Some(State::Extension),
            (State::Digits | State::Blank | State::Extension, b'\r') => Some(State::SizeLf),
            (State::Digits, _) => {
                self.left = self.left.checked_mul(16)? + hex(byte)?;
                Some(State::Digits)
            }
            (State::Extension, 0x00..=0x08 | 0x0a..=0x1f | 0x7f) => None,
            (State::Extension, _) => Some(State::Extension),
            (State::SizeLf, b'\n') if self.left > 0 => Some(State::Data),
            (State::SizeLf, b'\n') => {
                self.overhead = 0;
                Some(State::TrailerStart)
            }
            (State::DataCr, b'\r') => Some(State::DataLf),
            (State::DataLf, b'\n') => Some(State::FirstDigit),
            (State::TrailerStart, b'\r') => Some(State::EndLf),
            (State::Trailer, b'\r') => Some(State::TrailerLf),
            (State::TrailerStart | State::Trailer, _) => Some(State::Trailer),
            (State::TrailerLf, b'\n') => Some(State::TrailerStart),
            (State::EndLf, b'\n') => Some(State::Done),
            _ => None,
        }
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}
