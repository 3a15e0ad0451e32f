//! Where a copy goes: to tables beside those of the old program, or into a database in use.

use std::{collections::HashSet, sync::Arc};

use diesel::{
    ExpressionMethods, QueryDsl, Queryable, QueryableByName, sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::{AsyncConnection, AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl};

use super::progress::Progress;
use crate::{
    crypto::Vault,
    store::{
        Store, StoreError, StoreResult, Writer,
        dialect::{Cell, Clash, Dialect, Rows},
        epoch::reserve_ids,
        pool::{AsyncSqlite, read, write},
        tables::{api_keys, request_logs},
    },
};

/// The beginning of the names of tables that are being filled.
pub(super) const STAGED: &str = "new_";
/// The table that holds the progress.
pub(super) const PROGRESS: &str = "takeovers";
const PROGRESS_COLUMNS: &[&str] = &["source", "progress", "started_at", "finished_at"];

/// Where a copy goes.
pub(super) enum Target {
    /// Tables of this program under names that begin with [`STAGED`], in the database of the old one. Ids stay.
    Staged { connection: Staged, vault: Arc<Vault> },
    /// The tables in use. Ids are given out here.
    Live(Writer),
}

/// A connection to the database of an old program that is taken over in place.
pub(in crate::store) enum Staged {
    Sqlite(AsyncSqlite),
    /// On the heap: it is much larger than the others.
    Postgres(Box<AsyncPgConnection>),
    Mysql(AsyncMysqlConnection),
}

/// Expands `$body` once per kind of database.
macro_rules! staged {
    ($staged:expr, |$conn:ident| $body:expr) => {
        match $staged {
            Staged::Sqlite($conn) => $body,
            Staged::Postgres($conn) => {
                let $conn = &mut **$conn;
                $body
            }
            Staged::Mysql($conn) => $body,
        }
    };
}

/// A stored key, still encrypted.
#[derive(Clone, Debug, Queryable, QueryableByName)]
pub(super) struct StoredKey {
    #[diesel(sql_type = BigInt)]
    pub(super) id: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) group_id: i64,
    #[diesel(sql_type = Text)]
    pub(super) key_hash: String,
    #[diesel(sql_type = Text)]
    pub(super) key_value: String,
}

#[derive(QueryableByName)]
struct StoredId {
    #[diesel(sql_type = Text)]
    id: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Inserts rows, and the progress that they make.
macro_rules! apply {
    ($conn:ident, $target:expr, $source:expr, $rows:expr, $progress:expr) => {{
        for mut rows in $rows {
            rows.table = $target(&rows.table);
            $conn.insert_rows(rows).await?;
        }
        $conn.insert_rows(progress_rows($target(PROGRESS), $source, $progress)?).await?;
        Ok(())
    }};
}

impl Target {
    pub(super) fn vault(&self) -> Arc<Vault> {
        match self {
            Self::Staged { vault, .. } => Arc::clone(vault),
            Self::Live(writer) => Arc::clone(&writer.engine.vault),
        }
    }

    /// The store behind the tables in use.
    pub(super) fn live(&self) -> Option<Store> {
        match self {
            Self::Staged { .. } => None,
            Self::Live(writer) => Some(Store { engine: Arc::clone(&writer.engine) }),
        }
    }

    /// The first of `count` fresh row ids; `None` where ids stay what they are.
    pub(super) async fn reserve(&mut self, table: &'static str, count: usize) -> StoreResult<Option<i64>> {
        let Self::Live(writer) = self else { return Ok(None) };
        let count = i64::try_from(count).map_err(|error| StoreError::Internal(error.to_string()))?;
        let (engine, epoch) = (Arc::clone(&writer.engine), writer.epoch);
        let first: i64 = write!(engine, epoch, |conn| Ok(reserve_ids!(conn, table, count)))?;
        Ok(Some(first))
    }

    /// Stores rows together with the progress that they make.
    pub(super) async fn commit(&mut self, source: &str, rows: Vec<Rows>, progress: &Progress) -> StoreResult<()> {
        let staged = |table: &str| format!("{STAGED}{table}");
        let own = |table: &str| table.to_owned();
        match self {
            Self::Staged { connection: Staged::Sqlite(connection), .. } => {
                connection
                    .immediate_transaction(async |conn| -> StoreResult<()> {
                        apply!(conn, staged, source, rows, progress)
                    })
                    .await
            }
            Self::Staged { connection: Staged::Postgres(connection), .. } => {
                connection
                    .transaction(async |conn| -> StoreResult<()> { apply!(conn, staged, source, rows, progress) })
                    .await
            }
            Self::Staged { connection: Staged::Mysql(connection), .. } => {
                connection
                    .transaction(async |conn| -> StoreResult<()> { apply!(conn, staged, source, rows, progress) })
                    .await
            }
            Self::Live(writer) => {
                let (engine, epoch) = (Arc::clone(&writer.engine), writer.epoch);
                write!(engine, epoch, |conn| apply!(conn, own, source, rows, progress))
            }
        }
    }

    /// Ids of keys by group and hash.
    pub(super) async fn key_ids(&mut self, wanted: Vec<(i64, String)>) -> StoreResult<Vec<(i64, String, i64)>> {
        match self {
            Self::Staged { connection, .. } => {
                staged!(connection, |conn| Ok(conn.key_ids(format!("{STAGED}api_keys"), wanted).await?))
            }
            Self::Live(writer) => {
                let engine = Arc::clone(&writer.engine);
                read!(engine, |conn| Ok(conn.key_ids("api_keys".to_owned(), wanted).await?))
            }
        }
    }

    /// Which of these rows the log has.
    pub(super) async fn log_ids(&mut self, wanted: Vec<uuid::Uuid>) -> StoreResult<HashSet<String>> {
        if wanted.is_empty() {
            return Ok(HashSet::new());
        }
        let found: Vec<String> = match self {
            Self::Staged { connection, .. } => {
                let ids: Vec<String> = wanted.iter().map(|id| format!("'{id}'")).collect();
                let sql = format!("SELECT id FROM {STAGED}request_logs WHERE id IN ({})", ids.join(","));
                let rows: Vec<StoredId> = staged!(connection, |conn| sql_query(sql).load(conn).await?);
                rows.into_iter().map(|row| row.id).collect()
            }
            Self::Live(writer) => {
                let engine = Arc::clone(&writer.engine);
                let ids: Vec<String> = wanted.iter().map(ToString::to_string).collect();
                read!(engine, |conn| {
                    let rows = request_logs::table.filter(request_logs::id.eq_any(&ids)).select(request_logs::id);
                    rows.load(conn).await?
                })
            }
        };
        Ok(found.into_iter().collect())
    }

    /// Keys with ids above `after`, ascending.
    pub(super) async fn keys(&mut self, after: i64, limit: i64) -> StoreResult<Vec<StoredKey>> {
        match self {
            Self::Staged { connection, .. } => {
                let sql = format!(
                    "SELECT id, group_id, key_hash, key_value FROM {STAGED}api_keys WHERE id > {after} ORDER BY id LIMIT \
                     {limit}"
                );
                Ok(staged!(connection, |conn| sql_query(sql).load(conn).await?))
            }
            Self::Live(writer) => {
                let engine = Arc::clone(&writer.engine);
                read!(engine, |conn| {
                    let keys = api_keys::table.filter(api_keys::id.gt(after)).order(api_keys::id).limit(limit);
                    let columns = (api_keys::id, api_keys::group_id, api_keys::key_hash, api_keys::key_value);
                    Ok(keys.select(columns).load(conn).await?)
                })
            }
        }
    }

    /// Hours that are stored beside the old tables; 0 for tables in use, which have others, too.
    pub(super) async fn staged_hours(&mut self) -> StoreResult<i64> {
        let Self::Staged { connection, .. } = self else { return Ok(0) };
        let sql = format!("SELECT COUNT(*) AS number FROM {STAGED}group_hourly_stats");
        let count: Count = staged!(connection, |conn| sql_query(sql).get_result(conn).await?);
        Ok(count.number)
    }
}

/// The row that holds `progress`.
pub(super) fn progress_rows(table: String, source: &str, progress: &Progress) -> StoreResult<Rows> {
    let text = serde_json::to_string(progress)
        .map_err(|error| StoreError::Internal(format!("cannot write the progress: {error}")))?;
    let cells = vec![
        Cell::Text(source.to_owned()),
        Cell::Text(text),
        progress.started_at.0.into(),
        progress.finished_at.map(|at| at.0).into(),
    ];
    Ok(Rows { table, columns: PROGRESS_COLUMNS, rows: vec![cells], clash: Clash::Replace })
}
