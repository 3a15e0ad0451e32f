//! Counters of rate limits, shared by all nodes.

pub mod window;

use std::time::Duration;

use async_trait::async_trait;

use crate::ClusterResult;

/// Counts requests in sliding windows, see [`window::Window`].
#[async_trait]
pub trait Counters: Send + Sync + 'static {
    /// Counts one request in all of `limits`, or, when one of them is used up, in none.
    ///
    /// # Errors
    ///
    /// When that cannot be known soon enough for a request that waits; it may have been counted.
    async fn take(&self, limits: &[Limit]) -> ClusterResult<Result<Taken, UsedUp>>;

    /// Takes back a counted request that was not made after all.
    async fn give_back(&self, limits: &[Limit], taken: &Taken) -> ClusterResult<()>;
}

/// One limit that a request is counted in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted together, over all nodes.
    pub counter: String,
    /// How many are admitted in any span of `interval`.
    pub limit: u32,
    /// At least 1 ms.
    pub interval: Duration,
}

/// A request was counted; one moment for each limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken(pub(crate) Vec<u64>);

/// A limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedUp {
    /// The index of the first such limit of those asked for.
    pub index: usize,
    /// How long until one fits, at least 1 ms.
    pub wait: Duration,
}
