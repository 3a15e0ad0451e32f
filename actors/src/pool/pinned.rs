//! Handing out one particular key: what a provider stores is reached with the key that made it, and no other.

use std::{sync::Arc, time::Duration};

use gpt_load_schema::{ids::KeyId, key::KeyState, time::Timestamp};

use super::{
    KeyLease, PoolHandle,
    ledger::Seat,
    model::ModelHash,
    select::Terms,
    slot::{Refusal, Rotation, Slot},
    snapshot::Snapshot,
};

/// When to ask again for a key that has as many requests as it may: nobody knows when one will end.
const BUSY: Duration = Duration::from_secs(1);

/// Why the key that was asked for cannot serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The group does not have it, or cannot read it.
    Gone,
    /// It rests until then.
    Resting(Timestamp),
    /// It is out of the rotation.
    Out {
        /// Its state; a key that is about to leave may still be active.
        state: KeyState,
        /// When it returns by itself, where that is known.
        until: Option<Timestamp>,
    },
}

impl PoolHandle {
    /// Hands out the key `id` for a request that asks for `model`, which may be empty. Keys on probation serve without its
    /// limits, since no other key could.
    ///
    /// # Errors
    /// [`Withheld`] says why not.
    pub fn checkout_key(&self, id: KeyId, model: &str, now: Timestamp) -> Result<KeyLease, Withheld> {
        let snapshot = self.shared.snapshot.load();
        let (slot, seat) = self.occupy_key(&snapshot, id, model, &self.shared.terms(), now)?;
        Ok(KeyLease::new(self.shared.clone(), slot.clone(), seat))
    }

    /// Whether [`PoolHandle::checkout_key`] would hand the key out, without using up any of its limits.
    pub fn is_ready(&self, id: KeyId, now: Timestamp) -> bool {
        let terms = Terms { only_looks: true, ..self.shared.terms() };
        let snapshot = self.shared.snapshot.load();
        self.occupy_key(&snapshot, id, "", &terms, now).map(|(slot, seat)| slot.give_back(seat)).is_ok()
    }

    fn occupy_key<'a>(
        &self,
        snapshot: &'a Snapshot,
        id: KeyId,
        model: &str,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<(&'a Arc<Slot>, Option<Seat>), Withheld> {
        let slot = snapshot.key(id).ok_or(Withheld::Gone)?;
        if slot.rotation() == Rotation::Out {
            let until = slot.standing().health.disabled_until.filter(|_| slot.state() == KeyState::Disabled);
            return Err(Withheld::Out { state: slot.state(), until });
        }
        let model = ModelHash::of(model);
        let model_rest = slot.rest_for(model).map(|rest| rest.rest()).filter(|until| *until > now);
        if let Some(until) = slot.away_until(terms, now).max(model_rest) {
            return Err(Withheld::Resting(until));
        }
        let seat = slot.occupy(false, terms, model, now).map_err(|refusal| match refusal {
            Refusal::Rests(until) | Refusal::RestsForModel(until) => Withheld::Resting(until),
            Refusal::Busy => Withheld::Resting(now + BUSY),
        })?;
        Ok((slot, seat))
    }
}
