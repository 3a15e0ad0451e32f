//! Rotation of the data key: a fresh one encrypts from its first moment on, what is under older ones follows in batches, and
//! the older ones go when nothing needs them.

use std::sync::Arc;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;

use super::{
    Store, StoreError, StoreResult, Writer,
    pool::{Engine, write},
    recast::{Between, ONLY, Recast, RecastPurpose, RecastRow, put_recast},
    tables::{encryption_keys, recasts},
    unlock,
};
use crate::{crypto::envelope::Purpose, time::Timestamp};

/// How secrets are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionState {
    /// Whether they are encrypted.
    pub encrypts: bool,
    /// Data keys that stored values may be under; above 1 while a rotation is under way, or when values do not decrypt.
    pub data_keys: usize,
    /// The rotation under way, or the last one; `None` when there was none.
    pub rotation: Option<Recast>,
}

impl Store {
    /// How secrets are stored.
    pub async fn encryption_state(&self) -> StoreResult<EncryptionState> {
        let engine = Arc::clone(&self.engine);
        let rows = self.engine.run(async move { unlock::load(&engine.pools).await }).await?;
        let rotation = self.recast_row().await?.map(|row| row.read()).transpose()?;
        Ok(EncryptionState {
            encrypts: self.encrypts(),
            data_keys: rows.iter().filter(|row| row.is_data_key()).count(),
            rotation: rotation.filter(|recast| recast.purpose == RecastPurpose::Rotate),
        })
    }

    /// Whether a rotation of the data key is under way.
    pub async fn rotates(&self) -> StoreResult<bool> {
        let row = self.recast_row().await?;
        Ok(row.is_some_and(|row| !row.is_finished() && row.purpose().is_ok_and(|it| it == RecastPurpose::Rotate)))
    }
}

impl Store {
    /// Takes up data keys that another process made since this one started.
    ///
    /// # Errors
    /// Also when another process changed the encryption key meanwhile.
    pub async fn learn_data_keys(&self) -> StoreResult<()> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let _alone = engine.sealing.write().await;
                learn_data_keys(&engine).await
            })
            .await
    }
}

impl Writer {
    /// Makes a fresh data key, under which everything is encrypted from now on; `false` when a rotation is under way already.
    /// [`Writer::continue_rotation`] brings the rest under it.
    ///
    /// # Errors
    /// `Encryption` for a database without encryption, and when another process changed the encryption key.
    pub async fn begin_rotation(&self, now: Timestamp) -> StoreResult<bool> {
        if !self.engine.vault.encrypts() {
            return Err(StoreError::Encryption(
                "the database stores plain text, so there is no data key to rotate; `gpt-load migrate-keys --to` encrypts it"
                    .to_owned(),
            ));
        }
        let store = Store { engine: Arc::clone(&self.engine) };
        // Once to renew, once to check.
        let total = store.secret_rows().await?.saturating_mul(2);
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                let _alone = engine.sealing.write().await;
                let begun = insert_data_key(&engine, epoch, total, now).await;
                // Whatever came of it: what is stored is what counts.
                learn_data_keys(&engine).await?;
                begun
            })
            .await
    }

    /// Does one batch of the rotation under way; answers whether there is more to do. At the end older data keys are dropped,
    /// unless values are under them that do not decrypt.
    pub async fn continue_rotation(&self, now: Timestamp) -> StoreResult<bool> {
        let between = Between::data_keys(&self.engine.vault);
        let row = match self.recast_batch(RecastPurpose::Rotate, between).await? {
            Some(row) if !row.is_done() => return Ok(true),
            Some(row) => row,
            None => return Ok(false),
        };
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        let current = self.engine.vault.current_key().unwrap_or(0);
        self.engine
            .run(async move {
                let _alone = engine.sealing.write().await;
                write!(engine, epoch, |conn| {
                    if row.unreadable() == 0 {
                        let older = encryption_keys::table
                            .filter(encryption_keys::purpose.eq(Purpose::Data.as_str()))
                            .filter(encryption_keys::id.lt(current));
                        diesel::delete(older).execute(conn).await?;
                    }
                    let finished = recasts::finished_at.eq(Some(now.0));
                    diesel::update(recasts::table.find(ONLY)).set(finished).execute(conn).await?;
                    Ok(false)
                })
            })
            .await
    }
}

async fn insert_data_key(engine: &Engine, epoch: i64, total: i64, now: Timestamp) -> StoreResult<bool> {
    write!(engine, epoch, |conn| {
        let under_way: Option<RecastRow> =
            recasts::table.find(ONLY).select(RecastRow::as_select()).first(conn).await.optional()?;
        if under_way.is_some_and(|row| !row.is_finished()) {
            return Ok(false);
        }
        let rows: Vec<unlock::KeyRow> = encryption_keys::table.order(encryption_keys::id).load(conn).await?;
        let wrapping = engine.wrapping.as_ref().filter(|wrapping| rows.iter().all(|row| wrapping.covers(row)));
        let wrapping = wrapping.ok_or_else(changed_elsewhere)?;
        // The highest id is never dropped, so no id is used twice.
        let id = rows.last().map_or(0, unlock::KeyRow::id) + 1;
        let (row, _) = wrapping.fresh_data_key(id, now);
        diesel::insert_into(encryption_keys::table).values(row).execute(conn).await?;
        put_recast!(conn, RecastRow::begin(RecastPurpose::Rotate, total, now));
        Ok(true)
    })
}

/// Takes up data keys that are stored but not known yet. Keys that were dropped stay known until the process ends: a reader
/// may still hold a row that it read before.
async fn learn_data_keys(engine: &Engine) -> StoreResult<()> {
    let Some(wrapping) = &engine.wrapping else { return Ok(()) };
    let rows = unlock::load(&engine.pools).await?;
    for row in rows.iter().filter(|row| row.is_data_key()) {
        if Some(row.id()) > engine.vault.current_key() {
            engine.vault.learn(row.id(), &wrapping.data_key(row).ok_or_else(changed_elsewhere)?);
        }
    }
    Ok(())
}

fn changed_elsewhere() -> StoreError {
    StoreError::Encryption(
        "the encryption key was changed by another process while this one runs. Nothing was changed. Start this node again \
         with the new ENCRYPTION_KEY."
            .to_owned(),
    )
}
