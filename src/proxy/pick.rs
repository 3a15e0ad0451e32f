//! The upstream picked for one attempt, and what it owes to the circuit breaker.

use std::{sync::Arc, time::Duration};

use gpt_load_schema::time::Timestamp;

use super::table::{Route, Serving, Standard};
use crate::upstream::balance::{Balancer, Health};

/// An upstream that is being asked; says nothing about its health when dropped.
pub struct Pick {
    balancer: Arc<Balancer>,
    index: usize,
    reported: bool,
}

impl Pick {
    /// Picks the upstream for a key: the one it is bound to (`None` when the group has no such upstream), else the next,
    /// one of those not in `tried` while there is any.
    pub fn of(standard: &Standard, bound_to: Option<&str>, tried: &[usize], now: Timestamp) -> Option<Self> {
        let balancer = Arc::clone(&standard.balancer);
        let index = match bound_to {
            Some(url) => {
                let index = standard.position(url)?;
                balancer.asked(index, since_epoch(now));
                index
            }
            None => balancer.pick(since_epoch(now), tried),
        };
        Some(Self { balancer, index, reported: false })
    }

    /// Position among the group's upstreams.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The upstream answered.
    pub fn healthy(self, now: Timestamp) {
        self.report(Health::Healthy, now);
    }

    /// The upstream failed.
    pub fn fault(self, now: Timestamp) {
        self.report(Health::Fault, now);
    }

    fn report(mut self, health: Health, now: Timestamp) {
        self.reported = true;
        self.balancer.report(self.index, health, since_epoch(now));
    }

    /// An upstream that was healthy at first failed in the middle of its answer.
    pub fn late_fault(route: &Route, base_url: &str, now: Timestamp) {
        if let Serving::Standard(standard) = &route.serving
            && let Some(index) = standard.upstreams.iter().position(|upstream| *upstream.url == *base_url)
        {
            standard.balancer.report(index, Health::Fault, since_epoch(now));
        }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        if !self.reported {
            self.balancer.report(self.index, Health::Unknown, since_epoch(Timestamp::now()));
        }
    }
}

/// The balancer's clock counts from any fixed origin.
pub fn since_epoch(now: Timestamp) -> Duration {
    now.since(Timestamp::default())
}
