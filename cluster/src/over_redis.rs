//! The cluster over Redis 6.2 or newer: standalone or behind sentinels, with or without TLS.
//!
//! Commands go through one pool; one more connection listens. Both live on threads of their own, so that a node which is
//! busy still renews its lease, and come back by themselves. Every key begins with `gptload:{cluster}:`, with braces, so
//! that all keys of a cluster are in one slot.

mod bus;
mod connector;
mod counters;
mod dsn;
mod frame;
mod keys;
mod listener;
mod lock;
mod registry;
mod server;
mod uplink;
mod versions;

use std::{sync::Arc, time::Duration};

pub use self::dsn::{RedisDsn, RedisDsnError};
use self::{connector::Connector, keys::Keys, server::Server};
use crate::{
    Cluster, ClusterResult, NodeIdentity,
    lease::{ElectedLease, Holder, Lease},
    members::Beating,
};

/// How to reach Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where it is.
    pub dsn: RedisDsn,
    /// The name of the cluster; clusters of different names share a Redis without noticing each other.
    pub cluster: String,
    /// Root certificates to trust in addition to the system's, PEM.
    pub extra_ca: Option<Vec<u8>>,
    /// How long a request waits for the counters of limits; see [`PATIENCE`].
    pub patience: Duration,
}

/// How long a request of the data path waits for the counters of limits before it goes by the share of its node.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// A node joins the cluster.
///
/// # Errors
///
/// Redis cannot be reached or refuses, or another living node has the name; a name whose owner died a moment ago is waited
/// for.
pub async fn join(options: &RedisOptions, node: NodeIdentity) -> ClusterResult<Cluster> {
    let connector = Connector::new(&options.dsn, options.extra_ca.as_deref())?;
    let identity = Arc::new(node);
    let keys = Keys::new(&options.cluster, options.dsn.database());
    let server = Arc::new(Server::start(connector, keys, Arc::clone(&identity), options.patience)?);
    server.ping().await?;
    Beating::enrol(&*server, &identity).await?;
    let holder = Holder { name: identity.name.clone(), instance: identity.instance };
    let runtime = server.runtime();
    let lease = Arc::new(ElectedLease::start(server.clone(), holder, !identity.is_slave, runtime));
    let members = Arc::new(Beating::start(server.clone(), Arc::clone(&identity), lease.watch(), runtime));
    Ok(Cluster {
        node: identity,
        is_shared: true,
        reachable: server.reachable(),
        lease,
        bus: server.clone(),
        uplink: server.clone(),
        versions: server.clone(),
        members,
        counters: server,
    })
}
