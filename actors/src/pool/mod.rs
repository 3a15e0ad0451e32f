//! The key pool: which key serves next, and what its outcome makes of it.
//!
//! Pure but for atomics: time is a parameter, and whoever drives the pool (the group actor) does so through
//! `core::PoolCore`.

pub(crate) mod core;
pub(crate) mod inbox;
mod lease;
mod memory;
mod select;
pub(crate) mod shared;
mod slot;
mod snapshot;
pub mod state;
mod table;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::KeyRecord,
    log::OutcomeClass,
    store::KeyCounts,
    time::Timestamp,
};

pub use self::lease::KeyLease;
use self::shared::Shared;

/// What the classifier says of one attempt; the pool's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The class.
    pub class: OutcomeClass,
    /// Which rule decided, a stable word such as `status-429`.
    pub rule: &'static str,
    /// The provider's text, redacted, at most 2048 bytes; empty when there is none.
    pub message: String,
    /// When the provider said that the key or account may be asked again (rate limit, quota).
    pub retry_after: Option<Duration>,
}

/// What a request wants of a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want<'a> {
    /// Keys this request has tried; avoided while there is another.
    pub tried: &'a [KeyId],
    /// Whether this is the request's first attempt: only those use keys on probation.
    pub first_attempt: bool,
    /// Hash of what the request should stick to.
    pub sticky: Option<u64>,
}

/// Why no key could be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The group has no key that may serve.
    NoneUsable,
    /// Keys exist but all rest; the nearest return.
    AllResting(Timestamp),
}

/// A group's key pool as the data path sees it. Cheap to clone, safe from any thread, no lock on the hot path.
#[derive(Clone)]
pub struct PoolHandle {
    shared: Arc<Shared>,
}

impl PoolHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Hands out a key.
    pub fn checkout(&self, want: &Want<'_>, now: Timestamp) -> Result<KeyLease, NoKey> {
        let slot = select::select(&self.shared.snapshot.load(), self.shared.strategy, want, now)?;
        Ok(KeyLease::new(self.shared.clone(), slot))
    }

    /// Keys per state now.
    pub fn counts(&self) -> KeyCounts {
        self.shared.counts()
    }

    /// Position of the round-robin cursor (key index), for `/stats`.
    pub fn current_index(&self) -> u64 {
        self.shared.snapshot.load().active.next_index().unwrap_or(0).into()
    }

    /// Moves the round-robin cursor to the first active key at or after `index` (of all keys by ascending id; past the
    /// last one it wraps).
    pub fn seek(&self, index: u64) {
        let snapshot = self.shared.snapshot.load();
        let keys = u64::try_from(snapshot.table.len()).unwrap_or(u64::MAX);
        let index = index.checked_rem(keys).unwrap_or(0);
        snapshot.active.seek(u32::try_from(index).unwrap_or(0));
    }

    /// Whether a key could be handed out now, without handing it out.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        select::is_usable(&self.shared.snapshot.load(), now)
    }

    /// Keys that are out (disabled or invalid) or resting, at most `limit`, for `/blacklist`.
    ///
    /// What only the database knows of a key (hash, notes, counters, dates) is empty in the records.
    pub fn out_of_rotation(&self, limit: usize, now: Timestamp) -> Vec<KeyRecord> {
        let snapshot = self.shared.snapshot.load();
        let out = snapshot.table.iter().filter(|slot| !slot.state().is_selectable() || slot.resting_until() > now);
        out.take(limit).map(|slot| slot.record(self.shared.group)).collect()
    }

    /// The group.
    pub fn group_id(&self) -> GroupId {
        self.shared.group
    }
}

impl std::fmt::Debug for PoolHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolHandle").field("group", &self.shared.group).finish_non_exhaustive()
    }
}
