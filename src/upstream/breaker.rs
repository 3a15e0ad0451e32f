//! The circuit breaker of one upstream. Pure: time is a parameter.
//!
//! ```text
//!            threshold faults in a row            pause over, one probe is sent
//!   closed ────────────────────────────▶ open ────────────────────────────────▶ probing
//!      ▲                                   ▲                                        │
//!      │            healthy                └────────── fault: pause doubles ────────┤
//!      └────────────────────────────────────────────────────────────────── healthy ─┘
//! ```

use std::time::Duration;

/// The first pause before a probe.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between probes.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where the circuit of an upstream stands. Points in time are offsets from any fixed origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Requests flow.
    Closed,
    /// No requests until the pause is over.
    Open {
        /// When a probe may be sent.
        until: Duration,
    },
    /// One request is probing; if its outcome never arrives, another may follow.
    Probing {
        /// When the probe counts as lost.
        until: Duration,
    },
}

/// Counts consecutive faults and opens the circuit.
#[derive(Debug, Clone)]
pub struct Breaker {
    /// 0 = never opens.
    threshold: u32,
    faults: u32,
    pause: Duration,
    circuit: Circuit,
}

impl Breaker {
    /// Opens behind `threshold` consecutive faults; 0 switches it off.
    pub fn new(threshold: u32) -> Self {
        Self { threshold, faults: 0, pause: FIRST_PAUSE, circuit: Circuit::Closed }
    }

    /// Where the circuit stands.
    pub fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// Consecutive faults.
    pub fn faults(&self) -> u32 {
        self.faults
    }

    /// Whether a request may go: the circuit is closed, or a probe is due.
    pub fn admits(&self, now: Duration) -> bool {
        match self.circuit {
            Circuit::Closed => true,
            Circuit::Open { until } | Circuit::Probing { until } => now >= until,
        }
    }

    /// A request that [`Breaker::admits`] let through was sent.
    pub fn sent(&mut self, now: Duration) {
        if self.circuit != Circuit::Closed && self.admits(now) {
            self.circuit = Circuit::Probing { until: now.saturating_add(LONGEST_PAUSE) };
        }
    }

    /// The upstream worked.
    pub fn healthy(&mut self) {
        *self = Self::new(self.threshold);
    }

    /// A request that was sent told nothing of the upstream; if it was the probe, another is due at once.
    pub fn untold(&mut self, now: Duration) {
        if matches!(self.circuit, Circuit::Probing { .. }) {
            self.circuit = Circuit::Open { until: now };
        }
    }

    /// The upstream failed. Faults of requests that were under way when the circuit opened change nothing.
    pub fn fault(&mut self, now: Duration) {
        self.faults = self.faults.saturating_add(1);
        match self.circuit {
            Circuit::Closed if self.threshold > 0 && self.faults >= self.threshold => {
                self.circuit = Circuit::Open { until: now.saturating_add(self.pause) };
            }
            Circuit::Probing { .. } => {
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                self.circuit = Circuit::Open { until: now.saturating_add(self.pause) };
            }
            Circuit::Closed | Circuit::Open { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_threshold_counts_consecutive_faults_only() {
        let mut breaker = Breaker::new(3);
        breaker.fault(at(0));
        breaker.fault(at(0));
        breaker.healthy();
        breaker.fault(at(0));
        breaker.fault(at(0));
        assert_eq!(breaker.circuit(), Circuit::Closed);
        breaker.fault(at(5));
        assert_eq!(breaker.circuit(), Circuit::Open { until: at(6) });
    }

    #[test]
    fn one_probe_at_a_time_and_pauses_that_double_up_to_a_minute() {
        let mut breaker = Breaker::new(1);
        breaker.fault(at(0));
        let mut now = Duration::ZERO;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(!breaker.admits(now + at(pause) - Duration::from_millis(1)), "{pause}");
            now += at(pause);
            assert!(breaker.admits(now), "{pause}");
            breaker.sent(now);
            assert!(!breaker.admits(now), "{pause}");
            breaker.fault(now);
        }
        now += at(60);
        breaker.sent(now);
        breaker.healthy();
        assert_eq!((breaker.circuit(), breaker.faults()), (Circuit::Closed, 0));
        breaker.fault(now);
        assert_eq!(breaker.circuit(), Circuit::Open { until: now + at(1) });
    }

    #[test]
    fn a_lost_probe_is_followed_by_another() {
        let mut breaker = Breaker::new(1);
        breaker.fault(at(0));
        breaker.sent(at(1));
        assert!(!breaker.admits(at(60)));
        assert!(breaker.admits(at(61)));
    }

    #[test]
    fn late_faults_do_not_prolong_the_pause_and_zero_never_opens() {
        let mut breaker = Breaker::new(1);
        breaker.fault(at(0));
        breaker.fault(at(0));
        assert_eq!(breaker.circuit(), Circuit::Open { until: at(1) });
        let mut off = Breaker::new(0);
        for _ in 0..100 {
            off.fault(at(0));
        }
        assert_eq!(off.circuit(), Circuit::Closed);
    }
}
