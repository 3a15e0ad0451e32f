//! Dynamic settings, raw text by key.

use std::{collections::BTreeMap, sync::Arc};

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;

use super::{
    Store, StoreError, StoreResult, Writer,
    dialect::{Dialect, SettingRow},
    pool::{read, write},
    tables::system_settings,
    text::fit,
};
use crate::{
    crypto::{Place, Vault},
    time::Timestamp,
};

/// Settings whose values are encrypted at rest.
pub(super) const SECRET: [&str; 2] = ["proxy_keys", "proxy_url"];
/// Bytes of the smallest text column of all databases.
const VALUE_BYTES: usize = 65_535;

impl Store {
    /// Stored dynamic settings, raw text by key.
    pub async fn settings(&self) -> StoreResult<BTreeMap<String, String>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let rows: Vec<(String, String)> = read!(engine, |conn| {
                    let columns = (system_settings::setting_key, system_settings::setting_value);
                    system_settings::table.select(columns).load(conn).await?
                });
                rows.into_iter().map(|(key, stored)| open(&engine.vault, key, stored)).collect()
            })
            .await
    }
}

impl Writer {
    /// Stores settings, raw text by key; `None` removes the row so that the default rules again.
    pub async fn put_settings(&self, values: &BTreeMap<String, Option<String>>, now: Timestamp) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        let removed: Vec<String> =
            values.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.clone()).collect();
        let values = values.clone();
        self.engine
            .run(async move {
                let _sealing = engine.sealing.read().await;
                let stored: Vec<SettingRow> = values
                    .iter()
                    .filter_map(|(key, value)| value.as_deref().map(|value| row(&engine.vault, key, value, now)))
                    .collect();
                write!(engine, epoch, |conn| {
                    let gone = system_settings::table.filter(system_settings::setting_key.eq_any(removed));
                    diesel::delete(gone).execute(conn).await?;
                    conn.put_settings(stored).await?;
                    Ok(())
                })
            })
            .await
    }
}

pub(super) fn place(key: &str) -> Place<'_> {
    Place { table: "system_settings", column: "setting_value", row: key }
}

pub(super) fn row(vault: &Vault, key: &str, value: &str, now: Timestamp) -> SettingRow {
    let value = fit(value.to_owned(), VALUE_BYTES);
    SettingRow {
        setting_key: key.to_owned(),
        setting_value: if SECRET.contains(&key) { vault.seal(place(key), &value) } else { value },
        created_at: now.0,
        updated_at: now.0,
    }
}

fn open(vault: &Vault, key: String, stored: String) -> StoreResult<(String, String)> {
    if !SECRET.contains(&key.as_str()) {
        return Ok((key, stored));
    }
    match vault.open(place(&key), &stored) {
        Ok(value) => Ok((key, value.expose().to_owned())),
        Err(error) => Err(StoreError::Encryption(format!("the stored setting `{key}` is not readable: {error}"))),
    }
}
