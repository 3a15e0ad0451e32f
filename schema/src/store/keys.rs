//! Reading keys.

use std::{collections::BTreeMap, sync::Arc};

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper, dsl::count_star};
use diesel_async::RunQueryDsl;

use super::{
    KeyCounts, KeyFilter, Page, Store, StoreError, StoreResult,
    key_rows::{KEY_BATCH, KeyRow, decrypt, source_word},
    pool::{Engine, read},
    tables::api_keys,
};
use crate::{
    ids::{GroupId, KeyId},
    key::{KeyRecord, KeyState},
    secret::Secret,
};

/// A [`KeyFilter`] in the words of the table.
struct Conditions {
    group: i64,
    status: Option<&'static str>,
    hash: Option<String>,
    source: Option<&'static str>,
}

impl Conditions {
    fn new(engine: &Engine, group: GroupId, filter: &KeyFilter) -> Self {
        Self {
            group: group.0,
            status: filter.state.map(KeyState::as_str),
            hash: filter.value.as_ref().map(|value| engine.vault.hash(value.expose())),
            source: filter.source.map(source_word),
        }
    }
}

/// The keys that meet [`Conditions`].
macro_rules! matching {
    ($conditions:expr) => {{
        let mut query = api_keys::table.filter(api_keys::group_id.eq($conditions.group)).into_boxed();
        if let Some(status) = $conditions.status {
            query = query.filter(api_keys::status.eq(status));
        }
        if let Some(hash) = $conditions.hash.clone() {
            query = query.filter(api_keys::key_hash.eq(hash));
        }
        if let Some(source) = $conditions.source {
            query = query.filter(api_keys::source.eq(source));
        }
        query
    }};
}

impl Store {
    /// Keys of a group in id order after `after`, at most `limit`: for filling pools and for exports, in bounded memory.
    pub async fn keys_after(
        &self,
        group: GroupId,
        filter: &KeyFilter,
        after: Option<KeyId>,
        limit: u32,
    ) -> StoreResult<Vec<KeyRecord>> {
        let engine = Arc::clone(&self.engine);
        let conditions = Conditions::new(&engine, group, filter);
        self.engine
            .run(async move {
                let rows: Vec<KeyRow> = read!(engine, |conn| {
                    matching!(conditions)
                        .filter(api_keys::id.gt(after.map_or(0, |id| id.0)))
                        .order(api_keys::id)
                        .limit(i64::from(limit))
                        .select(KeyRow::as_select())
                        .load(conn)
                        .await?
                });
                decrypt(&engine.vault, rows).await
            })
            .await
    }

    /// One page (from 1) of a group's keys, last used first, never used last, then id descending.
    pub async fn keys_page(
        &self,
        group: GroupId,
        filter: &KeyFilter,
        page: u64,
        page_size: u64,
    ) -> StoreResult<Page<KeyRecord>> {
        let engine = Arc::clone(&self.engine);
        let conditions = Conditions::new(&engine, group, filter);
        let limit = i64::try_from(page_size).unwrap_or(i64::MAX);
        let offset = i64::try_from(page.saturating_sub(1).saturating_mul(page_size)).unwrap_or(i64::MAX);
        self.engine
            .run(async move {
                let (total, rows): (i64, Vec<KeyRow>) = read!(engine, |conn| {
                    let total = matching!(conditions).count().get_result(conn).await?;
                    let rows = matching!(conditions)
                        .order((api_keys::last_used_at.desc(), api_keys::id.desc()))
                        .offset(offset)
                        .limit(limit)
                        .select(KeyRow::as_select())
                        .load(conn)
                        .await?;
                    (total, rows)
                });
                Ok(Page { items: decrypt(&engine.vault, rows).await?, total })
            })
            .await
    }

    /// Those of `ids` that are keys of the group, ascending.
    pub async fn keys_of(&self, group: GroupId, ids: &[KeyId]) -> StoreResult<Vec<KeyRecord>> {
        let engine = Arc::clone(&self.engine);
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        self.engine
            .run(async move {
                let mut rows: Vec<KeyRow> = Vec::new();
                read!(engine, |conn| {
                    for ids in ids.chunks(KEY_BATCH) {
                        let some: Vec<KeyRow> = api_keys::table
                            .filter(api_keys::group_id.eq(group.0))
                            .filter(api_keys::id.eq_any(ids))
                            .select(KeyRow::as_select())
                            .load(conn)
                            .await?;
                        rows.extend(some);
                    }
                });
                let mut keys = decrypt(&engine.vault, rows).await?;
                keys.sort_unstable_by_key(|key| key.id);
                Ok(keys)
            })
            .await
    }

    /// One key.
    pub async fn key(&self, id: KeyId) -> StoreResult<Option<KeyRecord>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let row: Option<KeyRow> = read!(engine, |conn| {
                    api_keys::table.find(id.0).select(KeyRow::as_select()).first(conn).await.optional()?
                });
                Ok(decrypt(&engine.vault, row.into_iter().collect()).await?.pop())
            })
            .await
    }

    /// The key of a group with this clear-text value.
    pub async fn key_by_value(&self, group: GroupId, value: &Secret) -> StoreResult<Option<KeyRecord>> {
        let filter = KeyFilter { value: Some(value.clone()), ..KeyFilter::default() };
        Ok(self.keys_after(group, &filter, None, 1).await?.pop())
    }

    /// Exact number of keys per state, for each group that has keys.
    pub async fn key_counts(&self) -> StoreResult<BTreeMap<GroupId, KeyCounts>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let rows: Vec<(i64, String, i64)> = read!(engine, |conn| {
                    api_keys::table
                        .group_by((api_keys::group_id, api_keys::status))
                        .select((api_keys::group_id, api_keys::status, count_star()))
                        .load(conn)
                        .await?
                });
                let mut counts: BTreeMap<GroupId, KeyCounts> = BTreeMap::new();
                for (group, status, count) in rows {
                    add(counts.entry(GroupId(group)).or_default(), &status, count)?;
                }
                Ok(counts)
            })
            .await
    }

    /// Exact number of keys per state of one group; all zero for a group without keys.
    pub async fn group_key_counts(&self, group: GroupId) -> StoreResult<KeyCounts> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let rows: Vec<(String, i64)> = read!(engine, |conn| {
                    api_keys::table
                        .filter(api_keys::group_id.eq(group.0))
                        .group_by(api_keys::status)
                        .select((api_keys::status, count_star()))
                        .load(conn)
                        .await?
                });
                let mut counts = KeyCounts::default();
                rows.iter().try_for_each(|(status, count)| add(&mut counts, status, *count))?;
                Ok(counts)
            })
            .await
    }
}

fn add(counts: &mut KeyCounts, status: &str, count: i64) -> StoreResult<()> {
    let state: KeyState = status.parse().map_err(|error| StoreError::damaged("key status", error))?;
    *counts.of_mut(state) += count;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        testing::Kind,
        tests::{
            Fixture,
            plans::{analyse, assert_server_goes_by, assert_server_reads_in_order, server_plan},
        },
    };

    async fn pages_of_keys_go_by_an_index(kind: Kind) {
        let fixture = Fixture::new(kind).await;
        let groups = [fixture.group("one").await.id.0, fixture.group("two").await.id.0];
        let columns = "id, key_value, key_hash, group_id, status, last_used_at, created_at, updated_at";
        for thousand in 0..20 {
            let row = |number: i64| {
                let (group, state) =
                    (groups[usize::from(number % 2 == 0)], if number % 3 == 0 { "invalid" } else { "active" });
                format!("({number}, 'v', 'h{number}', {group}, '{state}', {number}, 0, 0)")
            };
            let rows: Vec<String> = (thousand * 1_000..thousand * 1_000 + 1_000).map(row).collect();
            fixture.database.run(&format!("INSERT INTO api_keys ({columns}) VALUES {}", rows.join(",")));
        }
        analyse(&fixture.database, "api_keys");
        for (status, index) in
            [(None, "idx_api_keys_group_last_used_id"), (Some("active"), "idx_api_keys_group_status")]
        {
            let conditions = Conditions { group: groups[0], status, hash: None, source: None };
            let order = (api_keys::last_used_at.desc(), api_keys::id.desc());
            let page = server_plan!(
                fixture.store,
                matching!(conditions).order(order).offset(15).limit(15).select(KeyRow::as_select())
            );
            assert_server_goes_by(kind, &page, index, &format!("page of {status:?}"));
            assert_server_reads_in_order(kind, &page, &format!("page of {status:?}"));
        }
    }

    #[tokio::test]
    async fn pages_of_keys_go_by_an_index_on_postgres() {
        pages_of_keys_go_by_an_index(Kind::Postgres).await;
    }

    #[tokio::test]
    async fn pages_of_keys_go_by_an_index_on_mysql() {
        pages_of_keys_go_by_an_index(Kind::Mysql).await;
    }
}
