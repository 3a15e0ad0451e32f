//! The rows that follow one that is known: what a live view asks for.

use std::sync::Arc;

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    LogEntry, LogFilter, bounded,
    conditions::{Conditions, Driver, driven, matching, narrowed},
    contains::contains,
    entries, resolved,
};
use crate::{
    store::{
        Store, StoreResult,
        logs::LogRow,
        pool::{blocking, read},
        tables::request_logs,
    },
    time::Timestamp,
};

/// Rows that follow another.
#[derive(Clone, Debug, Default)]
pub struct LogTail {
    /// The next rows, newest first.
    pub items: Vec<LogEntry>,
    /// Whether even newer ones wait behind them.
    pub has_more: bool,
    /// Rows before this moment were not looked at, as in [`super::LogPage`].
    pub searched_from: Option<Timestamp>,
}

/// The rows of `$conditions` after the row `$id` of the time at which the conditions begin, oldest first.
macro_rules! following {
    ($conditions:expr, $at:expr, $id:expr) => {
        matching!($conditions)
            .filter(request_logs::timestamp.gt($at).or(request_logs::id.gt($id)))
            .order((request_logs::timestamp, request_logs::id))
            .select(LogRow::as_select())
    };
}

impl Store {
    /// At most `limit` of the log rows that meet `filter` and stand, in the order of lists, directly before the row `after`
    /// (they are newer). `None` when `after` is not known and does not tell its time.
    ///
    /// Rows reach the log a little after their times, now and then one before another that is older: such an older row is
    /// not seen by who asks for what follows the other.
    pub async fn logs_after(&self, filter: &LogFilter, after: Uuid, limit: u32) -> StoreResult<Option<LogTail>> {
        let (engine, filter) = (Arc::clone(&self.engine), filter.clone());
        self.engine
            .run(async move {
                let id = after.to_string();
                let stored: Option<i64> = read!(engine, |conn| {
                    let row = request_logs::table.find(id.clone()).select(request_logs::timestamp);
                    row.first(conn).await.optional()?
                });
                let Some(at) = stored.or_else(|| made_at(after)) else { return Ok(None) };
                let Some(mut conditions) = resolved(&engine, &filter).await? else {
                    return Ok(Some(LogTail::default()));
                };
                conditions.from = conditions.from.max(at);
                let searched_from = bounded(&engine, &mut conditions).await?;
                let mut rows: Vec<LogRow> = read!(engine, |conn| {
                    following!(&conditions, at, id).limit(i64::from(limit) + 1).load(conn).await?
                });
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let has_more = rows.len() > limit;
                rows.truncate(limit);
                rows.reverse();
                let vault = Arc::clone(&engine.vault);
                let items = blocking(move || entries(&vault, rows)).await?;
                Ok(Some(LogTail { items, has_more, searched_from }))
            })
            .await
    }
}

/// When an id was made, in ms, if it tells.
fn made_at(id: Uuid) -> Option<i64> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::plans::assert_goes_by;

    #[test]
    fn what_follows_goes_by_the_index_of_its_list() {
        let any = Conditions { from: 1, until: i64::MAX, ..Conditions::default() };
        let page = |conditions: &Conditions, index| {
            assert_goes_by(&following!(conditions, 1, "id".to_owned()).limit(9), index, "what follows");
        };
        page(&any, "idx_request_logs_time");
        page(&Conditions { groups: Some(vec![1]), ..any.clone() }, "idx_request_logs_group_time");
        page(&Conditions { model: Some("%a%".to_owned()), ..any }, "idx_request_logs_time");
    }
}
