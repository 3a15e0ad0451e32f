//! At most so many in any stretch of time: a sliding window without a lock.

#[cfg(test)]
mod tests;

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use gpt_load_schema::time::Timestamp;

/// Cells of a large window: what a limit may cost in memory, 2 KiB.
const CELLS: u64 = 256;
/// The greatest limit that is told from none.
const GREATEST: u64 = CELLS * MAX_COUNT;

const COUNT_BITS: u32 = 20;
const MAX_COUNT: u64 = (1 << COUNT_BITS) - 1;
const LAP_BITS: u32 = 2;
const MAX_TIME: i64 = (1 << (u64::BITS - COUNT_BITS - LAP_BITS)) - 1;

/// Admits at most `limit` takers in any window of time; exact, from any number of threads, whatever their order.
///
/// The last `limit` takings are remembered in a ring of cells. A cell is used again when all its takings have left the
/// window, so takings within one window are all in different places, of which there are `limit`. Up to 256 places have a
/// cell of their own; of a greater limit several share one, and a shared cell becomes free as a whole: such a
/// limit is never exceeded either, but a place may be given a little later than it could be.
///
/// A clock that is set back by more than the window starts afresh.
#[derive(Debug)]
pub struct SlidingWindow {
    limit: u64,
    window_ms: i64,
    /// Cells entered so far.
    head: AtomicUsize,
    cells: Box<[AtomicU64]>,
}

impl SlidingWindow {
    /// A window that has admitted nobody yet. A limit of 0 admits nobody ever; one above 268 million counts as that.
    pub fn new(limit: u64, window: Duration) -> Self {
        let cells = limit.min(GREATEST).div_ceil(share(limit));
        Self {
            limit,
            window_ms: i64::try_from(window.as_millis()).unwrap_or(i64::MAX),
            head: AtomicUsize::new(0),
            cells: (0..cells).map(|_| AtomicU64::new(Cell::NEVER.packed())).collect(),
        }
    }

    /// How many it admits in any window.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes a place.
    ///
    /// # Errors
    ///
    /// When none is left: the moment from which one is.
    pub fn try_take(&self, now: Timestamp) -> Result<(), Timestamp> {
        loop {
            let head = self.head.load(Ordering::Acquire);
            let Some((index, cell, packed)) = self.cell(head) else { return Err(self.after(now.0)) };
            let taken = if cell.lap != lap(head, self.cells.len()) {
                if let Some(free) = self.free_at(&cell, now) {
                    if self.head.load(Ordering::Acquire) != head {
                        continue;
                    }
                    return Err(free);
                }
                Cell { time: clamped(now), lap: lap(head, self.cells.len()), count: 1 }
            } else if cell.count < self.places(index) {
                Cell { time: cell.time.max(clamped(now)), count: cell.count + 1, ..cell }
            } else {
                let _ = self.head.compare_exchange(head, head.wrapping_add(1), Ordering::AcqRel, Ordering::Acquire);
                continue;
            };
            if self.cells[index].compare_exchange(packed, taken.packed(), Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Ok(());
            }
        }
    }

    /// When a place can be taken: `None` = now.
    pub fn next_free(&self, now: Timestamp) -> Option<Timestamp> {
        let head = self.head.load(Ordering::Acquire);
        let Some((index, cell, _)) = self.cell(head) else { return Some(self.after(now.0)) };
        if cell.lap != lap(head, self.cells.len()) {
            return self.free_at(&cell, now);
        }
        if cell.count < self.places(index) {
            return None;
        }
        self.cell(head.wrapping_add(1)).and_then(|(_, next, _)| self.free_at(&next, now))
    }

    fn cell(&self, head: usize) -> Option<(usize, Cell, u64)> {
        let index = head.checked_rem(self.cells.len())?;
        let packed = self.cells[index].load(Ordering::Acquire);
        Some((index, Cell::unpacked(packed), packed))
    }

    /// Places in a cell: all have the same number, but for the last, which has what remains.
    fn places(&self, index: usize) -> u64 {
        let (limit, share) = (self.limit.min(GREATEST), share(self.limit));
        if index + 1 == self.cells.len() { limit - share * (self.cells.len() as u64 - 1) } else { share }
    }

    /// When the takings in `cell` have left the window; `None` = they have.
    fn free_at(&self, cell: &Cell, now: Timestamp) -> Option<Timestamp> {
        let free = self.after(cell.time);
        let is_of_the_future = cell.time > clamped(now).saturating_add(self.window_ms);
        (cell.count > 0 && free > now && !is_of_the_future).then_some(free)
    }

    fn after(&self, time: i64) -> Timestamp {
        Timestamp(time.saturating_add(self.window_ms))
    }
}

/// Places per cell.
fn share(limit: u64) -> u64 {
    limit.min(GREATEST).div_ceil(CELLS).max(1)
}

fn clamped(now: Timestamp) -> i64 {
    now.0.clamp(0, MAX_TIME)
}

/// Tells a cell that was entered in this round of the ring from one that was entered in the round before.
fn lap(head: usize, cells: usize) -> u64 {
    (head / cells.max(1)) as u64 & ((1 << LAP_BITS) - 1)
}

/// Takings that share a cell.
#[derive(Clone, Copy)]
struct Cell {
    /// The last of them, in milliseconds.
    time: i64,
    lap: u64,
    count: u64,
}

impl Cell {
    /// Of the round before the first.
    const NEVER: Self = Self { time: 0, lap: (1 << LAP_BITS) - 1, count: 0 };

    const fn packed(self) -> u64 {
        (self.time.unsigned_abs() << (COUNT_BITS + LAP_BITS)) | (self.lap << COUNT_BITS) | self.count
    }

    const fn unpacked(packed: u64) -> Self {
        Self {
            time: (packed >> (COUNT_BITS + LAP_BITS)).cast_signed(),
            lap: (packed >> COUNT_BITS) & ((1 << LAP_BITS) - 1),
            count: packed & MAX_COUNT,
        }
    }
}
