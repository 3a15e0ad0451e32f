//! A load generator that costs little: raw sockets, a prepared request, and no look at what the answers say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;

mod body;
mod closed;
mod connection;
mod hold;
mod open;

pub use closed::closed;
pub use hold::{Held, hold};
pub use open::{open, open_in_turn};

/// Nanoseconds that are still told apart, and the longest time that is.
const FINEST: u64 = 100;
const LONGEST: u64 = 600_000_000_000;

/// Where requests go, and what they are.
#[derive(Debug, Clone)]
pub struct Target {
    /// Address to connect to.
    pub addr: SocketAddr,
    /// Bytes of one request.
    pub request: Bytes,
}

impl Target {
    /// A chat completion of about `body_bytes` bytes, streamed or not, with a bearer token.
    pub fn chat(addr: SocketAddr, key: &str, stream: bool, body_bytes: usize) -> Self {
        let members = if stream { ",\"stream\":true" } else { "" };
        let around = 90 + members.len();
        let text = "x".repeat(body_bytes.saturating_sub(around));
        let body = format!(
            "{{\"model\":\"gpt-4o-mini\"{members},\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}],\"temperature\":0.5}}"
        );
        let length = body.len();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nAccept: */*\r\nUser-Agent: load\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        Self { addr, request: request.into() }
    }
}

/// What a run measured.
#[derive(Debug, Clone)]
pub struct Report {
    /// Answers that came whole, with any status.
    pub answers: u64,
    /// Among them, by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that failed in transport.
    pub failures: u64,
    /// Requests that were due and never sent, in an open loop.
    pub unsent: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Nanoseconds from the request to the end of its answer; in an open loop from when the request was due.
    pub latency: Histogram<u64>,
    /// Nanoseconds from the request to the first byte of the body.
    pub first_byte: Histogram<u64>,
}

impl Report {
    fn new() -> Self {
        let histogram = || Histogram::new_with_bounds(FINEST, LONGEST, 3).expect("the bounds are valid");
        Self {
            answers: 0,
            statuses: BTreeMap::new(),
            failures: 0,
            unsent: 0,
            elapsed: Duration::ZERO,
            latency: histogram(),
            first_byte: histogram(),
        }
    }

    /// Whole answers a second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Requests that did not end in a whole answer below status 400.
    pub fn errors(&self) -> u64 {
        self.failures + self.unsent + self.statuses.range(400..).map(|(_, count)| count).sum::<u64>()
    }

    /// Form for machines; times in microseconds.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "answers": self.answers,
            "statuses": self.statuses,
            "failures": self.failures,
            "unsent": self.unsent,
            "seconds": self.elapsed.as_secs_f64(),
            "rate": self.rate(),
            "latency-us": spread(&self.latency),
            "first-byte-us": spread(&self.first_byte),
        })
    }

    fn note(&mut self, due: Instant, outcome: Result<connection::Seen, connection::Failure>) {
        match outcome {
            Ok(seen) => {
                self.answers += 1;
                *self.statuses.entry(seen.status).or_default() += 1;
                self.latency.saturating_record(nanos(seen.end.duration_since(due)));
                self.first_byte.saturating_record(nanos(seen.first_byte.duration_since(due)));
            }
            Err(connection::Failure) => self.failures += 1,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.answers += other.answers;
        self.failures += other.failures;
        self.unsent += other.unsent;
        self.elapsed = self.elapsed.max(other.elapsed);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
        self.first_byte.add(&other.first_byte).expect("all histograms have the same bounds");
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn spread(histogram: &Histogram<u64>) -> serde_json::Value {
    let micros = |nanos: u64| nanos as f64 / 1000.0;
    serde_json::json!({
        "p50": micros(histogram.value_at_quantile(0.5)),
        "p90": micros(histogram.value_at_quantile(0.9)),
        "p99": micros(histogram.value_at_quantile(0.99)),
        "max": micros(histogram.max()),
    })
}
