//! A bound on failed authentications per address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Failures that one address may have in [`WINDOW`].
const MAX_FAILURES: u32 = 10;
/// How long failures count, from the first one.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered at once.
const MAX_ADDRESSES: usize = 10_000;

/// Counts failed authentications; refuses an address for the rest of a minute after ten of them.
///
/// While an address is refused, even a right key is: otherwise the answer would tell a guesser which guess was right.
#[derive(Debug, Default)]
pub struct FailureLimit(Mutex<HashMap<IpAddr, Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

impl FailureLimit {
    /// Seconds until `address` may try again, at least 1; `None` when it may now.
    pub fn refused_for(&self, address: IpAddr, now: Instant) -> Option<u64> {
        let failures = self.0.lock().get(&network(address)).copied()?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(failures.since))?;
        (failures.count >= MAX_FAILURES && !left.is_zero()).then(|| left.as_millis().div_ceil(1000) as u64)
    }

    /// Counts a failure of `address`.
    pub fn record_failure(&self, address: IpAddr, now: Instant) {
        let mut all = self.0.lock();
        let address = network(address);
        if all.len() >= MAX_ADDRESSES && !all.contains_key(&address) {
            make_room(&mut all, now);
        }
        let failures = all.entry(address).or_insert(Failures { since: now, count: 0 });
        if is_over(failures, now) {
            *failures = Failures { since: now, count: 0 };
        }
        failures.count = failures.count.saturating_add(1);
    }
}

/// An IPv6 client usually owns its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn is_over(failures: &Failures, now: Instant) -> bool {
    now.saturating_duration_since(failures.since) >= WINDOW
}

/// Forgets what no longer counts; if everything does, the address with the fewest failures.
fn make_room(all: &mut HashMap<IpAddr, Failures>, now: Instant) {
    all.retain(|_, failures| !is_over(failures, now));
    if all.len() >= MAX_ADDRESSES {
        let least = all.iter().min_by_key(|(_, failures)| failures.count).map(|(address, _)| *address);
        if let Some(address) = least {
            all.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn ten_failures_refuse_an_address_until_its_minute_is_over() {
        let limit = FailureLimit::default();
        let start = Instant::now();
        for _ in 0..9 {
            limit.record_failure(v4(1), start);
        }
        assert_eq!(limit.refused_for(v4(1), start), None);
        limit.record_failure(v4(1), start + Duration::from_secs(10));
        assert_eq!(limit.refused_for(v4(1), start + Duration::from_millis(10_500)), Some(50));
        assert_eq!(limit.refused_for(v4(2), start), None);
        assert_eq!(limit.refused_for(v4(1), start + Duration::from_millis(59_999)), Some(1));
        assert_eq!(limit.refused_for(v4(1), start + WINDOW), None);
        limit.record_failure(v4(1), start + WINDOW);
        assert_eq!(limit.refused_for(v4(1), start + WINDOW), None);
    }

    #[test]
    fn neighbours_in_one_ipv6_network_share_their_failures() {
        let limit = FailureLimit::default();
        let now = Instant::now();
        for host in 0..10 {
            limit.record_failure(format!("2001:db8::{host}").parse().unwrap(), now);
        }
        assert_eq!(limit.refused_for("2001:db8::ffff".parse().unwrap(), now), Some(60));
        assert_eq!(limit.refused_for("2001:db8:0:1::1".parse().unwrap(), now), None);
    }

    #[test]
    fn memory_is_bounded_and_the_worst_stay() {
        let limit = FailureLimit::default();
        let now = Instant::now();
        for _ in 0..10 {
            limit.record_failure(v4(0), now);
        }
        for address in 1..=(MAX_ADDRESSES as u32 + 50) {
            limit.record_failure(v4(address), now);
        }
        assert_eq!(limit.0.lock().len(), MAX_ADDRESSES);
        assert_eq!(limit.refused_for(v4(0), now), Some(60));
    }
}
