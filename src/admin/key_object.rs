//! A key as the API shows it.

use gpt_load_schema::{key::KeyRecord, time::Timestamp};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::openapi::types::{KeyStateWord, Time};

/// What stands for a stored value that does not decrypt.
const UNDECRYPTABLE: &str = "failed-to-decrypt";

/// The union of what earlier programs showed of a key, and what tells at a glance whether it serves.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Key")]
pub(super) struct KeyBody<'a> {
    id: i64,
    key_value: &'a str,
    key_hash: &'a str,
    group_id: i64,
    #[schemars(with = "KeyStateWord")]
    status: &'static str,
    notes: &'a str,
    request_count: i64,
    failure_count: i64,
    consecutive_failures: i32,
    backoff_level: i32,
    last_error_message: &'a str,
    /// Outcome class of the last failure; a rest has one too.
    last_class: Option<&'a str>,
    weight: i32,
    priority: i32,
    /// URL of the upstream that the key is bound to.
    upstream: Option<&'a str>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    resting_until: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    last_used_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    last_failure_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    last_success_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    last_validated_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    disabled_until: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Time")]
    created_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Time")]
    updated_at: Option<Timestamp>,
}

impl<'a> From<&'a KeyRecord> for KeyBody<'a> {
    fn from(key: &'a KeyRecord) -> Self {
        let health = &key.health;
        Self {
            id: key.id.0,
            key_value: key.value.as_ref().map_or(UNDECRYPTABLE, |value| value.expose()),
            key_hash: &key.hash,
            group_id: key.group_id.0,
            status: health.state.as_str(),
            notes: &key.notes,
            request_count: key.request_count,
            failure_count: key.failure_count,
            consecutive_failures: health.consecutive_failures,
            backoff_level: health.backoff_level,
            last_error_message: health.last_error.as_deref().unwrap_or_default(),
            last_class: health.last_class.as_deref(),
            weight: key.weight,
            priority: key.priority,
            upstream: key.upstream.as_deref(),
            resting_until: health.resting_until,
            last_used_at: key.last_used_at,
            last_failure_at: health.last_failure_at,
            last_success_at: health.last_success_at,
            last_validated_at: health.last_validated_at,
            disabled_until: health.disabled_until,
            created_at: Some(key.created_at),
            updated_at: Some(key.updated_at),
        }
    }
}

impl KeyBody<'_> {
    /// The same, resting until then.
    pub(super) fn resting_until(self, resting_until: Option<Timestamp>) -> Self {
        Self { resting_until, ..self }
    }
}

/// RFC 3339, `null` when unset.
pub(super) fn time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::to_rfc3339).serialize(serializer)
}
