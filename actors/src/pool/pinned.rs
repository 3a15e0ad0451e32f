//! Handing out one particular key: what a provider stores is reached with the key that made it, and no other.

use std::time::Duration;

use gpt_load_schema::{ids::KeyId, key::KeyState, time::Timestamp};

use super::{
    KeyLease, PoolHandle,
    model::ModelHash,
    slot::{Refusal, Rotation},
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
        let slot = snapshot.table.find(id).filter(|slot| !slot.is_gone()).ok_or(Withheld::Gone)?;
        if slot.rotation() == Rotation::Out {
            let until = slot.standing().health.disabled_until.filter(|_| slot.state() == KeyState::Disabled);
            return Err(Withheld::Out { state: slot.state(), until });
        }
        let (model, terms) = (ModelHash::of(model), self.shared.terms());
        let model_rest = slot.rest_for(model).map(|rest| rest.rest()).filter(|until| *until > now);
        if let Some(until) = slot.away_until(&terms, now).max(model_rest) {
            return Err(Withheld::Resting(until));
        }
        let seat = slot.occupy(false, &terms, model, now).map_err(|refusal| match refusal {
            Refusal::Rests(until) | Refusal::RestsForModel(until) => Withheld::Resting(until),
            Refusal::Busy => Withheld::Resting(now + BUSY),
        })?;
        Ok(KeyLease::new(self.shared.clone(), slot.clone(), seat))
    }
}
