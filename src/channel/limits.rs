//! What an answer's headers tell of the limits that the provider applies. Pure and total; runs on every answer, so it goes
//! over the headers once and reads only those that are about limits.
//!
//! | provider | headers |
//! | --- | --- |
//! | OpenAI, Azure, Groq, DeepInfra … | `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; OpenAI names the account: `openai-organization`, `openai-project` |
//! | Anthropic | `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`, `anthropic-organization-id` |
//! | Mistral | `x-ratelimit-{limit,remaining}-{req,tokens}-minute`, without a reset |
//! | OpenRouter, Moonshot … | `x-ratelimit-{limit,remaining,reset}` |
//! | others | `ratelimit-{limit,remaining,reset}` or `ratelimit` (draft-ietf-httpapi-ratelimit-headers) |
//!
//! Sources: OpenAI "Rate limits", Anthropic "Rate limits", Groq "Rate Limits", mistralai/client-ts issue 169, OpenRouter
//! "Limits", Moonshot "Rate limits". Azure sends -1 where it does not know.

use std::time::Duration;

use actix_http::header::HeaderMap;
use gpt_load_actors::pool::{Announced, Remaining};
use gpt_load_schema::time::Timestamp;

use super::{sticky::stable_hash, wait};

/// The window of limits whose name says so.
const MINUTE: Duration = Duration::from_secs(60);

/// What `headers` tell; the default when they tell nothing.
///
/// A limit counts only when both what is left and when it is whole again are known. OpenAI's, Anthropic's and Mistral's
/// ways of naming are those of limits per model, so is everything that copies them.
pub fn announced(headers: &HeaderMap, now: Timestamp) -> Announced {
    let mut told = Told::default();
    for (name, value) in headers {
        let name = name.as_str();
        // Most headers are none of these and are told by their first byte.
        let part = match name.as_bytes().first() {
            Some(b'x') => name.strip_prefix("x-ratelimit-").map(Part::Plain),
            Some(b'a') => name.strip_prefix("anthropic-").map(Part::Anthropic),
            Some(b'o') => name.strip_prefix("openai-").map(Part::OpenAi),
            Some(b'r') if name == "ratelimit" => Some(Part::Structured),
            Some(b'r') => name.strip_prefix("ratelimit-").map(Part::Plain),
            _ => None,
        };
        if let Some((part, value)) = part.zip(value.to_str().ok()) {
            told.note(part, value, now);
        }
    }
    told.announced()
}

#[derive(Clone, Copy)]
enum Part<'a> {
    /// The rest of `x-ratelimit-…` or `ratelimit-…`.
    Plain(&'a str),
    /// The rest of `anthropic-…`.
    Anthropic(&'a str),
    /// The rest of `openai-…`.
    OpenAi(&'a str),
    /// The whole of `ratelimit`.
    Structured,
}

/// What the headers say of one limit.
#[derive(Default)]
struct Counter {
    left: Option<u64>,
    limit: Option<u64>,
    reset_in: Option<Duration>,
}

impl Counter {
    fn note(&mut self, field: &str, value: &str, now: Timestamp) {
        match field {
            "remaining" => self.left = whole(value),
            "limit" => self.limit = whole(value),
            "reset" => self.reset_in = wait::reset(value, now),
            _ => {}
        }
    }

    fn remaining(&self) -> Option<Remaining> {
        Some(Remaining { left: self.left?, limit: self.limit, reset_in: self.reset_in? })
    }
}

#[derive(Default)]
struct Told<'a> {
    requests: Counter,
    tokens: Counter,
    input: Counter,
    output: Counter,
    /// Requests, of a limit that is not said to be per model.
    plain: Counter,
    organization: Option<&'a str>,
    project: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn note(&mut self, part: Part<'_>, value: &'a str, now: Timestamp) {
        match part {
            Part::OpenAi("organization") | Part::Anthropic("organization-id") => self.organization = Some(value),
            Part::OpenAi("project") => self.project = Some(value),
            Part::OpenAi(_) => {}
            Part::Anthropic(rest) => {
                let Some((unit, field)) = rest.strip_prefix("ratelimit-").and_then(|rest| rest.rsplit_once('-')) else {
                    return;
                };
                match unit {
                    "requests" => self.requests.note(field, value, now),
                    "tokens" => self.tokens.note(field, value, now),
                    "input-tokens" => self.input.note(field, value, now),
                    "output-tokens" => self.output.note(field, value, now),
                    _ => {}
                }
            }
            Part::Plain(rest) => match rest.split_once('-') {
                None => self.plain.note(rest, value, now),
                Some((field, "requests")) => self.requests.note(field, value, now),
                Some((field, "tokens")) => self.tokens.note(field, value, now),
                Some((field, "req-minute")) => per_minute(&mut self.requests, field, value, now),
                Some((field, "tokens-minute")) => per_minute(&mut self.tokens, field, value, now),
                Some(_) => {}
            },
            Part::Structured => self.plain = tightest(value),
        }
    }

    fn announced(&self) -> Announced {
        let requests = self.requests.remaining();
        let tokens = [&self.tokens, &self.input, &self.output].into_iter().filter_map(Counter::remaining);
        let tokens = tokens.min_by_key(|remaining| remaining.left);
        Announced {
            requests: requests.or_else(|| self.plain.remaining()),
            tokens,
            per_model: requests.is_some() || tokens.is_some(),
            account: self.organization.or(self.project).map(|_| self.account()),
        }
    }

    /// Limits of a project are its own, so keys of two projects of one organization are told apart.
    fn account(&self) -> u64 {
        let name = |part: Option<&'a str>| part.unwrap_or_default().trim().as_bytes();
        stable_hash(&[name(self.organization), name(self.project)])
    }
}

fn per_minute(counter: &mut Counter, field: &str, value: &str, now: Timestamp) {
    counter.note(field, value, now);
    counter.reset_in = Some(MINUTE);
}

/// The limit with the least left of a `RateLimit` header: `"burst";r=5;t=1, "daily";r=900;t=3600`, or in the form of older
/// drafts `limit=100, remaining=50, reset=5`.
fn tightest(value: &str) -> Counter {
    let mut tightest = Counter::default();
    let mut old = Counter::default();
    for item in value.split(',') {
        let mut counter = Counter::default();
        for parameter in item.split(';') {
            let Some((name, value)) = parameter.trim().split_once('=') else { continue };
            let seconds = || value.parse().ok().and_then(wait::seconds);
            match name {
                "r" => counter.left = whole(value),
                "t" => counter.reset_in = seconds(),
                "remaining" => old.left = whole(value),
                "limit" => old.limit = whole(value),
                "reset" => old.reset_in = seconds(),
                _ => {}
            }
        }
        if counter.left.is_some() && (tightest.left.is_none() || counter.left < tightest.left) {
            tightest = counter;
        }
    }
    if tightest.left.is_some() { tightest } else { old }
}

/// The whole number that a value begins with: `100, 100;w=60` is 100, `59.0` is 59, `-1` is none.
fn whole(value: &str) -> Option<u64> {
    let value = value.trim();
    let end = value.find(|char: char| !char.is_ascii_digit()).unwrap_or(value.len());
    value[..end].parse().ok()
}

#[cfg(test)]
mod tests;
