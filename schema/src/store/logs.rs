//! Request-log rows and their records.

use std::sync::Arc;

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper, dsl::count_star};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{
    Store, StoreError, StoreResult,
    dialect::Cell,
    pool::{blocking, read},
    tables::request_logs,
    text::fit,
};
use crate::{
    crypto::{Place, Vault},
    ids::{GroupId, KeyId},
    log::{OutcomeClass, RequestLog, RequestType, TokenUsage},
    secret::Secret,
    time::Timestamp,
};

/// Stands for a key that does not decrypt, as the API shows it.
pub(super) const UNREADABLE: &str = "failed-to-decrypt";
/// Bytes of free text below the smallest text column of all databases.
const TEXT_BYTES: usize = 65_000;

/// A row of `request_logs`.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = request_logs, treat_none_as_default_value = false)]
pub(super) struct LogRow {
    pub(super) id: String,
    request_id: String,
    attempt: i32,
    pub(super) timestamp: i64,
    pub(super) group_id: i64,
    group_name: String,
    pub(super) parent_group_id: Option<i64>,
    parent_group_name: Option<String>,
    pub(super) key_id: Option<i64>,
    pub(super) key_value: String,
    pub(super) key_hash: String,
    model: String,
    upstream_model: Option<String>,
    pub(super) outcome_class: Option<String>,
    evidence: Option<String>,
    pub(super) is_success: bool,
    source_ip: String,
    status_code: i32,
    request_path: String,
    pub(super) duration: i64,
    first_byte_ms: Option<i64>,
    error_message: String,
    user_agent: String,
    request_type: String,
    upstream_addr: String,
    is_stream: bool,
    request_body: String,
    pub(super) input_tokens: Option<i64>,
    pub(super) output_tokens: Option<i64>,
    pub(super) cached_tokens: Option<i64>,
    pub(super) reasoning_tokens: Option<i64>,
    finish_reason: Option<String>,
}

impl Store {
    /// The newest log rows, at most `limit`; `group` narrows them to the group really used.
    ///
    /// A key that does not decrypt reads `failed-to-decrypt`.
    pub async fn recent_logs(&self, group: Option<GroupId>, limit: u32) -> StoreResult<Vec<RequestLog>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let rows: Vec<LogRow> = read!(engine, |conn| {
                    let mut query = request_logs::table.into_boxed();
                    if let Some(group) = group {
                        query = query.filter(request_logs::group_id.eq(group.0));
                    }
                    query
                        .order((request_logs::timestamp.desc(), request_logs::id.desc()))
                        .limit(i64::from(limit))
                        .select(LogRow::as_select())
                        .load(conn)
                        .await?
                });
                let vault = Arc::clone(&engine.vault);
                blocking(move || rows.into_iter().map(|row| row.into_log(&vault)).collect()).await
            })
            .await
    }

    /// The newest log rows of the key with this lookup hash in a group, failed attempts included, at most `limit`.
    pub async fn key_logs(&self, group: GroupId, key_hash: &str, limit: u32) -> StoreResult<Vec<RequestLog>> {
        let (engine, key_hash) = (Arc::clone(&self.engine), key_hash.to_owned());
        self.engine
            .run(async move {
                let rows: Vec<LogRow> = read!(engine, |conn| {
                    request_logs::table
                        .filter(request_logs::key_hash.eq(&key_hash))
                        .filter(request_logs::group_id.eq(group.0))
                        .order((request_logs::timestamp.desc(), request_logs::id.desc()))
                        .limit(i64::from(limit))
                        .select(LogRow::as_select())
                        .load(conn)
                        .await?
                });
                let vault = Arc::clone(&engine.vault);
                blocking(move || rows.into_iter().map(|row| row.into_log(&vault)).collect()).await
            })
            .await
    }

    /// Number of log rows, by request type: (final, retry).
    pub async fn log_counts(&self) -> StoreResult<(i64, i64)> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let rows: Vec<(String, i64)> = read!(engine, |conn| {
                    request_logs::table
                        .group_by(request_logs::request_type)
                        .select((request_logs::request_type, count_star()))
                        .load(conn)
                        .await?
                });
                let of = |word: RequestType| {
                    rows.iter().filter(|(stored, _)| stored == word.as_str()).map(|(_, count)| count).sum()
                };
                Ok((of(RequestType::Final), of(RequestType::Retry)))
            })
            .await
    }
}

/// The columns of [`LogRow::cells`].
pub(super) const LOG_COLUMNS: &[&str] = &[
    "id",
    "request_id",
    "attempt",
    "timestamp",
    "group_id",
    "group_name",
    "parent_group_id",
    "parent_group_name",
    "key_id",
    "key_value",
    "key_hash",
    "model",
    "upstream_model",
    "outcome_class",
    "evidence",
    "is_success",
    "source_ip",
    "status_code",
    "request_path",
    "duration",
    "first_byte_ms",
    "error_message",
    "user_agent",
    "request_type",
    "upstream_addr",
    "is_stream",
    "request_body",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "finish_reason",
];

/// A row's own id tells it from all others.
pub(super) fn place(row: &str) -> Place<'_> {
    Place { table: "request_logs", column: "key_value", row }
}

impl LogRow {
    /// The row of `log`: texts cut to their columns, the key encrypted.
    pub(super) fn new(vault: &Vault, log: RequestLog) -> Self {
        let id = log.id.to_string();
        let (parent_group_id, parent_group_name) = log.parent.map(|(id, name)| (id.0, fit(name, 255))).unzip();
        let (key_id, key_value, key_hash) = match &log.key {
            Some((key, value)) => (Some(key.0), vault.seal(place(&id), value.expose()), vault.hash(value.expose())),
            None => (None, String::new(), String::new()),
        };
        let count = |tokens: Option<u64>| tokens.map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX));
        Self {
            request_id: log.request_id.to_string(),
            attempt: i32::try_from(log.attempt).unwrap_or(i32::MAX),
            timestamp: log.timestamp.0,
            group_id: log.group_id.0,
            group_name: fit(log.group_name, 255),
            parent_group_id,
            parent_group_name,
            key_id,
            key_value,
            key_hash,
            model: fit(log.model, 255),
            upstream_model: log.upstream_model.map(|model| fit(model, 255)),
            outcome_class: log.class.map(|class| class.as_str().to_owned()),
            evidence: log.evidence.map(|evidence| fit(evidence, TEXT_BYTES)),
            is_success: log.is_success,
            source_ip: fit(log.source_ip, 64),
            status_code: i32::from(log.status_code),
            request_path: fit(log.request_path, 500),
            duration: log.duration_ms,
            first_byte_ms: log.first_byte_ms,
            error_message: fit(log.error_message, TEXT_BYTES),
            user_agent: fit(log.user_agent, 512),
            request_type: log.request_type.as_str().to_owned(),
            upstream_addr: fit(log.upstream_addr, 500),
            is_stream: log.is_stream,
            request_body: fit(log.request_body, TEXT_BYTES),
            input_tokens: count(log.usage.input),
            output_tokens: count(log.usage.output),
            cached_tokens: count(log.usage.cached),
            reasoning_tokens: count(log.usage.reasoning),
            finish_reason: log.finish_reason.map(|reason| fit(reason, 64)),
            id,
        }
    }

    /// The row, column by column.
    pub(super) fn cells(self) -> Vec<Cell> {
        vec![
            self.id.into(),
            self.request_id.into(),
            i64::from(self.attempt).into(),
            self.timestamp.into(),
            self.group_id.into(),
            self.group_name.into(),
            self.parent_group_id.into(),
            self.parent_group_name.into(),
            self.key_id.into(),
            self.key_value.into(),
            self.key_hash.into(),
            self.model.into(),
            self.upstream_model.into(),
            self.outcome_class.into(),
            self.evidence.into(),
            self.is_success.into(),
            self.source_ip.into(),
            i64::from(self.status_code).into(),
            self.request_path.into(),
            self.duration.into(),
            self.first_byte_ms.into(),
            self.error_message.into(),
            self.user_agent.into(),
            self.request_type.into(),
            self.upstream_addr.into(),
            self.is_stream.into(),
            self.request_body.into(),
            self.input_tokens.into(),
            self.output_tokens.into(),
            self.cached_tokens.into(),
            self.reasoning_tokens.into(),
            self.finish_reason.into(),
        ]
    }

    /// Bytes of its longer texts.
    pub(super) fn weight(&self) -> usize {
        let evidence = self.evidence.as_ref().map_or(0, String::len);
        self.key_value.len() + self.error_message.len() + self.request_body.len() + self.request_path.len() + evidence
    }

    /// Whether the row stands for the end of a request.
    pub(super) fn is_final(&self) -> bool {
        self.request_type == RequestType::Final.as_str()
    }

    pub(super) fn into_log(self, vault: &Vault) -> StoreResult<RequestLog> {
        let uuid = |text: &str| Uuid::parse_str(text).map_err(|error| StoreError::damaged("log id", error));
        let count = |tokens: Option<i64>| tokens.and_then(|tokens| u64::try_from(tokens).ok());
        let request_type = if self.is_final() { RequestType::Final } else { RequestType::Retry };
        let class = self.outcome_class.as_deref().map(outcome_class).transpose()?;
        let value = |stored: &str| vault.open(place(&self.id), stored).unwrap_or_else(|_| Secret::new(UNREADABLE));
        Ok(RequestLog {
            id: uuid(&self.id)?,
            request_id: uuid(&self.request_id)?,
            attempt: u32::try_from(self.attempt).unwrap_or(0),
            timestamp: Timestamp(self.timestamp),
            group_id: GroupId(self.group_id),
            group_name: self.group_name,
            parent: self.parent_group_id.map(|id| (GroupId(id), self.parent_group_name.unwrap_or_default())),
            key: self.key_id.map(|id| (KeyId(id), value(&self.key_value))),
            model: self.model,
            upstream_model: self.upstream_model,
            class,
            evidence: self.evidence,
            is_success: self.is_success,
            source_ip: self.source_ip,
            status_code: u16::try_from(self.status_code).unwrap_or(0),
            request_path: self.request_path,
            duration_ms: self.duration,
            first_byte_ms: self.first_byte_ms,
            error_message: self.error_message,
            user_agent: self.user_agent,
            request_type,
            upstream_addr: self.upstream_addr,
            is_stream: self.is_stream,
            request_body: self.request_body,
            usage: TokenUsage {
                input: count(self.input_tokens),
                output: count(self.output_tokens),
                cached: count(self.cached_tokens),
                reasoning: count(self.reasoning_tokens),
            },
            finish_reason: self.finish_reason,
        })
    }
}

fn outcome_class(stored: &str) -> StoreResult<OutcomeClass> {
    let class = OutcomeClass::ALL.into_iter().find(|class| class.as_str() == stored);
    class.ok_or_else(|| StoreError::damaged("outcome class", stored))
}
