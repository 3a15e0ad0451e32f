//! What an error body says: its message and its structured words.

use gpt_load_actors::pool::Reach;
use serde_json::Value;

/// Longest message kept, in bytes.
const MAX_MESSAGE: usize = 2048;

/// An error body, read.
#[derive(Debug, Default)]
pub(super) struct Fault {
    /// The provider's text, trimmed and cut.
    pub(super) message: String,
    /// Types, codes, status words and reasons, lower case.
    pub(super) words: Vec<String>,
    /// A status code inside the body.
    pub(super) code: Option<u16>,
    /// Gemini's `RetryInfo.retryDelay`.
    pub(super) retry_delay: Option<String>,
    /// `X-RateLimit-Reset` of the headers that OpenRouter repeats in `metadata.headers`.
    pub(super) reset: Option<String>,
    /// Whom a limit concerns, as far as fields made for it say so.
    pub(super) reach: Reach,
}

impl Fault {
    /// Reads any body; one that is no JSON is all message.
    pub(super) fn parse(body: &[u8]) -> Self {
        let Ok(parsed) = serde_json::from_slice::<Value>(body) else {
            return Self { message: tidy(&String::from_utf8_lossy(body)), ..Self::default() };
        };
        let outer = unwrapped(&parsed);
        let error = outer.get("error").filter(|error| error.is_object());
        let mut fault = Self { message: message_of(outer, body), ..Self::default() };
        for part in [Some(outer), error].into_iter().flatten() {
            for name in ["type", "code", "status"] {
                fault.note(part.get(name));
            }
        }
        let Some(error) = error else { return fault };
        for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
            fault.note(detail.get("reason"));
            if let Some(delay) = detail.get("retryDelay").and_then(Value::as_str) {
                fault.retry_delay = Some(delay.to_owned());
            }
            detail
                .get("violations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .for_each(|it| fault.note_quota(it));
        }
        if let Some(metadata) = error.get("metadata") {
            fault.note_metadata(metadata);
        }
        fault
    }

    /// Google's `QuotaFailure.violations[]`: quotas of the Gemini API are those of a project, most of them for one model
    /// each (`GenerateRequestsPerMinutePerProjectPerModel-FreeTier`).
    fn note_quota(&mut self, violation: &Value) {
        let Some(quota) = violation.get("quotaId").and_then(Value::as_str) else { return };
        let names_model = violation.get("quotaDimensions").is_some_and(|dimensions| dimensions.get("model").is_some());
        self.reach.model |= names_model || quota.contains("PerModel") || quota.contains("PerBaseModel");
        self.reach.account |= !quota.contains("PerUser");
    }

    /// OpenRouter's `error.metadata`. A limit that it passes on from a provider is that provider's for the model.
    fn note_metadata(&mut self, metadata: &Value) {
        if metadata.get("flagged_input").is_some() {
            self.words.push("flagged_input".to_owned());
        }
        self.note(metadata.get("limit_source"));
        self.reach.model |= metadata.get("provider_name").is_some_and(Value::is_string);
        for (name, value) in metadata.get("headers").and_then(Value::as_object).into_iter().flatten() {
            if name.eq_ignore_ascii_case("x-ratelimit-reset") {
                self.reset = value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|at| at.to_string()));
            }
        }
    }

    fn note(&mut self, value: Option<&Value>) {
        match value {
            Some(Value::String(word)) => {
                self.code = self.code.or_else(|| status_code(word.parse().ok()?));
                self.words.push(word.to_ascii_lowercase());
            }
            Some(Value::Number(number)) => self.code = number.as_u64().and_then(status_code).or(self.code),
            _ => {}
        }
    }

    /// The status that an error without one (inside a stream) stands for.
    pub(super) fn implied_status(&self) -> u16 {
        let by_word = |word: &String| {
            Some(match word.as_str() {
                "invalid_request_error" | "invalid_argument" | "failed_precondition" | "out_of_range" => 400,
                "invalid_prompt" | "context_length_exceeded" | "content_filter" => 400,
                "permission_error" | "permission_denied" => 403,
                "not_found_error" | "not_found" => 404,
                "request_too_large" => 413,
                "overloaded_error" => 529,
                "unavailable" => 503,
                "timeout_error" | "deadline_exceeded" => 504,
                _ => return None,
            })
        };
        self.code.or_else(|| self.words.iter().find_map(by_word)).unwrap_or(500)
    }
}

fn status_code(number: u64) -> Option<u16> {
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// The message of an error body: `error.message`, `error_msg`, `error` as a string, `message`, else the body itself;
/// trimmed, at most 2048 bytes, without NUL.
pub fn error_message(body: &[u8]) -> String {
    Fault::parse(body).message
}

fn message_of(outer: &Value, body: &[u8]) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(tidy).filter(|text| !text.is_empty());
    let error = outer.get("error");
    text(error.and_then(|error| error.get("message")))
        .or_else(|| text(outer.get("error_msg")))
        .or_else(|| text(error))
        .or_else(|| text(outer.get("message")))
        .unwrap_or_else(|| tidy(&String::from_utf8_lossy(body)))
}

/// Gemini answers some errors as a list of one.
fn unwrapped(value: &Value) -> &Value {
    value.as_array().and_then(|list| list.first()).unwrap_or(value)
}

fn tidy(text: &str) -> String {
    let text = text.trim();
    let mut end = text.len().min(MAX_MESSAGE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "")
}
