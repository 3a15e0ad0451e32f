//! What a node knows of its place in the cluster.

use std::time::Duration;

use gpt_load_cluster::lease::Role;

/// A node's place in the cluster, as it sees it now.
#[derive(Clone, Debug)]
pub struct ClusterView {
    /// Whether other nodes can be there.
    pub is_shared: bool,
    /// The node's name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Name of the node that leads; `None` while it is not known.
    pub leader: Option<String>,
    /// For how long what this node stores next has waited; zero when nothing waits.
    pub lag: Duration,
    /// Log rows, changes of keys and owners of resources that are not in the database.
    pub waiting: usize,
    /// What becomes of what waits.
    pub uplink: UplinkView,
    /// Groups, settings and pools of keys that this node does not have in their latest version, as of the last comparison.
    pub versions_behind: u64,
}

/// What becomes of what a node has to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UplinkView {
    /// It leads: it stores it itself.
    Leads,
    /// It waits for a first word from the leader.
    Introducing,
    /// It is shipped to the leader.
    Ships,
}
