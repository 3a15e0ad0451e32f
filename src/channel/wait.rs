//! Waits and points in time as providers write them into headers and texts. Pure and total.

use std::time::Duration;

use gpt_load_schema::time::Timestamp;

/// Longest wait taken over from a provider; the pool caps it further.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

/// Numbers from here on are points in time, in seconds; smaller ones are spans.
const EPOCH_SECONDS: f64 = 1e9;
/// Numbers from here on are points in time, in milliseconds.
const EPOCH_MILLIS: f64 = 1e12;

/// A reset's value: a span (`6m0s`, `20ms`, `12`) or a point in time (RFC 3339, Unix seconds or milliseconds).
pub(super) fn reset(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(number) = value.parse::<f64>() {
        return match number {
            EPOCH_MILLIS.. => Some(until(Timestamp(number as i64), now)),
            EPOCH_SECONDS.. => Some(until(Timestamp((number * 1000.0) as i64), now)),
            _ => seconds(number),
        };
    }
    span(value).or_else(|| moment(value, now))
}

/// The wait until a point in time by RFC 3339.
pub(super) fn moment(value: &str, now: Timestamp) -> Option<Duration> {
    Some(until(Timestamp(value.parse::<jiff::Timestamp>().ok()?.as_millisecond()), now))
}

/// A span like `1h2m3.5s` or `20ms`.
pub(super) fn span(text: &str) -> Option<Duration> {
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

/// A number of seconds; `None` when it is negative or none at all.
pub(super) fn seconds(number: f64) -> Option<Duration> {
    (number >= 0.0).then(|| Duration::try_from_secs_f64(number).unwrap_or(MAX_WAIT).min(MAX_WAIT))
}

/// The wait until `at`; none when that is past.
pub(super) fn until(at: Timestamp, now: Timestamp) -> Duration {
    at.since(now).min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-01-31T12:00:00Z.
    const NOW: Timestamp = Timestamp(1_769_860_800_000);

    #[test]
    fn resets() {
        for (value, expected) in [
            ("6m0s", Some(360.0)),
            ("2m59.56s", Some(179.56)),
            ("20ms", Some(0.02)),
            ("1d2h", Some(93_600.0)),
            ("12", Some(12.0)),
            (" 0.5 ", Some(0.5)),
            ("1769860805", Some(5.0)),
            ("1769860805000", Some(5.0)),
            ("1769860795000", Some(0.0)),
            ("2026-01-31T12:00:30Z", Some(30.0)),
            ("2026-01-31T13:00:30+01:00", Some(30.0)),
            ("1e300", Some(31_622_400.0)),
            ("-1", None),
            ("nan", None),
            ("later", None),
            ("5x", None),
            ("", None),
        ] {
            assert_eq!(reset(value, NOW).map(|wait| wait.as_secs_f64()), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn survives_any_text(value in any::<String>(), now in any::<i64>()) {
            for wait in [reset(&value, Timestamp(now)), span(&value), moment(&value, Timestamp(now))] {
                prop_assert!(wait.is_none_or(|wait| wait <= MAX_WAIT));
            }
        }

        #[test]
        fn spans_add_up(hours in 0_u32..100, minutes in 0_u32..100, millis in 0_u32..100_000) {
            let expected = Duration::from_secs(u64::from(hours) * 3600 + u64::from(minutes) * 60) + Duration::from_millis(millis.into());
            let read = span(&format!("{hours}h{minutes}m{millis}ms")).unwrap();
            prop_assert!(read.abs_diff(expected) < Duration::from_micros(1));
        }
    }
}
