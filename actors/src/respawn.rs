//! Actors that outlive their panics.
//!
//! actix drops a panicking actor and closes its mailbox for good. Here a drop guard inside the actor notices, and a
//! factory makes its successor from what the actor shares with the rest of the node; whoever talks to the actor holds
//! a [`Link`], which leads to the successor.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix::{Actor, Addr, Context, Handler, Message, dev::ToEnvelope};
use actix_rt::ArbiterHandle;
use parking_lot::{Mutex, RwLock};

/// An actor that lived for less than this has died young; its successors wait longer and longer.
const YOUNG: Duration = Duration::from_secs(1);
/// Wait before the second respawn in a row; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long a question waits for the successor of a dead actor.
const PATIENCE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// The way to an actor, whichever incarnation lives.
pub(crate) struct Link<A: Actor> {
    addr: RwLock<Option<Addr<A>>>,
    closed: AtomicBool,
}

impl<A: Actor> Default for Link<A> {
    fn default() -> Self {
        Self { addr: RwLock::new(None), closed: AtomicBool::new(false) }
    }
}

/// The actor was stopped, or dies again and again.
#[derive(Debug, thiserror::Error)]
#[error("the actor is gone")]
pub(crate) struct Gone;

impl<A: Actor> Link<A> {
    /// Whether the actor was let go for good.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Sends without an answer, past the mailbox's capacity: for wake-ups, of which few are on their way at any time.
    /// Lost when the actor is dead, which is fine for what its successor does at its start anyway.
    pub(crate) fn nudge<M>(&self, message: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        if let Some(addr) = &*self.addr.read() {
            addr.do_send(message);
        }
    }

    /// Asks, and asks the successor when the actor dies over the question.
    pub(crate) async fn ask<M>(&self, message: M) -> Result<M::Result, Gone>
    where
        M: Message + Clone + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let asked = Instant::now();
        loop {
            let addr = self.addr.read().clone();
            if let Some(addr) = addr
                && let Ok(answer) = addr.send(message.clone()).await
            {
                return Ok(answer);
            }
            if self.closed.load(Ordering::Acquire) || asked.elapsed() > PATIENCE {
                return Err(Gone);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

/// Starts an actor, and its successor after a panic.
pub(crate) struct Respawner<A: Actor<Context = Context<A>>> {
    name: String,
    arbiter: ArbiterHandle,
    link: Arc<Link<A>>,
    respawns: Arc<AtomicU64>,
    factory: Box<dyn Fn(Lifeline<A>) -> A + Send + Sync>,
    after_panic: Box<dyn Fn() + Send + Sync>,
    history: Mutex<History>,
}

/// How the incarnations fared.
struct History {
    born: Instant,
    died_young: u32,
}

impl<A: Actor<Context = Context<A>>> Respawner<A> {
    /// Starts the first incarnation on `arbiter`. `after_panic` is called once per death, before the successor starts.
    pub(crate) fn start(
        name: String,
        arbiter: ArbiterHandle,
        link: Arc<Link<A>>,
        respawns: Arc<AtomicU64>,
        factory: impl Fn(Lifeline<A>) -> A + Send + Sync + 'static,
        after_panic: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        let respawner = Arc::new(Self {
            name,
            arbiter,
            link,
            respawns,
            factory: Box::new(factory),
            after_panic: Box::new(after_panic),
            history: Mutex::new(History { born: Instant::now(), died_young: 0 }),
        });
        respawner.spawn();
        respawner
    }

    /// Lets the actor go for good when it stops; questions to it are in vain from then on.
    pub(crate) fn retire(&self) {
        self.link.closed.store(true, Ordering::Release);
    }

    fn spawn(self: &Arc<Self>) {
        self.history.lock().born = Instant::now();
        let respawner = self.clone();
        let addr = A::start_in_arbiter(&self.arbiter, move |_| {
            let lifeline = Lifeline(respawner.clone());
            (respawner.factory)(lifeline)
        });
        *self.link.addr.write() = Some(addr);
    }

    fn died(self: &Arc<Self>) {
        if self.link.closed.load(Ordering::Acquire) {
            return;
        }
        let wait = self.history.lock().next_wait();
        tracing::error!(actor = %self.name, wait_ms = wait.as_millis(), "the actor panicked; its successor takes over");
        (self.after_panic)();
        self.respawns.fetch_add(1, Ordering::Release);
        if wait.is_zero() {
            self.spawn();
        } else {
            let respawner = self.clone();
            self.arbiter.spawn(async move {
                tokio::time::sleep(wait).await;
                respawner.spawn();
            });
        }
    }
}

impl History {
    fn next_wait(&mut self) -> Duration {
        if self.born.elapsed() > YOUNG {
            self.died_young = 0;
            return Duration::ZERO;
        }
        self.died_young = self.died_young.saturating_add(1);
        match self.died_young {
            1 => Duration::ZERO,
            times => FIRST_WAIT.saturating_mul(2_u32.saturating_pow(times - 2)).min(LONGEST_WAIT),
        }
    }
}

/// Held by the actor; its drop is the actor's death.
pub(crate) struct Lifeline<A: Actor<Context = Context<A>>>(Arc<Respawner<A>>);

impl<A: Actor<Context = Context<A>>> Drop for Lifeline<A> {
    fn drop(&mut self) {
        self.0.died();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_successor_starts_at_once_and_later_ones_wait_longer() {
        let mut history = History { born: Instant::now(), died_young: 0 };
        let waits: Vec<u128> = (0..10).map(|_| history.next_wait().as_millis()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        history.born -= YOUNG + YOUNG;
        assert_eq!(history.next_wait(), Duration::ZERO);
        history.born = Instant::now();
        assert_eq!(history.next_wait(), Duration::ZERO);
    }
}
