//! The access line: one per request.

use std::time::Duration;

use gpt_load_schema::log::{OutcomeClass, TokenUsage};
use uuid::Uuid;

/// Target of access lines, for filters.
pub const TARGET: &str = "access";

/// What is said of a request when it ends.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Id of the request, also in its answer and its log rows.
    pub id: Uuid,
    /// Method.
    pub method: &'a str,
    /// Path without query.
    pub path: &'a str,
    /// Group that served it; empty when none was found.
    pub group: &'a str,
    /// Model the client asked for; empty when unknown.
    pub model: &'a str,
    /// Mask of the last key used ([`gpt_load_schema::secret::Secret::masked`]); empty when none was.
    pub key: &'a str,
    /// Upstream calls made.
    pub attempts: u32,
    /// Class of the last one; `None` when none was made.
    pub class: Option<OutcomeClass>,
    /// Status of the answer; 499 when the client hung up.
    pub status: u16,
    /// From the arrival of the request to the end of the answer.
    pub duration: Duration,
    /// Tokens as far as the provider counted them.
    pub usage: TokenUsage,
}

/// Writes the access line.
pub fn log(access: &Access<'_>) {
    tracing::info!(
        target: TARGET,
        id = %access.id,
        method = access.method,
        path = access.path,
        group = access.group,
        model = access.model,
        key = access.key,
        attempts = access.attempts,
        class = access.class.map(OutcomeClass::as_str),
        status = access.status,
        duration_ms = millis(access.duration),
        input_tokens = access.usage.input,
        output_tokens = access.usage.output,
        cached_tokens = access.usage.cached,
        reasoning_tokens = access.usage.reasoning,
    );
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
