//! The one long task of the installation: what it does, how far it is, how it ended.
//!
//! Whoever does the work holds a [`TaskHandle`]; everyone else sees the [`Task`] and may ask for its end. A handle that
//! is dropped without a word, by a panic or because its node ends, ends the task as failed, so that none blocks the next.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use gpt_load_schema::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::events::{Event, Events};

/// How long a task is remembered after its last change.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Progress is told at most so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Error of a task that was asked to end before its work was done.
const CANCELLED: &str = "cancelled";

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// Asks providers about keys.
    KeyValidation,
    /// Adds keys.
    KeyImport,
    /// Removes keys.
    KeyDelete,
}

impl TaskKind {
    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyValidation => "KEY_VALIDATION",
            Self::KeyImport => "KEY_IMPORT",
            Self::KeyDelete => "KEY_DELETE",
        }
    }
}

/// What a task brought, by name: `added_count` and the like, in the order in which people read them.
pub type TaskResult = Vec<(&'static str, u64)>;

/// A task as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What it does.
    pub kind: TaskKind,
    /// Name of the group it is about; empty when there are several.
    pub group: String,
    /// Name of the node that does the work.
    pub owner: String,
    /// Items done; told at most once a second, exact at the end.
    pub processed: u64,
    /// Items in all.
    pub total: u64,
    /// What it brought; after a failure, what it brought until then. `None` while it runs.
    pub result: Option<TaskResult>,
    /// Why it did not do all; `None` while it runs and after a success.
    pub error: Option<String>,
    /// Whether it was asked to end early. It may still be running.
    pub is_cancelled: bool,
    /// Begin.
    pub started_at: Timestamp,
    /// End; `None` while it runs.
    pub finished_at: Option<Timestamp>,
}

impl Task {
    /// Whether the work goes on.
    pub const fn is_running(&self) -> bool {
        self.finished_at.is_none()
    }
}

/// Another task is running.
#[derive(Debug, thiserror::Error)]
#[error("the task {} is running; wait for its end or cancel it", .0.kind.as_str())]
pub struct TaskRunning(pub Box<Task>);

/// The record of the task. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    owner: OnceLock<String>,
    events: Events,
    record: Mutex<Option<Record>>,
}

struct Record {
    task: Task,
    changed_at: Timestamp,
    cancel: watch::Sender<bool>,
}

impl Tasks {
    /// Tasks that `events` tell of.
    pub fn telling(events: Events) -> Self {
        Self { shared: Arc::new(Shared { events, ..Shared::default() }) }
    }

    /// Names the node that does the work of tasks begun here; the first name counts.
    pub fn owned_by(&self, node: &str) {
        // Whoever comes second names the same node.
        let _ = self.shared.owner.set(node.to_owned());
    }

    /// Begins a task about `group` (empty = several) with `total` items, unless one is running.
    ///
    /// # Errors
    /// The task that is running.
    pub fn begin(&self, kind: TaskKind, group: &str, total: u64, now: Timestamp) -> Result<TaskHandle, TaskRunning> {
        let mut record = self.shared.record.lock();
        if let Some(Record { task, .. }) = record.as_ref().filter(|record| record.task.is_running()) {
            return Err(TaskRunning(Box::new(task.clone())));
        }
        let (cancel, cancelled) = watch::channel(false);
        let task = Task {
            kind,
            group: group.to_owned(),
            owner: self.shared.owner.get().cloned().unwrap_or_default(),
            processed: 0,
            total,
            result: None,
            error: None,
            is_cancelled: false,
            started_at: now,
            finished_at: None,
        };
        self.shared.events.tell(|| Event::Task(Arc::new(task.clone())));
        *record = Some(Record { task, changed_at: now, cancel });
        Ok(TaskHandle { shared: Arc::clone(&self.shared), cancelled, processed: 0, told_at: now, is_open: true })
    }

    /// The task that runs, or ran last; `None` when there was none within the last hour.
    pub fn current(&self, now: Timestamp) -> Option<Task> {
        let record = self.shared.record.lock();
        let record = record.as_ref()?;
        let is_fresh = record.task.is_running() || now.since(record.changed_at) < REMEMBERED;
        is_fresh.then(|| record.task.clone())
    }

    /// Asks the running task to end, and answers it; `None` when none is running.
    pub fn cancel(&self, now: Timestamp) -> Option<Task> {
        let mut record = self.shared.record.lock();
        let record = record.as_mut().filter(|record| record.task.is_running())?;
        record.task.is_cancelled = true;
        record.changed_at = now;
        record.cancel.send_replace(true);
        self.shared.events.tell(|| Event::Task(Arc::new(record.task.clone())));
        Some(record.task.clone())
    }
}

/// The right and the duty to do a task's work. Dropped unfinished, it ends the task as failed.
pub struct TaskHandle {
    shared: Arc<Shared>,
    cancelled: watch::Receiver<bool>,
    processed: u64,
    told_at: Timestamp,
    is_open: bool,
}

impl TaskHandle {
    /// The task as others see it.
    pub fn task(&self) -> Option<Task> {
        self.shared.record.lock().as_ref().map(|record| record.task.clone())
    }

    /// `processed` items are done.
    pub fn progress(&mut self, processed: u64, now: Timestamp) {
        self.processed = processed;
        if now.since(self.told_at) >= PROGRESS_EVERY {
            self.told_at = now;
            self.change(now, |task| task.processed = processed);
        }
    }

    /// Whether the task was asked to end.
    pub fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    /// Resolves when the task is asked to end.
    pub async fn cancelled(&self) {
        let mut cancelled = self.cancelled.clone();
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            // The record went first; nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }

    /// The work is done.
    pub fn finish(mut self, result: TaskResult, now: Timestamp) {
        self.end(Some(result), None, now);
    }

    /// The work ended before it was done; `result` is what it brought until then.
    pub fn fail(mut self, error: impl Into<String>, result: TaskResult, now: Timestamp) {
        self.end(Some(result), Some(error.into()), now);
    }

    /// The work ended because somebody asked for it.
    pub fn give_up(self, result: TaskResult, now: Timestamp) {
        self.fail(CANCELLED, result, now);
    }

    fn end(&mut self, result: Option<TaskResult>, error: Option<String>, now: Timestamp) {
        self.is_open = false;
        let processed = self.processed;
        self.change(now, |task| {
            task.processed = processed;
            task.result = result;
            task.error = error;
            task.finished_at = Some(now);
        });
    }

    fn change(&self, now: Timestamp, change: impl FnOnce(&mut Task)) {
        // The record is this task's: no other begins while it runs.
        if let Some(record) = &mut *self.shared.record.lock() {
            change(&mut record.task);
            record.changed_at = now;
            self.shared.events.tell(|| Event::Task(Arc::new(record.task.clone())));
        }
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        if self.is_open {
            let error = "the task ended unexpectedly; see the server log".to_owned();
            self.end(None, Some(error), Timestamp::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn begin(tasks: &Tasks) -> TaskHandle {
        tasks.begin(TaskKind::KeyValidation, "default", 10, NOW).expect("no other task runs")
    }

    fn after(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn one_task_runs_at_a_time() {
        let tasks = Tasks::default();
        tasks.owned_by("node-1");
        assert_eq!(tasks.current(NOW), None);
        let handle = begin(&tasks);
        let TaskRunning(running) =
            tasks.begin(TaskKind::KeyImport, "other", 1, after(1)).err().expect("a task is running");
        assert_eq!((running.group.as_str(), running.owner.as_str()), ("default", "node-1"));
        handle.finish(vec![("total_keys", 10)], after(2));
        assert!(tasks.begin(TaskKind::KeyImport, "other", 1, after(3)).is_ok());
    }

    #[test]
    fn only_one_of_many_that_begin_together_begins() {
        let tasks = Tasks::default();
        let begun: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| tasks.begin(TaskKind::KeyDelete, "g", 1, NOW).ok())).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(begun.iter().flatten().count(), 1);
    }

    #[test]
    fn progress_is_told_once_a_second_and_at_the_end() {
        let tasks = Tasks::default();
        let mut handle = begin(&tasks);
        let processed = || tasks.current(NOW).expect("it runs").processed;
        let told: Vec<u64> = [(1, 0), (2, 999), (3, 1_000), (4, 1_001), (5, 1_999), (6, 2_000)]
            .map(|(done, millis)| {
                handle.progress(done, NOW + Duration::from_millis(millis));
                processed()
            })
            .to_vec();
        assert_eq!(told, [0, 0, 3, 3, 3, 6]);
        handle.progress(9, NOW + Duration::from_millis(2_001));
        handle.finish(Vec::new(), after(3));
        assert_eq!(processed(), 9);
    }

    #[test]
    fn a_task_is_remembered_for_an_hour_after_its_last_change() {
        let tasks = Tasks::default();
        let handle = begin(&tasks);
        assert!(tasks.current(after(10 * 3600)).is_some(), "a running one is never forgotten");
        handle.finish(vec![("valid_keys", 3)], after(7_200));
        let task = tasks.current(after(7_200 + 3_599)).expect("it is remembered");
        assert_eq!((task.result, task.error), (Some(vec![("valid_keys", 3)]), None));
        assert_eq!(tasks.current(after(7_200 + 3_600)), None);
    }

    #[test]
    fn a_failure_keeps_what_was_brought_until_then() {
        let tasks = Tasks::default();
        begin(&tasks).fail("the database is away", vec![("added_count", 500)], after(1));
        let task = tasks.current(after(1)).expect("it is remembered");
        assert_eq!(task.error.as_deref(), Some("the database is away"));
        assert_eq!(task.result, Some(vec![("added_count", 500)]));
        assert!(!task.is_running());
    }

    #[test]
    fn a_dropped_handle_ends_its_task() {
        let tasks = Tasks::default();
        drop(begin(&tasks));
        let task = tasks.current(Timestamp::now()).expect("it is remembered");
        assert!(!task.is_running() && task.error.is_some_and(|error| error.contains("unexpectedly")));
    }

    #[tokio::test]
    async fn a_task_learns_that_it_is_to_end() {
        let tasks = Tasks::default();
        assert_eq!(tasks.cancel(NOW), None);
        let handle = begin(&tasks);
        assert!(!handle.is_cancelled());
        let task = tasks.cancel(after(1)).expect("it runs");
        assert!(task.is_cancelled && task.is_running());
        handle.cancelled().await;
        assert!(handle.is_cancelled());
        handle.give_up(vec![("total_keys", 1)], after(2));
        assert_eq!(tasks.current(after(2)).and_then(|task| task.error).as_deref(), Some("cancelled"));
        assert_eq!(tasks.cancel(after(3)), None, "it has ended");
        assert!(!begin(&tasks).is_cancelled(), "the next one starts afresh");
    }
}
