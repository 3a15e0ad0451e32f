//! A checked-out key.

use std::sync::Arc;

use gpt_load_schema::{ids::KeyId, log::OutcomeClass, secret::Secret, time::Timestamp};

use super::{Announced, Asked, Verdict, inbox::Origin, shared::Shared, slot::Slot};

/// A checked-out key. Yields exactly one outcome: the settled one, or *abandoned* when dropped.
pub struct KeyLease {
    pool: Arc<Shared>,
    slot: Arc<Slot>,
    generation: i64,
    settled: bool,
}

impl KeyLease {
    /// Takes over a slot that selection has occupied.
    pub(super) fn new(pool: Arc<Shared>, slot: Arc<Slot>) -> Self {
        let generation = slot.generation();
        Self { pool, slot, generation, settled: false }
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.slot.id()
    }

    /// The provider key.
    pub fn secret(&self) -> &Secret {
        self.slot.secret()
    }

    /// Successful requests that the key served, and its counted failures since the last reset.
    pub fn counters(&self) -> (u64, i64) {
        self.slot.counters()
    }

    /// Base URL of the upstream the key is bound to, if any.
    pub fn bound_to(&self) -> Option<&str> {
        self.slot.upstream()
    }

    /// Takes note of what an answer tells of the provider's limits.
    pub fn learn(&self, announced: &Announced, model: &str, now: Timestamp) {
        // Selection does not look ahead yet.
        let _ = (announced, model, now);
    }

    /// Yields the outcome.
    pub fn settle(mut self, verdict: Verdict, asked: Asked<'_>, now: Timestamp) {
        self.settled = true;
        if verdict.class == OutcomeClass::Success {
            self.slot.count_request();
        }
        self.pool.settle(self.slot.clone(), self.generation, verdict, asked, Origin::Request, now);
    }
}

impl Drop for KeyLease {
    fn drop(&mut self) {
        if !self.settled {
            // Abandoned says nothing of the key: it is counted, and nobody needs to be woken for it.
            self.pool.count_applied();
        }
        self.slot.vacate();
    }
}

impl std::fmt::Debug for KeyLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyLease").field("id", &self.id()).field("generation", &self.generation).finish_non_exhaustive()
    }
}
