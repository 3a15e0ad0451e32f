//! What the pools of several nodes tell each other of their keys.

use std::sync::Arc;

use gpt_load_schema::{key::KeyHealth, time::Timestamp};

use super::{PoolCore, Slot, Standing, Transition, remind, rotates_alike, show};
use crate::cluster::knowledge::Word;

impl PoolCore {
    /// Another node says what became of a key. Where this node knows later, or the same, answers that; where it does not, the
    /// key is that from now on.
    pub(crate) fn hear(&mut self, word: &Word) -> Option<KeyHealth> {
        let slot = self.live(word.key)?;
        let before = slot.standing().health;
        let known_at = self.lately.time_of(word.key, &before);
        if (before.generation, known_at) >= (word.health.generation, word.at) {
            return Some(before);
        }
        self.lately.note(word.key, word.at);
        self.deltas.heed(word.key, &word.health);
        self.guard.forget(word.key);
        slot.count_failures(word.failures, word.reset);
        let after = Standing::stored(word.health.clone());
        self.news.change(&slot, &before, &after.health);
        show(&slot, &after, &mut self.texts);
        remind(&mut self.timers, word.key, &after);
        self.outdated |= !rotates_alike(&before, &after.health);
        self.shared.recount(Some(before.state), Some(after.health.state));
        self.watch();
        None
    }

    /// Outcomes of earlier uses mean nothing any more.
    pub(super) fn raise_generation(&mut self, slot: &Arc<Slot>) {
        let before = slot.standing();
        let mut standing = before.clone();
        standing.health.generation = standing.health.generation.saturating_add(1);
        self.change_another(slot, &before, &Transition { standing, failures: 0, reset_failures: false });
    }

    /// Other nodes are to know what became of a key.
    pub(super) fn spread(&mut self, slot: &Slot, transition: &Transition) {
        let Some(knowledge) = self.shared.knowledge() else { return };
        // It comes after what another node said, even if that node's clock is ahead.
        let at = Timestamp::now().max(self.lately.after(slot.id()));
        self.lately.note(slot.id(), at);
        knowledge.tell(Word {
            group: self.shared.group,
            key: slot.id(),
            health: transition.standing.health.clone(),
            failures: transition.failures,
            reset: transition.reset_failures,
            at,
        });
    }
}
