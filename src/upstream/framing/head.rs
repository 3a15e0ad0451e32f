//! One response head: what it says about the body behind it.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::chunked::Chunked;
use super::{FramingError, MAX_HEAD_BYTES};

/// Header lines that `actix-http` accepts in one head.
pub const MAX_HEADERS: usize = 96;

/// How the body behind a head is delimited.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// This many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

/// A final (not 1xx) head.
#[derive(Debug)]
pub(super) struct Head {
    /// Bytes of the head, its empty line included.
    pub(super) length: usize,
    pub(super) status: u16,
    pub(super) body: Body,
    /// Whether the sender keeps the connection open behind this answer.
    pub(super) keep_alive: bool,
    /// There is no body, but awc would wait for one: it has to be shown an end of file.
    pub(super) awc_waits: bool,
    /// The digit that makes the answer an HTTP/1.1 one.
    pub(super) minor_version_at: usize,
    /// Values of `Upgrade`: with one that says `websocket` awc drops the body of the answer.
    pub(super) upgrade_values: Vec<Range<usize>>,
}

#[derive(Debug)]
pub(super) enum Step {
    Incomplete,
    /// An interim answer of this many bytes.
    Interim(usize),
    Final(Head),
}

/// Reads the head that `bytes` begin with. `to_head`: the request was a HEAD, whose answer never has a body.
pub(super) fn read(bytes: &[u8], to_head: bool) -> Result<Step, FramingError> {
    let window = &bytes[..bytes.len().min(MAX_HEAD_BYTES)];
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    config.allow_spaces_after_header_name_in_responses(true);
    let parsed = config.parse_response_with_uninit_headers(&mut response, window, &mut lines);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() > MAX_HEAD_BYTES => return Err(FramingError::HeadTooLarge),
        Ok(httparse::Status::Partial) => return Ok(Step::Incomplete),
        Err(httparse::Error::TooManyHeaders) => return Err(FramingError::TooManyHeaders),
        Err(_) => return Err(FramingError::MalformedHead),
    };
    let status = response.code.unwrap_or_default();
    match status {
        0..100 => return Err(FramingError::MalformedHead),
        101 => return Err(FramingError::UnexpectedUpgrade),
        100..200 => return Ok(Step::Interim(length)),
        _ => {}
    }
    let http11 = response.version == Some(1);
    let fields = Fields::read(response.headers, window)?;
    if fields.chunked && !http11 {
        return Err(FramingError::UnsupportedTransferEncoding);
    }
    let bodiless = to_head || matches!(status, 204 | 304);
    let body = match (fields.chunked, fields.content_length) {
        _ if bodiless => Body::Length(0),
        (true, Some(_)) => return Err(FramingError::LengthAndTransferEncoding),
        (true, None) => Body::Chunked(Chunked::new()),
        (false, Some(length)) => Body::Length(length),
        (false, None) => Body::UntilClose,
    };
    let awc_expects_body = !to_head && (!http11 || fields.chunked || fields.content_length.is_some_and(|n| n > 0));
    Ok(Step::Final(Head {
        length,
        status,
        keep_alive: !fields.close && (http11 || fields.keep_alive),
        awc_waits: awc_expects_body && matches!(body, Body::Length(0)),
        body,
        // httparse skips empty lines in front of "HTTP/1.x" only.
        minor_version_at: window.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or_default() + 7,
        upgrade_values: fields.upgrade_values,
    }))
}

/// The header fields that matter to framing.
#[derive(Default)]
struct Fields {
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    upgrade_values: Vec<Range<usize>>,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>], head: &[u8]) -> Result<Self, FramingError> {
        let mut fields = Self::default();
        let mut coded = false;
        for header in headers {
            // Of all lengths only these four names matter: most headers are passed over by their length alone.
            match header.name.len() {
                7 if header.name.eq_ignore_ascii_case("upgrade") => {
                    let start = header.value.as_ptr() as usize - head.as_ptr() as usize;
                    fields.upgrade_values.push(start..start + header.value.len());
                }
                10 if header.name.eq_ignore_ascii_case("connection") => fields.read_connection(header.value),
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    if fields.content_length.is_some() {
                        return Err(FramingError::BadContentLength);
                    }
                    fields.content_length = Some(number(header.value).ok_or(FramingError::BadContentLength)?);
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    let value = header.value.trim_ascii();
                    let chunked = value.eq_ignore_ascii_case(b"chunked");
                    if coded || !(chunked || value.eq_ignore_ascii_case(b"identity")) {
                        return Err(FramingError::UnsupportedTransferEncoding);
                    }
                    coded = true;
                    fields.chunked = chunked;
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    fn read_connection(&mut self, value: &[u8]) {
        for option in value.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

fn number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
