//! Spans on their way to the collector: a bounded queue and a thread that empties it.

use std::{
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver as Ending, channel},
    },
    thread,
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    trace::{Span, SpanData, SpanExporter as _, SpanProcessor},
};
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::{
    runtime::Builder,
    sync::{Notify, mpsc},
    time::{Instant, sleep_until, timeout},
};

use super::{TraceError, export::exporter, settings::TraceSettings};
use crate::telemetry::metrics::SpanCounts;

/// Spans that go to the collector together, at most.
const BATCH: usize = 512;
/// How long the collector may take over a batch while the node stops.
const LAST_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a collector that takes nothing is complained about.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Where spans are put when they end.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    end: Arc<Notify>,
    ended: Mutex<Ending<()>>,
    counts: Arc<SpanCounts>,
}

/// Starts the thread that exports what is put into the queue.
///
/// # Errors
/// When the settings cannot be used, or there is no thread.
pub(super) fn start(settings: &TraceSettings, tls: ClientConfig, counts: Arc<SpanCounts>) -> Result<Queue, TraceError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut exporter = {
        let _entered = runtime.enter();
        exporter(settings, tls)?
    };
    exporter.set_resource(&settings.resource());
    let (spans, waiting) = mpsc::channel(settings.queue.max(1));
    let (done, ended) = channel();
    let end = Arc::<Notify>::default();
    let exporting = Exporting {
        exporter,
        waiting,
        end: Arc::clone(&end),
        counts: Arc::clone(&counts),
        delay: settings.delay,
        timeout: settings.timeout,
        is_ending: false,
        complained: None,
    };
    thread::Builder::new().name("traces".to_owned()).spawn(move || {
        runtime.block_on(exporting.run());
        // Nobody waits when the node was dropped without a stop.
        let _ = done.send(());
    })?;
    Ok(Queue { spans, end, ended: Mutex::new(ended), counts })
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.end.notify_one();
        self.ended.lock().recv_timeout(timeout).map_err(|_| OTelSdkError::Timeout(timeout))
    }
}

/// What the thread works with.
struct Exporting {
    exporter: opentelemetry_otlp::SpanExporter,
    waiting: mpsc::Receiver<SpanData>,
    end: Arc<Notify>,
    counts: Arc<SpanCounts>,
    delay: Duration,
    timeout: Duration,
    is_ending: bool,
    complained: Option<Instant>,
}

impl Exporting {
    async fn run(mut self) {
        let (mut batch, mut due) = (Vec::with_capacity(BATCH), Instant::now());
        loop {
            if batch.is_empty() {
                due = Instant::now() + self.delay;
            }
            let (room, before) = (BATCH - batch.len(), batch.len());
            tokio::select! {
                biased;
                () = self.end.notified(), if !self.is_ending => {
                    self.is_ending = true;
                    self.waiting.close();
                }
                taken = self.waiting.recv_many(&mut batch, room) => {
                    if taken == 0 {
                        return self.export(batch).await;
                    }
                    if before == 0 {
                        due = Instant::now() + self.delay;
                    }
                    if batch.len() >= BATCH {
                        self.export(std::mem::take(&mut batch)).await;
                    }
                }
                () = sleep_until(due), if !batch.is_empty() => self.export(std::mem::take(&mut batch)).await,
            }
        }
    }

    /// Hands a batch to the collector, or counts it as lost.
    async fn export(&mut self, batch: Vec<SpanData>) {
        let count = batch.len();
        if count == 0 {
            return;
        }
        let limit = if self.is_ending { LAST_TIMEOUT.min(self.timeout) } else { self.timeout };
        let failure = match timeout(limit, self.exporter.export(batch)).await {
            Ok(Ok(())) => {
                self.counts.exported.fetch_add(count as u64, Ordering::Relaxed);
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it did not answer within {} ms", limit.as_millis()),
        };
        self.counts.dropped.fetch_add(count as u64, Ordering::Relaxed);
        if self.complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            tracing::warn!(
                count,
                failure,
                "the collector of traces took no spans, they are lost; check OTEL_EXPORTER_OTLP_ENDPOINT (requests do not notice)"
            );
        }
    }
}
