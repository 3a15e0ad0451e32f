//! A whole (not streamed) answer: kept while it is small, its beginning and end when it is large.

use gpt_load_schema::channel::Channel;
use memchr::memmem;

use super::{facts::Facts, usage};
use crate::channel::json::{self, Scan};

/// Largest body kept whole, in bytes.
const MAX_WHOLE: usize = 256 << 10;
/// What is kept of the end of a larger one. Usage stands after the content in every format.
const TAIL: usize = 64 << 10;

/// The bytes of a JSON body, as far as they are kept.
#[derive(Debug, Default)]
pub(super) struct Body {
    kept: Vec<u8>,
    tail: Vec<u8>,
    total: usize,
    is_other: bool,
}

impl Body {
    /// Keeps the next bytes; nothing of a body that is no JSON object or array.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.total == 0 {
            let first = bytes.get(json::skip_space(bytes, 0));
            self.is_other = first.is_some_and(|first| !matches!(first, b'{' | b'['));
        }
        self.total += bytes.len();
        if self.is_other {
            return;
        }
        let (whole, rest) = bytes.split_at(bytes.len().min(MAX_WHOLE - self.kept.len()));
        self.kept.extend_from_slice(whole);
        self.tail.extend_from_slice(&rest[rest.len().saturating_sub(TAIL)..]);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }

    /// What is kept of the body from its start on.
    pub(super) fn beginning(&self) -> &[u8] {
        &self.kept
    }

    /// Reads what the body says.
    pub(super) fn finish(self, channel: Channel, facts: &mut Facts) {
        facts.content_seen |= self.is_other;
        if self.is_other {
            return;
        }
        if self.total > self.kept.len() {
            return self.read_ends(facts);
        }
        match Scan::array(&self.kept) {
            // Gemini streams without `alt=sse` are an array of chunks.
            Some(mut elements) => {
                while let Some(element) = elements.element() {
                    facts.read(channel, element);
                }
            }
            None => read_document(channel, &self.kept, facts),
        }
    }

    /// Finds the few members wanted by their names; in valid JSON a quoted name inside of a string is escaped.
    fn read_ends(mut self, facts: &mut Facts) {
        facts.content_seen = true;
        let from = self.kept.len().saturating_sub(TAIL);
        let end = [&self.kept[from..], &self.tail[..]].concat();
        self.kept.truncate(TAIL);
        if let Some(value) = last_value(&end, "\"usage\"") {
            usage::merge(&mut facts.usage, usage::of_openai_or_anthropic(value));
        }
        if let Some(value) = last_value(&end, "\"usageMetadata\"") {
            usage::merge(&mut facts.usage, usage::of_gemini(value));
        }
        for name in ["\"finish_reason\"", "\"finishReason\"", "\"stop_reason\""] {
            if let Some(value) = last_value(&end, name) {
                facts.note_reason(value);
            }
        }
        for (text, name) in [(&self.kept, "\"model\""), (&end, "\"modelVersion\""), (&end, "\"model\"")] {
            if let Some(value) = last_value(text, name) {
                facts.note_model(value);
            }
        }
    }
}

fn read_document(channel: Channel, body: &[u8], facts: &mut Facts) {
    let is_response = json::member(body, "object").is_some_and(|object| object == b"\"response\"");
    facts.read(channel, body);
    if is_response {
        facts.read_response(body);
    }
}

/// The value of the last member of this (quoted) name in a piece of JSON text.
fn last_value<'a>(text: &'a [u8], quoted_name: &str) -> Option<&'a [u8]> {
    let after = memmem::rfind(text, quoted_name.as_bytes())? + quoted_name.len();
    let colon = json::skip_space(text, after);
    let start = json::skip_space(text, colon + 1);
    (text.get(colon) == Some(&b':')).then_some(())?;
    json::skip_value(text, start).map(|end| &text[start..end])
}
