//! One batch of rows of one table.

use super::{Between, RecastPurpose};
use crate::{
    crypto::{Place, data_key_of},
    store::{StoreError, StoreResult, logs::UNREADABLE},
};

/// Keys, or log rows, of one transaction: a few ten milliseconds for which other writers wait.
pub(super) const ROWS: i64 = 500;
/// Groups of one transaction.
pub(super) const GROUPS: i64 = 50;

/// What was done of a table.
pub(super) struct Done {
    pub(super) rows: i64,
    /// The last row of the batch; `None` when there are no more.
    pub(super) last: Option<String>,
}

impl Done {
    pub(super) fn of(rows: usize, limit: i64, last: Option<String>) -> Self {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        Self { rows, last: last.filter(|_| rows >= limit) }
    }
}

/// Gives secrets their new form, and counts.
pub(super) struct Caster {
    purpose: RecastPurpose,
    between: Between,
    pub(super) changed: i64,
    pub(super) unreadable: i64,
}

impl Caster {
    pub(super) const fn new(purpose: RecastPurpose, between: Between) -> Self {
        Self { purpose, between, changed: 0, unreadable: 0 }
    }

    /// The new form of what is `stored` at `place`; `None` when it stays.
    pub(super) fn cast(&mut self, place: Place<'_>, stored: &str) -> StoreResult<Option<String>> {
        let Between { from, to } = &self.between;
        if stored.is_empty() {
            return Ok(None);
        }
        let new = match self.purpose {
            RecastPurpose::Rotate if data_key_of(stored) == to.current_key() => None,
            // Only what is under an older data key needs that key.
            RecastPurpose::Rotate => match from.open(place, stored) {
                Ok(text) => Some(to.seal(place, text.expose())),
                Err(_) => {
                    self.unreadable += i64::from(data_key_of(stored).is_some());
                    None
                }
            },
            RecastPurpose::Enable => Some(to.seal(place, stored)),
            RecastPurpose::Disable => match from.open(place, stored) {
                Ok(text) => Some(text.expose().to_owned()),
                Err(_) if place.table == "request_logs" => {
                    self.unreadable += 1;
                    Some(UNREADABLE.to_owned())
                }
                Err(error) => {
                    let Place { table, column, row } = place;
                    return Err(StoreError::Encryption(format!("{table}, {column}, row {row}: {error}")));
                }
            },
            RecastPurpose::HeaderRules => {
                let was_plain = matches!(place.column, "header_rules.value" | "upstreams.url");
                // What does not open here is a plain text that looks encrypted.
                (was_plain && from.open(place, stored).is_err()).then(|| to.seal(place, stored))
            }
        };
        self.changed += i64::from(new.is_some());
        Ok(new)
    }
}

/// All settings, which are few.
macro_rules! settings {
    ($conn:ident, $caster:ident) => {{
        use $crate::store::{
            settings,
            tables::system_settings::{self, setting_key, setting_value},
        };
        let rows: Vec<(String, String)> = system_settings::table
            .filter(setting_key.eq_any(settings::SECRET))
            .select((setting_key, setting_value))
            .load($conn)
            .await?;
        for (key, stored) in &rows {
            if let Some(new) = $caster.cast(settings::place(key), stored)? {
                diesel::update(system_settings::table.find(key)).set(setting_value.eq(new)).execute($conn).await?;
            }
        }
        $crate::store::recast::batch::Done { rows: 0, last: None }
    }};
}

/// Groups with ids above `$after`.
macro_rules! groups {
    ($conn:ident, $caster:ident, $after:expr) => {{
        use $crate::{
            crypto::OpenError,
            store::{
                group_secrets::SecretColumns,
                recast::batch::{Done, GROUPS},
                tables::groups,
            },
        };
        let after: i64 = $after.parse().unwrap_or(0);
        let rows: Vec<(i64, String, String, Option<String>, Option<String>)> = groups::table
            .filter(groups::id.gt(after))
            .order(groups::id)
            .limit(GROUPS)
            .select((groups::id, groups::proxy_keys, groups::upstreams, groups::config, groups::header_rules))
            .load($conn)
            .await?;
        for (id, proxy_keys, upstreams, config, header_rules) in &rows {
            let stored = SecretColumns {
                proxy_keys: proxy_keys.clone(),
                upstreams: upstreams.clone(),
                config: config.clone(),
                header_rules: header_rules.clone(),
            };
            let before = $caster.changed;
            let mut failed = None;
            let new = stored.map(*id, &mut |place, text| match $caster.cast(place, text) {
                Ok(new) => Ok(new.unwrap_or_else(|| text.to_owned())),
                Err(error) => {
                    failed = Some(error);
                    Err(OpenError::Mismatch)
                }
            });
            if let Some(error) = failed {
                return Err(error);
            }
            let new = new?;
            if $caster.changed > before {
                diesel::update(groups::table.find(id))
                    .set((
                        groups::proxy_keys.eq(new.proxy_keys),
                        groups::upstreams.eq(new.upstreams),
                        groups::config.eq(new.config),
                        groups::header_rules.eq(new.header_rules),
                    ))
                    .execute($conn)
                    .await?;
            }
        }
        Done::of(rows.len(), GROUPS, rows.last().map(|(id, ..)| id.to_string()))
    }};
}

/// Keys with ids above `$after`.
macro_rules! keys {
    ($conn:ident, $caster:ident, $after:expr) => {{
        use $crate::{
            ids::GroupId,
            store::{
                key_rows,
                recast::batch::{Done, ROWS},
            },
        };
        let after: i64 = $after.parse().unwrap_or(0);
        let rows: Vec<(i64, i64, String, String)> = api_keys::table
            .filter(api_keys::id.gt(after))
            .order(api_keys::id)
            .limit(ROWS)
            .select((api_keys::id, api_keys::group_id, api_keys::key_hash, api_keys::key_value))
            .load($conn)
            .await?;
        for (id, group, hash, stored) in &rows {
            let identity = key_rows::row_identity(GroupId(*group), hash);
            if let Some(new) = $caster.cast(key_rows::place(&identity), stored)? {
                diesel::update(api_keys::table.find(id)).set(api_keys::key_value.eq(new)).execute($conn).await?;
            }
        }
        Done::of(rows.len(), ROWS, rows.last().map(|(id, ..)| id.to_string()))
    }};
}

/// Log rows with ids above `$after`.
macro_rules! logs {
    ($conn:ident, $caster:ident, $after:expr) => {{
        use $crate::store::{
            logs,
            recast::batch::{Done, ROWS},
        };
        let rows: Vec<(String, String)> = request_logs::table
            .filter(request_logs::id.gt($after.clone()))
            .order(request_logs::id)
            .limit(ROWS)
            .select((request_logs::id, request_logs::key_value))
            .load($conn)
            .await?;
        for (id, stored) in &rows {
            if let Some(new) = $caster.cast(logs::place(id), stored)? {
                let row = request_logs::table.find(id);
                diesel::update(row).set(request_logs::key_value.eq(new)).execute($conn).await?;
            }
        }
        Done::of(rows.len(), ROWS, rows.last().map(|(id, _)| id.clone()))
    }};
}

pub(super) use {groups, keys, logs, settings};
