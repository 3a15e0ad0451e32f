//! Keys that take turns.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use gpt_load_schema::time::Timestamp;

use super::{slot::Slot, table::Table};

/// Keys by ascending id, and whose turn it is.
#[derive(Default)]
pub(crate) struct Ring {
    slots: Box<[u32]>,
    cursor: Cursor,
    /// Until when all of them rest, once that was found out.
    idle_until: AtomicI64,
}

impl Ring {
    /// A ring of keys by their indices in `table`, which continues with the turn of `next` or whoever follows it.
    pub(crate) fn new(slots: Vec<u32>, table: &Table, next: Option<&Arc<Slot>>) -> Self {
        let start = next.map_or(0, |next| slots.partition_point(|index| table.at(*index as usize).id() < next.id()));
        Self { slots: slots.into_boxed_slice(), cursor: Cursor::at(start), idle_until: AtomicI64::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Passes the turn and answers the position that had it, which may be beyond the last.
    pub(crate) fn advance(&self) -> usize {
        self.cursor.advance()
    }

    /// The key whose turn it is; the turn passes to the next.
    pub(crate) fn turn<'a>(&self, table: &'a Table) -> Option<&'a Arc<Slot>> {
        self.position(self.advance(), table)
    }

    /// The key at `position`, counted on from the first after the last; `None` when the ring is empty.
    pub(crate) fn position<'a>(&self, position: usize, table: &'a Table) -> Option<&'a Arc<Slot>> {
        let position = position.checked_rem(self.slots.len())?;
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

    /// The key whose turn comes next.
    pub(crate) fn next<'a>(&self, table: &'a Table) -> Option<&'a Arc<Slot>> {
        self.next_index().map(|index| table.at(index as usize))
    }

    /// Gives the next turn to the first key at or after `index` of the table.
    pub(crate) fn seek(&self, index: u32) {
        self.cursor.set(self.slots.partition_point(|slot| *slot < index));
    }

    /// Until when all keys of the ring rest; the epoch when that is not known.
    pub(crate) fn idle_until(&self) -> Timestamp {
        Timestamp(self.idle_until.load(Ordering::Relaxed))
    }

    /// All keys of the ring rest until then: nobody needs to look before.
    pub(crate) fn idle(&self, until: Timestamp) {
        self.idle_until.store(until.0, Ordering::Relaxed);
    }
}

/// A counter on a cache line of its own: every request moves it.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Cursor(AtomicUsize);

impl Cursor {
    pub(crate) fn at(position: usize) -> Self {
        Self(AtomicUsize::new(position))
    }

    pub(crate) fn advance(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn position(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, position: usize) {
        self.0.store(position, Ordering::Relaxed);
    }
}
