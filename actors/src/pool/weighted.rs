//! Keys by weight.

use super::chance;

/// Weights are at most this.
const MOST: usize = 100;

/// Draws keys in proportion to their weights, in a time that does not depend on their number: keys of one weight stand
/// together, so a draw finds its weight among at most a hundred and then counts.
#[derive(Default)]
pub(crate) struct Weighted {
    /// Indices in the table, by ascending weight.
    keys: Box<[u32]>,
    classes: Box<[Class]>,
    total: u64,
}

/// Keys of one weight.
struct Class {
    weight: u64,
    /// Weight of all keys before.
    before: u64,
    /// Keys before.
    start: usize,
}

impl Weighted {
    /// For keys by their indices in the table, with weights of 1–100.
    pub(crate) fn new(indices: &[u32], weight: impl Fn(u32) -> u8) -> Self {
        let class = |index: u32| usize::from(weight(index)).clamp(1, MOST);
        let mut counts = [0_usize; MOST + 1];
        indices.iter().for_each(|index| counts[class(*index)] += 1);
        let (mut classes, mut starts, mut start, mut total) = (Vec::new(), [0; MOST + 1], 0, 0);
        for (weight, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            classes.push(Class { weight: weight as u64, before: total, start });
            starts[weight] = start;
            start += count;
            total += (weight * count) as u64;
        }
        let mut keys = vec![0; indices.len()];
        for index in indices {
            let place = &mut starts[class(*index)];
            if let Some(key) = keys.get_mut(*place) {
                *key = *index;
            }
            *place += 1;
        }
        Self { keys: keys.into_boxed_slice(), classes: classes.into_boxed_slice(), total }
    }

    /// Index of the key that `number`, of all numbers, falls to; `None` when there are no keys.
    pub(crate) fn draw(&self, number: u64) -> Option<usize> {
        let point = chance::below(self.total, number);
        let class = self.classes.partition_point(|class| class.before <= point).checked_sub(1)?;
        let Class { weight, before, start } = self.classes[class];
        let place = start + usize::try_from((point - before) / weight).unwrap_or(0);
        self.keys.get(place).map(|index| *index as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(weights: &[u8]) -> Weighted {
        let indices: Vec<u32> = (0..).zip(weights).map(|(index, _)| index).collect();
        Weighted::new(&indices, |index| weights[index as usize])
    }

    #[test]
    fn no_keys_no_draw() {
        assert_eq!(of(&[]).draw(u64::MAX), None);
        assert_eq!(Weighted::default().draw(0), None);
    }

    proptest! {
        #[test]
        fn every_key_has_its_share(weights in prop::collection::vec(1_u8..=100, 1..60)) {
            let weighted = of(&weights);
            let total: u64 = weights.iter().copied().map(u64::from).sum();
            let mut hits = vec![0_u64; weights.len()];
            for part in 0..total {
                // The middle of each part of the range that is one weight wide.
                let number = u64::MAX / total * part + u64::MAX / total / 2;
                hits[weighted.draw(number).expect("there are keys")] += 1;
            }
            prop_assert_eq!(hits, weights.iter().copied().map(u64::from).collect::<Vec<_>>());
        }

        #[test]
        fn a_run_of_draws_is_close_to_the_shares(weights in prop::collection::vec(1_u8..=100, 1..20), first in any::<u64>()) {
            let weighted = of(&weights);
            let total: f64 = weights.iter().copied().map(f64::from).sum();
            let mut hits = vec![0.0_f64; weights.len()];
            for step in 0..2_000 {
                hits[weighted.draw(chance::spread(first.wrapping_add(step))).expect("there are keys")] += 1.0;
            }
            for (hits, weight) in hits.iter().zip(&weights) {
                prop_assert!((hits - 2_000.0 * f64::from(*weight) / total).abs() < 20.0);
            }
        }
    }
}
