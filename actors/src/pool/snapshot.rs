//! The immutable view of a pool from which the data path selects.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use gpt_load_schema::time::Timestamp;

use super::{
    slot::{Rotation, Slot},
    table::Table,
};

/// Keys that come back within this time, in milliseconds, stay in the rings, where they are skipped until the moment
/// comes; so a rebuild need not hit the moment.
pub(crate) const RETURN_LEAD_MS: i64 = 100;

/// All keys of a group by ascending id, and which of them take part in the rotation.
pub(crate) struct Snapshot {
    /// Every key of the pool.
    pub(crate) table: Table,
    /// Active keys.
    pub(crate) active: Ring,
    /// Pending and degraded keys.
    pub(crate) probation: Ring,
    /// Counts turns while both rings hold keys, so that each gets its share.
    pub(crate) turns: Cursor,
    /// The nearest return among the resting keys that are in no ring.
    pub(crate) nearest_return: Option<Timestamp>,
}

impl Snapshot {
    /// The rotation as it is `now`, continued where `before` stands.
    pub(crate) fn build(table: &Table, before: Option<&Self>, now: Timestamp) -> Self {
        let horizon = Timestamp(now.0.saturating_add(RETURN_LEAD_MS));
        let (mut active, mut probation, mut nearest_return) = (Vec::new(), Vec::new(), None::<Timestamp>);
        for (index, slot) in (0_u32..).zip(table.iter()) {
            let rotation = slot.rotation();
            if rotation == Rotation::Out {
                continue;
            }
            let rest = slot.resting_until();
            if rest > horizon {
                nearest_return = Some(nearest_return.map_or(rest, |nearest| nearest.min(rest)));
            } else if rotation == Rotation::Active {
                active.push(index);
            } else {
                probation.push(index);
            }
        }
        let ring = |slots: Vec<u32>, pick: fn(&Self) -> &Ring| {
            let next = before.and_then(|before| pick(before).next_slot(&before.table)).map(|slot| slot.id());
            let start = next.map_or(0, |id| slots.partition_point(|index| table.at(*index as usize).id() < id));
            Ring { slots: slots.into_boxed_slice(), cursor: Cursor::at(start) }
        };
        Self {
            active: ring(active, |snapshot| &snapshot.active),
            probation: ring(probation, |snapshot| &snapshot.probation),
            turns: Cursor::at(before.map_or(0, |before| before.turns.position())),
            nearest_return,
            table: table.clone(),
        }
    }
}

/// Keys that take turns.
pub(crate) struct Ring {
    slots: Box<[u32]>,
    cursor: Cursor,
}

impl Ring {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The key whose turn it is; the turn passes to the next.
    pub(crate) fn turn<'a>(&self, table: &'a Table) -> Option<&'a Arc<Slot>> {
        let position = self.cursor.advance().checked_rem(self.slots.len())?;
        Some(table.at(self.slots[position] as usize))
    }

    /// Every key of the ring, by ascending id.
    pub(crate) fn slots<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = &'a Arc<Slot>> {
        self.slots.iter().map(|index| table.at(*index as usize))
    }

    /// Index in the table of the key whose turn comes next.
    pub(crate) fn next_index(&self) -> Option<u32> {
        let position = self.cursor.position().checked_rem(self.slots.len())?;
        Some(self.slots[position])
    }

    /// Gives the next turn to the first key at or after `index` of the table.
    pub(crate) fn seek(&self, index: u32) {
        self.cursor.set(self.slots.partition_point(|slot| *slot < index));
    }

    fn next_slot<'a>(&self, table: &'a Table) -> Option<&'a Arc<Slot>> {
        self.next_index().map(|index| table.at(index as usize))
    }
}

/// A counter on a cache line of its own: every request moves it.
#[repr(align(64))]
pub(crate) struct Cursor(AtomicUsize);

impl Cursor {
    fn at(position: usize) -> Self {
        Self(AtomicUsize::new(position))
    }

    pub(crate) fn advance(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn position(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, position: usize) {
        self.0.store(position, Ordering::Relaxed);
    }
}
