use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{Holder, Lease, Lock, LockState, Role};
use crate::{
    ClusterResult, Epoch,
    election::{Election, Moment, Step, TTL},
};

/// How long the lock may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A lease among several nodes: stands for election and renews on its own, by a lock that all share.
///
/// Dropping it ends that without a word; the lock frees itself some seconds later.
pub struct ElectedLease {
    inner: Arc<Inner>,
    task: AbortHandle,
}

struct Inner {
    lock: Arc<dyn Lock>,
    holder: Holder,
    origin: Instant,
    election: Mutex<Election>,
    role: watch::Sender<Role>,
    /// Held while the lock is asked: questions never overtake each other.
    turn: tokio::sync::Mutex<()>,
}

impl ElectedLease {
    /// Takes part in elections, with tasks on `runtime`; a node that is not `eligible` only watches.
    pub fn start(lock: Arc<dyn Lock>, holder: Holder, eligible: bool, runtime: &Handle) -> Self {
        let inner = Arc::new(Inner {
            lock,
            holder,
            origin: Instant::now(),
            election: Mutex::new(Election::new(eligible, Moment::ZERO)),
            role: watch::Sender::default(),
            turn: Default::default(),
        });
        let task = runtime.spawn(Arc::clone(&inner).run()).abort_handle();
        Self { inner, task }
    }
}

impl Drop for ElectedLease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Lease for ElectedLease {
    async fn lead(&self, above: Epoch) -> Option<Epoch> {
        let inner = &self.inner;
        if inner.current()? > above {
            return inner.current();
        }
        let _turn = inner.turn.lock().await;
        if inner.current()? > above {
            return inner.current();
        }
        match timeout(PATIENCE, inner.lock.raise(&inner.holder, above)).await {
            Ok(Ok(Some(epoch))) => inner.change(|election, _| election.raised(epoch)),
            Ok(Ok(None)) => inner.change(Election::step_down),
            Ok(Err(_)) | Err(_) => return None,
        }
        inner.current().filter(|epoch| *epoch > above)
    }

    fn current(&self) -> Option<Epoch> {
        self.inner.current()
    }

    fn watch(&self) -> watch::Receiver<Role> {
        self.inner.role.subscribe()
    }

    async fn release(&self) {
        self.inner.give_up(Election::rest).await;
    }

    async fn close(&self) {
        self.inner.give_up(Election::retire).await;
        self.task.abort();
    }
}

impl Inner {
    fn now(&self) -> Moment {
        self.origin.elapsed()
    }

    fn current(&self) -> Option<Epoch> {
        self.election.lock().role(self.now()).epoch()
    }

    /// Changes the election and tells who watches.
    fn change(&self, change: impl FnOnce(&mut Election, Moment)) {
        let mut election = self.election.lock();
        let now = self.now();
        change(&mut election, now);
        let role = election.role(now);
        self.role.send_if_modified(|known| {
            let is_new = *known != role;
            if is_new {
                tracing::info!(node = self.holder.name, from = %known, to = %role, "the role in the cluster changed");
                *known = role;
            }
            is_new
        });
    }

    async fn run(self: Arc<Self>) {
        loop {
            let (due, ends) = {
                let election = self.election.lock();
                (election.next().0, election.ends())
            };
            let wake = self.origin + ends.map_or(due, |ends| ends.min(due));
            tokio::select! {
                () = sleep_until(wake) => self.change(Election::expire),
                () = self.lock.changed() => self.change(|election, now| election.freed(now, rand::random())),
            }
            let _turn = self.turn.lock().await;
            let (due, step) = self.election.lock().next();
            let asked = self.now();
            if asked >= due {
                let answer = self.watching_the_clock(timeout(PATIENCE, self.ask(step))).await;
                let answer = answer.unwrap_or_else(|_| Err(unanswered())).inspect_err(|error| {
                    tracing::debug!(%error, ?step, "the lock of the leader did not answer");
                });
                self.change(|election, now| election.answered(step, answer.ok(), asked, now, rand::random()));
            }
        }
    }

    async fn ask(&self, step: Step) -> ClusterResult<LockState> {
        match step {
            Step::Acquire => {
                let seen = self.election.lock().seen();
                self.lock.acquire(&self.holder, seen, TTL).await
            }
            Step::Renew => self.lock.renew(&self.holder, TTL).await,
            Step::Look => self.lock.look().await,
        }
    }

    /// Awaits `answer`; what ends meanwhile is told at once.
    async fn watching_the_clock<T>(&self, answer: impl Future<Output = T>) -> T {
        let mut answer = std::pin::pin!(answer);
        loop {
            let ends = self.election.lock().ends();
            let end = async {
                match ends {
                    Some(ends) => sleep_until(self.origin + ends).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = &mut answer => return answer,
                () = end => self.change(Election::expire),
            }
        }
    }

    /// Stops leading first, then frees the lock: nobody else leads before.
    async fn give_up(&self, how: fn(&mut Election, Moment)) {
        let _turn = self.turn.lock().await;
        self.change(how);
        let released = timeout(PATIENCE, self.lock.release(&self.holder)).await;
        if let Err(error) = released.unwrap_or_else(|_| Err(unanswered())) {
            tracing::warn!(%error, "leadership could not be handed over; another node leads in some seconds");
        }
    }
}

fn unanswered() -> crate::ClusterError {
    crate::ClusterError::Unavailable(format!("no answer within {PATIENCE:?}"))
}
