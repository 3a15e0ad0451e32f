//! What is counted of the requests of one group.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use gpt_load_schema::log::{OutcomeClass, TokenUsage};
use prometheus::{Histogram, HistogramOpts};

use super::{
    Refusals,
    declared::{ATTEMPTS, FIRST_BYTE, GATEWAY_DURATION, Metric, REQUEST_DURATION, REQUESTS, TOKENS, UPSTREAM_DURATION},
    labels::{ModelNames, STATUS_LABELS, status_label, status_position},
    page::Page,
};

/// Upper bounds of times that providers take, in seconds.
const LONG: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Upper bounds of times that the gateway takes, in seconds.
const SHORT: [f64; 13] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0];

/// Classes of requests: those of outcomes, and one for what the gateway refused itself.
const CLASSES: usize = OutcomeClass::ALL.len() + 1;
const REFUSED: &str = "refused";
/// The model of all that have no place of their own.
const OTHER: &str = "other";
const TOKEN_KINDS: [&str; 4] = ["input", "output", "cached", "reasoning"];

/// A request at its end.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Class of its last attempt; `None` when the gateway refused it.
    pub class: Option<OutcomeClass>,
    /// Status of the answer; 499 when the client hung up.
    pub status: u16,
    /// From its arrival to the end of its answer.
    pub duration: Duration,
    /// Model that the client asked for; empty when unknown.
    pub model: &'a str,
    /// Tokens as far as the provider counted them.
    pub usage: TokenUsage,
}

/// Counters of one group. Every thread adds to them without a lock.
pub struct GroupMetrics {
    /// By class and status.
    requests: Box<[[AtomicU64; STATUS_LABELS]; CLASSES]>,
    attempts: [AtomicU64; OutcomeClass::ALL.len()],
    duration: Histogram,
    first_byte: Histogram,
    gateway: Histogram,
    upstream: Histogram,
    tokens: ArcSwap<HashMap<Box<str>, Arc<Tokens>>>,
    other_tokens: Tokens,
    models: Arc<ModelNames>,
    refusals: Arc<Refusals>,
}

/// Tokens of one model by kind.
type Tokens = [AtomicU64; TOKEN_KINDS.len()];

impl Default for GroupMetrics {
    fn default() -> Self {
        Self::new(Arc::default(), Arc::default())
    }
}

impl GroupMetrics {
    pub(super) fn new(models: Arc<ModelNames>, refusals: Arc<Refusals>) -> Self {
        Self {
            requests: Box::new(std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0)))),
            attempts: Default::default(),
            duration: histogram(&REQUEST_DURATION, &LONG),
            first_byte: histogram(&FIRST_BYTE, &LONG),
            gateway: histogram(&GATEWAY_DURATION, &SHORT),
            upstream: histogram(&UPSTREAM_DURATION, &LONG),
            tokens: ArcSwap::default(),
            other_tokens: Tokens::default(),
            models,
            refusals,
        }
    }

    /// A request is over.
    pub fn ended(&self, request: &Ended<'_>) {
        let class = request.class.map_or(CLASSES - 1, position);
        add(&self.requests[class][status_position(request.status)], 1);
        self.duration.observe(request.duration.as_secs_f64());
        let TokenUsage { input, output, cached, reasoning } = request.usage;
        if input.or(output).is_some() {
            self.count_tokens(request.model, [input, output, cached, reasoning]);
        }
    }

    /// The gateway refused a request itself, for the reason behind `code`.
    pub fn refused(&self, code: &'static str) {
        *self.refusals.lock().entry(code).or_default() += 1;
    }

    /// An attempt is over.
    pub fn attempted(&self, class: OutcomeClass) {
        add(&self.attempts[position(class)], 1);
    }

    /// The head of an upstream's answer arrived so long after the sending of the call.
    pub fn upstream_answered(&self, after: Duration) {
        self.upstream.observe(after.as_secs_f64());
    }

    /// The first byte of an answer is about to go to the client, so long after the request's arrival; `own` is the gateway's
    /// share of that time.
    pub fn first_byte(&self, after: Duration, own: Duration) {
        self.first_byte.observe(after.as_secs_f64());
        self.gateway.observe(own.as_secs_f64());
    }

    fn count_tokens(&self, model: &str, counts: [Option<u64>; TOKEN_KINDS.len()]) {
        let count = |tokens: &Tokens| {
            for (total, more) in tokens.iter().zip(counts) {
                if let Some(more) = more.filter(|more| *more > 0) {
                    add(total, more);
                }
            }
        };
        if let Some(tokens) = self.tokens.load().get(model) {
            return count(tokens);
        }
        if model == OTHER || !self.models.admits(model) {
            return count(&self.other_tokens);
        }
        let new = Arc::<Tokens>::default();
        self.tokens.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(model.into()).or_insert_with(|| Arc::clone(&new));
            known
        });
        // Another thread may have been first.
        if let Some(tokens) = self.tokens.load().get(model) {
            count(tokens);
        }
    }

    /// Shows what was counted, as that of the group `name`; series that never counted anything are left out.
    pub fn show(&self, name: &str, page: &mut Page) {
        for (class, statuses) in self.requests.iter().enumerate() {
            let class = OutcomeClass::ALL.get(class).map_or(REFUSED, |class| class.as_str());
            for (status, count) in statuses.iter().enumerate().map(|(status, count)| (status, read(count))) {
                if count > 0 {
                    page.count(&REQUESTS, &[name, class, &status_label(status)], count);
                }
            }
        }
        if self.attempts.iter().any(|count| read(count) > 0) {
            for (class, count) in OutcomeClass::ALL.iter().zip(&self.attempts) {
                page.count(&ATTEMPTS, &[name, class.as_str()], read(count));
            }
        }
        for (metric, histogram) in [
            (&REQUEST_DURATION, &self.duration),
            (&FIRST_BYTE, &self.first_byte),
            (&GATEWAY_DURATION, &self.gateway),
            (&UPSTREAM_DURATION, &self.upstream),
        ] {
            if histogram.get_sample_count() > 0 {
                page.histogram(metric, &[name], histogram);
            }
        }
        let tokens = self.tokens.load();
        let named = tokens.iter().map(|(model, tokens)| (&**model, &**tokens));
        for (model, tokens) in named.chain([(OTHER, &self.other_tokens)]) {
            for (kind, count) in TOKEN_KINDS.iter().zip(tokens).map(|(kind, count)| (kind, read(count))) {
                if count > 0 {
                    page.count(&TOKENS, &[name, model, kind], count);
                }
            }
        }
    }
}

/// # Panics
/// Never: the name and the bounds are constants, and a test makes every one of them.
#[allow(clippy::expect_used, reason = "constants")]
fn histogram(metric: &Metric, bounds: &[f64]) -> Histogram {
    Histogram::with_opts(HistogramOpts::new(metric.name, metric.help).buckets(bounds.to_vec()))
        .expect("a constant name and ascending bounds")
}

fn position(class: OutcomeClass) -> usize {
    class as usize
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
