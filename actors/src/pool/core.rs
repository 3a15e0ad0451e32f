//! The side of the pool that changes it: applies outcomes, keeps the time of returns, rebuilds the snapshot.

mod others;
mod steps;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    sync::Arc,
    time::Duration,
};

use gpt_load_schema::{ids::KeyId, key::KeyRecord, log::OutcomeClass, store::KeyDelta, time::Timestamp};

use self::steps::{remind, rotates_alike, show};
use super::{
    TrippedGuard,
    guard::{Cause, Guard, Terms},
    inbox::{Origin, Outcome},
    lately::Lately,
    memory::Texts,
    news::News,
    shared::Shared,
    slot::Slot,
    snapshot::{RETURN_LEAD_MS, Snapshot},
    state::{Event, Standing, Transition},
    table::Table,
    watch::has_a_cause,
    witness::Witness,
};
use crate::{deltas::DeltaQueue, journal::Ticket};

/// How long before the end of a cooldown the key is put back into its ring, which skips it until then.
const RETURN_AHEAD: Duration = Duration::from_millis(RETURN_LEAD_MS.unsigned_abs() / 2);

/// Keys with ids after the first (`None`: from the start) up to the second (`None`: to the end).
pub(crate) type IdRange = (Option<KeyId>, Option<KeyId>);

/// Writes a pool; there is one per pool at any time, in its group actor.
pub(crate) struct PoolCore {
    shared: Arc<Shared>,
    deltas: Arc<DeltaQueue>,
    table: Table,
    /// Slots of the table whose keys were deleted since it was last published.
    gone: usize,
    /// Keys whose stored value does not decrypt: they exist, but can never serve.
    unreadable: BTreeSet<KeyId>,
    /// When which key needs a look: backoffs that end, cooldowns about to end. May hold times that no longer matter.
    timers: BinaryHeap<Reverse<(Timestamp, KeyId)>>,
    texts: Texts,
    /// When the rotation is to be rebuilt because keys are about to return to it.
    return_due: Option<Timestamp>,
    guard: Guard,
    witness: Witness,
    outdated: bool,
    /// The outcome that is being applied, until the change that it makes takes its ticket.
    cause: Option<(KeyId, Ticket)>,
    /// When what keys are lately came to pass, here or on another node; empty on a node alone.
    lately: Lately,
    /// What people are to be told.
    pub(crate) news: News,
}

impl PoolCore {
    /// Takes the pool over as its last writer published it.
    pub(crate) fn resume(shared: Arc<Shared>, deltas: Arc<DeltaQueue>) -> Self {
        let mut table = shared.snapshot.load().table.clone();
        table.retain(|slot| !slot.is_gone());
        shared.count_all(&table);
        shared.tripped.store(Arc::default());
        shared.watch.set_open(false);
        let mut core = Self {
            shared,
            deltas,
            table,
            gone: 0,
            unreadable: BTreeSet::new(),
            timers: BinaryHeap::new(),
            texts: Texts::default(),
            return_due: None,
            guard: Guard::default(),
            witness: Witness::default(),
            outdated: true,
            cause: None,
            lately: Lately::default(),
            news: News::default(),
        };
        for slot in core.table.iter() {
            let standing = slot.standing();
            remind(&mut core.timers, slot.id(), &standing);
            // The outcome that left a mark may have died with the last writer.
            show(slot, &standing, &mut core.texts);
        }
        core
    }

    /// Applies one outcome.
    pub(crate) fn apply(&mut self, outcome: &mut Outcome) {
        self.shared.count_applied();
        self.cause = outcome.ticket.take().map(|ticket| (outcome.slot().id(), ticket));
        self.apply_kept(outcome);
        // What changed nothing need not be known by anyone.
        self.cause.take().into_iter().for_each(|(_, ticket)| ticket.settle());
    }

    fn apply_kept(&mut self, outcome: &Outcome) {
        let slot = outcome.slot();
        if slot.is_gone() {
            return;
        }
        let is_current = outcome.generation == slot.generation();
        if is_current && outcome.verdict.class == OutcomeClass::Success {
            self.witness.success(slot.id(), &outcome.upstream, outcome.began());
            slot.set_faulty(false);
            let released = self.guard.success(&outcome.upstream, outcome.began(), || self.shared.watch.turn());
            self.release(&released);
        }
        if !outcome.is_sample() {
            self.judge(slot, outcome, is_current);
        }
        self.watch();
    }

    /// Lets the clock reach `now`: ends backoffs, brings rested keys back.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if self.return_due.take_if(|due| *due <= now).is_some() {
            self.outdated = true;
        }
        while let Some(&Reverse((due, id))) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.pop();
            let Some(slot) = self.live(id) else { continue };
            if !self.tell(&slot, &Event::BackoffOver, now) {
                self.outdated = true;
            }
        }
    }

    /// Follows a change of the limits: a guard that is switched off lets go of what it holds. So does one whose group has
    /// other upstreams, since no success may ever come from those that the keys failed against.
    pub(crate) fn heed_limits(&mut self) {
        let has_moved = self.shared.has_moved();
        if self.guard.is_open() && (has_moved || self.shared.limits.load().guard.is_none()) {
            let released = self.guard.give_up();
            self.release(&released);
            self.watch();
        }
    }

    /// Carries out a person's order about a key; answers whether the pool has it.
    pub(crate) fn order(&mut self, id: KeyId, event: &Event<'_>, now: Timestamp) -> bool {
        let Some(slot) = self.live(id) else { return false };
        self.witness.forget(id);
        self.tell(&slot, event, now);
        // On other nodes outcomes are under way that know nothing of it: they must not undo what a person wants.
        if self.shared.knowledge().is_some() {
            self.raise_generation(&slot);
        }
        self.watch();
        true
    }

    /// Lets the failures take effect that the guard holds back; answers the number of keys they concern.
    pub(crate) fn accept_held(&mut self) -> usize {
        let held = self.guard.accept_held();
        for held in &held {
            if let Some(slot) = self.live(held.key) {
                self.change_another(&slot, &slot.standing(), &held.transition());
            }
        }
        self.watch();
        held.len()
    }

    /// When [`PoolCore::advance`] is due next.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.timers.peek().map(|Reverse((due, _))| *due).into_iter().chain(self.return_due).min()
    }

    /// Takes stored keys into the pool, ascending by id; those it has already take over what the database knows, unless
    /// the pool knows something later. With `all_of`, the records are all keys there are in that range of ids.
    pub(crate) fn adopt(&mut self, records: &[KeyRecord], all_of: Option<IdRange>) {
        let mut added = Vec::new();
        for record in records {
            // The database has it again.
            if self.gone > 0 && self.table.find(record.id).is_some_and(|slot| slot.is_gone()) {
                self.sweep();
            }
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
        self.news.count(added.len());
        self.table.insert(added);
        self.outdated = true;
        self.watch();
        if let Some((after, last)) = all_of {
            let is_in_range = |id: KeyId| after.is_none_or(|after| id > after) && last.is_none_or(|last| id <= last);
            let is_known = |id: KeyId| records.binary_search_by_key(&id, |record| record.id).is_ok();
            let keys = self.table.iter().filter(|slot| !slot.is_gone());
            let ids = keys.map(|slot| slot.id()).chain(self.unreadable.iter().copied());
            let surplus: Vec<KeyId> = ids.filter(|id| is_in_range(*id) && !is_known(*id)).collect();
            if !surplus.is_empty() {
                self.remove(&surplus);
            }
        }
    }

    /// Takes deleted keys out: at once for the data path, from the table with the next [`PoolCore::publish`]. Requests in
    /// flight may finish with them.
    pub(crate) fn remove(&mut self, ids: &[KeyId]) {
        for id in ids {
            self.deltas.forget(*id);
            self.unreadable.remove(id);
            self.guard.forget(*id);
            self.witness.forget(*id);
            if let Some(slot) = self.table.find(*id)
                && slot.retire()
            {
                self.gone += 1;
                self.shared.recount(Some(slot.state()), None);
            }
        }
        self.shared.accounts.sweep(ids.iter().filter_map(|id| self.table.find(*id)));
        self.watch();
        self.news.count(ids.len());
        self.outdated = true;
    }

    /// Keys of the group, those that cannot be decrypted included.
    pub(crate) fn total(&self) -> usize {
        self.table.len() - self.gone + self.unreadable.len()
    }

    /// Keys whose stored value does not decrypt.
    pub(crate) fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// Whether something changed since the last snapshot.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated || self.shared.inbox.wants_rebuild()
    }

    /// Publishes the rotation as it is `now`.
    pub(crate) fn publish(&mut self, now: Timestamp) {
        self.shared.inbox.rebuilding();
        self.sweep();
        let before = self.shared.snapshot.load_full();
        let snapshot = Snapshot::build(&self.table, &before, &self.shared.terms(), now);
        self.return_due = snapshot.nearest_return().map(|until| until - RETURN_AHEAD);
        self.shared.snapshot.store(Arc::new(snapshot));
        self.outdated = false;
    }

    /// Takes the slots of deleted keys out of the table.
    fn sweep(&mut self) {
        if std::mem::take(&mut self.gone) > 0 {
            self.table.retain(|slot| !slot.is_gone());
        }
    }

    /// The slot of a key that was not deleted.
    fn live(&self, id: KeyId) -> Option<Arc<Slot>> {
        self.table.find(id).filter(|slot| !slot.is_gone()).cloned()
    }

    fn update(&mut self, slot: &Arc<Slot>, record: &KeyRecord) {
        slot.arrange(record);
        let before = slot.standing();
        let is_later = record.health.generation > before.health.generation;
        let is_outdated = || self.deltas.is_waiting(record.id) || self.lately.outdates(record.id, &record.health);
        if before.health == record.health || (!is_later && is_outdated()) {
            return;
        }
        self.lately.forget(record.id);
        if self.shared.knowledge().is_some() {
            // What failed here before counts, whatever another node has made of the key.
            self.deltas.heed(record.id, &record.health);
        } else {
            self.deltas.forget(record.id);
        }
        self.guard.forget(record.id);
        self.witness.forget(record.id);
        let stored = Standing::stored(record.health.clone());
        remind(&mut self.timers, record.id, &stored);
        slot.count_failures(record.failure_count, true);
        self.news.change(slot, &before.health, &stored.health);
        slot.publish(&stored, &mut self.texts);
        self.shared.recount(Some(before.health.state), Some(stored.health.state));
    }

    /// What an outcome makes of its key, and of others.
    fn judge(&mut self, slot: &Arc<Slot>, outcome: &Outcome, is_current: bool) {
        let (limits, now, verdict) = (self.shared.limits.load_full(), outcome.at, &outcome.verdict);
        let key_specific = is_current && self.is_own_fault(slot, outcome, limits.blacklist_threshold);
        let number = outcome.alarm.as_ref().map(|alarm| alarm.number());
        let cause =
            number.filter(|_| is_current && has_a_cause(verdict) && !verdict.refuses_model()).map(|number| Cause {
                class: verdict.class,
                upstream: &outcome.upstream,
                message: &verdict.message,
                number,
                began: outcome.began(),
            });
        let before = slot.standing();
        let mut terms = Terms { limits: &limits, now, texts: &mut self.texts };
        let transition = self.guard.accept(slot.id(), &before, &outcome.event(key_specific), cause, &mut terms);
        if transition.standing.health.state != before.health.state {
            tracing::info!(
                group = self.shared.group.0,
                key = slot.id().0,
                from = %before.health.state,
                to = %transition.standing.health.state,
                class = %verdict.class,
                rule = verdict.decided_by(),
                upstream = %outcome.upstream,
                "key changed its state"
            );
        }
        self.change(slot, &before, &transition);
        if cause.is_some()
            && let Some(guard) = &limits.guard
        {
            let taken_back = self.guard.trip(self.shared.selectable(), guard);
            self.show_guard();
            self.take_back(&taken_back, slot);
        }
        if verdict.reach.account {
            self.rest_siblings(slot, outcome, &before, &transition.standing);
        }
    }

    /// Whether an upstream fault is the key's own.
    fn is_own_fault(&mut self, slot: &Slot, outcome: &Outcome, threshold: u64) -> bool {
        let is_bare = outcome.verdict.ruling.as_ref().is_none_or(|ruling| ruling.consequence.is_none());
        match (&outcome.alarm, outcome.origin) {
            (Some(alarm), Origin::Request { .. })
                if outcome.verdict.class == OutcomeClass::UpstreamFault && is_bare =>
            {
                slot.set_faulty(true);
                self.witness.fault(slot.id(), &outcome.upstream, alarm.number(), threshold)
            }
            _ => false,
        }
    }

    /// Takes failures back, the last of which was that of `last`.
    fn take_back(&mut self, keys: &[KeyId], last: &Arc<Slot>) {
        for id in keys {
            let Some(slot) = self.live(*id) else { continue };
            let before = slot.standing();
            match self.guard.take_back(*id, &before, &mut self.texts) {
                Some(transition) if Arc::ptr_eq(&slot, last) => self.change(&slot, &before, &transition),
                Some(transition) => self.change_another(&slot, &before, &transition),
                None => {}
            }
        }
    }

    fn release(&mut self, keys: &[KeyId]) {
        for id in keys {
            if let Some(slot) = self.live(*id) {
                let before = slot.standing();
                self.change_another(&slot, &before, &Guard::released(&before));
            }
        }
    }

    /// A limit of the account concerns all its keys.
    fn rest_siblings(&mut self, slot: &Arc<Slot>, outcome: &Outcome, before: &Standing, after: &Standing) {
        let now = outcome.at;
        let rest_of = |standing: &Standing| {
            let mut models = standing.health.models.iter();
            let model = models.find(|health| outcome.verdict.reach.model && *health.model == *outcome.model);
            model.map_or(standing.health.resting_until, |model| model.resting_until)
        };
        let Some(until) = rest_of(after).filter(|until| Some(*until) > rest_of(before)) else { return };
        let model = Some(&*outcome.model).filter(|model| outcome.verdict.reach.model && !model.is_empty());
        let keys = slot.account().map(|account| self.shared.accounts.siblings(account)).unwrap_or_default();
        for sibling in keys.iter().filter(|sibling| !sibling.is_gone() && !Arc::ptr_eq(sibling, slot)) {
            self.tell(sibling, &Event::Rest { until, model }, now);
        }
    }

    /// Lets an event happen to a key that is no outcome of it; answers whether that changed the key.
    fn tell(&mut self, slot: &Arc<Slot>, event: &Event<'_>, now: Timestamp) -> bool {
        let (before, limits) = (slot.standing(), self.shared.limits.load_full());
        let mut terms = Terms { limits: &limits, now, texts: &mut self.texts };
        let transition = self.guard.accept(slot.id(), &before, event, None, &mut terms);
        let is_changed = transition.standing != before || transition.reset_failures;
        if is_changed {
            self.change_another(slot, &before, &transition);
        }
        is_changed
    }

    /// Makes a transition true that no outcome of the key itself has caused: marks of those on their way stay.
    fn change_another(&mut self, slot: &Arc<Slot>, before: &Standing, transition: &Transition) {
        slot.outcome_queued();
        self.change(slot, before, transition);
        slot.outcome_done();
    }

    /// Makes a transition true: first for the database, then for all threads.
    fn change(&mut self, slot: &Arc<Slot>, before: &Standing, transition: &Transition) {
        let after = &transition.standing;
        if after.health != before.health || transition.failures != 0 || transition.reset_failures {
            let delta = KeyDelta {
                id: slot.id(),
                health: after.health.clone(),
                failures: transition.failures,
                reset_failures: transition.reset_failures,
            };
            let ticket = self.cause.take_if(|(key, _)| *key == slot.id()).map(|(_, ticket)| ticket);
            self.deltas.push_for(delta, ticket);
            self.spread(slot, transition);
        }
        slot.count_failures(transition.failures, transition.reset_failures);
        let seen = (slot.rotation(), slot.resting_until());
        self.news.change(slot, &before.health, &after.health);
        slot.publish(after, &mut self.texts);
        // The data path may have marked the slot before, which changed no ring.
        self.outdated |=
            seen != (slot.rotation(), slot.resting_until()) || !rotates_alike(&before.health, &after.health);
        self.shared.recount(Some(before.health.state), Some(after.health.state));
        if after.health.disabled_until != before.health.disabled_until
            || after.health.resting_until != before.health.resting_until
        {
            remind(&mut self.timers, slot.id(), after);
        }
    }

    /// Tells the data path whether successes are news, and where failures are held back.
    fn watch(&mut self) {
        self.shared.watch.set_open(self.guard.is_open() || !self.witness.is_idle());
        self.show_guard();
    }

    /// Tells all threads where the guard holds failures back, if that changed.
    fn show_guard(&mut self) {
        if !self.guard.take_change() {
            return;
        }
        let (before, now) = (self.shared.tripped.load_full(), self.guard.tripped());
        let is_in = |list: &[TrippedGuard], one: &TrippedGuard| {
            list.iter()
                .any(|other| other.class == one.class && other.upstream == one.upstream && other.since == one.since)
        };
        for tripped in now.iter().filter(|tripped| !is_in(&before, tripped)) {
            self.news.guard(true, tripped);
            tracing::warn!(
                group = self.shared.group.0,
                class = %tripped.class,
                upstream = %tripped.upstream,
                suspect = tripped.suspect.as_str(),
                failed = tripped.failed,
                message = tripped.message,
                "many keys fail alike and none succeeds: their failures are held back until one does"
            );
        }
        for ended in before.iter().filter(|tripped| !is_in(&now, tripped)) {
            self.news.guard(false, ended);
            tracing::info!(
                group = self.shared.group.0,
                class = %ended.class,
                upstream = %ended.upstream,
                failed = ended.failed,
                "the pool guard holds no failures back any more"
            );
        }
        self.shared.tripped.store(Arc::new(now));
    }
}
