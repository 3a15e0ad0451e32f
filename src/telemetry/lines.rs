//! Log lines on their way to a terminal or file.
//!
//! A request only copies its line into a buffer; a thread of its own writes the buffer out a few times per second. So a
//! line costs neither a system call nor a wake-up, and a slow terminal or a full disk never holds a request back.

use std::{
    io::{self, Write},
    mem,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits at most before it is written.
const INTERVAL: Duration = Duration::from_millis(50);

/// Bytes that may wait; lines beyond them are dropped and counted.
const CAPACITY: usize = 4 << 20;

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    ending: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    end: Condvar,
}

/// Takes lines; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Lines(Arc<Shared>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.waiting.lock();
        if waiting.bytes.len() + line.len() > CAPACITY {
            waiting.dropped += count(line);
        } else {
            waiting.bytes.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'writer> MakeWriter<'writer> for Lines {
    type Writer = Self;
    fn make_writer(&'writer self) -> Self {
        self.clone()
    }
}

/// The thread that writes lines out; writes what waits when it is dropped.
#[derive(Debug)]
pub(super) struct LineWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl LineWriter {
    /// Writes lines to `to` from a thread with the name `name`.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(super) fn start(to: impl Write + Send + 'static, name: &str) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || write_out(&theirs, to))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Where to put lines.
    pub(super) fn lines(&self) -> Lines {
        Lines(Arc::clone(&self.shared))
    }

    /// Lines lost so far.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.waiting.lock().dropped
    }

    fn join(&mut self) {
        self.shared.waiting.lock().ending = true;
        self.shared.end.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook; there is nothing left to write with.
            let _ = thread.join();
        }
    }

    /// Writes what waits, ends the thread and says how many lines were lost.
    #[cfg(test)]
    pub(super) fn end(mut self) -> u64 {
        self.join();
        self.dropped()
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.join();
    }
}

fn write_out(shared: &Shared, mut to: impl Write) {
    let mut batch = Vec::new();
    loop {
        let mut waiting = shared.waiting.lock();
        if !waiting.ending {
            shared.end.wait_for(&mut waiting, INTERVAL);
        }
        let ending = waiting.ending;
        mem::swap(&mut batch, &mut waiting.bytes);
        drop(waiting);
        if !batch.is_empty() && to.write_all(&batch).and_then(|()| to.flush()).is_err() {
            shared.waiting.lock().dropped += count(&batch);
        }
        batch.clear();
        if ending {
            return;
        }
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}
