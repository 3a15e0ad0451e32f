//! How many log rows there are, when counting them would take too long.

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel_async::RunQueryDsl;

use super::{
    COUNTED,
    conditions::{Conditions, Driver, FINAL, driven},
};
use crate::{
    store::{
        StoreResult,
        dialect::{Dialect, HourSums},
        pool::{Engine, read_replica},
        tables::request_logs,
    },
    time::Timestamp,
};

/// Length of an hour, in ms.
const HOUR_MS: i64 = 60 * 60 * 1_000;

/// About how many rows meet `conditions`, of which `newest` are the times of the newest ones.
///
/// The hourly statistics say how many requests ended in the time; how many rows that meet the conditions come on one
/// such request is taken from the newest rows.
pub(super) async fn estimate(
    engine: &Engine,
    conditions: &Conditions,
    newest: &[i64],
    now: Timestamp,
) -> StoreResult<i64> {
    let (driver, group) = match conditions.driver() {
        Driver::Time | Driver::Key(_) => (Driver::Time, None),
        Driver::Group(id) => (Driver::Group(id), Some(id)),
        Driver::Parent(id) => (Driver::Parent(id), Some(id)),
    };
    let sample = i64::try_from(COUNTED).unwrap_or(i64::MAX);
    let (floor, oldest, finals, hours): (Option<i64>, Option<i64>, i64, Vec<HourSums>) =
        read_replica!(engine, |conn| {
            let times = |from| driven!(driver.clone(), from, conditions.until).select(request_logs::timestamp);
            let newest = times(conditions.from).order(request_logs::timestamp.desc());
            let floor: Option<i64> = newest.offset(sample).limit(1).first(conn).await.optional()?;
            let oldest: Option<i64> =
                times(i64::MIN).order(request_logs::timestamp).limit(1).first(conn).await.optional()?;
            let finals = driven!(driver.clone(), floor.unwrap_or(conditions.from), conditions.until)
                .filter(request_logs::request_type.eq(FINAL));
            let finals = finals.count().get_result(conn).await?;
            let since = oldest.unwrap_or_default().max(conditions.from).saturating_sub(HOUR_MS);
            (floor, oldest, finals, conn.hours(group, since.saturating_sub(HOUR_MS), conditions.until).await?)
        });
    let floor = floor.unwrap_or(conditions.from);
    let oldest = oldest.unwrap_or(conditions.from);
    let matches = newest.partition_point(|at| *at >= floor);
    // Rows that begin in the middle of the first hour that was ever counted are all that this hour had; otherwise those
    // before them are gone.
    let is_first = !matches!(hours[..], [HourSums { time, .. }, ..] if oldest >= time.saturating_add(HOUR_MS));
    let span = Span {
        begin: if is_first { oldest } else { i64::MIN },
        from: oldest.max(conditions.from),
        until: conditions.until.min((now + Duration::from_millis(1)).0),
        now: now.0,
    };
    let requests: f64 = hours.iter().map(|hour| span.requests_of(hour)).sum();
    let estimated = if finals == 0 { 0.0 } else { requests * matches as f64 / finals as f64 };
    // What was seen is the least.
    Ok((estimated.round() as i64).max(i64::try_from(newest.len()).unwrap_or(i64::MAX)))
}

/// The time that rows are estimated for.
#[derive(Clone, Copy)]
struct Span {
    /// When the first request was counted.
    begin: i64,
    from: i64,
    until: i64,
    now: i64,
}

impl Span {
    /// The requests of an hour that ended in `[from, until)`, as if they were spread evenly over the part of it in which
    /// requests were counted.
    fn requests_of(self, hour: &HourSums) -> f64 {
        let begin = hour.time.max(self.begin);
        let end = (hour.time + HOUR_MS).min(self.now.saturating_add(1)).max(begin + 1);
        let within = end.min(self.until).saturating_sub(begin.max(self.from)).max(0);
        (hour.successes + hour.failures) as f64 * within as f64 / (end - begin) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_counts_by_the_share_that_is_asked_for() {
        let hour = HourSums { time: HOUR_MS, successes: 60, failures: 30, timed: 0, duration_ms: 0 };
        let (half, late) = (HOUR_MS + HOUR_MS / 2, 9 * HOUR_MS);
        let cases = [
            (i64::MIN, 0, 3 * HOUR_MS, late, 90.0),
            (i64::MIN, HOUR_MS + HOUR_MS / 3, 3 * HOUR_MS, late, 60.0),
            (i64::MIN, 0, HOUR_MS + HOUR_MS / 3, late, 30.0),
            (i64::MIN, 0, HOUR_MS, late, 0.0),
            (i64::MIN, 2 * HOUR_MS, 3 * HOUR_MS, late, 0.0),
            (i64::MIN, i64::MIN, i64::MAX, late, 90.0),
            (i64::MIN, 0, half + 1, half, 90.0),
            (half, half, i64::MAX, late, 90.0),
            (half, half + HOUR_MS / 4, i64::MAX, late, 45.0),
        ];
        for (begin, from, until, now, requests) in cases {
            let counted = Span { begin, from, until, now }.requests_of(&hour);
            assert!((counted - requests).abs() < 1e-6, "{begin} {from}-{until} at {now}: {counted}");
        }
    }
}
