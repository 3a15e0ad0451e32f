//! What every request of the data path finds at hand.

use std::sync::Arc;

use gpt_load_actors::runtime::Runtime;

use super::{limit::ConcurrencyLimit, table::Table};
use crate::{
    config::SharedConfig,
    policy::limiter::Limiter,
    telemetry::{metrics::Metrics, traces::Traces},
    upstream::Clients,
};

/// Shared by all workers.
pub struct ProxyState {
    /// Groups by name.
    pub table: Arc<Table>,
    /// Where outcomes and log rows go.
    pub runtime: Runtime,
    /// The node's limit on requests in flight.
    pub concurrency: ConcurrencyLimit,
    /// Counts requests for the rate limits of policies.
    pub limiter: Arc<dyn Limiter>,
    /// The configuration in force.
    pub config: SharedConfig,
    /// Whether the set-up needs no proxy keys, whatever the configuration says.
    pub open_set_up: bool,
    /// What is counted of requests that reach no group.
    pub metrics: Arc<Metrics>,
    /// Traces, when there is a collector for them.
    pub traces: Option<Arc<Traces>>,
    /// Path prefix of the node, without a trailing slash; empty for none.
    pub base_path: String,
}

/// One worker thread's view: the shared state and its own outbound clients.
pub struct Worker {
    /// Shared by all workers.
    pub state: Arc<ProxyState>,
    /// This thread's outbound connections.
    pub clients: Clients,
}
