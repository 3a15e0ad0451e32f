//! Which state things are in: a lost message shows as a version that differs.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{ClusterResult, Epoch};

/// The versions of named things.
#[async_trait]
pub trait Versions: Send + Sync + 'static {
    /// Says that `name` is in this version now. A lower one than what is known changes nothing.
    async fn publish(&self, name: &str, version: Version) -> ClusterResult<()>;

    /// Forgets `name`.
    async fn forget(&self, name: &str) -> ClusterResult<()>;

    /// What versions everything is in.
    async fn all(&self) -> ClusterResult<BTreeMap<String, Version>>;
}

/// A version; only grows, over changes of the leader too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// The `counter`th change in the term `epoch`.
    pub fn new(epoch: Epoch, counter: u32) -> Self {
        let epoch = u64::try_from(epoch.0).unwrap_or(0).min(u64::from(u32::MAX));
        Self(epoch << 32 | u64::from(counter))
    }

    /// The next change of the same term.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
