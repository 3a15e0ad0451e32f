//! Starts the actors of a node and hands out what the rest of the node needs of them.

mod others;
mod threads;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use gpt_load_cluster::{Cluster, Epoch, NodeIdentity};
use gpt_load_schema::{
    audit::Actor,
    ids::GroupId,
    log::RequestLog,
    resource::{Resource, ResourceOwner},
    store::{Store, StoreError},
    time::Timestamp,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use self::threads::Threads;
use crate::{
    audit::Audit,
    cluster::{Team, changes::Changes, knowledge::Knowledge},
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
        commit::{Committer, Shipping},
        kept_row::KeptRow,
        leader::Leader,
        logs::{DEFAULT_MAX_BYTES, LogQueue},
        sender::Sender,
    },
    tasks::Tasks,
    tokens::Tokens,
    validation::{Prober, Validation},
};

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
    team: Arc<Team>,
    events: Events,
    tasks: Tasks,
    audit: Arc<Audit>,
    tokens: Arc<Tokens>,
    validation: Validation,
    key_work: KeyWork,
    store: Store,
    threads: Threads,
    retire: Box<dyn Fn() + Send + Sync>,
}

/// The cluster of a node without others.
fn alone() -> Cluster {
    Cluster::local(NodeIdentity::new("node"))
}

impl Runtime {
    /// Starts the actors on threads of their own, fills the pools from the database and publishes the first routing table
    /// before it returns.
    pub async fn start(
        store: Store,
        settings: Arc<dyn SettingsSource>,
        sink: Arc<dyn RoutingSink>,
    ) -> Result<Self, StoreError> {
        Self::start_with(store, settings, sink, alone(), (Journal::disabled(), vec![])).await
    }

    /// [`Runtime::start`] with a journal, and what a process that was killed has left in it.
    pub async fn start_journaled(
        store: Store,
        settings: Arc<dyn SettingsSource>,
        sink: Arc<dyn RoutingSink>,
        journal: (Arc<Journal>, Vec<Leftover>),
    ) -> Result<Self, StoreError> {
        Self::start_with(store, settings, sink, alone(), journal).await
    }

    /// [`Runtime::start_journaled`] among the nodes of `cluster`.
    ///
    /// Of a shared cluster, any node may lead or follow, and which it is may change at any time. What a killed process left in
    /// the journal is then read again in the background, once nothing of that process can be stored any more; until then
    /// nothing new is stored either.
    pub async fn start_with(
        store: Store,
        settings: Arc<dyn SettingsSource>,
        sink: Arc<dyn RoutingSink>,
        cluster: Cluster,
        (journal, leftovers): (Arc<Journal>, Vec<Leftover>),
    ) -> Result<Self, StoreError> {
        let threads = Threads::start().await?;
        let oldest = Replay::oldest_outcome(&leftovers);
        // Nothing that is said from here on is missed.
        let bus = cluster.is_shared.then(|| cluster.bus.subscribe());
        let (inner, replay) = Inner::assemble(store, settings, sink, cluster, (journal, oldest), threads);
        let runtime = Self { inner: Arc::new(inner) };
        let (answer, started) = oneshot::channel();
        runtime.inner.orders.queue(Job::Start(answer));
        let started =
            started.await.unwrap_or_else(|_| Err(StoreError::Internal("the actors died at their start".into())));
        let begun = match (started, bus) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(bus)) => {
                runtime.inner.work_with_others(bus);
                runtime.inner.threads.sync.spawn(replay.among_others(leftovers));
                Ok(())
            }
            (Ok(()), None) => runtime.inner.replay(replay, leftovers).await,
        };
        match begun {
            Ok(()) => Ok(runtime),
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
        // Whoever ended the task may not have said so yet.
        self.inner.orders.queue(Job::KeepTask);
        self.inner.orders.queue(Job::Chores);
        if let Err(error) = self.flush().await {
            let RuntimeStats { logs_waiting, .. } = self.stats();
            tracing::error!(%error, logs_waiting, "stopped with outcomes and log rows that are not in the database; the journal has them");
        }
        self.inner.end().await;
    }

    /// Ends the node's threads as a kill would: what waits is in the journal alone.
    #[cfg(test)]
    pub(crate) async fn kill(&self) {
        self.inner.orders.jobs.close();
        (self.inner.retire)();
        self.inner.threads.system.stop();
        self.inner.threads.ended().await;
        self.inner.journal.close();
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
        self.inner.team.cluster.lease.current()
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
        cluster: Cluster,
        (journal, oldest_outcome): (Arc<Journal>, Option<i64>),
        threads: Threads,
    ) -> (Self, Replay) {
        let (orders, kept) = (Orders::default(), store.clone());
        let (jobs, sync) = (orders.jobs.clone(), orders.sync.clone());
        let (directory, groups) = (Arc::<Directory>::default(), Arc::<Link<Groups>>::default());
        let (deltas, logs) = (Arc::<DeltaQueue>::default(), Arc::new(LogQueue::new(DEFAULT_MAX_BYTES)));
        let respawns = Arc::<AtomicU64>::default();
        let events = Events::default();
        let resources = Arc::new(Resources::new(store.clone()));
        let tokens = Arc::<Tokens>::default();
        let knowledge = Arc::<Knowledge>::default();

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
            knowledge: cluster.is_shared.then(|| knowledge.clone()),
            doubt: Arc::new(move |group| doubt.queue(Job::Resync(group))),
        });
        let shipping = cluster.is_shared.then(|| {
            let (node, salt) = (Uuid::now_v7().to_string(), Uuid::new_v4().as_u64_pair().0);
            let node = journal.node().map_or(node, str::to_owned);
            let sender = Sender::new(node, journal.run(), salt);
            Shipping::new(sender, cluster.uplink.clone(), tokens.clone(), Some(oldest_outcome.unwrap_or(i64::MAX)))
        });
        let committer = Committer::new(
            store.clone(),
            cluster.lease.clone(),
            logs.clone(),
            deltas,
            resources.clone(),
            journal.clone(),
            shipping,
        );
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
        let team = Arc::new(Team {
            changes: Changes::default(),
            cluster,
            committer: committer.clone(),
            directory: directory.clone(),
            knowledge,
            journal: journal.clone(),
            orders: orders.clone(),
            tasks: tasks.clone(),
            versions_behind: Arc::default(),
            audit: audit.clone(),
        });
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
            team: team.clone(),
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
            team,
            events,
            tasks,
            audit,
            tokens,
            validation,
            key_work,
            store: kept,
            threads,
            retire,
        };
        (inner, replay)
    }

    /// Gives what a killed process left to the pools, before any request asks them, and to the database.
    async fn replay(&self, replay: Replay, leftovers: Vec<Leftover>) -> Result<(), StoreError> {
        let mut rows = replay.outcomes(leftovers).await?;
        replay.rows(&mut rows).await;
        self.threads.sync.spawn(replay.follow(rows));
        Ok(())
    }

    async fn end(&self) {
        self.orders.jobs.close();
        (self.retire)();
        self.team.cluster.leave().await;
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
