//! Outcomes on their way from the data path to the group actor.
//!
//! It belongs to the pool, not to the actor: what waits here survives the actor's death.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use gpt_load_schema::time::Timestamp;
use parking_lot::Mutex;

use super::{Asked, Verdict, slot::Slot, state::Event, watch::Alarm};
use crate::journal::Ticket;

/// Who made the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client's request.
    Request {
        /// Failures in the pool when the attempt began ([`super::watch::Watch::failures`]).
        began: u64,
    },
    /// A validation.
    Validation {
        /// Failures in the pool when it ended: a validation is short and comes after what it is about.
        began: u64,
    },
}

/// How one attempt with a key ended.
pub(crate) struct Outcome {
    slot: Arc<Slot>,
    pub(crate) generation: i64,
    pub(crate) verdict: Verdict,
    /// Base URL asked.
    pub(crate) upstream: Arc<str>,
    /// Model asked for; empty when there was none.
    pub(crate) model: Box<str>,
    pub(crate) origin: Origin,
    pub(crate) at: Timestamp,
    /// Set when the failure has a cause to be looked for.
    pub(crate) alarm: Option<Alarm>,
    /// Whether it is only told as a sample of the successes: to the key it means nothing.
    is_sample: bool,
    /// Its record in the journal.
    pub(crate) ticket: Option<Ticket>,
}

impl Outcome {
    /// Announces itself on the slot, so that later successes of the key keep their place behind it.
    pub(crate) fn new(
        slot: Arc<Slot>,
        generation: i64,
        verdict: Verdict,
        asked: Asked<'_>,
        origin: Origin,
        at: Timestamp,
    ) -> Self {
        slot.outcome_queued();
        let (upstream, model) = (asked.upstream.clone(), asked.model.into());
        Self { slot, generation, verdict, upstream, model, origin, at, alarm: None, is_sample: false, ticket: None }
    }

    /// A success of a key in good standing, which need not know of it: it leaves no trace on the slot.
    pub(crate) fn sample(
        slot: Arc<Slot>,
        generation: i64,
        verdict: Verdict,
        asked: Asked<'_>,
        origin: Origin,
        at: Timestamp,
    ) -> Self {
        let (upstream, model) = (asked.upstream.clone(), asked.model.into());
        Self { slot, generation, verdict, upstream, model, origin, at, alarm: None, is_sample: true, ticket: None }
    }

    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    pub(crate) fn is_sample(&self) -> bool {
        self.is_sample
    }

    /// What it is to the state machine.
    pub(crate) fn event(&self, key_specific: bool) -> Event<'_> {
        let (generation, verdict) = (self.generation, &self.verdict);
        match self.origin {
            Origin::Request { .. } => Event::Outcome { generation, verdict, model: &self.model, key_specific },
            Origin::Validation { .. } => Event::Validated { generation, verdict },
        }
    }

    /// Failures in the pool when the attempt began.
    pub(crate) fn began(&self) -> u64 {
        let (Origin::Request { began } | Origin::Validation { began }) = self.origin;
        began
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if !self.is_sample {
            self.slot.outcome_done();
        }
    }
}

/// The queue of one group.
#[derive(Default)]
pub(crate) struct Inbox {
    arrived: Mutex<Vec<Outcome>>,
    /// Taken out of `arrived` by the actor, not yet applied.
    taken: Mutex<VecDeque<Outcome>>,
    nudged: AtomicBool,
    /// The rotation should be rebuilt though no outcome says so.
    rebuild: AtomicBool,
    waiting: AtomicU64,
}

impl Inbox {
    /// Queues an outcome, once `keep` has kept it: outcomes are applied in the order of the journal. Answers whether the
    /// actor has to be nudged, which is so once per drain.
    pub(crate) fn push(&self, mut outcome: Outcome, keep: impl FnOnce(&mut Outcome)) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let mut arrived = self.arrived.lock();
        keep(&mut outcome);
        arrived.push(outcome);
        drop(arrived);
        !self.nudged.swap(true, Ordering::AcqRel)
    }

    /// Asks for a rebuild of the rotation; answers whether the actor has to be nudged.
    pub(crate) fn want_rebuild(&self) -> bool {
        !self.rebuild.swap(true, Ordering::AcqRel) && !self.nudged.swap(true, Ordering::AcqRel)
    }

    /// Whether a rebuild was asked for.
    pub(crate) fn wants_rebuild(&self) -> bool {
        self.rebuild.load(Ordering::Acquire)
    }

    /// The rotation is about to be rebuilt.
    pub(crate) fn rebuilding(&self) {
        self.rebuild.store(false, Ordering::Release);
    }

    /// Starts a drain: outcomes pushed from here on nudge again.
    pub(crate) fn take_arrived(&self) {
        self.nudged.store(false, Ordering::Release);
        let mut arrived = self.arrived.lock();
        self.taken.lock().extend(arrived.drain(..));
    }

    /// The next outcome to apply.
    pub(crate) fn next(&self) -> Option<Outcome> {
        let outcome = self.taken.lock().pop_front()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(outcome)
    }

    /// Outcomes not yet applied.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}
