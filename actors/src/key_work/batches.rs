//! The work of a task, batch by batch.

use std::sync::Arc;

use gpt_load_schema::{
    ids::GroupId,
    key::{KeySource, KeyState},
    key_text::KeyList,
    store::{KeySelector, StoreError},
    task::TaskResult,
    time::Timestamp,
};
use tokio::time::{Instant, sleep};

use super::{
    Means, PATIENCE, PAUSE,
    source::{Portion, Source},
};
use crate::{
    commands::{Command, CommandError, KEY_BATCH, Reply},
    tasks::TaskHandle,
};

/// An import under way.
pub(super) struct Import {
    pub(super) group: GroupId,
    pub(super) source: Source,
    /// First state; `None` = the group's `new_key_state`.
    pub(super) state: Option<KeyState>,
    pub(super) origin: KeySource,
}

/// A deletion under way.
pub(super) struct Deletion {
    pub(super) group: GroupId,
    pub(super) keys: KeyList,
}

/// Why the work ends before all is done.
enum End {
    Cancelled,
    Stopped,
    Failed(CommandError),
}

/// What was done until now.
#[derive(Default)]
struct Done {
    gone_over: u64,
    changed: u64,
    unreadable: u64,
}

impl Done {
    fn add(&mut self, gone_over: usize, changed: i64) {
        self.gone_over += u64::try_from(gone_over).unwrap_or(u64::MAX);
        self.changed += u64::try_from(changed).unwrap_or(0);
    }

    /// The counts, by the name of what changed.
    fn result(&self, name: &'static str) -> TaskResult {
        let mut result = vec![(name, self.changed), ("ignored_count", self.gone_over - self.changed)];
        if self.unreadable > 0 {
            result.push(("unreadable_count", self.unreadable));
        }
        result
    }
}

/// The worker of one task.
pub(super) struct Batches {
    pub(super) means: Arc<Means>,
    pub(super) handle: TaskHandle,
}

impl Batches {
    pub(super) async fn import(mut self, mut import: Import) {
        const NAME: &str = "added_count";
        let mut done = Done::default();
        let end = loop {
            let Portion { values, unreadable } = match self.read(&mut import.source).await {
                Ok(Some(portion)) => portion,
                Ok(None) => break None,
                Err(end) => break Some(end),
            };
            let gone_over = values.len() + unreadable;
            let Import { group, state, origin: source, .. } = import;
            let add = || Command::AddBatch { group, values: values.clone(), state, source };
            match self.carry_out(add).await {
                Ok(Reply::Added { added, .. }) => done.add(gone_over, added),
                Ok(_) => done.add(gone_over, 0),
                Err(end) => break Some(end),
            }
            done.unreadable += u64::try_from(unreadable).unwrap_or(0);
            self.handle.batch_done(done.gone_over, done.result(NAME), Timestamp::now());
        };
        self.end(import.group, end, done.result(NAME), import.source.is_alive()).await;
    }

    pub(super) async fn delete(mut self, Deletion { group, mut keys }: Deletion) {
        const NAME: &str = "deleted_count";
        let mut done = Done::default();
        let end = loop {
            let values = keys.take(KEY_BATCH);
            if values.is_empty() {
                break None;
            }
            let delete = || Command::DeleteBatch(group, KeySelector::Values(values.clone()));
            match self.carry_out(delete).await {
                Ok(Reply::Changed { count, .. }) => done.add(values.len(), count),
                Ok(_) => done.add(values.len(), 0),
                Err(end) => break Some(end),
            }
            self.handle.batch_done(done.gone_over, done.result(NAME), Timestamp::now());
        };
        self.end(group, end, done.result(NAME), false).await;
    }

    async fn read(&self, source: &mut Source) -> Result<Option<Portion>, End> {
        let mut patience = Patience::default();
        loop {
            match source.next().await {
                Ok(portion) => return Ok(portion),
                Err(error) => self.wait(&mut patience, error.into()).await?,
            }
        }
    }

    /// Carries out a batch; one that finds no database or no leader is tried again for a while.
    async fn carry_out(&self, command: impl Fn() -> Command) -> Result<Reply, End> {
        let mut patience = Patience::default();
        loop {
            if self.handle.is_cancelled() {
                return Err(End::Cancelled);
            }
            match self.means.orders.execute(command()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => self.wait(&mut patience, error).await?,
            }
        }
    }

    async fn wait(&self, patience: &mut Patience, error: CommandError) -> Result<(), End> {
        if self.means.orders.is_stopping() {
            return Err(End::Stopped);
        }
        let may_pass = match &error {
            CommandError::Store(error) => {
                matches!(error, StoreError::Unavailable(_) | StoreError::StaleEpoch { .. })
            }
            CommandError::NoLeader => true,
            CommandError::Refused(_) => false,
        };
        let Some(pause) = patience.next().filter(|_| may_pass) else { return Err(End::Failed(error)) };
        tokio::select! {
            () = sleep(pause) => Ok(()),
            () = self.handle.cancelled() => Err(End::Cancelled),
            () = self.means.stopping() => Err(End::Stopped),
        }
    }

    async fn end(mut self, group: GroupId, end: Option<End>, result: TaskResult, is_alive: bool) {
        // Whoever sees the end of the task finds all of its keys at work. A group that is gone has none, and one whose
        // actor does not answer is compared with the database anyhow.
        let _ = self.means.orders.execute(Command::ShowKeys(group)).await;
        let now = Timestamp::now();
        match end {
            None => {
                if is_alive {
                    self.handle.total_is_processed(now);
                }
                self.handle.finish(result, now);
            }
            Some(End::Cancelled) => self.handle.give_up(result, now),
            Some(End::Stopped) => self.handle.fail("the node was stopped", result, now),
            Some(End::Failed(error)) => {
                tracing::error!(group.id = %group, %error, "a change of many keys failed");
                self.handle.fail(told(&error), result, now);
            }
        }
    }
}

/// What people are told of a failure; the log has the rest.
fn told(error: &CommandError) -> &'static str {
    match error {
        CommandError::Store(StoreError::Unavailable(_)) => "the database could not be reached",
        CommandError::Store(StoreError::NotFound(_)) => "the group was deleted",
        CommandError::Store(StoreError::StaleEpoch { .. }) | CommandError::NoLeader => "no node leads",
        CommandError::Store(_) | CommandError::Refused(_) => "the database failed; see the server log",
    }
}

/// The pauses between tries.
struct Patience {
    begun: Instant,
    pause: std::time::Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { begun: Instant::now(), pause: PAUSE.0 }
    }
}

impl Patience {
    /// The next pause; `None` when patience is at its end.
    fn next(&mut self) -> Option<std::time::Duration> {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE.1);
        (self.begun.elapsed() < PATIENCE).then_some(pause)
    }
}
