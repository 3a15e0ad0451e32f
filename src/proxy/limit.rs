//! The node's limit on requests in flight.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts requests in flight over all workers and refuses those over the limit.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    in_flight: AtomicUsize,
    limit: AtomicUsize,
}

/// One admitted request; gives its place back when dropped.
#[derive(Debug)]
pub struct Permit(Arc<Shared>);

impl ConcurrencyLimit {
    /// Admits at most `limit` requests at once.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared { in_flight: AtomicUsize::new(0), limit: AtomicUsize::new(limit) }))
    }

    /// Changes the limit; requests in flight stay.
    pub fn set(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// Requests that may be in flight.
    pub fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// A place for one request; `None` when all are taken.
    pub fn admit(&self) -> Option<Permit> {
        let before = self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(Arc::clone(&self.0));
        (before < self.0.limit.load(Ordering::Relaxed)).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_permit_frees_its_place() {
        let limit = ConcurrencyLimit::new(2);
        let (first, second) = (limit.admit(), limit.admit());
        assert!(first.is_some() && second.is_some());
        assert!(limit.admit().is_none());
        assert_eq!(limit.in_flight(), 2);
        drop(first);
        assert!(limit.admit().is_some());
        limit.set(0);
        assert!(limit.admit().is_none());
    }
}
