//! Keys that want a validation, and what it said of them.

use gpt_load_schema::{ids::KeyId, key::KeyState, secret::Secret, time::Timestamp};

use super::{Asked, PoolHandle, Verdict, inbox::Origin, slot::Slot};

/// A key to be validated.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The key.
    pub id: KeyId,
    /// Its generation now; what a validation says of an earlier one counts for nothing.
    pub generation: i64,
    /// Its state now.
    pub state: KeyState,
    /// The provider key.
    pub secret: Secret,
    /// Base URL of the upstream it is bound to.
    pub upstream: Option<Box<str>>,
    /// Since when the validation is due.
    pub due: Timestamp,
}

impl Candidate {
    fn of(slot: &Slot, due: Timestamp) -> Self {
        Self {
            id: slot.id(),
            generation: slot.generation(),
            state: slot.state(),
            secret: slot.secret().clone(),
            upstream: slot.upstream().map(Into::into),
            due,
        }
    }
}

impl PoolHandle {
    /// Keys whose validation is due at `now`, those that wait longest first, at most `limit`. Looks at every key.
    pub fn due_for_validation(&self, now: Timestamp, limit: usize) -> Vec<Candidate> {
        let snapshot = self.shared.snapshot.load();
        let slots = snapshot.table.iter().filter(|slot| slot.resting_until() <= now);
        let mut due: Vec<_> =
            slots.filter_map(|slot| Some((due_since(slot).filter(|due| *due <= now)?, slot))).collect();
        due.sort_by_key(|(due, slot)| (*due, slot.id()));
        due.into_iter().take(limit).map(|(due, slot)| Candidate::of(slot, due)).collect()
    }

    /// The key for a validation that a person asks for; `None` when the pool has no such key.
    pub fn candidate(&self, id: KeyId, now: Timestamp) -> Option<Candidate> {
        self.shared.snapshot.load().table.find(id).map(|slot| Candidate::of(slot, now))
    }

    /// Hands over what a validation said.
    pub fn validated(&self, candidate: &Candidate, verdict: Verdict, asked: Asked<'_>, now: Timestamp) {
        if let Some(slot) = self.shared.snapshot.load().table.find(candidate.id) {
            self.shared.settle(slot.clone(), candidate.generation, verdict, asked, Origin::Validation, now);
        }
    }
}

/// A pending key without a time is due since it was added.
fn due_since(slot: &Slot) -> Option<Timestamp> {
    slot.next_validation_at().or_else(|| (slot.state() == KeyState::Pending).then_some(Timestamp::default()))
}
