//! Metrics of a node, as Prometheus reads them.

pub mod declared;
