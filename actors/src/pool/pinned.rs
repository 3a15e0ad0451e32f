//! Handing out one particular key: what a provider stores is reached with the key that made it, and no other.

use gpt_load_schema::{ids::KeyId, key::KeyState, time::Timestamp};

use super::{KeyLease, PoolHandle, slot::Rotation};

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
    /// Hands out the key `id`. Keys on probation serve without its limits, since no other key could.
    ///
    /// # Errors
    /// [`Withheld`] says why not.
    pub fn checkout_key(&self, id: KeyId, now: Timestamp) -> Result<KeyLease, Withheld> {
        let snapshot = self.shared.snapshot.load();
        let slot = snapshot.table.find(id).filter(|slot| !slot.is_gone()).ok_or(Withheld::Gone)?;
        if slot.rotation() == Rotation::Out {
            let until = slot.standing().health.disabled_until.filter(|_| slot.state() == KeyState::Disabled);
            return Err(Withheld::Out { state: slot.state(), until });
        }
        if slot.resting_until() > now {
            return Err(Withheld::Resting(slot.resting_until()));
        }
        slot.occupy();
        Ok(KeyLease::new(self.shared.clone(), slot.clone()))
    }
}
