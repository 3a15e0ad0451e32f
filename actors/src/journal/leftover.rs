//! A segment whose records are to be read again.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use serde::de::DeserializeOwned;

use super::{
    Journal, Kind,
    frame::{End, scan},
    segment::{Segment, Ticket, position},
};

/// A segment of an earlier process, or one that holds what memory had no room for.
#[derive(Debug)]
pub struct Leftover {
    kind: Kind,
    number: u32,
    path: PathBuf,
}

impl Leftover {
    pub(super) const fn new(kind: Kind, number: u32, path: PathBuf) -> Self {
        Self { kind, number, path }
    }

    /// What its records are about.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Position of its first record.
    pub(crate) fn first_position(&self) -> i64 {
        position(self.number, 0)
    }

    /// Reads its records; each waits in the journal until its ticket is settled. Bytes that are no records are kept aside
    /// in a file of their own, and counted. Blocks for as long as reading takes: a segment has some MiB.
    pub(crate) fn read<R: DeserializeOwned>(self, journal: &Journal) -> io::Result<Vec<(R, Ticket)>> {
        let bytes = fs::read(&self.path)?;
        let scan = scan(&bytes);
        let mut unreadable = scan.damaged;
        let records: Vec<(u32, R)> = scan
            .records
            .into_iter()
            .filter_map(|(place, record)| match postcard::from_bytes(record) {
                Ok(record) => Some((place, record)),
                Err(_) => {
                    unreadable += 1;
                    None
                }
            })
            .collect();
        if scan.end == End::Corrupt || unreadable > 0 {
            let aside = self.path.with_extension("damaged");
            fs::copy(&self.path, &aside)?;
            unreadable += u32::from(scan.end == End::Corrupt);
            tracing::error!(
                file = %aside.display(),
                read = records.len(),
                unreadable,
                "a file of the journal is damaged: what is readable is used, the file is kept for a look"
            );
        }
        journal.counters.unreadable.fetch_add(u64::from(unreadable), Ordering::Relaxed);
        journal.counters.replayed.fetch_add(records.len() as u64, Ordering::Relaxed);
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let size = bytes.len() as u64;
        let segment = Arc::new(Segment::found(self.path, self.number, size, count, journal.totals()));
        journal.adopt(self.kind, &segment);
        if records.is_empty() {
            segment.close();
        }
        Ok(records.into_iter().map(|(place, record)| (record, Ticket::new(Arc::clone(&segment), place))).collect())
    }
}
