//! Judging an answer by its head, its error body and its first event: is it committed to, or may another attempt follow?

use std::time::Duration;

use actix_http::header::HeaderMap;
use actix_web::{
    HttpResponse,
    http::{Method, StatusCode, header},
};
use bytes::Bytes;
use gpt_load_actors::pool::{Reach, Verdict};
use gpt_load_schema::{channel::Channel, log::OutcomeClass, secret::Secret, time::Timestamp};
use tokio::time::{Instant, timeout_at};

use super::{
    answer::{self, FailedAnswer},
    attempted::{Attempted, Call, Failure, transport_failure},
    exchange::{Ending, Exchange},
    peek::{Peek, collect},
    relay::{Begun, Relay, RelayLimits},
    retry::{self, Next},
    rules::{self, Failed},
};
use crate::{
    channel::{
        classify, decode, models,
        tap::{FirstEvent, Tap},
    },
    upstream::{OutboundPayload, OutboundResponse, TransportError},
};

/// Bytes of an error body that are read, judged and given to the client.
const ERROR_BODY_BYTES: usize = 1 << 20;
/// Bytes of a model list that a group changes.
const MODEL_LIST_BYTES: usize = 16 << 20;
/// Time within which an error body must arrive, whatever else the settings allow.
const ERROR_BODY_TIME: Duration = Duration::from_secs(30);

/// Decides by head, error body and first event whether the answer is committed to.
pub async fn judge(
    exchange: Box<Exchange>,
    method: &Method,
    query: Option<&str>,
    call: Call<'_>,
    response: OutboundResponse,
    key: &Secret,
) -> Attempted {
    let OutboundResponse { status, mut headers, body, .. } = response;
    let is_head = *method == Method::HEAD;
    exchange.learn(&headers);
    if status.as_u16() >= 400 {
        return error_answer(exchange, call, is_head, status, headers, body, key).await;
    }
    answer::mask_key(&mut headers, key);
    if call.shaped.rewrites_model_list && status == StatusCode::OK {
        return model_list(exchange, query, call, status, headers, body, key).await;
    }
    let length = header_text(&headers, header::CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    let has_no_body =
        is_head || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED || status.is_informational();
    if has_no_body {
        let response = answer::headless(status, &headers, &exchange);
        return Attempted::Answered(conclude_success(exchange, status, response));
    }
    stream_answer(exchange, call, status, headers, body, length, key).await
}

fn conclude_success(mut exchange: Box<Exchange>, status: StatusCode, response: HttpResponse) -> HttpResponse {
    exchange.first_byte();
    exchange.conclude(Ending { status: status.as_u16(), verdict: classify::success(), is_success: true, report: None });
    response
}

async fn error_answer(
    mut exchange: Box<Exchange>,
    call: Call<'_>,
    is_head: bool,
    status: StatusCode,
    mut headers: HeaderMap,
    body: OutboundPayload,
    key: &Secret,
) -> Attempted {
    let deadline = call.deadline.min(Instant::now() + ERROR_BODY_TIME);
    let (mut body, is_whole) = match collect(body, ERROR_BODY_BYTES, deadline).await {
        Ok(collected) => collected,
        Err(error) => return transport_failure(exchange, call, &error, None, key),
    };
    let encoding = header_text(&headers, header::CONTENT_ENCODING);
    let decoded = encoding.map(|encoding| decode::decode(Some(encoding), &body, ERROR_BODY_BYTES).into_owned());
    let channel = call.route.group.definition.channel;
    let clear = decoded.as_deref().unwrap_or(&body);
    let verdict = classify::answer(channel, status.as_u16(), &headers, clear, Timestamp::now());
    let verdict = without_model(verdict, status, exchange.asked_model());
    let next = Next::retry_if(retry::follows_answer(verdict.class, status.as_u16(), &call.standard.failover));
    let failed = Failed::Answer(status.as_u16(), clear);
    let (verdict, next) = rules::rule(&mut exchange, &call, &failed, verdict, next);
    if let (false, Some(clear)) = (is_whole, &decoded) {
        // The beginning of a compressed body cannot be decoded by most clients.
        body = Bytes::copy_from_slice(clear);
        headers.remove(header::CONTENT_ENCODING);
    }
    let answer = FailedAnswer { status, headers, body, decoded, is_head }.redacted(key);
    Attempted::Failed { exchange, failure: Failure::Answer(Box::new(answer)), verdict, next }
}

/// A 404 for a model that the request does not name as such, as in `GET /v1/models/{id}`, says nothing of the key.
fn without_model(verdict: Verdict, status: StatusCode, model: &str) -> Verdict {
    if status == StatusCode::NOT_FOUND && verdict.class == OutcomeClass::KeyForbidden && model.is_empty() {
        return Verdict { class: OutcomeClass::ClientError, reach: Reach::KEY, ..verdict };
    }
    verdict
}

async fn model_list(
    exchange: Box<Exchange>,
    query: Option<&str>,
    call: Call<'_>,
    status: StatusCode,
    mut headers: HeaderMap,
    body: OutboundPayload,
    key: &Secret,
) -> Attempted {
    let body = match collect(body, MODEL_LIST_BYTES, call.deadline).await {
        Ok((body, true)) => body,
        Ok((_, false)) => {
            let error = TransportError::protocol("the upstream's model list is larger than the gateway accepts");
            return transport_failure(exchange, call, &error, None, key);
        }
        Err(error) => return transport_failure(exchange, call, &error, None, key),
    };
    let definition = &call.route.group.definition;
    let decoded = decode::decode(header_text(&headers, header::CONTENT_ENCODING), &body, MODEL_LIST_BYTES);
    let sources: Vec<&str> = definition.model_redirect_rules.keys().map(String::as_str).collect();
    let shows = |model: &str| rules::shows(&exchange, call.route, model);
    let list_rules = models::ListRules {
        sources: &sources,
        strict: definition.model_redirect_strict,
        first_page: !query.is_some_and(|query| query.contains("pageToken=")),
        shows: Some(&shows),
    };
    let body = match models::rewrite(definition.channel, &decoded, &list_rules) {
        Some(changed) => {
            headers.remove(header::CONTENT_ENCODING);
            headers.remove(header::ETAG);
            Bytes::from(changed)
        }
        None => body,
    };
    let response = answer::whole(status, &headers, body, &exchange);
    Attempted::Answered(conclude_success(exchange, status, response))
}

/// Looks at what is there of a good answer, and commits unless its first event is an error that another key may not have.
async fn stream_answer(
    mut exchange: Box<Exchange>,
    call: Call<'_>,
    status: StatusCode,
    headers: HeaderMap,
    mut payload: OutboundPayload,
    length: Option<u64>,
    key: &Secret,
) -> Attempted {
    let content_type = header_text(&headers, header::CONTENT_TYPE).unwrap_or_default();
    let is_event_stream = is_event_stream(content_type);
    let channel = call.route.group.definition.channel;
    let is_stream = is_event_stream || (exchange.is_stream && channel == Channel::Gemini);
    let mut tap =
        Tap::new(channel, is_event_stream, header_text(&headers, header::CONTENT_ENCODING)).learning(exchange.reading);
    let mut peek = Peek::default();
    let seen = if is_stream {
        timeout_at(call.deadline, peek.until_first_event(&mut payload, &mut tap))
            .await
            .unwrap_or_else(|_| Err(TransportError::timeout("no event arrived within the request's time limit")))
    } else {
        peek.what_is_here(&mut payload, &mut tap).await
    };
    if let Err(error) = seen {
        return transport_failure(exchange, call, &error, None, key);
    }
    if let FirstEvent::Error(verdict) = tap.first_event() {
        let events = answer::join(peek.ready.clone());
        let events = decode::decode(header_text(&headers, header::CONTENT_ENCODING), &events, ERROR_BODY_BYTES);
        let next = Next::retry_if(retry::follows_class(verdict.class));
        let failed = Failed::Event(status.as_u16(), &events);
        let (verdict, next) = rules::rule(&mut exchange, &call, &failed, verdict, next);
        if !call.is_last && next != Next::Stop {
            let body = answer::join(peek.ready);
            let answer = FailedAnswer { status, headers, body, decoded: None, is_head: false }.redacted(key);
            return Attempted::Failed { exchange, failure: Failure::Answer(Box::new(answer)), verdict, next };
        }
        exchange.ruling = verdict.ruling;
    } else if peek.ended && peek.bytes == 0 && call.route.settings.retry_empty_response && !call.is_last {
        let verdict = classify::transport("empty-answer", "the upstream answered 200 without any content".to_owned());
        let failed = Failed::Empty(status.as_u16());
        let (verdict, next) = rules::rule(&mut exchange, &call, &failed, verdict, Next::Retry);
        let answer = FailedAnswer { status, headers, body: Bytes::new(), decoded: None, is_head: false };
        return Attempted::Failed { exchange, failure: Failure::Answer(Box::new(answer)), verdict, next };
    }
    exchange.upstream_is_healthy();
    exchange.first_byte();
    exchange.remember(tap.take_learnt());
    // A body known to be empty is never asked for its end, so it ends here.
    if peek.ended && (!is_stream || peek.bytes == 0) {
        let report = tap.finish(true);
        let verdict = report.error.clone().unwrap_or_else(classify::success);
        let is_success = report.error.is_none();
        let response = answer::whole(status, &headers, answer::join(peek.ready), &exchange);
        exchange.conclude(Ending { status: status.as_u16(), verdict, is_success, report: Some(report) });
        return Attempted::Answered(response);
    }
    let limits = RelayLimits {
        idle: Duration::from_secs(call.route.settings.stream_idle_timeout),
        deadline: (!is_stream && !exchange.is_stream).then_some(call.deadline),
    };
    let mut stamps = HeaderMap::new();
    answer::stamp_headers(&mut stamps, &exchange);
    let begun = Begun { status: status.as_u16(), length, ready: peek.ready, payload, ended: peek.ended, tap };
    let relay = Relay::new(begun, exchange, limits);
    let response = answer::relayed(status, &headers, is_event_stream, &stamps, relay);
    Attempted::Answered(response)
}

fn is_event_stream(content_type: &str) -> bool {
    const EVENTS: &str = "text/event-stream";
    content_type.get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
}

fn header_text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
