//! What nodes of a cluster share: who leads, messages, work sent up to the leader, versions, who is there, counters.
//!
//! Each part is a trait with an implementation in memory, for one node alone and for tests with several nodes in one
//! process, and one over Redis. Payloads are bytes: nothing here knows of keys or groups.

pub mod bus;
pub mod counters;
pub mod election;
mod error;
pub mod lease;
pub mod members;
pub mod memory;
mod node;
pub mod over_redis;
pub mod uplink;
pub mod versions;
pub mod window;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use self::{
    bus::Bus, counters::Counters, lease::Lease, members::Members, memory::InMemoryCluster, uplink::Uplink,
    versions::Versions,
};
pub use self::{
    error::{ClusterError, ClusterResult},
    node::NodeIdentity,
};

/// A term of leadership; only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

/// One node's way to all that the cluster shares.
#[derive(Clone)]
pub struct Cluster {
    /// Who this node is.
    pub node: Arc<NodeIdentity>,
    /// Whether other nodes can be there: `false` for a node alone, which leads as soon as it asks.
    pub is_shared: bool,
    /// Whether what is shared answers at the moment.
    pub reachable: watch::Receiver<bool>,
    /// Who leads.
    pub lease: Arc<dyn Lease>,
    /// Messages to all other nodes.
    pub bus: Arc<dyn Bus>,
    /// Work for the leader.
    pub uplink: Arc<dyn Uplink>,
    /// What state things are in.
    pub versions: Arc<dyn Versions>,
    /// Which nodes there are.
    pub members: Arc<dyn Members>,
    /// Counters of limits.
    pub counters: Arc<dyn Counters>,
}

impl Cluster {
    /// One node alone, in memory.
    pub fn local(node: NodeIdentity) -> Self {
        InMemoryCluster::default().alone(node)
    }

    /// Hands leadership over and leaves: other nodes stop listing this one. To be called once, at the end.
    pub async fn leave(&self) {
        self.lease.close().await;
        self.members.leave().await;
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("node", &self.node).field("is_shared", &self.is_shared).finish_non_exhaustive()
    }
}
