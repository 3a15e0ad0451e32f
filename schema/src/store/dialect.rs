//! The statements that differ between databases: upserts, inserts that report what was new, many updates at once.
//!
//! Each takes any number of rows and splits them as its database needs.

mod batches;
mod cells;
mod mysql;
mod postgres;
mod sqlite;

use diesel::{Insertable, QueryResult, Queryable};

pub(super) use self::cells::{Cell, Clash, Rows, insert_rows};

use super::{
    logs::LogRow,
    proofs::ProofRow,
    resources::ResourceRow,
    tables::{api_keys, group_hourly_stats, system_settings},
};

/// A key to insert; the other columns have defaults.
#[derive(Clone, Insertable)]
#[diesel(table_name = api_keys)]
pub(super) struct NewKey {
    pub(super) id: i64,
    pub(super) key_value: String,
    pub(super) key_hash: String,
    pub(super) group_id: i64,
    pub(super) status: &'static str,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) source: &'static str,
}

impl NewKey {
    /// Bytes of its texts.
    fn weight(&self) -> usize {
        self.key_value.len() + self.key_hash.len()
    }
}

/// What to store of a key's health.
#[derive(Clone, Debug)]
pub(super) struct HealthRow {
    pub(super) id: i64,
    pub(super) status: &'static str,
    pub(super) generation: i64,
    pub(super) consecutive_failures: i32,
    pub(super) backoff_level: i32,
    pub(super) disabled_until: Option<i64>,
    pub(super) resting_until: Option<i64>,
    pub(super) last_failure_at: Option<i64>,
    pub(super) last_success_at: Option<i64>,
    pub(super) last_validated_at: Option<i64>,
    pub(super) last_error_message: Option<String>,
    pub(super) last_class: Option<String>,
    pub(super) last_rule: Option<String>,
    pub(super) cooldown_level: i32,
    pub(super) next_validation_at: Option<i64>,
    pub(super) validation_level: i32,
    pub(super) model_health: Option<String>,
    /// 0 forgets the stored failure count, 1 keeps it.
    pub(super) keep_failures: i64,
    pub(super) add_failures: i64,
    pub(super) updated_at: i64,
}

impl HealthRow {
    /// Bytes of its longer texts.
    fn weight(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        length(&self.last_error_message) + length(&self.last_rule) + length(&self.model_health)
    }
}

/// Requests that a key served.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyUsage {
    pub(super) id: i64,
    pub(super) successes: i64,
    pub(super) last_used_at: i64,
}

/// Requests of a group within one hour.
#[derive(Clone, Copy, Debug, Insertable)]
#[diesel(table_name = group_hourly_stats)]
pub(super) struct HourlyRow {
    pub(super) group_id: i64,
    pub(super) time: i64,
    pub(super) is_aggregate: bool,
    pub(super) success_count: i64,
    pub(super) failure_count: i64,
    pub(super) duration_ms: i64,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
}

/// Sums over the groups of one hour.
#[derive(Clone, Copy, Debug, Queryable)]
pub(super) struct HourSums {
    pub(super) time: i64,
    pub(super) successes: i64,
    pub(super) failures: i64,
    /// Requests of the groups whose durations were kept.
    pub(super) timed: i64,
    pub(super) duration_ms: i64,
}

/// A setting to store.
#[derive(Clone, Insertable)]
#[diesel(table_name = system_settings)]
pub(super) struct SettingRow {
    pub(super) setting_key: String,
    pub(super) setting_value: String,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
}

/// A connection that speaks its database's own words. Writes run inside a transaction.
pub(super) trait Dialect {
    /// Inserts keys whose (group, hash) is not taken; answers those.
    async fn insert_keys(&mut self, rows: Vec<NewKey>) -> QueryResult<Vec<NewKey>>;
    /// Inserts log rows whose id is not taken; answers those.
    async fn insert_logs(&mut self, rows: Vec<LogRow>) -> QueryResult<Vec<LogRow>>;
    /// Stores resources; one that is known already gets its latest key and time.
    async fn put_resources(&mut self, rows: Vec<ResourceRow>) -> QueryResult<()>;
    /// Stores how far a node's outcomes of keys are stored.
    async fn put_proofs(&mut self, rows: Vec<ProofRow>) -> QueryResult<()>;
    /// Stores key health, unless the row's generation is higher.
    async fn store_health(&mut self, rows: Vec<HealthRow>) -> QueryResult<()>;
    /// Adds to request counts; times of last use only grow.
    async fn add_usage(&mut self, rows: Vec<KeyUsage>) -> QueryResult<()>;
    /// Adds to hourly statistics.
    async fn add_hourly(&mut self, rows: Vec<HourlyRow>) -> QueryResult<()>;
    /// Inserts or replaces settings.
    async fn put_settings(&mut self, rows: Vec<SettingRow>) -> QueryResult<()>;
    /// Inserts rows of any table; answers how many were inserted or changed.
    async fn insert_rows(&mut self, rows: Rows) -> QueryResult<usize>;
    /// Ids of the keys with these groups and hashes in the table `api_keys` of this name: (group, hash, id).
    async fn key_ids(&mut self, table: String, wanted: Vec<(i64, String)>) -> QueryResult<Vec<(i64, String, i64)>>;
    /// From now on, or no longer, what this connection deletes or overwrites cannot be found in the files any more. Outside of
    /// transactions; a server has no such switch.
    async fn wipe_deleted(&mut self, on: bool) -> QueryResult<()>;
    /// Writes the database anew, so that nothing that was deleted before is in its files. Outside of transactions; takes as
    /// long as a copy. The logs and backups of a server are its own affair.
    async fn rebuild(&mut self) -> QueryResult<()>;
    /// Whether tables of an older GPT-Load were set aside in this database.
    async fn has_legacy_tables(&mut self) -> QueryResult<bool>;
    /// Sums of the hourly statistics without aggregates: (successes, failures).
    async fn request_totals(&mut self) -> QueryResult<(i64, i64)>;
    /// Hours that begin in `[from, until)` and have requests, ascending: those of one group, or of all groups but
    /// aggregates, whose rows repeat those of their members.
    async fn hours(&mut self, group: Option<i64>, from: i64, until: i64) -> QueryResult<Vec<HourSums>>;
}
