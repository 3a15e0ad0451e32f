//! What the double does with one request, as a value that tests build, JSON carries and a person types.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How the double treats one request. The default is a plain, complete, successful answer.
///
/// Three forms mean the same: the builder (`Behaviour::status(429).header("retry-after", "20")`), JSON
/// (`{"status": 429, "retry-after": "20"}`) and text (`status=429;retry-after=20`), the last two with these field names
/// in kebab case. Unknown names are refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Behaviour {
    /// Number of requests this applies to; `None` is forever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Status of the answer. From 400 up the body is the channel's error object, unless `body` says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Provider's error code or type, in place of the usual one for the status (`insufficient_quota`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Text of the error; `{key}` in it stands for the key of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Value of `Retry-After`: seconds or a date.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text_or_number")]
    pub retry_after: Option<String>,
    /// Further response headers, in this order, repeats kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Body sent in place of the channel's own answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Payload>,
    /// Bytes sent in place of the whole answer, head included; the connection closes after them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Payload>,
    /// Answer as soon as the head of the request is read, leave its body unread, close.
    #[serde(skip_serializing_if = "is_false")]
    pub early: bool,
    /// Milliseconds before the head of the answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub delay_head_ms: u64,
    /// Milliseconds between two events of a stream, or between two chunks of a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_event_ms: Option<u64>,
    /// Content events of a stream (the channel's opening and closing events come on top).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<usize>,
    /// Words of a non-stream answer; `events` when not given, so that both say the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<usize>,
    /// Write the body in pieces of this many bytes, across the borders of characters and events. With a delay between
    /// pieces each one reaches the client by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<usize>,
    /// How the end of the body is marked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framing: Option<Framing>,
    /// Compress the body; in a stream every event is flushed by itself.
    #[serde(skip_serializing_if = "is_false")]
    pub gzip: bool,
    /// Leave the token usage out.
    #[serde(skip_serializing_if = "is_false")]
    pub no_usage: bool,
    /// Success status with an empty body.
    #[serde(skip_serializing_if = "is_false")]
    pub empty: bool,
    /// Leave out the event that ends a stream.
    #[serde(skip_serializing_if = "is_false")]
    pub no_terminal: bool,
    /// Send the channel's error event after this many events of a stream, and end it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_event: Option<usize>,
    /// Send nothing more from this point, keep the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang: Option<At>,
    /// TCP reset at this point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<At>,
    /// Orderly end of the connection at this point (over TLS with `close_notify`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<At>,
    /// End of the TCP connection at this point, over TLS without `close_notify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop: Option<At>,
    /// 103 before the head of the answer.
    #[serde(skip_serializing_if = "is_false")]
    pub early_hints: bool,
    /// 100 that nobody asked for before the head of the answer.
    #[serde(skip_serializing_if = "is_false")]
    pub unsolicited_continue: bool,
    /// 103 after the end of the answer, where the next answer is expected.
    #[serde(skip_serializing_if = "is_false")]
    pub trailing_hints: bool,
    /// Bytes of padding headers, in values of 1,000 bytes.
    #[serde(skip_serializing_if = "is_zero_size")]
    pub huge_headers: usize,
    /// `Location` of a redirect; the status is 307 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// Number of `Set-Cookie` headers.
    #[serde(skip_serializing_if = "is_zero_size")]
    pub set_cookies: usize,
    /// `Connection: close`, and close.
    #[serde(skip_serializing_if = "is_false")]
    pub close: bool,
    /// Promise keep-alive and close after the answer.
    #[serde(skip_serializing_if = "is_false")]
    pub close_silently: bool,
}

/// How the end of a body is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// `Content-Length`; the default of plain answers.
    Length,
    /// `Transfer-Encoding: chunked`; the default of streams.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// A point of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Before the first byte; `"head"` in JSON and text.
    Head,
    /// After the head and this many events of a stream, or bytes of another body; a number in JSON and text.
    After(usize),
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Head => to.serialize_str("head"),
            Self::After(n) => to.serialize_u64(*n as u64),
        }
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "`head` or a number")]
        enum Form {
            Number(usize),
            Word(String),
        }
        match Form::deserialize(from)? {
            Form::Number(n) => Ok(Self::After(n)),
            Form::Word(word) if word == "head" => Ok(Self::Head),
            Form::Word(word) => Err(serde::de::Error::custom(format!("`{word}` is neither `head` nor a number"))),
        }
    }
}

/// Bytes that JSON carries as text, or as `{"base64": "…"}` where they are not text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(pub Bytes);

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => to.serialize_str(text),
            Err(_) => to.collect_map([("base64", base64::engine::general_purpose::STANDARD.encode(&self.0))]),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "text or {\"base64\": text}")]
        enum Form {
            Text(String),
            Coded { base64: String },
        }
        match Form::deserialize(from)? {
            Form::Text(text) => Ok(Self(text.into())),
            Form::Coded { base64 } => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(base64);
                bytes.map(|bytes| Self(bytes.into())).map_err(serde::de::Error::custom)
            }
        }
    }
}

/// Constructors for the common cases.
impl Behaviour {
    /// A plain successful answer.
    pub fn ok() -> Self {
        Self::default()
    }

    /// An answer with this status.
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// 401 as the channel words it.
    pub fn invalid_key() -> Self {
        Self::status(401)
    }

    /// 429 `insufficient_quota`.
    pub fn insufficient_quota() -> Self {
        Self { code: Some("insufficient_quota".to_owned()), ..Self::status(429) }
    }

    /// 429 with `Retry-After` in seconds.
    pub fn rate_limited(retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after.to_string()), ..Self::status(429) }
    }

    /// 529 as Anthropic sends it when overloaded.
    pub fn overloaded() -> Self {
        Self::status(529)
    }

    /// Silence from the point on, with an open connection.
    pub fn hang(at: At) -> Self {
        Self { hang: Some(at), ..Self::default() }
    }

    /// TCP reset at the point.
    pub fn reset(at: At) -> Self {
        Self { reset: Some(at), ..Self::default() }
    }

    /// Orderly end of the connection at the point.
    pub fn cut(at: At) -> Self {
        Self { cut: Some(at), ..Self::default() }
    }

    /// A 200 stream that carries the channel's error event after this many events.
    pub fn error_event(after: usize) -> Self {
        Self { error_event: Some(after), ..Self::default() }
    }

    /// 200 without a body.
    pub fn empty() -> Self {
        Self { empty: true, ..Self::default() }
    }

    /// A stream without its last event.
    pub fn no_terminal() -> Self {
        Self { no_terminal: true, ..Self::default() }
    }

    /// 103 before the answer.
    pub fn early_hints() -> Self {
        Self { early_hints: true, ..Self::default() }
    }

    /// These bytes as the body.
    pub fn golden(body: impl Into<Bytes>) -> Self {
        Self { body: Some(Payload(body.into())), ..Self::default() }
    }

    /// These bytes as the whole answer, head included.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self { raw: Some(Payload(bytes.into())), ..Self::default() }
    }
}

/// Refinements.
impl Behaviour {
    /// For the first `times` requests only.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// One more response header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The provider's error text; `{key}` stands for the key.
    pub fn message(mut self, text: &str) -> Self {
        self.message = Some(text.to_owned());
        self
    }

    /// Pause before the head, in whole milliseconds.
    pub fn delay_head(mut self, pause: Duration) -> Self {
        self.delay_head_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Pause between events or chunks, in whole milliseconds.
    pub fn delay_event(mut self, pause: Duration) -> Self {
        self.delay_event_ms = Some(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Number of content events.
    pub fn events(mut self, events: usize) -> Self {
        self.events = Some(events);
        self
    }

    /// Pieces of this many bytes.
    pub fn chunk(mut self, bytes: usize) -> Self {
        self.chunk = Some(bytes);
        self
    }

    /// How the end of the body is marked.
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = Some(framing);
        self
    }

    /// Compressed.
    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }
}

/// Reading the text form.
impl Behaviour {
    /// Parses `name=value;name=value`; a name alone means `true`, `header.NAME=value` adds a response header.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fields = serde_json::Map::new();
        let mut headers = Vec::new();
        for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
            if let Some(header) = name.strip_prefix("header.") {
                headers.push((header.to_owned(), value.to_owned()));
                continue;
            }
            let value = match value.parse::<u64>() {
                Ok(number) => number.into(),
                Err(_) if value == "true" || value == "false" => (value == "true").into(),
                Err(_) => value.into(),
            };
            fields.insert(name.to_owned(), value);
        }
        let mut parsed: Self = serde_json::from_value(fields.into()).map_err(|error| error.to_string())?;
        parsed.headers.extend(headers);
        Ok(parsed)
    }

    /// The same with the extent of the answer taken from `base` where this one says nothing about it.
    pub(crate) fn or_extent_of(mut self, base: &Self) -> Self {
        self.delay_event_ms = self.delay_event_ms.or(base.delay_event_ms);
        self.words = self.words.or(self.events).or(base.words);
        self.events = self.events.or(base.events);
        self
    }
}

fn text_or_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "text or a number")]
    enum Form {
        Number(u64),
        Text(String),
    }
    Ok(Some(match Form::deserialize(from)? {
        Form::Number(number) => number.to_string(),
        Form::Text(text) => text,
    }))
}

// serde asks for a reference.
fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_zero_size(value: &usize) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_json_and_builder_mean_the_same() {
        let built = Behaviour::rate_limited(20).times(2).header("x-a", "1");
        assert_eq!(Behaviour::parse("status=429; retry-after=20; times=2; header.x-a=1"), Ok(built.clone()));
        let json = r#"{"status":429,"retry-after":20,"times":2,"headers":[["x-a","1"]]}"#;
        assert_eq!(serde_json::from_str::<Behaviour>(json).unwrap(), built);
    }

    #[test]
    fn points_are_words_or_numbers() {
        assert_eq!(Behaviour::parse("hang=head"), Ok(Behaviour::hang(At::Head)));
        assert_eq!(Behaviour::parse("reset=3"), Ok(Behaviour::reset(At::After(3))));
        assert!(Behaviour::parse("reset=soon").is_err());
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(Behaviour::parse("statsu=429").unwrap_err().contains("statsu"));
    }

    #[test]
    fn bytes_survive_json() {
        let behaviour = Behaviour::golden(vec![0xff, 0x00]);
        let json = serde_json::to_string(&behaviour).unwrap();
        assert_eq!(serde_json::from_str::<Behaviour>(&json).unwrap(), behaviour);
    }
}
