//! Metrics of a node, as Prometheus reads them.
//!
//! [`declared`] names them. What happens per request is counted in [`GroupMetrics`], which the routing table keeps per group,
//! so that a request finds its counters without a look-up; everything else is read when somebody asks, from numbers that are
//! kept anyway. [`Page`] puts both into the text format.

pub mod declared;
pub mod docs;
mod group;
mod labels;
mod node;
mod page;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use gpt_load_schema::log::TokenUsage;
use parking_lot::Mutex;

use self::{
    declared::{REFUSALS, SPANS_DROPPED, SPANS_EXPORTED},
    labels::ModelNames,
};
pub use self::{
    group::{Ended, GroupMetrics},
    node::{show_node, show_runtime},
    page::{CONTENT_TYPE, Page},
};

/// What a node counts that belongs to no group; one per node.
#[derive(Default)]
pub struct Metrics {
    outside: GroupMetrics,
    refusals: Arc<Refusals>,
    models: Arc<ModelNames>,
    spans: Arc<SpanCounts>,
}

/// What the gateway refused, by the code of its error.
type Refusals = Mutex<BTreeMap<&'static str, u64>>;

/// What became of spans on their way to the collector.
#[derive(Debug, Default)]
pub struct SpanCounts {
    /// Taken by the collector.
    pub exported: AtomicU64,
    /// Lost.
    pub dropped: AtomicU64,
}

impl Metrics {
    /// Counters for one more group.
    pub fn group(&self) -> Arc<GroupMetrics> {
        Arc::new(GroupMetrics::new(Arc::clone(&self.models), Arc::clone(&self.refusals)))
    }

    /// Counters of the spans that this node exports.
    pub fn spans(&self) -> Arc<SpanCounts> {
        Arc::clone(&self.spans)
    }

    /// A request was turned away with `status`, before it was let into a group.
    pub fn turned_away(&self, code: &'static str, status: u16, duration: Duration) {
        *self.refusals.lock().entry(code).or_default() += 1;
        self.outside.ended(&Ended { class: None, status, duration, model: "", usage: TokenUsage::default() });
    }

    /// Shows what belongs to no group.
    pub fn show(&self, page: &mut Page) {
        self.outside.show("", page);
        for (code, count) in &*self.refusals.lock() {
            page.count(&REFUSALS, &[code], *count);
        }
        page.count(&SPANS_EXPORTED, &[], self.spans.exported.load(Ordering::Relaxed));
        page.count(&SPANS_DROPPED, &[], self.spans.dropped.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests;
