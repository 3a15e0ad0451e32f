//! What a new database gets before the first request: the settings that have no fixed default.

use std::collections::BTreeMap;

use gpt_load_schema::{
    secret::Secret,
    store::{Store, StoreResult},
};

use super::management_key::{ManagementKey, Origin, generate};

/// Settings to store at the first start, and the proxy key if one was generated.
#[derive(Default)]
pub struct Seeds {
    /// Setting key → text.
    pub settings: BTreeMap<String, Option<String>>,
    /// Generated proxy key, to be shown once.
    pub proxy_key: Option<Secret>,
}

/// Works out what is missing; what the configuration gives a first value (`initial`) is not stored. `proxy_keys` starts as a configured `AUTH_KEY`, because users know it so, or as a secret of
/// its own when the management key was generated.
///
/// # Errors
///
/// When the settings cannot be read.
pub async fn seeds(
    store: &Store,
    key: &ManagementKey,
    app_url: String,
    initial: &BTreeMap<String, String>,
) -> StoreResult<Seeds> {
    let stored = store.settings().await?;
    let mut seeds = Seeds::default();
    let is_missing = |setting: &str| !stored.contains_key(setting) && !initial.contains_key(setting);
    if is_missing("app_url") {
        seeds.settings.insert("app_url".to_owned(), Some(app_url));
    }
    if is_missing("proxy_keys") {
        let proxy_key = match key.origin {
            Origin::Configured => key.secret.clone(),
            Origin::File(_) | Origin::Generated(_) => {
                let generated = generate("sk-");
                seeds.proxy_key = Some(generated.clone());
                generated
            }
        };
        seeds.settings.insert("proxy_keys".to_owned(), Some(proxy_key.expose().to_owned()));
    }
    Ok(seeds)
}
