//! What happened to the keys of a pool since it was told last. Pure.

use std::collections::BTreeMap;

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key::KeyHealth,
    store::KeyCounts,
};

use super::{TrippedGuard, slot::Slot};
use crate::events::{GuardChanged, KeyChange, KeysChanged};

/// Keys named in one event; when more have changed, their number tells enough.
const NAMED: usize = 50;
/// Bytes of a reason.
const REASON_BYTES: usize = 300;
/// Changes of guards in one event; there are few episodes.
const GUARDS: usize = 64;

/// What is still to be told.
#[derive(Default)]
pub(crate) struct News {
    /// Whether somebody would hear the particulars.
    is_heard: bool,
    changed: u64,
    keys: BTreeMap<KeyId, KeyChange>,
    too_many: bool,
    guards: Vec<(bool, TrippedGuard)>,
}

impl News {
    /// Whether particulars are worth keeping from now on.
    pub(crate) fn set_heard(&mut self, is_heard: bool) {
        self.is_heard = is_heard;
    }

    /// Whether there is something to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.changed == 0 && self.guards.is_empty()
    }

    /// Keys came or went.
    pub(crate) fn count(&mut self, keys: usize) {
        self.changed += u64::try_from(keys).unwrap_or(u64::MAX);
    }

    /// A key went from one health to another.
    pub(super) fn change(&mut self, slot: &Slot, before: &KeyHealth, after: &KeyHealth) {
        if before.state == after.state {
            return;
        }
        self.count(1);
        if !self.is_heard || self.too_many {
            return;
        }
        let failed = (&before.last_failure_at, &before.last_class, &before.last_error)
            != (&after.last_failure_at, &after.last_class, &after.last_error);
        let cause = Some(after).filter(|_| failed);
        let change = KeyChange {
            id: slot.id(),
            masked: slot.secret().masked(),
            from: self.keys.get(&slot.id()).map_or(before.state, |earlier| earlier.from),
            to: after.state,
            class: cause.and_then(|health| health.last_class.clone()),
            reason: cause.and_then(|health| health.last_error.as_deref().map(shortened)),
        };
        self.keys.insert(slot.id(), change);
        if self.keys.len() > NAMED {
            self.too_many = true;
            self.keys.clear();
        }
    }

    /// The guard tripped or let go.
    pub(super) fn guard(&mut self, is_tripped: bool, episode: &TrippedGuard) {
        if self.guards.len() < GUARDS {
            self.guards.push((is_tripped, episode.clone()));
        }
    }

    /// What there is to tell of keys, if anything; `counts` are those of now.
    pub(crate) fn take_keys(&mut self, group: GroupId, counts: KeyCounts) -> Option<KeysChanged> {
        let changed = std::mem::take(&mut self.changed);
        self.too_many = false;
        let keys = std::mem::take(&mut self.keys).into_values();
        // A key that is back where it was has nothing to tell.
        let keys = keys.filter(|change| change.from != change.to).collect();
        (changed > 0).then_some(KeysChanged { group, counts, changed, keys })
    }

    /// What there is to tell of the guard, in order.
    pub(crate) fn take_guards(&mut self, group: GroupId) -> Vec<GuardChanged> {
        let guards = std::mem::take(&mut self.guards).into_iter();
        guards.map(|(is_tripped, episode)| GuardChanged { group, is_tripped, episode }).collect()
    }
}

fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(REASON_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use gpt_load_schema::key::KeyState;

    use super::*;
    use crate::pool::{memory::Texts, tests::record};

    fn slot(id: i64) -> Slot {
        Slot::new(&record(id, KeyState::Active), &mut Texts::default()).expect("the key is readable")
    }

    fn failed(state: KeyState) -> KeyHealth {
        KeyHealth {
            last_class: Some("key_invalid".into()), last_error: Some("é".repeat(400)), ..KeyHealth::new(state)
        }
    }

    fn heard() -> News {
        let mut news = News::default();
        news.set_heard(true);
        news
    }

    #[test]
    fn a_key_tells_what_became_of_it_and_why_without_its_value() {
        let (mut news, active) = (heard(), KeyHealth::new(KeyState::Active));
        news.change(&slot(7), &active, &failed(KeyState::Degraded));
        news.change(&slot(7), &failed(KeyState::Degraded), &failed(KeyState::Invalid));
        news.change(&slot(3), &active, &KeyHealth::new(KeyState::Disabled));
        news.change(&slot(5), &active, &failed(KeyState::Degraded));
        news.change(&slot(5), &failed(KeyState::Degraded), &active);
        news.change(&slot(9), &active, &active);
        let told = news.take_keys(GroupId(1), KeyCounts::default()).expect("there is news");
        assert_eq!(told.changed, 5);
        let [by_hand, failed] = &told.keys[..] else { panic!("{told:?}") };
        assert_eq!((by_hand.id, by_hand.to, &by_hand.class), (KeyId(3), KeyState::Disabled, &None));
        assert_eq!((failed.id, failed.from, failed.to), (KeyId(7), KeyState::Active, KeyState::Invalid));
        assert_eq!(failed.reason, None, "the last step changed nothing of the cause");
        assert!(!failed.masked.contains(slot(7).secret().expose()));
        assert!(news.is_empty() && news.take_keys(GroupId(1), KeyCounts::default()).is_none());
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let mut news = heard();
        news.change(&slot(1), &KeyHealth::new(KeyState::Active), &failed(KeyState::Invalid));
        let told = news.take_keys(GroupId(1), KeyCounts::default()).expect("there is news");
        assert_eq!(told.keys[0].reason.as_deref(), Some("é".repeat(150).as_str()));
        assert_eq!(told.keys[0].class.as_deref(), Some("key_invalid"));
    }

    #[test]
    fn many_changes_are_a_number() {
        let (mut news, active) = (heard(), KeyHealth::new(KeyState::Active));
        for id in 0..200 {
            news.change(&slot(id), &active, &failed(KeyState::Invalid));
        }
        let told = news.take_keys(GroupId(1), KeyCounts::default()).expect("there is news");
        assert_eq!((told.changed, told.keys), (200, Vec::new()));
        news.change(&slot(1), &active, &failed(KeyState::Invalid));
        assert_eq!(news.take_keys(GroupId(1), KeyCounts::default()).expect("there is news").keys.len(), 1);
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let mut news = News::default();
        news.change(&slot(1), &KeyHealth::new(KeyState::Active), &failed(KeyState::Invalid));
        assert!(news.keys.is_empty() && !news.is_empty());
        assert_eq!(news.take_keys(GroupId(1), KeyCounts::default()).map(|told| told.changed), Some(1));
    }
}
