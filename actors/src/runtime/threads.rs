//! The threads on which a node's actors live.

use std::thread;

use actix::System;
use actix_rt::{Arbiter, ArbiterHandle};
use gpt_load_schema::store::StoreError;
use tokio::sync::{oneshot, watch};

/// Threads for groups, at most; a group's actor works for a few microseconds per failure.
const GROUP_THREADS: usize = 4;

/// The actors' threads: an actix system of their own, so that they depend on nobody else's.
pub(super) struct Threads {
    pub(super) system: System,
    pub(super) sync: ArbiterHandle,
    pub(super) validation: ArbiterHandle,
    pub(super) groups: Vec<ArbiterHandle>,
    ended: watch::Receiver<bool>,
}

impl Threads {
    pub(super) async fn start() -> Result<Self, StoreError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Internal(format!("cannot start the actors: {error}"));
        let (ready, handles) = oneshot::channel();
        let (end, ended) = watch::channel(false);
        let run = move || {
            let runner = System::new();
            let count = thread::available_parallelism().map_or(1, usize::from).min(GROUP_THREADS);
            let arbiters: Vec<Arbiter> = (0..count + 2).map(|_| Arbiter::new()).collect();
            let handles = arbiters.iter().map(Arbiter::handle).collect::<Vec<_>>();
            if ready.send((System::current(), handles)).is_ok()
                && let Err(error) = runner.run()
            {
                tracing::error!(%error, "the actors' system ended badly");
            }
            let _ = end.send(true);
        };
        thread::Builder::new().name("actors".to_owned()).spawn(run).map_err(|error| failed(&error))?;
        let (system, mut groups) = handles.await.map_err(|error| failed(&error))?;
        let mut single = || groups.pop().ok_or_else(|| failed(&"no thread"));
        let (sync, validation) = (single()?, single()?);
        Ok(Self { system, sync, validation, groups, ended })
    }

    pub(super) async fn ended(&self) {
        // An error means that the thread has ended without saying so.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}
