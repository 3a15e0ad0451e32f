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
        pool::{Engine, read},
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
    let (floor, oldest, finals, hours): (i64, i64, i64, Vec<HourSums>) = read!(engine, |conn| {
        let times = || driven!(driver.clone(), conditions.from, conditions.until).select(request_logs::timestamp);
        let floor = times().order(request_logs::timestamp.desc()).offset(sample).first(conn).await.optional()?;
        let oldest = times().order(request_logs::timestamp).first(conn).await.optional()?;
        let (floor, oldest) = (floor.or(oldest).unwrap_or(conditions.from), oldest.unwrap_or(conditions.from));
        let finals = driven!(driver.clone(), floor, conditions.until).filter(request_logs::request_type.eq(FINAL));
        let finals = finals.count().get_result(conn).await?;
        (floor, oldest, finals, conn.hours(group, oldest.saturating_sub(HOUR_MS), conditions.until).await?)
    });
    let matches = newest.partition_point(|at| *at >= floor);
    let (from, until) = (oldest, conditions.until.min((now + Duration::from_millis(1)).0));
    let requests: f64 = hours.iter().map(|hour| requests_within(hour, from, until, now.0)).sum();
    let estimated = if finals == 0 { 0.0 } else { requests * matches as f64 / finals as f64 };
    // What was seen is the least.
    Ok((estimated.round() as i64).max(i64::try_from(newest.len()).unwrap_or(i64::MAX)))
}

/// The requests of an hour that ended in `[from, until)`, as if they were spread evenly over it; the hour that is not over
/// ends `now`.
fn requests_within(hour: &HourSums, from: i64, until: i64, now: i64) -> f64 {
    let end = (hour.time + HOUR_MS).min(now.max(hour.time + 1));
    let within = end.min(until).saturating_sub(hour.time.max(from)).max(0);
    (hour.successes + hour.failures) as f64 * within as f64 / (end - hour.time) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_counts_by_the_share_that_is_asked_for() {
        let hour = HourSums { time: HOUR_MS, successes: 60, failures: 30, timed: 0, duration_ms: 0 };
        let cases = [
            (0, 3 * HOUR_MS, 90.0),
            (HOUR_MS + HOUR_MS / 3, 3 * HOUR_MS, 60.0),
            (0, HOUR_MS + HOUR_MS / 3, 30.0),
            (0, HOUR_MS, 0.0),
            (2 * HOUR_MS, 3 * HOUR_MS, 0.0),
        ];
        for (from, until, requests) in cases {
            assert!((requests_within(&hour, from, until, 9 * HOUR_MS) - requests).abs() < 1e-6, "{from}-{until}");
        }
        let half_over = requests_within(&hour, 0, i64::MAX, HOUR_MS + HOUR_MS / 2);
        assert!((half_over - 90.0).abs() < 1e-6, "the hour that is not over counts whole: {half_over}");
    }
}
