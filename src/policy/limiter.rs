//! Counts requests in sliding windows.
//!
//! A window never lets more than its limit through in any span of its interval. Up to [`EXACT`] requests every one is
//! remembered by its millisecond. Above, those of the same 64th of the interval are remembered together, at the end of
//! that 64th: so memory is bounded, and a request may be refused by that much longer, but never let through too early.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::limits::{Counter, Subject};

/// Largest limit whose requests are remembered one by one.
const EXACT: u32 = 64;
/// Parts of an interval that larger limits tell apart.
const PARTS: u64 = 64;
/// Requests that are counted together may have read the clock so much apart, in ms.
const CLOCK_SLACK: u64 = 1_000;
/// Windows of client addresses kept.
const WINDOWS: usize = 32_768;
/// Independently locked parts of the windows.
const SHARDS: usize = 16;

/// Counts requests, wherever the counts are kept.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Counts one request at `now` (since any fixed origin), unless `limit` requests were counted within `interval`.
    /// Then it is not counted, and the answer is how long it takes until one fits.
    async fn take(&self, counter: &Counter, limit: u32, interval: Duration, now: Duration) -> Result<Taken, Duration>;

    /// Takes back a counted request that was not made after all.
    async fn give_back(&self, counter: &Counter, taken: Taken);
}

/// A counted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken(u64);

/// Counts in the memory of this node.
///
/// Whoever has many addresses can make any number of windows. When there is no room for another one of an address, those
/// whose time is over go, else the address whose time is over first. Groups, keys and proxy keys are as many as people
/// made: their windows only go when their time is over.
pub struct MemoryLimiter {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    windows_per_shard: usize,
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::with_room_for(WINDOWS)
    }
}

impl MemoryLimiter {
    /// Keeps at most so many windows of addresses.
    pub fn with_room_for(windows: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), windows_per_shard: windows.div_ceil(SHARDS).max(1) }
    }

    fn shard(&self, counter: &Counter) -> &Mutex<Shard> {
        let hash = usize::try_from(self.hasher.hash_one(counter) % SHARDS as u64).unwrap_or(0);
        &self.shards[hash]
    }

    #[cfg(test)]
    fn windows(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().windows.len()).sum()
    }
}

#[async_trait]
impl Limiter for MemoryLimiter {
    async fn take(&self, counter: &Counter, limit: u32, interval: Duration, now: Duration) -> Result<Taken, Duration> {
        let (interval, now) = (millis(interval).max(1), millis(now));
        let mut shard = self.shard(counter).lock();
        if !shard.windows.contains_key(counter) {
            shard.make_room(counter, self.windows_per_shard, now);
        }
        shard.windows.entry(*counter).or_default().take(limit, interval, now)
    }

    async fn give_back(&self, counter: &Counter, taken: Taken) {
        if let Some(window) = self.shard(counter).lock().windows.get_mut(counter) {
            window.give_back(taken);
        }
    }
}

/// An independently locked part of the windows.
#[derive(Default)]
struct Shard {
    windows: HashMap<Counter, Window>,
    /// How many of them are of addresses.
    addresses: usize,
    /// With so many, those whose time is over go.
    sweep_at: usize,
}

impl Shard {
    /// A window for `counter` follows; of addresses there are then at most `room`.
    fn make_room(&mut self, counter: &Counter, room: usize, now: u64) {
        let is_full = is_of_address(counter) && self.addresses >= room;
        if is_full || self.windows.len() >= self.sweep_at {
            self.windows.retain(|_, window| window.until >= now);
            self.addresses = self.windows.keys().filter(|counter| is_of_address(counter)).count();
            self.sweep_at = self.windows.len().saturating_mul(2).max(room);
        }
        if !is_of_address(counter) {
            return;
        }
        if self.addresses >= room {
            let of_addresses = self.windows.iter().filter(|(counter, _)| is_of_address(counter));
            if let Some(first) = of_addresses.min_by_key(|(_, window)| window.until).map(|(counter, _)| *counter) {
                self.windows.remove(&first);
                self.addresses -= 1;
            }
        }
        self.addresses += 1;
    }
}

fn is_of_address(counter: &Counter) -> bool {
    matches!(counter.subject, Subject::Ip(_))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The requests of one counter that still count. Times are milliseconds.
#[derive(Default)]
struct Window {
    /// When requests were made, rounded up, and how many; ascending.
    taken: VecDeque<(u64, u32)>,
    total: u64,
    /// Latest time seen: a clock that goes back a little stands still here.
    latest: u64,
    /// When nothing counts any more.
    until: u64,
}

impl Window {
    fn take(&mut self, limit: u32, interval: u64, now: u64) -> Result<Taken, Duration> {
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
        if self.total >= u64::from(limit) {
            let mut left = self.total;
            let free = self.taken.iter().find(|(_, count)| {
                left -= u64::from(*count);
                left < u64::from(limit)
            });
            let free = free.map_or(now, |(at, _)| counts_until(*at));
            return Err(Duration::from_millis(free.saturating_sub(now) + 1));
        }
        let at = if limit <= EXACT { now } else { now.next_multiple_of((interval / PARTS).max(1)) };
        // An earlier, coarser time may lie ahead.
        let at = at.max(self.taken.back().map_or(0, |(last, _)| *last));
        match self.taken.back_mut() {
            Some((last, count)) if *last == at => *count += 1,
            _ => self.taken.push_back((at, 1)),
        }
        self.total += 1;
        self.until = self.until.max(counts_until(at));
        Ok(Taken(at))
    }

    /// The clock was set back: what was counted stays as long ago as it was, instead of counting until the clock is
    /// again where it has been.
    fn set_back(&mut self, by: u64) {
        self.taken.iter_mut().for_each(|(at, _)| *at = at.saturating_sub(by));
        self.until = self.until.saturating_sub(by);
        self.latest -= by;
    }

    fn give_back(&mut self, Taken(at): Taken) {
        if let Some(index) = self.taken.iter().position(|(known, _)| *known == at) {
            self.taken[index].1 -= 1;
            self.total -= 1;
            if self.taken[index].1 == 0 {
                self.taken.remove(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use gpt_load_schema::ids::{GroupId, KeyId, PolicyId};
    use proptest::prelude::*;

    use super::*;

    fn counter(number: u32) -> Counter {
        let subject = Subject::Ip(IpAddr::from(number.to_be_bytes()));
        Counter { policy: PolicyId(1), group: GroupId(1), subject }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_refusal_tells_when_the_next_one_fits() {
        let limiter = MemoryLimiter::default();
        let at = Duration::from_millis;
        let take = async |now| limiter.take(&counter(1), 2, SECOND, at(now)).await.map(drop);
        assert_eq!((take(0).await, take(400).await), (Ok(()), Ok(())));
        assert_eq!(take(500).await, Err(at(501)));
        assert_eq!(take(1_000).await, Err(at(1)));
        assert_eq!(take(1_001).await, Ok(()));
        assert_eq!(take(1_001).await, Err(at(400)));
        assert_eq!(take(900).await, Err(at(400)), "a clock that is set back stands still");
        assert_eq!(take(1_401).await, Ok(()));
        assert_eq!(limiter.take(&counter(2), 2, SECOND, at(0)).await.map(drop), Ok(()), "others count apart");
    }

    #[tokio::test]
    async fn a_clock_that_was_wrong_for_a_moment_refuses_nobody_for_long() {
        let limiter = MemoryLimiter::default();
        let at = |second| Duration::from_secs(second);
        let take = async |second| limiter.take(&counter(1), 2, SECOND * 60, at(second)).await.map(drop);
        let year = 365 * 86_400;
        assert_eq!((take(100).await, take(year).await, take(year).await), (Ok(()), Ok(()), Ok(())));
        assert!(take(101).await.is_err_and(|wait| wait <= SECOND * 61), "set back: both were a moment ago");
        assert!(take(130).await.is_err(), "the limit holds");
        assert_eq!(take(162).await, Ok(()));
    }

    #[tokio::test]
    async fn what_is_given_back_can_be_taken_again() {
        let limiter = MemoryLimiter::default();
        let take = async |now| limiter.take(&counter(1), 1, SECOND, Duration::from_millis(now)).await;
        let taken = take(0).await.unwrap();
        assert!(take(1).await.is_err());
        limiter.give_back(&counter(1), taken).await;
        limiter.give_back(&counter(1), taken).await;
        assert!(take(2).await.is_ok());
        assert!(take(3).await.is_err(), "given back once");
    }

    #[tokio::test]
    async fn a_changed_limit_keeps_what_was_counted() {
        let limiter = MemoryLimiter::default();
        let take = async |limit| limiter.take(&counter(1), limit, SECOND, Duration::from_secs(5)).await.map(drop);
        for _ in 0..1_000 {
            assert_eq!(take(1_000).await, Ok(()));
        }
        assert!(take(1_000).await.is_err() && take(10).await.is_err());
        assert_eq!(take(1_001).await, Ok(()));
    }

    #[tokio::test]
    async fn memory_is_bounded_and_idle_windows_go_first() {
        let limiter = MemoryLimiter::with_room_for(SHARDS * 4);
        let take = async |number, now| limiter.take(&counter(number), 1, SECOND, Duration::from_millis(now)).await;
        for number in 0..10_000 {
            take(number, 0).await.unwrap();
            assert!(limiter.windows() <= SHARDS * 4, "{}", limiter.windows());
        }
        // All of these are over; the ones in use stay.
        for number in 20_000..20_000 + 8 {
            take(number, 5_000).await.unwrap();
        }
        let kept = async || {
            let mut kept = 0;
            for number in 20_000..20_000 + 8 {
                kept += usize::from(take(number, 5_001).await.is_err());
            }
            kept
        };
        assert!(kept().await >= 6, "{}", kept().await);
    }

    #[tokio::test]
    async fn neither_many_addresses_nor_many_keys_make_a_limit_forget() {
        let limiter = MemoryLimiter::with_room_for(SHARDS);
        let of = |subject| Counter { subject, ..counter(0) };
        let keys = || (0..1_000).map(|id| of(Subject::Key(KeyId(id)))).chain([of(Subject::Group)]);
        let take = async |counter: Counter, now| limiter.take(&counter, 1, SECOND, Duration::from_millis(now)).await;
        for counter in keys() {
            take(counter, 0).await.unwrap();
        }
        for number in 0..10_000 {
            take(counter(number), 1).await.unwrap();
        }
        for counter in keys() {
            assert!(take(counter, 2).await.is_err(), "{counter:?}");
        }
        assert!(limiter.windows() <= 1_001 + SHARDS);
        for id in 5_000..9_000 {
            take(of(Subject::Key(KeyId(id))), 10_000).await.unwrap();
        }
        assert!(limiter.windows() <= 4_000 + SHARDS, "what is over goes: {}", limiter.windows());
    }

    #[test]
    fn many_threads_never_take_more_than_the_limit() {
        for limit in [10, 1_000] {
            let limiter = Arc::new(MemoryLimiter::default());
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let limiter = Arc::clone(&limiter);
                    std::thread::spawn(move || {
                        let take = |_: &i32| {
                            let counter = counter(1);
                            let taken = limiter.take(&counter, limit, SECOND, Duration::from_millis(7));
                            futures_util::FutureExt::now_or_never(taken).unwrap().is_ok()
                        };
                        (0..1_000).filter(take).count()
                    })
                })
                .collect();
            let taken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(taken, limit as usize);
        }
    }

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
                        prop_assert!(millis(wait) <= interval + interval / PARTS + 2);
                        let mut later = Window { taken: window.taken.clone(), latest: now, ..window };
                        prop_assert!(later.take(limit, interval, now + millis(wait)).is_ok());
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
