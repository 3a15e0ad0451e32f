//! Outcome classes and the request log.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ids::{GroupId, KeyId},
    secret::Secret,
    time::Timestamp,
};

/// What one attempt said about its key, its upstream and its client. Exactly one per attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    /// The client hung up.
    Abandoned,
    /// 2xx or 3xx that ended well.
    Success,
    /// The account's quota or credit is used up.
    QuotaExhausted,
    /// The key must rest.
    RateLimited,
    /// The provider does not know the key, or no longer.
    KeyInvalid,
    /// The key may not do this.
    KeyForbidden,
    /// The provider or the way to it failed.
    UpstreamFault,
    /// The request itself was refused.
    ClientError,
}

impl OutcomeClass {
    /// Every class, in the order in which the classifier tries them.
    pub const ALL: [Self; 8] = [
        Self::Abandoned,
        Self::Success,
        Self::QuotaExhausted,
        Self::RateLimited,
        Self::KeyInvalid,
        Self::KeyForbidden,
        Self::UpstreamFault,
        Self::ClientError,
    ];

    /// The word used in the database, in logs and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Success => "success",
            Self::QuotaExhausted => "quota_exhausted",
            Self::RateLimited => "rate_limited",
            Self::KeyInvalid => "key_invalid",
            Self::KeyForbidden => "key_forbidden",
            Self::UpstreamFault => "upstream_fault",
            Self::ClientError => "client_error",
        }
    }
}

impl fmt::Display for OutcomeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tokens as the provider counted them; `None` = it did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Prompt tokens, cached ones included.
    pub input: Option<u64>,
    /// Answer tokens, reasoning ones included.
    pub output: Option<u64>,
    /// Prompt tokens read from the provider's cache.
    pub cached: Option<u64>,
    /// Answer tokens spent on reasoning.
    pub reasoning: Option<u64>,
}

/// Whether a log row stands for a failed attempt that was followed by another, or for the request's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestType {
    /// A failed attempt that was followed by another.
    Retry,
    /// The end of the request; exactly one per request.
    Final,
}

impl RequestType {
    /// The word used in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Final => "final",
        }
    }
}

/// One row of the request log.
#[derive(Clone, Debug)]
pub struct RequestLog {
    /// UUIDv7 of this row; inserts are idempotent by it.
    pub id: Uuid,
    /// UUIDv7 of the client request, shared by all rows of its attempts.
    pub request_id: Uuid,
    /// Attempt number, from 1; 0 when no attempt was made.
    pub attempt: u32,
    /// When the row was written.
    pub timestamp: Timestamp,
    /// The group really used.
    pub group_id: GroupId,
    /// Its name then.
    pub group_name: String,
    /// The aggregate it was used through.
    pub parent: Option<(GroupId, String)>,
    /// The key used, if one was selected.
    pub key: Option<(KeyId, Secret)>,
    /// Model the client asked for.
    pub model: String,
    /// Model that answered, if the provider said so and it differs.
    pub upstream_model: Option<String>,
    /// Class of the attempt; `None` when the gateway refused the request before one.
    pub class: Option<OutcomeClass>,
    /// The rule that decided the class, and the provider's text, redacted and cut.
    pub evidence: Option<String>,
    /// Whether the client got a whole answer with a status below 400.
    pub is_success: bool,
    /// Client address.
    pub source_ip: String,
    /// Upstream's status, or the gateway's own; 499 when the client hung up.
    pub status_code: u16,
    /// Path and query as received, without the proxy key.
    pub request_path: String,
    /// Milliseconds since the request arrived.
    pub duration_ms: i64,
    /// Milliseconds until the first byte of the answer.
    pub first_byte_ms: Option<i64>,
    /// What went wrong, redacted.
    pub error_message: String,
    /// Only when body logging is on.
    pub user_agent: String,
    /// Retry or final.
    pub request_type: RequestType,
    /// Full upstream URL without credentials.
    pub upstream_addr: String,
    /// Whether the client asked for a stream.
    pub is_stream: bool,
    /// Only when body logging is on; at most 65,000 bytes.
    pub request_body: String,
    /// Tokens, as far as the provider counted them.
    pub usage: TokenUsage,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<String>,
}
