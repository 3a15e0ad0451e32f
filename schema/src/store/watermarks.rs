//! How far the shipments of nodes are in the database ([`crate::watermark`]).

use std::sync::Arc;

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::RunQueryDsl;

use super::{
    Store, StoreResult, Writer,
    pool::{read, write},
    tables::node_watermarks,
};
use crate::{time::Timestamp, watermark::Mark};

/// A row of `node_watermarks`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = node_watermarks)]
pub(super) struct WatermarkRow {
    node: String,
    incarnation: String,
    sequence: i64,
    seen_at: i64,
}

impl WatermarkRow {
    pub(super) fn new(mark: &Mark, now: Timestamp) -> Self {
        let Mark { node, incarnation, sequence } = mark.clone();
        Self { node, incarnation, sequence, seen_at: now.0 }
    }
}

impl From<WatermarkRow> for Mark {
    fn from(WatermarkRow { node, incarnation, sequence, .. }: WatermarkRow) -> Self {
        Self { node, incarnation, sequence }
    }
}

/// Notes `$mark` in the transaction on `$conn` if its turn has come; answers its turn.
macro_rules! note_mark {
    ($conn:expr, $mark:expr, $now:expr) => {{
        use diesel::{OptionalExtension, QueryDsl, SelectableHelper};
        use $crate::{
            store::{tables::node_watermarks, watermarks::WatermarkRow},
            watermark::{Mark, Turn},
        };
        let mark: &Mark = $mark;
        let row = node_watermarks::table.find(&mark.node);
        let stored: Option<WatermarkRow> =
            row.clone().select(WatermarkRow::as_select()).first($conn).await.optional()?;
        let turn = mark.turn(stored.map(Mark::from).as_ref());
        if turn == Turn::Now {
            diesel::delete(row).execute($conn).await?;
            let row = WatermarkRow::new(mark, $now);
            diesel::insert_into(node_watermarks::table).values(&row).execute($conn).await?;
        }
        turn
    }};
}
pub(super) use note_mark;

impl Store {
    /// The mark of the last shipment of `node` that is stored.
    pub async fn watermark(&self, node: &str) -> StoreResult<Option<Mark>> {
        let (engine, node) = (Arc::clone(&self.engine), node.to_owned());
        self.engine
            .run(async move {
                let row: Option<WatermarkRow> = read!(engine, |conn| {
                    let row = node_watermarks::table.find(&node).select(WatermarkRow::as_select());
                    row.first(conn).await.optional()?
                });
                Ok(row.map(Mark::from))
            })
            .await
    }
}

impl Writer {
    /// Forgets the marks of nodes that shipped nothing since `before`; answers how many.
    pub async fn prune_watermarks(&self, before: Timestamp) -> StoreResult<u64> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let old = node_watermarks::table.filter(node_watermarks::seen_at.lt(before.0));
                    let deleted = diesel::delete(old).execute(conn).await?;
                    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
                })
            })
            .await
    }
}
