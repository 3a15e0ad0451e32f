//! Finding the end of an answer without looking at what it says.

use memchr::memmem;

/// Follows one answer through the bytes of a connection, whatever their borders.
#[derive(Debug)]
pub(crate) struct Scan {
    state: State,
    status: u16,
    body_seen: bool,
    /// Bytes of an unfinished head.
    head: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Head,
    Length(u64),
    UntilClose,
    /// Digits of a chunk size so far.
    Size(u64),
    /// Rest of the line of a chunk size.
    SizeLine(u64),
    /// Bytes of a chunk and the line end after it.
    Data(u64),
    /// Trailers; bytes of the present line.
    Trailer(u64),
    Done,
}

impl Scan {
    pub(crate) fn new() -> Self {
        Self { state: State::Head, status: 0, body_seen: false, head: Vec::new() }
    }

    /// Status of the answer; 0 before its head is complete.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether a byte of the body has come.
    pub(crate) fn body_seen(&self) -> bool {
        self.body_seen
    }

    /// Whether an end of the connection at this point ends the answer well.
    pub(crate) fn may_close(&self) -> bool {
        matches!(self.state, State::UntilClose | State::Done)
    }

    /// Takes the next bytes and says whether the answer is complete.
    ///
    /// # Errors
    /// The bytes are no HTTP answer.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Result<bool, &'static str> {
        if self.state == State::Head {
            // The common case reads the head where it is; a cut one is put together first.
            let before = self.head.len();
            let length = if before == 0 {
                self.read_head(bytes)?
            } else {
                self.head.extend_from_slice(bytes);
                let head = std::mem::take(&mut self.head);
                let length = self.read_head(&head)?;
                self.head = head;
                length
            };
            match length {
                Some(length) => {
                    bytes = &bytes[length - before..];
                    self.head.clear();
                }
                None => {
                    if before == 0 {
                        self.head.extend_from_slice(bytes);
                    }
                    return Ok(false);
                }
            }
        }
        self.take_body(bytes)
    }

    /// Length of the head, if it is complete.
    fn read_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, &'static str> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let mut slots = [httparse::EMPTY_HEADER; 128];
        let mut parsed = httparse::Response::new(&mut slots);
        parsed.parse(&bytes[..end + 4]).map_err(|_| "malformed head")?;
        self.status = parsed.code.unwrap_or_default();
        self.state = State::UntilClose;
        for header in parsed.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let length = std::str::from_utf8(header.value).ok().and_then(|digits| digits.parse().ok());
                self.state = State::Length(length.ok_or("malformed length")?);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                self.state = State::Size(0);
            }
        }
        Ok(Some(end + 4))
    }

    fn take_body(&mut self, mut bytes: &[u8]) -> Result<bool, &'static str> {
        loop {
            match self.state {
                State::Done | State::Length(0) => {
                    self.state = State::Done;
                    return Ok(true);
                }
                _ if bytes.is_empty() => return Ok(false),
                State::Head => return Err("no head"),
                State::UntilClose => {
                    self.body_seen = true;
                    return Ok(false);
                }
                State::Length(left) => {
                    self.body_seen = true;
                    self.state = State::Length(left - skip(&mut bytes, left));
                }
                State::Data(0) => self.state = State::Size(0),
                State::Data(left) => {
                    self.body_seen = true;
                    self.state = State::Data(left - skip(&mut bytes, left));
                }
                State::Size(size) => {
                    self.state = match char::from(bytes[0]).to_digit(16) {
                        Some(digit) => State::Size(size.checked_mul(16).ok_or("chunk too large")? + u64::from(digit)),
                        None => State::SizeLine(size),
                    };
                    if matches!(self.state, State::Size(_)) {
                        bytes = &bytes[1..];
                    }
                }
                State::SizeLine(size) => {
                    if bytes[0] == b'\n' {
                        self.state = if size == 0 { State::Trailer(0) } else { State::Data(size + 2) };
                    }
                    bytes = &bytes[1..];
                }
                State::Trailer(length) => {
                    self.state = match bytes[0] {
                        b'\n' if length == 0 => State::Done,
                        b'\n' => State::Trailer(0),
                        b'\r' => State::Trailer(length),
                        _ => State::Trailer(length + 1),
                    };
                    bytes = &bytes[1..];
                }
            }
        }
    }
}

fn skip(bytes: &mut &[u8], wanted: u64) -> u64 {
    let skipped = bytes.len().min(usize::try_from(wanted).unwrap_or(usize::MAX));
    *bytes = &bytes[skipped..];
    skipped as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1a;x=y\r\n\
        abcdefghijklmnopqrstuvwxyz\r\n2\r\n\r\n\r\n0\r\nTrailer: 1\r\n\r\n";
    const SIZED: &[u8] = b"HTTP/1.1 429 Too Many\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn every_border_is_fine() {
        for (answer, status) in [(CHUNKED, 200), (SIZED, 429)] {
            for step in 1..=answer.len() {
                let mut scan = Scan::new();
                let done: Vec<_> = answer.chunks(step).map(|piece| scan.take(piece).unwrap()).collect();
                let (last, before) = done.split_last().unwrap();
                assert!(*last && !before.contains(&true), "{step}");
                assert_eq!((scan.status(), scan.body_seen()), (status, true));
            }
        }
    }

    #[test]
    fn an_answer_without_length_ends_with_the_connection() {
        let mut scan = Scan::new();
        assert!(!scan.take(b"HTTP/1.1 200 OK\r\n\r\nabc").unwrap());
        assert!(scan.may_close());
    }
}
