//! What must hold before anything is changed, and what must hold before anything is used.

use std::sync::Arc;

use super::{
    Moment, Options, Watch,
    progress::BEFORE_ALL,
    source_sqlite::bound,
    target::{StoredKey, Target},
};
use crate::{
    crypto::Vault,
    ids::GroupId,
    store::{
        StoreError, StoreResult,
        key_rows::{KEY_BATCH, open_value},
        pool::blocking,
    },
    takeover::{
        Report,
        cipher::{LegacyCipher, Opened},
        source::Source,
    },
};

/// Ids named in an error.
const NAMED: usize = 5;

/// Opens every key of the old database; changes nothing.
///
/// # Errors
/// `Encryption` when the passphrase is missing or wrong, or keys are lost and may not be left out.
pub(super) async fn passphrase(
    source: &mut dyn Source,
    cipher: &Arc<LegacyCipher>,
    options: Options,
    watch: &mut Watch,
) -> StoreResult<()> {
    let total = source.count("api_keys").await?;
    let (mut after, mut seen) = (BEFORE_ALL, 0_i64);
    let (mut opened, mut unreadable, mut named) = (0_i64, 0_i64, Vec::new());
    loop {
        let batch = source.keys(after, KEY_BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = last.id.unwrap_or(i64::MAX);
        seen += i64::try_from(batch.len()).unwrap_or(i64::MAX);
        let cipher = Arc::clone(cipher);
        let results: Vec<(i64, bool, bool)> = blocking(move || {
            let open = |row: crate::takeover::rows::LegacyKey| {
                let result = cipher
                    .open(row.key_value.as_deref().unwrap_or_default(), row.key_hash.as_deref().unwrap_or_default());
                let (good, bad) = (matches!(result, Opened::Decrypted(_)), matches!(result, Opened::Unreadable));
                (row.id.unwrap_or(0), good, bad)
            };
            Ok(batch.into_iter().map(open).collect())
        })
        .await?;
        for (id, good, bad) in results {
            opened += i64::from(good);
            unreadable += i64::from(bad);
            if bad && named.len() < NAMED {
                named.push(id.to_string());
            }
        }
        watch(Moment { stage: "passphrase", done: seen, total: total.max(seen) });
    }
    if unreadable == 0 || (options.leave_unreadable && opened > 0) {
        return Ok(());
    }
    Err(StoreError::Encryption(refusal(cipher.has_key(), opened, unreadable, total, &named.join(", "))))
}

fn refusal(has_passphrase: bool, opened: i64, unreadable: i64, total: i64, named: &str) -> String {
    match (has_passphrase, opened) {
        (false, _) => format!(
            "{unreadable} of {total} keys of the older GPT-Load are encrypted, but there is no encryption key. Nothing was \
             changed. Give the encryption key of the old installation (ENCRYPTION_KEY)."
        ),
        (true, 0) => format!(
            "the encryption key does not open the keys of the older GPT-Load ({unreadable} of {total} are encrypted with \
             another). Nothing was changed. Give the encryption key of the old installation (ENCRYPTION_KEY)."
        ),
        (true, _) => format!(
            "the encryption key opens {opened} of {total} keys of the older GPT-Load, but not {unreadable} others (ids \
             {named}{}). Nothing was changed. Delete those keys in the old installation, or leave them out with \
             --leave-unreadable; they are not deleted then either.",
            if unreadable > i64::try_from(NAMED).unwrap_or(0) { ", …" } else { "" }
        ),
    }
}

/// Whether every row was counted once, and every key stored decrypts to what its hash says.
///
/// # Errors
/// `Internal` when not: what was copied must not be used.
pub(super) async fn copied(target: &mut Target, report: &Report, whole: bool, watch: &mut Watch) -> StoreResult<()> {
    let keys = &report.keys;
    let counted = keys.taken + keys.duplicates + keys.orphans + keys.on_aggregates + keys.empty + keys.unreadable;
    if counted != keys.read {
        return Err(failed(&format!("{} keys were read, but {counted} accounted for", keys.read)));
    }
    let (mut after, mut seen) = (0, 0_i64);
    loop {
        let batch = target.keys(after, bound(KEY_BATCH)).await?;
        let Some(last) = batch.last() else { break };
        after = last.id;
        seen += i64::try_from(batch.len()).unwrap_or(i64::MAX);
        let vault = target.vault();
        blocking(move || batch.iter().try_for_each(|key| opens(&vault, key))).await?;
        watch(Moment { stage: "check", done: seen, total: keys.taken.max(seen) });
    }
    if (whole && seen != keys.taken) || seen < keys.taken {
        return Err(failed(&format!("{} keys were stored, but {seen} are there", keys.taken)));
    }
    Ok(())
}

fn opens(vault: &Vault, key: &StoredKey) -> StoreResult<()> {
    let value = open_value(vault, GroupId(key.group_id), &key.key_hash, &key.key_value)
        .map_err(|error| failed(&format!("the key {} is not readable: {error}", key.id)))?;
    if vault.hash(value.expose()) != key.key_hash {
        return Err(failed(&format!("the key {} does not have the hash that is stored with it", key.id)));
    }
    Ok(())
}

fn failed(what: &str) -> StoreError {
    StoreError::Internal(format!(
        "the copy of the older GPT-Load's data is not sound: {what}; its tables were not touched"
    ))
}
