//! SQLite: prepared single-row statements in a loop on the blocking thread of the connection.
//!
//! There is no round trip to save, a statement prepared once beats parsing one with ten thousand variables, and each
//! execution tells whether its row was new.

use diesel::{
    ExpressionMethods, QueryDsl, QueryResult, RunQueryDsl, SqliteConnection, connection::SimpleConnection, dsl::sql,
    sql_types, upsert::excluded,
};

use super::{Dialect, HealthRow, HourSums, HourlyRow, KeyUsage, NewKey, Rows, SettingRow, cells};
use crate::store::{
    logs::LogRow,
    pool::AsyncSqlite,
    proofs::ProofRow,
    resources::ResourceRow,
    tables::{
        api_keys, group_hourly_stats, hourly_outcomes, outcome_proofs, request_counts, request_logs, resources,
        system_settings,
    },
    takeover::inventory,
    tallies::{OutcomeRow, RecentRow, Tallies},
};

diesel::define_sql_function! {
    /// The greater of two numbers.
    #[sql_name = "max"]
    fn greater(a: sql_types::BigInt, b: sql_types::BigInt) -> sql_types::BigInt;
}

/// The sums of each hour that begins in `[$from, $until)`.
macro_rules! hours {
    ($from:expr, $until:expr) => {
        group_hourly_stats::table
            .group_by(group_hourly_stats::time)
            .select((
                group_hourly_stats::time,
                sql::<sql_types::BigInt>("SUM(success_count)"),
                sql::<sql_types::BigInt>("SUM(failure_count)"),
                sql::<sql_types::BigInt>(
                    "SUM(CASE WHEN duration_ms IS NULL THEN 0 ELSE success_count + failure_count END)",
                ),
                sql::<sql_types::BigInt>("COALESCE(SUM(duration_ms), 0)"),
            ))
            .filter(group_hourly_stats::time.ge($from))
            .filter(group_hourly_stats::time.lt($until))
            .order(group_hourly_stats::time)
    };
}

impl Dialect for AsyncSqlite {
    async fn insert_keys(&mut self, rows: Vec<NewKey>) -> QueryResult<Vec<NewKey>> {
        self.spawn_blocking(move |connection| {
            keep_new(rows, |row| {
                diesel::insert_into(api_keys::table)
                    .values(row)
                    .on_conflict((api_keys::group_id, api_keys::key_hash))
                    .do_nothing()
                    .execute(connection)
            })
        })
        .await
    }

    async fn insert_logs(&mut self, rows: Vec<LogRow>) -> QueryResult<Vec<LogRow>> {
        self.spawn_blocking(move |connection| {
            // Not `insert_or_ignore_into`, which is faster: it would also swallow rows that break another constraint.
            keep_new(rows, |row| {
                diesel::insert_into(request_logs::table)
                    .values(row)
                    .on_conflict(request_logs::id)
                    .do_nothing()
                    .execute(connection)
            })
        })
        .await
    }

    async fn put_resources(&mut self, rows: Vec<ResourceRow>) -> QueryResult<()> {
        use resources::{expires_at, group_id, key_id, kind, resource_id, table};
        self.spawn_blocking(move |connection| {
            for row in rows {
                diesel::insert_into(table)
                    .values(row)
                    .on_conflict((group_id, resource_id))
                    .do_update()
                    .set((key_id.eq(excluded(key_id)), kind.eq(excluded(kind)), expires_at.eq(excluded(expires_at))))
                    .execute(connection)?;
            }
            Ok(())
        })
        .await
    }

    async fn put_proofs(&mut self, rows: Vec<ProofRow>) -> QueryResult<()> {
        use outcome_proofs::{key_id, node, position, table};
        self.spawn_blocking(move |connection| {
            for row in rows {
                diesel::insert_into(table)
                    .values(row)
                    .on_conflict((node, key_id))
                    .do_update()
                    .set(position.eq(excluded(position)))
                    .execute(connection)?;
            }
            Ok(())
        })
        .await
    }

    async fn store_health(&mut self, rows: Vec<HealthRow>) -> QueryResult<()> {
        self.spawn_blocking(move |connection| rows.iter().try_for_each(|row| store_health(connection, row))).await
    }

    async fn add_usage(&mut self, rows: Vec<KeyUsage>) -> QueryResult<()> {
        self.spawn_blocking(move |connection| {
            for row in rows {
                diesel::update(api_keys::table.find(row.id))
                    .set((
                        api_keys::request_count.eq(api_keys::request_count + row.successes),
                        api_keys::last_used_at.eq(greater(api_keys::last_used_at, row.last_used_at)),
                    ))
                    .execute(connection)?;
            }
            Ok(())
        })
        .await
    }

    async fn add_tallies(&mut self, tallies: Tallies) -> QueryResult<()> {
        self.spawn_blocking(move |connection| {
            add_recent(connection, tallies.recent)?;
            add_outcomes(connection, tallies.outcomes)
        })
        .await
    }

    async fn add_hourly(&mut self, rows: Vec<HourlyRow>) -> QueryResult<()> {
        use group_hourly_stats::{duration_ms, failure_count, group_id, success_count, table, time, updated_at};
        self.spawn_blocking(move |connection| {
            for row in rows {
                diesel::insert_into(table)
                    .values(row)
                    .on_conflict((group_id, time))
                    .do_update()
                    .set((
                        success_count.eq(success_count + excluded(success_count)),
                        failure_count.eq(failure_count + excluded(failure_count)),
                        // Unknown plus anything stays unknown.
                        duration_ms.eq(duration_ms + excluded(duration_ms)),
                        updated_at.eq(excluded(updated_at)),
                    ))
                    .execute(connection)?;
            }
            Ok(())
        })
        .await
    }

    async fn put_settings(&mut self, rows: Vec<SettingRow>) -> QueryResult<()> {
        use system_settings::{setting_key, setting_value, table, updated_at};
        self.spawn_blocking(move |connection| {
            for row in rows {
                diesel::insert_into(table)
                    .values(row)
                    .on_conflict(setting_key)
                    .do_update()
                    .set((setting_value.eq(excluded(setting_value)), updated_at.eq(excluded(updated_at))))
                    .execute(connection)?;
            }
            Ok(())
        })
        .await
    }

    async fn insert_rows(&mut self, rows: Rows) -> QueryResult<usize> {
        self.spawn_blocking(move |connection| cells::insert_rows(connection, &rows)).await
    }

    async fn key_ids(&mut self, table: String, wanted: Vec<(i64, String)>) -> QueryResult<Vec<(i64, String, i64)>> {
        self.spawn_blocking(move |connection| cells::key_ids(connection, &table, &wanted)).await
    }

    async fn wipe_deleted(&mut self, on: bool) -> QueryResult<()> {
        // What the write-ahead log still holds goes with it.
        let sql = if on {
            "PRAGMA secure_delete = ON"
        } else {
            "PRAGMA secure_delete = OFF; PRAGMA wal_checkpoint(TRUNCATE)"
        };
        self.spawn_blocking(move |connection| connection.batch_execute(sql)).await
    }

    async fn rebuild(&mut self) -> QueryResult<()> {
        self.spawn_blocking(|connection| connection.batch_execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")).await
    }

    async fn has_legacy_tables(&mut self) -> QueryResult<bool> {
        let tables = self.spawn_blocking(|connection| inventory(connection)).await?;
        Ok(tables.0.keys().any(|table| table.starts_with("legacy_")))
    }

    async fn request_totals(&mut self) -> QueryResult<(i64, i64)> {
        self.spawn_blocking(|connection| {
            group_hourly_stats::table
                .filter(group_hourly_stats::is_aggregate.eq(false))
                .select((
                    sql::<sql_types::BigInt>("COALESCE(SUM(success_count), 0)"),
                    sql::<sql_types::BigInt>("COALESCE(SUM(failure_count), 0)"),
                ))
                .first(connection)
        })
        .await
    }

    async fn hours(&mut self, group: Option<i64>, from: i64, until: i64) -> QueryResult<Vec<HourSums>> {
        use group_hourly_stats::{group_id, is_aggregate};
        self.spawn_blocking(move |connection| match group {
            Some(group) => hours!(from, until).filter(group_id.eq(group)).load(connection),
            None => hours!(from, until).filter(is_aggregate.eq(false)).load(connection),
        })
        .await
    }
}

fn add_recent(connection: &mut SqliteConnection, rows: Vec<RecentRow>) -> QueryResult<()> {
    use request_counts::{failure_count, group_id, success_count, table, time};
    for row in rows {
        diesel::insert_into(table)
            .values(row)
            .on_conflict((group_id, time))
            .do_update()
            .set((
                success_count.eq(success_count + excluded(success_count)),
                failure_count.eq(failure_count + excluded(failure_count)),
            ))
            .execute(connection)?;
    }
    Ok(())
}

fn add_outcomes(connection: &mut SqliteConnection, rows: Vec<OutcomeRow>) -> QueryResult<()> {
    use hourly_outcomes::{
        attempt_count, cached_tokens, class, group_id, input_tokens, output_tokens, reasoning_tokens, request_count,
        table, time,
    };
    for row in rows {
        diesel::insert_into(table)
            .values(row)
            .on_conflict((group_id, time, class))
            .do_update()
            .set((
                attempt_count.eq(attempt_count + excluded(attempt_count)),
                request_count.eq(request_count + excluded(request_count)),
                input_tokens.eq(input_tokens + excluded(input_tokens)),
                output_tokens.eq(output_tokens + excluded(output_tokens)),
                cached_tokens.eq(cached_tokens + excluded(cached_tokens)),
                reasoning_tokens.eq(reasoning_tokens + excluded(reasoning_tokens)),
            ))
            .execute(connection)?;
    }
    Ok(())
}

/// The rows whose insertion added something.
fn keep_new<R>(mut rows: Vec<R>, mut insert: impl FnMut(&R) -> QueryResult<usize>) -> QueryResult<Vec<R>> {
    let mut failed = None;
    rows.retain(|row| {
        failed.is_none() && insert(row).map_err(|error| failed = Some(error)).is_ok_and(|inserted| inserted > 0)
    });
    failed.map_or(Ok(rows), Err)
}

fn store_health(connection: &mut SqliteConnection, row: &HealthRow) -> QueryResult<()> {
    diesel::update(api_keys::table.find(row.id).filter(api_keys::generation.le(row.generation)))
        .set((
            api_keys::status.eq(row.status),
            api_keys::generation.eq(row.generation),
            api_keys::consecutive_failures.eq(row.consecutive_failures),
            api_keys::backoff_level.eq(row.backoff_level),
            api_keys::disabled_until.eq(row.disabled_until),
            api_keys::resting_until.eq(row.resting_until),
            api_keys::last_failure_at.eq(row.last_failure_at),
            api_keys::last_success_at.eq(row.last_success_at),
            api_keys::last_validated_at.eq(row.last_validated_at),
            api_keys::last_error_message.eq(&row.last_error_message),
            api_keys::last_class.eq(&row.last_class),
            api_keys::last_rule.eq(&row.last_rule),
            api_keys::cooldown_level.eq(row.cooldown_level),
            api_keys::next_validation_at.eq(row.next_validation_at),
            api_keys::validation_level.eq(row.validation_level),
            api_keys::model_health.eq(&row.model_health),
            api_keys::failure_count.eq(api_keys::failure_count * row.keep_failures + row.add_failures),
            api_keys::updated_at.eq(row.updated_at),
        ))
        .execute(connection)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::plans::assert_goes_by;

    #[test]
    fn hours_go_by_their_index() {
        let all = hours!(1, 2).filter(group_hourly_stats::is_aggregate.eq(false));
        assert_goes_by(&all, "idx_group_hourly_stats_time", "all groups");
        let group = hours!(1, 2).filter(group_hourly_stats::group_id.eq(1));
        assert_goes_by(&group, "sqlite_autoindex_group_hourly_stats_1", "one group");
    }
}
