//! When what keys are came to pass, where that is not long ago: of two nodes' words on a key the later one counts. Pure.

use std::{collections::HashMap, time::Duration};

use gpt_load_schema::{ids::KeyId, key::KeyHealth, time::Timestamp};

use crate::cluster::knowledge::time_of;

/// By then the database has it.
const KEPT: Duration = Duration::from_secs(5 * 60);
/// What is older is looked for when so many are known.
const MANY: usize = 4_096;

/// Times of keys.
#[derive(Default)]
pub(super) struct Lately {
    times: HashMap<KeyId, Timestamp>,
    /// When the map is looked through again.
    many: usize,
}

impl Lately {
    /// When the key came to be what it is.
    pub(super) fn time_of(&self, id: KeyId, health: &KeyHealth) -> Timestamp {
        self.times.get(&id).copied().unwrap_or_default().max(time_of(health))
    }

    /// The earliest time for what comes after it.
    pub(super) fn after(&self, id: KeyId) -> Timestamp {
        self.times.get(&id).map(|time| *time + Duration::from_millis(1)).unwrap_or_default()
    }

    /// The key came to be what it is.
    pub(super) fn note(&mut self, id: KeyId, at: Timestamp) {
        self.times.insert(id, at);
        if self.times.len() > self.many.max(MANY) {
            self.times.retain(|_, time| at.since(*time) < KEPT);
            self.many = self.times.len() * 2;
        }
    }

    /// Whether what the pool knows of the key came to pass after what is stored of it.
    pub(super) fn outdates(&self, id: KeyId, stored: &KeyHealth) -> bool {
        self.times.get(&id).is_some_and(|time| *time > time_of(stored))
    }

    /// What is stored is later.
    pub(super) fn forget(&mut self, id: KeyId) {
        self.times.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use gpt_load_schema::key::KeyState;

    use super::*;

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut lately = Lately::default();
        let count = i64::try_from(MANY).expect("small");
        (0..=count).for_each(|id| lately.note(KeyId(id), Timestamp(id)));
        assert_eq!(lately.times.len(), MANY + 1);
        let later = Timestamp(count) + KEPT;
        (0..=2 * count + 2).for_each(|id| lately.note(KeyId(count + id), later));
        assert!(!lately.times.contains_key(&KeyId(0)));
        assert_eq!(lately.times.get(&KeyId(count)), Some(&later));
    }

    #[test]
    fn the_later_word_counts() {
        let mut lately = Lately::default();
        let health = KeyHealth { last_failure_at: Some(Timestamp(5)), ..KeyHealth::new(KeyState::Degraded) };
        assert_eq!(lately.time_of(KeyId(1), &health), Timestamp(5));
        assert!(!lately.outdates(KeyId(1), &health));
        lately.note(KeyId(1), Timestamp(7));
        assert_eq!(lately.time_of(KeyId(1), &health), Timestamp(7));
        assert!(lately.outdates(KeyId(1), &health));
        assert_eq!((lately.after(KeyId(1)), lately.after(KeyId(2))), (Timestamp(8), Timestamp(0)));
        lately.forget(KeyId(1));
        assert!(!lately.outdates(KeyId(1), &health));
    }
}
