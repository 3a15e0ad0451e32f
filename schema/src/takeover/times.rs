//! Times as older programs stored them (management-api.md 7.3).

use std::collections::BTreeSet;

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What was met while times were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimesRead {
    /// Distances from UTC in minutes under which times were written.
    pub offsets: BTreeSet<i32>,
    /// Texts that are no time.
    pub unreadable: i64,
}

impl TimesRead {
    /// The time that `text` says; `None` for none, for the zero time of the old programs and for what is not readable.
    pub fn read(&mut self, text: Option<&str>) -> Option<Timestamp> {
        let text = text.map(str::trim).filter(|text| !text.is_empty())?;
        match parse(text) {
            Some((at, offset)) => {
                self.offsets.insert(offset);
                Some(at).filter(|at| at.0 > 0)
            }
            None => {
                self.unreadable += 1;
                None
            }
        }
    }
}

/// The instant of a stored text and the minutes by which its zone is ahead of UTC; a text without zone is UTC.
///
/// `YYYY-MM-DD`, then optionally a blank or `T` and `hh:mm[:ss[.f…]]`, then optionally `Z`, `±hh:mm`, `±hhmm` or `±hh`,
/// then optionally a zone's name and a monotonic clock's reading, which say nothing more.
fn parse(text: &str) -> Option<(Timestamp, i32)> {
    let text = text.trim();
    let date = date(text.get(..10)?)?;
    let rest = text.get(10..)?;
    let Some(rest) = rest.strip_prefix([' ', 'T', 't']) else {
        return rest.is_empty().then(|| instant(date, Time::midnight(), 0)).flatten();
    };
    let end = rest.find(|character: char| !(character.is_ascii_digit() || ":.,".contains(character)));
    let (clock, zone) = rest.split_at(end.unwrap_or(rest.len()));
    instant(date, time(clock)?, offset(zone)?)
}

fn instant(date: Date, time: Time, offset: i32) -> Option<(Timestamp, i32)> {
    let local = date.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some((Timestamp(local.timestamp().as_millisecond() - i64::from(offset) * 60_000), offset))
}

fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    Date::new(digits(year)?, digits(month)?, digits(day)?).ok()
}

fn time(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let (hour, minute, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, ""));
    let mut nanoseconds = 0_i32;
    for position in 0..9 {
        let digit = fraction.as_bytes().get(position).copied().unwrap_or(b'0');
        nanoseconds = nanoseconds * 10 + i32::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    Time::new(digits(hour)?, digits(minute)?, digits(second)?, nanoseconds).ok()
}

/// Minutes ahead of UTC.
fn offset(text: &str) -> Option<i32> {
    let text = text.trim_start();
    let Some(first) = text.chars().next() else { return Some(0) };
    if matches!(first, 'Z' | 'z') {
        return Some(0);
    }
    let sign = match first {
        '+' => 1,
        '-' => -1,
        // A zone's name alone does not say its distance, except that of UTC.
        _ => return text.starts_with("UTC").then_some(0),
    };
    let word = text[1..].split(' ').next().unwrap_or_default();
    let (hours, minutes) = match word.split_once(':') {
        // Seconds of historic zones are left away.
        Some((hours, rest)) => (hours, rest.split(':').next().unwrap_or_default()),
        None if word.len() == 4 => word.split_at_checked(2)?,
        None => (word, "0"),
    };
    let (hours, minutes): (i32, i32) = (digits(hours)?, digits(minutes)?);
    (hours <= 15 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-01-31T12:34:56Z.
    const AT: i64 = 1_769_862_896_000;

    #[test]
    fn every_form_that_was_ever_stored_is_read() {
        for (text, at, offset) in [
            ("2026-01-31 12:34:56+00:00", AT, 0),
            ("2026-01-31 20:34:56.123456789+08:00", AT + 123, 480),
            ("2026-01-31 20:34:56.5+08:00", AT + 500, 480),
            ("2026-01-31 07:04:56-05:30", AT, -330),
            ("2026-01-31T12:34:56Z", AT, 0),
            ("2026-01-31T12:34:56.7z", AT + 700, 0),
            ("2026-01-31 12:34:56", AT, 0),
            ("2026-01-31 12:34", AT - 56_000, 0),
            ("2026-01-31T20:34+08:00", AT - 56_000, 480),
            ("2026-01-31", AT - 45_296_000, 0),
            (" 2026-01-31 20:34:56.0005 +0800 CST m=+0.012345678 ", AT, 480),
            ("2026-01-31 12:34:56 +0000 UTC", AT, 0),
            ("2026-01-31 12:34:56 UTC", AT, 0),
            ("2026-01-31 20:34:56+08", AT, 480),
        ] {
            assert_eq!(parse(text), Some((Timestamp(at), offset)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "2026-01",
            "2026-13-01",
            "2026-02-30",
            "2026-01-31x",
            "2026-01-31 25:00:00",
            "2026-01-31 12:60",
            "2026-01-31 12:34:56.7a",
            "2026-01-31 12:34:56 CST",
            "2026-01-31 12:34:56+99:00",
            "2026-1-31",
            "1769862896",
            "2026-01-31 12:34:56+08:0x",
            "二〇二六-01-31",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn reading_counts_zones_and_misses() {
        let mut times = TimesRead::default();
        let read: Vec<_> = [
            None,
            Some(""),
            Some("0001-01-01 00:00:00+00:00"),
            Some("2026-01-31 20:34:56+08:00"),
            Some("2026-01-31 12:34:56"),
            Some("soon"),
        ]
        .into_iter()
        .map(|text| times.read(text))
        .collect();
        assert_eq!(read, [None, None, None, Some(Timestamp(AT)), Some(Timestamp(AT)), None]);
        assert_eq!(times, TimesRead { offsets: BTreeSet::from([0, 480]), unreadable: 1 });
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:.+ZUTC -]{0,24}") {
            let _ = parse(&text);
        }

        #[test]
        fn an_instant_is_the_same_in_every_zone(at in 0_i64..4_102_444_800, hours in -12_i32..=14, half in any::<bool>()) {
            let minutes = hours * 60 + if half && hours >= 0 { 30 } else { 0 };
            let local = Timestamp(at * 1_000 + i64::from(minutes) * 60_000).to_rfc3339();
            let sign = if minutes < 0 { '-' } else { '+' };
            let text = format!("{} {}{sign}{:02}:{:02}", &local[..10], &local[11..19], minutes.abs() / 60, minutes.abs() % 60);
            prop_assert_eq!(parse(&text), Some((Timestamp(at * 1_000), minutes)));
        }
    }
}
