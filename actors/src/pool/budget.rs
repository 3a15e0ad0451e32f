//! What a provider said is left of one of its limits.

use std::sync::atomic::{AtomicU64, Ordering};

use gpt_load_schema::time::Timestamp;

use super::Remaining;

/// Bits of a word that hold a value; above them is the order of the knowledge.
const VALUE_BITS: u32 = 42;
const VALUE_MAX: u64 = (1 << VALUE_BITS) - 1;
const ORDER_BITS: u32 = u64::BITS - VALUE_BITS;
/// Nothing is known.
const UNKNOWN: u64 = u64::MAX;

/// A limit as the newest answer told it.
///
/// Answers arrive in any order: what the answer to an earlier checkout says never replaces what a later one's said. The
/// two words are written one after the other, so for nanoseconds they may stem from two answers.
pub(crate) struct Budget {
    left: AtomicU64,
    /// Milliseconds since the epoch.
    reset: AtomicU64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: AtomicU64::new(UNKNOWN), reset: AtomicU64::new(UNKNOWN) }
    }
}

impl Budget {
    /// What is left, and until when that holds; `None` when nothing is known, or when the limit is whole again.
    pub(crate) fn left(&self, now: Timestamp) -> Option<(u64, Timestamp)> {
        let reset = self.reset.load(Ordering::Acquire);
        let until = Timestamp((reset & VALUE_MAX).cast_signed());
        (reset != UNKNOWN && until > now).then(|| (self.left.load(Ordering::Acquire) & VALUE_MAX, until))
    }

    /// Until when nothing is left.
    pub(crate) fn used_up_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.left(now).filter(|(left, _)| *left == 0).map(|(_, until)| until)
    }

    /// Takes note of what the answer to the checkout `order` says. Of two answers of unknown order (0) the worse counts.
    pub(crate) fn learn(&self, order: u32, remaining: &Remaining, now: Timestamp) {
        let reset = (now + remaining.reset_in).0.max(0).unsigned_abs();
        newest(&self.left, order, remaining.left, u64::min);
        newest(&self.reset, order, reset, u64::max);
    }
}

/// Writes `value` unless `word` holds the value of a later order; of the same order `choose` takes one.
fn newest(word: &AtomicU64, order: u32, value: u64, choose: fn(u64, u64) -> u64) {
    let is_unordered = order == 0;
    let (order, value) = (u64::from(order) & ((1 << ORDER_BITS) - 1), value.min(VALUE_MAX - 1));
    let _ = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |known| {
        let lag = order.wrapping_sub(known >> VALUE_BITS) & ((1 << ORDER_BITS) - 1);
        let value = match lag {
            _ if known == UNKNOWN => value,
            // Nobody knows that it is later, and it must not stand in the way of those that are.
            _ if is_unordered && known >> VALUE_BITS != 0 => return None,
            0 => choose(value, known & VALUE_MAX),
            _ if lag < 1 << (ORDER_BITS - 1) => value,
            _ => return None,
        };
        Some((order << VALUE_BITS) | value)
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn remaining(left: u64, seconds: u64) -> Remaining {
        Remaining { left, limit: None, reset_in: Duration::from_secs(seconds) }
    }

    #[test]
    fn what_is_left_holds_until_the_reset() {
        let budget = Budget::default();
        assert_eq!((budget.left(NOW), budget.used_up_until(NOW)), (None, None));
        budget.learn(1, &remaining(0, 9), NOW);
        let reset = NOW + Duration::from_secs(9);
        assert_eq!((budget.left(NOW), budget.used_up_until(NOW)), (Some((0, reset)), Some(reset)));
        assert_eq!((budget.left(reset), budget.used_up_until(reset)), (None, None));
        budget.learn(2, &Remaining { reset_in: Duration::MAX, ..remaining(u64::MAX, 0) }, NOW);
        assert!(budget.left(NOW).is_some_and(|(left, _)| left > 1 << 40));
    }

    #[test]
    fn an_answer_of_unknown_order_replaces_none_of_a_known_one() {
        let budget = Budget::default();
        budget.learn(3_000_000, &remaining(5, 9), NOW);
        budget.learn(0, &remaining(0, 9), NOW);
        assert_eq!(budget.left(NOW).map(|(left, _)| left), Some(5));
        budget.learn(3_000_001, &remaining(4, 9), NOW);
        assert_eq!(budget.left(NOW).map(|(left, _)| left), Some(4));
    }

    proptest! {
        #[test]
        fn the_latest_checkout_has_the_last_word(first in 0_u32..=u32::MAX, mut answers in prop::collection::vec((0_u32..1_000, 0_u64..99, 1_u64..99), 1..20)) {
            let budget = Budget::default();
            answers.sort_by_key(|(_, left, _)| *left);
            for (order, left, seconds) in &answers {
                budget.learn(first.wrapping_add(*order), &remaining(*left, *seconds), NOW);
            }
            let last = answers.iter().map(|(order, ..)| *order).max().expect("some");
            let latest = answers.iter().filter(|(order, ..)| *order == last);
            let left = latest.clone().map(|(_, left, _)| *left).min().expect("some");
            let seconds = latest.map(|(.., seconds)| *seconds).max().expect("some");
            prop_assert_eq!(budget.left(NOW), Some((left, NOW + Duration::from_secs(seconds))));
        }
    }
}
