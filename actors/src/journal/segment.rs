//! One file of the journal, and who still needs it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

/// Sums over all segments of a journal.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Bytes in files.
    pub(super) bytes: AtomicU64,
    /// Files.
    pub(super) segments: AtomicU64,
    /// Records that are neither in a file nor in memory nor in the database.
    pub(super) lost: AtomicU64,
}

/// A file of records. It goes when it is closed and all of its records are settled.
#[derive(Debug)]
pub(crate) struct Segment {
    path: PathBuf,
    number: u32,
    totals: Arc<Totals>,
    bytes: AtomicU64,
    appended: AtomicU32,
    settled: AtomicU32,
    /// Records that wait here alone: there was no memory left for them.
    spilled: AtomicU32,
    closed: AtomicBool,
    /// The file is gone, or belongs to another `Segment` now.
    gone: AtomicBool,
}

impl Segment {
    /// A segment to append to.
    pub(super) fn begin(path: PathBuf, number: u32, totals: Arc<Totals>) -> Self {
        totals.segments.fetch_add(1, Ordering::Relaxed);
        Self {
            path,
            number,
            totals,
            bytes: AtomicU64::new(0),
            appended: AtomicU32::new(0),
            settled: AtomicU32::new(0),
            spilled: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }
    }

    /// A segment that is there already, with `records` to be settled.
    pub(super) fn found(path: PathBuf, number: u32, bytes: u64, records: u32, totals: Arc<Totals>) -> Self {
        let segment = Self::begin(path, number, totals);
        segment.totals.bytes.fetch_add(bytes, Ordering::Relaxed);
        segment.bytes.store(bytes, Ordering::Relaxed);
        segment.appended.store(records, Ordering::SeqCst);
        segment.closed.store(true, Ordering::SeqCst);
        segment
    }

    /// Its file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its place among the segments of its kind.
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// Size of its file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// `bytes` of a file's beginning were written.
    pub(super) fn grown(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.totals.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A record of `bytes` was written; answers its place.
    pub(super) fn appended(&self, bytes: u64) -> u32 {
        self.grown(bytes);
        self.appended.fetch_add(1, Ordering::SeqCst)
    }

    /// Whether no record of it waits for anything.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::SeqCst) >= self.appended.load(Ordering::SeqCst)
    }

    /// Whether its file is gone, or another's.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Whether it holds records that are nowhere else.
    pub(super) fn has_spilled(&self) -> bool {
        self.spilled.load(Ordering::SeqCst) > 0
    }

    /// Nothing will be appended any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.sweep();
    }

    /// Another `Segment` takes care of the file.
    pub(super) fn hand_over(&self) {
        if !self.gone.swap(true, Ordering::SeqCst) {
            self.forget();
        }
    }

    /// Gives the file up with all that waits in it.
    pub(super) fn discard(&self) {
        self.remove();
        self.totals.lost.fetch_add(u64::from(self.spilled.swap(0, Ordering::SeqCst)), Ordering::Relaxed);
    }

    fn settle(&self) {
        self.settled.fetch_add(1, Ordering::SeqCst);
        self.sweep();
    }

    /// Answers whether the record waits in the file, or was counted as lost with it.
    fn spill(&self) -> bool {
        self.spilled.fetch_add(1, Ordering::SeqCst);
        if !self.is_gone() {
            return true;
        }
        let uncounted = self.spilled.swap(0, Ordering::SeqCst);
        self.totals.lost.fetch_add(u64::from(uncounted.saturating_sub(1)), Ordering::Relaxed);
        uncounted == 0
    }

    fn sweep(&self) {
        if self.closed.load(Ordering::SeqCst) && self.is_settled() {
            self.remove();
        }
    }

    fn remove(&self) {
        if !self.gone.swap(true, Ordering::SeqCst) {
            if let Err(error) = fs::remove_file(&self.path) {
                // It is found at the next start, and what it holds proves to be in the database.
                tracing::warn!(%error, file = %self.path.display(), "a used-up file of the journal stays");
            }
            self.forget();
        }
    }

    fn forget(&self) {
        self.totals.bytes.fetch_sub(self.bytes(), Ordering::Relaxed);
        self.totals.segments.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Stands for one record in the journal, which is settled or spilled once, whoever holds clones of the ticket. A record
/// whose tickets are dropped stays there for the next start.
#[derive(Clone, Debug, Default)]
#[must_use = "a record stays in the journal until its ticket is settled"]
pub(crate) struct Ticket {
    segment: Option<Arc<Segment>>,
    place: u32,
}

impl Ticket {
    pub(super) fn new(segment: Arc<Segment>, place: u32) -> Self {
        Self { segment: Some(segment), place }
    }

    /// The record's position: it grows with every record of its kind that the node ever writes. `None` when the record is
    /// not in the journal.
    pub(crate) fn position(&self) -> Option<i64> {
        self.segment.as_ref().map(|segment| position(segment.number, self.place))
    }

    /// The record is where it belongs, or will never be.
    pub(crate) fn settle(mut self) {
        if let Some(segment) = self.segment.take() {
            segment.settle();
        }
    }

    /// The record is no longer in memory; answers whether the journal answers for it.
    pub(crate) fn spill(mut self) -> bool {
        self.segment.take().is_some_and(|segment| segment.spill())
    }
}

/// Position of a record by segment and place.
pub(super) fn position(number: u32, place: u32) -> i64 {
    i64::from(number) << 32 | i64::from(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &tempfile::TempDir) -> (PathBuf, Arc<Totals>) {
        let path = folder.path().join("segment");
        fs::write(&path, b"something").expect("a file");
        (path, Arc::default())
    }

    #[test]
    fn the_file_goes_with_the_last_record_after_the_close() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, totals) = file(&folder);
        let segment = Arc::new(Segment::begin(path.clone(), 3, totals.clone()));
        let tickets: Vec<Ticket> = (0..2).map(|_| Ticket::new(segment.clone(), segment.appended(10))).collect();
        assert_eq!(tickets[1].position(), Some((3 << 32) + 1));
        let mut tickets = tickets.into_iter();
        tickets.next().expect("two").settle();
        segment.close();
        assert!(path.exists());
        assert_eq!(totals.bytes.load(Ordering::Relaxed), 20);
        tickets.next().expect("two").settle();
        assert!(!path.exists());
        assert_eq!((totals.bytes.load(Ordering::Relaxed), totals.segments.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn a_ticket_that_is_dropped_keeps_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, totals) = file(&folder);
        let segment = Arc::new(Segment::begin(path.clone(), 0, totals));
        drop(Ticket::new(segment.clone(), segment.appended(1)));
        segment.close();
        assert!(path.exists());
    }

    #[test]
    fn what_waits_in_a_discarded_file_alone_is_lost_and_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, totals) = file(&folder);
        let segment = Arc::new(Segment::begin(path.clone(), 0, totals.clone()));
        let [first, second, third] = [0; 3].map(|_| Ticket::new(segment.clone(), segment.appended(1)));
        assert!(first.spill());
        segment.discard();
        assert!(!path.exists());
        assert_eq!(totals.lost.load(Ordering::Relaxed), 1);
        assert!(!second.spill(), "whoever asks counts it");
        third.settle();
        assert_eq!(totals.lost.load(Ordering::Relaxed), 1);
        assert!(!Ticket::default().spill());
    }
}
