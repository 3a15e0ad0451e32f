//! When a limited key may be asked again, as far as the provider says.

use std::time::{Duration, SystemTime};

use actix_http::header::{HeaderMap, HttpDate, RETRY_AFTER};
use gpt_load_schema::time::Timestamp;

use super::fault::Fault;
use crate::channel::wait::{moment, reset, seconds, span, until};

/// The wait that an answer names. What is meant for the client (`retry-after-ms`, `Retry-After`, the body) goes before
/// the state of the limits, of which only the used-up ones explain the answer.
pub(super) fn from_answer(headers: &HeaderMap, fault: &Fault, now: Timestamp) -> Option<Duration> {
    text(headers, "retry-after-ms")
        .and_then(|value| seconds(value.parse::<f64>().ok()? / 1000.0))
        .or_else(|| retry_after(headers, now))
        .or_else(|| in_body(fault, now))
        .or_else(|| limits(headers, now))
        .or_else(|| from_body(fault, now))
}

/// The wait that an error body names, in a field or in its text.
pub(super) fn from_body(fault: &Fault, now: Timestamp) -> Option<Duration> {
    in_body(fault, now).or_else(|| from_text(&fault.message, now))
}

/// A field for it: Gemini's delay, or the header that OpenRouter passes on inside of the body.
fn in_body(fault: &Fault, now: Timestamp) -> Option<Duration> {
    let delay = fault.retry_delay.as_deref().and_then(span);
    delay.or_else(|| fault.reset.as_deref().and_then(|value| reset(value, now)))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// `Retry-After`: seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER.as_str())?;
    if let Ok(number) = value.parse() {
        return seconds(number);
    }
    let at = SystemTime::from(value.parse::<HttpDate>().ok()?);
    let millis = at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis();
    Some(until(Timestamp(i64::try_from(millis).ok()?), now))
}

/// The latest reset among the limits with nothing remaining: OpenAI's `x-ratelimit-reset-requests`, Anthropic's
/// `anthropic-ratelimit-tokens-reset`, OpenRouter's `x-ratelimit-reset` … Where none says what remains, the earliest: of
/// several windows (Anthropic's `unified-5h` and `unified-7d`) the shortest is the one that is usually full.
fn limits(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let mut used_up: Option<Duration> = None;
    let mut untold: Option<Duration> = None;
    for name in headers.keys().map(|name| name.as_str()) {
        let is_limit = name.contains("ratelimit") || name.starts_with("x-rate-limit");
        if !(is_limit && name.contains("reset")) {
            continue;
        }
        let Some(wait) = text(headers, name).and_then(|value| reset(value, now)) else { continue };
        match text(headers, &name.replace("reset", "remaining")) {
            Some(left) if left.parse::<f64>().is_ok_and(|left| left == 0.0) => used_up = used_up.max(Some(wait)),
            Some(_) => {}
            None => untold = Some(untold.map_or(wait, |known| known.min(wait))),
        }
    }
    used_up.or(untold)
}

/// A wait in prose: OpenAI's "Please try again in 1m2.5s", Azure's "Try again in 30 seconds" and "Please retry after 7
/// seconds", Gemini's "Please retry in 45.57s", Moonshot's "please try again after 1 seconds", MiniMax's "resets at
/// 2026-05-15T15:00:00Z", Anthropic's "You will regain access on 2026-01-31 at 00:00 UTC".
fn from_text(message: &str, now: Timestamp) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    let spans = ["try again in ", "try again after ", "retry in ", "retry after "];
    if let Some((_, rest)) = spans.iter().find_map(|lead| lower.split_once(lead)) {
        return span_in_prose(rest);
    }
    let after = |lead: &str| Some(&message[lower.find(lead)? + lead.len()..]);
    if let Some(rest) = after("resets at ") {
        return moment(rest.split(char::is_whitespace).next()?.trim_end_matches(['.', ',']), now).filter(is_some_time);
    }
    let (date, rest) = after("regain access on ")?.split_once(" at ")?;
    let time = rest.strip_suffix(" UTC.").or_else(|| rest.split_once(" UTC").map(|(time, _)| time))?;
    moment(&format!("{date}T{time}:00Z"), now).filter(is_some_time)
}

fn is_some_time(wait: &Duration) -> bool {
    !wait.is_zero()
}

/// The span at the start of `text`, with its unit attached (`1m2.5s`) or as a word (`30 seconds`).
fn span_in_prose(text: &str) -> Option<Duration> {
    let mut words = text.split(char::is_whitespace);
    let first = words.next()?.trim_end_matches(['.', ',']);
    let Ok(number) = first.parse::<f64>() else { return span(first) };
    let unit = words.next()?;
    let units = [("millisecond", 1e-3), ("second", 1.0), ("minute", 60.0), ("hour", 3600.0), ("day", 86_400.0)];
    units.iter().find(|(name, _)| unit.starts_with(name)).and_then(|(_, size)| seconds(number * size))
}

#[cfg(test)]
mod tests {
    use actix_http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    /// 2026-01-31T12:00:00Z.
    const NOW: Timestamp = Timestamp(1_769_860_800_000);

    fn wait(lines: &[(&str, &str)], message: &str) -> Option<f64> {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = lines.iter().map(pair).collect();
        let fault = Fault { message: message.to_owned(), ..Fault::default() };
        from_answer(&headers, &fault, NOW).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn headers() {
        for (lines, expected) in [
            (&[("retry-after", "7")][..], Some(7.0)),
            (&[("retry-after", "0.5")], Some(0.5)),
            (&[("retry-after", "Sat, 31 Jan 2026 12:01:00 GMT")], Some(60.0)),
            (&[("retry-after", "Sat, 31 Jan 2026 11:00:00 GMT")], Some(0.0)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1e300")], Some(31_622_400.0)),
            (&[("retry-after", "nan")], None),
            (&[("retry-after-ms", "1500"), ("retry-after", "7")], Some(1.5)),
            (&[("x-ratelimit-reset-requests", "6m0s"), ("x-ratelimit-remaining-requests", "0")], Some(360.0)),
            (&[("x-ratelimit-reset-requests", "6m0s"), ("x-ratelimit-remaining-requests", "5")], None),
            (
                &[
                    ("x-ratelimit-reset-requests", "1s"),
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-tokens", "20ms"),
                    ("x-ratelimit-remaining-tokens", "0"),
                ],
                Some(1.0),
            ),
            (
                &[
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "2026-01-31T12:00:30Z"),
                    ("anthropic-ratelimit-requests-remaining", "10"),
                    ("anthropic-ratelimit-requests-reset", "2026-01-31T13:00:00Z"),
                ],
                Some(30.0),
            ),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1769860805000")], Some(5.0)),
            (&[("x-ratelimit-reset", "1769860805")], Some(5.0)),
            (&[("ratelimit-reset", "12")], Some(12.0)),
            (
                &[
                    ("anthropic-ratelimit-unified-5h-reset", "1769864400"),
                    ("anthropic-ratelimit-unified-7d-reset", "1770292800"),
                ],
                Some(3600.0),
            ),
            (&[("x-rate-limit-reset-tokens", "55")], Some(55.0)),
            (&[("x-ratelimit-remaining-tokens", "-1"), ("x-ratelimit-reset-tokens", "0")], None),
            (&[("x-ratelimit-reset", "later")], None),
            (&[], None),
        ] {
            assert_eq!(wait(lines, ""), expected, "{lines:?}");
        }
    }

    #[test]
    fn texts() {
        for (message, expected) in [
            ("Rate limit reached for gpt-4o: Limit 3, Used 3. Please try again in 20s. Visit …", Some(20.0)),
            ("Please try again in 1m2.5s.", Some(62.5)),
            ("Please try again in 6ms", Some(0.006)),
            ("Please retry after 7 seconds.", Some(7.0)),
            ("Rate limit is exceeded. Try again in 30 seconds.", Some(30.0)),
            ("Please try again in 9m38.016s. Need more tokens?", Some(578.016)),
            ("… model: gemini-3-pro\nPlease retry in 45.578569677s.", Some(45.578_569_677)),
            ("request reached organization max RPM: 3, please try again after 1 seconds", Some(1.0)),
            ("usage limit exceeded, resets at 2026-01-31T15:00:00Z (2056)", Some(10_800.0)),
            ("resets at 2026-01-31T11:00:00Z", None),
            ("please try again in 2 moons", None),
            (
                "You have reached your specified API usage limits. You will regain access on 2026-02-01 at 00:00 UTC.",
                Some(43_200.0),
            ),
            ("Please try again in a while", None),
            ("retry after", None),
            ("regain access on x at y", None),
        ] {
            assert_eq!(wait(&[], message), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn survives_any_text(value in "[ -~]{0,40}", message in "(try again in |retry after |regain access on | at |[0-9.]{1,5}|h|ms|s| UTC|é){0,6}") {
            wait(&[("retry-after", &value)], &message);
            wait(&[("x-ratelimit-reset", &value)], "");
            wait(&[("retry-after-ms", &value)], "");
        }

    }
}
