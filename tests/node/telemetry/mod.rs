//! Metrics and traces of a node that works.

mod agreement;
pub(crate) mod collector;
mod metrics;
mod names;
mod traces;

use std::time::Duration;

use crate::support::{AUTH_KEY, Gateway, PATIENCE, Request};

/// The value of one series, with its labels as they are written; `None` when it is absent.
pub(crate) fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Sum over the series of one metric.
pub(crate) fn sum(page: &str, metric: &str) -> f64 {
    let of = |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
    page.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

impl Gateway {
    /// `/metrics` now.
    pub(crate) async fn metrics(&self) -> String {
        let answer = self.send(&Request::new("GET", "/metrics").key(AUTH_KEY)).await;
        assert_eq!(answer.head.status, 200);
        String::from_utf8(answer.body().to_vec()).unwrap()
    }

    /// Asks for `/metrics` until `holds`: what a client has seen the end of may be counted a moment later.
    pub(crate) async fn metrics_until(&self, holds: impl Fn(&str) -> bool) -> String {
        let begun = std::time::Instant::now();
        loop {
            let page = self.metrics().await;
            if holds(&page) {
                return page;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not come to pass: {page}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
