//! Clients that ask one request after the other until they are told to stop.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::rt::task::JoinHandle;
use gpt_load_benches::raw::Client;

use crate::support::{Gateway, PATIENCE, Request, code};

/// Between two requests of a client, so that a run has thousands of requests and not millions.
const PAUSE: Duration = Duration::from_millis(4);

/// An answer to one of the clients.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// When the request was sent.
    pub(crate) asked: Instant,
    /// When the answer was complete.
    pub(crate) answered: Instant,
    pub(crate) status: u16,
    /// The gateway's error code; empty for what the provider answered.
    pub(crate) code: String,
    pub(crate) retry_after: Option<u64>,
}

/// Clients at work; dropping them ends their work.
pub(crate) struct Clients {
    seen: Rc<RefCell<Vec<Seen>>>,
    stop: Rc<Cell<bool>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Sets `count` clients to work.
    pub(crate) fn start(gateway: &Gateway, count: usize) -> Self {
        let (seen, stop) = (Rc::<RefCell<Vec<Seen>>>::default(), Rc::<Cell<bool>>::default());
        let address = gateway.address();
        let client = |_| actix_web::rt::spawn(work(address, seen.clone(), stop.clone()));
        let tasks = (0..count).map(client).collect();
        Self { seen, stop, tasks }
    }

    /// Answers so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Resolves when `count` further answers have come that satisfy `wanted`.
    pub(crate) async fn wait(&self, count: usize, wanted: impl Fn(&Seen) -> bool) {
        let before = self.seen.borrow().len();
        let waiting = async {
            while self.seen.borrow()[before..].iter().filter(|seen| wanted(seen)).count() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("answers come");
    }

    /// Ends the work; every request that was sent has its answer among those returned.
    pub(crate) async fn stop(mut self) -> Vec<Seen> {
        self.stop.set(true);
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
        self.seen()
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn work(address: SocketAddr, seen: Rc<RefCell<Vec<Seen>>>, stop: Rc<Cell<bool>>) {
    let request = Request::chat(false).bytes();
    let mut client = Client::connect(address).await.unwrap();
    while !stop.get() {
        let asked = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, client.exchange(&request)).await.expect("an answer").unwrap();
        let answered = Instant::now();
        let retry_after = answer.head.header("retry-after").and_then(|seconds| seconds.parse().ok());
        let answer = Seen { asked, answered, status: answer.head.status, code: code(&answer), retry_after };
        seen.borrow_mut().push(answer);
        tokio::time::sleep(PAUSE).await;
    }
}
