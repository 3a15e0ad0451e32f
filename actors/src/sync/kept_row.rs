//! What the journal keeps of a row of the request log: all but the key's value, which is found by its id.

use std::{borrow::Cow, collections::HashMap};

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    log::{OutcomeClass, RequestLog, RequestType, TokenUsage},
    secret::Secret,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

type Text<'a> = Cow<'a, str>;

/// A row without a secret.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptRow<'a> {
    id: [u8; 16],
    request_id: [u8; 16],
    attempt: u32,
    timestamp: i64,
    group: (GroupId, Text<'a>),
    parent: Option<(GroupId, Text<'a>)>,
    key: Option<KeyId>,
    model: Text<'a>,
    upstream_model: Option<Text<'a>>,
    class: Option<OutcomeClass>,
    evidence: Option<Text<'a>>,
    is_success: bool,
    source_ip: Text<'a>,
    status_code: u16,
    request_path: Text<'a>,
    duration_ms: i64,
    first_byte_ms: Option<i64>,
    error_message: Text<'a>,
    user_agent: Text<'a>,
    request_type: RequestType,
    upstream_addr: Text<'a>,
    is_stream: bool,
    request_body: Text<'a>,
    usage: TokenUsage,
    finish_reason: Option<Text<'a>>,
}

impl<'a> From<&'a RequestLog> for KeptRow<'a> {
    fn from(row: &'a RequestLog) -> Self {
        let optional = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        Self {
            id: row.id.into_bytes(),
            request_id: row.request_id.into_bytes(),
            attempt: row.attempt,
            timestamp: row.timestamp.0,
            group: (row.group_id, Cow::Borrowed(&row.group_name)),
            parent: row.parent.as_ref().map(|(id, name)| (*id, Cow::Borrowed(&**name))),
            key: row.key.as_ref().map(|(id, _)| *id),
            model: Cow::Borrowed(&row.model),
            upstream_model: optional(&row.upstream_model),
            class: row.class,
            evidence: optional(&row.evidence),
            is_success: row.is_success,
            source_ip: Cow::Borrowed(&row.source_ip),
            status_code: row.status_code,
            request_path: Cow::Borrowed(&row.request_path),
            duration_ms: row.duration_ms,
            first_byte_ms: row.first_byte_ms,
            error_message: Cow::Borrowed(&row.error_message),
            user_agent: Cow::Borrowed(&row.user_agent),
            request_type: row.request_type,
            upstream_addr: Cow::Borrowed(&row.upstream_addr),
            is_stream: row.is_stream,
            request_body: Cow::Borrowed(&row.request_body),
            usage: row.usage,
            finish_reason: optional(&row.finish_reason),
        }
    }
}

impl KeptRow<'_> {
    /// The key it is about.
    pub(crate) const fn key(&self) -> Option<KeyId> {
        self.key
    }

    /// The row again, with the value of its key where `values` has it. A key that is gone leaves its row without one.
    pub(crate) fn row(self, values: &HashMap<KeyId, Secret>) -> RequestLog {
        RequestLog {
            id: Uuid::from_bytes(self.id),
            request_id: Uuid::from_bytes(self.request_id),
            attempt: self.attempt,
            timestamp: Timestamp(self.timestamp),
            group_id: self.group.0,
            group_name: self.group.1.into_owned(),
            parent: self.parent.map(|(id, name)| (id, name.into_owned())),
            key: self.key.and_then(|key| Some((key, values.get(&key)?.clone()))),
            model: self.model.into_owned(),
            upstream_model: self.upstream_model.map(Cow::into_owned),
            class: self.class,
            evidence: self.evidence.map(Cow::into_owned),
            is_success: self.is_success,
            source_ip: self.source_ip.into_owned(),
            status_code: self.status_code,
            request_path: self.request_path.into_owned(),
            duration_ms: self.duration_ms,
            first_byte_ms: self.first_byte_ms,
            error_message: self.error_message.into_owned(),
            user_agent: self.user_agent.into_owned(),
            request_type: self.request_type,
            upstream_addr: self.upstream_addr.into_owned(),
            is_stream: self.is_stream,
            request_body: self.request_body.into_owned(),
            usage: self.usage,
            finish_reason: self.finish_reason.map(Cow::into_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::log_row;

    #[test]
    fn a_row_comes_back_as_it_was() {
        let full = RequestLog {
            parent: Some((GroupId(9), "all".into())),
            key: Some((KeyId(7), Secret::new("sk-value"))),
            class: Some(OutcomeClass::RateLimited),
            evidence: Some("status-429".into()),
            first_byte_ms: Some(3),
            usage: TokenUsage { input: Some(1), output: None, cached: Some(0), reasoning: Some(u64::MAX) },
            ..log_row(5)
        };
        let values = HashMap::from([(KeyId(7), Secret::new("sk-value"))]);
        for row in [full, log_row(6)] {
            let kept = postcard::to_stdvec(&KeptRow::from(&row)).expect("kept");
            assert!(!kept.windows(8).any(|bytes| bytes == b"sk-value"));
            let read: KeptRow<'_> = postcard::from_bytes(&kept).expect("read");
            assert_eq!(format!("{:?}", read.row(&values)), format!("{row:?}"));
        }
    }
}
