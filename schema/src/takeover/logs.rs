//! Log rows and hourly statistics of older programs.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    cipher::{LegacyCipher, Opened},
    keys::TakenGroups,
    report::Report,
    rows::{LegacyHour, LegacyLog, is_true},
};
use crate::{
    ids::GroupId,
    log::{RequestLog, RequestType, TokenUsage},
    secret::Secret,
    time::Timestamp,
};

const HOUR_MS: i64 = 3_600_000;
/// Stands for a key that cannot be read any more.
const UNREADABLE: &str = "failed-to-decrypt";

/// What the log rows of one take-over have in common.
pub(crate) struct LogRules {
    pub(crate) cipher: Arc<LegacyCipher>,
    pub(crate) groups: TakenGroups,
    /// Rows before this are left out.
    pub(crate) since: Timestamp,
}

impl LogRules {
    /// The row of a stored one with the key that it names in clear text; `None` when it is left out, which is counted.
    pub(crate) fn log(&self, row: LegacyLog, report: &mut Report) -> Option<(RequestLog, Option<Secret>)> {
        report.logs.read += 1;
        let at = report.times.read(row.timestamp.as_deref());
        let id = row.id.as_deref().and_then(|id| Uuid::parse_str(id.trim()).ok());
        let (Some(timestamp), Some(id)) = (at, id) else {
            report.logs.left += 1;
            return None;
        };
        if timestamp < self.since {
            report.logs.old += 1;
            return None;
        }
        let group = |id: i64| self.groups.get(&id).map_or(GroupId(id), |group| group.id);
        let stored = row.key_value.unwrap_or_default();
        let key = match self.cipher.open(&stored, row.key_hash.as_deref().unwrap_or_default()) {
            Opened::Decrypted(key) | Opened::Clear(key) => Some(key).filter(|key| !key.expose().is_empty()),
            Opened::Unreadable => {
                report.logs.keys_unreadable += 1;
                Some(Secret::new(UNREADABLE))
            }
        };
        // Providers repeat keys in their errors, and some old programs stored addresses with the key in them.
        let told = |text: Option<String>| match (text.unwrap_or_default(), &key) {
            (text, Some(key)) => key.masked_in(text),
            (text, None) => text,
        };
        let (error_message, upstream_addr) = (told(row.error_message), told(row.upstream_addr));
        let parent =
            row.parent_group_id.filter(|id| *id > 0).map(|id| (group(id), row.parent_group_name.unwrap_or_default()));
        let retry = row.request_type.as_deref() == Some(RequestType::Retry.as_str());
        let log = RequestLog {
            id,
            // The old programs did not write down which rows belong together.
            request_id: id,
            attempt: 1,
            timestamp,
            group_id: group(row.group_id.unwrap_or(0)),
            group_name: row.group_name.unwrap_or_default(),
            parent,
            key: None,
            model: row.model.unwrap_or_default(),
            upstream_model: None,
            class: None,
            evidence: None,
            is_success: is_true(row.is_success.as_deref()),
            source_ip: row.source_ip.unwrap_or_default(),
            status_code: u16::try_from(row.status_code.unwrap_or(0)).unwrap_or(0),
            request_path: row.request_path.unwrap_or_default(),
            duration_ms: row.duration.unwrap_or(0).max(0),
            first_byte_ms: None,
            error_message,
            user_agent: row.user_agent.unwrap_or_default(),
            request_type: if retry { RequestType::Retry } else { RequestType::Final },
            upstream_addr,
            is_stream: is_true(row.is_stream.as_deref()),
            request_body: row.request_body.unwrap_or_default(),
            usage: TokenUsage::default(),
            finish_reason: None,
        };
        Some((log, key))
    }
}

/// Requests of a group within one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hour {
    pub(crate) group_id: GroupId,
    pub(crate) time: Timestamp,
    pub(crate) is_aggregate: bool,
    pub(crate) successes: i64,
    pub(crate) failures: i64,
}

impl Hour {
    /// Adds the counts of the same hour, stored once more.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.successes = self.successes.saturating_add(other.successes);
        self.failures = self.failures.saturating_add(other.failures);
    }
}

/// The hour of a stored row; `None` when it is left out, which is counted. `keep_unknown` keeps hours of groups that are
/// gone, whose requests the totals go on counting.
pub(crate) fn hour(row: &LegacyHour, groups: &TakenGroups, keep_unknown: bool, report: &mut Report) -> Option<Hour> {
    report.hours.read += 1;
    let id = row.group_id.unwrap_or(0);
    let group = groups.get(&id).map(|group| (group.id, group.aggregate));
    let group = group.or_else(|| keep_unknown.then_some((GroupId(id), false)));
    let (Some((group_id, is_aggregate)), Some(at)) = (group, report.times.read(row.time.as_deref())) else {
        report.hours.left += 1;
        return None;
    };
    Some(Hour {
        group_id,
        time: Timestamp(at.0.div_euclid(HOUR_MS) * HOUR_MS),
        is_aggregate,
        successes: row.success_count.unwrap_or(0).max(0),
        failures: row.failure_count.unwrap_or(0).max(0),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::takeover::keys::TakenGroup;

    fn groups() -> TakenGroups {
        BTreeMap::from([(1, TakenGroup { id: GroupId(11), aggregate: true, merged: false })])
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_row_keeps_what_it_says() {
        let rules = LogRules { cipher: Arc::new(LegacyCipher::new(None)), groups: groups(), since: Timestamp(1_000) };
        let row = LegacyLog {
            id: text("0b0e7c1e-8d7c-4f5a-9a39-3a9f0f6f7a10"),
            timestamp: text("2026-01-31 20:34:56+08:00"),
            group_id: Some(7),
            parent_group_id: Some(1),
            parent_group_name: text("all"),
            key_value: text("sk-1"),
            is_success: text("1"),
            status_code: Some(200),
            duration: Some(12),
            request_type: text("retry"),
            error_message: text("no key sk-1"),
            upstream_addr: text("https://a.test/v1beta/models?key=sk-1"),
            ..LegacyLog::default()
        };
        let mut report = Report::default();
        let (log, key) = rules.log(row.clone(), &mut report).unwrap();
        assert_eq!(log.timestamp, Timestamp(1_769_862_896_000));
        assert_eq!((log.group_id, log.parent), (GroupId(7), Some((GroupId(11), "all".to_owned()))));
        assert_eq!((log.is_success, log.status_code, log.request_type), (true, 200, RequestType::Retry));
        assert_eq!(key.unwrap().expose(), "sk-1");
        assert_eq!(log.error_message, "no key ****");
        assert_eq!(log.upstream_addr, "https://a.test/v1beta/models?key=****");
        let unreadable = LegacyLog { key_value: text(&"ab".repeat(40)), key_hash: text("x"), ..row.clone() };
        assert_eq!(rules.log(unreadable, &mut report).unwrap().1.unwrap().expose(), UNREADABLE);
        for left in [
            LegacyLog { id: text("7"), ..row.clone() },
            LegacyLog { timestamp: text("soon"), ..row.clone() },
            LegacyLog { timestamp: text("1970-01-01 00:00:00.5"), ..row },
        ] {
            assert!(rules.log(left, &mut report).is_none());
        }
        let logs = &report.logs;
        assert_eq!((logs.read, logs.left, logs.old, logs.keys_unreadable), (5, 2, 1, 1));
    }

    #[test]
    fn one_hour_under_two_offsets_is_one_hour() {
        let row = |time: &str| LegacyHour {
            group_id: Some(1),
            time: text(time),
            success_count: Some(3),
            failure_count: Some(-1),
            ..LegacyHour::default()
        };
        let mut report = Report::default();
        let mut read = |row: &LegacyHour, keep| hour(row, &groups(), keep, &mut report);
        let first = read(&row("2026-01-31 20:00:00+08:00"), false);
        assert_eq!(first, read(&row("2026-01-31T12:00:00Z"), false));
        assert_eq!(first.map(|hour| (hour.successes, hour.failures, hour.is_aggregate)), Some((3, 0, true)));
        let gone = LegacyHour { group_id: Some(9), ..row("2026-01-31 12:00:00") };
        assert_eq!((read(&gone, false), read(&gone, true).map(|hour| hour.group_id)), (None, Some(GroupId(9))));
        assert_eq!(read(&row("soon"), true), None);
        assert_eq!((report.hours.read, report.hours.left), (5, 2));
    }
}
