//! Tells faults of a key from faults of its upstream: others succeed where the key fails again and again.

use std::{collections::HashMap, sync::Arc};

use gpt_load_schema::ids::KeyId;

/// Other keys that must succeed while one fails.
const OTHERS: usize = 3;
/// Keys remembered per upstream for their success: enough others, whichever key asks.
const RECENT: usize = OTHERS + 1;
/// Upstreams remembered; a group has a few.
const UPSTREAMS: usize = 64;
/// Streaks remembered. Where so many keys fail it is no key's own fault.
const STREAKS: usize = 1 << 16;

/// Watches faults and successes of the keys of one group. "Before" and "since" mean the order of failures
/// ([`super::watch::Watch::failures`]): an attempt that began before a fault says nothing of what came after it.
#[derive(Default)]
pub(crate) struct Witness {
    upstreams: Vec<(Arc<str>, Vec<Success>)>,
    streaks: HashMap<(KeyId, usize), Streak>,
    /// Successes seen so far.
    seen: u64,
}

/// The last success of a key.
#[derive(Clone, Copy)]
struct Success {
    key: KeyId,
    /// Failures there had been when its attempt began.
    began: u64,
    /// Its number among the successes.
    number: u64,
}

/// Faults of one key at one upstream with no success of the key between.
struct Streak {
    /// Number of the first fault among all failures.
    since: u64,
    faults: u64,
    /// Successes seen at the last fault.
    seen: u64,
}

impl Witness {
    /// Whether no key has a streak.
    pub(crate) fn is_idle(&self) -> bool {
        self.streaks.is_empty()
    }

    /// A fault, the `number`th of all failures. Answers whether it is the key's own: the key has had `threshold` of them
    /// in a row and, since the first, at least three others succeeded. A fault counts when one of them did so since the
    /// fault before: what many requests in flight meet together counts once, and an outage counts for nothing.
    pub(crate) fn fault(&mut self, key: KeyId, upstream: &Arc<str>, number: u64, threshold: u64) -> bool {
        let index = self.upstream(upstream);
        if self.streaks.len() >= STREAKS {
            self.streaks.clear();
        }
        let seen = self.seen;
        let Some(streak) = self.streaks.get_mut(&(key, index)) else {
            self.streaks.insert((key, index), Streak { since: number, faults: 1, seen });
            return false;
        };
        let others = self.upstreams[index].1.iter().filter(|other| other.key != key && other.began >= streak.since);
        if others.clone().any(|other| other.number > streak.seen) {
            streak.faults = streak.faults.saturating_add(1);
        }
        streak.seen = seen;
        threshold > 0 && streak.faults >= threshold && others.count() >= OTHERS
    }

    /// A success whose attempt began after `began` failures; it ends the key's streaks.
    pub(crate) fn success(&mut self, key: KeyId, upstream: &Arc<str>, began: u64) {
        self.forget(key);
        if self.is_idle() {
            return;
        }
        let index = self.upstream(upstream);
        self.seen += 1;
        let success = Success { key, began, number: self.seen };
        let recent = &mut self.upstreams[index].1;
        if let Some(known) = recent.iter_mut().find(|known| known.key == key) {
            *known = Success { began: began.max(known.began), ..success };
        } else if recent.len() < RECENT {
            recent.push(success);
        } else if let Some(oldest) = recent.iter_mut().min_by_key(|known| (known.began, known.number))
            && oldest.began <= began
        {
            *oldest = success;
        }
    }

    /// The key is gone, or not what it was.
    pub(crate) fn forget(&mut self, key: KeyId) {
        if !self.streaks.is_empty() {
            (0..self.upstreams.len()).for_each(|index| _ = self.streaks.remove(&(key, index)));
        }
    }

    fn upstream(&mut self, upstream: &Arc<str>) -> usize {
        if let Some(index) = self.upstreams.iter().position(|(known, _)| known == upstream) {
            return index;
        }
        if self.upstreams.len() >= UPSTREAMS {
            *self = Self { seen: self.seen, ..Self::default() };
        }
        self.upstreams.push((upstream.clone(), Vec::new()));
        self.upstreams.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attempts one after the other, as the data path would tell them.
    #[derive(Default)]
    struct Story {
        witness: Witness,
        failures: u64,
    }

    impl Story {
        fn fails(&mut self, key: i64) -> bool {
            self.failures += 1;
            self.witness.fault(KeyId(key), &"http://up".into(), self.failures, 3)
        }

        fn succeeds(&mut self, key: i64) {
            self.witness.success(KeyId(key), &"http://up".into(), self.failures);
        }
    }

    #[test]
    fn a_key_that_fails_where_three_others_succeed_is_to_blame() {
        let mut story = Story::default();
        let mut found = Vec::new();
        for _ in 0..4 {
            found.push(story.fails(1));
            (2..=4).for_each(|key| story.succeeds(key));
        }
        assert_eq!(found, [false, false, true, true]);
        story.succeeds(1);
        assert!(!story.fails(1) && story.witness.streaks.len() == 1, "its own success ends the streak");
    }

    #[test]
    fn two_others_are_too_few() {
        let mut story = Story::default();
        for _ in 0..20 {
            assert!(!story.fails(1));
            (2..=3).for_each(|key| story.succeeds(key));
        }
    }

    #[test]
    fn an_outage_is_nobodys_fault_not_even_at_its_edges() {
        let mut story = Story::default();
        assert!((1..=5).all(|key| !story.fails(key)));
        // Answers that were under way when it began.
        for key in 1..=20 {
            story.witness.success(KeyId(100 + key), &"http://up".into(), 0);
        }
        for _ in 0..10 {
            assert!((1..=5).all(|key| !story.fails(key)));
        }
        // It is over; one key meets the last fault.
        (101..=110).for_each(|key| story.succeeds(key));
        assert!(!story.fails(1));
    }

    #[test]
    fn another_upstream_proves_nothing() {
        let mut story = Story::default();
        for _ in 0..9 {
            assert!(!story.fails(1));
            (2..=9).for_each(|key| story.witness.success(KeyId(key), &"http://other".into(), story.failures));
        }
    }

    #[test]
    fn a_threshold_of_zero_blames_nobody() {
        let mut witness = Witness::default();
        let upstream: Arc<str> = "http://up".into();
        for number in 1..9 {
            assert!(!witness.fault(KeyId(1), &upstream, number, 0));
            (2..=4).for_each(|key| witness.success(KeyId(key), &upstream, number));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut witness = Witness::default();
        for number in 0..200_000 {
            witness.fault(KeyId(number), &format!("http://up-{}", number % 100).into(), 1, 3);
            assert!(witness.streaks.len() <= STREAKS && witness.upstreams.len() <= UPSTREAMS);
        }
    }
}
