//! Which keys an incremental validation is about, and what validations have come to.

use std::sync::Arc;

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;

use super::{Store, StoreResult, pool::read, tables::api_keys};
use crate::{
    ids::{GroupId, KeyId},
    key::KeyState,
    time::Timestamp,
};

/// Which keys of a group an incremental validation is about.
#[derive(Clone, Debug)]
pub struct ValidationFilter {
    /// Only keys added at this time or later.
    pub created_since: Timestamp,
    /// Only keys in one of these states.
    pub states: Vec<KeyState>,
    /// Only keys that were last validated before this time, or never; `None` = all.
    pub validated_before: Option<Timestamp>,
}

impl Store {
    /// Ids of a group's keys that match `filter`, ascending after `after`, at most `limit`.
    pub async fn keys_to_validate(
        &self,
        group: GroupId,
        filter: &ValidationFilter,
        after: Option<KeyId>,
        limit: u32,
    ) -> StoreResult<Vec<KeyId>> {
        let (engine, filter) = (Arc::clone(&self.engine), filter.clone());
        let states: Vec<_> = filter.states.iter().map(|state| state.as_str()).collect();
        self.engine
            .run(async move {
                let ids: Vec<i64> = read!(engine, |conn| {
                    let mut query = api_keys::table
                        .filter(api_keys::group_id.eq(group.0))
                        .filter(api_keys::id.gt(after.map_or(0, |id| id.0)))
                        .filter(api_keys::created_at.ge(filter.created_since.0))
                        .filter(api_keys::status.eq_any(states.clone()))
                        .into_boxed();
                    if let Some(before) = filter.validated_before {
                        let (never, earlier) =
                            (api_keys::last_validated_at.is_null(), api_keys::last_validated_at.lt(before.0));
                        query = query.filter(never.or(earlier));
                    }
                    query.order(api_keys::id).limit(i64::from(limit)).select(api_keys::id).load(conn).await?
                });
                Ok(ids.into_iter().map(KeyId).collect())
            })
            .await
    }

    /// Keys of a group whose last validation was at `since` or later.
    pub async fn keys_validated_since(&self, group: GroupId, since: Timestamp) -> StoreResult<i64> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                read!(engine, |conn| {
                    Ok(api_keys::table
                        .filter(api_keys::group_id.eq(group.0))
                        .filter(api_keys::last_validated_at.ge(since.0))
                        .count()
                        .get_result(conn)
                        .await?)
                })
            })
            .await
    }
}
