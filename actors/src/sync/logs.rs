//! Request-log rows on their way to the database.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
};

use gpt_load_schema::log::RequestLog;
use parking_lot::Mutex;

use crate::journal::Ticket;

/// Memory for waiting rows.
pub(crate) const DEFAULT_MAX_BYTES: usize = 256 * 1024 * 1024;

/// The waiting rows, bounded by their memory: when it is used up the oldest rows wait in the journal alone; without one
/// they go, and are counted.
pub(crate) struct LogQueue {
    inner: Mutex<Inner>,
    max_bytes: usize,
    waiting: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Inner {
    rows: VecDeque<(RequestLog, Ticket)>,
    bytes: usize,
}

impl LogQueue {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            inner: Mutex::default(),
            max_bytes,
            waiting: AtomicU64::new(0),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Queues a row; answers how many wait for a commit.
    pub(crate) fn push(&self, row: RequestLog, ticket: Ticket) -> usize {
        let size = size_of_row(&row);
        let mut inner = self.inner.lock();
        inner.rows.push_back((row, ticket));
        inner.bytes += size;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        while inner.bytes > self.max_bytes {
            let Some((oldest, ticket)) = inner.rows.pop_front() else { break };
            inner.bytes -= size_of_row(&oldest);
            if ticket.spill() {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
            } else {
                self.lost(1);
            }
        }
        inner.rows.len()
    }

    /// Takes the oldest rows for a commit: at most `limit`, and no more than fit into `max_bytes`, but at least one.
    pub(crate) fn take(&self, limit: usize, max_bytes: usize) -> (Vec<RequestLog>, Vec<Ticket>) {
        let inner = &mut *self.inner.lock();
        let mut bytes = 0;
        let fits = |(row, _): &&(RequestLog, Ticket)| {
            bytes += size_of_row(row);
            bytes <= max_bytes
        };
        let fitting = inner.rows.iter().take(limit).take_while(fits).count();
        let (rows, tickets): (Vec<RequestLog>, Vec<Ticket>) =
            inner.rows.drain(..fitting.max(1).min(inner.rows.len())).unzip();
        inner.bytes -= rows.iter().map(size_of_row).sum::<usize>();
        (rows, tickets)
    }

    /// Rows that no commit holds yet.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().rows.len()
    }

    /// `rows` of a commit are in the database.
    pub(crate) fn stored(&self, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.waiting.fetch_sub(rows, Ordering::Relaxed);
        self.written.fetch_add(rows, Ordering::Relaxed);
    }

    /// `rows` will never be in the database.
    pub(crate) fn lost(&self, rows: u64) {
        self.waiting.fetch_sub(rows, Ordering::Relaxed);
        self.dropped.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rows waiting (those of an unfinished commit included), written, dropped.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.waiting), count(&self.written), count(&self.dropped))
    }
}

/// Roughly the memory of a row, in bytes.
fn size_of_row(row: &RequestLog) -> usize {
    let texts = [
        &row.group_name,
        &row.model,
        &row.source_ip,
        &row.request_path,
        &row.error_message,
        &row.user_agent,
        &row.upstream_addr,
        &row.request_body,
    ];
    let optional = [&row.upstream_model, &row.evidence, &row.finish_reason];
    size_of::<RequestLog>()
        + texts.iter().map(|text| text.len()).sum::<usize>()
        + optional.iter().filter_map(|text| text.as_ref()).map(String::len).sum::<usize>()
        + row.parent.as_ref().map_or(0, |(_, name)| name.len())
        + row.key.as_ref().map_or(0, |(_, secret)| secret.expose().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::log_row;

    #[test]
    fn the_oldest_rows_make_room_and_are_counted() {
        let size = size_of_row(&log_row(0));
        let queue = LogQueue::new(size * 3);
        for number in 0..5 {
            queue.push(log_row(number), Ticket::default());
        }
        assert_eq!(queue.counts(), (3, 0, 2));
        let kept: Vec<i64> = queue.take(9, usize::MAX).0.iter().map(|row| row.duration_ms).collect();
        assert_eq!(kept, [2, 3, 4]);
        queue.stored(3);
        assert_eq!(queue.counts(), (0, 3, 2));
        assert_eq!((queue.push(log_row(5), Ticket::default()), queue.len()), (1, 1));
    }

    #[test]
    fn large_rows_are_taken_a_few_at_a_time() {
        let size = size_of_row(&log_row(0));
        let queue = LogQueue::new(usize::MAX);
        (0..5).for_each(|number| _ = queue.push(log_row(number), Ticket::default()));
        let taken = [(9, size * 2), (1, size * 9), (9, 0), (9, size * 9), (9, size * 9)];
        assert_eq!(taken.map(|(limit, bytes)| queue.take(limit, bytes).0.len()), [2, 1, 1, 1, 0]);
        assert_eq!(queue.inner.lock().bytes, 0);
    }
}
