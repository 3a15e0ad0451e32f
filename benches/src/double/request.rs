//! What the double needs to know about a request before it answers.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

const MAX_HEADERS: usize = 256;

/// Head of a request.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(Bytes, Bytes)>,
    pub(crate) content_length: u64,
    pub(crate) chunked: bool,
    pub(crate) expects_continue: bool,
    pub(crate) keep_alive: bool,
    /// Whether the client understands chunked answers.
    pub(crate) http11: bool,
}

impl Head {
    /// Takes a head off the front of `input`; `None` while it is incomplete.
    pub(crate) fn parse(input: &mut BytesMut) -> Result<Option<Self>, &'static str> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut slots);
        let length = match parsed.parse(input) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("the request head is malformed"),
        };
        let start = input.as_ptr() as usize;
        let span = |part: &[u8]| (part.as_ptr() as usize - start, part.len());
        let spans: Vec<_> =
            parsed.headers.iter().map(|header| (span(header.name.as_bytes()), span(header.value))).collect();
        let http11 = parsed.version == Some(1);
        let method = parsed.method.unwrap_or_default().to_owned();
        let target = parsed.path.unwrap_or_default().to_owned();
        let bytes = input.split_to(length).freeze();
        let slice = |(at, length): (usize, usize)| bytes.slice(at..at + length);
        let headers = spans.into_iter().map(|(name, value)| (slice(name), slice(value))).collect();
        let mut head = Self {
            method,
            target,
            headers,
            content_length: 0,
            chunked: false,
            expects_continue: false,
            keep_alive: http11,
            http11,
        };
        head.read_framing()?;
        Ok(Some(head))
    }

    fn read_framing(&mut self) -> Result<(), &'static str> {
        for (name, value) in &self.headers {
            let says = |word: &[u8]| value.trim_ascii().eq_ignore_ascii_case(word);
            if name.eq_ignore_ascii_case(b"content-length") {
                let number = std::str::from_utf8(value).ok().and_then(|digits| digits.trim().parse().ok());
                self.content_length = number.ok_or("the content length is malformed")?;
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                self.chunked = says(b"chunked");
            } else if name.eq_ignore_ascii_case(b"expect") {
                self.expects_continue = says(b"100-continue");
            } else if name.eq_ignore_ascii_case(b"connection") {
                self.keep_alive = if self.http11 { !says(b"close") } else { says(b"keep-alive") };
            }
        }
        Ok(())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes()));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// First value of a query parameter, decoded.
    pub(crate) fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        let query = self.target.split_once('?')?.1;
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(given, _)| *given == name)?;
        Some(percent_decode_str(value).decode_utf8_lossy())
    }

    /// Provider key: bearer token, `x-api-key`, `x-goog-api-key`, Azure's `api-key`, query `key`.
    pub(crate) fn key(&self) -> Option<Cow<'_, str>> {
        let bearer = self.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let plain = || ["x-api-key", "x-goog-api-key", "api-key"].into_iter().find_map(|name| self.header(name));
        bearer.or_else(plain).map(Cow::Borrowed).or_else(|| self.query("key")).filter(|key| !key.is_empty())
    }
}

/// The members of a JSON request that change the answer.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Ask<'a> {
    #[serde(borrow, default)]
    pub(crate) model: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    #[serde(default)]
    pub(crate) stream_options: Option<StreamOptions>,
    #[serde(borrow, default)]
    pub(crate) encoding_format: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) max_tokens: Option<u64>,
    #[serde(default)]
    pub(crate) messages: Option<IgnoredAny>,
    #[serde(default)]
    pub(crate) contents: Option<IgnoredAny>,
    #[serde(default)]
    pub(crate) requests: Option<Vec<IgnoredAny>>,
    #[serde(borrow, default)]
    pub(crate) input: Option<&'a RawValue>,
}

/// OpenAI's `stream_options`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct StreamOptions {
    #[serde(default)]
    pub(crate) include_usage: bool,
}

impl Ask<'_> {
    pub(crate) fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    pub(crate) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    /// Number of texts in `input`.
    pub(crate) fn inputs(&self) -> usize {
        let Some(input) = self.input else { return 0 };
        match serde_json::from_str::<Vec<&RawValue>>(input.get()) {
            // A list of numbers is one text, given as tokens.
            Ok(texts) if texts.first().is_some_and(|text| text.get().starts_with(['"', '['])) => texts.len(),
            _ => 1,
        }
    }
}
