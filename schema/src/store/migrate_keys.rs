//! Enabling, disabling and changing encryption at rest while no node runs.

use std::sync::Arc;

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;

use super::{
    KeyFilter, Moment, Store, StoreError, StoreResult, Watch, Writer,
    dialect::Dialect,
    dsn::Dsn,
    open::Place,
    pool::{blocking, directly, write},
    recast::{Between, RecastPurpose, RecastRow, put_recast},
    tables::encryption_keys,
    unlock::{self, Passphrases, Wrapping, replace_rows},
};
use crate::{
    crypto::envelope::{Derivation, Purpose},
    ids::KeyId,
    secret::Secret,
    time::Timestamp,
};

/// Keys read at a time.
const BATCH: u32 = 2_000;
/// Ids named in an error.
const NAMED: usize = 5;

/// What [`Store::migrate_keys`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrated {
    /// The database is encrypted now.
    Enabled,
    /// The database stores plain text now.
    Disabled,
    /// Another passphrase opens the database now.
    Changed,
}

/// An end of a migration with what is to be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigratedKeys {
    /// What was done.
    pub done: Migrated,
    /// Provider keys that were checked.
    pub keys: i64,
    /// Log rows whose key did not decrypt; they read `failed-to-decrypt`.
    pub unreadable_logs: i64,
    /// Whether tables of an older GPT-Load are still there, with what that stored in clear text.
    pub has_legacy_tables: bool,
}

impl Store {
    /// Encrypts a plain database (`to`), decrypts one (`from`), or lets another passphrase open it (both). The database must
    /// not be in use, which [`super::Claim`] makes sure. A database of an older GPT-Load is taken over first, with `from`.
    /// Killed, the same call goes on where it was.
    ///
    /// # Errors
    /// `Encryption` when the database is so already, `from` does not open it, or a key does not decrypt: its id is named and
    /// nothing was changed.
    pub async fn migrate_keys(
        place: impl Into<Place<'_>>,
        from: Option<&Secret>,
        to: Option<&Secret>,
        watch: Watch,
    ) -> StoreResult<MigratedKeys> {
        Self::migrate_keys_with(place.into(), Passphrases::new(to, from), Derivation::fresh(), watch).await
    }

    pub(super) async fn migrate_keys_with(
        place: Place<'_>,
        passphrases: Passphrases,
        fresh: Derivation,
        mut watch: Watch,
    ) -> StoreResult<MigratedKeys> {
        let Passphrases { current: to, previous: from } = passphrases;
        if from == to {
            return Err(StoreError::Encryption(
                match from {
                    None => "there is nothing to do: give the key in force, the new one, or both",
                    Some(_) => "both keys are the same. Nothing was changed.",
                }
                .to_owned(),
            ));
        }
        if let Ok(Dsn::Sqlite(path)) = place.dsn.parse::<Dsn>()
            && !path.exists()
        {
            return Err(StoreError::Unavailable(format!("there is no file {}", path.display())));
        }
        // Broken off, an enabling left a database that `to` opens already.
        let (store, opened) =
            match Self::unlocked(place, Passphrases { current: from.clone(), previous: None }, fresh.clone()).await {
                Err(refused @ StoreError::Encryption(_)) if from.is_none() => {
                    let Ok(begun) =
                        Self::unlocked(place, Passphrases { current: to.clone(), previous: None }, fresh.clone()).await
                    else {
                        return Err(already(refused, from.as_ref()));
                    };
                    begun
                }
                Err(StoreError::Encryption(text)) => return Err(already(StoreError::Encryption(text), from.as_ref())),
                other => other?,
            };
        let writer = store.writer(store.epoch().await?.saturating_add(1));
        let under_way = store.recast_row().await?.filter(|row| !row.is_finished());
        let under_way = under_way.map(|row| row.purpose()).transpose()?;
        let wanted = match (&from, &to) {
            (None, _) => RecastPurpose::Enable,
            (_, None) => RecastPurpose::Disable,
            _ => RecastPurpose::Rotate,
        };
        let begins = match under_way {
            Some(begun @ (RecastPurpose::Enable | RecastPurpose::Disable)) if begun != wanted => {
                return Err(interrupted(begun));
            }
            Some(begun) => begun != wanted,
            None => true,
        };
        if wanted == RecastPurpose::Enable && begins && store.encrypts() {
            return Err(StoreError::Encryption("the database is encrypted already. Nothing was changed.".to_owned()));
        }
        // The form of header rules is that of this version before anything else.
        store.finish_header_rules().await?;
        let (plain, encrypting);
        let (keys, between) = match wanted {
            RecastPurpose::Enable => {
                plain = Arc::new(store.engine.vault.in_plain());
                let mut keys = 0;
                if begins {
                    keys = store.check_keys(&mut watch).await?;
                    let wrapping = derive(fresh, to).await?;
                    let (row, data) = wrapping.fresh_data_key(writer.next_key_id().await?, Timestamp::now());
                    let mut rows = opened.rows_under(&wrapping);
                    rows.push(row.clone());
                    store.engine.vault.learn(row.id(), &data);
                    writer.begin_migration(wanted, rows).await?;
                }
                encrypting = Arc::clone(&store.engine.vault);
                (keys, Between { from: plain, to: encrypting })
            }
            RecastPurpose::Disable => {
                plain = Arc::new(store.engine.vault.in_plain());
                let mut keys = 0;
                if begins {
                    keys = store.check_keys(&mut watch).await?;
                    writer.begin_migration(wanted, Vec::new()).await?;
                }
                (keys, Between { from: Arc::clone(&store.engine.vault), to: plain })
            }
            _ => {
                let keys = store.check_keys(&mut watch).await?;
                let wrapping = derive(fresh, to).await?;
                writer.wrap_anew(opened.rows_under(&wrapping)).await?;
                return store.migrated(Migrated::Changed, keys, 0).await;
            }
        };
        store.wipes(true).await?;
        let row = loop {
            let row = writer.recast_batch(wanted, between.clone()).await?;
            let row = row.ok_or_else(|| StoreError::Internal("the migration is gone".to_owned()))?;
            let recast = row.read()?;
            watch(Moment { stage: recast.stage, done: recast.processed, total: recast.total });
            if row.is_done() {
                break row;
            }
        };
        if wanted == RecastPurpose::Disable {
            let lookup = opened.unprotected_lookup();
            writer.drop_data_keys(lookup.ok_or_else(|| StoreError::damaged("lookup key", "it is missing"))?).await?;
        }
        writer.end_recast(Timestamp::now()).await?;
        store.wipes(false).await?;
        if wanted == RecastPurpose::Enable {
            watch(Moment { stage: "rebuild", done: 0, total: 1 });
            store.rebuilt().await?;
        }
        let done = if wanted == RecastPurpose::Enable { Migrated::Enabled } else { Migrated::Disabled };
        store.migrated(done, keys, row.unreadable()).await
    }

    async fn migrated(&self, done: Migrated, keys: i64, unreadable_logs: i64) -> StoreResult<MigratedKeys> {
        let engine = Arc::clone(&self.engine);
        let has_legacy_tables =
            self.engine.run(async move { directly!(engine, |conn| Ok(conn.has_legacy_tables().await?)) }).await?;
        Ok(MigratedKeys { done, keys, unreadable_logs, has_legacy_tables })
    }

    /// Proves that every stored secret is readable, and every key what its hash says; answers the number of keys.
    async fn check_keys(&self, watch: &mut Watch) -> StoreResult<i64> {
        // Both are refused as a whole when one of their secrets does not open.
        self.settings().await?;
        let total: i64 = self.key_counts().await?.values().map(super::KeyCounts::total).sum();
        let (mut seen, mut bad) = (0, Vec::new());
        for group in self.groups().await? {
            let mut after = None;
            loop {
                let keys = self.keys_after(group.id, &KeyFilter::default(), after, BATCH).await?;
                let Some(last) = keys.last() else { break };
                after = Some(last.id);
                seen += i64::try_from(keys.len()).unwrap_or(i64::MAX);
                let vault = Arc::clone(&self.engine.vault);
                let of_batch: Vec<KeyId> = blocking(move || {
                    let is_bad = |key: &crate::key::KeyRecord| {
                        key.value.as_ref().is_none_or(|value| vault.hash(value.expose()) != key.hash)
                    };
                    Ok(keys.iter().filter(|key| is_bad(key)).map(|key| key.id).collect())
                })
                .await?;
                bad.extend(of_batch);
                watch(Moment { stage: "check", done: seen, total: total.max(seen) });
            }
        }
        if bad.is_empty() {
            return Ok(seen);
        }
        bad.sort_unstable();
        let named: Vec<String> = bad.iter().take(NAMED).map(|id| id.0.to_string()).collect();
        Err(StoreError::Encryption(format!(
            "{} of {seen} keys are not readable (ids {}{}). Nothing was changed. Delete those keys first.",
            bad.len(),
            named.join(", "),
            if bad.len() > NAMED { ", …" } else { "" }
        )))
    }

    pub(super) async fn wipes(&self, on: bool) -> StoreResult<()> {
        let engine = Arc::clone(&self.engine);
        self.engine.run(async move { directly!(engine, |conn| Ok(conn.wipe_deleted(on).await?)) }).await
    }

    async fn rebuilt(&self) -> StoreResult<()> {
        let engine = Arc::clone(&self.engine);
        self.engine.run(async move { directly!(engine, |conn| Ok(conn.rebuild().await?)) }).await
    }

    /// Refuses a database on which a migration was broken off.
    pub(super) async fn refuse_interrupted(&self) -> StoreResult<()> {
        let row = self.recast_row().await?.filter(|row| !row.is_finished());
        match row.map(|row| row.purpose()).transpose()? {
            Some(begun @ (RecastPurpose::Enable | RecastPurpose::Disable)) => Err(interrupted(begun)),
            _ => Ok(()),
        }
    }

    /// Seals what former versions stored in the clear, once.
    pub(super) async fn finish_header_rules(&self) -> StoreResult<()> {
        let is_due =
            |row: &RecastRow| !row.is_finished() && row.purpose().is_ok_and(|it| it == RecastPurpose::HeaderRules);
        if !self.recast_row().await?.as_ref().is_some_and(is_due) {
            return Ok(());
        }
        let writer = self.writer(self.epoch().await?);
        if self.encrypts() {
            self.wipes(true).await?;
            let between = Between::data_keys(&self.engine.vault);
            while let Some(row) = writer.recast_batch(RecastPurpose::HeaderRules, between.clone()).await? {
                if row.is_done() {
                    break;
                }
            }
            self.wipes(false).await?;
        }
        writer.end_recast(Timestamp::now()).await
    }
}

impl Writer {
    async fn next_key_id(&self) -> StoreResult<i64> {
        let engine = Arc::clone(&self.engine);
        let rows = self.engine.run(async move { unlock::load(&engine.pools).await }).await?;
        Ok(rows.last().map_or(0, unlock::KeyRow::id) + 1)
    }

    /// Stores the keys of a migration and that it is under way.
    async fn begin_migration(&self, purpose: RecastPurpose, rows: Vec<unlock::KeyRow>) -> StoreResult<()> {
        let total = Store { engine: Arc::clone(&self.engine) }.secret_rows().await?;
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                let former = unlock::load(&engine.pools).await?;
                write!(engine, epoch, |conn| {
                    put_recast!(conn, RecastRow::begin(purpose, total, Timestamp::now()));
                    replace_rows!(conn, former, rows)
                })
            })
            .await
    }

    async fn wrap_anew(&self, rows: Vec<unlock::KeyRow>) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                let former = unlock::load(&engine.pools).await?;
                write!(engine, epoch, |conn| replace_rows!(conn, former, rows))
            })
            .await
    }

    async fn drop_data_keys(&self, lookup: unlock::KeyRow) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                let former = unlock::load(&engine.pools).await?;
                write!(engine, epoch, |conn| {
                    replace_rows!(conn, former, [lookup])?;
                    let data = encryption_keys::table.filter(encryption_keys::purpose.eq(Purpose::Data.as_str()));
                    diesel::delete(data).execute(conn).await?;
                    Ok(())
                })
            })
            .await
    }
}

async fn derive(fresh: Derivation, to: Option<Secret>) -> StoreResult<Wrapping> {
    let to = to.ok_or_else(|| StoreError::Internal("no new key".to_owned()))?;
    blocking(move || Ok(Wrapping::derive(fresh, &to))).await
}

fn interrupted(begun: RecastPurpose) -> StoreError {
    let (what, which) = match begun {
        RecastPurpose::Enable => ("encrypting", "--to"),
        _ => ("decrypting", "--from"),
    };
    StoreError::Encryption(format!(
        "{what} this database was broken off. Run `gpt-load migrate-keys {which}` with the same key once more: it goes on where \
         it was."
    ))
}

/// The refusal in the words of the command.
fn already(refused: StoreError, from: Option<&Secret>) -> StoreError {
    let StoreError::Encryption(text) = &refused else { return refused };
    let text = match from {
        None if text.contains("ENCRYPTION_KEY is empty") => {
            "the database is encrypted already. Nothing was changed. Give the key in force, too, to change it (--from)."
        }
        Some(_) if text.contains("stores plain text") => {
            "the database stores plain text, so no key is in force. Nothing was changed. Leave the former key (--from) away."
        }
        Some(_) if text.contains("does not open this database") => {
            "the former key (--from) does not open this database. Nothing was changed."
        }
        _ => return refused,
    };
    StoreError::Encryption(text.to_owned())
}
