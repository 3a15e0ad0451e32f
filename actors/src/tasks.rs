//! The one long task of the installation: what it does, how far it is, how it ended.
//!
//! Whoever does the work holds a [`TaskHandle`]; everyone else sees the [`Task`] and may ask for its end. A handle that
//! is dropped without a word, by a panic or because its node ends, ends the task as failed, so that none blocks the next.
//! What changes is told to whoever keeps the record beyond this process ([`Tasks::on_change`]), at the beginning and the
//! end at once, between them every few seconds; [`Tasks::resume`] takes such a record up again.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

pub use gpt_load_schema::task::{Task, TaskKind, TaskResult};
use gpt_load_schema::time::Timestamp;
use tokio::sync::watch;

use crate::events::{Event, Events};

/// How long a task is remembered after its last change.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Progress by single items is told at most so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// While the task runs, whoever keeps the record is told at most so often.
const KEPT_EVERY: Duration = Duration::from_secs(2);
/// Error of a task that was asked to end before its work was done.
const CANCELLED: &str = "cancelled";

/// Another task is running.
#[derive(Debug, thiserror::Error)]
#[error("the task {} is running; wait for its end or cancel it", .0.kind.as_str())]
pub struct TaskRunning(pub Box<Task>);

/// The record of the task. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
}

struct Shared {
    owner: OnceLock<String>,
    events: Events,
    record: watch::Sender<Option<Record>>,
    keeper: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct Record {
    task: Task,
    changed_at: Timestamp,
    /// When whoever keeps the record was told last.
    told_at: Timestamp,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::telling(Events::default())
    }
}

impl Tasks {
    /// Tasks that `events` tell of.
    pub fn telling(events: Events) -> Self {
        let (owner, keeper) = (OnceLock::new(), OnceLock::new());
        Self { shared: Arc::new(Shared { owner, events, record: watch::Sender::new(None), keeper }) }
    }

    /// Names the node that does the work of tasks begun here; the first name counts.
    pub fn owned_by(&self, node: &str) {
        // Whoever comes second names the same node.
        let _ = self.shared.owner.set(node.to_owned());
    }

    /// Calls `keeper` when [`Tasks::latest`] is worth keeping anew; the first keeper counts.
    pub(crate) fn on_change(&self, keeper: impl Fn() + Send + Sync + 'static) {
        let _ = self.shared.keeper.set(Box::new(keeper));
    }

    /// Takes up what was kept, and when that was, unless a task runs here. A task that was running then has ended with its
    /// node.
    pub(crate) fn resume(&self, kept: Option<(Task, Timestamp)>, now: Timestamp) {
        let Some((mut task, kept_at)) = kept else { return };
        let died = task.is_running();
        if died {
            task.error = Some(format!("the node that did it ended before its work was done (node {})", task.owner));
            task.result.get_or_insert_default();
            task.finished_at = Some(kept_at.max(task.started_at));
        }
        let changed_at = if died { now } else { task.finished_at.unwrap_or(kept_at) };
        let is_news = self.shared.record.send_if_modified(|record| {
            let is_free = record.as_ref().is_none_or(|record| !record.task.is_running());
            if is_free {
                *record = Some(Record { task, changed_at, told_at: now });
            }
            is_free
        });
        if is_news && died {
            self.shared.tell_keeper();
        }
    }

    /// Begins a task about `group` (empty = several) with `total` items, unless one is running.
    ///
    /// # Errors
    /// The task that is running.
    pub fn begin(&self, kind: TaskKind, group: &str, total: u64, now: Timestamp) -> Result<TaskHandle, TaskRunning> {
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
        let mut running = None;
        self.shared.record.send_if_modified(|record| {
            match record.as_ref().filter(|record| record.task.is_running()) {
                Some(record) => running = Some(Box::new(record.task.clone())),
                None => *record = Some(Record { task, changed_at: now, told_at: now }),
            }
            running.is_none()
        });
        if let Some(task) = running {
            return Err(TaskRunning(task));
        }
        self.shared.tell_keeper();
        self.shared.tell_listeners();
        Ok(TaskHandle { shared: Arc::clone(&self.shared), processed: 0, told_at: now, is_open: true })
    }

    /// The task that runs, or ran last; `None` when there was none within the last hour.
    pub fn current(&self, now: Timestamp) -> Option<Task> {
        let record = self.shared.record.borrow();
        let record = record.as_ref()?;
        let is_fresh = record.task.is_running() || now.since(record.changed_at) < REMEMBERED;
        is_fresh.then(|| record.task.clone())
    }

    /// The task that runs, or ran last, however long ago.
    pub(crate) fn latest(&self) -> Option<Task> {
        self.shared.record.borrow().as_ref().map(|record| record.task.clone())
    }

    /// Resolves when no task runs.
    pub(crate) async fn idle(&self) {
        let is_idle = |record: &Option<Record>| record.as_ref().is_none_or(|record| !record.task.is_running());
        // The sender lives as long as self.
        let _ = self.shared.record.subscribe().wait_for(is_idle).await;
    }

    /// Asks the running task to end, and answers it; `None` when none is running.
    pub fn cancel(&self, now: Timestamp) -> Option<Task> {
        let mut cancelled = None;
        self.shared.record.send_if_modified(|record| {
            if let Some(record) = record.as_mut().filter(|record| record.task.is_running()) {
                record.task.is_cancelled = true;
                record.changed_at = now;
                cancelled = Some(record.task.clone());
            }
            cancelled.is_some()
        });
        self.shared.tell_listeners();
        cancelled
    }
}

impl Shared {
    fn tell_listeners(&self) {
        if let Some(record) = self.record.borrow().as_ref() {
            self.events.tell(|| Event::Task(Arc::new(record.task.clone())));
        }
    }

    fn tell_keeper(&self) {
        if let Some(tell) = self.keeper.get() {
            tell();
        }
    }
}

/// The right and the duty to do a task's work. Dropped unfinished, it ends the task as failed.
///
/// While it lives the record is this task's: no other begins while it runs.
pub struct TaskHandle {
    shared: Arc<Shared>,
    processed: u64,
    told_at: Timestamp,
    is_open: bool,
}

impl TaskHandle {
    /// The task as others see it.
    pub fn task(&self) -> Option<Task> {
        self.shared.record.borrow().as_ref().map(|record| record.task.clone())
    }

    /// `processed` items are done, which brought `result` until now; others see it at most once a second.
    pub fn progress(&mut self, processed: u64, result: impl FnOnce() -> TaskResult, now: Timestamp) {
        self.processed = processed;
        if now.since(self.told_at) >= PROGRESS_EVERY {
            self.batch_done(processed, result(), now);
        }
    }

    /// A batch is done; with those before it, it makes `processed` items, which brought `result`.
    pub fn batch_done(&mut self, processed: u64, result: TaskResult, now: Timestamp) {
        (self.processed, self.told_at) = (processed, now);
        self.change(now, |task| {
            task.processed = processed;
            task.result = Some(result);
        });
    }

    /// There are as many items as were done: some came or went since the beginning.
    pub fn total_is_processed(&mut self, now: Timestamp) {
        let processed = self.processed;
        self.change(now, |task| task.total = processed);
    }

    /// Whether the task was asked to end.
    pub fn is_cancelled(&self) -> bool {
        self.shared.record.borrow().as_ref().is_some_and(|record| record.task.is_cancelled)
    }

    /// Resolves when the task is asked to end.
    pub async fn cancelled(&self) {
        let is_cancelled = |record: &Option<Record>| record.as_ref().is_some_and(|record| record.task.is_cancelled);
        // The sender lives as long as self.
        let _ = self.shared.record.subscribe().wait_for(is_cancelled).await;
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

    /// `None` leaves the result as it was told last.
    fn end(&mut self, result: Option<TaskResult>, error: Option<String>, now: Timestamp) {
        self.is_open = false;
        let processed = self.processed;
        self.change(now, |task| {
            task.processed = processed;
            let told = task.result.take();
            task.result = Some(result.or(told).unwrap_or_default());
            task.error = error;
            task.finished_at = Some(now);
        });
    }

    fn change(&self, now: Timestamp, change: impl FnOnce(&mut Task)) {
        let mut is_due = false;
        self.shared.record.send_if_modified(|record| {
            if let Some(record) = record {
                change(&mut record.task);
                record.changed_at = now;
                is_due = !record.task.is_running() || now.since(record.told_at) >= KEPT_EVERY;
                if is_due {
                    record.told_at = now;
                }
            }
            true
        });
        self.shared.tell_listeners();
        if is_due {
            self.shared.tell_keeper();
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
                handle.progress(done, Vec::new, NOW + Duration::from_millis(millis));
                processed()
            })
            .to_vec();
        assert_eq!(told, [0, 0, 3, 3, 3, 6]);
        handle.progress(9, Vec::new, NOW + Duration::from_millis(2_001));
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
        let mut handle = begin(&tasks);
        handle.batch_done(5, vec![("added_count", 4)], NOW);
        drop(handle);
        let task = tasks.current(Timestamp::now()).expect("it is remembered");
        assert!(!task.is_running() && task.error.is_some_and(|error| error.contains("unexpectedly")));
        assert_eq!((task.processed, task.result), (5, Some(vec![("added_count", 4)])));
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

    #[test]
    fn the_keeper_hears_of_begin_and_end_and_now_and_then_between() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let (tasks, told) = (Tasks::default(), Arc::<AtomicU32>::default());
        let count = told.clone();
        tasks.on_change(move || _ = count.fetch_add(1, Ordering::Relaxed));
        let mut handle = begin(&tasks);
        let times = |handle: &mut TaskHandle, millis| {
            handle.batch_done(1, Vec::new(), NOW + Duration::from_millis(millis));
            told.load(Ordering::Relaxed)
        };
        let heard = [0, 1_999, 2_000, 2_001, 3_999, 4_000].map(|millis| times(&mut handle, millis));
        assert_eq!(heard, [1, 1, 2, 2, 2, 3]);
        handle.finish(Vec::new(), NOW + Duration::from_millis(4_001));
        assert_eq!(told.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn a_task_ends_with_its_node() {
        let task = |tasks: &Tasks| tasks.latest().expect("it is there");
        let before = Tasks::default();
        before.owned_by("node-7");
        let mut handle = before.begin(TaskKind::KeyImport, "team", 9, NOW).expect("no other task runs");
        handle.batch_done(5, vec![("added_count", 4)], after(3));

        let tasks = Tasks::default();
        tasks.resume(Some((task(&before), after(4))), after(7_200));
        let ended = tasks.current(after(7_200)).expect("its end is news");
        let error = "the node that did it ended before its work was done (node node-7)".to_owned();
        let expected = Task { error: Some(error), finished_at: Some(after(4)), ..task(&before) };
        assert_eq!(ended, expected);
        assert_eq!(tasks.current(after(7_200 + 3_600)), None);
        assert!(tasks.begin(TaskKind::KeyImport, "team", 9, after(7_201)).is_ok(), "nothing blocks");

        handle.finish(vec![("added_count", 8)], after(5));
        let tasks = Tasks::default();
        tasks.resume(Some((task(&before), after(5))), after(60));
        assert_eq!(tasks.latest(), before.latest(), "what had ended is as it was");
        assert_eq!(tasks.current(after(5 + 3_600)), None, "and its hour began at its end");
    }
}
