//! What one JSON document of an answer (a stream event or a whole body) says. Documents are told apart by their shape,
//! not by the channel: an OpenAI-compatible upstream serves chat, responses and messages alike.

use std::borrow::Cow;

use gpt_load_actors::pool::Verdict;
use gpt_load_schema::{channel::Channel, log::TokenUsage, time::Timestamp};

use super::usage;
use crate::channel::{
    classify,
    json::{self, Scan},
};

/// What is known of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) usage: TokenUsage,
    pub(super) finish_reason: Option<String>,
    pub(super) model: Option<String>,
    pub(super) error: Option<Verdict>,
    pub(super) content_seen: bool,
    /// A terminal event: `[DONE]`, `message_stop`, `response.completed` …
    pub(super) is_terminated: bool,
    /// What the format of the documents promises about the answer's end.
    pub(super) promise: Promise,
}

/// How an answer of a format ends; the stronger promise rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    /// With the body.
    #[default]
    Nothing,
    /// After naming why it finished. OpenAI-compatible providers do not all send `[DONE]`.
    FinishReason,
    /// With a terminal event, always: Anthropic's messages and OpenAI's Responses.
    TerminalEvent,
}

/// The members of a document that matter, as they stand.
#[derive(Default)]
struct Document<'a> {
    kind: Cow<'a, str>,
    choices: Option<&'a [u8]>,
    candidates: Option<&'a [u8]>,
    delta: Option<&'a [u8]>,
    response: Option<&'a [u8]>,
    error: bool,
    is_filled: bool,
}

impl Facts {
    /// Reads a document; false when it says nothing at all, like a keep-alive.
    pub(super) fn read(&mut self, channel: Channel, data: &[u8]) -> bool {
        if data == b"[DONE]" {
            self.is_terminated = true;
            return true;
        }
        let Some(mut scan) = Scan::object(data) else { return !data.is_empty() };
        let mut document = Document::default();
        while let Some(member) = scan.member() {
            self.note(&mut document, member.name, member.value);
        }
        if document.error {
            self.read_error(channel, data);
        }
        if let Some(choices) = document.choices {
            self.promise = self.promise.max(Promise::FinishReason);
            self.read_choices(choices, b"finish_reason");
        } else if let Some(candidates) = document.candidates {
            self.promise = self.promise.max(Promise::FinishReason);
            self.read_choices(candidates, b"finishReason");
        } else if !document.kind.is_empty() {
            return self.read_typed(channel, data, &document);
        } else if document.is_filled && !document.error {
            self.content_seen = true;
        }
        true
    }

    /// Keeps one top-level member.
    fn note<'a>(&mut self, document: &mut Document<'a>, name: &[u8], value: &'a [u8]) {
        document.is_filled |= json::is_filled(value);
        match name {
            b"type" => document.kind = json::string(value).unwrap_or_default(),
            b"choices" => document.choices = Some(value),
            b"candidates" => document.candidates = Some(value),
            b"delta" => document.delta = Some(value),
            b"response" => document.response = Some(value),
            b"error" => document.error = json::is_filled(value),
            b"model" | b"modelVersion" => self.note_model(value),
            b"usage" => usage::merge(&mut self.usage, usage::of_openai_or_anthropic(value)),
            b"usageMetadata" => usage::merge(&mut self.usage, usage::of_gemini(value)),
            b"stop_reason" => self.note_reason(value),
            b"x_groq" => self.note_usage_in(value),
            b"message" => {
                self.note_usage_in(value);
                if let Some(model) = json::member(value, "model") {
                    self.note_model(model);
                }
            }
            b"promptFeedback" => {
                if let Some(reason) = json::member(value, "blockReason") {
                    self.promise = self.promise.max(Promise::FinishReason);
                    self.note_reason(reason);
                }
            }
            _ => {}
        }
    }

    /// OpenAI's `choices` or Gemini's `candidates`.
    fn read_choices(&mut self, choices: &[u8], reason_name: &[u8]) {
        let Some(mut elements) = Scan::array(choices) else { return };
        while let Some(element) = elements.element() {
            let Some(mut choice) = Scan::object(element) else { continue };
            while let Some(member) = choice.member() {
                match member.name {
                    b"delta" | b"message" | b"content" => self.content_seen |= has_content(member.value),
                    b"text" => self.content_seen |= json::is_filled(member.value),
                    name if name == reason_name => self.note_reason(member.value),
                    _ => {}
                }
            }
        }
    }

    /// Documents that name their type: Anthropic's and those of OpenAI's Responses.
    fn read_typed(&mut self, channel: Channel, data: &[u8], document: &Document<'_>) -> bool {
        match &*document.kind {
            "ping" => return false,
            "error" if !document.error => self.read_error(channel, data),
            "message_start" => self.promise = Promise::TerminalEvent,
            "message_delta" => {
                if let Some(reason) = document.delta.and_then(|delta| json::member(delta, "stop_reason")) {
                    self.note_reason(reason);
                }
            }
            "message_stop" => self.is_terminated = true,
            "response.created" | "response.in_progress" | "response.queued" => self.promise = Promise::TerminalEvent,
            kind if kind.starts_with("content_block_") => {
                self.promise = Promise::TerminalEvent;
                self.content_seen = true;
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.is_terminated = true;
                if let Some(response) = document.response {
                    self.read_response(response);
                }
                if document.kind == "response.failed" {
                    self.read_error(channel, data);
                }
            }
            "message" => self.content_seen |= json::member(data, "content").is_some_and(json::is_filled),
            kind => {
                if kind.starts_with("response.") {
                    self.promise = Promise::TerminalEvent;
                }
                self.content_seen |= !document.error;
            }
        }
        true
    }

    /// A response object of OpenAI's Responses.
    pub(super) fn read_response(&mut self, response: &[u8]) {
        let Some(mut scan) = Scan::object(response) else { return };
        let (mut status, mut details) = (None, None);
        while let Some(member) = scan.member() {
            match member.name {
                b"status" => status = Some(member.value),
                b"incomplete_details" => details = json::member(member.value, "reason"),
                b"model" => self.note_model(member.value),
                b"usage" => usage::merge(&mut self.usage, usage::of_openai_or_anthropic(member.value)),
                b"output" => self.content_seen |= json::is_filled(member.value),
                _ => {}
            }
        }
        if let Some(reason) = details.or(status) {
            self.note_reason(reason);
        }
    }

    fn read_error(&mut self, channel: Channel, data: &[u8]) {
        if self.error.is_none() {
            // A wait until a point in time is not read from here: the tap has no clock.
            self.error = classify::event(channel, data, Timestamp(i64::MAX));
        }
    }

    fn note_usage_in(&mut self, object: &[u8]) {
        if let Some(value) = json::member(object, "usage") {
            usage::merge(&mut self.usage, usage::of_openai_or_anthropic(value));
        }
    }

    pub(super) fn note_model(&mut self, value: &[u8]) {
        if self.model.is_none() {
            self.model = json::string(value).filter(|model| !model.is_empty()).map(Cow::into_owned);
        }
    }

    pub(super) fn note_reason(&mut self, value: &[u8]) {
        if let Some(reason) = json::string(value).filter(|reason| !reason.is_empty()) {
            self.finish_reason = Some(reason.into_owned());
        }
    }
}

/// Whether a delta, message or content holds more than its role.
fn has_content(value: &[u8]) -> bool {
    let Some(mut scan) = Scan::object(value) else { return json::is_filled(value) };
    while let Some(member) = scan.member() {
        if member.name != b"role" && json::is_filled(member.value) {
            return true;
        }
    }
    false
}
