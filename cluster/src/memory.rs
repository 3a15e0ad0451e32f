//! A cluster within one process: what Redis is to nodes of their own.

mod hub;
mod node;

use std::sync::Arc;

use tokio::runtime::Handle;

use self::hub::Hub;
pub use self::node::MemoryNode;
use crate::{
    Cluster, ClusterResult, NodeIdentity,
    lease::{ElectedLease, Holder, Lease, LocalLease},
    members::{Beating, Lonely},
};

/// What several nodes of one process share.
#[derive(Clone, Default)]
pub struct InMemoryCluster {
    hub: Arc<Hub>,
}

impl InMemoryCluster {
    /// A node joins, with tasks on the current runtime.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NameTaken`](crate::ClusterError::NameTaken).
    pub async fn join(&self, node: NodeIdentity) -> ClusterResult<(Cluster, MemoryNode)> {
        let identity = Arc::new(node);
        let node = MemoryNode::new(Arc::clone(&self.hub), Arc::clone(&identity));
        let runtime = Handle::current();
        let holder = Holder { name: identity.name.clone(), instance: identity.instance };
        let everything = Arc::new(node.clone());
        // First the name, so that who is refused has not stood for election.
        Beating::enrol(&*everything, &identity).await?;
        let lease = Arc::new(ElectedLease::start(everything.clone(), holder, !identity.is_slave, &runtime));
        let members = Arc::new(Beating::start(everything.clone(), Arc::clone(&identity), lease.watch(), &runtime));
        let cluster = Cluster {
            node: identity,
            is_shared: true,
            reachable: everything.reachable(),
            lease,
            bus: everything.clone(),
            uplink: everything.clone(),
            versions: everything.clone(),
            members,
            counters: everything,
        };
        Ok((cluster, node))
    }

    pub(crate) fn alone(&self, node: NodeIdentity) -> Cluster {
        let identity = Arc::new(node);
        let everything = Arc::new(MemoryNode::new(Arc::clone(&self.hub), Arc::clone(&identity)));
        let lease = Arc::new(LocalLease::default());
        let members = Arc::new(Lonely::new(Arc::clone(&identity), lease.watch()));
        Cluster {
            node: identity,
            is_shared: false,
            reachable: everything.reachable(),
            lease,
            bus: everything.clone(),
            uplink: everything.clone(),
            versions: everything.clone(),
            members,
            counters: everything,
        }
    }
}
