//! Adding, removing and restoring keys, in batches of [`KEY_BATCH`], each a transaction of its own.
//!
//! Batches keep memory and the time other writers wait bounded; a failure leaves the batches before it in place.

use std::{collections::HashMap, slice::Chunks, sync::Arc};

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;

use super::{
    Inserted, KeySelector, StoreError, StoreResult, Writer,
    dialect::{Dialect, NewKey},
    epoch::reserve_ids,
    key_rows::{KEY_BATCH, KeyRow, KeyTemplate, NOTES_CHARS, decrypt},
    pool::{blocking, write},
    tables::api_keys,
    text::fit_chars,
};
use crate::{
    crypto::Vault,
    ids::{GroupId, KeyId},
    key::{KeyRecord, KeySource, KeyState},
    secret::Secret,
    time::Timestamp,
};

impl Writer {
    /// Adds keys in bounded batches; values the group has already are ignored. `NotFound` without the group.
    ///
    /// The answer holds every added key: callers with very many values call once per some ten thousand.
    pub async fn insert_keys(
        &self,
        group: GroupId,
        values: &[Secret],
        state: KeyState,
        source: KeySource,
        now: Timestamp,
    ) -> StoreResult<Inserted> {
        let template = KeyTemplate { group, state, source, now };
        let mut inserted = Inserted::default();
        for batch in values.chunks(KEY_BATCH) {
            let keys = self.insert_key_batch(template, batch.to_vec()).await?;
            inserted.ignored += i64::try_from(batch.len() - keys.len()).unwrap_or(i64::MAX);
            inserted.keys.extend(keys);
        }
        Ok(inserted)
    }

    async fn insert_key_batch(&self, template: KeyTemplate, values: Vec<Secret>) -> StoreResult<Vec<KeyRecord>> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                let _sealing = engine.sealing.read().await;
                let vault = Arc::clone(&engine.vault);
                let (rows, mut values) = blocking(move || Ok(prepare(&vault, template, values))).await?;
                let added = write!(engine, epoch, |conn| {
                    let count = i64::try_from(rows.len()).map_err(|error| StoreError::Internal(error.to_string()))?;
                    let first = reserve_ids!(conn, "api_keys", count);
                    let numbered = (first..).zip(rows).map(|(id, row)| NewKey { id, ..row }).collect();
                    Ok(conn.insert_keys(numbered).await?)
                })
                .map_err(|error: StoreError| error.or_missing("the group"))?;
                let record = |row: NewKey| values.remove(&row.key_hash).map(|value| template.record(row, value));
                Ok(added.into_iter().filter_map(record).collect())
            })
            .await
    }

    /// Removes keys of a group in bounded batches; answers the ids removed.
    pub async fn delete_keys(&self, group: GroupId, which: &KeySelector) -> StoreResult<Vec<KeyId>> {
        let mut picks = Picks::new(which);
        let mut removed = Vec::new();
        while let Some(pick) = picks.next() {
            let ids = self.delete_key_batch(group, pick).await?;
            picks.found(ids.len());
            removed.extend(ids);
        }
        Ok(removed)
    }

    /// Removes the first [`KEY_BATCH`] keys that `which` is about, all or none; answers the ids removed.
    pub async fn delete_some_keys(&self, group: GroupId, which: &KeySelector) -> StoreResult<Vec<KeyId>> {
        match Picks::new(which).next() {
            Some(pick) => self.delete_key_batch(group, pick).await,
            None => Ok(Vec::new()),
        }
    }

    async fn delete_key_batch(&self, group: GroupId, pick: Pick) -> StoreResult<Vec<KeyId>> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                let condition = pick.condition(&engine.vault);
                write!(engine, epoch, |conn| {
                    let ids: Vec<i64> = picked!(group, condition).select(api_keys::id).load(conn).await?;
                    diesel::delete(api_keys::table.filter(api_keys::id.eq_any(&ids))).execute(conn).await?;
                    Ok(ids.into_iter().map(KeyId).collect())
                })
            })
            .await
    }

    /// Makes invalid or disabled keys of a group active again, counters zero, generation raised; answers them as they are now.
    pub async fn restore_keys(
        &self,
        group: GroupId,
        which: &KeySelector,
        now: Timestamp,
    ) -> StoreResult<Vec<KeyRecord>> {
        let mut picks = Picks::new(which);
        let mut restored = Vec::new();
        while let Some(pick) = picks.next() {
            let keys = self.restore_key_batch(group, pick, now).await?;
            picks.found(keys.len());
            restored.extend(keys);
        }
        Ok(restored)
    }

    /// [`Writer::restore_keys`] for the first [`KEY_BATCH`] keys that `which` is about, all or none.
    pub async fn restore_some_keys(
        &self,
        group: GroupId,
        which: &KeySelector,
        now: Timestamp,
    ) -> StoreResult<Vec<KeyRecord>> {
        match Picks::new(which).next() {
            Some(pick) => self.restore_key_batch(group, pick, now).await,
            None => Ok(Vec::new()),
        }
    }

    async fn restore_key_batch(&self, group: GroupId, pick: Pick, now: Timestamp) -> StoreResult<Vec<KeyRecord>> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                let condition = pick.condition(&engine.vault);
                let rows: Vec<KeyRow> = write!(engine, epoch, |conn| {
                    let out = [KeyState::Invalid.as_str(), KeyState::Disabled.as_str()];
                    let ids: Vec<i64> = picked!(group, condition)
                        .filter(api_keys::status.eq_any(out))
                        .select(api_keys::id)
                        .load(conn)
                        .await?;
                    let target = api_keys::table.filter(api_keys::id.eq_any(&ids));
                    diesel::update(target)
                        .set((
                            api_keys::status.eq(KeyState::Active.as_str()),
                            api_keys::generation.eq(api_keys::generation + 1),
                            api_keys::failure_count.eq(0),
                            api_keys::consecutive_failures.eq(0),
                            api_keys::backoff_level.eq(0),
                            api_keys::disabled_until.eq(None::<i64>),
                            api_keys::resting_until.eq(None::<i64>),
                            api_keys::last_error_message.eq(None::<String>),
                            api_keys::last_class.eq(None::<String>),
                            api_keys::last_rule.eq(None::<String>),
                            api_keys::cooldown_level.eq(0),
                            api_keys::next_validation_at.eq(None::<i64>),
                            api_keys::validation_level.eq(0),
                            api_keys::model_health.eq(None::<String>),
                            api_keys::updated_at.eq(now.0),
                        ))
                        .execute(conn)
                        .await?;
                    let changed = api_keys::table.filter(api_keys::id.eq_any(&ids)).order(api_keys::id);
                    Ok(changed.select(KeyRow::as_select()).load(conn).await?)
                })?;
                decrypt(&engine.vault, rows).await
            })
            .await
    }

    /// Replaces what a person noted about a key. `NotFound`.
    pub async fn set_key_notes(&self, id: KeyId, notes: &str, now: Timestamp) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        let notes = fit_chars(notes.to_owned(), NOTES_CHARS);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let change = (api_keys::notes.eq(notes), api_keys::updated_at.eq(now.0));
                    match diesel::update(api_keys::table.find(id.0)).set(change).execute(conn).await? {
                        0 => Err(StoreError::NotFound("the key")),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }
}

/// Rows of the distinct values, and the values by hash.
fn prepare(vault: &Vault, template: KeyTemplate, values: Vec<Secret>) -> (Vec<NewKey>, HashMap<String, Secret>) {
    let mut by_hash = HashMap::with_capacity(values.len());
    let mut rows = Vec::with_capacity(values.len());
    for value in values {
        let row = template.row(vault, &value);
        if by_hash.insert(row.key_hash.clone(), value).is_none() {
            rows.push(row);
        }
    }
    (rows, by_hash)
}

/// One batch of a [`KeySelector`].
enum Pick {
    Ids(Vec<i64>),
    Values(Vec<Secret>),
    /// The first [`KEY_BATCH`] keys, of one state if one is named.
    Next(Option<&'static str>),
}

/// A [`Pick`] in the words of the table.
enum Condition {
    Ids(Vec<i64>),
    Hashes(Vec<String>),
    Next(Option<&'static str>),
}

impl Pick {
    fn condition(self, vault: &Vault) -> Condition {
        match self {
            Self::Ids(ids) => Condition::Ids(ids),
            Self::Values(values) => Condition::Hashes(values.iter().map(|value| vault.hash(value.expose())).collect()),
            Self::Next(status) => Condition::Next(status),
        }
    }
}

/// At most [`KEY_BATCH`] keys of a group that meet a [`Condition`], in id order.
macro_rules! picked {
    ($group:expr, $condition:expr) => {{
        let query = api_keys::table
            .filter(api_keys::group_id.eq($group.0))
            .order(api_keys::id)
            .limit(i64::try_from(KEY_BATCH).unwrap_or(i64::MAX))
            .into_boxed();
        match &$condition {
            Condition::Ids(ids) => query.filter(api_keys::id.eq_any(ids)),
            Condition::Hashes(hashes) => query.filter(api_keys::key_hash.eq_any(hashes)),
            Condition::Next(Some(status)) => query.filter(api_keys::status.eq(*status)),
            Condition::Next(None) => query,
        }
    }};
}
use picked;

/// Goes through a [`KeySelector`] in batches. Open-ended selectors go on until a batch is not full: what was dealt
/// with no longer meets the condition.
enum Picks<'a> {
    Ids(Chunks<'a, KeyId>),
    Values(Chunks<'a, Secret>),
    Open { status: Option<&'static str>, more: bool },
}

impl<'a> Picks<'a> {
    fn new(which: &'a KeySelector) -> Self {
        match which {
            KeySelector::Ids(ids) => Self::Ids(ids.chunks(KEY_BATCH)),
            KeySelector::Values(values) => Self::Values(values.chunks(KEY_BATCH)),
            KeySelector::State(state) => Self::Open { status: Some(state.as_str()), more: true },
            KeySelector::All => Self::Open { status: None, more: true },
        }
    }

    fn next(&mut self) -> Option<Pick> {
        match self {
            Self::Ids(chunks) => chunks.next().map(|ids| Pick::Ids(ids.iter().map(|id| id.0).collect())),
            Self::Values(chunks) => chunks.next().map(|values| Pick::Values(values.to_vec())),
            Self::Open { status, more } => more.then_some(Pick::Next(*status)),
        }
    }

    fn found(&mut self, count: usize) {
        if let Self::Open { more, .. } = self {
            *more = count == KEY_BATCH;
        }
    }
}
