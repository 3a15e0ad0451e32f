//! What a take-over found and did.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::times::TimesRead;

/// Sentences kept about single rows; what goes beyond is only counted.
const MAX_FINDINGS: usize = 100;

/// What a take-over found and did; grows while it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The generation of the old program, in words.
    pub generation: String,
    /// Settings read.
    pub settings_read: i64,
    /// Settings stored; the others are unknown, unusable, equal to a former default, or were set here before.
    pub settings_taken: i64,
    /// Groups read.
    pub groups_read: i64,
    /// Groups made.
    pub groups_taken: i64,
    /// Groups that were here before by the same name and got the keys.
    pub groups_merged: i64,
    /// Memberships of aggregates read.
    pub members_read: i64,
    /// Memberships stored.
    pub members_taken: i64,
    /// What happened to keys.
    pub keys: KeysReport,
    /// What happened to hourly statistics.
    pub hours: HoursReport,
    /// What happened to the request log.
    pub logs: LogsReport,
    /// Rows of `policies` and `group_policies`, which stay where they are.
    pub policies_left: i64,
    /// Times that were met.
    pub times: TimesRead,
    /// What deserves attention, a sentence each, without secrets.
    pub findings: Vec<String>,
    /// Sentences beyond those kept.
    pub findings_more: i64,
}

/// What happened to provider keys; each key read is counted exactly once of `taken` to `unreadable`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeysReport {
    /// Rows read.
    pub read: i64,
    /// Keys stored.
    pub taken: i64,
    /// Left out: the group has the same key under a lower id, or had it before.
    pub duplicates: i64,
    /// Left out: their group does not exist.
    pub orphans: i64,
    /// Left out: their group is an aggregate, which uses no keys.
    pub on_aggregates: i64,
    /// Left out: empty.
    pub empty: i64,
    /// Left out by order: not readable with the passphrase.
    pub unreadable: i64,
    /// Keys that had no hash.
    pub without_hash: i64,
    /// Keys in clear text although there is a passphrase.
    pub in_clear_text: i64,
    /// Keys put out by their number of failures, which return by themselves.
    pub returning: i64,
}

/// What happened to hourly statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HoursReport {
    /// Rows read.
    pub read: i64,
    /// Rows that are another row's hour under another offset from UTC, added to it.
    pub merged: i64,
    /// Left out: their time is not readable, or their group does not exist here.
    pub left: i64,
}

/// What happened to the request log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogsReport {
    /// Rows looked at, the newest first.
    pub read: i64,
    /// Rows stored.
    pub taken: i64,
    /// Left out: older than the retention.
    pub old: i64,
    /// Left out: older than the newest rows that a take-over copies at most.
    pub beyond: i64,
    /// Left out: no usable id or time, or here before.
    pub left: i64,
    /// Rows stored whose key is not readable with the passphrase.
    pub keys_unreadable: i64,
}

impl Report {
    /// Keeps a sentence about something that deserves attention.
    pub(crate) fn find(&mut self, sentence: impl Into<String>) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(sentence.into());
        } else {
            self.findings_more += 1;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, hours, logs, .. } = self;
        writeln!(f, "made by          {}", self.generation)?;
        writeln!(f, "settings         {} of {}", self.settings_taken, self.settings_read)?;
        write!(f, "groups           {} of {}", self.groups_taken, self.groups_read)?;
        others(f, &[(self.groups_merged, "joined a group of the same name")])?;
        writeln!(f, "members          {} of {}", self.members_taken, self.members_read)?;
        write!(f, "keys             {} of {}", keys.taken, keys.read)?;
        others(
            f,
            &[
                (keys.duplicates, "duplicates"),
                (keys.orphans, "of groups that do not exist"),
                (keys.on_aggregates, "on aggregate groups"),
                (keys.empty, "empty"),
                (keys.unreadable, "not readable"),
            ],
        )?;
        for (count, what) in [
            (keys.without_hash, "had no hash"),
            (keys.in_clear_text, "were in clear text"),
            (keys.returning, "were out by their failures and return by themselves"),
        ] {
            if count > 0 {
                writeln!(f, "                 {count} {what}")?;
            }
        }
        write!(f, "hours            {} of {}", hours.read - hours.left - hours.merged, hours.read)?;
        others(f, &[(hours.merged, "merged"), (hours.left, "left out")])?;
        write!(f, "log rows         {} of {}", logs.taken, logs.read + logs.beyond)?;
        others(
            f,
            &[
                (logs.old, "older than the retention"),
                (logs.beyond, "beyond the newest that are copied"),
                (logs.left, "here before or without id or time"),
            ],
        )?;
        if logs.keys_unreadable > 0 {
            writeln!(f, "                 {} with a key that is not readable", logs.keys_unreadable)?;
        }
        if self.policies_left > 0 {
            writeln!(f, "policies         {} rows left where they are", self.policies_left)?;
        }
        if self.times.offsets.len() > 1 || self.times.unreadable > 0 {
            write!(f, "times            under {} offsets from UTC", self.times.offsets.len())?;
            others(f, &[(self.times.unreadable, "not readable")])?;
        }
        for finding in &self.findings {
            writeln!(f, "note: {finding}")?;
        }
        if self.findings_more > 0 {
            writeln!(f, "note: and {} more", self.findings_more)?;
        }
        Ok(())
    }
}

/// Ends a line with what the others are.
fn others(f: &mut fmt::Formatter<'_>, counts: &[(i64, &str)]) -> fmt::Result {
    let said: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if said.is_empty() { writeln!(f) } else { writeln!(f, " ({})", said.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_became_of_every_row() {
        let mut report = Report { generation: "a program".to_owned(), settings_read: 3, ..Report::default() };
        report.keys =
            KeysReport { read: 9, taken: 6, duplicates: 2, orphans: 1, returning: 4, ..KeysReport::default() };
        report.hours = HoursReport { read: 5, merged: 1, left: 1 };
        (0..MAX_FINDINGS + 2).for_each(|number| report.find(number.to_string()));
        let text = report.to_string();
        for line in [
            "settings         0 of 3\n",
            "keys             6 of 9 (2 duplicates, 1 of groups that do not exist)\n                 4 were out",
            "hours            3 of 5 (1 merged, 1 left out)\n",
            "note: 99\nnote: and 2 more\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let stored = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&stored).unwrap(), report);
        assert_eq!(serde_json::from_str::<Report>("{}").unwrap(), Report::default());
    }
}
