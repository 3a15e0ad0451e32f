use async_trait::async_trait;
use tokio::sync::watch;

use super::{Lease, Role};
use crate::Epoch;

/// Leadership without a cluster: the only node leads as soon as it asks.
#[derive(Debug, Default)]
pub struct LocalLease {
    role: watch::Sender<Role>,
}

#[async_trait]
impl Lease for LocalLease {
    async fn lead(&self, above: Epoch) -> Option<Epoch> {
        self.role.send_if_modified(|role| {
            let is_enough = role.epoch().is_some_and(|epoch| epoch > above);
            if !is_enough {
                *role = Role::Leader(Epoch(above.0.max(0).saturating_add(1)));
            }
            !is_enough
        });
        self.current()
    }

    fn current(&self) -> Option<Epoch> {
        self.role.borrow().epoch()
    }

    fn watch(&self) -> watch::Receiver<Role> {
        self.role.subscribe()
    }

    async fn release(&self) {
        self.role.send_if_modified(|role| std::mem::take(role).epoch().is_some());
    }

    async fn close(&self) {
        self.release().await;
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
        let mut role = lease.watch();
        assert_eq!(lease.lead(Epoch(41)).await, Some(Epoch(42)));
        assert!(role.has_changed().unwrap());
        assert_eq!(*role.borrow_and_update(), Role::Leader(Epoch(42)));
        assert_eq!(lease.lead(Epoch(7)).await, Some(Epoch(42)));
        assert!(!role.has_changed().unwrap());
        lease.release().await;
        assert_eq!(*role.borrow_and_update(), Role::Follower { leader: None });
        assert_eq!(lease.current(), None);
    }
}
