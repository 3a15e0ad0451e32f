//! Choosing an upstream: smooth weighted round robin over the healthy ones, shared by all workers. Pure: time is a parameter.
//!
//! Each pick raises every candidate by its weight, takes the highest and lowers that by the sum of the weights (the algorithm of
//! nginx). With weights 5, 1, 1 that gives a a b a c a a and not a a a a a b c.

use std::cmp::Reverse;
use std::time::Duration;

use parking_lot::Mutex;

use super::breaker::{Breaker, Circuit};

/// What an attempt said about its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answered, with whatever status that is not its own fault.
    Healthy,
    /// An upstream fault (keys-and-policies.md).
    Fault,
    /// Nothing: the attempt was abandoned before it could tell.
    Unknown,
}

/// One upstream as a dashboard shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamState {
    /// Its share; 0 takes no requests while another upstream is there.
    pub weight: u32,
    /// Where its circuit stands.
    pub circuit: Circuit,
    /// Faults since the last success.
    pub consecutive_faults: u32,
}

/// Balances the upstreams of one group. The lock is held for one pass over a handful of numbers.
#[derive(Debug)]
pub struct Balancer {
    upstreams: Mutex<Box<[Upstream]>>,
}

#[derive(Debug)]
struct Upstream {
    weight: u32,
    current: i64,
    breaker: Breaker,
}

impl Balancer {
    /// For upstreams of these weights; `threshold` consecutive faults open a circuit, 0 = never.
    pub fn new(weights: &[u32], threshold: u32) -> Self {
        let upstream = |&weight| Upstream { weight, current: 0, breaker: Breaker::new(threshold) };
        Self { upstreams: Mutex::new(weights.iter().map(upstream).collect()) }
    }

    /// The index of the upstream for the next attempt: a healthy one not in `tried`, else a healthy one, else the least bad. `now` is an
    /// offset from any fixed origin. 0 when there is none.
    pub fn pick(&self, now: Duration, tried: &[usize]) -> usize {
        let mut upstreams = self.upstreams.lock();
        if upstreams.len() < 2 {
            return 0;
        }
        let untried = |index: usize, _: &Upstream| !tried.contains(&index);
        let picked =
            round_robin(&mut upstreams, now, |index, upstream| untried(index, upstream) && upstream.weight > 0)
                .or_else(|| round_robin(&mut upstreams, now, untried))
                .or_else(|| round_robin(&mut upstreams, now, |_, _| true))
                .unwrap_or_else(|| least_bad(&upstreams, tried));
        upstreams[picked].breaker.sent(now);
        picked
    }

    /// Whether the upstream at `index` takes requests: its circuit is closed, or a probe is due. The only upstream of a
    /// group always does, there being no better one.
    pub fn is_open(&self, index: usize, now: Duration) -> bool {
        let upstreams = self.upstreams.lock();
        upstreams.len() < 2 || upstreams.get(index).is_some_and(|upstream| upstream.breaker.admits(now))
    }

    /// The upstream at `index` is asked without having been picked, whatever its circuit.
    pub fn asked(&self, index: usize, now: Duration) {
        if let Some(upstream) = self.upstreams.lock().get_mut(index) {
            upstream.breaker.sent(now);
        }
    }

    /// The outcome of an attempt on the upstream at `index`.
    pub fn report(&self, index: usize, health: Health, now: Duration) {
        if let Some(upstream) = self.upstreams.lock().get_mut(index) {
            match health {
                Health::Healthy => upstream.breaker.healthy(),
                Health::Fault => upstream.breaker.fault(now),
                Health::Unknown => upstream.breaker.untold(now),
            }
        }
    }

    /// All upstreams, for display.
    pub fn states(&self) -> Vec<UpstreamState> {
        let state = |upstream: &Upstream| UpstreamState {
            weight: upstream.weight,
            circuit: upstream.breaker.circuit(),
            consecutive_faults: upstream.breaker.faults(),
        };
        self.upstreams.lock().iter().map(state).collect()
    }
}

fn round_robin(upstreams: &mut [Upstream], now: Duration, may: impl Fn(usize, &Upstream) -> bool) -> Option<usize> {
    let mut total = 0;
    let mut best: Option<(usize, i64)> = None;
    for (index, upstream) in upstreams.iter_mut().enumerate() {
        if !may(index, upstream) || !upstream.breaker.admits(now) {
            continue;
        }
        let weight = i64::from(upstream.weight.max(1));
        total += weight;
        upstream.current += weight;
        if best.is_none_or(|(_, current)| upstream.current > current) {
            best = Some((index, upstream.current));
        }
    }
    let (index, _) = best?;
    upstreams[index].current -= total;
    Some(index)
}

/// With all circuits open: an untried one first, then the one that is next to be probed, then the one with fewest faults.
fn least_bad(upstreams: &[Upstream], tried: &[usize]) -> usize {
    let badness = |(index, upstream): &(usize, &Upstream)| {
        let until = match upstream.breaker.circuit() {
            Circuit::Closed => Duration::ZERO,
            Circuit::Open { until } | Circuit::Probing { until } => until,
        };
        (tried.contains(index), upstream.weight == 0, until, upstream.breaker.faults(), Reverse(upstream.weight))
    };
    upstreams.iter().enumerate().min_by_key(badness).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests;
