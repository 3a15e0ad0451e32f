//! Tells the gateway's own time from that of its clients and upstreams.

use std::time::{Duration, Instant};

/// Times of one request.
pub struct Clock {
    /// When the whole request was there.
    read: Instant,
    /// When the call under way was sent.
    sent: Option<Instant>,
    /// Time for which upstreams were waited for so far.
    waited: Duration,
}

impl Clock {
    /// The whole request is there.
    pub fn start() -> Self {
        Self { read: Instant::now(), sent: None, waited: Duration::ZERO }
    }

    /// A call is about to be sent.
    pub fn sent(&mut self) {
        self.sent = Some(Instant::now());
    }

    /// How long ago the call under way was sent.
    pub fn since_sent(&self) -> Option<Duration> {
        self.sent.map(|sent| sent.elapsed())
    }

    /// What there was to wait for of the call under way has come, or will not.
    pub fn answered(&mut self) {
        self.waited += self.sent.take().map(|sent| sent.elapsed()).unwrap_or_default();
    }

    /// The time since the request was there in which no upstream was waited for; a call under way is answered with this.
    pub fn own_time(&mut self) -> Duration {
        self.answered();
        self.read.elapsed().saturating_sub(self.waited)
    }
}
