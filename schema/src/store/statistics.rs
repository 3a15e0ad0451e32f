//! What dashboards count: hours that were counted as requests ended, and how keys are stored.

use std::sync::Arc;

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;

use super::{
    Store, StoreResult,
    dialect::{Dialect, HourSums},
    key_rows::{place, row_identity},
    pool::{blocking, read, read_replica},
    tables::api_keys,
};
use crate::{
    crypto::{Vault, legacy::plain_hash},
    ids::GroupId,
    time::Timestamp,
};

/// Keys that [`Store::encryption_sample`] looks at.
const SAMPLE: i64 = 20;

/// Requests that ended within one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour {
    /// Its begin.
    pub time: Timestamp,
    /// What ended in it.
    pub requests: Requests,
}

/// Client requests, by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Whole answers with a status below 400.
    pub successes: i64,
    /// All others.
    pub failures: i64,
    /// Those of which the duration is known.
    pub timed: i64,
    /// What these took, in ms.
    pub duration_ms: i64,
}

/// How a few keys are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncryptionSample {
    /// Keys looked at.
    pub keys: usize,
    /// Those stored in the clear.
    pub plain: usize,
    /// Those that decrypt to what their hash says.
    pub readable: usize,
}

impl Requests {
    /// All of them.
    pub const fn total(&self) -> i64 {
        self.successes + self.failures
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            successes: self.successes + other.successes,
            failures: self.failures + other.failures,
            timed: self.timed + other.timed,
            duration_ms: self.duration_ms.saturating_add(other.duration_ms),
        }
    }
}

impl From<HourSums> for Hour {
    fn from(sums: HourSums) -> Self {
        let HourSums { time, successes, failures, timed, duration_ms } = sums;
        Self { time: Timestamp(time), requests: Requests { successes, failures, timed, duration_ms } }
    }
}

impl Store {
    /// Hours that begin in `[from, until)` and have requests, ascending: those of one group, which may be an aggregate or
    /// gone, or those of all groups, each request counted once.
    pub async fn hours(&self, group: Option<GroupId>, from: Timestamp, until: Timestamp) -> StoreResult<Vec<Hour>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let group = group.map(|id| id.0);
                let sums = read_replica!(engine, |conn| conn.hours(group, from.0, until.0).await?);
                Ok(sums.into_iter().map(Hour::from).collect())
            })
            .await
    }

    /// Looks at how a few keys are stored.
    pub async fn encryption_sample(&self) -> StoreResult<EncryptionSample> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let rows: Vec<(i64, String, String)> = read!(engine, |conn| {
                    api_keys::table
                        .filter(api_keys::key_hash.ne(""))
                        .order(api_keys::id)
                        .limit(SAMPLE)
                        .select((api_keys::group_id, api_keys::key_hash, api_keys::key_value))
                        .load(conn)
                        .await?
                });
                let vault = Arc::clone(&engine.vault);
                blocking(move || Ok(sample(&vault, &rows))).await
            })
            .await
    }
}

fn sample(vault: &Vault, rows: &[(i64, String, String)]) -> EncryptionSample {
    let is_plain = |hash: &str, stored: &str| vault.hash(stored) == hash || plain_hash(stored) == hash;
    let is_readable = |group: i64, hash: &str, stored: &str| {
        let value = vault.open(place(&row_identity(GroupId(group), hash)), stored);
        value.is_ok_and(|value| vault.hash(value.expose()) == hash)
    };
    EncryptionSample {
        keys: rows.len(),
        plain: rows.iter().filter(|(_, hash, stored)| is_plain(hash, stored)).count(),
        readable: rows.iter().filter(|(group, hash, stored)| is_readable(*group, hash, stored)).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_with_a_key_tells_how_it_is_stored() {
        let (data, lookup) = ([1; 32].into(), [2; 32].into());
        let (plain, encrypting) = (Vault::plain(&lookup), Vault::encrypting(1, &data, &lookup));
        let sealed = |vault: &Vault, value: &str| {
            let hash = vault.hash(value);
            let stored = vault.seal(place(&row_identity(GroupId(7), &hash)), value);
            (7, hash, stored)
        };
        let of = |keys, plain, readable| EncryptionSample { keys, plain, readable };
        let other = Vault::encrypting(1, &[3; 32].into(), &lookup);
        let old = (7, plain_hash("sk-1"), "sk-1".to_owned());
        let cases = [
            (&encrypting, vec![sealed(&encrypting, "sk-1"), sealed(&encrypting, "sk-2")], of(2, 0, 2)),
            (&encrypting, vec![sealed(&plain, "sk-1")], of(1, 1, 0)),
            (&encrypting, vec![sealed(&other, "sk-1")], of(1, 0, 0)),
            (&encrypting, vec![old], of(1, 1, 0)),
            (&plain, vec![sealed(&plain, "sk-1")], of(1, 1, 1)),
            (&plain, vec![sealed(&encrypting, "sk-1")], of(1, 0, 0)),
            (&plain, vec![], of(0, 0, 0)),
        ];
        for (vault, rows, expected) in cases {
            assert_eq!(sample(vault, &rows), expected, "{rows:?}");
        }
    }
}
