//! The times that statistics are told for. Pure.

use std::time::Duration;

use gpt_load_schema::{
    store::{Hour, RECENT_SPAN, Requests},
    time::Timestamp,
};

/// Hours are counted from full hours, UTC.
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);

/// The begin of the hour that `now` is in.
pub(super) fn hour_of(now: Timestamp) -> Timestamp {
    begin_of(now, HOUR)
}

/// The end of the ten seconds that `now` is in: recent requests are told for times that end there, so up to ten seconds of
/// such a time are still to come.
pub(super) fn recent_end(now: Timestamp) -> Timestamp {
    begin_of(now, RECENT_SPAN) + RECENT_SPAN
}

fn begin_of(now: Timestamp, length: Duration) -> Timestamp {
    let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Timestamp(now.0.div_euclid(length) * length)
}

/// What ended in the hours that begin in `[from, until)`.
pub(super) fn sum(hours: &[Hour], from: Timestamp, until: Timestamp) -> Requests {
    let within = hours.iter().filter(|hour| (from..until).contains(&hour.time));
    within.fold(Requests::default(), |sum, hour| sum.plus(hour.requests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_begin_on_the_hour() {
        let hour = 3_600_000;
        let cases = [(0, 0), (1, 0), (hour - 1, 0), (hour, hour), (-1, -hour)];
        for (now, begin) in cases {
            assert_eq!(hour_of(Timestamp(now)), Timestamp(begin), "{now}");
        }
    }

    #[test]
    fn recent_times_end_with_their_ten_seconds() {
        for (now, end) in [(0, 10_000), (9_999, 10_000), (10_000, 20_000)] {
            assert_eq!(recent_end(Timestamp(now)), Timestamp(end), "{now}");
        }
    }

    #[test]
    fn a_window_has_its_first_moment_and_not_its_last() {
        let hour = |time| Hour {
            time: Timestamp(time),
            requests: Requests { successes: 2, failures: 1, timed: 3, duration_ms: 30 },
        };
        let sum = sum(&[hour(0), hour(1), hour(2), hour(3)], Timestamp(1), Timestamp(3));
        assert_eq!(sum, Requests { successes: 4, failures: 2, timed: 6, duration_ms: 60 });
    }
}
