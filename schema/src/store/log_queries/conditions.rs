//! A [`LogFilter`] in the words of the table, and the statements that use it.
//!
//! Each list of log rows is driven by one index, in which its rows stand in order of time: that of a key, of a group, of an
//! aggregate, or of the time alone. All other conditions are checked along the way; adding 0 to a column keeps the database
//! from driving by it instead, and from sorting millions of rows.

use crate::{crypto::Vault, log::RequestType};

use super::{LogFilter, contains::ESCAPE};

/// Rows looked at when every condition is in the driving index.
const SEARCHED_IN_INDEX: i64 = 2_000_000;
/// Rows looked at when conditions need the rows themselves.
const SEARCHED_IN_ROWS: i64 = 500_000;
/// Conditions of log rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) key_hash: Option<String>,
    pub(super) groups: Option<Vec<i64>>,
    pub(super) parents: Option<Vec<i64>>,
    /// Patterns, where some rows of `groups` and `parents` have another name.
    pub(super) group_name: Option<String>,
    pub(super) parent_name: Option<String>,
    pub(super) model: Option<String>,
    pub(super) error: Option<String>,
    pub(super) is_success: Option<bool>,
    pub(super) request_type: Option<String>,
    pub(super) status_code: Option<i32>,
    pub(super) source_ip: Option<String>,
}

/// The index that a list is driven by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    /// All rows.
    Time,
    /// Rows of one group.
    Group(i64),
    /// Rows of one aggregate.
    Parent(i64),
    /// Rows of one key.
    Key(String),
}

impl Conditions {
    /// All but the names of groups, which the database has to resolve first.
    pub(super) fn new(filter: &LogFilter, vault: &Vault) -> Self {
        Self {
            from: filter.from.map_or(i64::MIN, |at| at.0),
            until: filter.until.map_or(i64::MAX, |at| at.0),
            key_hash: filter.key.as_ref().map(|key| vault.hash(key.expose())),
            model: filter.model.as_deref().map(containing),
            error: filter.error_contains.as_deref().map(containing),
            is_success: filter.is_success,
            request_type: filter.request_type.clone(),
            status_code: filter.status_code,
            source_ip: filter.source_ip.clone(),
            ..Self::default()
        }
    }

    /// The index that reaches the fewest rows.
    pub(super) fn driver(&self) -> Driver {
        let single = |ids: &Option<Vec<i64>>| ids.as_deref().and_then(|ids| <[i64; 1]>::try_from(ids).ok());
        match (&self.key_hash, single(&self.groups), single(&self.parents)) {
            (Some(hash), ..) => Driver::Key(hash.clone()),
            (None, Some([group]), _) => Driver::Group(group),
            (None, None, Some([parent])) => Driver::Parent(parent),
            (None, None, None) => Driver::Time,
        }
    }

    /// What is left to be asked of the rows of the driving index. A condition that they all meet makes a planner expect fewer.
    pub(super) fn beside_driver(&self) -> Self {
        let mut rest = self.clone();
        match self.driver() {
            Driver::Group(_) => rest.groups = None,
            Driver::Parent(_) => rest.parents = None,
            Driver::Time | Driver::Key(_) => {}
        }
        rest
    }

    /// How many rows of the driving index are looked at; `None` = all, because every one of them meets the conditions.
    pub(super) fn searched(&self) -> Option<i64> {
        let driver = self.driver();
        let is_key = matches!(driver, Driver::Key(_));
        let reads_rows = [&self.group_name, &self.parent_name, &self.model, &self.error, &self.source_ip]
            .into_iter()
            .any(Option::is_some)
            || (self.parents.is_some() && !matches!(driver, Driver::Parent(_)))
            || (self.groups.is_some() && matches!(driver, Driver::Parent(_) | Driver::Key(_)))
            || (self.status_code.is_some() && driver != Driver::Time)
            || (is_key && (self.is_success.is_some() || self.request_type.is_some()));
        let reads_index = self.is_success.is_some()
            || self.request_type.is_some()
            || self.status_code.is_some()
            || (self.groups.is_some() && driver == Driver::Time);
        match (reads_rows, reads_index) {
            (true, _) => Some(SEARCHED_IN_ROWS),
            (false, true) => Some(SEARCHED_IN_INDEX),
            (false, false) => None,
        }
    }
}

/// The pattern of texts that contain `part` literally.
pub(super) fn containing(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(character);
    }
    pattern + "%"
}

/// The word of rows that end a request.
pub(super) const FINAL: &str = RequestType::Final.as_str();

/// Adds to `$query` every condition but time and key.
macro_rules! narrowed {
    ($query:expr, $conditions:expr) => {{
        let conditions: &Conditions = $conditions;
        let mut query = $query;
        if let Some(ids) = conditions.groups.clone() {
            query = query.filter((request_logs::group_id + 0).eq_any(ids));
        }
        if let Some(ids) = conditions.parents.clone() {
            query = query.filter((request_logs::parent_group_id + 0).eq_any(ids.into_iter().map(Some)));
        }
        if let Some(pattern) = conditions.group_name.clone() {
            query = query.filter(contains(request_logs::group_name, pattern));
        }
        if let Some(pattern) = conditions.parent_name.clone() {
            query = query.filter(contains(request_logs::parent_group_name, pattern));
        }
        if let Some(pattern) = conditions.model.clone() {
            query = query.filter(contains(request_logs::model, pattern));
        }
        if let Some(pattern) = conditions.error.clone() {
            query = query.filter(contains(request_logs::error_message, pattern));
        }
        if let Some(wanted) = conditions.is_success {
            query = query.filter(request_logs::is_success.eq(wanted));
        }
        if let Some(wanted) = conditions.request_type.clone() {
            query = query.filter(request_logs::request_type.eq(wanted));
        }
        if let Some(wanted) = conditions.status_code {
            query = query.filter(request_logs::status_code.eq(wanted));
        }
        if let Some(wanted) = conditions.source_ip.clone() {
            query = query.filter(request_logs::source_ip.eq(wanted));
        }
        query
    }};
}

/// The rows of `$driver` within a time, whatever other conditions they meet.
macro_rules! driven {
    ($driver:expr, $from:expr, $until:expr) => {{
        let query = request_logs::table
            .filter(request_logs::timestamp.ge($from))
            .filter(request_logs::timestamp.le($until))
            .into_boxed();
        match $driver {
            Driver::Time => query,
            Driver::Group(id) => query.filter(request_logs::group_id.eq(id)),
            Driver::Parent(id) => query.filter(request_logs::parent_group_id.eq(id)),
            Driver::Key(hash) => query.filter(request_logs::key_hash.eq(hash)),
        }
    }};
}

/// The rows that meet `$conditions`.
macro_rules! matching {
    ($conditions:expr) => {{
        let conditions: &Conditions = $conditions;
        narrowed!(driven!(conditions.driver(), conditions.from, conditions.until), &conditions.beside_driver())
    }};
}

/// The keys of the rows that meet `$conditions` with their newest row, in order of their hashes after `$after`.
macro_rules! keys_used {
    ($conditions:expr, $after:expr) => {{
        let conditions: &Conditions = $conditions;
        let query = request_logs::table
            .group_by(request_logs::key_hash)
            .select((request_logs::key_hash, max(request_logs::timestamp)))
            .order(request_logs::key_hash)
            .into_boxed()
            .filter((request_logs::timestamp + 0).ge(conditions.from))
            .filter((request_logs::timestamp + 0).le(conditions.until));
        let query = match conditions.key_hash.clone() {
            Some(hash) => query.filter(request_logs::key_hash.eq(hash)).filter(request_logs::key_hash.gt($after)),
            None => query.filter(request_logs::key_hash.gt($after)),
        };
        narrowed!(query, conditions)
    }};
}

pub(super) use {driven, keys_used, matching, narrowed};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_filter_mean_themselves() {
        let cases = [("gpt", "%gpt%"), ("50%_off!", "%50!%!_off!!%"), ("", "%%"), ("日本", "%日本%")];
        for (part, pattern) in cases {
            assert_eq!(containing(part), pattern);
        }
    }
}
