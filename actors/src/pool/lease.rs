//! A checked-out key.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use gpt_load_schema::{ids::KeyId, log::OutcomeClass, secret::Secret, time::Timestamp};

use super::{
    Announced, Asked, Remaining, Verdict, inbox::Origin, ledger::Seat, model::ModelHash, shared::Shared, slot::Slot,
};

/// A checked-out key. Yields exactly one outcome: the settled one, or *abandoned* when dropped.
pub struct KeyLease {
    pool: Arc<Shared>,
    slot: Arc<Slot>,
    generation: i64,
    bound_to: Option<Arc<Box<str>>>,
    /// The request's place among those that await an answer, while the provider announces limits.
    seat: Option<Seat>,
    answered: AtomicBool,
    /// Failures in the pool when the attempt began.
    began: u64,
    settled: bool,
}

impl KeyLease {
    /// Takes over a slot that selection has occupied.
    pub(super) fn new(pool: Arc<Shared>, slot: Arc<Slot>, seat: Option<Seat>) -> Self {
        let (generation, bound_to, began) = (slot.generation(), slot.upstream(), pool.watch.failures());
        Self { pool, slot, generation, bound_to, seat, answered: AtomicBool::new(false), began, settled: false }
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
        self.bound_to.as_deref().map(|url| &**url)
    }

    /// Takes note of what an answer tells of the provider's limits; the request has its answer now, so it no longer counts
    /// against what is left.
    pub fn learn(&self, announced: &Announced, model: &str, now: Timestamp) {
        if *announced == (Announced { per_model: announced.per_model, ..Announced::default() }) {
            return;
        }
        // A reset that is misread, or never comes, must not cost the key: nobody would ask it again and learn better.
        let longest = self.pool.limits.load().cooldown_max;
        let capped = |remaining: Remaining| Remaining { reset_in: remaining.reset_in.min(longest), ..remaining };
        let announced =
            Announced { requests: announced.requests.map(capped), tokens: announced.tokens.map(capped), ..*announced };
        let ledger = self.pool.ledger(&self.slot, &announced);
        let changed = ledger.learn(self.seat.as_ref(), &announced, ModelHash::of(model), now);
        self.answered();
        if changed {
            self.pool.want_rebuild();
            self.pool.tell_used_up(&self.slot, &ledger, announced.per_model.then_some(model), now);
        }
    }

    fn answered(&self) {
        if let Some(seat) = &self.seat
            && !self.answered.swap(true, Ordering::AcqRel)
        {
            seat.leave();
        }
    }

    /// Yields the outcome.
    pub fn settle(mut self, verdict: Verdict, asked: Asked<'_>, now: Timestamp) {
        self.settled = true;
        if verdict.class == OutcomeClass::Success {
            self.slot.count_request();
        }
        self.pool.settle(
            self.slot.clone(),
            self.generation,
            verdict,
            asked,
            Origin::Request { began: self.began },
            now,
        );
    }
}

impl Drop for KeyLease {
    fn drop(&mut self) {
        if !self.settled {
            // Abandoned says nothing of the key: it is counted, and nobody needs to be woken for it.
            self.pool.count_applied();
        }
        self.answered();
        self.slot.vacate();
    }
}

impl std::fmt::Debug for KeyLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyLease").field("id", &self.id()).field("generation", &self.generation).finish_non_exhaustive()
    }
}
