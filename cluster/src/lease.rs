//! Who leads: a lease that at most one node holds, with an epoch that only grows.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;

use crate::Epoch;

/// The leadership lease as one node sees it.
///
/// Holding it is a hint, never a proof: what makes a stale leader harmless is the database, which refuses writes
/// under an epoch lower than the highest it has seen.
#[async_trait]
pub trait Lease: Send + Sync + 'static {
    /// Stands for election and answers the epoch of the term won, always greater than `above`; `None` while another
    /// node leads. A node that leads already under a greater epoch keeps it.
    async fn lead(&self, above: Epoch) -> Option<Epoch>;

    /// The epoch under which this node leads, as far as it knows.
    fn current(&self) -> Option<Epoch>;

    /// Hands leadership over; does nothing on a node that does not lead.
    async fn release(&self);
}

/// Leadership without a cluster: the only node leads as soon as it asks.
#[derive(Debug, Default)]
pub struct LocalLease {
    /// Epoch of the current term; 0 = not leading.
    epoch: AtomicI64,
}

#[async_trait]
impl Lease for LocalLease {
    async fn lead(&self, above: Epoch) -> Option<Epoch> {
        let next = above.0.max(0).saturating_add(1);
        Some(Epoch(self.epoch.fetch_max(next, Ordering::AcqRel).max(next)))
    }

    fn current(&self) -> Option<Epoch> {
        Some(self.epoch.load(Ordering::Acquire)).filter(|epoch| *epoch > 0).map(Epoch)
    }

    async fn release(&self) {
        self.epoch.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_only_node_leads_at_once_and_keeps_its_term() {
        let lease = LocalLease::default();
        assert_eq!(lease.current(), None);
        assert_eq!(lease.lead(Epoch(0)).await, Some(Epoch(1)));
        assert_eq!(lease.lead(Epoch(0)).await, Some(Epoch(1)));
        assert_eq!(lease.current(), Some(Epoch(1)));
    }

    #[tokio::test]
    async fn a_database_that_has_seen_more_is_outbid() {
        let lease = LocalLease::default();
        assert_eq!(lease.lead(Epoch(41)).await, Some(Epoch(42)));
        assert_eq!(lease.lead(Epoch(7)).await, Some(Epoch(42)));
        lease.release().await;
        assert_eq!(lease.current(), None);
    }
}
