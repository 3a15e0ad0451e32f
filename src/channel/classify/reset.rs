//! When a limited key may be asked again, as far as the provider says.

use std::time::{Duration, SystemTime};

use actix_http::header::{HeaderMap, HttpDate, RETRY_AFTER};
use gpt_load_schema::time::Timestamp;

use super::{MAX_RETRY_AFTER, fault::Fault};

/// Numbers from here on are points in time, in seconds; smaller ones are spans.
const EPOCH_SECONDS: f64 = 1e9;
/// Numbers from here on are points in time, in milliseconds.
const EPOCH_MILLIS: f64 = 1e12;

/// The wait that an answer names. What is meant for the client (`retry-after-ms`, `Retry-After`, the body) goes before
/// the state of the limits, of which only the used-up ones explain the answer.
pub(super) fn from_answer(headers: &HeaderMap, fault: &Fault, now: Timestamp) -> Option<Duration> {
    text(headers, "retry-after-ms")
        .and_then(|value| seconds(value.parse::<f64>().ok()? / 1000.0))
        .or_else(|| retry_after(headers, now))
        .or_else(|| fault.retry_delay.as_deref().and_then(span))
        .or_else(|| limits(headers, now))
        .or_else(|| from_body(fault, now))
}

/// The wait that an error body names, in a field or in its text.
pub(super) fn from_body(fault: &Fault, now: Timestamp) -> Option<Duration> {
    fault.retry_delay.as_deref().and_then(span).or_else(|| from_text(&fault.message, now))
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

/// The latest reset among the limits with nothing remaining (or with nothing said of what remains): OpenAI's
/// `x-ratelimit-reset-requests`, Anthropic's `anthropic-ratelimit-tokens-reset`, OpenRouter's `x-ratelimit-reset` …
fn limits(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let explains = |name: &str| {
        let remaining = text(headers, &name.replace("reset", "remaining"));
        remaining.is_none_or(|remaining| remaining.parse::<f64>().is_ok_and(|remaining| remaining <= 0.0))
    };
    headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.contains("ratelimit") && name.contains("reset") && explains(name))
        .filter_map(|name| reset(text(headers, name)?, now))
        .max()
}

/// A reset header's value: a span (`6m0s`, `20ms`, `12`) or a point in time (RFC 3339, Unix seconds or milliseconds).
fn reset(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(number) = value.parse::<f64>() {
        return match number {
            EPOCH_MILLIS.. => Some(until(Timestamp(number as i64), now)),
            EPOCH_SECONDS.. => Some(until(Timestamp((number * 1000.0) as i64), now)),
            _ => seconds(number),
        };
    }
    span(value).or_else(|| Some(until(Timestamp(value.parse::<jiff::Timestamp>().ok()?.as_millisecond()), now)))
}

/// A wait in prose: OpenAI's "Please try again in 1m2.5s", Azure's "Please retry after 7 seconds", Anthropic's "You will
/// regain access on 2026-01-31 at 00:00 UTC".
fn from_text(message: &str, now: Timestamp) -> Option<Duration> {
    if let Some((_, rest)) = message.split_once("try again in ") {
        let word = rest.split(char::is_whitespace).next()?.trim_end_matches(['.', ',']);
        return span(word);
    }
    if let Some((_, rest)) = message.split_once("retry after ") {
        let mut words = rest.split(char::is_whitespace);
        let number = words.next()?.parse().ok()?;
        return words.next()?.starts_with("second").then(|| seconds(number)).flatten();
    }
    let (date, rest) = message.split_once("regain access on ")?.1.split_once(" at ")?;
    let time = rest.strip_suffix(" UTC.").or_else(|| rest.split_once(" UTC").map(|(time, _)| time))?;
    let at = format!("{date}T{time}:00Z").parse::<jiff::Timestamp>().ok()?;
    Some(until(Timestamp(at.as_millisecond()), now)).filter(|wait| !wait.is_zero())
}

/// A span like `1h2m3.5s` or `20ms`.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end =
            rest[digits..].find(|char: char| !char.is_ascii_alphabetic()).map_or(rest.len(), |at| digits + at);
        total += number
            * match &rest[digits..unit_end] {
                "d" => 86_400.0,
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    seconds(total)
}

fn seconds(number: f64) -> Option<Duration> {
    (number >= 0.0).then(|| Duration::try_from_secs_f64(number).unwrap_or(MAX_RETRY_AFTER).min(MAX_RETRY_AFTER))
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    at.since(now).min(MAX_RETRY_AFTER)
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

        #[test]
        fn spans_add_up(hours in 0_u32..100, minutes in 0_u32..100, millis in 0_u32..100_000) {
            let expected = Duration::from_secs(u64::from(hours) * 3600 + u64::from(minutes) * 60) + Duration::from_millis(millis.into());
            let read = span(&format!("{hours}h{minutes}m{millis}ms")).unwrap();
            prop_assert!(read.abs_diff(expected) < Duration::from_micros(1));
        }
    }
}
