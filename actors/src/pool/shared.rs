//! What the data path and the group actor of one group share.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use gpt_load_schema::{
    ids::GroupId,
    key::{KeyState, ModelHealth},
    log::OutcomeClass,
    store::KeyCounts,
    time::Timestamp,
};
use parking_lot::Mutex;

use super::{
    Announced, Asked, Consequence, TrippedGuard, Verdict,
    accounts::Accounts,
    inbox::{Inbox, Origin, Outcome},
    kept::Kept,
    ledger::Ledger,
    model::ModelHash,
    select::{SelectionRules, Terms},
    slot::Slot,
    snapshot::Snapshot,
    state::{Limits, accept},
    table::Table,
    watch::{Alarm, Watch, has_a_cause},
};
use crate::{
    cluster::knowledge::{Knowledge, UsedUp},
    journal::{Journal, Kind, Ticket},
};

/// Wakes whoever drains the inbox.
pub(crate) type Nudge = Box<dyn Fn() + Send + Sync>;

/// The pool itself; handles, leases and the group actor hold it together.
pub(crate) struct Shared {
    pub(crate) group: GroupId,
    selection: ArcSwap<SelectionRules>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) limits: ArcSwap<Limits>,
    pub(crate) inbox: Inbox,
    pub(crate) tripped: ArcSwap<Vec<TrippedGuard>>,
    pub(crate) accounts: Accounts,
    /// The provider announces its limits, and does so per model.
    announces: [AtomicBool; 2],
    pub(crate) watch: Arc<Watch>,
    journal: Arc<Journal>,
    nudge: Mutex<Option<Nudge>>,
    counts: [AtomicI64; KeyState::ALL.len()],
    applied: AtomicU64,
    filled: AtomicBool,
    /// The group's upstreams are others than those that keys failed against.
    moved: AtomicBool,
    /// Tells other nodes what becomes of keys; none on a node alone.
    knowledge: OnceLock<Arc<Knowledge>>,
}

impl Shared {
    pub(crate) fn new(group: GroupId, limits: Limits, selection: SelectionRules, journal: Arc<Journal>) -> Self {
        Self {
            group,
            selection: ArcSwap::from_pointee(selection),
            snapshot: ArcSwap::from_pointee(Snapshot::empty()),
            limits: ArcSwap::from_pointee(limits),
            inbox: Inbox::default(),
            tripped: ArcSwap::default(),
            accounts: Accounts::default(),
            announces: Default::default(),
            watch: Arc::default(),
            journal,
            nudge: Mutex::new(None),
            counts: Default::default(),
            applied: AtomicU64::new(0),
            filled: AtomicBool::new(false),
            moved: AtomicBool::new(false),
            knowledge: OnceLock::new(),
        }
    }

    /// What becomes of keys is told to other nodes; the first word counts.
    pub(crate) fn share(&self, knowledge: Arc<Knowledge>) {
        let _ = self.knowledge.set(knowledge);
    }

    /// Where other nodes are told what becomes of keys.
    pub(crate) fn knowledge(&self) -> Option<&Knowledge> {
        self.knowledge.get().map(|knowledge| &**knowledge)
    }

    /// Other nodes are to know that a limit of the key, or of its account, is used up, if it is.
    pub(crate) fn tell_used_up(&self, slot: &Slot, ledger: &Ledger, model: Option<&str>, now: Timestamp) {
        let Some(knowledge) = self.knowledge() else { return };
        let until = match model {
            None => ledger.used_up_until(now),
            Some(model) => {
                let model = ModelHash::of(model);
                ledger.used_up_models(now).find(|(known, _)| *known == model).map(|(_, until)| until)
            }
        };
        if let Some(until) = until {
            knowledge.tell_used_up(UsedUp {
                group: self.group,
                key: slot.id(),
                model: model.map(str::to_owned),
                until,
            });
        }
    }

    /// Another node says that a limit is used up: the key, and those of its account, rest until it is whole again, unless
    /// something else becomes of them before.
    pub(crate) fn hear_used_up(&self, limit: &UsedUp) {
        let Some(slot) = self.snapshot.load().table.find(limit.key).cloned() else { return };
        let siblings = slot.account().map(|account| self.accounts.siblings(account)).unwrap_or_default();
        for slot in siblings.iter().chain([&slot]) {
            match &limit.model {
                None => slot.rest(limit.until),
                Some(model) => slot.mark_model(&ModelHealth {
                    model: model.clone(),
                    resting_until: Some(limit.until),
                    ..ModelHealth::default()
                }),
            }
        }
        self.want_rebuild();
    }

    /// Whether the pool has held all stored keys once.
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// All stored keys are in the pool.
    pub(crate) fn filled(&self) {
        self.filled.store(true, Ordering::Release);
    }

    /// Sets how the drainer of the inbox is woken.
    pub(crate) fn on_outcome(&self, nudge: Nudge) {
        *self.nudge.lock() = Some(nudge);
    }

    /// The group has other upstreams from now on; the drainer of the inbox is to be woken.
    pub(crate) fn moves(&self) {
        self.moved.store(true, Ordering::Release);
    }

    /// Whether the group has other upstreams than when this was asked last.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved.swap(false, Ordering::AcqRel)
    }

    /// Under which terms keys are handed out now.
    pub(crate) fn terms(&self) -> Terms {
        let [announces, announces_by_model] = self.announces.each_ref().map(|flag| flag.load(Ordering::Relaxed));
        Terms { rules: **self.selection.load(), announces, announces_by_model, only_looks: false }
    }

    /// Keys are chosen by these rules from now on.
    pub(crate) fn select_by(&self, rules: SelectionRules) {
        if **self.selection.load() != rules {
            self.selection.store(Arc::new(rules));
            self.want_rebuild();
        }
    }

    /// The rotation no longer is what the slots say; it is rebuilt soon.
    pub(crate) fn want_rebuild(&self) {
        if self.inbox.want_rebuild()
            && let Some(nudge) = &*self.nudge.lock()
        {
            nudge();
        }
    }

    /// Where to write what an answer to a request with this key tells of the provider's limits.
    pub(crate) fn ledger(&self, slot: &Arc<Slot>, announced: &Announced) -> Arc<Ledger> {
        let flags = [true, announced.per_model];
        for (known, is_so) in self.announces.iter().zip(flags) {
            if is_so && !known.load(Ordering::Relaxed) {
                known.store(true, Ordering::Relaxed);
            }
        }
        match announced.account {
            Some(account) if slot.account() != Some(account) => self.accounts.join(slot, account),
            _ => slot.ledger_or_own(),
        }
    }

    /// Yields the outcome of a lease: marks the slot at once, then tells the group actor, unless there is nothing to tell.
    pub(crate) fn settle(
        &self,
        slot: Arc<Slot>,
        generation: i64,
        verdict: Verdict,
        asked: Asked<'_>,
        origin: Origin,
        now: Timestamp,
    ) {
        let outcome = match self.news(&slot, &verdict, asked.model, origin, now) {
            News::Nothing => return self.count_applied(),
            News::Sample => Outcome::sample(slot, generation, verdict, asked, origin, now),
            News::Whole => self.mark(Outcome::new(slot, generation, verdict, asked, origin, now)),
        };
        self.queue(outcome, |outcome| {
            if !outcome.is_sample() {
                outcome.ticket = Some(self.journal.append(Kind::Outcome, &Kept::of(self.group, outcome)));
            }
        });
    }

    /// Yields an outcome that an earlier process has kept but not stored. One of a key that is gone has nobody to go to.
    pub(crate) fn settle_kept(&self, kept: Kept<'_>, ticket: Ticket) {
        let slot = self.snapshot.load().table.find(kept.key()).cloned();
        let Some(slot) = slot else { return ticket.settle() };
        let outcome = self.mark(kept.outcome(slot, self.watch.failures()));
        self.queue(outcome, |outcome| outcome.ticket = Some(ticket));
    }

    fn queue(&self, outcome: Outcome, keep: impl FnOnce(&mut Outcome)) {
        if self.inbox.push(outcome, keep)
            && let Some(nudge) = &*self.nudge.lock()
        {
            nudge();
        }
    }

    /// Whether the group actor is to hear of an outcome.
    fn news(&self, slot: &Slot, verdict: &Verdict, model: &str, origin: Origin, now: Timestamp) -> News {
        let is_validation = matches!(origin, Origin::Validation { .. });
        match verdict.class {
            OutcomeClass::Abandoned => News::Nothing,
            OutcomeClass::Success if is_validation || !slot.is_clean_for(model, now) => News::Whole,
            OutcomeClass::Success if self.watch.wants_success(now) => News::Sample,
            OutcomeClass::Success => News::Nothing,
            class => match verdict.ruling.as_ref().and_then(|ruling| ruling.consequence) {
                Some(Consequence::Spare) => News::Nothing,
                Some(_) => News::Whole,
                None if is_validation => match class {
                    OutcomeClass::RateLimited | OutcomeClass::UpstreamFault => News::Nothing,
                    _ => News::Whole,
                },
                None => match class {
                    OutcomeClass::ClientError => News::Nothing,
                    OutcomeClass::UpstreamFault if self.limits.load().blacklist_threshold == 0 => News::Nothing,
                    _ => News::Whole,
                },
            },
        }
    }

    /// An outcome is done with.
    pub(crate) fn count_applied(&self) {
        self.applied.fetch_add(1, Ordering::Relaxed);
    }

    /// Outcomes that are done with.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Asks the state machine what a failure will do, so that no request uses meanwhile a key that is about to go.
    fn mark(&self, mut outcome: Outcome) -> Outcome {
        let class = outcome.verdict.class;
        if has_a_cause(&outcome.verdict) {
            outcome.alarm = Some(self.watch.raise());
        }
        let is_bare_fault = class == OutcomeClass::UpstreamFault && outcome.verdict.ruling.is_none();
        if class == OutcomeClass::Success || is_bare_fault || self.is_tripped(class, &outcome.upstream) {
            return outcome;
        }
        let limits = self.limits.load();
        let (slot, now) = (outcome.slot().clone(), outcome.at);
        let before = slot.standing();
        let after = accept(&before, &outcome.event(false), &limits, now).standing;
        if after == before {
            return outcome;
        }
        if before.health.state.is_selectable() && !after.health.state.is_selectable() {
            let may_hold = |alarm: &mut Alarm| alarm.may_mark(limits.guard.as_ref(), self.selectable(), now);
            if outcome.alarm.as_mut().is_none_or(may_hold) {
                slot.hold();
            }
        }
        if let Some(until) = after.health.resting_until {
            slot.rest(until);
        }
        for model in after.health.models.iter().filter(|model| !before.health.models.contains(model)) {
            slot.mark_model(model);
        }
        outcome
    }

    /// Whether the pool guard holds such failures back.
    fn is_tripped(&self, class: OutcomeClass, upstream: &str) -> bool {
        self.tripped.load().iter().any(|tripped| tripped.class == class && *tripped.upstream == *upstream)
    }

    /// Keys that may serve.
    pub(crate) fn selectable(&self) -> u64 {
        let counts = self.counts();
        u64::try_from(counts.pending + counts.active + counts.degraded).unwrap_or(0)
    }

    /// Moves one key between the counts; `None` stands for outside of the pool.
    pub(crate) fn recount(&self, from: Option<KeyState>, to: Option<KeyState>) {
        let count = |state: KeyState| &self.counts[position(state)];
        if from != to {
            from.map(|state| count(state).fetch_sub(1, Ordering::Relaxed));
            to.map(|state| count(state).fetch_add(1, Ordering::Relaxed));
        }
    }

    /// Counts anew.
    pub(crate) fn count_all(&self, table: &Table) {
        self.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        table.iter().for_each(|slot| self.recount(None, Some(slot.state())));
    }

    pub(crate) fn counts(&self) -> KeyCounts {
        let count = |state| self.counts[position(state)].load(Ordering::Relaxed);
        KeyCounts {
            pending: count(KeyState::Pending),
            active: count(KeyState::Active),
            degraded: count(KeyState::Degraded),
            disabled: count(KeyState::Disabled),
            invalid: count(KeyState::Invalid),
        }
    }
}

/// What the group actor is to hear of an outcome.
enum News {
    Nothing,
    /// That some key was served.
    Sample,
    Whole,
}

fn position(state: KeyState) -> usize {
    KeyState::ALL.iter().position(|known| *known == state).unwrap_or(0)
}
