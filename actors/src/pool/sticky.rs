//! The same key for the same user: consistent hashing with one point per key.
//!
//! Each request has some probes on the circle of all hashes, and the key whose point follows one of them most closely is
//! its owner (Appleton, O'Reilly: "Multi-probe consistent hashing", 2015). A key that leaves hands over its own requests
//! only, each to the key whose point was next closest, and gets them back when it returns. One point per key needs little
//! memory, and the probes keep the shares from becoming large.

use std::sync::Arc;

use super::{chance::scrambled, slot::Slot, table::Table};

/// Probes per request: with 16 no key gets more than about a quarter above the average.
const PROBES: usize = 16;

/// The keys of a table in the order of their points. Sorting a million of them takes a while, so it is kept as long as
/// the table stays the same.
#[derive(Default)]
pub(crate) struct Order {
    /// Point in the upper half, index in the table in the lower; ascending.
    points: Vec<u64>,
}

impl Order {
    pub(crate) fn of(table: &Table) -> Arc<Self> {
        let point = |(index, slot): (u32, &Arc<Slot>)| {
            (scrambled(slot.id().0.cast_unsigned()) & 0xFFFF_FFFF_0000_0000) | u64::from(index)
        };
        let mut points: Vec<u64> = (0_u32..).zip(table.iter()).map(point).collect();
        points.sort_unstable();
        Arc::new(Self { points })
    }

    /// Points and indices in the table.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.points.iter().map(|point| ((point >> 32) as u32, *point as u32))
    }
}

/// The points of some keys.
#[derive(Default)]
pub(crate) struct Circle {
    points: Box<[u32]>,
    slots: Box<[u32]>,
    /// For each value of a point's first bits, how many points are below: a lookup looks at one or two.
    starts: Box<[u32]>,
    /// Bits of a point that `starts` does not tell apart.
    shift: u32,
}

impl Circle {
    /// A circle of points and indices in the table, ascending by point.
    pub(crate) fn new(keys: Vec<(u32, u32)>) -> Self {
        let bits = (usize::BITS - keys.len().leading_zeros()).clamp(1, 24);
        let shift = u32::BITS - bits;
        let mut starts = vec![0_u32; (1 << bits) + 1];
        for (point, _) in &keys {
            starts[(point >> shift) as usize + 1] += 1;
        }
        let mut below = 0;
        for start in &mut starts {
            below += *start;
            *start = below;
        }
        let (points, slots): (Vec<u32>, Vec<u32>) = keys.into_iter().unzip();
        Self { points: points.into(), slots: slots.into(), starts: starts.into(), shift }
    }

    /// The owner of `hash`, then whoever takes over from it, and so on; each as an index in the table. Ends when every
    /// probe has been all around.
    pub(crate) fn owners(&self, hash: u64) -> Owners<'_> {
        let mut probes = [Probe::default(); PROBES];
        // In two passes, so that the processor fetches what all probes need at once instead of one after the other.
        for (number, probe) in (0..).zip(&mut probes) {
            probe.at = (scrambled(hash.wrapping_add(number)) >> 32) as u32;
            probe.next = self.starts.get((probe.at >> self.shift) as usize).map_or(0, |start| *start as usize);
        }
        for probe in &mut probes {
            while self.points.get(probe.next).is_some_and(|point| *point < probe.at) {
                probe.next += 1;
            }
            if probe.next == self.points.len() {
                probe.next = 0;
            }
        }
        Owners { circle: self, probes, last: None }
    }
}

#[derive(Clone, Copy, Default)]
struct Probe {
    at: u32,
    /// Position of the point that follows.
    next: usize,
    steps: usize,
}

/// See [`Circle::owners`].
pub(crate) struct Owners<'a> {
    circle: &'a Circle,
    probes: [Probe; PROBES],
    last: Option<usize>,
}

impl Iterator for Owners<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let circle = self.circle;
        if let Some(last) = self.last {
            for probe in self.probes.iter_mut().filter(|probe| probe.next == last) {
                probe.next = (probe.next + 1).checked_rem(circle.points.len())?;
                probe.steps += 1;
            }
        }
        let ahead = self.probes.iter().filter(|probe| probe.steps < circle.points.len());
        let closest = ahead.min_by_key(|probe| circle.points[probe.next].wrapping_sub(probe.at))?.next;
        self.last = Some(closest);
        circle.slots.get(closest).map(|index| *index as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn circle(keys: impl Iterator<Item = u32>) -> Circle {
        let mut points: Vec<(u32, u32)> = keys.map(|key| ((scrambled(key.into()) >> 32) as u32, key)).collect();
        points.sort_unstable();
        Circle::new(points)
    }

    #[test]
    fn no_key_gets_much_more_than_the_others() {
        let circle = circle(0..100);
        let mut hits = [0_u32; 100];
        for user in 0..100_000 {
            hits[circle.owners(scrambled(user)).next().expect("there are keys")] += 1;
        }
        assert!(hits.iter().all(|hits| (1..1_300).contains(hits)), "{hits:?}");
    }

    #[test]
    fn no_keys_no_owner() {
        assert_eq!(Circle::new(Vec::new()).owners(7).next(), None);
        assert_eq!(Circle::default().owners(7).next(), None);
    }

    proptest! {
        #[test]
        fn a_key_that_leaves_moves_only_its_own_share(keys in prop::collection::btree_set(0_u32..5_000, 2..60), gone in any::<prop::sample::Index>(), users in prop::collection::vec(any::<u64>(), 50)) {
            let gone = *gone.get(&keys.iter().copied().collect::<Vec<_>>());
            let (all, fewer) = (circle(keys.iter().copied()), circle(keys.iter().copied().filter(|key| *key != gone)));
            for user in users {
                let mut owners = all.owners(user).filter(|owner| *owner != gone as usize);
                prop_assert_eq!(owners.next(), fewer.owners(user).next(), "whoever takes over does so at once");
            }
        }

        #[test]
        fn everybody_is_asked_in_the_end(count in 1_u32..80, user in any::<u64>()) {
            let mut owners: Vec<usize> = circle(0..count).owners(user).collect();
            owners.sort_unstable();
            owners.dedup();
            prop_assert_eq!(owners.len(), count as usize);
        }
    }
}
