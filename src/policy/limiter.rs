//! Counts requests in sliding windows ([`Window`]): of this node, or of all nodes of a cluster.

use std::{
    collections::HashMap,
    fmt::Write,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use async_trait::async_trait;
use gpt_load_cluster::{Cluster, counters, counters::window::Window};
use parking_lot::Mutex;

use super::limits::{Counter, Subject};

/// Windows of client addresses kept.
const WINDOWS: usize = 32_768;
/// Independently locked parts of the windows.
const SHARDS: usize = 16;

/// Counts requests, wherever the counts are kept.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Counts one request at `now` (since any fixed origin) by all of `asks`, or by none when one of them is used up. Then
    /// the answer is which of them, and how long it takes until one fits.
    async fn take_all(&self, asks: &[Ask], now: Duration) -> Result<(), (usize, Duration)>;
}

/// What a request is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The counter, each at most once.
    pub counter: Counter,
    /// How many are let through in any span of `interval`.
    pub limit: u32,
    /// At least 1 ms.
    pub interval: Duration,
}

/// A counted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken(u64);

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

impl MemoryLimiter {
    fn take(&self, counter: &Counter, limit: u32, interval: Duration, now: Duration) -> Result<Taken, Duration> {
        let (interval, now) = (millis(interval).max(1), millis(now));
        let mut shard = self.shard(counter).lock();
        if !shard.windows.contains_key(counter) {
            shard.make_room(counter, self.windows_per_shard, now);
        }
        let taken = shard.windows.entry(*counter).or_default().take(limit, interval, now);
        taken.map(Taken).map_err(Duration::from_millis)
    }

    fn give_back(&self, counter: &Counter, taken: Taken) {
        if let Some(window) = self.shard(counter).lock().windows.get_mut(counter) {
            window.give_back(taken.0);
        }
    }

    fn take_each(&self, asks: impl Iterator<Item = Ask>, now: Duration) -> Result<(), (usize, Duration)> {
        let mut taken = Vec::new();
        for (index, ask) in asks.enumerate() {
            match self.take(&ask.counter, ask.limit, ask.interval, now) {
                Ok(one) => taken.push((ask.counter, one)),
                Err(wait) => {
                    taken.iter().for_each(|(counter, one)| self.give_back(counter, *one));
                    return Err((index, wait));
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Limiter for MemoryLimiter {
    async fn take_all(&self, asks: &[Ask], now: Duration) -> Result<(), (usize, Duration)> {
        self.take_each(asks.iter().copied(), now)
    }
}

/// Counts over all nodes of a cluster. While the shared counters are away, a node lets through its share of each limit, by
/// the number of nodes that were there last.
pub struct SharedLimiter {
    cluster: Cluster,
    own: MemoryLimiter,
}

impl SharedLimiter {
    /// Counts with the other nodes of `cluster`.
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster, own: MemoryLimiter::default() }
    }
}

#[async_trait]
impl Limiter for SharedLimiter {
    async fn take_all(&self, asks: &[Ask], now: Duration) -> Result<(), (usize, Duration)> {
        if asks.is_empty() {
            return Ok(());
        }
        let limits: Vec<_> = asks.iter().map(shared).collect();
        match self.cluster.counters.take(&limits).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(used_up)) => Err((used_up.index, used_up.wait)),
            Err(error) => {
                tracing::debug!(%error, "the shared counters are away; this node lets its share through");
                let nodes = u32::try_from(self.cluster.members.known().len()).unwrap_or(u32::MAX).max(1);
                // Less than one is none only where the limit is.
                let share = |limit: u32| (limit / nodes).max(limit.min(1));
                self.own.take_each(asks.iter().map(|ask| Ask { limit: share(ask.limit), ..*ask }), now)
            }
        }
    }
}

fn shared(ask: &Ask) -> counters::Limit {
    let Counter { policy, group, subject } = ask.counter;
    let mut counter = format!("{policy}:{group}:");
    // Writing to a text does not fail.
    _ = match subject {
        Subject::Group => write!(counter, "group"),
        Subject::Key(key) => write!(counter, "key:{key}"),
        Subject::ProxyKey(None) => write!(counter, "none"),
        Subject::ProxyKey(Some(hash)) => hash.iter().try_for_each(|byte| write!(counter, "{byte:02x}")),
        Subject::Ip(ip) => write!(counter, "ip:{ip}"),
    };
    counters::Limit { counter, limit: ask.limit, interval: ask.interval }
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
            self.windows.retain(|_, window| window.until() >= now);
            self.addresses = self.windows.keys().filter(|counter| is_of_address(counter)).count();
            self.sweep_at = self.windows.len().saturating_mul(2).max(room);
        }
        if !is_of_address(counter) {
            return;
        }
        if self.addresses >= room {
            let of_addresses = self.windows.iter().filter(|(counter, _)| is_of_address(counter));
            if let Some(first) = of_addresses.min_by_key(|(_, window)| window.until()).map(|(counter, _)| *counter) {
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

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use gpt_load_cluster::{NodeIdentity, memory::InMemoryCluster};
    use gpt_load_schema::ids::{GroupId, KeyId, PolicyId};

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
        let take = async |now| limiter.take(&counter(1), 2, SECOND, at(now)).map(drop);
        assert_eq!((take(0).await, take(400).await), (Ok(()), Ok(())));
        assert_eq!(take(500).await, Err(at(501)));
        assert_eq!(take(1_000).await, Err(at(1)));
        assert_eq!(take(1_001).await, Ok(()));
        assert_eq!(take(1_001).await, Err(at(400)));
        assert_eq!(take(900).await, Err(at(400)), "a clock that is set back stands still");
        assert_eq!(take(1_401).await, Ok(()));
        assert_eq!(limiter.take(&counter(2), 2, SECOND, at(0)).map(drop), Ok(()), "others count apart");
    }

    #[tokio::test]
    async fn a_clock_that_was_wrong_for_a_moment_refuses_nobody_for_long() {
        let limiter = MemoryLimiter::default();
        let at = |second| Duration::from_secs(second);
        let take = async |second| limiter.take(&counter(1), 2, SECOND * 60, at(second)).map(drop);
        let year = 365 * 86_400;
        assert_eq!((take(100).await, take(year).await, take(year).await), (Ok(()), Ok(()), Ok(())));
        assert!(take(101).await.is_err_and(|wait| wait <= SECOND * 61), "set back: both were a moment ago");
        assert!(take(130).await.is_err(), "the limit holds");
        assert_eq!(take(162).await, Ok(()));
    }

    #[tokio::test]
    async fn what_is_given_back_can_be_taken_again() {
        let limiter = MemoryLimiter::default();
        let take = async |now| limiter.take(&counter(1), 1, SECOND, Duration::from_millis(now));
        let taken = take(0).await.unwrap();
        assert!(take(1).await.is_err());
        limiter.give_back(&counter(1), taken);
        limiter.give_back(&counter(1), taken);
        assert!(take(2).await.is_ok());
        assert!(take(3).await.is_err(), "given back once");
    }

    #[tokio::test]
    async fn nodes_count_together_and_by_their_shares_while_they_cannot() {
        let place = InMemoryCluster::default();
        let (a, line) = place.join(NodeIdentity::new("a")).await.unwrap();
        let (b, _) = place.join(NodeIdentity::new("b")).await.unwrap();
        assert_eq!(a.members.list().await.unwrap().len(), 2);
        let (a, b) = (SharedLimiter::new(a), SharedLimiter::new(b));
        let ask = |number, limit| Ask { counter: counter(number), limit, interval: SECOND * 3_600 };
        let both = [ask(1, 100), ask(2, 5)];
        for limiter in [&a, &b, &a, &b, &a] {
            assert_eq!(limiter.take_all(&both, SECOND).await, Ok(()));
        }
        for limiter in [&a, &b] {
            let (index, wait) = limiter.take_all(&both, SECOND).await.unwrap_err();
            assert!(index == 1 && wait > SECOND * 3_000, "{index} {wait:?}");
        }
        line.cut();
        let shares = [ask(3, 5), ask(4, 1)];
        assert_eq!(a.take_all(&shares[..1], SECOND).await, Ok(()));
        assert_eq!(a.take_all(&shares, SECOND).await, Ok(()));
        assert_eq!(a.take_all(&shares[1..], SECOND).await.map_err(|(index, _)| index), Err(0), "one is one");
        assert_eq!(a.take_all(&shares[..1], SECOND).await.map_err(|(index, _)| index), Err(0), "two of five");
        line.mend();
        assert_eq!(a.take_all(&shares, SECOND).await, Ok(()));
        assert_eq!(a.take_all(&[], SECOND).await, Ok(()));
    }

    #[tokio::test]
    async fn a_changed_limit_keeps_what_was_counted() {
        let limiter = MemoryLimiter::default();
        let take = async |limit| limiter.take(&counter(1), limit, SECOND, Duration::from_secs(5)).map(drop);
        for _ in 0..1_000 {
            assert_eq!(take(1_000).await, Ok(()));
        }
        assert!(take(1_000).await.is_err() && take(10).await.is_err());
        assert_eq!(take(1_001).await, Ok(()));
    }

    #[tokio::test]
    async fn memory_is_bounded_and_idle_windows_go_first() {
        let limiter = MemoryLimiter::with_room_for(SHARDS * 4);
        let take = async |number, now| limiter.take(&counter(number), 1, SECOND, Duration::from_millis(now));
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
        let take = async |counter: Counter, now| limiter.take(&counter, 1, SECOND, Duration::from_millis(now));
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
                            limiter.take(&counter, limit, SECOND, Duration::from_millis(7)).is_ok()
                        };
                        (0..1_000).filter(take).count()
                    })
                })
                .collect();
            let taken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(taken, limit as usize);
        }
    }
}
