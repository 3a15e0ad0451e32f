//! Where rows of an older program come from.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::rows::{LegacyGroup, LegacyHour, LegacyKey, LegacyLog, LegacyMember, LegacySetting};
use crate::store::StoreResult;

/// The tables of a database and their columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory(pub(crate) BTreeMap<String, BTreeSet<String>>);

/// Tables that older programs made.
pub(crate) const LEGACY_TABLES: [&str; 9] = [
    "system_settings",
    "groups",
    "group_sub_groups",
    "api_keys",
    "request_logs",
    "group_hourly_stats",
    "policies",
    "group_policies",
    "temp_migration",
];

/// Columns that every generation had, enough to tell an older GPT-Load from other programs.
const PROOF: [(&str, &[&str]); 2] = [
    ("groups", &["id", "name", "upstreams", "channel_type"]),
    ("api_keys", &["id", "key_value", "group_id", "status"]),
];

impl Inventory {
    /// Whether the table is there with this column.
    pub(crate) fn has(&self, table: &str, column: &str) -> bool {
        self.0.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// Whether an older GPT-Load, of any generation, made this database.
    pub(crate) fn is_legacy(&self) -> bool {
        PROOF.iter().all(|(table, columns)| columns.iter().all(|column| self.has(table, column)))
    }

    /// The generation in words.
    pub(crate) fn generation(&self) -> &'static str {
        let (two, five) = (self.has("groups", "group_type"), self.has("api_keys", "disabled_until"));
        match (two, five) {
            (true, true) => "two-state and five-state programs, one after the other",
            (false, true) => "a program with five key states",
            (true, false) => "a program with two key states and aggregate groups",
            (false, false) if self.has("api_keys", "key_hash") => "a program with two key states",
            (false, false) => "a program of the first generation, without key hashes",
        }
    }
}

/// Some rows of a request log.
pub(crate) struct Logs {
    pub(crate) rows: Vec<LegacyLog>,
    /// Where the rows go on, in the words of the source; `None` at the end.
    pub(crate) next: Option<String>,
}

/// The reading side of a take-over. Rows come in batches; nothing is ever written.
///
/// One implementation per kind of database; the rest of a take-over knows none of them.
#[async_trait]
pub(crate) trait Source: Send {
    /// Tables and columns, as they are at the beginning.
    fn inventory(&self) -> &Inventory;
    /// Rows of a table; 0 where there is no such table.
    async fn count(&mut self, table: &'static str) -> StoreResult<i64>;
    /// The highest id of a table; 0 where there is none above.
    async fn highest(&mut self, table: &'static str) -> StoreResult<i64>;
    /// Every setting; a few dozen.
    async fn settings(&mut self) -> StoreResult<Vec<LegacySetting>>;
    /// Every group, ascending by id; some hundreds at most.
    async fn groups(&mut self) -> StoreResult<Vec<LegacyGroup>>;
    /// Every membership, ascending by aggregate and member.
    async fn members(&mut self) -> StoreResult<Vec<LegacyMember>>;
    /// At most `limit` keys with ids above `after`, ascending.
    async fn keys(&mut self, after: i64, limit: usize) -> StoreResult<Vec<LegacyKey>>;
    /// At most `limit` rows of hourly statistics at positions above `after`, ascending.
    async fn hours(&mut self, after: i64, limit: usize) -> StoreResult<Vec<LegacyHour>>;
    /// About `limit` log rows, the newest first, from the place `from` on, which an earlier call answered.
    async fn logs(&mut self, from: Option<String>, limit: usize) -> StoreResult<Logs>;
}
