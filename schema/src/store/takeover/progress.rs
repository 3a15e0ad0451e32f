//! How far a copy is; stored with every batch, in the same transaction.

use serde::{Deserialize, Serialize};

use crate::{
    takeover::{Report, keys::TakenGroups},
    time::Timestamp,
};

/// Below every id that an old program gave.
pub(super) const BEFORE_ALL: i64 = i64::MIN + 1;

/// What a copy does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    #[default]
    Settings,
    Groups,
    Keys,
    Hours,
    Logs,
    Check,
    Done,
}

impl Stage {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Groups => "groups",
            Self::Keys => "keys",
            Self::Hours => "hourly statistics",
            Self::Logs => "request log",
            Self::Check => "check",
            Self::Done => "done",
        }
    }
}

/// How far a copy is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::store) struct Progress {
    pub(super) stage: Stage,
    /// The moment that the copy takes for now, however long it lasts and however often it is resumed.
    pub(super) started_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
    /// Groups by their old ids.
    pub(super) groups: TakenGroups,
    /// The highest old id among keys that were looked at.
    pub(super) key: Option<i64>,
    /// The highest id that a key here has.
    pub(super) last_key: i64,
    /// The last row of hourly statistics that was added.
    pub(super) hour: Option<i64>,
    /// Where the log goes on, in the words of its source.
    pub(super) log_from: Option<String>,
    /// In force for the rows that are copied.
    pub(super) retention_days: u64,
    pub(super) backoff_seconds: u64,
    pub(super) longest_backoff_seconds: u64,
    pub(super) report: Report,
    /// The copy of the file, made before anything was changed.
    pub(super) backup: Option<String>,
    /// Old tables that were set aside, by their own names; none once they were dropped.
    pub(super) aside: Vec<String>,
    /// SQLite: the statements that make the old tables' indexes, which exist while the tables are in use.
    pub(super) indexes: Vec<String>,
    /// PostgreSQL: old indexes by their own names and those that they have aside.
    pub(super) renamed: Vec<(String, String)>,
}

impl Progress {
    /// A copy that begins.
    pub(super) fn begin(now: Timestamp, generation: &str) -> Self {
        let report = Report { generation: generation.to_owned(), ..Report::default() };
        Self { started_at: now, report, ..Self::default() }
    }

    /// A finished copy that is made once more, for what came since: counted afresh, statistics only from where it ended.
    pub(super) fn again(self, now: Timestamp, generation: &str) -> Self {
        Self { hour: self.hour, groups: self.groups, ..Self::begin(now, generation) }
    }
}
