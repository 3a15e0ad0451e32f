//! Who leads: a lease that at most one node holds, with an epoch that only grows.

mod elected;
mod local;
mod lock;

use async_trait::async_trait;
use tokio::sync::watch;

pub use self::{
    elected::ElectedLease,
    local::LocalLease,
    lock::{Holder, Lock, LockState},
};
use crate::Epoch;

/// The leadership lease as one node sees it.
///
/// Holding it is a hint, never a proof: what makes a stale leader harmless is the database, which refuses writes
/// under an epoch lower than the highest it has seen.
#[async_trait]
pub trait Lease: Send + Sync + 'static {
    /// Answers the epoch of this node's term, always greater than `above`; `None` while it does not lead.
    ///
    /// A node that leads under an epoch that is not greater gets a greater one, if the lease is still its own. A node
    /// alone stands for election by this; one of a cluster does so on its own, and this never waits for that.
    async fn lead(&self, above: Epoch) -> Option<Epoch>;

    /// The epoch under which this node leads, as far as it knows.
    fn current(&self) -> Option<Epoch>;

    /// Who leads, as it changes.
    fn watch(&self) -> watch::Receiver<Role>;

    /// Hands leadership over at once; does nothing on a node that does not lead. The node lets others stand before it
    /// stands again itself.
    async fn release(&self);

    /// Hands leadership over and never stands again.
    async fn close(&self);
}

/// What a node is to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It leads.
    Leader(Epoch),
    /// It does not.
    Follower {
        /// The name of the node that leads, when it is known.
        leader: Option<String>,
    },
}

impl Default for Role {
    fn default() -> Self {
        Self::Follower { leader: None }
    }
}

impl Role {
    /// The epoch of a leader.
    pub const fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Leader(epoch) => Some(*epoch),
            Self::Follower { .. } => None,
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Leader(epoch) => write!(f, "leader in term {}", epoch.0),
            Self::Follower { leader: Some(leader) } => write!(f, "follower of {leader}"),
            Self::Follower { leader: None } => f.write_str("follower of nobody yet"),
        }
    }
}
