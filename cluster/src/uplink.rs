//! Work that nodes send up to the leader: kept until the leader acknowledges it, whoever that is by then.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ClusterResult;

/// The way up to the leader.
///
/// An entry may be received more than once, and entries that were sent may be gone after Redis lost its memory: who
/// sends numbers what it sends, and sends it again until it is confirmed.
#[async_trait]
pub trait Uplink: Send + Sync + 'static {
    /// Sends one entry.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Unavailable`](crate::ClusterError::Unavailable): it may have been sent all the same.
    async fn send(&self, payload: Bytes) -> ClusterResult<()>;

    /// The leader, when its term begins: what was handed out and not acknowledged, to a predecessor or to this node, will
    /// be handed out again, before what is new.
    async fn reclaim(&self) -> ClusterResult<()>;

    /// The leader: up to `max` entries, in the order they were sent; waits for `wait` at most for the first.
    async fn receive(&self, max: usize, wait: Duration) -> ClusterResult<Vec<Received>>;

    /// The leader: these are done and will not be handed out again.
    async fn acknowledge(&self, ids: &[EntryId]) -> ClusterResult<()>;

    /// Entries that nobody has acknowledged.
    async fn backlog(&self) -> ClusterResult<u64>;
}

/// Which entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub String);

/// An entry as the leader gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// To acknowledge it by.
    pub id: EntryId,
    /// The name of the node that sent it.
    pub node: String,
    /// What it sent.
    pub payload: Bytes,
}
