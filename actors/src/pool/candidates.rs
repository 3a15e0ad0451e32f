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
            upstream: slot.upstream().map(|url| (*url).clone()),
            due,
        }
    }
}

impl PoolHandle {
    /// Keys whose validation is due at `now` and that `may_ask` lets pass, those that wait longest first, at most
    /// `limit`. Looks at every key.
    pub fn due_for_validation(&self, now: Timestamp, limit: usize, may_ask: impl Fn(KeyId) -> bool) -> Vec<Candidate> {
        let snapshot = self.shared.snapshot.load();
        let slots = snapshot.keys().filter(|slot| slot.resting_until() <= now);
        let due = slots.filter_map(|slot| Some((due_since(slot).filter(|due| *due <= now)?, slot)));
        let mut due: Vec<_> = due.filter(|(_, slot)| may_ask(slot.id())).collect();
        due.sort_by_key(|(due, slot)| (*due, slot.id()));
        due.into_iter().take(limit).map(|(due, slot)| Candidate::of(slot, due)).collect()
    }

    /// Ids of the keys in this state, ascending; `None` = in any.
    pub fn ids(&self, state: Option<KeyState>) -> Vec<KeyId> {
        let snapshot = self.shared.snapshot.load();
        let slots = snapshot.keys().filter(|slot| state.is_none_or(|state| slot.state() == state));
        slots.map(|slot| slot.id()).collect()
    }

    /// The next key that the pool guard may hold back, in a circle by id after `last`: a degraded one, else one that is
    /// out.
    pub fn next_doubtful(&self, last: Option<KeyId>, now: Timestamp) -> Option<Candidate> {
        let snapshot = self.shared.snapshot.load();
        let next = |is_meant: fn(KeyState) -> bool| {
            let meant = || snapshot.keys().filter(|slot| is_meant(slot.state()));
            meant().find(|slot| last.is_none_or(|last| slot.id() > last)).or_else(|| meant().next())
        };
        let slot = next(|state| state == KeyState::Degraded).or_else(|| next(|state| !state.is_selectable()));
        slot.map(|slot| Candidate::of(slot, now))
    }

    /// The key for a validation that a person asks for; `None` when the pool has no such key.
    pub fn candidate(&self, id: KeyId, now: Timestamp) -> Option<Candidate> {
        self.shared.snapshot.load().key(id).map(|slot| Candidate::of(slot, now))
    }

    /// Hands over what a validation said.
    pub fn validated(&self, candidate: &Candidate, verdict: Verdict, asked: Asked<'_>, now: Timestamp) {
        if let Some(slot) = self.shared.snapshot.load().key(candidate.id) {
            let origin = Origin::Validation { began: self.shared.watch.failures() };
            self.shared.settle(slot.clone(), candidate.generation, verdict, asked, origin, now);
        }
    }
}

/// A key that is yet to be proved and has no time is due since it was added.
fn due_since(slot: &Slot) -> Option<Timestamp> {
    let is_unproved = || matches!(slot.state(), KeyState::Pending | KeyState::Invalid);
    slot.next_validation_at().or_else(|| is_unproved().then_some(Timestamp::default()))
}
