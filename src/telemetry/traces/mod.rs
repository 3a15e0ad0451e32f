//! Traces: a span per request and one below it per attempt, sent to an OpenTelemetry collector over OTLP.
//!
//! Off unless a collector is configured, and then a request meets one `None`. Spans go through a bounded [`queue`] to a thread
//! of its own; no request waits for it. [`request`] is what the data path holds, [`genai`] the vocabulary.

mod export;
mod genai;
mod queue;
mod request;
mod settings;

use std::{io, sync::Arc, time::Duration};

use actix_http::header::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::TracerProvider,
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};
use rustls::ClientConfig;

pub use self::{
    request::{AttemptBegin, AttemptEnd, RequestEnd, RequestTrace},
    settings::{Protocol, TraceSettings},
};
use super::metrics::SpanCounts;

/// How long a stop waits for the collector to take the last spans.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Why spans cannot be exported. The configuration's side.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A variable has a value that cannot be used.
    #[error("{variable}: {reason}")]
    Setting {
        /// Its name.
        variable: &'static str,
        /// What it must be.
        reason: String,
    },
    /// The exporter refuses what is configured.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(String),
    /// The operating system gives no thread.
    #[error("the thread that exports traces cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// Traces of a node.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

impl Traces {
    /// Starts exporting by `settings`; `tls` is for a collector behind `https://`, what becomes of spans is added to `counts`.
    ///
    /// # Errors
    /// When the settings cannot be used, or there is no thread.
    pub fn start(
        settings: &TraceSettings,
        tls: ClientConfig,
        counts: Arc<SpanCounts>,
    ) -> Result<Arc<Self>, TraceError> {
        let queue = queue::start(settings, tls, counts)?;
        let provider = SdkTracerProvider::builder()
            .with_sampler(settings.sampler()?)
            .with_resource(settings.resource())
            .with_span_processor(queue)
            .build();
        let tracer = provider.tracer("gpt-load");
        Ok(Arc::new(Self { provider, tracer, propagator: TraceContextPropagator::new() }))
    }

    /// The trace of a request that has just arrived, continued from its `traceparent`; `route` is the template of its path.
    pub fn request(self: &Arc<Self>, method: &str, route: &'static str, headers: &HeaderMap) -> RequestTrace {
        let parent = self.propagator.extract_with_context(&Context::new(), &Headers(headers));
        RequestTrace::begin(self, method, route, &parent)
    }

    /// Hands over what waits, as far as the collector takes it in time, and ends the thread.
    pub async fn stop(&self) {
        let provider = self.provider.clone();
        // What is lost is counted and logged by the thread itself.
        let _ = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(STOP_TIMEOUT)).await;
    }
}

/// Headers of a request, for the propagator.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
