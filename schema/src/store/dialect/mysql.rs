//! MySQL and MariaDB: one statement for many rows.
//!
//! Updates take their rows as one JSON text, so that the statement is the same whatever their number. There is no
//! RETURNING; since writers take turns, what is there can be looked up before rows are inserted.

use std::collections::{BTreeMap, HashSet};

use diesel::{
    ExpressionMethods, QueryDsl, QueryResult,
    dsl::{DuplicatedKeys, sql},
    mysql::Mysql,
    result::Error,
    sql_query,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::{AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use serde_json::{Value, json};

use super::{
    Dialect, HealthRow, HourSums, HourlyRow, KeyUsage, NewKey, Rows, SettingRow,
    batches::{by_weight, last_of_each, rounds},
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
/// Bytes of text in one statement, about: servers take packets of 16 MiB, old ones of 4.
const BYTES: usize = 2 << 20;

/// The sums of each hour that begins in `[$from, $until)`.
macro_rules! hours {
    ($from:expr, $until:expr) => {
        group_hourly_stats::table
            .group_by(group_hourly_stats::time)
            .select((
                group_hourly_stats::time,
                sql::<BigInt>("CAST(SUM(success_count) AS SIGNED)"),
                sql::<BigInt>("CAST(SUM(failure_count) AS SIGNED)"),
                sql::<BigInt>(
                    "CAST(SUM(CASE WHEN duration_ms IS NULL THEN 0 ELSE success_count + failure_count END) AS SIGNED)",
                ),
                sql::<BigInt>("CAST(COALESCE(SUM(duration_ms), 0) AS SIGNED)"),
            ))
            .filter(group_hourly_stats::time.ge($from))
            .filter(group_hourly_stats::time.lt($until))
            .order(group_hourly_stats::time)
    };
}

impl Dialect for AsyncMysqlConnection {
    async fn insert_keys(&mut self, rows: Vec<NewKey>) -> QueryResult<Vec<NewKey>> {
        let mut new = Vec::with_capacity(rows.len());
        for batch in by_weight(rows, ROWS, BYTES, NewKey::weight) {
            let wanted = batch.iter().map(|row| (row.group_id, row.key_hash.clone())).collect();
            let found = self.key_ids("api_keys".to_owned(), wanted).await?;
            let mut known: HashSet<(i64, String)> = found.into_iter().map(|(group, hash, _)| (group, hash)).collect();
            let fresh: Vec<NewKey> =
                batch.into_iter().filter(|row| known.insert((row.group_id, row.key_hash.clone()))).collect();
            if !fresh.is_empty() {
                diesel::insert_into(api_keys::table).values(&fresh).execute(self).await?;
            }
            new.extend(fresh);
        }
        Ok(new)
    }

    async fn insert_logs(&mut self, rows: Vec<LogRow>) -> QueryResult<Vec<LogRow>> {
        let mut new = Vec::with_capacity(rows.len());
        for batch in by_weight(rows, ROWS, BYTES, LogRow::weight) {
            let ids = request_logs::table.filter(request_logs::id.eq_any(batch.iter().map(|row| &row.id)));
            let mut known: HashSet<String> = ids.select(request_logs::id).load(self).await?.into_iter().collect();
            let fresh: Vec<LogRow> = batch.into_iter().filter(|row| known.insert(row.id.clone())).collect();
            if !fresh.is_empty() {
                diesel::insert_into(request_logs::table).values(&fresh).execute(self).await?;
            }
            new.extend(fresh);
        }
        Ok(new)
    }

    async fn put_resources(&mut self, rows: Vec<ResourceRow>) -> QueryResult<()> {
        use resources::{expires_at, key_id, kind, table};
        for batch in last_of_each(rows, ResourceRow::identity).chunks(ROWS) {
            diesel::insert_into(table)
                .values(batch)
                .on_conflict(DuplicatedKeys)
                .do_update()
                .set((
                    key_id.eq(sql::<BigInt>("VALUES(key_id)")),
                    kind.eq(sql::<Text>("VALUES(kind)")),
                    expires_at.eq(sql::<BigInt>("VALUES(expires_at)")),
                ))
                .execute(self)
                .await?;
        }
        Ok(())
    }

    async fn put_proofs(&mut self, rows: Vec<ProofRow>) -> QueryResult<()> {
        use outcome_proofs::{position, table};
        for batch in last_of_each(rows, ProofRow::identity).chunks(ROWS) {
            diesel::insert_into(table)
                .values(batch)
                .on_conflict(DuplicatedKeys)
                .do_update()
                .set(position.eq(sql::<BigInt>("VALUES(position)")))
                .execute(self)
                .await?;
        }
        Ok(())
    }

    async fn store_health(&mut self, rows: Vec<HealthRow>) -> QueryResult<()> {
        for round in rounds(rows, |row| row.id) {
            for batch in by_weight(round, ROWS, BYTES, HealthRow::weight) {
                sql_query(STORE_HEALTH).bind::<Text, _>(json_rows(&batch, health_json)?).execute(self).await?;
            }
        }
        Ok(())
    }

    async fn add_usage(&mut self, rows: Vec<KeyUsage>) -> QueryResult<()> {
        for batch in rows.chunks(ROWS) {
            let usage = |row: &KeyUsage| json!({"i": row.id, "s": row.successes, "u": row.last_used_at});
            sql_query(
                "UPDATE api_keys AS k JOIN JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$.i', \
                 successes BIGINT PATH '$.s', used_at BIGINT PATH '$.u')) AS v ON k.id = v.id \
                 SET k.request_count = k.request_count + v.successes, \
                 k.last_used_at = GREATEST(k.last_used_at, v.used_at)",
            )
            .bind::<Text, _>(json_rows(batch, usage)?)
            .execute(self)
            .await?;
        }
        Ok(())
    }

    async fn add_hourly(&mut self, rows: Vec<HourlyRow>) -> QueryResult<()> {
        use group_hourly_stats::{duration_ms, failure_count, success_count, table, updated_at};
        for batch in rows.chunks(ROWS) {
            diesel::insert_into(table)
                .values(batch)
                .on_conflict(DuplicatedKeys)
                .do_update()
                .set((
                    success_count.eq(success_count + sql::<BigInt>("VALUES(success_count)")),
                    failure_count.eq(failure_count + sql::<BigInt>("VALUES(failure_count)")),
                    // Unknown plus anything stays unknown.
                    duration_ms.eq(duration_ms + sql::<Nullable<BigInt>>("VALUES(duration_ms)")),
                    updated_at.eq(sql::<BigInt>("VALUES(updated_at)")),
                ))
                .execute(self)
                .await?;
        }
        Ok(())
    }

    async fn put_settings(&mut self, rows: Vec<SettingRow>) -> QueryResult<()> {
        use system_settings::{setting_value, table, updated_at};
        for batch in last_of_each(rows, |row| row.setting_key.clone()).chunks(ROWS) {
            diesel::insert_into(table)
                .values(batch)
                .on_conflict(DuplicatedKeys)
                .do_update()
                .set((
                    setting_value.eq(sql::<Text>("VALUES(setting_value)")),
                    updated_at.eq(sql::<BigInt>("VALUES(updated_at)")),
                ))
                .execute(self)
                .await?;
        }
        Ok(())
    }

    async fn insert_rows(&mut self, rows: Rows) -> QueryResult<usize> {
        let mut inserted = 0;
        for chunk in rows.chunks() {
            let mut statement = sql_query(cells::insert_sql(&cells::MYSQL, &rows, chunk)).into_boxed::<Mysql>();
            for cell in chunk.iter().flatten() {
                statement = match cell {
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
        let mut by_group: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (group, hash) in wanted {
            by_group.entry(group).or_default().push(hash);
        }
        let mut ids = Vec::new();
        // Not pairs of group and hash: MariaDB goes through the whole table for a list of pairs.
        for (group, hashes) in by_group {
            for batch in hashes.chunks(ROWS) {
                let marks = vec!["?"; batch.len()].join(",");
                let sql = format!(
                    "SELECT group_id, key_hash, id FROM `{table}` WHERE group_id = ? AND key_hash IN ({marks})"
                );
                let mut statement = sql_query(sql).into_boxed::<Mysql>().bind::<BigInt, _>(group);
                for hash in batch {
                    statement = statement.bind::<Text, _>(hash);
                }
                let found: Vec<cells::Found> = statement.load(self).await?;
                ids.extend(found.into_iter().map(cells::Found::into_tuple));
            }
        }
        Ok(ids)
    }

    async fn wipe_deleted(&mut self, _on: bool) -> QueryResult<()> {
        // A server has no such switch: what is deleted stays in its files until it cleans up.
        Ok(())
    }

    async fn rebuild(&mut self) -> QueryResult<()> {
        let sql = "SELECT CONCAT('`', table_name, '`') AS name FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'";
        let tables: Vec<cells::Name> = sql_query(sql).load(self).await?;
        for table in tables {
            self.batch_execute(&format!("ALTER TABLE {} ENGINE = InnoDB", table.name)).await?;
        }
        Ok(())
    }

    async fn has_legacy_tables(&mut self) -> QueryResult<bool> {
        let there = "EXISTS (SELECT 1 FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name LIKE 'legacy!_%' ESCAPE '!')";
        diesel::select(sql::<Bool>(there)).get_result(self).await
    }

    async fn request_totals(&mut self) -> QueryResult<(i64, i64)> {
        group_hourly_stats::table
            .filter(group_hourly_stats::is_aggregate.eq(false))
            .select((
                sql::<BigInt>("CAST(COALESCE(SUM(success_count), 0) AS SIGNED)"),
                sql::<BigInt>("CAST(COALESCE(SUM(failure_count), 0) AS SIGNED)"),
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

/// Members that a row does not have are NULL.
const STORE_HEALTH: &str = "UPDATE api_keys AS k JOIN JSON_TABLE(?, '$[*]' COLUMNS (\
     id BIGINT PATH '$.id', status VARCHAR(50) PATH '$.st', generation BIGINT PATH '$.ge', \
     consecutive_failures INTEGER PATH '$.cf', backoff_level INTEGER PATH '$.bl', \
     disabled_until BIGINT PATH '$.du', resting_until BIGINT PATH '$.ru', last_failure_at BIGINT PATH '$.lf', \
     last_success_at BIGINT PATH '$.ls', last_validated_at BIGINT PATH '$.lv', \
     last_error_message MEDIUMTEXT PATH '$.le', last_class VARCHAR(50) PATH '$.lc', last_rule VARCHAR(255) PATH '$.lr', \
     cooldown_level INTEGER PATH '$.cl', next_validation_at BIGINT PATH '$.nv', \
     validation_level INTEGER PATH '$.vl', model_health MEDIUMTEXT PATH '$.mh', keep_failures BIGINT PATH '$.kf', \
     add_failures BIGINT PATH '$.af', updated_at BIGINT PATH '$.ua')) AS v ON k.id = v.id \
     SET k.status = v.status, k.consecutive_failures = v.consecutive_failures, k.backoff_level = v.backoff_level, \
     k.disabled_until = v.disabled_until, k.resting_until = v.resting_until, k.last_failure_at = v.last_failure_at, \
     k.last_success_at = v.last_success_at, k.last_validated_at = v.last_validated_at, \
     k.last_error_message = v.last_error_message, k.last_class = v.last_class, k.last_rule = v.last_rule, \
     k.cooldown_level = v.cooldown_level, k.next_validation_at = v.next_validation_at, \
     k.validation_level = v.validation_level, k.model_health = v.model_health, \
     k.failure_count = k.failure_count * v.keep_failures + v.add_failures, k.updated_at = v.updated_at, \
     k.generation = v.generation \
     WHERE k.generation <= v.generation";

fn health_json(row: &HealthRow) -> Value {
    let mut json = json!({
        "id": row.id, "st": row.status, "ge": row.generation, "cf": row.consecutive_failures, "bl": row.backoff_level,
        "du": row.disabled_until, "ru": row.resting_until, "lf": row.last_failure_at, "ls": row.last_success_at,
        "lv": row.last_validated_at, "le": row.last_error_message, "lc": row.last_class, "lr": row.last_rule,
        "cl": row.cooldown_level, "nv": row.next_validation_at, "vl": row.validation_level, "mh": row.model_health,
        "kf": row.keep_failures, "af": row.add_failures, "ua": row.updated_at,
    });
    if let Value::Object(members) = &mut json {
        members.retain(|_, value| !value.is_null());
    }
    json
}

fn json_rows<R>(rows: &[R], json: impl Fn(&R) -> Value) -> QueryResult<String> {
    let rows: Vec<Value> = rows.iter().map(json).collect();
    serde_json::to_string(&rows).map_err(|error| Error::SerializationError(error.into()))
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
        let fixture = Fixture::new(Kind::Mysql).await;
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
        let Pools::Mysql(pools) = &fixture.store.engine.pools else { panic!("another database") };
        let mut connection = pools.readers.get().await.expect("a connection");
        let (from, until) = (1_900 * 3_600_000_i64, 1_924 * 3_600_000_i64);
        let all = Explain(hours!(from, until).filter(group_hourly_stats::is_aggregate.eq(false)));
        let one = Explain(hours!(from, until).filter(group_hourly_stats::group_id.eq(1)));
        let all: Vec<String> = all.load(&mut *connection).await.expect("a plan");
        let one: Vec<String> = one.load(&mut *connection).await.expect("a plan");
        assert_server_goes_by(Kind::Mysql, &all.join("\n"), "idx_group_hourly_stats_time", "all groups");
        assert_server_goes_by(Kind::Mysql, &one.join("\n"), "PRIMARY", "one group");
    }
}
