//! How many validations of a group run at the same time, whoever wants them.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The gate of one group; whoever waits longest enters first.
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    /// Places that exist. Lowering the limit takes them away as they become free.
    made: Mutex<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(0)), made: Mutex::new(0) }
    }
}

impl Gate {
    /// Waits for a place; `limit` is asked before and after the wait, so a lower one rules at once.
    pub(crate) async fn enter(&self, limit: impl Fn() -> usize) -> OwnedSemaphorePermit {
        loop {
            self.adjust(limit());
            let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
            let mut made = self.made.lock();
            if *made <= limit().max(1) {
                return place;
            }
            // The place is one too many.
            *made -= 1;
            place.forget();
        }
    }

    fn adjust(&self, limit: usize) {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        let mut made = self.made.lock();
        if limit > *made {
            self.places.add_permits(limit - *made);
            *made = limit;
        } else {
            *made -= self.places.forget_permits(*made - limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use tokio::task::yield_now;

    use super::*;

    /// So many enter, stay until told, and leave.
    async fn crowd(gate: &Arc<Gate>, limit: &Arc<AtomicUsize>, inside: &Arc<AtomicUsize>, count: usize) {
        for _ in 0..count {
            let (gate, limit, inside) = (Arc::clone(gate), Arc::clone(limit), Arc::clone(inside));
            tokio::spawn(async move {
                let _place = gate.enter(|| limit.load(Ordering::Relaxed)).await;
                inside.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
                yield_now().await;
                inside.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    #[tokio::test]
    async fn a_changed_limit_rules_at_once() {
        let (gate, limit, inside) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(5)), Arc::default());
        for (now, expected) in [(5, 5), (2, 2), (7, 7), (0, 1)] {
            limit.store(now, Ordering::Relaxed);
            crowd(&gate, &limit, &inside, 50).await;
            let mut most = 0;
            for _ in 0..400 {
                yield_now().await;
                most = most.max(inside.load(Ordering::Relaxed));
            }
            assert_eq!((most, inside.load(Ordering::Relaxed)), (expected, 0), "limit {now}");
        }
    }

    #[tokio::test]
    async fn a_limit_lowered_while_others_are_inside_takes_their_places_as_they_leave() {
        let gate = Gate::default();
        let first = gate.enter(|| 2).await;
        let second = gate.enter(|| 2).await;
        let mut third = Box::pin(gate.enter(|| 1));
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        assert!((&mut third).now_or_never().is_none(), "one is still inside");
        drop(second);
        drop(third.await);
    }
}
