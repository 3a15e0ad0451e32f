//! Lists of log rows: pages, attempts of one request, the keys that were used.

mod after;
mod conditions;
mod contains;
#[cfg(test)]
mod tests;
mod total;

use std::sync::Arc;

use diesel::{ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper, dsl::max};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

pub use self::after::LogTail;
use self::{
    conditions::{Conditions, Driver, containing, driven, keys_used, matching, narrowed},
    contains::contains,
};
use super::{
    Store, StoreResult,
    logs::{LogRow, UNREADABLE, place},
    pool::{Engine, blocking, read_replica},
    tables::request_logs,
};
use crate::{crypto::Vault, log::RequestLog, secret::Secret, time::Timestamp};

/// Rows that are counted one by one; above, their number is estimated.
const COUNTED: usize = 100_000;
/// Rows of one request that are shown, far more than retries can be allowed.
const ATTEMPTS: i64 = 1_000;

/// Bytes of the longest model that is stored.
const MODEL_BYTES: usize = 255;
/// Bytes of the longest part of an error message that is searched for: more than any message has, and escaped still a
/// pattern that SQLite takes (50,000 bytes).
const ERROR_BYTES: usize = 20_000;

/// Which log rows a list shows; `None` = any. Substrings mean themselves, ASCII letters of either case.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Part of the name of the aggregate.
    pub parent_group_name: Option<String>,
    /// Part of the name of the group really used.
    pub group_name: Option<String>,
    /// Exact clear-text key.
    pub key: Option<Secret>,
    /// Part of the model asked for.
    pub model: Option<String>,
    /// Whether the attempt succeeded.
    pub is_success: Option<bool>,
    /// Exact request type.
    pub request_type: Option<String>,
    /// Exact status.
    pub status_code: Option<i32>,
    /// Exact client address.
    pub source_ip: Option<String>,
    /// Part of the error message.
    pub error_contains: Option<String>,
    /// First moment.
    pub from: Option<Timestamp>,
    /// Last moment.
    pub until: Option<Timestamp>,
}

/// A log row as lists show it.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// The row.
    pub log: RequestLog,
    /// The key; empty when none was selected, `failed-to-decrypt` when it is not readable.
    pub key_value: Secret,
    /// Its lookup hash; empty when none was selected.
    pub key_hash: String,
}

/// One page of log rows, newest first.
#[derive(Clone, Debug, Default)]
pub struct LogPage {
    /// Rows of this page.
    pub items: Vec<LogEntry>,
    /// Rows over all pages: exact up to 100,000.
    pub total: i64,
    /// Whether `total` is an estimate, or leaves out rows older than `searched_from`.
    pub is_estimate: bool,
    /// Rows before this moment were not looked at, because the conditions would have to be checked on too many.
    pub searched_from: Option<Timestamp>,
}

/// The newest use of a key among log rows.
#[derive(Clone, Debug)]
pub struct KeyUse {
    /// Lookup hash of the key.
    pub key_hash: String,
    /// The key; `failed-to-decrypt` when it is not readable.
    pub key_value: Secret,
    /// Group used.
    pub group_name: String,
    /// Status.
    pub status_code: i32,
}

impl Store {
    /// One page (from 1) of the log rows that meet `filter`, newest first, then id descending.
    ///
    /// Time is bounded whatever the log holds: conditions that no index answers are checked on the newest 500,000 rows
    /// (2,000,000 where the index alone tells) of the time asked for.
    pub async fn logs_page(
        &self,
        filter: &LogFilter,
        page: u64,
        page_size: u64,
        now: Timestamp,
    ) -> StoreResult<LogPage> {
        let (engine, filter) = (Arc::clone(&self.engine), filter.clone());
        let offset = usize::try_from(page.saturating_sub(1).saturating_mul(page_size)).unwrap_or(usize::MAX);
        let size = i64::try_from(page_size).unwrap_or(i64::MAX);
        self.engine
            .run(async move {
                let Some(mut conditions) = resolved(&engine, &filter).await? else { return Ok(LogPage::default()) };
                let searched_from = bounded(&engine, &mut conditions).await?;
                let newest: Vec<i64> = read_replica!(engine, |conn| {
                    let limit = i64::try_from(COUNTED).unwrap_or(i64::MAX) + 1;
                    let rows = matching!(&conditions).order(request_logs::timestamp.desc()).limit(limit);
                    rows.select(request_logs::timestamp).load(conn).await?
                });
                let is_counted = newest.len() <= COUNTED;
                let total = match is_counted {
                    true => i64::try_from(newest.len()).unwrap_or(i64::MAX),
                    false => total::estimate(&engine, &conditions, &newest, now).await?,
                };
                let rows = rows_at(&engine, conditions, &newest, offset, size).await?;
                let vault = Arc::clone(&engine.vault);
                let items = blocking(move || entries(&vault, rows)).await?;
                Ok(LogPage { items, total, is_estimate: !is_counted || searched_from.is_some(), searched_from })
            })
            .await
    }

    /// Every log row of one client request, first attempt first; empty when there is none.
    pub async fn log_attempts(&self, request: Uuid) -> StoreResult<Vec<LogEntry>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let rows: Vec<LogRow> = read_replica!(engine, |conn| attempts!(request.to_string()).load(conn).await?);
                let vault = Arc::clone(&engine.vault);
                blocking(move || entries(&vault, rows)).await
            })
            .await
    }

    /// The keys used in the log rows that meet `filter`, each with its newest such row, in order of their hashes after
    /// `after` (empty = from the first), at most `limit`: for exports, in bounded memory.
    pub async fn keys_used(&self, filter: &LogFilter, after: &str, limit: u32) -> StoreResult<Vec<KeyUse>> {
        let (engine, filter, after) = (Arc::clone(&self.engine), filter.clone(), after.to_owned());
        self.engine
            .run(async move {
                let Some(conditions) = resolved(&engine, &filter).await? else { return Ok(Vec::new()) };
                let used: Vec<UsedRow> = read_replica!(engine, |conn| {
                    let keys: Vec<(String, Option<i64>)> =
                        keys_used!(&conditions, after).limit(i64::from(limit)).load(conn).await?;
                    let mut used = Vec::with_capacity(keys.len());
                    for (hash, newest) in keys {
                        let Some(at) = newest else { continue };
                        let of_key = Conditions { key_hash: Some(hash), from: at, until: at, ..conditions.clone() };
                        let row = matching!(&of_key)
                            .order(request_logs::id.desc())
                            .select((
                                request_logs::id,
                                request_logs::key_value,
                                request_logs::key_hash,
                                request_logs::group_name,
                                request_logs::status_code,
                            ))
                            .first(conn)
                            .await
                            .optional()?;
                        used.extend(row);
                    }
                    used
                });
                let vault = Arc::clone(&engine.vault);
                blocking(move || Ok(used.into_iter().map(|row| key_use(&vault, row)).collect())).await
            })
            .await
    }
}

/// Id, key, hash, group, status.
type UsedRow = (String, String, String, String, i32);

fn key_use(vault: &Vault, (id, stored, key_hash, group_name, status_code): UsedRow) -> KeyUse {
    KeyUse { key_value: opened(vault, &id, &stored), key_hash, group_name, status_code }
}

fn opened(vault: &Vault, id: &str, stored: &str) -> Secret {
    vault.open(place(id), stored).unwrap_or_else(|_| Secret::new(UNREADABLE))
}

fn entries(vault: &Vault, rows: Vec<LogRow>) -> StoreResult<Vec<LogEntry>> {
    let entry = |row: LogRow| {
        let (key_value, key_hash) = (opened(vault, &row.id, &row.key_value), row.key_hash.clone());
        Ok(LogEntry { log: row.into_log(vault)?, key_value, key_hash })
    };
    rows.into_iter().map(entry).collect()
}

/// The rows of one request.
macro_rules! attempts {
    ($request:expr) => {
        request_logs::table
            .filter(request_logs::request_id.eq($request))
            .order((request_logs::attempt, request_logs::timestamp, request_logs::id))
            .limit(ATTEMPTS)
            .select(LogRow::as_select())
    };
}
use attempts;

/// The conditions of `filter`; `None` when no row can meet them.
async fn resolved(engine: &Engine, filter: &LogFilter) -> StoreResult<Option<Conditions>> {
    let mut conditions = Conditions::new(filter, &engine.vault);
    if let Some(part) = filter.group_name.as_deref() {
        let Named { ids, are_sure } = groups_named(engine, part).await?;
        conditions.group_name = (!are_sure).then(|| containing(part));
        conditions.groups = Some(ids);
    }
    if let Some(part) = filter.parent_group_name.as_deref() {
        let Named { ids, are_sure } = parents_named(engine, part).await?;
        conditions.parent_name = (!are_sure).then(|| containing(part));
        conditions.parents = Some(ids);
    }
    let is_empty = |ids: &Option<Vec<i64>>| ids.as_ref().is_some_and(Vec::is_empty);
    let is_longer = |part: &Option<String>, most| part.as_ref().is_some_and(|part| part.len() > most);
    let is_impossible = is_empty(&conditions.groups)
        || is_empty(&conditions.parents)
        || is_longer(&filter.model, MODEL_BYTES)
        || is_longer(&filter.error_contains, ERROR_BYTES);
    Ok((!is_impossible && conditions.from <= conditions.until).then_some(conditions))
}

/// Groups of log rows, by a part of the name that they had then.
#[derive(Default)]
struct Named {
    ids: Vec<i64>,
    /// Whether all rows of these groups have such a name.
    are_sure: bool,
}

impl Named {
    /// Takes the group `id` in if its first or its last row has the name; a group is renamed rarely.
    fn note(&mut self, part: &str, id: i64, first: &str, last: &str) {
        let is_named = |name: &str| name.to_ascii_lowercase().contains(part);
        let named = [first, last].map(is_named);
        if named.contains(&true) {
            self.ids.push(id);
            self.are_sure &= !named.contains(&false);
        }
    }
}

async fn groups_named(engine: &Engine, part: &str) -> StoreResult<Named> {
    use request_logs::{group_id, group_name, table, timestamp};
    let part = part.to_ascii_lowercase();
    let mut named = Named { are_sure: true, ..Named::default() };
    read_replica!(engine, |conn| {
        let mut known = i64::MIN;
        loop {
            let oldest = table.filter(group_id.gt(known)).order((group_id, timestamp)).select((group_id, group_name));
            let Some((id, first)): Option<(i64, String)> = oldest.first(conn).await.optional()? else { break };
            let newest = table.filter(group_id.eq(id)).order(timestamp.desc()).select(group_name);
            let last: Option<String> = newest.first(conn).await.optional()?;
            named.note(&part, id, &first, last.as_deref().unwrap_or(&first));
            known = id;
        }
    });
    Ok(named)
}

async fn parents_named(engine: &Engine, part: &str) -> StoreResult<Named> {
    use request_logs::{parent_group_id, parent_group_name, table, timestamp};
    let part = part.to_ascii_lowercase();
    let mut named = Named { are_sure: true, ..Named::default() };
    read_replica!(engine, |conn| {
        let mut known = i64::MIN;
        loop {
            let oldest = table
                .filter(parent_group_id.gt(known))
                .order((parent_group_id, timestamp))
                .select((parent_group_id.assume_not_null(), parent_group_name));
            let found: Option<(i64, Option<String>)> = oldest.first(conn).await.optional()?;
            let Some((id, first)) = found else { break };
            let newest = table.filter(parent_group_id.eq(id)).order(timestamp.desc()).select(parent_group_name);
            let last: Option<Option<String>> = newest.first(conn).await.optional()?;
            let first = first.unwrap_or_default();
            named.note(&part, id, &first, last.flatten().as_deref().unwrap_or(&first));
            known = id;
        }
    });
    Ok(named)
}

/// Lets the conditions begin where the search ends that they need; answers that moment if it left rows out.
async fn bounded(engine: &Engine, conditions: &mut Conditions) -> StoreResult<Option<Timestamp>> {
    let Some(searched) = conditions.searched() else { return Ok(None) };
    let floor: Option<i64> = read_replica!(engine, |conn| {
        let rows = driven!(conditions.driver(), conditions.from, conditions.until);
        let end = rows.order(request_logs::timestamp.desc()).offset(searched).limit(1);
        end.select(request_logs::timestamp).first(conn).await.optional()?
    });
    conditions.from = floor.unwrap_or(conditions.from);
    Ok(floor.map(Timestamp))
}

/// At most `size` rows after the first `offset`. `newest` are the times of the first rows.
///
/// Only the time of the first row is searched for; what stands before it within the same millisecond is skipped.
async fn rows_at(
    engine: &Engine,
    mut conditions: Conditions,
    newest: &[i64],
    offset: usize,
    size: i64,
) -> StoreResult<Vec<LogRow>> {
    let wide = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let (begin, before) = match newest.get(offset) {
        Some(at) => (*at, wide(newest.partition_point(|newer| newer > at))),
        None if newest.len() <= COUNTED => return Ok(Vec::new()),
        None => {
            let found: Option<(i64, i64)> = read_replica!(engine, |conn| {
                let first = matching!(&conditions).order(request_logs::timestamp.desc()).offset(wide(offset)).limit(1);
                match first.select(request_logs::timestamp).first::<i64>(conn).await.optional()? {
                    None => None,
                    Some(at) => {
                        let newer = matching!(&conditions).filter(request_logs::timestamp.gt(at));
                        Some((at, newer.count().get_result(conn).await?))
                    }
                }
            });
            let Some(found) = found else { return Ok(Vec::new()) };
            found
        }
    };
    conditions.until = begin;
    // Rows past the last one that is known to match are not looked for.
    let left = if newest.len() <= COUNTED { wide(newest.len() - offset) } else { i64::MAX };
    Ok(read_replica!(engine, |conn| {
        matching!(&conditions)
            .order((request_logs::timestamp.desc(), request_logs::id.desc()))
            .offset(wide(offset).saturating_sub(before).max(0))
            .limit(size.min(left))
            .select(LogRow::as_select())
            .load(conn)
            .await?
    }))
}
