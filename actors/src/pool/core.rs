//! The side of the pool that changes it: applies outcomes, keeps the time of returns, rebuilds the snapshot.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    sync::Arc,
    time::Duration,
};

use gpt_load_schema::{ids::KeyId, key::KeyRecord, store::KeyDelta, time::Timestamp};

use super::{
    inbox::Outcome,
    memory::Texts,
    shared::Shared,
    slot::Slot,
    snapshot::{RETURN_LEAD_MS, Snapshot},
    state::{Event, Standing, Transition, accept},
    table::Table,
};
use crate::deltas::DeltaQueue;

/// How long before the end of a cooldown the key is put back into its ring, which skips it until then.
const RETURN_AHEAD: Duration = Duration::from_millis(RETURN_LEAD_MS.unsigned_abs() / 2);

/// Keys with ids after the first (`None`: from the start) up to the second (`None`: to the end).
pub(crate) type IdRange = (Option<KeyId>, Option<KeyId>);

/// Writes a pool; there is one per pool at any time, in its group actor.
pub(crate) struct PoolCore {
    shared: Arc<Shared>,
    deltas: Arc<DeltaQueue>,
    table: Table,
    /// Keys whose stored value does not decrypt: they exist, but can never serve.
    unreadable: BTreeSet<KeyId>,
    /// When which key needs a look: backoffs that end, cooldowns about to end. May hold times that no longer matter.
    timers: BinaryHeap<Reverse<(Timestamp, KeyId)>>,
    texts: Texts,
    outdated: bool,
}

impl PoolCore {
    /// Takes the pool over as its last writer published it.
    pub(crate) fn resume(shared: Arc<Shared>, deltas: Arc<DeltaQueue>) -> Self {
        let table = shared.snapshot.load().table.clone();
        shared.count_all(&table);
        let mut core = Self {
            shared,
            deltas,
            table,
            unreadable: BTreeSet::new(),
            timers: BinaryHeap::new(),
            texts: Texts::default(),
            outdated: true,
        };
        for slot in core.table.iter() {
            remind(&mut core.timers, slot.id(), &slot.standing());
        }
        core
    }

    /// Applies one outcome.
    pub(crate) fn apply(&mut self, outcome: &Outcome) {
        self.shared.count_applied();
        let slot = outcome.slot();
        if !slot.is_gone() {
            let before = slot.standing();
            let event = Event::Outcome { generation: outcome.generation, verdict: &outcome.verdict };
            let transition = accept(&before, &event, &self.shared.limits.load(), outcome.at);
            if transition.standing.health.state != before.health.state {
                tracing::info!(
                    group = self.shared.group.0,
                    key = slot.id().0,
                    from = %before.health.state,
                    to = %transition.standing.health.state,
                    class = %outcome.verdict.class,
                    rule = outcome.verdict.rule,
                    upstream = %outcome.upstream,
                    "key changed its state"
                );
            }
            self.change(slot, &before, &transition);
        }
    }

    /// Lets the clock reach `now`: ends backoffs, brings rested keys back.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some(&Reverse((due, id))) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.pop();
            let Some(slot) = self.table.find(id).cloned() else { continue };
            let before = slot.standing();
            let transition = accept(&before, &Event::BackoffOver, &self.shared.limits.load(), now);
            if transition.standing == before {
                self.outdated = true;
            } else {
                self.change(&slot, &before, &transition);
            }
        }
    }

    /// When [`PoolCore::advance`] is due next.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes stored keys into the pool, ascending by id; those it has already take over what the database knows, unless
    /// the pool knows something later. With `all_of`, the records are all keys there are in that range of ids.
    pub(crate) fn adopt(&mut self, records: &[KeyRecord], all_of: Option<IdRange>) {
        let mut added = Vec::new();
        for record in records {
            if let Some(slot) = self.table.find(record.id).cloned() {
                self.update(&slot, record);
            } else if let Some(slot) = Slot::new(record, &mut self.texts).map(Arc::new) {
                self.shared.recount(None, Some(record.health.state));
                remind(&mut self.timers, record.id, &slot.standing());
                added.push(slot);
            } else {
                self.unreadable.insert(record.id);
            }
        }
        self.table.insert(added);
        self.outdated = true;
        if let Some((after, last)) = all_of {
            let is_in_range = |id: KeyId| after.is_none_or(|after| id > after) && last.is_none_or(|last| id <= last);
            let is_known = |id: KeyId| records.binary_search_by_key(&id, |record| record.id).is_ok();
            let ids = self.table.iter().map(|slot| slot.id()).chain(self.unreadable.iter().copied());
            let surplus: Vec<KeyId> = ids.filter(|id| is_in_range(*id) && !is_known(*id)).collect();
            if !surplus.is_empty() {
                self.remove(&surplus);
            }
        }
    }

    /// Takes deleted keys out. Requests in flight may finish with them.
    pub(crate) fn remove(&mut self, ids: &[KeyId]) {
        let mut gone = BTreeSet::new();
        for id in ids {
            self.deltas.forget(*id);
            self.unreadable.remove(id);
            if let Some(slot) = self.table.find(*id) {
                slot.retire();
                if gone.insert(*id) {
                    self.shared.recount(Some(slot.state()), None);
                }
            }
        }
        self.table.retain(|slot| !gone.contains(&slot.id()));
        self.outdated = true;
    }

    /// Keys of the group, those that cannot be decrypted included.
    pub(crate) fn total(&self) -> usize {
        self.table.len() + self.unreadable.len()
    }

    /// Keys whose stored value does not decrypt.
    pub(crate) fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// Whether something changed since the last snapshot.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// Publishes the rotation as it is `now`.
    pub(crate) fn publish(&mut self, now: Timestamp) {
        let before = self.shared.snapshot.load_full();
        self.shared.snapshot.store(Arc::new(Snapshot::build(&self.table, Some(&before), now)));
        self.outdated = false;
    }

    fn update(&mut self, slot: &Arc<Slot>, record: &KeyRecord) {
        let before = slot.standing();
        let is_later = record.health.generation > before.health.generation;
        if before.health == record.health || (!is_later && self.deltas.is_waiting(record.id)) {
            return;
        }
        self.deltas.forget(record.id);
        let stored = Standing::stored(record.health.clone());
        remind(&mut self.timers, record.id, &stored);
        slot.count_failures(record.failure_count, true);
        slot.publish(&stored, &mut self.texts);
        self.shared.recount(Some(before.health.state), Some(stored.health.state));
    }

    /// Makes a transition true: first for the database, then for all threads.
    fn change(&mut self, slot: &Arc<Slot>, before: &Standing, transition: &Transition) {
        let after = &transition.standing;
        if after.health != before.health || transition.failures != 0 || transition.reset_failures {
            self.deltas.push(KeyDelta {
                id: slot.id(),
                health: after.health.clone(),
                failures: transition.failures,
                reset_failures: transition.reset_failures,
            });
        }
        slot.count_failures(transition.failures, transition.reset_failures);
        slot.publish(after, &mut self.texts);
        self.shared.recount(Some(before.health.state), Some(after.health.state));
        if after.health.disabled_until != before.health.disabled_until
            || after.health.resting_until != before.health.resting_until
        {
            remind(&mut self.timers, slot.id(), after);
        }
        self.outdated = true;
    }
}

/// Notes when the key needs a look.
fn remind(timers: &mut BinaryHeap<Reverse<(Timestamp, KeyId)>>, id: KeyId, standing: &Standing) {
    let health = &standing.health;
    timers.extend(health.disabled_until.map(|until| Reverse((until, id))));
    timers.extend(health.resting_until.map(|until| Reverse((until - RETURN_AHEAD, id))));
}
