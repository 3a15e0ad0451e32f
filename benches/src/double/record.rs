//! What the double received, for tests to look at and to wait for.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Position in the order of arrival of complete requests, from 0.
    pub index: u64,
    /// Number of the connection it came on, from 0.
    pub connection: u64,
    /// When its head was complete.
    pub at: Instant,
    /// Request method.
    pub method: String,
    /// Request target, byte for byte.
    pub target: String,
    /// Headers in the order and letter case they came in.
    pub headers: Vec<(Bytes, Bytes)>,
    /// Body without its transfer coding; the first `Options::body_limit` bytes.
    pub body: Bytes,
    /// Length of the whole body in bytes.
    pub body_length: u64,
    /// SHA-256 of the whole body, in hexadecimal digits.
    pub body_sha256: String,
    /// Provider key it carried, in whatever place.
    pub key: Option<String>,
    /// When the answer was complete, as far as one was meant to be.
    pub answered_at: Option<Instant>,
    /// When the client closed or reset the connection before the end of its body or of the answer.
    pub aborted_at: Option<Instant>,
}

impl Received {
    /// First value of a header, in any letter case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).first().copied()
    }

    /// All values of a header that are text, in order.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes()));
        named.filter_map(|(_, value)| std::str::from_utf8(value).ok()).collect()
    }

    /// Body as JSON, `Null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Form for the control route.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let after = |end: Option<Instant>| end.map(|end| end.duration_since(self.at).as_micros() as u64);
        serde_json::json!({
            "index": self.index,
            "connection": self.connection,
            "method": self.method,
            "target": self.target,
            "headers": self.headers.iter().map(|(name, value)| [text(name), text(value)]).collect::<Vec<_>>(),
            "body": text(&self.body),
            "body-length": self.body_length,
            "body-sha256": self.body_sha256,
            "key": self.key,
            "answered-after-us": after(self.answered_at),
            "aborted-after-us": after(self.aborted_at),
        })
    }
}

/// The last requests, in a ring.
#[derive(Debug)]
pub(crate) struct Record {
    ring: Mutex<Ring>,
    limit: usize,
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Index of the next request.
    next: u64,
    kept: VecDeque<Received>,
}

impl Ring {
    fn get_mut(&mut self, index: u64) -> Option<&mut Received> {
        let first = self.kept.front()?.index;
        self.kept.get_mut(usize::try_from(index.checked_sub(first)?).ok()?)
    }
}

impl Record {
    /// Keeps the last `limit` requests; 0 switches recording off.
    pub(crate) fn new(limit: usize) -> Self {
        Self { ring: Mutex::default(), limit, version: watch::Sender::new(0) }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Adds a request and says its index.
    pub(crate) fn add(&self, mut received: Received) -> u64 {
        let index = {
            let mut ring = self.ring.lock();
            let index = ring.next;
            received.index = index;
            ring.next += 1;
            ring.kept.push_back(received);
            if ring.kept.len() > self.limit {
                ring.kept.pop_front();
            }
            index
        };
        self.touch();
        index
    }

    pub(crate) fn answered(&self, index: u64) {
        if let Some(received) = self.ring.lock().get_mut(index) {
            received.answered_at = Some(Instant::now());
        }
        self.touch();
    }

    pub(crate) fn aborted(&self, index: u64) {
        if let Some(received) = self.ring.lock().get_mut(index) {
            received.aborted_at = Some(Instant::now());
        }
        self.touch();
    }

    pub(crate) fn all(&self) -> Vec<Received> {
        self.ring.lock().kept.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        *self.ring.lock() = Ring::default();
        self.touch();
    }

    /// Resolves when at least `count` requests have come, with all that are kept.
    pub(crate) async fn wait_for(&self, count: u64) -> Vec<Received> {
        self.wait_until(|ring| (ring.next >= count).then(|| ring.kept.iter().cloned().collect())).await
    }

    /// Resolves when the request satisfies `ready`.
    pub(crate) async fn wait_one(&self, index: u64, ready: impl Fn(&Received) -> bool) -> Received {
        self.wait_until(|ring| ring.get_mut(index).filter(|received| ready(received)).map(|received| received.clone()))
            .await
    }

    async fn wait_until<T>(&self, mut ready: impl FnMut(&mut Ring) -> Option<T>) -> T {
        let mut version = self.version.subscribe();
        loop {
            version.borrow_and_update();
            if let Some(found) = ready(&mut self.ring.lock()) {
                return found;
            }
            version.changed().await.expect("the sender lives as long as self");
        }
    }

    fn touch(&self) {
        self.version.send_modify(|version| *version += 1);
    }
}
