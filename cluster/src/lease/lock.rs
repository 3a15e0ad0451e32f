use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{ClusterResult, Epoch};

/// The lock behind a lease, wherever it is kept. It frees itself when its time is over.
#[async_trait]
pub trait Lock: Send + Sync + 'static {
    /// Takes the lock for `ttl` if it is free; whoever gets it gets an epoch greater than all before and than `above`.
    async fn acquire(&self, holder: &Holder, above: Epoch, ttl: Duration) -> ClusterResult<LockState>;

    /// Holds the lock for `ttl` from now, if `holder` has it.
    async fn renew(&self, holder: &Holder, ttl: Duration) -> ClusterResult<LockState>;

    /// A new epoch greater than `above` for the holder; `None` when `holder` does not have the lock.
    async fn raise(&self, holder: &Holder, above: Epoch) -> ClusterResult<Option<Epoch>>;

    /// Frees the lock if `holder` has it, and tells those who wait for [`changed`](Self::changed).
    async fn release(&self, holder: &Holder) -> ClusterResult<()>;

    /// Who has the lock.
    async fn look(&self) -> ClusterResult<LockState>;

    /// Waits until the lock was freed, or until it is not known whether it was.
    async fn changed(&self);
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The name of the node.
    pub name: String,
    /// This run of it.
    pub instance: Uuid,
}

/// How a lock stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockState {
    /// Whoever asked has it.
    Ours(Epoch),
    /// Another node has it.
    Theirs {
        /// The name of that node.
        name: String,
        /// Under which epoch.
        epoch: Epoch,
        /// How long until it frees itself.
        remaining: Duration,
    },
    /// Nobody has it.
    Free,
}
