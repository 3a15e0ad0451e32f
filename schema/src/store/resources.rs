//! Which key the things that providers store belong to.

use std::sync::Arc;

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl};
use diesel_async::RunQueryDsl;

use super::{
    Store, StoreResult, Writer,
    pool::{read, write},
    tables::resources,
};
use crate::{
    ids::{GroupId, KeyId},
    resource::{Resource, ResourceOwner},
    time::Timestamp,
};

/// Ids looked up by one statement.
const LOOKUP_BATCH: usize = 100;

/// A row of `resources`.
#[derive(Clone, Insertable)]
#[diesel(table_name = resources)]
pub(super) struct ResourceRow {
    group_id: i64,
    resource_id: String,
    key_id: i64,
    kind: &'static str,
    created_at: i64,
    expires_at: i64,
}

impl ResourceRow {
    /// What tells the row from all others.
    pub(super) fn identity(&self) -> (i64, String) {
        (self.group_id, self.resource_id.clone())
    }

    pub(super) fn new(resource: &Resource) -> Self {
        Self {
            group_id: resource.group_id.0,
            resource_id: resource.id.to_string(),
            key_id: resource.key_id.0,
            kind: resource.kind.as_str(),
            created_at: resource.created_at.0,
            expires_at: resource.expires_at.0,
        }
    }
}

impl Store {
    /// The owners of `ids` in `groups`, as far as they are known and not forgotten at `now`; in no order.
    pub async fn resource_owners(
        &self,
        groups: &[GroupId],
        ids: &[Box<str>],
        now: Timestamp,
    ) -> StoreResult<Vec<ResourceOwner>> {
        let engine = Arc::clone(&self.engine);
        let groups: Vec<i64> = groups.iter().map(|group| group.0).collect();
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        self.engine
            .run(async move {
                let mut rows: Vec<(i64, String, i64, i64)> = Vec::new();
                read!(engine, |conn| {
                    for ids in ids.chunks(LOOKUP_BATCH) {
                        let some = resources::table
                            .filter(resources::group_id.eq_any(&groups))
                            .filter(resources::resource_id.eq_any(ids))
                            .filter(resources::expires_at.gt(now.0))
                            .select((
                                resources::group_id,
                                resources::resource_id,
                                resources::key_id,
                                resources::expires_at,
                            ))
                            .load(conn)
                            .await?;
                        rows.extend(some);
                    }
                });
                let owner = |(group, id, key, expires): (i64, String, i64, i64)| ResourceOwner {
                    group_id: GroupId(group),
                    id: id.into_boxed_str(),
                    key_id: KeyId(key),
                    expires_at: Timestamp(expires),
                };
                Ok(rows.into_iter().map(owner).collect())
            })
            .await
    }
}

impl Writer {
    /// Forgets about `limit` resources (more, when many end in the same millisecond) whose time is over at `now`, the
    /// oldest first; answers how many.
    pub async fn prune_resources(&self, now: Timestamp, limit: u32) -> StoreResult<u64> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let last: Option<i64> = resources::table
                        .filter(resources::expires_at.le(now.0))
                        .order(resources::expires_at)
                        .offset(i64::from(limit.saturating_sub(1)))
                        .limit(1)
                        .select(resources::expires_at)
                        .first(conn)
                        .await
                        .optional()?;
                    let over = resources::table.filter(resources::expires_at.le(last.unwrap_or(now.0)));
                    let deleted = diesel::delete(over).execute(conn).await?;
                    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
                })
            })
            .await
    }
}
