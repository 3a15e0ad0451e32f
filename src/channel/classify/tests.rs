//! Answers of providers, a file for each. They are written after the providers' documentation and answers that people
//! quoted, with made-up ids; each table names its sources.

use std::time::Duration;

use actix_http::header::{HeaderName, HeaderValue};
use gpt_load_actors::pool::Reach;
use gpt_load_schema::log::OutcomeClass::Success;
use proptest::prelude::*;

use super::*;

mod anthropic;
mod azure;
mod compatible;
mod gemini;
mod openai;
mod openrouter;

/// 2026-01-31T12:00:00Z.
const NOW: Timestamp = Timestamp(1_769_860_800_000);

const KEY: Reach = Reach::KEY;
const MODEL: Reach = Reach { model: true, account: false };
const ACCOUNT: Reach = Reach { model: false, account: true };
const MODEL_OF_ACCOUNT: Reach = Reach { model: true, account: true };

/// Status, headers and body of an answer; its class, the rule that decided, the wait in seconds and whom it concerns.
type Example<'a> = (u16, &'a [(&'a str, &'a str)], &'a str, OutcomeClass, &'a str, Option<f64>, Reach);

/// Data of a stream event; class, rule, wait and reach of the error in it, if there is one.
type Event<'a> = (&'a str, Option<(OutcomeClass, &'a str, Option<f64>, Reach)>);

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    lines.iter().map(pair).collect()
}

fn assert_answers(channel: Channel, examples: &[Example<'_>]) {
    for &(status, lines, body, class, rule, wait, reach) in examples {
        let verdict = answer(channel, status, &headers(lines), body.as_bytes(), NOW);
        let found = (verdict.class, verdict.rule, verdict.retry_after.map(|wait| wait.as_secs_f64()), verdict.reach);
        assert_eq!(found, (class, rule, wait, reach), "{channel} {status} {body}");
    }
}

fn assert_events(channel: Channel, examples: &[Event<'_>]) {
    for &(data, expected) in examples {
        let found = event(channel, data.as_bytes(), NOW).map(|verdict| {
            (verdict.class, verdict.rule, verdict.retry_after.map(|wait| wait.as_secs_f64()), verdict.reach)
        });
        assert_eq!(found, expected, "{data}");
    }
}

#[test]
fn a_client_cannot_blame_a_key_by_what_a_400_quotes() {
    for quoted in [
        "insufficient balance",
        "API key not valid",
        "Your credit balance is too low",
        "Your organization must be verified to",
        "You do not have access to it",
    ] {
        let body = format!(r#"{{"error":{{"message":"Invalid value: '{quoted}'","type":"invalid_request_error"}}}}"#);
        assert_answers(Channel::OpenAi, &[(400, &[], &body, ClientError, "status-4xx", None, KEY)]);
    }
}

/// A 404 quotes the model, so the most it can do is to cost a key that model.
#[test]
fn what_a_404_quotes_concerns_the_model_alone() {
    for quoted in
        ["or permission denied", "insufficient permissions for this operation", "invalid api key", "rate limit"]
    {
        let body =
            format!(r#"{{"error":{{"message":"The model `{quoted}` does not exist","code":"model_not_found"}}}}"#);
        let verdict = answer(Channel::OpenAi, 404, &HeaderMap::new(), body.as_bytes(), NOW);
        assert!(verdict.class == ClientError || verdict.class == KeyForbidden && verdict.reach == MODEL, "{verdict:?}");
    }
}

#[test]
fn waits_are_read_for_limits_only() {
    let headers = headers(&[("retry-after", "7")]);
    let wait = |status| answer(Channel::OpenAi, status, &headers, b"", NOW).retry_after;
    assert_eq!(wait(429), Some(Duration::from_secs(7)));
    assert_eq!(wait(402), Some(Duration::from_secs(7)));
    assert_eq!(wait(503), None);
    assert_eq!(wait(400), None);
}

#[test]
fn messages() {
    for (body, expected) in [
        (r#"{"error":{"message":" a "},"message":"b"}"#, "a"),
        (r#"{"error":{"message":" "},"error_msg":"b"}"#, "b"),
        (r#"{"error":"c","message":"d"}"#, "c"),
        (r#"{"message":"d"}"#, "d"),
        (r#"{"detail":"e"}"#, r#"{"detail":"e"}"#),
        (r#"[{"error":{"message":"f"}}]"#, "f"),
        ("g\u{0}h", "gh"),
        ("", ""),
    ] {
        assert_eq!(error_message(body.as_bytes()), expected, "{body}");
    }
    let long = "é".repeat(2000);
    assert_eq!(error_message(format!("x{long}").as_bytes()).len(), 2047);
}

proptest! {
    #[test]
    fn every_answer_has_a_class(
        status in any::<u16>(),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "(\\{|\\}|\\[|\"error\"|:|,|\"code\"|\"type\"|\"details\"|1|null|\"rate limit\"){0,30}".prop_map(String::into_bytes),
        ],
    ) {
        let verdict = answer(Channel::OpenAi, status, &HeaderMap::new(), &body, NOW);
        prop_assert!(verdict.message.len() <= 2048);
        prop_assert_eq!(verdict.class == Success, (200..400).contains(&status));
        event(Channel::OpenAi, &body, NOW);
    }
}
