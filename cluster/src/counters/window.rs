//! Counts requests in sliding windows, as pure code.
//!
//! A window never lets more than its limit through in any span of its interval. Up to [`EXACT`] requests every one is
//! remembered by its millisecond. Above, those of the same 64th of the interval are remembered together, at the end of
//! that 64th: so memory is bounded, and a request may be refused by that much longer, but never let through too early.

use std::collections::VecDeque;

/// Largest limit whose requests are remembered one by one.
pub const EXACT: u32 = 64;
/// Parts of an interval that larger limits tell apart.
pub const PARTS: u64 = 64;
/// Requests that are counted together may have read the clock so much apart, in ms.
pub const CLOCK_SLACK: u64 = 1_000;

/// The requests of one counter that still count. Times are milliseconds since any fixed origin.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// When requests were made, rounded up, and how many; ascending.
    taken: VecDeque<(u64, u32)>,
    total: u64,
    /// Latest time seen: a clock that goes back a little stands still here.
    latest: u64,
    /// When nothing counts any more.
    until: u64,
}

impl Window {
    /// Counts one request and answers the moment it is remembered by; else how many ms it takes until one fits.
    pub fn take(&mut self, limit: u32, interval: u64, now: u64) -> Result<u64, u64> {
        match self.wait(limit, interval, now) {
            Some(wait) => Err(wait),
            None => Ok(self.add(limit, interval, now)),
        }
    }

    /// How many ms it takes until a request fits; `None` = it does now.
    pub fn wait(&mut self, limit: u32, interval: u64, now: u64) -> Option<u64> {
        if self.latest.saturating_sub(now) > CLOCK_SLACK {
            self.set_back(self.latest - now);
        }
        self.latest = self.latest.max(now);
        let now = self.latest;
        // Times are cut to milliseconds, so what is a whole interval ago may be less by almost one.
        let counts_until = |at: u64| at.saturating_add(interval);
        while let Some(&(at, count)) = self.taken.front()
            && counts_until(at) < now
        {
            self.taken.pop_front();
            self.total -= u64::from(count);
        }
        if self.total < u64::from(limit) {
            return None;
        }
        let mut left = self.total;
        let free = self.taken.iter().find(|(_, count)| {
            left -= u64::from(*count);
            left < u64::from(limit)
        });
        let free = free.map_or(now, |(at, _)| counts_until(*at));
        Some(free.saturating_sub(now) + 1)
    }

    /// Counts one request, whether it fits or not; right after [`wait`](Self::wait) with the same parameters.
    pub fn add(&mut self, limit: u32, interval: u64, now: u64) -> u64 {
        let now = self.latest.max(now);
        let at = if limit <= EXACT { now } else { now.next_multiple_of((interval / PARTS).max(1)) };
        // An earlier, coarser time may lie ahead.
        let at = at.max(self.taken.back().map_or(0, |(last, _)| *last));
        match self.taken.back_mut() {
            Some((last, count)) if *last == at => *count += 1,
            _ => self.taken.push_back((at, 1)),
        }
        self.total += 1;
        self.until = self.until.max(at.saturating_add(interval));
        at
    }

    /// Takes back a request that was remembered by the moment `at`.
    pub fn give_back(&mut self, at: u64) {
        if let Some(index) = self.taken.iter().position(|(known, _)| *known == at) {
            self.taken[index].1 -= 1;
            self.total -= 1;
            if self.taken[index].1 == 0 {
                self.taken.remove(index);
            }
        }
    }

    /// When nothing counts any more.
    pub const fn until(&self) -> u64 {
        self.until
    }

    /// The clock was set back: what was counted stays as long ago as it was, instead of counting until the clock is
    /// again where it has been.
    fn set_back(&mut self, by: u64) {
        self.taken.iter_mut().for_each(|(at, _)| *at = at.saturating_sub(by));
        self.until = self.until.saturating_sub(by);
        self.latest -= by;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// No span of the interval holds more than the limit; what a refusal promises is kept; few entries are kept.
        #[test]
        fn windows_hold_in_every_span(
            limit in prop_oneof![1_u32..5, 60_u32..70, 200_u32..400],
            interval in prop_oneof![1_u64..10, 100_u64..5_000],
            steps in proptest::collection::vec(prop_oneof![Just(0_u64), 0_u64..3, 0_u64..500], 1..800),
        ) {
            let mut window = Window::default();
            let (mut now, mut taken) = (1_000_000_u64, Vec::new());
            for step in steps {
                now += step;
                match window.take(limit, interval, now) {
                    Ok(_) => taken.push(now),
                    Err(wait) => {
                        prop_assert!(wait <= interval + interval / PARTS + 2);
                        let mut later = window.clone();
                        prop_assert!(later.take(limit, interval, now + wait).is_ok());
                        prop_assert!(limit > EXACT || taken.iter().filter(|at| **at + interval >= now).count() >= limit as usize);
                    }
                }
                prop_assert!(window.taken.len() <= EXACT as usize + 2, "{}", window.taken.len());
            }
            for (index, at) in taken.iter().enumerate() {
                let within = taken[index..].iter().take_while(|other| **other - at <= interval).count();
                prop_assert!(within <= limit as usize, "{within} > {limit}");
            }
        }
    }
}
