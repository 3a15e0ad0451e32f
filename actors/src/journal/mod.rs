//! What this node owes the database, in files of its own, so that it outlives the process.
//!
//! Records are appended before the client has its answer, and settled when the database has what they say. A segment
//! file goes once all its records are settled; what is left at a start was owed by a process that was killed, and is
//! read again ([`Leftover`]). Reading something twice does no harm: log rows have ids, outcomes have positions, and both
//! are stored in one transaction with what they change.
//!
//! Two kinds of files, because they matter differently: when the journal is full the oldest log rows go first, outcomes last.
//!
//! A write that is handed to the operating system survives `kill -9`; how soon it survives a power failure too is what
//! [`Fsync`] says.

mod frame;
mod leftover;
mod segment;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::Serialize;

pub use self::leftover::Leftover;
pub(crate) use self::segment::Ticket;
use self::{
    segment::{Segment, Totals},
    stream::Stream,
};

/// Size of a segment, unless the journal is small.
const SEGMENT_BYTES: u64 = 8 << 20;
/// Even a small journal has this many segments, so that making room does not cost much of it.
const SEGMENTS: u64 = 16;
/// An idle segment is kept until it has this size: files come and go seldom.
const IDLE_BYTES: u64 = 256 << 10;
/// Wait after a failed write: the disk is full, and each try costs time of a request.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// Interval of [`Fsync::Interval`], and of looking after idle segments.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A row of the request log.
    Log,
    /// The outcome of an attempt with a key.
    Outcome,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Log, Self::Outcome];

    /// The word in file names.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Outcome => "outcome",
        }
    }
}

/// When records reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// When the operating system writes them.
    Never,
    /// Every second.
    Interval,
    /// Before the answer goes out; costs every request a wait for the disk.
    Always,
}

/// Where the journal is and how large it may grow.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Its folder; made when it is not there. Belongs to one process at a time.
    pub folder: PathBuf,
    /// When records reach the disk.
    pub fsync: Fsync,
    /// Size over all files, in bytes, exceeded by at most one record.
    pub max_bytes: u64,
}

/// What the journal holds and what it lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Bytes in files.
    pub bytes: u64,
    /// Files.
    pub segments: u64,
    /// Log rows that neither the journal nor memory had room for.
    pub lost: u64,
    /// Records that could not be written, for instance because the disk is full; they were in memory only.
    pub unwritten: u64,
    /// Records of earlier runs that were read again.
    pub replayed: u64,
    /// Records of earlier runs that could not be read.
    pub unreadable: u64,
}

/// The journal of a node.
pub struct Journal {
    /// `None` = nothing is kept.
    inner: Option<Inner>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    unwritten: AtomicU64,
    replayed: AtomicU64,
    unreadable: AtomicU64,
}

struct Inner {
    options: JournalOptions,
    node: String,
    run: u32,
    totals: Arc<Totals>,
    streams: Mutex<Streams>,
}

struct Streams {
    logs: Stream,
    outcomes: Stream,
    /// No write is tried before.
    paused_until: Option<Instant>,
    /// Held as long as the process has the folder; `None` once it is closed.
    lock: Option<File>,
}

impl Streams {
    const fn of(&mut self, kind: Kind) -> &mut Stream {
        match kind {
            Kind::Log => &mut self.logs,
            Kind::Outcome => &mut self.outcomes,
        }
    }
}

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has the folder.
    #[error("another process uses the journal in {}; give each node a DATA_DIR of its own", .0.display())]
    InUse(PathBuf),
    /// The folder cannot be read or written.
    #[error("the journal in {} cannot be used: {source}; DATA_DIR must be a folder that GPT-Load may write to", .folder.display())]
    Unusable {
        /// The journal's folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Journal {
    /// A journal that keeps nothing.
    pub fn disabled() -> Arc<Self> {
        Arc::new(Self { inner: None, counters: Counters::default() })
    }

    /// Opens the journal, with what an earlier process left in it. Blocks for as long as listing the folder takes.
    ///
    /// # Errors
    /// When another process has the folder, or when it cannot be read and written. Damaged files are no error.
    pub fn open(options: JournalOptions) -> Result<(Arc<Self>, Vec<Leftover>), JournalError> {
        let folder = options.folder.clone();
        let unusable = |source| JournalError::Unusable { folder: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(unusable)?;
        let lock = File::options().create(true).append(true).open(folder.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(JournalError::InUse(folder)),
            Err(fs::TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let node = node_id(&folder).map_err(unusable)?;
        let found = segments_in(&folder).map_err(unusable)?;
        let next = |kind| found.iter().filter(|(k, ..)| *k == kind).map(|(_, number, _)| number + 1).max().unwrap_or(0);
        let next = next_number(&folder, next(Kind::Log).max(next(Kind::Outcome))).map_err(unusable)?;
        let totals = Arc::<Totals>::default();
        let segment_bytes = (options.max_bytes / SEGMENTS).clamp(64 << 10, SEGMENT_BYTES);
        let stream = |kind| Stream::new(kind, folder.clone(), Arc::clone(&totals), segment_bytes, next);
        let streams =
            Streams { logs: stream(Kind::Log), outcomes: stream(Kind::Outcome), paused_until: None, lock: Some(lock) };
        let leftovers = found.into_iter().map(|(kind, number, path)| Leftover::new(kind, number, path)).collect();
        let inner = Inner { options, node, run: next, totals: Arc::clone(&totals), streams: Mutex::new(streams) };
        let journal = Arc::new(Self { inner: Some(inner), counters: Counters::default() });
        keep_house(&journal).map_err(unusable)?;
        Ok((journal, leftovers))
    }

    /// Appends a record. When that fails the record is not in the journal, which is counted, and its ticket says so.
    pub(crate) fn append(&self, kind: Kind, record: &impl Serialize) -> Ticket {
        let Some(inner) = &self.inner else { return Ticket::default() };
        let mut streams = inner.streams.lock();
        if streams.lock.is_none() || streams.paused_until.is_some_and(|until| Instant::now() < until) {
            self.counters.unwritten.fetch_add(1, Ordering::Relaxed);
            return Ticket::default();
        }
        let appended = streams.of(kind).append(record).and_then(|ticket| {
            if inner.options.fsync == Fsync::Always
                && let Some(file) = streams.of(kind).file()
            {
                file.sync_data()?;
            }
            Ok(ticket)
        });
        match appended {
            Ok(ticket) => {
                if streams.paused_until.take().is_some() {
                    tracing::info!("the journal can be written again");
                }
                inner.make_room(&mut streams);
                ticket
            }
            Err(error) => {
                self.counters.unwritten.fetch_add(1, Ordering::Relaxed);
                if streams.paused_until.is_none() {
                    tracing::error!(
                        %error,
                        folder = %inner.options.folder.display(),
                        "the journal cannot be written: until it can, a kill costs what the database does not have yet"
                    );
                }
                streams.paused_until = Some(Instant::now() + AFTER_ERROR);
                Ticket::default()
            }
        }
    }

    /// Name of the node in proofs: stays the same for as long as its journal does.
    pub(crate) fn node(&self) -> Option<&str> {
        self.inner.as_ref().map(|inner| inner.node.as_str())
    }

    /// Grows with each start of the node; 0 without a journal.
    pub(crate) fn run(&self) -> u32 {
        self.inner.as_ref().map_or(0, |inner| inner.run)
    }

    /// Takes the oldest log segment that holds rows which memory had no room for.
    pub(crate) fn take_spilled(&self) -> Option<Leftover> {
        let mut streams = self.inner.as_ref()?.streams.lock();
        let segment = streams.logs.take_spilled()?;
        segment.hand_over();
        Some(Leftover::new(Kind::Log, segment.number(), segment.path().to_owned()))
    }

    /// What the journal holds and what it lost.
    pub fn stats(&self) -> JournalStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let totals =
            |pick: fn(&Totals) -> &AtomicU64| self.inner.as_ref().map_or(0, |inner| count(pick(&inner.totals)));
        JournalStats {
            bytes: totals(|totals| &totals.bytes),
            segments: totals(|totals| &totals.segments),
            lost: totals(|totals| &totals.lost),
            unwritten: count(&self.counters.unwritten),
            replayed: count(&self.counters.replayed),
            unreadable: count(&self.counters.unreadable),
        }
    }

    /// Closes the files, of which those go in which nothing waits, and gives the folder back. Later records are not kept.
    pub(crate) fn close(&self) {
        if let Some(inner) = &self.inner {
            let mut streams = inner.streams.lock();
            Kind::ALL.into_iter().for_each(|kind| streams.of(kind).close());
            streams.lock = None;
        }
    }

    fn sync(&self) {
        let Some(inner) = &self.inner else { return };
        if inner.options.fsync == Fsync::Interval {
            let files = {
                let mut streams = inner.streams.lock();
                Kind::ALL.map(|kind| streams.of(kind).file())
            };
            for file in files.into_iter().flatten() {
                if let Err(error) = file.sync_data() {
                    tracing::error!(%error, "the journal did not reach the disk");
                }
            }
        }
        let mut streams = inner.streams.lock();
        Kind::ALL.into_iter().for_each(|kind| streams.of(kind).tidy(IDLE_BYTES));
    }

    fn adopt(&self, kind: Kind, segment: &Arc<Segment>) {
        if let Some(inner) = &self.inner {
            let mut streams = inner.streams.lock();
            streams.of(kind).adopt(Arc::clone(segment));
            inner.make_room(&mut streams);
        }
    }

    fn totals(&self) -> Arc<Totals> {
        self.inner.as_ref().map(|inner| Arc::clone(&inner.totals)).unwrap_or_default()
    }
}

impl Inner {
    fn make_room(&self, streams: &mut Streams) {
        while self.totals.bytes.load(Ordering::Relaxed) > self.options.max_bytes {
            if !streams.logs.discard_oldest() && !streams.outcomes.discard_oldest() {
                break;
            }
        }
    }
}

/// The folder's segments, oldest first.
fn segments_in(folder: &Path) -> io::Result<Vec<(Kind, u32, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some((kind, number)) = stream::parse_name(&path) {
            found.push((kind, number, path));
        }
    }
    found.sort_by_key(|(_, number, _)| *number);
    Ok(found)
}

/// The node's own name, made at the first start.
fn node_id(folder: &Path) -> io::Result<String> {
    let file = folder.join("node");
    match fs::read_to_string(&file) {
        Ok(text) if uuid::Uuid::try_parse(text.trim()).is_ok() => Ok(text.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        // A name that was not written whole was never used.
        _ => {
            let name = uuid::Uuid::now_v7().to_string();
            replace(&file, &name)?;
            Ok(name)
        }
    }
}

/// Numbers must grow even when no file is left that would tell the last one: every start takes a fresh range.
fn next_number(folder: &Path, above_files: u32) -> io::Result<u32> {
    const RANGE: u32 = 1 << 16;
    let file = folder.join("next");
    let stored: u32 = match fs::read_to_string(&file) {
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let next = stored.max(above_files);
    let reserved = next.checked_add(RANGE).ok_or_else(|| io::Error::other("no numbers are left; remove the folder"))?;
    replace(&file, &reserved.to_string())?;
    Ok(next)
}

/// Writes a small file so that a kill leaves the old one or the new one.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, file)
}

/// Lets records reach the disk and idle files go, until the journal is no more.
fn keep_house(journal: &Arc<Journal>) -> io::Result<()> {
    let journal: Weak<Journal> = Arc::downgrade(journal);
    let work = move || {
        loop {
            thread::sleep(SYNC_EVERY);
            match journal.upgrade() {
                Some(journal) => journal.sync(),
                None => break,
            }
        }
    };
    thread::Builder::new().name("journal".to_owned()).spawn(work).map(drop)
}
