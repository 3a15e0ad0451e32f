//! Stored keys and their decrypted records.

use std::sync::Arc;

use diesel::{Queryable, Selectable};

use super::{
    StoreError, StoreResult,
    dialect::{Cell, HealthRow, NewKey},
    pool::blocking,
    tables::api_keys,
    text::{fit, fit_chars},
};
use crate::{
    crypto::{OpenError, Place, Vault},
    ids::{GroupId, KeyId},
    key::{KeyHealth, KeyRecord, KeySource, KeyState, ModelHealth},
    secret::Secret,
    store::KeyDelta,
    time::Timestamp,
};

/// Keys that one statement or transaction is about.
pub const KEY_BATCH: usize = 1_000;

/// Characters of what a person notes about a key.
pub(super) const NOTES_CHARS: usize = 255;
/// Bytes of a key's stored last error.
const LAST_ERROR_BYTES: usize = 2_048;
const LAST_CLASS_BYTES: usize = 50;
const LAST_RULE_BYTES: usize = 255;

/// A row of `api_keys`.
#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys)]
pub(super) struct KeyRow {
    pub(super) id: i64,
    key_value: String,
    key_hash: String,
    group_id: i64,
    status: String,
    notes: String,
    request_count: i64,
    failure_count: i64,
    last_used_at: i64,
    created_at: i64,
    updated_at: i64,
    last_failure_at: Option<i64>,
    last_success_at: Option<i64>,
    last_validated_at: Option<i64>,
    disabled_until: Option<i64>,
    resting_until: Option<i64>,
    consecutive_failures: i32,
    backoff_level: i32,
    last_error_message: Option<String>,
    last_class: Option<String>,
    generation: i64,
    weight: i32,
    priority: i32,
    upstream: Option<String>,
    source: String,
    last_rule: Option<String>,
    cooldown_level: i32,
    next_validation_at: Option<i64>,
    validation_level: i32,
    model_health: Option<String>,
}

/// The identity of a key's row: group and hash are unique together, known before the row has an id, and never change.
pub(super) fn row_identity(group: GroupId, hash: &str) -> String {
    format!("{group}/{hash}")
}

pub(super) fn place(row: &str) -> Place<'_> {
    Place { table: "api_keys", column: "key_value", row }
}

/// The clear text of a stored key.
pub(super) fn open_value(vault: &Vault, group: GroupId, hash: &str, stored: &str) -> Result<Secret, OpenError> {
    vault.open(place(&row_identity(group, hash)), stored)
}

/// The columns of [`cells`].
pub(super) const KEY_COLUMNS: &[&str] = &[
    "id",
    "key_value",
    "key_hash",
    "group_id",
    "status",
    "notes",
    "request_count",
    "failure_count",
    "last_used_at",
    "created_at",
    "updated_at",
    "last_failure_at",
    "last_success_at",
    "last_validated_at",
    "disabled_until",
    "consecutive_failures",
    "backoff_level",
    "last_error_message",
    "next_validation_at",
    "source",
];

/// What is stored of a key that another database knew before, hash and encryption made here. What is not among the
/// [`KEY_COLUMNS`] no other database knows.
pub(super) fn cells(vault: &Vault, key: &KeyRecord, value: &Secret) -> Vec<Cell> {
    let hash = vault.hash(value.expose());
    let health = &key.health;
    let millis = |at: Option<Timestamp>| at.map(|at| at.0);
    vec![
        key.id.0.into(),
        vault.seal(place(&row_identity(key.group_id, &hash)), value.expose()).into(),
        hash.into(),
        key.group_id.0.into(),
        health.state.as_str().to_owned().into(),
        fit_chars(key.notes.clone(), NOTES_CHARS).into(),
        key.request_count.into(),
        key.failure_count.into(),
        key.last_used_at.map_or(0, |at| at.0).into(),
        key.created_at.0.into(),
        key.updated_at.0.into(),
        millis(health.last_failure_at).into(),
        millis(health.last_success_at).into(),
        millis(health.last_validated_at).into(),
        millis(health.disabled_until).into(),
        i64::from(health.consecutive_failures).into(),
        i64::from(health.backoff_level).into(),
        health.last_error.clone().map(|text| fit(text, LAST_ERROR_BYTES)).into(),
        millis(health.next_validation_at).into(),
        source_word(key.source).to_owned().into(),
    ]
}

impl KeyRow {
    fn into_record(self, vault: &Vault) -> StoreResult<KeyRecord> {
        let group_id = GroupId(self.group_id);
        let value = open_value(vault, group_id, &self.key_hash, &self.key_value);
        if let Err(error) = value {
            tracing::warn!(key.id = self.id, group.id = self.group_id, %error, "a stored key is not readable");
        }
        Ok(KeyRecord {
            id: KeyId(self.id),
            group_id,
            value: value.ok(),
            hash: self.key_hash,
            notes: self.notes,
            health: KeyHealth {
                state: self.status.parse::<KeyState>().map_err(|error| StoreError::damaged("key status", error))?,
                generation: self.generation,
                consecutive_failures: self.consecutive_failures,
                backoff_level: self.backoff_level,
                disabled_until: self.disabled_until.map(Timestamp),
                resting_until: self.resting_until.map(Timestamp),
                last_failure_at: self.last_failure_at.map(Timestamp),
                last_success_at: self.last_success_at.map(Timestamp),
                last_validated_at: self.last_validated_at.map(Timestamp),
                last_error: self.last_error_message,
                last_class: self.last_class,
                last_rule: self.last_rule,
                cooldown_level: self.cooldown_level,
                next_validation_at: self.next_validation_at.map(Timestamp),
                validation_level: self.validation_level,
                models: models_from(self.model_health.as_deref())?,
            },
            request_count: self.request_count,
            failure_count: self.failure_count,
            last_used_at: (self.last_used_at > 0).then_some(Timestamp(self.last_used_at)),
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            weight: self.weight,
            priority: self.priority,
            upstream: self.upstream,
            source: source_from(&self.source),
        })
    }
}

/// Decrypts rows off the asynchronous threads.
pub(super) async fn decrypt(vault: &Arc<Vault>, rows: Vec<KeyRow>) -> StoreResult<Vec<KeyRecord>> {
    let vault = Arc::clone(vault);
    blocking(move || rows.into_iter().map(|row| row.into_record(&vault)).collect()).await
}

/// What every key of an import has in common.
#[derive(Clone, Copy)]
pub(super) struct KeyTemplate {
    pub(super) group: GroupId,
    pub(super) state: KeyState,
    pub(super) source: KeySource,
    pub(super) now: Timestamp,
}

impl KeyTemplate {
    /// The row of `value`, still without an id.
    pub(super) fn row(&self, vault: &Vault, value: &Secret) -> NewKey {
        let key_hash = vault.hash(value.expose());
        NewKey {
            id: 0,
            key_value: vault.seal(place(&row_identity(self.group, &key_hash)), value.expose()),
            key_hash,
            group_id: self.group.0,
            status: self.state.as_str(),
            created_at: self.now.0,
            updated_at: self.now.0,
            source: source_word(self.source),
        }
    }

    /// The record of an inserted row.
    pub(super) fn record(&self, row: NewKey, value: Secret) -> KeyRecord {
        KeyRecord {
            id: KeyId(row.id),
            group_id: self.group,
            value: Some(value),
            hash: row.key_hash,
            notes: String::new(),
            health: KeyHealth::new(self.state),
            request_count: 0,
            failure_count: 0,
            last_used_at: None,
            created_at: self.now,
            updated_at: self.now,
            weight: 1,
            priority: 0,
            upstream: None,
            source: self.source,
        }
    }
}

impl HealthRow {
    /// What `delta` stores.
    pub(super) fn new(delta: &KeyDelta, now: Timestamp) -> Self {
        let health = &delta.health;
        let millis = |at: Option<Timestamp>| at.map(|at| at.0);
        Self {
            id: delta.id.0,
            status: health.state.as_str(),
            generation: health.generation,
            consecutive_failures: health.consecutive_failures,
            backoff_level: health.backoff_level,
            disabled_until: millis(health.disabled_until),
            resting_until: millis(health.resting_until),
            last_failure_at: millis(health.last_failure_at),
            last_success_at: millis(health.last_success_at),
            last_validated_at: millis(health.last_validated_at),
            last_error_message: health.last_error.clone().map(|text| fit(text, LAST_ERROR_BYTES)),
            last_class: health.last_class.clone().map(|text| fit(text, LAST_CLASS_BYTES)),
            last_rule: health.last_rule.clone().map(|text| fit(text, LAST_RULE_BYTES)),
            cooldown_level: health.cooldown_level,
            next_validation_at: millis(health.next_validation_at),
            validation_level: health.validation_level,
            model_health: models_text(&health.models),
            keep_failures: i64::from(!delta.reset_failures),
            add_failures: delta.failures,
            updated_at: now.0,
        }
    }
}

/// The word of a source in the database.
pub(super) const fn source_word(source: KeySource) -> &'static str {
    match source {
        KeySource::Manual => "manual",
        KeySource::File => "file",
    }
}

fn models_from(text: Option<&str>) -> StoreResult<Vec<ModelHealth>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|error| StoreError::damaged("a key's health per model", error))
}

fn models_text(models: &[ModelHealth]) -> Option<String> {
    if models.is_empty() { None } else { serde_json::to_string(models).ok() }
}

fn source_from(word: &str) -> KeySource {
    if word == source_word(KeySource::File) { KeySource::File } else { KeySource::Manual }
}
