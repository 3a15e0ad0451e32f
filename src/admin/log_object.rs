//! A row of the request log as the API shows it.

use gpt_load_schema::{store::LogEntry, time::Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    key_object::time,
    openapi::types::{OutcomeClassWord, RequestTypeWord, Time},
};

/// The fields of earlier programs, and what this one knows besides.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RequestLog")]
pub(super) struct LogBody<'a> {
    id: String,
    request_id: String,
    attempt: u32,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Time")]
    timestamp: Option<Timestamp>,
    group_id: i64,
    group_name: &'a str,
    parent_group_id: i64,
    parent_group_name: &'a str,
    key_id: Option<i64>,
    key_value: &'a str,
    key_hash: &'a str,
    model: &'a str,
    upstream_model: Option<&'a str>,
    is_success: bool,
    #[schemars(with = "Option<OutcomeClassWord>")]
    outcome_class: Option<&'static str>,
    evidence: Option<&'a str>,
    source_ip: &'a str,
    status_code: u16,
    request_path: &'a str,
    duration_ms: i64,
    first_byte_ms: Option<i64>,
    error_message: &'a str,
    user_agent: &'a str,
    #[schemars(with = "RequestTypeWord")]
    request_type: &'static str,
    upstream_addr: &'a str,
    is_stream: bool,
    request_body: &'a str,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    finish_reason: Option<&'a str>,
}

impl<'a> From<&'a LogEntry> for LogBody<'a> {
    fn from(entry: &'a LogEntry) -> Self {
        let LogEntry { log, key_value, key_hash } = entry;
        Self {
            id: log.id.to_string(),
            request_id: log.request_id.to_string(),
            attempt: log.attempt,
            timestamp: Some(log.timestamp),
            group_id: log.group_id.0,
            group_name: &log.group_name,
            parent_group_id: log.parent.as_ref().map_or(0, |(id, _)| id.0),
            parent_group_name: log.parent.as_ref().map_or("", |(_, name)| name),
            key_id: log.key.as_ref().map(|(id, _)| id.0),
            key_value: key_value.expose(),
            key_hash,
            model: &log.model,
            upstream_model: log.upstream_model.as_deref(),
            is_success: log.is_success,
            outcome_class: log.class.map(|class| class.as_str()),
            evidence: log.evidence.as_deref(),
            source_ip: &log.source_ip,
            status_code: log.status_code,
            request_path: &log.request_path,
            duration_ms: log.duration_ms,
            first_byte_ms: log.first_byte_ms,
            error_message: &log.error_message,
            user_agent: &log.user_agent,
            request_type: log.request_type.as_str(),
            upstream_addr: &log.upstream_addr,
            is_stream: log.is_stream,
            request_body: &log.request_body,
            input_tokens: log.usage.input,
            output_tokens: log.usage.output,
            cached_tokens: log.usage.cached,
            reasoning_tokens: log.usage.reasoning,
            finish_reason: log.finish_reason.as_deref(),
        }
    }
}
