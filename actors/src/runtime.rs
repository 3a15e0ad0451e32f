//! Starts the actors of a node and hands out what the rest of the node needs of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use actix::System;
use actix_rt::{Arbiter, ArbiterHandle};
use gpt_load_cluster::{
    Epoch,
    lease::{Lease, LocalLease},
};
use gpt_load_schema::{
    audit::Actor,
    ids::GroupId,
    log::RequestLog,
    resource::{Resource, ResourceOwner},
    store::{Store, StoreError},
    time::Timestamp,
};
use tokio::sync::{oneshot, watch};

use crate::{
    audit::Audit,
    commands::{Command, CommandError, Reply},
    deltas::DeltaQueue,
    events::Events,
    group::Settle,
    groups::{Directory, Groups, Nursery},
    journal::{Journal, JournalStats, Kind, Leftover},
    key_work::KeyWork,
    replay::Replay,
    resources::Resources,
    respawn::{Link, Respawner},
    routing::{RoutingSink, SettingsSource},
    sync::{
        COMMIT_ROWS, Job, Orders, SyncActor,
        commit::Committer,
        kept_row::KeptRow,
        leader::Leader,
        logs::{DEFAULT_MAX_BYTES, LogQueue},
    },
    tasks::Tasks,
    tokens::Tokens,
    validation::{Prober, Validation},
};

/// Threads for groups, at most; a group's actor works for a few microseconds per failure.
const GROUP_THREADS: usize = 4;
/// How long a stop waits for the batch that a task has under way.
const TASK_END: Duration = Duration::from_secs(5);

/// Counters that `/stats`, `/health` and metrics show; monotonic since start.
#[derive(Clone, Copy, Debug, Default)]
pub struct RuntimeStats {
    /// GroupActors and SyncActors rebuilt after a panic.
    pub respawns: u64,
    /// Log rows waiting for the database.
    pub logs_waiting: u64,
    /// Log rows in the database.
    pub logs_written: u64,
    /// Log rows lost because the bounded queue was full.
    pub logs_dropped: u64,
    /// Outcomes waiting for their group actor.
    pub outcomes_waiting: u64,
    /// Outcomes applied.
    pub outcomes_applied: u64,
}

/// The running actors of a node. Cheap to clone; usable from any thread with a tokio runtime.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    orders: Orders,
    directory: Arc<Directory>,
    logs: Arc<LogQueue>,
    resources: Arc<Resources>,
    journal: Arc<Journal>,
    respawns: Arc<AtomicU64>,
    lease: Arc<dyn Lease>,
    events: Events,
    tasks: Tasks,
    audit: Arc<Audit>,
    tokens: Arc<Tokens>,
    validation: Validation,
    key_work: KeyWork,
    threads: Threads,
    retire: Box<dyn Fn() + Send + Sync>,
}

impl Runtime {
    /// Starts the actors on threads of their own, fills the pools from the database and publishes the first routing table
    /// before it returns.
    pub async fn start(
        store: Store,
        settings: Arc<dyn SettingsSource>,
        sink: Arc<dyn RoutingSink>,
    ) -> Result<Self, StoreError> {
        Self::start_with(store, settings, sink, Arc::new(LocalLease::default()), (Journal::disabled(), vec![])).await
    }

    /// [`Runtime::start`] with a journal, and what a process that was killed has left in it.
    pub async fn start_journaled(
        store: Store,
        settings: Arc<dyn SettingsSource>,
        sink: Arc<dyn RoutingSink>,
        journal: (Arc<Journal>, Vec<Leftover>),
    ) -> Result<Self, StoreError> {
        Self::start_with(store, settings, sink, Arc::new(LocalLease::default()), journal).await
    }

    /// [`Runtime::start`] with the lease that decides whether this node leads.
    pub(crate) async fn start_with(
        store: Store,
        settings: Arc<dyn SettingsSource>,
        sink: Arc<dyn RoutingSink>,
        lease: Arc<dyn Lease>,
        (journal, leftovers): (Arc<Journal>, Vec<Leftover>),
    ) -> Result<Self, StoreError> {
        let threads = Threads::start().await?;
        let (inner, replay) = Inner::assemble(store, settings, sink, lease, journal, threads);
        let runtime = Self { inner: Arc::new(inner) };
        let (answer, started) = oneshot::channel();
        runtime.inner.orders.queue(Job::Start(answer));
        let started =
            started.await.unwrap_or_else(|_| Err(StoreError::Internal("the actors died at their start".into())));
        let replayed = match started {
            Ok(()) => replay.outcomes(leftovers).await,
            Err(error) => Err(error),
        };
        match replayed {
            Ok(mut rows) => {
                replay.rows(&mut rows).await;
                runtime.inner.threads.sync.spawn(replay.follow(rows));
                Ok(runtime)
            }
            Err(error) => {
                runtime.inner.end().await;
                Err(error)
            }
        }
    }

    /// Carries out a management write on behalf of the node itself: of its configuration, of its keys file.
    pub async fn execute(&self, command: Command) -> Result<Reply, CommandError> {
        self.execute_for(self.inner.audit.node(), command).await
    }

    /// Carries out a management write on behalf of `actor`; the audit log holds a row of it, whatever comes of it.
    pub async fn execute_for(&self, actor: Actor, command: Command) -> Result<Reply, CommandError> {
        self.inner.orders.execute_for(actor, command).await
    }

    /// Reads settings and groups again and publishes (hot reload).
    pub async fn reload(&self) -> Result<(), CommandError> {
        let (answer, reply) = oneshot::channel();
        self.inner.orders.queue(Job::Reload(Some(answer)));
        reply.await.unwrap_or(Err(CommandError::NoLeader))
    }

    /// Lets the node validate keys: from now on by itself, where it leads, and when it is asked to. `node` is its name.
    pub fn begin_validation(&self, prober: Arc<dyn Prober>, node: &str) {
        self.inner.tasks.owned_by(node);
        self.inner.validation.begin(prober);
    }

    /// Validations that a person asks for.
    pub fn validation(&self) -> &Validation {
        &self.inner.validation
    }

    /// Changes of many keys.
    pub fn key_work(&self) -> &KeyWork {
        &self.inner.key_work
    }

    /// The audit log, for what is done without a [`Command`].
    pub fn audit(&self) -> &Audit {
        &self.inner.audit
    }

    /// The access tokens of the management API.
    pub fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    /// What happens on the node, for whoever listens.
    pub fn events(&self) -> &Events {
        &self.inner.events
    }

    /// The long task of the installation.
    pub fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }

    /// Keeps a log row in the journal and queues it for the database; never waits for the database. Rows are normally
    /// stored there within 2 s.
    pub fn record(&self, row: RequestLog) {
        let inner = &self.inner;
        let ticket = inner.journal.append(Kind::Log, &KeptRow::from(&row));
        if inner.logs.push(row, ticket) == COMMIT_ROWS {
            inner.orders.queue_once(Job::Commit);
        }
    }

    /// Takes note of whose a resource is; never blocks, never waits. It is found at once, and in the database normally
    /// within 2 s.
    pub fn remember(&self, resource: Resource) {
        self.inner.resources.remember(resource);
    }

    /// Whose resources `ids` are, as far as `groups` know them at `now`; in no order. Asks the database only for ids that
    /// were not met lately.
    pub async fn resource_owners(
        &self,
        groups: &[GroupId],
        ids: &[Box<str>],
        now: Timestamp,
    ) -> Result<Vec<ResourceOwner>, StoreError> {
        self.inner.resources.owners(groups, ids, now).await
    }

    /// Waits until every outcome and log row handed over so far is in the database.
    ///
    /// An unreachable database ends the wait with its error; everything still waits for it then.
    pub async fn flush(&self) -> Result<(), CommandError> {
        for member in self.inner.directory.members().iter() {
            match member.link.ask(Settle).await {
                Err(gone) if !member.link.is_closed() => return Err(StoreError::from(gone).into()),
                _ => {}
            }
        }
        let (answer, reply) = oneshot::channel();
        self.inner.orders.queue(Job::Flush(answer));
        reply.await.unwrap_or(Err(CommandError::NoLeader))
    }

    /// Waits until all that was handed to the audit log so far is in the database, or the database has refused it.
    pub async fn audit_written(&self) {
        if let Err(error) = self.inner.audit.write_waiting().await {
            tracing::warn!(%error, "rows of the audit log wait for the database");
        }
    }

    /// Flushes, stops the actors and ends their threads.
    pub async fn stop(&self) {
        if self.inner.orders.stop() {
            return self.inner.threads.ended().await;
        }
        self.inner.validation.stop();
        self.inner.key_work.stop();
        if tokio::time::timeout(TASK_END, self.inner.tasks.idle()).await.is_err() {
            tracing::warn!("stopped while the task was at work; the next start shows it as failed");
        }
        self.inner.orders.queue(Job::Chores);
        if let Err(error) = self.flush().await {
            let RuntimeStats { logs_waiting, .. } = self.stats();
            tracing::error!(%error, logs_waiting, "stopped with outcomes and log rows that are not in the database; the journal has them");
        }
        self.inner.end().await;
    }

    #[cfg(test)]
    pub(crate) fn sync_link(&self) -> &Link<SyncActor> {
        &self.inner.orders.sync
    }

    /// Prunes without waiting for the time of it.
    #[cfg(test)]
    pub(crate) fn prune(&self) {
        self.inner.orders.queue(Job::Prune);
    }

    #[cfg(test)]
    pub(crate) fn directory(&self) -> &Directory {
        &self.inner.directory
    }

    /// The term in which this node leads, as far as it knows; `None` when it does not.
    pub fn epoch(&self) -> Option<Epoch> {
        self.inner.lease.current()
    }

    /// What the journal holds and what it lost.
    pub fn journal(&self) -> JournalStats {
        self.inner.journal.stats()
    }

    /// Counters now.
    pub fn stats(&self) -> RuntimeStats {
        let (logs_waiting, logs_written, logs_dropped) = self.inner.logs.counts();
        let (outcomes_waiting, outcomes_applied) = self.inner.directory.outcomes();
        RuntimeStats {
            respawns: self.inner.respawns.load(Ordering::Relaxed),
            logs_waiting,
            logs_written,
            logs_dropped,
            outcomes_waiting,
            outcomes_applied,
        }
    }
}

impl Inner {
    fn assemble(
        store: Store,
        settings: Arc<dyn SettingsSource>,
        sink: Arc<dyn RoutingSink>,
        lease: Arc<dyn Lease>,
        journal: Arc<Journal>,
        threads: Threads,
    ) -> (Self, Replay) {
        let orders = Orders::default();
        let (jobs, sync) = (orders.jobs.clone(), orders.sync.clone());
        let (directory, groups) = (Arc::<Directory>::default(), Arc::<Link<Groups>>::default());
        let (deltas, logs) = (Arc::<DeltaQueue>::default(), Arc::new(LogQueue::new(DEFAULT_MAX_BYTES)));
        let respawns = Arc::<AtomicU64>::default();
        let events = Events::default();
        let resources = Arc::new(Resources::new(store.clone()));

        let doubt = orders.clone();
        let nursery = Arc::new(Nursery {
            directory: directory.clone(),
            deltas: deltas.clone(),
            journal: journal.clone(),
            events: events.clone(),
            respawns: respawns.clone(),
            arbiters: threads.groups.clone(),
            settings,
            sink,
            doubt: Arc::new(move |group| doubt.queue(Job::Resync(group))),
        });
        let committer =
            Committer::new(store.clone(), lease.clone(), logs.clone(), deltas, resources.clone(), journal.clone());
        let replay = Replay {
            journal: journal.clone(),
            store: store.clone(),
            committer: committer.clone(),
            directory: directory.clone(),
            logs: logs.clone(),
        };
        let tasks = Tasks::telling(events.clone());
        let keeper = orders.clone();
        tasks.on_change(move || keeper.queue_once(Job::KeepTask));
        let chores = orders.clone();
        let audit = Arc::new(Audit::new(committer.clone(), Box::new(move || chores.queue_once(Job::Chores))));
        let tokens = Arc::<Tokens>::default();
        let validation = Validation::new(
            store.clone(),
            committer.clone(),
            directory.clone(),
            tasks.clone(),
            threads.validation.clone(),
        );
        let key_work =
            KeyWork::new(store.clone(), directory.clone(), tasks.clone(), orders.clone(), threads.validation.clone());
        let leader = Arc::new(Leader {
            tasks: tasks.clone(),
            committer,
            store,
            directory: directory.clone(),
            groups: groups.clone(),
            jobs: jobs.clone(),
            audit: audit.clone(),
            tokens: tokens.clone(),
            events: events.clone(),
        });

        let born = nursery.clone();
        let parent = Respawner::start(
            "groups".to_owned(),
            threads.system.arbiter().clone(),
            groups,
            respawns.clone(),
            move |lifeline| Groups::new(born.clone(), lifeline),
            || {},
        );
        let (work, doubtful, validating) = (jobs.clone(), jobs, validation.clone());
        let writer = Respawner::start(
            "sync".to_owned(),
            threads.sync.clone(),
            sync,
            respawns.clone(),
            move |lifeline| SyncActor::new(leader.clone(), work.clone(), validating.clone(), lifeline),
            move || _ = doubtful.push_once(Job::Recover),
        );
        let retire = Box::new(move || {
            nursery.retire();
            parent.retire();
            writer.retire();
        });
        let inner = Self {
            orders,
            directory,
            logs,
            resources,
            journal,
            respawns,
            lease,
            events,
            tasks,
            audit,
            tokens,
            validation,
            key_work,
            threads,
            retire,
        };
        (inner, replay)
    }

    async fn end(&self) {
        self.orders.jobs.close();
        (self.retire)();
        self.lease.release().await;
        self.journal.close();
        self.threads.system.stop();
        self.threads.ended().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        (self.retire)();
        self.threads.system.stop();
    }
}

/// The actors' threads: an actix system of their own, so that they depend on nobody else's.
struct Threads {
    system: System,
    sync: ArbiterHandle,
    validation: ArbiterHandle,
    groups: Vec<ArbiterHandle>,
    ended: watch::Receiver<bool>,
}

impl Threads {
    async fn start() -> Result<Self, StoreError> {
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

    async fn ended(&self) {
        // An error means that the thread has ended without saying so.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}
