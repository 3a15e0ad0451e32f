//! Everything that is read from or written to the database.
//!
//! [`Store`] reads; [`Writer`] writes on behalf of one leadership epoch, and a stale epoch writes nothing. Calls run to
//! their end also when their future is dropped; calls that work in batches stop after the batch under way.

mod access_tokens;
mod audit;
mod claim;
mod commit;
mod data_keys;
mod dialect;
pub mod dsn;
mod epoch;
mod error;
mod group_rows;
mod group_secrets;
mod groups;
mod key_rows;
mod key_traits;
mod key_writes;
mod keys;
mod log_queries;
mod logs;
mod migrate;
mod migrate_keys;
mod open;
mod policies;
mod pool;
mod proofs;
mod recast;
mod resources;
mod settings;
mod statistics;
mod tables;
mod takeover;
mod tallies;
mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod unlock;
mod validation;
mod watermarks;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::{
    audit::AuditFilter,
    claim::Claim,
    data_keys::EncryptionState,
    dsn::Dsn,
    error::{StoreError, StoreResult},
    key_rows::KEY_BATCH,
    log_queries::{KeyUse, LogEntry, LogFilter, LogPage, LogTail},
    migrate_keys::{Migrated, MigratedKeys},
    open::Place,
    proofs::OutcomeProofs,
    recast::{Recast, RecastPurpose},
    statistics::{EncryptionSample, Hour, Requests},
    takeover::{Moment, Options as TakeoverOptions, Taken, Watch},
    tallies::{GATEWAY_CLASS, HourOutcome, RECENT_SPAN, Tokens},
    validation::ValidationFilter,
};
use self::{
    dialect::Dialect,
    pool::{Engine, read, read_replica},
};
use crate::{
    ids::KeyId,
    key::{KeyHealth, KeyRecord, KeySource, KeyState},
    secret::Secret,
};

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// Rows of this page.
    pub items: Vec<T>,
    /// Rows over all pages.
    pub total: i64,
}

/// Which keys a list shows.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// Exact state.
    pub state: Option<KeyState>,
    /// Exact clear-text value.
    pub value: Option<Secret>,
    /// Exact source.
    pub source: Option<KeySource>,
}

/// Which keys of a group a change is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum KeySelector {
    /// These rows.
    Ids(Vec<KeyId>),
    /// Keys with these clear-text values.
    #[serde(skip)]
    Values(Vec<Secret>),
    /// Keys in this state.
    State(KeyState),
    /// Every key of the group.
    All,
}

/// Keys per state of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Not yet proved.
    pub pending: i64,
    /// Good.
    pub active: i64,
    /// On probation.
    pub degraded: i64,
    /// Backing off.
    pub disabled: i64,
    /// Refused by the provider.
    pub invalid: i64,
}

impl KeyCounts {
    /// All keys.
    pub const fn total(&self) -> i64 {
        self.pending + self.active + self.degraded + self.disabled + self.invalid
    }

    /// The count of one state.
    pub const fn of_mut(&mut self, state: KeyState) -> &mut i64 {
        match state {
            KeyState::Pending => &mut self.pending,
            KeyState::Active => &mut self.active,
            KeyState::Degraded => &mut self.degraded,
            KeyState::Disabled => &mut self.disabled,
            KeyState::Invalid => &mut self.invalid,
        }
    }
}

/// A key's state after some outcomes, plus how much its counters grew; coalesced per key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDelta {
    /// The key.
    pub id: KeyId,
    /// What the state machine remembers now.
    pub health: KeyHealth,
    /// Counted failures to add.
    pub failures: i64,
    /// Set the stored failure count to zero first (restore).
    pub reset_failures: bool,
}

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct Inserted {
    /// New rows, ready for the pool.
    pub keys: Vec<KeyRecord>,
    /// Values that were there before or twice in the request.
    pub ignored: i64,
}

/// Reads. Cheap to clone; holds a connection pool and the keys of encryption at rest.
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
}

/// Writes under one leadership epoch. Every transaction first claims the epoch.
#[derive(Clone)]
pub struct Writer {
    engine: Arc<Engine>,
    epoch: i64,
}

impl Store {
    /// A writer for `epoch`.
    pub fn writer(&self, epoch: i64) -> Writer {
        Writer { engine: Arc::clone(&self.engine), epoch }
    }

    /// The lookup hash of a text, as it is stored of what is only ever compared: 64 lower-case hex digits.
    pub fn lookup_hash(&self, text: &str) -> String {
        self.engine.vault.hash(text)
    }

    /// Whether secrets are stored encrypted.
    pub fn encrypts(&self) -> bool {
        self.engine.vault.encrypts()
    }

    /// Cheap proof that the database answers.
    pub async fn ping(&self) -> StoreResult<()> {
        self.epoch().await.map(drop)
    }

    /// The highest leadership epoch that has written; a new leader's must not be lower.
    pub async fn epoch(&self) -> StoreResult<i64> {
        use diesel::QueryDsl;
        use diesel_async::RunQueryDsl;
        use tables::leader_epoch;
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                read!(engine, |conn| Ok(leader_epoch::table.select(leader_epoch::epoch).first(conn).await?))
            })
            .await
    }

    /// Final requests since the beginning, also of groups that are gone: (successes, failures).
    pub async fn request_totals(&self) -> StoreResult<(i64, i64)> {
        let engine = Arc::clone(&self.engine);
        self.engine.run(async move { read_replica!(engine, |conn| Ok(conn.request_totals().await?)) }).await
    }
}

#[cfg(test)]
mod tests;
