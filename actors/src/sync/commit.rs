//! Commits log rows, key changes and owners of resources in batches; keeps a batch until the database has it.

mod shipping;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use gpt_load_cluster::{Epoch, lease::Lease};
use gpt_load_schema::{
    ids::KeyId,
    log::RequestLog,
    resource::Resource,
    store::{KeyDelta, OutcomeProofs, Store, StoreError, StoreResult, Writer},
    time::Timestamp,
    watermark::{Mark, Turn},
};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub(crate) use self::shipping::Shipping;
use self::shipping::superseded;
use super::logs::LogQueue;
use crate::{
    deltas::{Changes, DeltaQueue},
    events::NewRows,
    journal::{Journal, Ticket},
    resources::Resources,
};

/// Rows and changes of one transaction, each at most.
const BATCH: usize = 5_000;
/// Memory of the log rows of one transaction: with logged bodies, a few hundred fill it.
const BATCH_BYTES: usize = 16 << 20;
/// A database that refuses a batch this often, though it answers, is given it in halves, to find what it refuses.
const REFUSALS: u32 = 3;

/// What one transaction stores.
#[derive(Default)]
struct Batch {
    deltas: Vec<KeyDelta>,
    /// The outcomes that made `deltas`.
    outcomes: Vec<(KeyId, Ticket)>,
    logs: Vec<RequestLog>,
    /// One for each of `logs`.
    rows: Vec<Ticket>,
    resources: Vec<Resource>,
}

impl Batch {
    fn len(&self) -> usize {
        self.deltas.len() + self.logs.len() + self.resources.len()
    }

    fn halves(&self) -> [Self; 2] {
        let mut left = self.len() / 2;
        let mut share = |len: usize| {
            let share = len.min(left);
            left -= share;
            share
        };
        let deltas = self.deltas.split_at(share(self.deltas.len()));
        let logs = self.logs.split_at(share(self.logs.len()));
        let rows = self.rows.split_at(logs.0.len());
        let resources = self.resources.split_at(share(self.resources.len()));
        let outcomes_of = |deltas: &[KeyDelta]| {
            let keys: HashSet<KeyId> = deltas.iter().map(|delta| delta.id).collect();
            self.outcomes.iter().filter(|(key, _)| keys.contains(key)).cloned().collect()
        };
        [(deltas.0, logs.0, rows.0, resources.0), (deltas.1, logs.1, rows.1, resources.1)].map(
            |(deltas, logs, rows, resources)| Self {
                outcomes: outcomes_of(deltas),
                deltas: deltas.to_vec(),
                logs: logs.to_vec(),
                rows: rows.to_vec(),
                resources: resources.to_vec(),
            },
        )
    }

    /// Up to which outcome of each key the batch says what became of it.
    fn proofs(&self, node: Option<&str>) -> OutcomeProofs {
        let mut positions = BTreeMap::new();
        for (key, ticket) in &self.outcomes {
            if let Some(position) = ticket.position() {
                let last = positions.entry(*key).or_insert(position);
                *last = position.max(*last);
            }
        }
        OutcomeProofs { node: node.unwrap_or_default().to_owned(), positions: positions.into_iter().collect() }
    }
}

/// Batches in the order in which they must be stored, and how often the first was refused.
#[derive(Default)]
struct Unfinished {
    batches: VecDeque<Arc<Batch>>,
    refusals: u32,
    /// Since when the first waits.
    since: Option<Instant>,
}

/// Writes to the database under the node's epoch. Survives a panic of the SyncActor with all it holds.
pub(crate) struct Committer {
    store: Store,
    lease: Arc<dyn Lease>,
    logs: Arc<LogQueue>,
    deltas: Arc<DeltaQueue>,
    resources: Arc<Resources>,
    journal: Arc<Journal>,
    unfinished: Mutex<Unfinished>,
    /// Log rows that nobody was told of yet.
    new_rows: Mutex<Option<NewRows>>,
    /// Held by the commit, or the shipment, under way.
    turn: tokio::sync::Mutex<()>,
    /// `None` on a node alone, which leads whenever it likes.
    shipping: Option<Shipping>,
    progress: Notify,
}

impl Committer {
    pub(crate) fn new(
        store: Store,
        lease: Arc<dyn Lease>,
        logs: Arc<LogQueue>,
        deltas: Arc<DeltaQueue>,
        resources: Arc<Resources>,
        journal: Arc<Journal>,
        shipping: Option<Shipping>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            lease,
            logs,
            deltas,
            resources,
            journal,
            unfinished: Mutex::default(),
            new_rows: Mutex::default(),
            turn: Default::default(),
            shipping,
            progress: Notify::new(),
        })
    }

    /// Runs `write` under the current epoch, once more under a new one when the database has seen a greater.
    pub(crate) async fn write<T, F, W>(&self, write: W) -> StoreResult<T>
    where
        W: Fn(Writer) -> F,
        F: Future<Output = StoreResult<T>>,
    {
        match write(self.writer(Epoch(0)).await?).await {
            Err(StoreError::StaleEpoch { claimed, current }) => {
                tracing::warn!(claimed, current, "the database has seen a later leader; standing for election again");
                write(self.writer(Epoch(current)).await?).await
            }
            other => other,
        }
    }

    async fn writer(&self, above: Epoch) -> StoreResult<Writer> {
        match self.lease.lead(above).await {
            Some(epoch) => Ok(self.store.writer(epoch.0)),
            None => {
                if above > Epoch(0) {
                    // Whoever leads by now, it is not this node.
                    self.lease.release().await;
                }
                Err(StoreError::Unavailable("another node leads".to_owned()))
            }
        }
    }

    /// Whether this node leads; stands for election when nobody is known to.
    pub(crate) async fn leads(&self) -> bool {
        self.lease.current().is_some() || self.lease.lead(Epoch(0)).await.is_some()
    }

    /// Rows and changes that are not in the database yet.
    pub(crate) fn waiting(&self) -> usize {
        let unfinished: usize = self.unfinished.lock().batches.iter().map(|batch| batch.len()).sum();
        unfinished + self.logs.len() + self.deltas.len() + self.resources.len()
    }

    /// Keeps the node's own commits waiting for as long as the answer lives.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// For how long what goes to the database next has waited for it.
    pub(crate) fn lag(&self) -> Duration {
        self.unfinished.lock().since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Waits until nothing waits; for as long as that takes.
    pub(crate) async fn settled(&self) {
        loop {
            let progress = self.progress.notified();
            let mut progress = std::pin::pin!(progress);
            progress.as_mut().enable();
            if self.waiting() == 0 {
                return;
            }
            self.hurry();
            progress.await;
        }
    }

    /// Rows of another node are stored.
    pub(crate) fn note_rows(&self, logs: &[RequestLog]) {
        let mut rows = self.new_rows.lock();
        *rows = logs.iter().fold(*rows, |rows, row| Some(NewRows::and(rows, row.timestamp)));
    }

    /// The log rows committed since this was asked last.
    pub(crate) fn take_new_rows(&self) -> Option<NewRows> {
        self.new_rows.lock().take()
    }

    /// Commits everything that waits at the moment of the call.
    pub(crate) async fn commit_all(self: &Arc<Self>) -> StoreResult<()> {
        let mut left = self.waiting();
        while left > 0 {
            let done = self.commit_batch().await?;
            left = if done == 0 { 0 } else { left.saturating_sub(done) };
        }
        Ok(())
    }

    /// Commits one batch; answers the number of rows and changes that are off the queue.
    ///
    /// After an error everything still waits, in order, for the next call. A commit outlives the actor that asked for
    /// it, and the next one waits for its end: a batch that may have been stored is never stored again. On a node that
    /// follows nothing happens: what waits is shipped.
    pub(crate) async fn commit_batch(self: &Arc<Self>) -> StoreResult<usize> {
        if self.follows() {
            self.hurry();
            return Ok(0);
        }
        let committer = self.clone();
        let commit = actix_rt::spawn(async move {
            let _turn = committer.turn.lock().await;
            committer.commit_first().await
        });
        commit.await.unwrap_or_else(|error| Err(StoreError::Internal(format!("a commit ended: {error}"))))
    }

    async fn commit_first(&self) -> StoreResult<usize> {
        while let Some((mark, batch)) = self.next_load() {
            let stored = {
                let (batch, mark, now) = (&batch, mark.as_ref(), Timestamp::now());
                let proofs = &batch.proofs(self.journal.node());
                self.write(|writer| async move {
                    writer.commit_marked(&batch.deltas, &batch.logs, &batch.resources, proofs, mark, now).await
                })
                .await
            };
            match stored {
                Ok(Turn::Now | Turn::Past) => {
                    self.note_rows(&batch.logs);
                    self.stored(mark.as_ref(), &batch).await?;
                    if batch.len() > 0 {
                        return Ok(batch.len());
                    }
                }
                Ok(Turn::Gap) => self.renew(),
                Ok(Turn::Superseded) => return Err(superseded()),
                Err(error @ (StoreError::Unavailable(_) | StoreError::StaleEpoch { .. })) => return Err(error),
                Err(error) => self.refused(&mut self.unfinished.lock(), &batch, error)?,
            }
        }
        Ok(0)
    }

    /// What goes to the database next: an introduction, which is empty, or a batch.
    fn next_load(&self) -> Option<(Option<Mark>, Arc<Batch>)> {
        let Some(shipping) = &self.shipping else { return Some((None, self.next_batch()?)) };
        match shipping.mark() {
            mark if mark.sequence == 0 => Some((Some(mark), Arc::default())),
            mark if shipping.is_open() => Some((Some(mark), self.next_batch()?)),
            _ => None,
        }
    }

    /// The database has the batch, or the introduction.
    async fn stored(&self, mark: Option<&Mark>, batch: &Batch) -> StoreResult<()> {
        match (mark, &self.shipping) {
            (Some(mark), Some(shipping)) if mark.sequence == 0 => {
                let (node, forget) = (self.journal.node(), shipping.forget_before());
                if !self.follows()
                    && let (Some(node), Some(before)) = (node, forget)
                {
                    self.write(|writer| async move { writer.forget_proofs(node, before).await }).await?;
                }
                // A batch that was divided may have been stored as a whole before, by a leader whose word was late.
                if let Some(node) = node.filter(|_| self.len_unfinished() > 0) {
                    let proved = self.store.outcome_proofs(node).await?;
                    self.drop_proved(&proved);
                }
                shipping.stored(mark);
                shipping.introduced();
            }
            (mark, shipping) => {
                if let (Some(mark), Some(shipping)) = (mark, shipping) {
                    shipping.stored(mark);
                }
                self.logs.stored(batch.logs.len());
                self.finish(&mut self.unfinished.lock(), batch);
            }
        }
        Ok(())
    }

    fn len_unfinished(&self) -> usize {
        self.unfinished.lock().batches.len()
    }

    /// Finishes the batches whose outcomes are in the database.
    fn drop_proved(&self, proved: &HashMap<KeyId, i64>) {
        let mut unfinished = self.unfinished.lock();
        let is_proved = |batch: &Batch| {
            let positions = batch.proofs(None).positions;
            !positions.is_empty() && positions.iter().all(|(key, position)| proved.get(key) >= Some(position))
        };
        let stored: Vec<_> = unfinished.batches.iter().filter(|batch| is_proved(batch)).cloned().collect();
        unfinished.batches.retain(|batch| !is_proved(batch));
        for batch in stored {
            self.logs.stored(batch.logs.len());
            self.release(&batch);
        }
    }

    fn renew(&self) {
        if let Some(shipping) = &self.shipping {
            shipping.renew();
        }
    }

    /// The database answers but refuses the batch: a defect, or a row it cannot hold. After a few tries the batch is
    /// divided, so that only what is refused by itself is lost.
    fn refused(&self, unfinished: &mut Unfinished, batch: &Batch, error: StoreError) -> StoreResult<()> {
        unfinished.refusals += 1;
        if unfinished.refusals < REFUSALS {
            return Err(error);
        }
        // Nobody may take what is left of the batch on its way for what comes in its place.
        self.renew();
        if batch.len() > 1 {
            unfinished.batches.pop_front();
            for half in batch.halves().into_iter().rev().filter(|half| half.len() > 0) {
                unfinished.batches.push_front(Arc::new(half));
            }
        } else {
            tracing::error!(%error, "the database refuses a row for good; it is lost");
            self.logs.lost(u64::try_from(batch.logs.len()).unwrap_or(0));
            self.finish(unfinished, batch);
        }
        Ok(())
    }

    fn next_batch(&self) -> Option<Arc<Batch>> {
        let mut unfinished = self.unfinished.lock();
        if unfinished.batches.is_empty() {
            let Changes { deltas, tickets } = self.deltas.take(BATCH);
            let (logs, rows) = self.logs.take(BATCH, BATCH_BYTES);
            let batch = Batch { deltas, outcomes: tickets, logs, rows, resources: self.resources.take(BATCH) };
            if batch.len() == 0 {
                return None;
            }
            unfinished.batches.push_back(Arc::new(batch));
            unfinished.since = Some(Instant::now());
        }
        unfinished.batches.front().cloned()
    }

    fn finish(&self, unfinished: &mut Unfinished, batch: &Batch) {
        unfinished.batches.pop_front();
        unfinished.since = unfinished.batches.front().map(|_| Instant::now());
        if unfinished.batches.is_empty() {
            unfinished.refusals = 0;
        }
        self.release(batch);
    }

    /// Nothing of the batch waits any more.
    fn release(&self, batch: &Batch) {
        self.deltas.done(&batch.deltas);
        let outcomes = batch.outcomes.iter().map(|(_, ticket)| ticket);
        outcomes.chain(&batch.rows).cloned().for_each(Ticket::settle);
        self.resources.done(&batch.resources);
        self.progress.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use gpt_load_schema::{
        ids::{GroupId, KeyId},
        key::{KeyHealth, KeyState},
        resource::ResourceKind,
    };

    use super::*;
    use crate::tests::log_row;

    #[test]
    fn halves_are_smaller_than_the_whole_and_make_it_up() {
        let delta =
            KeyDelta { id: KeyId(1), health: KeyHealth::new(KeyState::Active), failures: 0, reset_failures: false };
        let resource = Resource {
            group_id: GroupId(1),
            id: "r".into(),
            key_id: KeyId(1),
            kind: ResourceKind::File,
            created_at: Timestamp(0),
            expires_at: Timestamp(0),
        };
        for (deltas, logs, resources) in [(1, 1, 0), (1, 0, 1), (0, 1, 1), (2, 0, 0), (0, 0, 3), (3, 1, 2), (1, 5, 1)] {
            let batch = Batch {
                deltas: vec![delta.clone(); deltas],
                logs: (0..logs).map(log_row).collect(),
                rows: (0..logs).map(|_| Ticket::default()).collect(),
                resources: vec![resource.clone(); resources],
                ..Batch::default()
            };
            let halves = batch.halves();
            assert!(halves.iter().all(|half| half.len() < batch.len()), "{deltas} {logs} {resources}");
            assert_eq!(halves[0].len() + halves[1].len(), batch.len());
            assert_eq!(halves[0].resources.len() + halves[1].resources.len(), resources);
        }
    }
}
