//! The spans of one request, as the data path holds them.

use std::sync::Arc;

use actix_http::header::{HeaderMap, HeaderName, HeaderValue};
use gpt_load_schema::{
    channel::Channel,
    ids::KeyId,
    log::{OutcomeClass, TokenUsage},
};
use opentelemetry::{
    Array, Context, KeyValue, StringValue, Value,
    trace::{Span as _, SpanKind, Status, TraceContextExt, TraceFlags, Tracer},
};
use opentelemetry_sdk::trace::Span;
use url::Url;
use uuid::Uuid;

use super::{Traces, genai};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Methods that a span is named after.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A request's span and that of the attempt under way. Whichever way the request ends, its spans end with it.
#[derive(Debug)]
pub struct RequestTrace {
    traces: Arc<Traces>,
    span: Span,
    attempt: Option<Span>,
}

/// What is known of an attempt at its begin.
#[derive(Clone, Copy, Debug)]
pub struct AttemptBegin<'a> {
    /// The request's id.
    pub request_id: Uuid,
    /// Its number, from 1.
    pub number: u32,
    /// Method.
    pub method: &'a str,
    /// Path that the client asked for.
    pub path: &'a str,
    /// Format of the group.
    pub channel: Channel,
    /// Name of the group.
    pub group: &'a str,
    /// Model asked for upstream; empty when the request names none.
    pub model: &'a str,
    /// The key.
    pub key: KeyId,
    /// Base URL of the upstream.
    pub upstream: &'a str,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct AttemptEnd<'a> {
    /// Its class.
    pub class: OutcomeClass,
    /// Which rule decided.
    pub rule: &'a str,
    /// Status of the upstream's answer; `None` when there was none.
    pub status: Option<u16>,
    /// Model that answered, where it says so.
    pub model: Option<&'a str>,
    /// Why it ended its answer, where it says so.
    pub finish_reason: Option<&'a str>,
    /// Tokens as far as the provider counted them.
    pub usage: TokenUsage,
}

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestEnd<'a> {
    /// Its id.
    pub id: Uuid,
    /// Path without query.
    pub path: &'a str,
    /// Group that served it; empty when it was let into none.
    pub group: &'a str,
    /// Attempts made.
    pub attempts: u32,
    /// Class of the last one; `None` when the gateway refused the request.
    pub class: Option<OutcomeClass>,
    /// Status of the answer.
    pub status: u16,
    /// What went wrong: a class or an error code; `None` when nothing did.
    pub error: Option<&'a str>,
}

impl RequestTrace {
    pub(super) fn begin(traces: &Arc<Traces>, method: &str, route: &'static str, parent: &Context) -> Self {
        // The name of a method that nobody knows could be anything.
        let method = METHODS.into_iter().find(|known| *known == method);
        let name = format!("{} {route}", method.unwrap_or("HTTP"));
        let builder = traces.tracer.span_builder(name).with_kind(SpanKind::Server);
        let mut span = traces.tracer.build_with_context(builder, parent);
        if span.is_recording() {
            span.set_attribute(KeyValue::new("http.request.method", method.unwrap_or("_OTHER")));
            span.set_attribute(KeyValue::new("http.route", route));
        }
        Self { traces: Arc::clone(traces), span, attempt: None }
    }

    /// An attempt begins.
    pub fn attempt_begins(&mut self, begin: &AttemptBegin<'_>) {
        if !self.span.is_recording() {
            return;
        }
        let operation = genai::operation(begin.method, begin.path);
        let name = match operation {
            Some(operation) if !begin.model.is_empty() => format!("{operation} {}", begin.model),
            Some(operation) => operation.to_owned(),
            None => METHODS.into_iter().find(|known| *known == begin.method).unwrap_or("HTTP").to_owned(),
        };
        let mut attributes = vec![
            KeyValue::new("gpt_load.request_id", begin.request_id.to_string()),
            KeyValue::new("gpt_load.group", begin.group.to_owned()),
            KeyValue::new("gpt_load.key_id", begin.key.0),
            KeyValue::new("http.request.method", begin.method.to_owned()),
            KeyValue::new("gen_ai.provider.name", genai::provider(begin.channel)),
        ];
        attributes.extend(operation.map(|operation| KeyValue::new("gen_ai.operation.name", operation)));
        if !begin.model.is_empty() {
            attributes.push(KeyValue::new("gen_ai.request.model", begin.model.to_owned()));
        }
        if begin.number > 1 {
            attributes.push(KeyValue::new("http.request.resend_count", i64::from(begin.number - 1)));
        }
        if let Ok(url) = Url::parse(begin.upstream) {
            attributes.extend(url.host_str().map(|host| KeyValue::new("server.address", host.to_owned())));
            let port = url.port_or_known_default().map(i64::from);
            attributes.extend(port.map(|port| KeyValue::new("server.port", port)));
        }
        let tracer = &self.traces.tracer;
        let builder = tracer.span_builder(name).with_kind(SpanKind::Client).with_attributes(attributes);
        let parent = Context::new().with_remote_span_context(self.span.span_context().clone());
        self.attempt = Some(tracer.build_with_context(builder, &parent));
    }

    /// Puts the trace into the headers for an upstream, in place of the client's.
    pub fn propagate(&self, headers: &mut HeaderMap) {
        let context = self.attempt.as_ref().unwrap_or(&self.span).span_context();
        headers.remove(TRACESTATE);
        headers.remove(TRACEPARENT);
        let flags = context.trace_flags() & TraceFlags::SAMPLED;
        let text = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(TRACEPARENT, value);
        }
        let state = context.trace_state().header();
        if let Some(value) = Some(state).filter(|state| !state.is_empty()).and_then(|state| state.parse().ok()) {
            headers.insert(TRACESTATE, value);
        }
    }

    /// The attempt under way is over.
    pub fn attempt_ends(&mut self, end: &AttemptEnd<'_>) {
        let Some(mut span) = self.attempt.take() else { return };
        span.set_attribute(KeyValue::new("gpt_load.class", end.class.as_str()));
        if end.class != OutcomeClass::Success {
            span.set_attribute(KeyValue::new("error.type", end.class.as_str()));
            span.set_attribute(KeyValue::new("gpt_load.rule", end.rule.to_owned()));
            span.set_status(Status::error(end.rule.to_owned()));
        }
        if let Some(status) = end.status {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        if let Some(model) = end.model {
            span.set_attribute(KeyValue::new("gen_ai.response.model", model.to_owned()));
        }
        if let Some(reason) = end.finish_reason {
            let reasons = Value::Array(Array::String(vec![StringValue::from(reason.to_owned())]));
            span.set_attribute(KeyValue::new("gen_ai.response.finish_reasons", reasons));
        }
        for (name, count) in [
            ("gen_ai.usage.input_tokens", end.usage.input),
            ("gen_ai.usage.output_tokens", end.usage.output),
            ("gen_ai.usage.cache_read.input_tokens", end.usage.cached),
            ("gen_ai.usage.reasoning.output_tokens", end.usage.reasoning),
        ] {
            if let Some(count) = count {
                span.set_attribute(KeyValue::new(name, i64::try_from(count).unwrap_or(i64::MAX)));
            }
        }
        span.end();
    }

    /// The request is over.
    pub fn ends(&mut self, end: &RequestEnd<'_>) {
        // One that a panic has cut off ends before its request does.
        self.attempt = None;
        let span = &mut self.span;
        if !span.is_recording() {
            return;
        }
        span.set_attribute(KeyValue::new("gpt_load.request_id", end.id.to_string()));
        span.set_attribute(KeyValue::new("url.path", end.path.to_owned()));
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(end.status)));
        span.set_attribute(KeyValue::new("gpt_load.attempts", i64::from(end.attempts)));
        if !end.group.is_empty() {
            span.set_attribute(KeyValue::new("gpt_load.group", end.group.to_owned()));
        }
        if let Some(class) = end.class {
            span.set_attribute(KeyValue::new("gpt_load.class", class.as_str()));
        }
        if let Some(error) = end.error {
            span.set_attribute(KeyValue::new("error.type", error.to_owned()));
            if end.status >= 500 {
                span.set_status(Status::error(error.to_owned()));
            }
        }
        span.end();
    }
}
