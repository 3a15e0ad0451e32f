//! The segments of one kind of records: one that is written to, and closed ones.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use super::{
    Kind,
    frame::{HEAD, MAGIC, complete},
    segment::{Segment, Ticket, Totals},
};

/// Extension of segment files.
const EXTENSION: &str = "journal";
/// Records are written from this buffer; one that a large record has grown beyond is given back.
const BUFFER: usize = 128 * 1024;

/// Writes records of one kind.
pub(super) struct Stream {
    kind: Kind,
    folder: PathBuf,
    totals: Arc<Totals>,
    /// A segment of this size is closed.
    segment_bytes: u64,
    next_number: u32,
    active: Option<Active>,
    closed: VecDeque<Arc<Segment>>,
    buffer: Vec<u8>,
}

struct Active {
    file: Arc<File>,
    segment: Arc<Segment>,
}

impl Stream {
    pub(super) fn new(kind: Kind, folder: PathBuf, totals: Arc<Totals>, segment_bytes: u64, next_number: u32) -> Self {
        Self {
            kind,
            folder,
            totals,
            segment_bytes,
            next_number,
            active: None,
            closed: VecDeque::new(),
            buffer: Vec::with_capacity(BUFFER),
        }
    }

    /// Writes a record; after an error nothing of it counts, and the next one goes to a new file.
    pub(super) fn append(&mut self, record: &impl Serialize) -> io::Result<Ticket> {
        self.encode(record)?;
        self.begin_segment()?;
        let Some(Active { file, segment }) = &self.active else {
            return Err(io::Error::other("the journal has no file"));
        };
        if let Err(error) = (&**file).write_all(&self.buffer) {
            self.close();
            return Err(error);
        }
        let place = segment.appended(self.buffer.len() as u64);
        let ticket = Ticket::new(Arc::clone(segment), place);
        if segment.bytes() >= self.segment_bytes {
            self.close();
        }
        Ok(ticket)
    }

    /// Closes the segment that is written to, if any.
    pub(super) fn close(&mut self) {
        if let Some(Active { segment, .. }) = self.active.take() {
            self.closed.retain(|segment| !segment.is_gone());
            self.closed.push_back(Arc::clone(&segment));
            segment.close();
        }
    }

    /// Closes a segment of some size in which nothing waits, so that its file goes.
    pub(super) fn tidy(&mut self, min_bytes: u64) {
        let is_idle = |active: &Active| active.segment.bytes() >= min_bytes && active.segment.is_settled();
        if self.active.as_ref().is_some_and(is_idle) {
            self.close();
        }
    }

    /// A segment of an earlier run, or one whose records were read again, is one of this stream.
    pub(super) fn adopt(&mut self, segment: Arc<Segment>) {
        let place = self.closed.partition_point(|other| other.number() < segment.number());
        self.closed.insert(place, segment);
    }

    /// Gives up the oldest closed segment; answers whether there was one.
    pub(super) fn discard_oldest(&mut self) -> bool {
        while let Some(oldest) = self.closed.pop_front() {
            if !oldest.is_gone() {
                tracing::error!(
                    file = %oldest.path().display(),
                    "the journal is full (JOURNAL_MAX_BYTES): its oldest records go"
                );
                oldest.discard();
                return true;
            }
        }
        false
    }

    /// Takes the oldest segment out that holds records which are nowhere else; one that is written to is closed for it.
    pub(super) fn take_spilled(&mut self) -> Option<Arc<Segment>> {
        if self.active.as_ref().is_some_and(|active| active.segment.has_spilled()) {
            self.close();
        }
        let place = self.closed.iter().position(|segment| segment.has_spilled() && !segment.is_gone())?;
        self.closed.remove(place)
    }

    /// The file that is written to.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.active.as_ref().map(|active| Arc::clone(&active.file))
    }

    fn encode(&mut self, record: &impl Serialize) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER);
        self.buffer.resize(HEAD, 0);
        let buffer = std::mem::take(&mut self.buffer);
        self.buffer = postcard::to_extend(record, buffer).map_err(io::Error::other)?;
        complete(&mut self.buffer).ok_or_else(|| io::Error::other("a record is too long for the journal"))
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        if self.active.is_some() {
            return Ok(());
        }
        let number = self.next_number;
        self.next_number = number.checked_add(1).ok_or_else(|| io::Error::other("the journal has no number left"))?;
        let path = self.folder.join(file_name(self.kind, number));
        let mut file = File::options().append(true).create_new(true).open(&path)?;
        let segment = Arc::new(Segment::begin(path, number, Arc::clone(&self.totals)));
        if let Err(error) = file.write_all(&MAGIC) {
            segment.close();
            return Err(error);
        }
        segment.grown(MAGIC.len() as u64);
        self.active = Some(Active { file: Arc::new(file), segment });
        Ok(())
    }
}

/// `<kind>-<number>.journal`; the numbers sort like text.
fn file_name(kind: Kind, number: u32) -> String {
    format!("{}-{number:010}.{EXTENSION}", kind.as_str())
}

/// Kind and number of a segment by its file name; `None` for any other file.
pub(super) fn parse_name(path: &Path) -> Option<(Kind, u32)> {
    let (kind, number) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    let number: u32 = number.parse().ok()?;
    (path.file_name()?.to_str()? == file_name(kind, number)).then_some((kind, number))
}
