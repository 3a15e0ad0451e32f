//! Key changes on their way to the database, one per key.

use std::collections::{HashMap, VecDeque};

use gpt_load_schema::{ids::KeyId, key::KeyHealth, store::KeyDelta};
use parking_lot::Mutex;

use crate::journal::Ticket;

/// The changes that no commit holds yet, oldest key first, and the keys whose change is being committed.
///
/// Later changes of a key replace its earlier ones, so the queue is never longer than there are keys.
#[derive(Default)]
pub(crate) struct DeltaQueue {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    order: VecDeque<KeyId>,
    waiting: HashMap<KeyId, Change>,
    /// Number of unfinished batches that hold a change of the key.
    taken: HashMap<KeyId, u32>,
}

/// A change, and the outcomes that made it.
struct Change {
    delta: KeyDelta,
    tickets: Vec<Ticket>,
}

/// Changes for one commit.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) deltas: Vec<KeyDelta>,
    /// The outcomes that made them.
    pub(crate) tickets: Vec<(KeyId, Ticket)>,
}

impl DeltaQueue {
    /// Queues a change that no outcome of the key made.
    #[cfg(test)]
    pub(crate) fn push(&self, delta: KeyDelta) {
        self.push_for(delta, None);
    }

    /// Queues a change, with the outcome that made it, if one did.
    pub(crate) fn push_for(&self, delta: KeyDelta, ticket: Option<Ticket>) {
        let Inner { order, waiting, .. } = &mut *self.inner.lock();
        match waiting.get_mut(&delta.id) {
            None => {
                order.push_back(delta.id);
                waiting.insert(delta.id, Change { delta, tickets: Vec::from_iter(ticket) });
            }
            Some(Change { delta: queued, tickets }) => {
                let before = if delta.reset_failures { 0 } else { queued.failures };
                queued.failures = before.saturating_add(delta.failures);
                queued.reset_failures |= delta.reset_failures;
                queued.health = delta.health;
                tickets.extend(ticket);
            }
        }
    }

    /// Whether the database does not know the key's last change yet.
    pub(crate) fn is_waiting(&self, id: KeyId) -> bool {
        let inner = self.inner.lock();
        inner.waiting.contains_key(&id) || inner.taken.contains_key(&id)
    }

    /// Another node knows later of the key: its queued change, if any, leads to what that node says.
    pub(crate) fn heed(&self, id: KeyId, health: &KeyHealth) {
        if let Some(change) = self.inner.lock().waiting.get_mut(&id) {
            change.delta.health = health.clone();
        }
    }

    /// Drops the key's queued change: the database knows better.
    pub(crate) fn forget(&self, id: KeyId) {
        let forgotten = self.inner.lock().waiting.remove(&id);
        forgotten.into_iter().flat_map(|change| change.tickets).for_each(Ticket::settle);
    }

    /// Takes at most `limit` changes for a commit; [`DeltaQueue::done`] ends their time there.
    pub(crate) fn take(&self, limit: usize) -> Changes {
        let Inner { order, waiting, taken } = &mut *self.inner.lock();
        let mut changes = Changes { deltas: Vec::with_capacity(limit.min(waiting.len())), tickets: Vec::new() };
        while changes.deltas.len() < limit {
            let Some(id) = order.pop_front() else { break };
            if let Some(Change { delta, tickets }) = waiting.remove(&id) {
                *taken.entry(id).or_default() += 1;
                changes.deltas.push(delta);
                changes.tickets.extend(tickets.into_iter().map(|ticket| (id, ticket)));
            }
        }
        changes
    }

    /// The commit that held `deltas` is over.
    pub(crate) fn done(&self, deltas: &[KeyDelta]) {
        let taken = &mut self.inner.lock().taken;
        for delta in deltas {
            if let Some(count) = taken.get_mut(&delta.id) {
                *count -= 1;
                if *count == 0 {
                    taken.remove(&delta.id);
                }
            }
        }
    }

    /// Changes that no commit holds yet.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use gpt_load_schema::key::KeyState;

    use super::*;

    fn delta(id: i64, state: KeyState, failures: i64, reset_failures: bool) -> KeyDelta {
        KeyDelta { id: KeyId(id), health: KeyHealth::new(state), failures, reset_failures }
    }

    #[test]
    fn changes_of_a_key_become_one() {
        let queue = DeltaQueue::default();
        queue.push(delta(1, KeyState::Degraded, 1, false));
        queue.push(delta(2, KeyState::Invalid, 1, false));
        queue.push(delta(1, KeyState::Disabled, 1, false));
        assert_eq!(
            queue.take(9).deltas,
            [delta(1, KeyState::Disabled, 2, false), delta(2, KeyState::Invalid, 1, false)]
        );
        assert_eq!(queue.take(9).deltas, []);
    }

    #[test]
    fn a_reset_forgets_the_failures_before_it() {
        let queue = DeltaQueue::default();
        queue.push(delta(1, KeyState::Degraded, 2, false));
        queue.push(delta(1, KeyState::Active, 0, true));
        queue.push(delta(1, KeyState::Degraded, 1, false));
        assert_eq!(queue.take(1).deltas, [delta(1, KeyState::Degraded, 1, true)]);
    }

    #[test]
    fn a_change_waits_until_its_commit_is_over() {
        let queue = DeltaQueue::default();
        queue.push(delta(1, KeyState::Degraded, 1, false));
        let batch = queue.take(1);
        assert!(queue.is_waiting(KeyId(1)));
        queue.done(&batch.deltas);
        assert!(!queue.is_waiting(KeyId(1)));
        queue.push(delta(1, KeyState::Active, 0, false));
        queue.forget(KeyId(1));
        assert!(!queue.is_waiting(KeyId(1)));
        queue.push(delta(1, KeyState::Invalid, 1, false));
        assert_eq!(queue.take(9).deltas, [delta(1, KeyState::Invalid, 1, false)]);
    }
}
