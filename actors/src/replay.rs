//! Reads again what the journal holds and nobody else: outcomes and log rows of a process that was killed, rows that
//! memory had no room for.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::Arc,
    time::Duration,
};

use gpt_load_schema::{
    ids::KeyId,
    store::{Store, StoreError, StoreResult},
};

use crate::{
    group::Settle,
    groups::Directory,
    journal::{Journal, Kind, Leftover, Ticket},
    pool::kept::Kept,
    sync::{commit::Committer, kept_row::KeptRow, logs::LogQueue},
};

/// Rows are read again while fewer than this wait for the database.
const FEW_ROWS: usize = 20_000;
/// How often it is looked whether rows may be read again.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What reading again takes.
pub(crate) struct Replay {
    pub(crate) journal: Arc<Journal>,
    pub(crate) store: Store,
    pub(crate) committer: Arc<Committer>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) logs: Arc<LogQueue>,
}

impl Replay {
    /// Gives the outcomes among `leftovers` to their pools, except those whose effect is stored, before any request asks a
    /// pool; answers the rest.
    pub(crate) async fn outcomes(&self, leftovers: Vec<Leftover>) -> StoreResult<VecDeque<Leftover>> {
        let is_outcome = |leftover: &Leftover| leftover.kind() == Kind::Outcome;
        let (outcomes, rest): (VecDeque<_>, VecDeque<_>) = leftovers.into_iter().partition(is_outcome);
        let Some(node) = self.journal.node() else { return Ok(rest) };
        let stored = self.store.outcome_proofs(node).await?;
        if let Some(oldest) = outcomes.front().map(Leftover::first_position) {
            tracing::info!(files = outcomes.len(), "outcomes of a process that was killed are read again");
            self.forget_proofs(node, oldest).await?;
        } else if !stored.is_empty() {
            self.forget_proofs(node, i64::MAX).await?;
        }
        for leftover in outcomes {
            for (kept, ticket) in self.read::<Kept<'static>>(leftover).await.map_err(|error| unreadable(&error))? {
                let is_stored = stored.get(&kept.key()).copied() >= ticket.position();
                match self.directory.member(kept.group()).filter(|_| !is_stored) {
                    Some(member) => member.shared.settle_kept(kept, ticket),
                    None => ticket.settle(),
                }
            }
        }
        for member in self.directory.members().iter().filter(|member| member.shared.inbox.waiting() > 0) {
            member.link.ask(Settle).await.map_err(StoreError::from)?;
        }
        Ok(rest)
    }

    /// Queues log rows of `leftovers`, and those that memory had no room for, as long as few rows wait.
    pub(crate) async fn rows(&self, leftovers: &mut VecDeque<Leftover>) {
        while self.logs.len() < FEW_ROWS
            && let Some(leftover) = leftovers.pop_front().or_else(|| self.journal.take_spilled())
        {
            if let Err(error) = self.queue(leftover).await {
                tracing::error!(%error, "log rows stay in a file of the journal until the next start");
            }
        }
    }

    /// Position of the oldest outcome among `leftovers`.
    pub(crate) fn oldest_outcome(leftovers: &[Leftover]) -> Option<i64> {
        leftovers.iter().filter(|leftover| leftover.kind() == Kind::Outcome).map(Leftover::first_position).min()
    }

    /// Reads everything again as soon as nothing of the earlier process can be stored any more, then lets what waits go.
    pub(crate) async fn among_others(self, leftovers: Vec<Leftover>) {
        self.committer.introduced().await;
        let mut leftovers = Some(leftovers);
        let mut rows = loop {
            // Only the question for proofs, which comes before anything is read, fails for a time.
            match self.store.outcome_proofs(self.journal.node().unwrap_or_default()).await {
                Ok(_) => match self.outcomes(leftovers.take().unwrap_or_default()).await {
                    Ok(rows) => break rows,
                    Err(error) => {
                        tracing::error!(%error, "outcomes stay in the journal until the next start");
                        break VecDeque::new();
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "the journal waits for the database");
                    tokio::time::sleep(LOOK_EVERY * 4).await;
                }
            }
        };
        self.rows(&mut rows).await;
        self.committer.open();
        self.follow(rows).await;
    }

    /// [`Replay::rows`] as the database takes them, for ever.
    pub(crate) async fn follow(self, mut leftovers: VecDeque<Leftover>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.rows(&mut leftovers).await;
        }
    }

    async fn queue(&self, leftover: Leftover) -> io::Result<()> {
        let rows = self.read::<KeptRow<'static>>(leftover).await?;
        let keys: Vec<KeyId> = rows.iter().filter_map(|(row, _)| row.key()).collect();
        let values = self.values(keys).await;
        for (row, ticket) in rows {
            self.logs.push(row.row(&values), ticket);
        }
        Ok(())
    }

    /// Waits for the database: a row should not lose its key because it was away.
    async fn values(&self, mut keys: Vec<KeyId>) -> HashMap<KeyId, gpt_load_schema::secret::Secret> {
        keys.sort_unstable();
        keys.dedup();
        loop {
            match self.store.key_values(&keys).await {
                Ok(values) => return values,
                Err(error) => {
                    tracing::warn!(%error, "log rows of the journal wait for the database");
                    tokio::time::sleep(LOOK_EVERY * 4).await;
                }
            }
        }
    }

    async fn read<R>(&self, leftover: Leftover) -> io::Result<Vec<(R, Ticket)>>
    where
        R: serde::de::DeserializeOwned + Send + 'static,
    {
        let journal = Arc::clone(&self.journal);
        tokio::task::spawn_blocking(move || leftover.read(&journal))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    async fn forget_proofs(&self, node: &str, before: i64) -> StoreResult<()> {
        if self.committer.shipping().is_some() {
            // The introduction of the process says so.
            return Ok(());
        }
        self.committer.write(|writer| async move { writer.forget_proofs(node, before).await }).await
    }
}

fn unreadable(error: &io::Error) -> StoreError {
    StoreError::Internal(format!("the journal cannot be read: {error}"))
}
