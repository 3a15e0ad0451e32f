//! What an attempt said about its key, its upstream and its client. Pure and total: every answer has exactly one class.
//!
//! The rows of keys-and-policies "Outcome classes" are tried in their order; the first that fits wins. Structured words
//! (`error.type`, `error.code`, `error.status`, `details[].reason`) decide before texts. A text decides only where a
//! client cannot make the provider echo it: anywhere in a 403 or 429, but only at the start of a 400, which likes to
//! quote the request.

mod fault;
mod reach;
mod reset;
mod words;

use actix_http::header::HeaderMap;
use gpt_load_actors::pool::Verdict;
use gpt_load_schema::{
    channel::Channel,
    log::OutcomeClass::{self, ClientError, KeyForbidden, KeyInvalid, QuotaExhausted, RateLimited, UpstreamFault},
    time::Timestamp,
};

use self::fault::Fault;
pub use self::fault::error_message;
use super::json;

/// The class of an answer, of which `body` is the decoded, bounded beginning. The message still holds what the provider
/// said, so the caller redacts the key.
///
/// The formats differ enough to be told apart by their words alone; no rule depends on `_channel`.
pub fn answer(_channel: Channel, status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Verdict {
    if (200..400).contains(&status) {
        return success();
    }
    let fault = Fault::parse(body);
    let (class, rule) = decide(status, &fault);
    let retry_after = rests(class).then(|| reset::from_answer(headers, &fault, now)).flatten();
    let reach = reach::of(class, status, Some(headers), &fault);
    Verdict { message: fault.message, retry_after, reach, ..Verdict::new(class, rule) }
}

/// The class of the error that `data`, the data of one stream event or a whole 200 body, carries; `None` when it
/// carries none.
pub fn event(_channel: Channel, data: &[u8], now: Timestamp) -> Option<Verdict> {
    let error = error_in(data)?;
    let fault = Fault::parse(error);
    let status = fault.implied_status();
    let (class, rule) = decide(status, &fault);
    let retry_after = rests(class).then(|| reset::from_body(&fault, now)).flatten();
    let reach = reach::of(class, status, None, &fault);
    Some(Verdict { message: fault.message, retry_after, reach, ..Verdict::new(class, rule) })
}

/// The part of an event that states an error: the event, or the failed response it carries.
fn error_in(data: &[u8]) -> Option<&[u8]> {
    let kind = json::member(data, "type").and_then(json::string).unwrap_or_default();
    match &*kind {
        "error" => Some(data),
        "response.failed" => json::member(data, "response"),
        _ => json::member(data, "error").filter(|error| json::is_filled(error)).map(|_| data),
    }
}

/// A failure of the way to the provider. `kind_word` says which, e.g. `connect`, `tls`, `reset`, `timeout`.
pub fn transport(kind_word: &'static str, message: String) -> Verdict {
    Verdict { message, ..Verdict::new(UpstreamFault, kind_word) }
}

/// The client hung up.
pub fn abandoned() -> Verdict {
    Verdict::new(OutcomeClass::Abandoned, "client-gone")
}

/// An answer that ended well.
pub fn success() -> Verdict {
    Verdict::new(OutcomeClass::Success, "ended-well")
}

/// Whether a key that met this class rests for a time the provider may have named.
fn rests(class: OutcomeClass) -> bool {
    matches!(class, QuotaExhausted | RateLimited)
}

/// The first row that fits, with the evidence: the status or the word that decided.
fn decide(status: u16, fault: &Fault) -> (OutcomeClass, &'static str) {
    let word = |class| words::word_of(class, &fault.words);
    let text = |class| words::text_of(class, status, &fault.message);
    // Gemini's limits speak of the quota and the plan, so words of limits go before texts of quotas.
    // A plain client error may carry the word of a limit it can never fit (a request larger than the whole limit).
    let may_limit = matches!(status, 403 | 429 | 500..);
    let row = |class, rule: Option<&'static str>| rule.map(|rule| (class, rule));

    words::exception(status, &fault.words, &fault.message)
        .or_else(|| row(QuotaExhausted, word(QuotaExhausted)))
        .or_else(|| row(QuotaExhausted, (status == 402).then_some("status-402")))
        .or_else(|| row(RateLimited, word(RateLimited).filter(|_| may_limit)))
        .or_else(|| row(QuotaExhausted, text(QuotaExhausted)))
        .or_else(|| row(RateLimited, (status == 429).then_some("status-429")))
        .or_else(|| row(RateLimited, text(RateLimited)))
        .or_else(|| row(KeyInvalid, word(KeyInvalid)))
        .or_else(|| row(KeyInvalid, (status == 401).then_some("status-401")))
        .or_else(|| row(KeyInvalid, text(KeyInvalid)))
        .or_else(|| row(ClientError, word(ClientError).filter(|_| status < 500)))
        .or_else(|| row(KeyForbidden, (status == 403).then_some("status-403")))
        .or_else(|| row(KeyForbidden, text(KeyForbidden)))
        .unwrap_or(match status {
            408 => (UpstreamFault, "status-408"),
            425 => (UpstreamFault, "status-425"),
            500 => (UpstreamFault, "status-500"),
            502 => (UpstreamFault, "status-502"),
            503 => (UpstreamFault, "status-503"),
            504 => (UpstreamFault, "status-504"),
            529 => (UpstreamFault, "status-529"),
            400..500 => (ClientError, "status-4xx"),
            _ if status > 500 => (UpstreamFault, "status-5xx"),
            _ => (UpstreamFault, "status-odd"),
        })
}

#[cfg(test)]
mod tests;
