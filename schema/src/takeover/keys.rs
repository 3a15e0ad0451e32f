//! Provider keys of older programs and their states.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    cipher::{LegacyCipher, Opened},
    report::Report,
    rows::LegacyKey,
};
use crate::{
    ids::{GroupId, KeyId},
    key::{KeyHealth, KeyRecord, KeySource, KeyState},
    secret::Secret,
    time::Timestamp,
};

/// Over how long keys return that were out when they were taken over, so that they do not all come at once.
const RETURN_SPREAD_MS: i64 = 240_000;

/// A group that was taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TakenGroup {
    /// Its id here.
    pub(crate) id: GroupId,
    /// Whether it is an aggregate.
    pub(crate) aggregate: bool,
    /// Whether it was here before.
    pub(crate) merged: bool,
}

/// Groups by the id that they have in the old database.
pub(crate) type TakenGroups = BTreeMap<i64, TakenGroup>;

/// What the keys of one take-over have in common.
pub(crate) struct KeyRules {
    pub(crate) cipher: Arc<LegacyCipher>,
    pub(crate) groups: TakenGroups,
    pub(crate) now: Timestamp,
    /// The first backoff of a disabled key.
    pub(crate) backoff: Duration,
    /// The longest backoff: no key stays out longer, whatever its row says.
    pub(crate) longest_backoff: Duration,
    /// Leaves unreadable keys out. Otherwise nothing is changed when there is one.
    pub(crate) leave_unreadable: bool,
}

impl KeyRules {
    /// The record of a stored row, still under its old id and without hash; `None` when it is left out, which is counted.
    ///
    /// # Errors
    /// The id of a key that is not readable, unless such keys are left out.
    pub(crate) fn record(&self, row: LegacyKey, report: &mut Report) -> Result<Option<KeyRecord>, i64> {
        report.keys.read += 1;
        let id = row.id.unwrap_or(0);
        let stored = row.key_value.as_deref().unwrap_or_default();
        let hash = row.key_hash.as_deref().unwrap_or_default();
        let Some(group) = self.groups.get(&row.group_id.unwrap_or(0)) else {
            report.keys.orphans += 1;
            return Ok(None);
        };
        if group.aggregate {
            report.keys.on_aggregates += 1;
            return Ok(None);
        }
        let value = match self.cipher.open(stored, hash) {
            Opened::Decrypted(value) => value,
            Opened::Clear(value) => {
                report.keys.in_clear_text += i64::from(self.cipher.has_key() && !value.expose().is_empty());
                value
            }
            Opened::Unreadable if self.leave_unreadable => {
                report.keys.unreadable += 1;
                return Ok(None);
            }
            Opened::Unreadable => return Err(id),
        };
        if value.expose().is_empty() {
            report.keys.empty += 1;
            return Ok(None);
        }
        report.keys.without_hash += i64::from(hash.is_empty());
        Ok(Some(self.of(row, id, group.id, value, report)))
    }

    fn of(&self, row: LegacyKey, id: i64, group_id: GroupId, value: Secret, report: &mut Report) -> KeyRecord {
        let mut health = self.health(&row, id, report);
        // Providers repeat keys in their errors, and the old programs stored those as they were.
        health.last_error = health.last_error.map(|text| value.masked_in(text));
        let mut time = |text: Option<&str>| report.times.read(text);
        let created_at = time(row.created_at.as_deref()).unwrap_or(self.now);
        KeyRecord {
            id: KeyId(id),
            group_id,
            value: Some(value),
            hash: String::new(),
            notes: row.notes.unwrap_or_default(),
            health,
            request_count: row.request_count.unwrap_or(0).max(0),
            failure_count: row.failure_count.unwrap_or(0).max(0),
            last_used_at: time(row.last_used_at.as_deref()),
            created_at,
            updated_at: time(row.updated_at.as_deref()).unwrap_or(created_at),
            weight: 1,
            priority: 0,
            upstream: None,
            source: KeySource::Manual,
        }
    }

    fn health(&self, row: &LegacyKey, id: i64, report: &mut Report) -> KeyHealth {
        let level = |number: Option<i64>| i32::try_from(number.unwrap_or(0).max(0)).unwrap_or(i32::MAX);
        let mut time = |text: &Option<String>| report.times.read(text.as_deref());
        let mut health = KeyHealth {
            consecutive_failures: level(row.consecutive_failures),
            backoff_level: level(row.backoff_level),
            disabled_until: time(&row.disabled_until),
            last_failure_at: time(&row.last_failure_at),
            last_success_at: time(&row.last_success_at),
            last_validated_at: time(&row.last_validated_at),
            last_error: row.last_error_message.clone().filter(|text| !text.is_empty()),
            ..KeyHealth::new(state(row.status.as_deref()))
        };
        let back = self.now + self.backoff + Duration::from_millis(id.rem_euclid(RETURN_SPREAD_MS).unsigned_abs());
        match health.state {
            // Whoever called a key invalid in earnest wrote down when; all others were put out by the count of failures.
            KeyState::Invalid if health.last_failure_at.is_none() => {
                report.keys.returning += 1;
                health.state = KeyState::Disabled;
                health.consecutive_failures = level(row.failure_count).max(1);
                health.backoff_level = health.backoff_level.max(1);
                health.disabled_until = Some(back);
            }
            KeyState::Invalid => {
                health.disabled_until = None;
                health.next_validation_at = Some(self.now);
            }
            // Without a time, a key would wait for a person, who never asked for that.
            KeyState::Disabled => {
                let latest = self.now + self.longest_backoff;
                health.disabled_until = Some(health.disabled_until.unwrap_or(back).min(latest.max(back)));
            }
            KeyState::Pending | KeyState::Active | KeyState::Degraded => health.disabled_until = None,
        }
        health
    }
}

/// The state that a stored word means; a word that nobody knows has to be proved first.
fn state(word: Option<&str>) -> KeyState {
    word.and_then(|word| word.trim().to_ascii_lowercase().parse().ok()).unwrap_or(KeyState::Pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    fn rules() -> KeyRules {
        let group = |id, aggregate| TakenGroup { id: GroupId(id), aggregate, merged: false };
        KeyRules {
            cipher: Arc::new(LegacyCipher::new(None)),
            groups: BTreeMap::from([(1, group(11, false)), (2, group(12, true))]),
            now: NOW,
            backoff: Duration::from_secs(60),
            longest_backoff: Duration::from_secs(30 * 86_400),
            leave_unreadable: false,
        }
    }

    fn row(status: &str) -> LegacyKey {
        LegacyKey {
            id: Some(5),
            group_id: Some(1),
            key_value: Some("sk-1".to_owned()),
            status: Some(status.to_owned()),
            failure_count: Some(4),
            ..LegacyKey::default()
        }
    }

    fn health(row: LegacyKey) -> KeyHealth {
        rules().record(row, &mut Report::default()).unwrap().unwrap().health
    }

    #[test]
    fn a_key_put_out_by_its_failures_returns() {
        let mut report = Report::default();
        let record = rules().record(row("invalid"), &mut report).unwrap().unwrap();
        assert_eq!((record.id, record.group_id, record.failure_count), (KeyId(5), GroupId(11), 4));
        let health = record.health;
        assert_eq!((health.state, health.backoff_level, health.consecutive_failures), (KeyState::Disabled, 1, 4));
        assert_eq!(health.disabled_until, Some(Timestamp(NOW.0 + 60_005)));
        assert_eq!((report.keys.returning, report.keys.without_hash), (1, 1));
    }

    #[test]
    fn the_five_states_stay() {
        let long_ago = Some("2025-01-01 00:00:00+00:00".to_owned());
        let later = Some("2026-02-01 00:00:00+00:00".to_owned());
        for word in ["pending", "active", "degraded", " Active "] {
            let health = health(LegacyKey { disabled_until: later.clone(), ..row(word) });
            assert_eq!(health.state.as_str(), word.trim().to_lowercase());
            assert_eq!(health.disabled_until, None, "{word}");
        }
        assert_eq!(health(row("unknown")).state, KeyState::Pending);
        let invalid = health(LegacyKey { last_failure_at: long_ago, ..row("invalid") });
        assert_eq!((invalid.state, invalid.next_validation_at), (KeyState::Invalid, Some(NOW)));
        let disabled = health(LegacyKey { disabled_until: later, backoff_level: Some(3), ..row("disabled") });
        assert_eq!((disabled.state, disabled.backoff_level), (KeyState::Disabled, 3));
        assert_eq!(disabled.disabled_until, Some(Timestamp(1_769_817_600_000)), "not beyond the longest backoff");
        let soon = Some("2026-01-02 00:00:00+00:00".to_owned());
        let disabled = health(LegacyKey { disabled_until: soon, ..row("disabled") });
        assert_eq!(disabled.disabled_until, Some(Timestamp(1_767_312_000_000)));
        assert!(health(row("disabled")).disabled_until.is_some(), "it returns");
    }

    #[test]
    fn an_old_error_does_not_tell_the_key() {
        let key = "sk-0123456789abcdef";
        let text = Some(format!("Incorrect API key provided: {key}"));
        let row = LegacyKey { key_value: Some(key.to_owned()), last_error_message: text, ..row("active") };
        assert_eq!(health(row).last_error.as_deref(), Some("Incorrect API key provided: sk-0****cdef"));
    }

    #[test]
    fn what_is_left_out_is_counted_once() {
        let mut report = Report::default();
        let rows = [
            LegacyKey { group_id: Some(9), ..row("active") },
            LegacyKey { group_id: None, ..row("active") },
            LegacyKey { group_id: Some(2), ..row("active") },
            LegacyKey { key_value: None, ..row("active") },
        ];
        for row in rows {
            assert!(rules().record(row, &mut report).unwrap().is_none());
        }
        let keys = &report.keys;
        assert_eq!((keys.read, keys.orphans, keys.on_aggregates, keys.empty), (4, 2, 1, 1));
        let sealed = LegacyKey { key_value: Some("ab".repeat(40)), key_hash: Some("0".repeat(64)), ..row("active") };
        assert_eq!(rules().record(sealed.clone(), &mut report).err(), Some(5));
        let lenient = KeyRules { leave_unreadable: true, ..rules() };
        assert!(lenient.record(sealed, &mut report).unwrap().is_none());
        assert_eq!(report.keys.unreadable, 1);
    }
}
