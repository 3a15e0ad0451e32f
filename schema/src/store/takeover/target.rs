//! Where a copy goes: to tables beside those of the old program, or into a database in use.

use std::sync::Arc;

use diesel::{
    ExpressionMethods, QueryDsl, Queryable, QueryableByName, sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;

use super::progress::Progress;
use crate::{
    crypto::Vault,
    store::{
        Store, StoreError, StoreResult, Writer,
        dialect::{Cell, Clash, Dialect, Rows},
        epoch::reserve_ids,
        pool::{AsyncSqlite, read, write},
        tables::api_keys,
    },
};

/// The beginning of the names of tables that are being filled.
pub(super) const STAGED: &str = "new_";
const PROGRESS: &str = "takeovers";
const PROGRESS_COLUMNS: &[&str] = &["source", "progress", "started_at", "finished_at"];

/// Where a copy goes.
pub(super) enum Target {
    /// Tables of this program under names that begin with [`STAGED`], in the file of the old one. Ids stay.
    Staged { connection: AsyncSqlite, vault: Arc<Vault> },
    /// The tables in use. Ids are given out here.
    Live(Writer),
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

/// Inserts rows and counts them into the progress, which is stored, too.
macro_rules! apply {
    ($conn:ident, $target:expr, $source:expr, $rows:expr, $progress:expr, $tally:expr) => {{
        let mut progress: Progress = $progress;
        for mut rows in $rows {
            rows.table = $target(&rows.table);
            let (given, kind) = (rows.rows.len(), rows.table.clone());
            let inserted = $conn.insert_rows(rows).await?;
            $tally(&mut progress, &kind, given, inserted);
        }
        $conn.insert_rows(progress_rows($target(PROGRESS), $source, &progress)?).await?;
        Ok(progress)
    }};
}

/// Counts into the progress what was inserted: the table, the rows given, those inserted.
pub(super) type Tally = fn(&mut Progress, &str, usize, usize);

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

    /// Stores rows together with the progress that they make; answers it.
    pub(super) async fn commit(
        &mut self,
        source: &str,
        rows: Vec<Rows>,
        progress: Progress,
        tally: Tally,
    ) -> StoreResult<Progress> {
        match self {
            Self::Staged { connection, .. } => {
                let name = |table: &str| format!("{STAGED}{table}");
                connection
                    .immediate_transaction(async |conn| -> StoreResult<Progress> {
                        apply!(conn, name, source, rows, progress, tally)
                    })
                    .await
            }
            Self::Live(writer) => {
                let (engine, epoch) = (Arc::clone(&writer.engine), writer.epoch);
                let name = |table: &str| table.to_owned();
                write!(engine, epoch, |conn| apply!(conn, name, source, rows, progress, tally))
            }
        }
    }

    /// Ids of keys by group and hash.
    pub(super) async fn key_ids(&mut self, wanted: Vec<(i64, String)>) -> StoreResult<Vec<(i64, String, i64)>> {
        match self {
            Self::Staged { connection, .. } => Ok(connection.key_ids(format!("{STAGED}api_keys"), wanted).await?),
            Self::Live(writer) => {
                let engine = Arc::clone(&writer.engine);
                read!(engine, |conn| Ok(conn.key_ids("api_keys".to_owned(), wanted).await?))
            }
        }
    }

    /// Keys with ids above `after`, ascending.
    pub(super) async fn keys(&mut self, after: i64, limit: i64) -> StoreResult<Vec<StoredKey>> {
        match self {
            Self::Staged { connection, .. } => {
                let query = sql_query(format!(
                    r#"SELECT id, group_id, key_hash, key_value FROM "{STAGED}api_keys" WHERE id > ? ORDER BY id LIMIT ?"#
                ));
                Ok(query.bind::<BigInt, _>(after).bind::<BigInt, _>(limit).load(connection).await?)
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
