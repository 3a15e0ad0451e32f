//! Closed loop: every connection sends its next request when it has the answer to the last one.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::{JoinSet, LocalSet};

use super::connection::Connection;
use super::{Report, Target};

/// Keeps `connections` busy for about `time`, from `threads` threads. Blocks.
///
/// # Errors
/// A thread or its runtime cannot be made.
pub fn closed(target: &Target, connections: usize, threads: usize, time: Duration) -> io::Result<Report> {
    let threads = threads.clamp(1, connections.max(1));
    let mut running = Vec::with_capacity(threads);
    for thread in 0..threads {
        let share = connections / threads + usize::from(thread < connections % threads);
        let target = target.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || LocalSet::new().block_on(&runtime, run(&target, share, time));
        running.push(std::thread::Builder::new().name(format!("load-{thread}")).spawn(run)?);
    }
    let mut total = Report::new();
    for thread in running {
        let report = thread.join().map_err(|_| io::Error::other("a thread of the load generator panicked"))?;
        total.merge(&report);
    }
    Ok(total)
}

async fn run(target: &Target, connections: usize, time: Duration) -> Report {
    let report = Rc::new(RefCell::new(Report::new()));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn_local(keep_busy(
            Connection::new(target.addr),
            target.request.clone(),
            begin + time,
            Rc::clone(&report),
        ));
    }
    tasks.join_all().await;
    let mut report = report.replace(Report::new());
    report.elapsed = begin.elapsed();
    report
}

async fn keep_busy(mut connection: Connection, request: Bytes, end: Instant, report: Rc<RefCell<Report>>) {
    while Instant::now() < end {
        let due = Instant::now();
        let outcome = connection.exchange(&request).await;
        let failed = outcome.is_err();
        report.borrow_mut().note(due, outcome);
        if failed {
            // A target that refuses connections would be asked without a pause.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
