//! What is counted as log rows are stored, so that no dashboard has to count the log.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use diesel::{ExpressionMethods, Insertable, QueryDsl};
use diesel_async::RunQueryDsl;

use super::{
    Requests, Store, StoreResult, Writer,
    logs::LogRow,
    pool::{read_replica, write},
    tables::{hourly_outcomes, request_counts},
};
use crate::{ids::GroupId, time::Timestamp};

/// Requests are counted within spans of this length, which begin at its multiples.
pub const RECENT_SPAN: Duration = Duration::from_secs(10);
/// Class of requests that were refused before an attempt.
pub const GATEWAY_CLASS: &str = "gateway";

/// How long counts of ten seconds are kept.
const RECENT_KEPT: Duration = Duration::from_secs(3 * 60 * 60);
/// How long hours are kept.
const HOURS_KEPT: Duration = Duration::from_secs(92 * 24 * 60 * 60);
const RECENT_MS: i64 = 10_000;
const HOUR_MS: i64 = 3_600_000;
/// Stands for all groups.
const EVERYTHING: i64 = 0;

/// Attempts of one class within one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourOutcome {
    /// Begin of the hour.
    pub time: Timestamp,
    /// An outcome class, or [`GATEWAY_CLASS`].
    pub class: String,
    /// Attempts, also those that were followed by another.
    pub attempts: i64,
    /// Those that ended a request.
    pub requests: i64,
    /// What they took.
    pub tokens: Tokens,
}

/// Tokens as far as providers counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of prompts, cached ones included.
    pub input: i64,
    /// Of answers, reasoning ones included.
    pub output: i64,
    /// Of prompts, read from a cache.
    pub cached: i64,
    /// Of answers, spent on reasoning.
    pub reasoning: i64,
}

impl Tokens {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cached: self.cached.saturating_add(other.cached),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

#[derive(Clone, Copy, Debug, Insertable)]
#[diesel(table_name = request_counts)]
pub(super) struct RecentRow {
    pub(super) group_id: i64,
    pub(super) time: i64,
    pub(super) success_count: i64,
    pub(super) failure_count: i64,
}

#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = hourly_outcomes)]
pub(super) struct OutcomeRow {
    pub(super) group_id: i64,
    pub(super) time: i64,
    pub(super) class: String,
    pub(super) attempt_count: i64,
    pub(super) request_count: i64,
    pub(super) input_tokens: i64,
    pub(super) output_tokens: i64,
    pub(super) cached_tokens: i64,
    pub(super) reasoning_tokens: i64,
}

/// What new log rows add.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) recent: Vec<RecentRow>,
    pub(super) outcomes: Vec<OutcomeRow>,
}

impl Tallies {
    pub(super) fn of(rows: &[LogRow]) -> Self {
        let mut recent: BTreeMap<(i64, i64), RecentRow> = BTreeMap::new();
        let mut outcomes: BTreeMap<(i64, i64, &str), OutcomeRow> = BTreeMap::new();
        for row in rows {
            let (span, hour) = (begin(row.timestamp, RECENT_MS), begin(row.timestamp, HOUR_MS));
            let class = row.outcome_class.as_deref().unwrap_or(GATEWAY_CLASS);
            for group_id in [Some(EVERYTHING), Some(row.group_id), row.parent_group_id].into_iter().flatten() {
                let outcome = outcomes.entry((group_id, hour, class)).or_insert_with(|| OutcomeRow {
                    group_id,
                    time: hour,
                    class: class.to_owned(),
                    attempt_count: 0,
                    request_count: 0,
                    input_tokens: 0,
                    output_tokens: 0,
                    cached_tokens: 0,
                    reasoning_tokens: 0,
                });
                outcome.attempt_count += 1;
                let add = |sum: &mut i64, tokens: Option<i64>| *sum = sum.saturating_add(tokens.unwrap_or(0));
                add(&mut outcome.input_tokens, row.input_tokens);
                add(&mut outcome.output_tokens, row.output_tokens);
                add(&mut outcome.cached_tokens, row.cached_tokens);
                add(&mut outcome.reasoning_tokens, row.reasoning_tokens);
                if row.is_final() {
                    outcome.request_count += 1;
                    let count = RecentRow { group_id, time: span, success_count: 0, failure_count: 0 };
                    let count = recent.entry((group_id, span)).or_insert(count);
                    count.success_count += i64::from(row.is_success);
                    count.failure_count += i64::from(!row.is_success);
                }
            }
        }
        Self { recent: recent.into_values().collect(), outcomes: outcomes.into_values().collect() }
    }
}

const fn begin(at: i64, length: i64) -> i64 {
    at.div_euclid(length) * length
}

/// One hour of one class, as it is stored.
type StoredOutcome = (i64, String, i64, i64, i64, i64, i64, i64);

/// Counts of the spans that begin in a time.
macro_rules! recent {
    ($group:expr, $from:expr, $until:expr) => {
        request_counts::table
            .filter(request_counts::group_id.eq($group))
            .filter(request_counts::time.ge($from))
            .filter(request_counts::time.lt($until))
            .select((request_counts::success_count, request_counts::failure_count))
    };
}

/// Outcomes of the hours that begin in a time.
macro_rules! outcomes {
    ($group:expr, $from:expr, $until:expr) => {
        hourly_outcomes::table
            .filter(hourly_outcomes::group_id.eq($group))
            .filter(hourly_outcomes::time.ge($from))
            .filter(hourly_outcomes::time.lt($until))
            .order((hourly_outcomes::time, hourly_outcomes::class))
            .select((
                hourly_outcomes::time,
                hourly_outcomes::class,
                hourly_outcomes::attempt_count,
                hourly_outcomes::request_count,
                hourly_outcomes::input_tokens,
                hourly_outcomes::output_tokens,
                hourly_outcomes::cached_tokens,
                hourly_outcomes::reasoning_tokens,
            ))
    };
}

impl Store {
    /// Requests that ended in the spans of [`RECENT_SPAN`] that begin in `[from, until)`: those of one group, which may be
    /// an aggregate, or all of them. For the last hours; durations are not told.
    pub async fn requests_ended(
        &self,
        group: Option<GroupId>,
        from: Timestamp,
        until: Timestamp,
    ) -> StoreResult<Requests> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let group = group.map_or(EVERYTHING, |id| id.0);
                let rows: Vec<(i64, i64)> =
                    read_replica!(engine, |conn| recent!(group, from.0, until.0).load(conn).await?);
                Ok(rows.into_iter().fold(Requests::default(), |sum, (successes, failures)| {
                    sum.plus(Requests { successes, failures, ..Requests::default() })
                }))
            })
            .await
    }

    /// Attempts by class in the hours that begin in `[from, until)`, ascending: those of one group, which may be an
    /// aggregate or gone, or all of them. For the last months.
    pub async fn outcomes(
        &self,
        group: Option<GroupId>,
        from: Timestamp,
        until: Timestamp,
    ) -> StoreResult<Vec<HourOutcome>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let group = group.map_or(EVERYTHING, |id| id.0);
                let rows: Vec<StoredOutcome> =
                    read_replica!(engine, |conn| outcomes!(group, from.0, until.0).load(conn).await?);
                let outcome = |(time, class, attempts, requests, input, output, cached, reasoning)| {
                    let tokens = Tokens { input, output, cached, reasoning };
                    HourOutcome { time: Timestamp(time), class, attempts, requests, tokens }
                };
                Ok(rows.into_iter().map(outcome).collect())
            })
            .await
    }
}

impl Writer {
    /// Deletes what was counted too long ago to be asked for.
    pub async fn prune_tallies(&self, now: Timestamp) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let old = request_counts::table.filter(request_counts::time.lt((now - RECENT_KEPT).0));
                    diesel::delete(old).execute(conn).await?;
                    let old = hourly_outcomes::table.filter(hourly_outcomes::time.lt((now - HOURS_KEPT).0));
                    diesel::delete(old).execute(conn).await?;
                    Ok(())
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::plans::assert_goes_by;

    #[test]
    fn what_was_counted_is_found_by_its_key() {
        assert_goes_by(&recent!(1, 1, 2), "sqlite_autoindex_request_counts_1", "recent requests");
        assert_goes_by(&outcomes!(1, 1, 2), "sqlite_autoindex_hourly_outcomes_1", "outcomes");
    }
}
