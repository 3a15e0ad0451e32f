//! Changes of many keys: imports, deletions, copies, and those of whole groups.
//!
//! Each batch of at most [`KEY_BATCH`] keys is a management write of its own, a transaction that is made whole or not at
//! all. Between two batches outcomes, log rows and other changes have their turn, the work can be ended, and what was done
//! until then stays. Nobody holds more than a batch of keys in full, whatever their number.

mod batches;
mod source;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use actix_rt::ArbiterHandle;
use gpt_load_schema::{
    group::GroupType,
    ids::GroupId,
    key::{KeySource, KeyState},
    key_text::KeyList,
    store::{KeyFilter, KeySelector, Store, StoreError},
    task::{Task, TaskKind},
    time::Timestamp,
};
use tokio::sync::{oneshot, watch};

use self::{
    batches::{Batches, Deletion, Import},
    source::Source,
};
use crate::{
    commands::{Command, CommandError, KEY_BATCH, Reply},
    groups::{Directory, Member},
    sync::Orders,
    tasks::{TaskHandle, TaskRunning, Tasks},
};

/// How long a batch that finds no database or no leader is tried again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause before such a try; doubled after each, up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Changes many keys of a node. Cheap to clone.
#[derive(Clone)]
pub struct KeyWork {
    means: Arc<Means>,
}

/// Why a change of many keys did not begin.
#[derive(Debug, thiserror::Error)]
pub enum KeyWorkError {
    /// There is no key to work on.
    #[error("there is no key; nothing is to be done")]
    Nothing,
    /// There is no such group, or it is an aggregate.
    #[error("the group has no keys of its own")]
    NoSuchGroup,
    /// Another task is running.
    #[error(transparent)]
    TaskRunning(#[from] TaskRunning),
    /// The node is stopping.
    #[error("the node is stopping; try again in a few seconds")]
    NotReady,
    /// The keys could not be counted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the work needs; survives panics.
struct Means {
    store: Store,
    directory: Arc<Directory>,
    tasks: Tasks,
    orders: Orders,
    /// Where the work is done.
    arbiter: ArbiterHandle,
    stop: watch::Sender<bool>,
}

impl KeyWork {
    pub(crate) fn new(
        store: Store,
        directory: Arc<Directory>,
        tasks: Tasks,
        orders: Orders,
        arbiter: ArbiterHandle,
    ) -> Self {
        let stop = watch::Sender::new(false);
        Self { means: Arc::new(Means { store, directory, tasks, orders, arbiter, stop }) }
    }

    /// Starts the task that adds keys to a group, in `state` (`None` = the group's `new_key_state`); known values are
    /// ignored.
    ///
    /// # Errors
    /// See [`KeyWorkError`].
    pub fn import(
        &self,
        group: GroupId,
        keys: KeyList,
        state: Option<KeyState>,
        source: KeySource,
    ) -> Result<Task, KeyWorkError> {
        let member = self.means.member(group)?;
        let (handle, task) = self.means.begin(TaskKind::KeyImport, &member, keys.len())?;
        let import = Import { group, source: Source::List(keys), state, origin: source };
        self.means.spawn(move |means| Batches { means, handle }.import(import));
        Ok(task)
    }

    /// Starts the task that adds the keys of the group `from`, those in `state` (`None` = in any), to the group `to`. They
    /// begin as new keys: states, notes and counters stay behind, and so do keys whose value does not decrypt.
    ///
    /// # Errors
    /// See [`KeyWorkError`].
    pub async fn copy(&self, from: GroupId, to: GroupId, state: Option<KeyState>) -> Result<Task, KeyWorkError> {
        let mut counts = self.means.store.group_key_counts(from).await?;
        let total = state.map_or(counts.total(), |state| *counts.of_mut(state));
        let member = self.means.member(to)?;
        let (handle, task) = self.means.begin(TaskKind::KeyImport, &member, usize::try_from(total).unwrap_or(0))?;
        let filter = KeyFilter { state, ..KeyFilter::default() };
        let source = Source::Group { store: self.means.store.clone(), from, filter, after: None };
        let import = Import { group: to, source, state: None, origin: KeySource::Manual };
        self.means.spawn(move |means| Batches { means, handle }.import(import));
        Ok(task)
    }

    /// Starts the task that removes keys from a group, by their values.
    ///
    /// # Errors
    /// See [`KeyWorkError`].
    pub fn delete(&self, group: GroupId, keys: KeyList) -> Result<Task, KeyWorkError> {
        let member = self.means.member(group)?;
        let (handle, task) = self.means.begin(TaskKind::KeyDelete, &member, keys.len())?;
        self.means.spawn(move |means| Batches { means, handle }.delete(Deletion { group, keys }));
        Ok(task)
    }

    /// Removes all keys of a group, or those in `state`; answers how many, and how many are left. Goes on when nobody waits
    /// for it any more; what was removed before a failure stays removed.
    ///
    /// # Errors
    /// As for single management writes.
    pub async fn delete_all(&self, group: GroupId, state: Option<KeyState>) -> Result<(i64, i64), CommandError> {
        let which = state.map_or(KeySelector::All, KeySelector::State);
        self.sweep(group, move || Command::DeleteBatch(group, which.clone())).await
    }

    /// Makes all keys of a group that are in `state`, invalid or disabled, active again; answers how many, and how many keys
    /// the group has. Goes on when nobody waits for it any more; what was restored before a failure stays so.
    ///
    /// # Errors
    /// As for single management writes.
    pub async fn restore_all(&self, group: GroupId, state: KeyState) -> Result<(i64, i64), CommandError> {
        self.sweep(group, move || Command::RestoreBatch(group, KeySelector::State(state))).await
    }

    /// Ends what is under way after its present batch.
    pub(crate) fn stop(&self) {
        self.means.stop.send_replace(true);
    }

    /// Repeats a batch until it is not full.
    async fn sweep(
        &self,
        group: GroupId,
        batch: impl Fn() -> Command + Send + 'static,
    ) -> Result<(i64, i64), CommandError> {
        let (answer, swept) = oneshot::channel();
        self.means.spawn(move |means| async move {
            // Nobody may be waiting any more.
            let _ = answer.send(means.sweep(group, batch).await);
        });
        swept.await.unwrap_or(Err(CommandError::NoLeader))
    }
}

impl Means {
    fn member(&self, group: GroupId) -> Result<Member, KeyWorkError> {
        let member = self.directory.member(group).ok_or(KeyWorkError::NoSuchGroup)?;
        match member.group.definition.group_type {
            GroupType::Standard => Ok(member),
            GroupType::Aggregate => Err(KeyWorkError::NoSuchGroup),
        }
    }

    fn begin(&self, kind: TaskKind, member: &Member, total: usize) -> Result<(TaskHandle, Task), KeyWorkError> {
        if total == 0 {
            return Err(KeyWorkError::Nothing);
        }
        if self.orders.is_stopping() {
            return Err(KeyWorkError::NotReady);
        }
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let handle = self.tasks.begin(kind, &member.group.definition.name, total, Timestamp::now())?;
        let task = handle.task().ok_or(KeyWorkError::NotReady)?;
        Ok((handle, task))
    }

    fn spawn<W: Future<Output = ()> + 'static>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> W + Send + 'static) {
        let means = Arc::clone(self);
        self.arbiter.spawn_fn(move || _ = actix_rt::spawn(work(means)));
    }

    async fn sweep(&self, group: GroupId, batch: impl Fn() -> Command) -> Result<(i64, i64), CommandError> {
        let full = i64::try_from(KEY_BATCH).unwrap_or(i64::MAX);
        let (mut changed, mut most) = (0, None);
        // Keys may come, or meet the condition again, meanwhile: how many there are at the beginning bounds the work.
        let outcome = loop {
            match self.orders.execute(batch()).await {
                Ok(Reply::Changed { count, total }) => {
                    let most = *most.get_or_insert(count + total);
                    changed += count;
                    if count < full || changed >= most {
                        break Ok(());
                    }
                }
                Ok(_) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let shown = self.orders.execute(Command::ShowKeys(group)).await;
        outcome?;
        match shown? {
            Reply::Changed { total, .. } => Ok((changed, total)),
            _ => Ok((changed, 0)),
        }
    }

    /// Resolves when work is to end.
    async fn stopping(&self) {
        // The sender lives as long as self.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }
}
