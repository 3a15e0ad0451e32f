//! Open loop: requests are due at fixed times, whatever became of those before, and latency counts from when they were
//! due. So a stall of the target shows in all requests it delayed (no coordinated omission).

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinSet, LocalSet};

use super::connection::Connection;
use super::{Report, Target};

/// A request that is to be sent.
struct Due {
    number: usize,
    time: Instant,
}

/// How long requests that are under way at the end may take.
const GRACE: Duration = Duration::from_secs(1);

/// Sends `rate` requests a second for about `time` over at most `connections` connections. Blocks.
///
/// # Errors
/// The rate is not between 1 and 1,000,000, or a thread or its runtime cannot be made.
pub fn open(target: &Target, rate: f64, connections: usize, time: Duration) -> io::Result<Report> {
    open_in_turn(std::slice::from_ref(target), rate, connections, time)
}

/// [`open`], with the requests of several targets in turn, all sent to the address of the first.
///
/// # Errors
/// As [`open`], and where there is no target.
pub fn open_in_turn(targets: &[Target], rate: f64, connections: usize, time: Duration) -> io::Result<Report> {
    if targets.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no target"));
    }
    if !(1.0..=1e6).contains(&rate) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the rate must be between 1 and 1,000,000"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let requests = targets.iter().map(|target| target.request.clone()).collect();
    LocalSet::new().block_on(&runtime, run(&targets[0], requests, rate, connections, time))
}

async fn run(
    target: &Target,
    requests: Rc<[Bytes]>,
    rate: f64,
    connections: usize,
    time: Duration,
) -> io::Result<Report> {
    let report = Rc::new(RefCell::new(Report::new()));
    let (sender, receiver) = unbounded_channel();
    let due = Rc::new(Mutex::new(receiver));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let mut connection = Connection::new(target.addr);
        if connection.connect().await.is_err() {
            report.borrow_mut().failures += 1;
        }
        tasks.spawn_local(serve(connection, Rc::clone(&requests), Rc::clone(&due), Rc::clone(&report)));
    }
    let count = (rate * time.as_secs_f64()) as u64;
    let clock = std::thread::Builder::new().name("load-clock".to_owned());
    let clock = clock.spawn(move || tick(&sender, rate, count))?;
    // Tasks end when the clock has ended and nothing is due any more.
    let all = async { while tasks.join_next().await.is_some() {} };
    _ = tokio::time::timeout(time + GRACE, all).await;
    drop(tasks);
    drop(due);
    _ = clock.join();
    let mut report = report.replace(Report::new());
    report.unsent = count.saturating_sub(report.answers + report.failures);
    report.elapsed = time;
    Ok(report)
}

async fn serve(
    mut connection: Connection,
    requests: Rc<[Bytes]>,
    due: Rc<Mutex<UnboundedReceiver<Due>>>,
    report: Rc<RefCell<Report>>,
) {
    loop {
        let next = due.lock().await.recv().await;
        let Some(Due { number, time }) = next else { return };
        let outcome = connection.exchange(&requests[number % requests.len()]).await;
        report.borrow_mut().note(time, outcome);
    }
}

/// Makes requests due. A thread of its own, since tokio's timer has steps of a millisecond.
fn tick(due: &UnboundedSender<Due>, rate: f64, count: u64) {
    let begin = Instant::now();
    for number in 0..count {
        let time = begin + Duration::from_secs_f64(number as f64 / rate);
        let ahead = time.saturating_duration_since(Instant::now());
        if !ahead.is_zero() {
            std::thread::sleep(ahead);
        }
        let number = usize::try_from(number).unwrap_or(0);
        if due.send(Due { number, time }).is_err() {
            return;
        }
    }
}
