//! What a person decides about a key, in the database.

use std::sync::Arc;

use diesel::{AsChangeset, ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;

use super::{
    StoreError, StoreResult, Writer,
    key_rows::{KeyRow, decrypt},
    pool::write,
    tables::api_keys,
    text::fit,
};
use crate::{
    ids::{GroupId, KeyId},
    key::{KeyRecord, KeyTraits},
    time::Timestamp,
};

/// Bytes of a stored upstream; a group's base URLs are shorter.
const UPSTREAM_BYTES: usize = 500;

/// Members that are `None` keep their columns; the inner `None` of the upstream empties it.
#[derive(Clone, AsChangeset)]
#[diesel(table_name = api_keys)]
struct TraitsChange {
    weight: Option<i32>,
    priority: Option<i32>,
    upstream: Option<Option<String>>,
    updated_at: i64,
}

impl Writer {
    /// Stores what a person decides about a key of a group; answers the key as it is then. `NotFound` when the group has
    /// no such key.
    pub async fn set_key_traits(
        &self,
        group: GroupId,
        id: KeyId,
        traits: &KeyTraits,
        now: Timestamp,
    ) -> StoreResult<KeyRecord> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        let upstream = traits.upstream.clone().map(|upstream| upstream.map(|url| fit(url, UPSTREAM_BYTES)));
        let change = TraitsChange { weight: traits.weight, priority: traits.priority, upstream, updated_at: now.0 };
        self.engine
            .run(async move {
                let rows: Vec<KeyRow> = write!(engine, epoch, |conn| {
                    let target = api_keys::table.find(id.0).filter(api_keys::group_id.eq(group.0));
                    diesel::update(target).set(change.clone()).execute(conn).await?;
                    Ok(target.select(KeyRow::as_select()).load(conn).await?)
                })?;
                decrypt(&engine.vault, rows).await?.pop().ok_or(StoreError::NotFound("the key"))
            })
            .await
    }
}
