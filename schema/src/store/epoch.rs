//! Fencing: a writer of a past term changes nothing. And the row ids the writer hands out.
//!
//! Both lock one row for the rest of the transaction on every database, so writers never interleave and neither
//! RETURNING nor auto-increment is needed.

/// Claims `$epoch` for the transaction on `$conn`; fails with `StaleEpoch` when a higher one was seen.
macro_rules! claim_epoch {
    ($conn:ident, $epoch:expr) => {{
        use diesel::{ExpressionMethods, QueryDsl};
        use diesel_async::RunQueryDsl;
        use $crate::store::tables::leader_epoch;
        let claimed: i64 = $epoch;
        let ours = leader_epoch::table.filter(leader_epoch::id.eq(1)).filter(leader_epoch::epoch.le(claimed));
        diesel::update(ours).set(leader_epoch::epoch.eq(claimed)).execute($conn).await?;
        let current: i64 = leader_epoch::table.select(leader_epoch::epoch).first($conn).await?;
        if current != claimed {
            return Err($crate::store::StoreError::StaleEpoch { claimed, current });
        }
    }};
}

/// Reserves `$count` row ids of the table `$name`; answers the first.
macro_rules! reserve_ids {
    ($conn:ident, $name:expr, $count:expr) => {{
        use diesel::{ExpressionMethods, QueryDsl};
        use diesel_async::RunQueryDsl;
        use $crate::store::tables::row_ids;
        let count: i64 = $count;
        let row = row_ids::table.find($name);
        diesel::update(row).set(row_ids::last_id.eq(row_ids::last_id + count)).execute($conn).await?;
        let last: i64 = row.select(row_ids::last_id).first($conn).await?;
        last - count + 1
    }};
}

pub(super) use {claim_epoch, reserve_ids};
