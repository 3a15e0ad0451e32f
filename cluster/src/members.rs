//! Which nodes there are: each says every second that it lives.

mod beating;
mod lonely;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use gpt_load_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    beating::{Beating, Registry},
    lonely::Lonely,
};
use crate::{ClusterResult, NodeIdentity, lease::Role};

/// How often a node says that it lives.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// After so long without a word a node is not listed any more.
pub const MEMBER_TTL: Duration = Duration::from_secs(5);

/// The nodes of the cluster.
#[async_trait]
pub trait Members: Send + Sync + 'static {
    /// What this node says of itself from the next heartbeat on.
    fn report(&self, report: Report);

    /// The living nodes, this one included, by name.
    async fn list(&self) -> ClusterResult<Vec<Member>>;

    /// The nodes as they were listed last, a second ago while Redis is there; without asking. Never empty: this node is
    /// there.
    fn known(&self) -> Arc<Vec<Member>>;

    /// Takes this node off the list.
    async fn leave(&self);
}

/// A living node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who it is.
    #[serde(flatten)]
    pub node: NodeIdentity,
    /// What it does.
    pub role: MemberRole,
    /// When it said so.
    pub seen_at: Timestamp,
    /// How it is.
    #[serde(default)]
    pub report: Report,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Leads.
    Leader,
    /// Follows a leader.
    Follower,
    /// Knows no leader and stands for election.
    Candidate,
}

impl MemberRole {
    fn of(node: &NodeIdentity, role: &Role) -> Self {
        match role {
            Role::Leader(_) => Self::Leader,
            Role::Follower { leader: None } if !node.is_slave => Self::Candidate,
            Role::Follower { .. } => Self::Follower,
        }
    }
}

/// What a node says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Bytes in its journal.
    pub journal_bytes: u64,
    /// Records in its journal that the database does not have.
    pub journal_records: u64,
    /// Age of the oldest thing it has not brought to the database, in ms.
    pub lag_ms: u64,
    /// Versions it knows of and has not applied.
    pub versions_behind: u64,
}
