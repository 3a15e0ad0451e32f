//! Splits a byte stream into server-sent events, wherever its chunks are cut.
//!
//! Follows <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>: lines end with LF,
//! CR or CRLF, an empty line ends an event, `data` lines are joined by LF, comments and other fields are skipped.

use memchr::memchr2;

/// Longest data of one event, in bytes; what is beyond is cut off.
pub const MAX_EVENT: usize = 1 << 20;

/// Most bytes held of a line or of an event: the data and the name of its field.
const MAX_HELD: usize = MAX_EVENT + b"data: ".len();

/// A buffer larger than this is given back after use, so that one large event does not cost memory for a whole stream.
const KEPT_CAPACITY: usize = 16 << 10;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The splitter. Data that lies in one line of one chunk is handed out without being copied.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The started line, when a chunk ended inside of one.
    line: Vec<u8>,
    /// Data of the started event.
    data: Vec<u8>,
    has_data: bool,
    /// The last line ended with CR: a LF that follows belongs to it.
    after_cr: bool,
    /// A line has been seen: no byte order mark can follow.
    is_started: bool,
}

impl Splitter {
    /// A splitter at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and calls `on_event` with the data of each event that they complete.
    pub fn feed(&mut self, mut chunk: &[u8], mut on_event: impl FnMut(&[u8])) {
        // Data of the started event, while it is a single line of this chunk.
        let mut borrowed: Option<&[u8]> = None;
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', chunk) else {
                append(&mut self.line, chunk);
                break;
            };
            self.after_cr = chunk[end] == b'\r';
            let (part, rest) = (&chunk[..end], &chunk[end + 1..]);
            chunk = rest;
            if self.line.is_empty() {
                let line = self.without_bom(part);
                if line.is_empty() {
                    match borrowed.take() {
                        Some(data) => {
                            self.has_data = false;
                            on_event(data);
                        }
                        None => self.dispatch(&mut on_event),
                    }
                } else if let Some(data) = data_of(line) {
                    if self.has_data {
                        if let Some(first) = borrowed.take() {
                            append(&mut self.data, first);
                        }
                        self.add(data);
                    } else {
                        (self.has_data, borrowed) = (true, Some(&data[..data.len().min(MAX_EVENT)]));
                    }
                }
            } else {
                if let Some(first) = borrowed.take() {
                    append(&mut self.data, first);
                }
                append(&mut self.line, part);
                self.end_held_line();
            }
        }
        if let Some(data) = borrowed {
            append(&mut self.data, data);
        }
    }

    /// Ends the stream. An event without its empty line counts: providers close right after the last line.
    pub fn finish(mut self, mut on_event: impl FnMut(&[u8])) {
        if !self.line.is_empty() {
            self.end_held_line();
        }
        self.dispatch(&mut on_event);
    }

    fn without_bom<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        if std::mem::replace(&mut self.is_started, true) { line } else { line.strip_prefix(BOM).unwrap_or(line) }
    }

    /// Handles the held line, which is not empty.
    fn end_held_line(&mut self) {
        let held = std::mem::take(&mut self.line);
        if let Some(data) = data_of(self.without_bom(&held)) {
            self.add(data);
        }
        self.line = emptied(held);
    }

    /// Adds a data line to the started event, or starts one.
    fn add(&mut self, data: &[u8]) {
        if self.has_data {
            append(&mut self.data, b"\n");
        }
        self.has_data = true;
        append(&mut self.data, data);
    }

    fn dispatch(&mut self, on_event: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.has_data) {
            on_event(&self.data);
            self.data = emptied(std::mem::take(&mut self.data));
        }
    }
}

/// The value of a `data` field.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"data")?;
    match value {
        [] => Some(value),
        [b':', b' ', rest @ ..] | [b':', rest @ ..] => Some(rest),
        _ => None,
    }
}

fn append(to: &mut Vec<u8>, bytes: &[u8]) {
    let room = MAX_HELD.saturating_sub(to.len());
    to.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() > KEPT_CAPACITY {
        return Vec::new();
    }
    buffer.clear();
    buffer
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut splitter = Splitter::new();
        let mut keep = |data: &[u8]| found.push(String::from_utf8_lossy(data).into_owned());
        for chunk in chunks {
            splitter.feed(chunk, &mut keep);
        }
        splitter.finish(&mut keep);
        found
    }

    #[test]
    fn events_are_told_apart() {
        for (text, expected) in [
            ("data: a\n\ndata: b\n\n", &["a", "b"][..]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            ("\u{feff}data: a\n\n", &["a"]),
            ("event: x\nid: 1\nretry: 5\ndata: a\n\n", &["a"]),
            ("data: a\ndata:  b\ndata\n\n", &["a\n b\n"]),
            (": comment\n\n\n\ndata:a\n\n", &["a"]),
            ("datax: a\n\ndat\n\n data: b\n\n", &[]),
            ("data: [DONE]", &["[DONE]"]),
            ("data: [DONE]\n", &["[DONE]"]),
            ("data:\n\n", &[""]),
            ("", &[]),
        ] {
            assert_eq!(events(&[text.as_bytes()]), expected, "{text:?}");
        }
    }

    #[test]
    fn an_endless_event_is_cut() {
        let mut splitter = Splitter::new();
        let mut sizes = Vec::new();
        let mut keep = |data: &[u8]| sizes.push(data.len());
        splitter.feed(b"data: ", &mut keep);
        for _ in 0..40 {
            splitter.feed(&[b'x'; 64 << 10], &mut keep);
            assert!(splitter.line.capacity() <= 3 * MAX_EVENT);
        }
        splitter.feed(b"\n\ndata: small\n\n", &mut keep);
        assert!(splitter.line.capacity() + splitter.data.capacity() <= 2 * KEPT_CAPACITY);
        splitter.finish(&mut keep);
        assert_eq!(sizes.len(), 2);
        assert!(sizes[0] >= MAX_EVENT && sizes[0] < MAX_EVENT + 10);
        assert_eq!(sizes[1], 5);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            text in "(data: |data|event: e|: c|a|é|\n|\r|\r\n|\n\n|\u{feff}){0,30}",
            cuts in prop::collection::vec(0_usize..100, 0..12),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(events(&chunks), events(&[bytes]));
        }
    }
}
