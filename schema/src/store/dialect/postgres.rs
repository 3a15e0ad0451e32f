//! PostgreSQL: one statement for many rows.
//!
//! Updates take their rows as one array per column, so that the statement is the same whatever their number.

use diesel::{
    ExpressionMethods, QueryDsl, QueryResult,
    dsl::sql,
    pg::Pg,
    sql_query,
    sql_types::{Array, BigInt, Bool, Integer, Nullable, Text},
    upsert::excluded,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::{
    Dialect, HealthRow, HourSums, HourlyRow, KeyUsage, NewKey, Rows, SettingRow,
    batches::{by_weight, kept, last_of_each, rounds},
    cells::{self, Cell},
};
use crate::store::{
    logs::LogRow,
    proofs::ProofRow,
    resources::ResourceRow,
    tables::{api_keys, group_hourly_stats, outcome_proofs, request_logs, resources, system_settings},
};

/// Rows of one statement: below 65,535 variables for every table of this program.
const ROWS: usize = 1_000;
/// Bytes of text in one statement, about.
const BYTES: usize = 8 << 20;

/// The sums of each hour that begins in `[$from, $until)`.
macro_rules! hours {
    ($from:expr, $until:expr) => {
        group_hourly_stats::table
            .group_by(group_hourly_stats::time)
            .select((
                group_hourly_stats::time,
                sql::<BigInt>("SUM(success_count)::BIGINT"),
                sql::<BigInt>("SUM(failure_count)::BIGINT"),
                sql::<BigInt>(
                    "SUM(CASE WHEN duration_ms IS NULL THEN 0 ELSE success_count + failure_count END)::BIGINT",
                ),
                sql::<BigInt>("COALESCE(SUM(duration_ms), 0)::BIGINT"),
            ))
            .filter(group_hourly_stats::time.ge($from))
            .filter(group_hourly_stats::time.lt($until))
            .order(group_hourly_stats::time)
    };
}

impl Dialect for AsyncPgConnection {
    async fn insert_keys(&mut self, rows: Vec<NewKey>) -> QueryResult<Vec<NewKey>> {
        let mut new = Vec::with_capacity(rows.len());
        for batch in by_weight(rows, ROWS, BYTES, NewKey::weight) {
            let ids: Vec<i64> = diesel::insert_into(api_keys::table)
                .values(&batch)
                .on_conflict((api_keys::group_id, api_keys::key_hash))
                .do_nothing()
                .returning(api_keys::id)
                .get_results(self)
                .await?;
            new.extend(kept(batch, ids, |row| row.id));
        }
        Ok(new)
    }

    async fn insert_logs(&mut self, rows: Vec<LogRow>) -> QueryResult<Vec<LogRow>> {
        let mut new = Vec::with_capacity(rows.len());
        for batch in by_weight(rows, ROWS, BYTES, LogRow::weight) {
            let ids: Vec<String> = diesel::insert_into(request_logs::table)
                .values(&batch)
                .on_conflict(request_logs::id)
                .do_nothing()
                .returning(request_logs::id)
                .get_results(self)
                .await?;
            new.extend(kept(batch, ids, |row| row.id.clone()));
        }
        Ok(new)
    }

    async fn put_resources(&mut self, rows: Vec<ResourceRow>) -> QueryResult<()> {
        use resources::{expires_at, group_id, key_id, kind, resource_id, table};
        for batch in last_of_each(rows, ResourceRow::identity).chunks(ROWS) {
            diesel::insert_into(table)
                .values(batch)
                .on_conflict((group_id, resource_id))
                .do_update()
                .set((key_id.eq(excluded(key_id)), kind.eq(excluded(kind)), expires_at.eq(excluded(expires_at))))
                .execute(self)
                .await?;
        }
        Ok(())
    }

    async fn put_proofs(&mut self, rows: Vec<ProofRow>) -> QueryResult<()> {
        use outcome_proofs::{key_id, node, position, table};
        for batch in last_of_each(rows, ProofRow::identity).chunks(ROWS) {
            diesel::insert_into(table)
                .values(batch)
                .on_conflict((node, key_id))
                .do_update()
                .set(position.eq(excluded(position)))
                .execute(self)
                .await?;
        }
        Ok(())
    }

    async fn store_health(&mut self, rows: Vec<HealthRow>) -> QueryResult<()> {
        for round in rounds(rows, |row| row.id) {
            for batch in by_weight(round, ROWS, BYTES, HealthRow::weight) {
                store_health(self, &batch).await?;
            }
        }
        Ok(())
    }

    async fn add_usage(&mut self, rows: Vec<KeyUsage>) -> QueryResult<()> {
        for batch in rows.chunks(ROWS) {
            sql_query(
                "UPDATE api_keys AS k SET request_count = k.request_count + v.successes, \
                 last_used_at = GREATEST(k.last_used_at, v.last_used_at) \
                 FROM UNNEST($1, $2, $3) AS v (id, successes, last_used_at) WHERE k.id = v.id",
            )
            .bind::<Array<BigInt>, _>(column(batch, |row| row.id))
            .bind::<Array<BigInt>, _>(column(batch, |row| row.successes))
            .bind::<Array<BigInt>, _>(column(batch, |row| row.last_used_at))
            .execute(self)
            .await?;
        }
        Ok(())
    }

    async fn add_hourly(&mut self, rows: Vec<HourlyRow>) -> QueryResult<()> {
        use group_hourly_stats::{duration_ms, failure_count, group_id, success_count, table, time, updated_at};
        for batch in rows.chunks(ROWS) {
            diesel::insert_into(table)
                .values(batch)
                .on_conflict((group_id, time))
                .do_update()
                .set((
                    success_count.eq(success_count + excluded(success_count)),
                    failure_count.eq(failure_count + excluded(failure_count)),
                    // Unknown plus anything stays unknown.
                    duration_ms.eq(duration_ms + excluded(duration_ms)),
                    updated_at.eq(excluded(updated_at)),
                ))
                .execute(self)
                .await?;
        }
        Ok(())
    }

    async fn put_settings(&mut self, rows: Vec<SettingRow>) -> QueryResult<()> {
        use system_settings::{setting_key, setting_value, table, updated_at};
        for batch in last_of_each(rows, |row| row.setting_key.clone()).chunks(ROWS) {
            diesel::insert_into(table)
                .values(batch)
                .on_conflict(setting_key)
                .do_update()
                .set((setting_value.eq(excluded(setting_value)), updated_at.eq(excluded(updated_at))))
                .execute(self)
                .await?;
        }
        Ok(())
    }

    async fn insert_rows(&mut self, rows: Rows) -> QueryResult<usize> {
        let mut inserted = 0;
        for chunk in rows.chunks() {
            let mut statement = sql_query(cells::insert_sql(&cells::POSTGRES, &rows, chunk)).into_boxed::<Pg>();
            for cell in chunk.iter().flatten() {
                statement = match cell {
                    // Written into the statement: a variable would need the type of its column.
                    Cell::Null => statement,
                    Cell::Int(number) => statement.bind::<BigInt, _>(*number),
                    Cell::Bool(truth) => statement.bind::<Bool, _>(*truth),
                    Cell::Text(text) => statement.bind::<Text, _>(text),
                };
            }
            inserted += statement.execute(self).await?;
        }
        Ok(inserted)
    }

    async fn key_ids(&mut self, table: String, wanted: Vec<(i64, String)>) -> QueryResult<Vec<(i64, String, i64)>> {
        let sql = format!(
            r#"SELECT k.group_id, k.key_hash, k.id FROM "{table}" AS k
               JOIN UNNEST($1, $2) AS v (group_id, key_hash) ON k.group_id = v.group_id AND k.key_hash = v.key_hash"#
        );
        let found: Vec<cells::Found> = sql_query(sql)
            .bind::<Array<BigInt>, _>(column(&wanted, |(group, _)| *group))
            .bind::<Array<Text>, _>(column(&wanted, |(_, hash)| hash.as_str()))
            .load(self)
            .await?;
        Ok(found.into_iter().map(cells::Found::into_tuple).collect())
    }

    async fn wipe_deleted(&mut self, _on: bool) -> QueryResult<()> {
        // A server has no such switch: what is deleted stays in its files until it cleans up.
        Ok(())
    }

    async fn rebuild(&mut self) -> QueryResult<()> {
        let sql = "SELECT quote_ident(table_name) AS name FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'";
        let tables: Vec<cells::Name> = sql_query(sql).load(self).await?;
        for table in tables {
            self.batch_execute(&format!("VACUUM FULL {}", table.name)).await?;
        }
        Ok(())
    }

    async fn has_legacy_tables(&mut self) -> QueryResult<bool> {
        let there = "EXISTS (SELECT 1 FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_name LIKE 'legacy!_%' ESCAPE '!')";
        diesel::select(sql::<Bool>(there)).get_result(self).await
    }

    async fn request_totals(&mut self) -> QueryResult<(i64, i64)> {
        group_hourly_stats::table
            .filter(group_hourly_stats::is_aggregate.eq(false))
            .select((
                sql::<BigInt>("COALESCE(SUM(success_count), 0)::BIGINT"),
                sql::<BigInt>("COALESCE(SUM(failure_count), 0)::BIGINT"),
            ))
            .first(self)
            .await
    }

    async fn hours(&mut self, group: Option<i64>, from: i64, until: i64) -> QueryResult<Vec<HourSums>> {
        use group_hourly_stats::{group_id, is_aggregate};
        match group {
            Some(group) => hours!(from, until).filter(group_id.eq(group)).load(self).await,
            None => hours!(from, until).filter(is_aggregate.eq(false)).load(self).await,
        }
    }
}

/// One column of `rows`.
fn column<'a, R, V>(rows: &'a [R], value: impl Fn(&'a R) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

/// Stores the health of different keys.
async fn store_health(connection: &mut AsyncPgConnection, rows: &[HealthRow]) -> QueryResult<()> {
    sql_query(
        "UPDATE api_keys AS k SET status = v.status, generation = v.generation, \
         consecutive_failures = v.consecutive_failures, backoff_level = v.backoff_level, \
         disabled_until = v.disabled_until, resting_until = v.resting_until, last_failure_at = v.last_failure_at, \
         last_success_at = v.last_success_at, last_validated_at = v.last_validated_at, \
         last_error_message = v.last_error_message, last_class = v.last_class, last_rule = v.last_rule, \
         cooldown_level = v.cooldown_level, next_validation_at = v.next_validation_at, \
         validation_level = v.validation_level, model_health = v.model_health, \
         failure_count = k.failure_count * v.keep_failures + v.add_failures, updated_at = v.updated_at \
         FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) \
         AS v (id, status, generation, consecutive_failures, backoff_level, disabled_until, resting_until, \
         last_failure_at, last_success_at, last_validated_at, last_error_message, last_class, last_rule, \
         cooldown_level, next_validation_at, validation_level, model_health, keep_failures, add_failures, updated_at) \
         WHERE k.id = v.id AND k.generation <= v.generation",
    )
    .bind::<Array<BigInt>, _>(column(rows, |row| row.id))
    .bind::<Array<Text>, _>(column(rows, |row| row.status))
    .bind::<Array<BigInt>, _>(column(rows, |row| row.generation))
    .bind::<Array<Integer>, _>(column(rows, |row| row.consecutive_failures))
    .bind::<Array<Integer>, _>(column(rows, |row| row.backoff_level))
    .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.disabled_until))
    .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.resting_until))
    .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.last_failure_at))
    .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.last_success_at))
    .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.last_validated_at))
    .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.last_error_message.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.last_class.as_deref()))
    .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.last_rule.as_deref()))
    .bind::<Array<Integer>, _>(column(rows, |row| row.cooldown_level))
    .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.next_validation_at))
    .bind::<Array<Integer>, _>(column(rows, |row| row.validation_level))
    .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.model_health.as_deref()))
    .bind::<Array<BigInt>, _>(column(rows, |row| row.keep_failures))
    .bind::<Array<BigInt>, _>(column(rows, |row| row.add_failures))
    .bind::<Array<BigInt>, _>(column(rows, |row| row.updated_at))
    .execute(connection)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        pool::Pools,
        testing::Kind,
        tests::{
            Fixture,
            plans::{Explain, analyse, assert_server_goes_by},
        },
    };

    #[tokio::test]
    async fn hours_go_by_their_index() {
        let fixture = Fixture::new(Kind::Postgres).await;
        for group in 0..10 {
            let rows: Vec<String> =
                (0..2_000).map(|hour| format!("({group}, {}, 1, 1, 0, 0)", hour * 3_600_000_i64)).collect();
            fixture.database.run(&format!(
                "INSERT INTO group_hourly_stats (group_id, time, success_count, failure_count, created_at, updated_at) \
                 VALUES {}",
                rows.join(",")
            ));
        }
        analyse(&fixture.database, "group_hourly_stats");
        let Pools::Postgres(pools) = &fixture.store.engine.pools else { panic!("another database") };
        let mut connection = pools.readers.get().await.expect("a connection");
        let (from, until) = (1_900 * 3_600_000_i64, 1_924 * 3_600_000_i64);
        let all = Explain(hours!(from, until).filter(group_hourly_stats::is_aggregate.eq(false)));
        let one = Explain(hours!(from, until).filter(group_hourly_stats::group_id.eq(1)));
        let all: Vec<String> = all.load(&mut *connection).await.expect("a plan");
        let one: Vec<String> = one.load(&mut *connection).await.expect("a plan");
        assert_server_goes_by(Kind::Postgres, &all.join("\n"), "idx_group_hourly_stats_time", "all groups");
        assert_server_goes_by(Kind::Postgres, &one.join("\n"), "group_hourly_stats_pkey", "one group");
    }
}
