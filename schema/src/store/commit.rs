//! The hot write: key states and log rows in one transaction, and what the log rows count.

use std::{collections::BTreeMap, sync::Arc};

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;

use super::{
    KeyDelta, OutcomeProofs, StoreResult, Writer,
    dialect::{Dialect, HealthRow, HourlyRow, KeyUsage},
    key_rows::KEY_BATCH,
    logs::LogRow,
    pool::{blocking, write},
    resources::ResourceRow,
    tables::request_logs,
    tallies::{Tallies, add_tallies},
    watermarks::note_mark,
};
use crate::{
    log::RequestLog,
    resource::Resource,
    time::Timestamp,
    watermark::{Mark, Turn},
};

const HOUR_MS: i64 = 3_600_000;

impl Writer {
    /// Stores key states and log rows in one transaction: log rows idempotent by id; per new row the key's
    /// `request_count` (successes) and `last_used_at`, and all statistics, so that all counts equal the rows. A delta of an older generation than the stored one changes nothing.
    pub async fn commit(&self, deltas: &[KeyDelta], logs: &[RequestLog], now: Timestamp) -> StoreResult<()> {
        self.commit_with(deltas, logs, &[], &OutcomeProofs::default(), now).await
    }

    /// [`Writer::commit`] with what providers stored (the latest word on a resource rules), and with the proofs of the
    /// outcomes that made the key states.
    pub async fn commit_with(
        &self,
        deltas: &[KeyDelta],
        logs: &[RequestLog],
        resources: &[Resource],
        proofs: &OutcomeProofs,
        now: Timestamp,
    ) -> StoreResult<()> {
        self.commit_marked(deltas, logs, resources, proofs, None, now).await.map(drop)
    }

    /// [`Writer::commit_with`], but only if it is the turn of `mark`, which is noted in the same transaction; answers
    /// whether it was. Without a mark it always is.
    pub async fn commit_marked(
        &self,
        deltas: &[KeyDelta],
        logs: &[RequestLog],
        resources: &[Resource],
        proofs: &OutcomeProofs,
        mark: Option<&Mark>,
        now: Timestamp,
    ) -> StoreResult<Turn> {
        let mark = mark.cloned();
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        let health: Vec<HealthRow> = deltas.iter().map(|delta| HealthRow::new(delta, now)).collect();
        let logs = logs.to_vec();
        let proofs = proofs.rows();
        let resources: Vec<ResourceRow> = resources.iter().map(ResourceRow::new).collect();
        self.engine
            .run(async move {
                let _sealing = engine.sealing.read().await;
                let vault = Arc::clone(&engine.vault);
                let rows: Vec<LogRow> =
                    blocking(move || Ok(logs.into_iter().map(|log| LogRow::new(&vault, log)).collect())).await?;
                write!(engine, epoch, |conn| {
                    if let Some(mark) = &mark {
                        let turn = note_mark!(conn, mark, now);
                        if turn != Turn::Now {
                            return Ok(turn);
                        }
                    }
                    conn.store_health(health).await?;
                    let new = conn.insert_logs(rows).await?;
                    let (added, tallies) = (Tally::of(&new, now), Tallies::of(&new));
                    conn.add_usage(added.keys).await?;
                    conn.add_hourly(added.hours).await?;
                    add_tallies!(conn, tallies);
                    if !resources.is_empty() {
                        conn.put_resources(resources).await?;
                    }
                    if !proofs.is_empty() {
                        conn.put_proofs(proofs).await?;
                    }
                    Ok(Turn::Now)
                })
            })
            .await
    }

    /// Deletes at most `limit` log rows older than `before`; answers how many.
    pub async fn prune_logs(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let ids: Vec<String> = request_logs::table
                        .filter(request_logs::timestamp.lt(before.0))
                        .order(request_logs::timestamp)
                        .limit(i64::from(limit))
                        .select(request_logs::id)
                        .load(conn)
                        .await?;
                    let mut deleted = 0;
                    for batch in ids.chunks(KEY_BATCH) {
                        let gone = request_logs::table.filter(request_logs::id.eq_any(batch));
                        deleted += diesel::delete(gone).execute(conn).await?;
                    }
                    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
                })
            })
            .await
    }
}

/// What log rows add to keys and to hours.
#[derive(Debug, Default)]
struct Tally {
    keys: Vec<KeyUsage>,
    hours: Vec<HourlyRow>,
}

impl Tally {
    fn of(rows: &[LogRow], now: Timestamp) -> Self {
        let mut keys: BTreeMap<i64, KeyUsage> = BTreeMap::new();
        let mut hours: BTreeMap<(i64, i64), HourlyRow> = BTreeMap::new();
        for row in rows {
            if let Some(id) = row.key_id {
                let usage = keys.entry(id).or_insert(KeyUsage { id, ..KeyUsage::default() });
                usage.successes += i64::from(row.is_success);
                usage.last_used_at = usage.last_used_at.max(row.timestamp);
            }
            if row.is_final() {
                let time = row.timestamp.div_euclid(HOUR_MS) * HOUR_MS;
                let counted = [Some((row.group_id, false)), row.parent_group_id.map(|parent| (parent, true))];
                for (group_id, is_aggregate) in counted.into_iter().flatten() {
                    let hour = hours.entry((group_id, time)).or_insert(HourlyRow {
                        group_id,
                        time,
                        is_aggregate,
                        success_count: 0,
                        failure_count: 0,
                        duration_ms: 0,
                        created_at: now.0,
                        updated_at: now.0,
                    });
                    hour.success_count += i64::from(row.is_success);
                    hour.failure_count += i64::from(!row.is_success);
                    hour.duration_ms = hour.duration_ms.saturating_add(row.duration);
                }
            }
        }
        Self { keys: keys.into_values().collect(), hours: hours.into_values().collect() }
    }
}
