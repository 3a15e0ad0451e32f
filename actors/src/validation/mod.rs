//! Validation: cheap, real calls that prove keys.
//!
//! Due keys are asked about by the leader's background rounds (`schedule`, `background`), all others when a person wants
//! it (`manual`). Whoever asks goes through the group's `gate`, so that a provider never sees more than
//! `key_validation_concurrency` of these calls at the same time, and hands what was found to the pool, whose state
//! machine decides. Runs live on a thread of their own; the calls are the [`Prober`]'s.

mod background;
mod gate;
mod manual;
mod prober;
mod run;
mod schedule;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_rt::ArbiterHandle;
use gpt_load_schema::{
    ids::GroupId,
    store::{Store, StoreError},
    time::Timestamp,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use self::{gate::Gate, run::Inquiry, schedule::Schedule};
pub use self::{
    manual::{Increment, Ran, Report},
    prober::{Finding, Prober, Proof, Tally},
};
use crate::{
    groups::Directory,
    sync::commit::Committer,
    tasks::{TaskRunning, Tasks},
};

/// Validates keys of a node. Cheap to clone.
#[derive(Clone)]
pub struct Validation {
    means: Arc<Means>,
}

/// Why a validation did not begin.
#[derive(Debug, thiserror::Error)]
pub enum ValidationError {
    /// No key matches.
    #[error("no key matches; nothing is to be validated")]
    Nothing,
    /// There is no such group, or it is an aggregate.
    #[error("the group has no keys of its own")]
    NoSuchGroup,
    /// Another task is running.
    #[error(transparent)]
    TaskRunning(#[from] TaskRunning),
    /// The node is starting or stopping.
    #[error("the node does not validate keys at the moment; try again in a few seconds")]
    NotReady,
    /// The keys could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What validations work with; survives panics.
pub(crate) struct Means {
    store: Store,
    committer: Arc<Committer>,
    directory: Arc<Directory>,
    tasks: Tasks,
    /// Where runs live.
    arbiter: ArbiterHandle,
    prober: OnceLock<Arc<dyn Prober>>,
    gates: Mutex<HashMap<GroupId, Arc<Gate>>>,
    schedules: Mutex<HashMap<GroupId, Arc<Mutex<Schedule>>>>,
    is_ticking: AtomicBool,
    stop: watch::Sender<bool>,
}

impl Validation {
    pub(crate) fn new(
        store: Store,
        committer: Arc<Committer>,
        directory: Arc<Directory>,
        tasks: Tasks,
        arbiter: ArbiterHandle,
    ) -> Self {
        let means = Means {
            store,
            committer,
            directory,
            tasks,
            arbiter,
            prober: OnceLock::new(),
            gates: Mutex::default(),
            schedules: Mutex::default(),
            is_ticking: AtomicBool::new(false),
            stop: watch::Sender::new(false),
        };
        Self { means: Arc::new(means) }
    }

    /// Validations may begin; the first prober counts.
    pub(crate) fn begin(&self, prober: Arc<dyn Prober>) {
        // Whoever comes second has the same calls to offer.
        let _ = self.means.prober.set(prober);
    }

    /// Lets the background validation look for due keys, unless it is still at it.
    pub(crate) fn tick(&self) {
        let means = &self.means;
        if means.prober.get().is_some() && !means.is_stopping() && !means.is_ticking.swap(true, Ordering::AcqRel) {
            let means = Arc::clone(means);
            self.means.arbiter.spawn_fn(move || _ = actix_rt::spawn(background::tick(means)));
        }
    }

    /// Ends all runs.
    pub(crate) fn stop(&self) {
        self.means.stop.send_replace(true);
    }
}

impl Means {
    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Resolves when runs are to end.
    async fn stopping(&self) {
        // The sender lives as long as self.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// What asks about keys of a group; `None` before [`Validation::begin`].
    fn inquiry(self: &Arc<Self>, group: GroupId) -> Option<Inquiry> {
        let prober = self.prober.get()?.clone();
        let gate = self.gates.lock().entry(group).or_default().clone();
        Some(Inquiry { means: Arc::clone(self), prober, group, gate, tells_pool: true })
    }

    fn schedule(&self, group: GroupId) -> Arc<Mutex<Schedule>> {
        self.schedules.lock().entry(group).or_default().clone()
    }

    /// Tells the group's row that its keys were validated.
    async fn note_run(&self, group: GroupId) {
        let now = Timestamp::now();
        let noted = self.committer.write(|writer| async move { writer.set_group_validated(group, now).await }).await;
        match noted {
            Ok(()) | Err(StoreError::NotFound(_)) => {}
            Err(error) => tracing::warn!(group = group.0, %error, "a group's time of validation is not stored"),
        }
    }
}
