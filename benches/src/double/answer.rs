//! An answer before it meets a behaviour, and the text it says.

use bytes::Bytes;

use super::behaviour::Behaviour;
use super::errors::Dialect;

/// Words an answer repeats; some are longer in bytes than in characters, so that chunk borders can cut them.
const WORDS: [&str; 9] = ["Hello", " from", " the", " provider", " double", " —", " grüße", " 世界", " 👋."];
/// Content events when nobody says how many.
const EVENTS: usize = 9;

/// Seconds since 1970 that every answer carries as its time of creation, so that answers are the same in every run.
pub(crate) const CREATED: u64 = 1_760_000_000;

/// What an endpoint says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content: Content,
    /// Error objects and error events of this answer are in this form.
    pub(crate) dialect: Dialect,
}

/// Body of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    /// In one piece.
    Whole(Bytes),
    /// A stream: its events, and how many of the last ones tell the client that it ended well.
    Events { events: Vec<Bytes>, terminal: usize },
}

impl Answer {
    pub(crate) fn json(dialect: Dialect, body: impl Into<Bytes>) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            headers: Vec::new(),
            content: Content::Whole(body.into()),
            dialect,
        }
    }

    pub(crate) fn error(dialect: Dialect, status: u16, code: Option<&str>, message: &str) -> Self {
        let body = dialect.error_body(status, code, message, None);
        Self { status, ..Self::json(dialect, body) }
    }

    /// Server-sent events, complete with their blank line.
    pub(crate) fn events(dialect: Dialect, events: Vec<Bytes>, terminal: usize) -> Self {
        Self {
            content_type: "text/event-stream",
            content: Content::Events { events, terminal },
            ..Self::json(dialect, Bytes::new())
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// The words of a stream, one for each content event.
pub(crate) fn words(how: &Behaviour) -> impl Iterator<Item = &'static str> {
    WORDS.into_iter().cycle().take(how.events.unwrap_or(EVENTS))
}

/// The text of a non-stream answer.
pub(crate) fn text(how: &Behaviour) -> String {
    WORDS.into_iter().cycle().take(word_count(how)).collect()
}

/// Tokens of a non-stream answer: one for each word.
pub(crate) fn word_count(how: &Behaviour) -> usize {
    how.words.or(how.events).unwrap_or(EVENTS)
}

/// JSON form of a text, with its quotes.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
