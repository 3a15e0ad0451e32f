//! The one writer of the database: carries out management writes in order and commits what the data path leaves behind.

mod audited;
pub(crate) mod commit;
pub(crate) mod kept_row;
pub(crate) mod leader;
pub(crate) mod logs;
mod others;
mod policies;
mod rotation;
pub(crate) mod sender;
pub(crate) mod shipment;
mod tokens;

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use gpt_load_schema::{audit::Actor as Author, ids::GroupId, store::StoreError};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::leader::Leader;
use crate::{
    cluster::changes::Notice,
    commands::{Command, CommandError, Reply},
    events::Event,
    respawn::{Lifeline, Link},
    validation::Validation,
};

/// Wake-ups are few, whoever wakes; work waits in [`JobQueue`].
const MAILBOX: usize = 256;
/// How often waiting rows and changes are committed when they are few.
const COMMIT_EVERY: Duration = Duration::from_millis(250);
/// Waiting rows that are committed at once.
pub(crate) const COMMIT_ROWS: usize = 2_000;
/// Wait after a failed commit; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a flush tries to reach the database.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);
/// How often log rows past their retention are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often due keys are looked for; each group has a pace of its own on top.
const VALIDATE_EVERY: Duration = Duration::from_millis(250);
/// How often last uses of access tokens, and what waits for the audit log, are brought into the database.
const CHORES_EVERY: Duration = Duration::from_secs(60);
/// Time for others between two batches of a rotation, and after one that failed.
const ROTATE_PAUSE: Duration = Duration::from_millis(10);
const ROTATE_AGAIN: Duration = Duration::from_secs(10);
/// Wait before a pool is compared with the database again after that failed.
const RESYNC_AGAIN: Duration = Duration::from_secs(1);

/// Where an answer goes. Nobody may be waiting any more.
pub(crate) type Answer<T> = oneshot::Sender<T>;

/// Work of the SyncActor.
pub(crate) enum Job {
    /// Fill the pools and publish the first routing table.
    Start(Answer<Result<(), StoreError>>),
    /// Carry out a management write.
    Execute(Command, Option<Author>, Answer<Result<Reply, CommandError>>),
    /// Read settings and groups again.
    Reload(Option<Answer<Result<(), CommandError>>>),
    /// Commit everything that waits.
    Flush(Answer<Result<(), CommandError>>),
    /// Commit what waits, unless the database is known to be down.
    Commit,
    /// Bring the record of the task into the database.
    KeepTask,
    /// Delete some log rows and resources whose time is over.
    Prune,
    /// Write what waits for the audit log and last uses of access tokens.
    Chores,
    /// Bring some stored secrets under the latest data key.
    Rotate,
    /// Compare a group's pool with the database.
    Resync(GroupId),
    /// Compare everything with the database.
    Recover,
    /// Take over from the former leader.
    Lead,
    /// Make a change of the leader true here.
    Apply(Box<Notice>),
    /// Compare what this node has with what the cluster has.
    Compare,
}

/// Work that waits; survives the actor.
pub(crate) struct JobQueue {
    /// `None` when nobody will work any more.
    jobs: Mutex<Option<VecDeque<Job>>>,
}

impl Default for JobQueue {
    fn default() -> Self {
        Self { jobs: Mutex::new(Some(VecDeque::new())) }
    }
}

impl JobQueue {
    /// Queues work; [`Pump`] makes the actor look. Whoever waits for the answer of work that comes too late is told so.
    pub(crate) fn push(&self, job: Job) {
        if let Some(jobs) = &mut *self.jobs.lock() {
            jobs.push_back(job);
        }
    }

    /// Queues work unless its like waits already; answers whether it did.
    pub(crate) fn push_once(&self, job: Job) -> bool {
        let is_like = |other: &Job| mem::discriminant(other) == mem::discriminant(&job);
        match &mut *self.jobs.lock() {
            Some(jobs) if !jobs.iter().any(is_like) => {
                jobs.push_back(job);
                true
            }
            _ => false,
        }
    }

    /// Drops what waits and what is still to come.
    pub(crate) fn close(&self) {
        *self.jobs.lock() = None;
    }

    fn pop(&self) -> Option<Job> {
        self.jobs.lock().as_mut()?.pop_front()
    }
}

/// Where management writes go in. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Orders {
    pub(crate) jobs: Arc<JobQueue>,
    pub(crate) sync: Arc<Link<SyncActor>>,
    stopping: Arc<AtomicBool>,
}

impl Orders {
    /// Queues work.
    pub(crate) fn queue(&self, job: Job) {
        self.jobs.push(job);
        self.sync.nudge(Pump);
    }

    /// Queues work unless its like waits already.
    pub(crate) fn queue_once(&self, job: Job) {
        if self.jobs.push_once(job) {
            self.sync.nudge(Pump);
        }
    }

    /// Carries out a part of something that the audit log tells of as a whole.
    pub(crate) async fn execute(&self, command: Command) -> Result<Reply, CommandError> {
        self.carry_out(command, None).await
    }

    /// Carries out a management write on behalf of `author`, and notes it in the audit log.
    pub(crate) async fn execute_for(&self, author: Author, command: Command) -> Result<Reply, CommandError> {
        self.carry_out(command, Some(author)).await
    }

    async fn carry_out(&self, command: Command, author: Option<Author>) -> Result<Reply, CommandError> {
        if self.is_stopping() {
            return Err(CommandError::NoLeader);
        }
        let (answer, reply) = oneshot::channel();
        self.queue(Job::Execute(command, author, answer));
        reply.await.unwrap_or(Err(CommandError::NoLeader))
    }

    /// From now on no management write is taken; answers whether it was so before.
    pub(crate) fn stop(&self) -> bool {
        self.stopping.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// The actor: one job at a time.
pub(crate) struct SyncActor {
    leader: Arc<Leader>,
    jobs: Arc<JobQueue>,
    validation: Validation,
    busy: bool,
    pause: Pause,
    _lifeline: Lifeline<Self>,
}

/// Backoff of commits while the database is down.
#[derive(Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }

    fn note(&mut self, is_down: bool) {
        if is_down {
            let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST_WAIT);
            self.failures = self.failures.saturating_add(1);
            self.until = Some(Instant::now() + wait);
        } else {
            *self = Self::default();
        }
    }
}

/// What a job says of its end.
enum Done {
    /// Nothing to add.
    Quiet,
    /// A commit ended; whether the database is down, and whether anything was stored.
    Committed { is_down: bool, has_stored: bool },
    /// To be done again.
    Again(Box<Job>, Duration),
}

impl SyncActor {
    pub(crate) fn new(
        leader: Arc<Leader>,
        jobs: Arc<JobQueue>,
        validation: Validation,
        lifeline: Lifeline<Self>,
    ) -> Self {
        Self { leader, jobs, validation, busy: false, pause: Pause::default(), _lifeline: lifeline }
    }

    fn pump(&mut self, ctx: &mut Context<Self>) {
        while !self.busy {
            let Some(job) = self.jobs.pop() else { return };
            if matches!(job, Job::Commit) && !self.pause.is_over() {
                continue;
            }
            self.busy = true;
            let work = run(self.leader.clone(), job).into_actor(self).map(|done, actor, ctx| {
                actor.busy = false;
                actor.note(done, ctx);
                actor.pump(ctx);
            });
            ctx.spawn(work);
        }
    }

    fn note(&mut self, done: Done, ctx: &mut Context<Self>) {
        match done {
            Done::Quiet => {}
            Done::Committed { is_down, has_stored } => {
                self.pause.note(is_down);
                if has_stored && self.leader.committer.waiting() >= COMMIT_ROWS {
                    self.jobs.push_once(Job::Commit);
                }
            }
            Done::Again(job, wait) => {
                let mut job = Some(job);
                ctx.run_later(wait, move |actor, ctx| {
                    job.take().into_iter().for_each(|job| actor.jobs.push(*job));
                    actor.pump(ctx);
                });
            }
        }
    }
}

async fn run(leader: Arc<Leader>, job: Job) -> Done {
    match job {
        Job::Start(answer) => {
            let _ = answer.send(leader.start().await);
        }
        Job::Execute(_, _, answer) if leader.committer.follows() => {
            let _ = answer.send(Err(CommandError::NoLeader));
        }
        Job::Execute(command, author, answer) => {
            let event = Event::of(&command);
            let result = match author {
                Some(author) => Box::pin(leader.execute(command, author)).await,
                None => Box::pin(leader.carry_out(command)).await,
            };
            if let (Ok(_), Some(event)) = (&result, event) {
                leader.events.tell(|| event);
            }
            let _ = answer.send(result);
        }
        Job::Reload(answer) => {
            let result = leader.reload().await.map_err(CommandError::from);
            if result.is_ok() {
                leader.events.tell(|| Event::Settings);
            }
            match (answer, result) {
                (Some(answer), result) => {
                    let _ = answer.send(result);
                }
                (None, Ok(())) => {}
                (None, Err(_)) => return Done::Again(Box::new(Job::Reload(None)), RESYNC_AGAIN),
            }
        }
        Job::Flush(answer) if leader.committer.follows() => {
            // What others do meanwhile does not wait for the leader.
            actix_rt::spawn(async move {
                let settled = async {
                    leader.committer.opened().await;
                    leader.committer.settled().await;
                };
                let result = tokio::time::timeout(FLUSH_PATIENCE, settled).await;
                let _ = answer.send(result.map_err(|_| CommandError::NoLeader));
            });
        }
        Job::Flush(answer) => {
            let result = commit_patiently(&leader).await;
            let is_down = result.is_err();
            let _ = answer.send(result.map_err(CommandError::from));
            return Done::Committed { is_down, has_stored: !is_down };
        }
        Job::Commit => {
            let result = leader.committer.commit_batch().await;
            if let Err(error) = &result {
                let waiting = leader.committer.waiting();
                tracing::warn!(%error, waiting, "outcomes and log rows wait for the database");
            }
            return Done::Committed { is_down: result.is_err(), has_stored: result.is_ok_and(|stored| stored > 0) };
        }
        Job::Chores if leader.committer.follows() => leader.tell_what_is_to_be_noted().await,
        // The leader does that.
        Job::KeepTask | Job::Prune | Job::Rotate if leader.committer.follows() => {}
        Job::KeepTask => {
            if let Err(error) = leader.keep_task().await {
                tracing::warn!(%error, "the record of the task is stored later");
                return Done::Again(Box::new(Job::KeepTask), RESYNC_AGAIN);
            }
        }
        Job::Prune => match leader.prune().await {
            Ok(true) => return Done::Again(Box::new(Job::Prune), Duration::from_millis(10)),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "log rows and resources whose time is over stay for now"),
        },
        Job::Chores => {
            if let Err(error) = leader.chores().await {
                tracing::warn!(%error, "rows of the audit log and uses of access tokens wait for the database");
            }
        }
        Job::Rotate => match leader.continue_rotation().await {
            Ok(true) => return Done::Again(Box::new(Job::Rotate), ROTATE_PAUSE),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the rotation of the data key goes on later");
                return Done::Again(Box::new(Job::Rotate), ROTATE_AGAIN);
            }
        },
        Job::Resync(group) => {
            if let Err(error) = leader.resync(group).await {
                tracing::warn!(group = group.0, %error, "the pool is compared with the database later");
                return Done::Again(Box::new(Job::Resync(group)), RESYNC_AGAIN);
            }
        }
        Job::Recover => {
            if let Err(error) = leader.recover().await {
                tracing::warn!(%error, "the node is compared with the database later");
                return Done::Again(Box::new(Job::Recover), RESYNC_AGAIN);
            }
        }
        Job::Lead => {
            if let Err(error) = leader.take_over().await
                && !leader.committer.follows()
            {
                tracing::warn!(%error, "what the former leader left is taken over later");
                return Done::Again(Box::new(Job::Lead), RESYNC_AGAIN);
            }
        }
        Job::Apply(notice) => {
            if let Err(error) = leader.apply(&notice).await {
                tracing::warn!(%error, "a change of the leader is in force here later");
            }
        }
        Job::Compare => leader.compare().await,
    }
    Done::Quiet
}

/// Commits everything that waits; a database that is busy or restarts is given some time.
async fn commit_patiently(leader: &Leader) -> Result<(), StoreError> {
    let started = Instant::now();
    if tokio::time::timeout(FLUSH_PATIENCE, leader.committer.opened()).await.is_err() {
        return Err(StoreError::Unavailable("what an earlier process of this node left is not stored yet".to_owned()));
    }
    loop {
        match leader.committer.commit_all().await {
            Err(_) if started.elapsed() < FLUSH_PATIENCE => tokio::time::sleep(FIRST_WAIT).await,
            result => return result,
        }
    }
}

impl Actor for SyncActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(COMMIT_EVERY, |actor, ctx| {
            if let Some(rows) = actor.leader.committer.take_new_rows() {
                actor.leader.events.tell(|| Event::Logs(rows));
            }
            if actor.leader.committer.waiting() > 0 {
                actor.jobs.push_once(Job::Commit);
            }
            if actor.pause.is_over() && actor.leader.audit.has_waiting() {
                actor.jobs.push_once(Job::Chores);
            }
            actor.pump(ctx);
        });
        ctx.run_interval(PRUNE_EVERY, |actor, ctx| {
            actor.jobs.push(Job::Prune);
            actor.pump(ctx);
        });
        ctx.run_interval(CHORES_EVERY, |actor, ctx| {
            actor.jobs.push_once(Job::Chores);
            actor.pump(ctx);
        });
        ctx.run_interval(VALIDATE_EVERY, |actor, _| actor.validation.tick());
        self.pump(ctx);
    }
}

/// There is work.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct Pump;

impl Handler<Pump> for SyncActor {
    type Result = ();

    fn handle(&mut self, _: Pump, ctx: &mut Self::Context) {
        self.pump(ctx);
    }
}

#[cfg(test)]
pub(crate) mod panic {
    use super::*;

    /// Dies of it.
    #[derive(Clone, Message)]
    #[rtype(result = "()")]
    pub(crate) struct Panic;

    impl Handler<Panic> for SyncActor {
        type Result = ();

        fn handle(&mut self, _: Panic, _: &mut Self::Context) {
            panic!("asked to panic");
        }
    }
}
