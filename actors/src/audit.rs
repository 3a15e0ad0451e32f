//! Writes the audit log. A deed is noted before it is done; when it cannot be noted, it is not done.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use gpt_load_schema::{
    audit::{Actor, Deed, Ending, Outcome, Subject},
    store::StoreResult,
    time::Timestamp,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{pool::kept::known_word, sync::commit::Committer};

/// The topic of the bus on which followers tell the leader what they have to note.
pub(crate) const TOPIC: &str = "audit";

/// Rows that wait for the database, at most; far more than people do while it is away.
const MAX_WAITING: usize = 10_000;

/// A deed under way, whose row is stored. Without an end its outcome stays `started`.
#[must_use = "say how it ended"]
pub struct OpenDeed {
    row: i64,
    deed: Deed,
}

/// What waits for the database: a row to complete, or a row to add.
struct Waiting {
    row: Option<i64>,
    deed: Deed,
    ending: Ending,
}

/// What a follower has to note.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Noted {
    actor: Actor,
    action: String,
    subject: (String, Option<i64>, String),
    at: Timestamp,
    outcome: Outcome,
    before: Value,
    after: Value,
    error: String,
}

impl From<(Deed, Ending)> for Noted {
    fn from((deed, ending): (Deed, Ending)) -> Self {
        let Subject { kind, id, name } = ending.subject.unwrap_or(deed.subject);
        Self {
            actor: deed.actor,
            action: deed.action.to_owned(),
            subject: (kind.to_owned(), id, name),
            at: deed.at,
            outcome: ending.outcome,
            before: ending.before,
            after: ending.after,
            error: ending.error,
        }
    }
}

/// The writer of the audit log.
pub struct Audit {
    committer: Arc<Committer>,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Held by the one who writes what waits, so that nothing is written twice.
    turn: tokio::sync::Mutex<()>,
    node: OnceLock<String>,
    nudge: Box<dyn Fn() + Send + Sync>,
}

impl Audit {
    pub(crate) fn new(committer: Arc<Committer>, nudge: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { committer, waiting: Mutex::default(), turn: Default::default(), node: OnceLock::new(), nudge }
    }

    /// Says the name of this node; the first call counts.
    pub fn on_node(&self, name: &str) {
        let _ = self.node.set(name.to_owned());
    }

    /// The node itself as the one who does something.
    pub fn node(&self) -> Actor {
        Actor::node(self.node.get().map_or("node", String::as_str))
    }

    /// Notes that something is about to be done.
    ///
    /// # Errors
    /// When it cannot be noted; then it must not be done.
    pub async fn begin(&self, deed: Deed) -> StoreResult<OpenDeed> {
        let about = &deed;
        let row = self.committer.write(|writer| async move { writer.insert_audit(about, None).await }).await?;
        Ok(OpenDeed { row, deed })
    }

    /// Notes how it ended, now or, when the database is away, as soon as it is back.
    pub async fn end(&self, open: OpenDeed, ending: Ending) {
        let OpenDeed { row, deed } = open;
        let (about, how) = (&deed, &ending);
        let ended = self.committer.write(|writer| async move { writer.end_audit(row, about, how).await }).await;
        if let Err(error) = ended {
            tracing::warn!(%error, action = deed.action, "the end of a change is noted in the audit log later");
            self.wait(Waiting { row: Some(row), deed, ending });
        }
    }

    /// Notes something that has happened, soon. Never blocks, never waits.
    pub fn record(&self, deed: Deed, ending: Ending) {
        self.wait(Waiting { row: None, deed, ending });
        (self.nudge)();
    }

    /// Notes what a follower has to note.
    pub(crate) fn record_for_another(&self, noted: Vec<Noted>) {
        for Noted { actor, action, subject: (kind, id, name), at, outcome, before, after, error } in noted {
            let subject = Subject { kind: known_word(&kind), id, name };
            let deed = Deed { actor, action: known_word(&action), subject, at };
            self.record(deed, Ending { outcome, subject: None, before, after, error });
        }
    }

    /// What waits to be noted for the first time; it waits no more.
    pub(crate) fn take_new(&self) -> Vec<Noted> {
        let mut waiting = self.waiting.lock();
        let (new, others): (VecDeque<_>, VecDeque<_>) = waiting.drain(..).partition(|row| row.row.is_none());
        *waiting = others;
        new.into_iter().map(|Waiting { deed, ending, .. }| (deed, ending).into()).collect()
    }

    /// Whether something waits for the database.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.lock().is_empty()
    }

    /// Writes what waits.
    pub(crate) async fn write_waiting(&self) -> StoreResult<()> {
        let _turn = self.turn.lock().await;
        loop {
            let Some(Waiting { row, deed, ending }) = self.waiting.lock().pop_front() else { return Ok(()) };
            let (about, how) = (&deed, &ending);
            let written = self
                .committer
                .write(|writer| async move {
                    match row {
                        Some(row) => writer.end_audit(row, about, how).await,
                        None => writer.insert_audit(about, Some(how)).await.map(drop),
                    }
                })
                .await;
            if let Err(error) = written {
                self.waiting.lock().push_front(Waiting { row, deed, ending });
                return Err(error);
            }
        }
    }

    fn wait(&self, row: Waiting) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MAX_WAITING
            && let Some(Waiting { deed, ending, .. }) = waiting.pop_front()
        {
            let (action, actor, outcome) = (deed.action, deed.actor.name, ending.outcome);
            tracing::error!(action, actor, %outcome, "a row of the audit log is lost: too many wait for the database");
        }
        waiting.push_back(row);
    }
}
