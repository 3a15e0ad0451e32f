//! Makes or opens the keys of encryption at rest.

use diesel::{Insertable, QueryDsl, Queryable, QueryableByName};
use diesel_async::RunQueryDsl;

use super::{
    StoreError, StoreResult,
    dialect::Cell,
    pool::{Pools, blocking, reading, transact},
    tables::encryption_keys,
};
use crate::{
    crypto::{
        KeyBytes, Vault,
        envelope::{Derivation, Purpose, random_key, read_unprotected, unprotected},
    },
    secret::Secret,
    time::Timestamp,
};

const LOOKUP_ID: i64 = 1;
const DATA_ID: i64 = 2;
/// `wrapping` of a key that no passphrase protects.
const UNWRAPPED: &str = "none";
/// `wrapping` of a key under a passphrase.
const PBKDF2: &str = "pbkdf2-hmac-sha256+aes-256-gcm";

/// A row of `encryption_keys`.
#[derive(Clone, Queryable, QueryableByName, Insertable)]
#[diesel(table_name = encryption_keys)]
pub(super) struct KeyRow {
    id: i64,
    purpose: String,
    wrapping: String,
    salt: String,
    rounds: i64,
    wrapped_key: String,
    created_at: i64,
}

/// The columns of [`KeyRow::cells`].
pub(super) const COLUMNS: &[&str] = &["id", "purpose", "wrapping", "salt", "rounds", "wrapped_key", "created_at"];

impl KeyRow {
    /// The row, column by column.
    pub(super) fn cells(self) -> Vec<Cell> {
        vec![
            self.id.into(),
            self.purpose.into(),
            self.wrapping.into(),
            self.salt.into(),
            self.rounds.into(),
            self.wrapped_key.into(),
            self.created_at.into(),
        ]
    }
}

/// The vault of the database, made when there is none. `fresh` says how a new wrapping key is derived.
pub(super) async fn vault(pools: &Pools, passphrase: Option<Secret>, fresh: Derivation) -> StoreResult<Vault> {
    let passphrase = passphrase.filter(|passphrase| !passphrase.expose().is_empty());
    let stored = load(pools).await?;
    if !stored.is_empty() {
        return blocking(move || open(&stored, passphrase.as_ref())).await;
    }
    let made_for = passphrase.clone();
    let (rows, _) = blocking(move || Ok(make(made_for.as_ref(), &fresh, Timestamp::now()))).await?;
    // Of two nodes that start on an empty database one comes second and takes what the first has stored.
    match insert(pools, rows).await {
        Ok(()) | Err(StoreError::Duplicate(_)) => {}
        Err(error) => return Err(error),
    }
    let stored = load(pools).await?;
    blocking(move || open(&stored, passphrase.as_ref())).await
}

async fn load(pools: &Pools) -> StoreResult<Vec<KeyRow>> {
    reading!(pools, |conn| Ok(encryption_keys::table.order(encryption_keys::id).load(conn).await?))
}

async fn insert(pools: &Pools, rows: Vec<KeyRow>) -> StoreResult<()> {
    transact!(pools, |conn| {
        for row in rows {
            diesel::insert_into(encryption_keys::table).values(row).execute(conn).await?;
        }
        Ok(())
    })
}

/// The rows of a new database, and the vault that they make. Blocks for the derivation.
pub(super) fn make(passphrase: Option<&Secret>, derivation: &Derivation, now: Timestamp) -> (Vec<KeyRow>, Vault) {
    let wrapping = passphrase.map(|passphrase| derivation.derive(passphrase));
    let row = |id: i64, purpose: Purpose, key: &KeyBytes| KeyRow {
        id,
        purpose: purpose.as_str().to_owned(),
        wrapping: if wrapping.is_some() { PBKDF2 } else { UNWRAPPED }.to_owned(),
        salt: if wrapping.is_some() { derivation.salt() } else { String::new() },
        rounds: if wrapping.is_some() { i64::from(derivation.rounds()) } else { 0 },
        wrapped_key: wrapping.as_ref().map_or_else(|| unprotected(key), |by| by.wrap(purpose, id, key)),
        created_at: now.0,
    };
    let lookup = random_key();
    let mut rows = vec![row(LOOKUP_ID, Purpose::Lookup, &lookup)];
    if wrapping.is_none() {
        return (rows, Vault::plain(&lookup));
    }
    let data = random_key();
    rows.push(row(DATA_ID, Purpose::Data, &data));
    (rows, Vault::encrypting(DATA_ID, &data, &lookup))
}

/// Opens stored keys. Blocks for the derivation.
pub(super) fn open(rows: &[KeyRow], passphrase: Option<&Secret>) -> StoreResult<Vault> {
    let of = |purpose: Purpose| rows.iter().rev().find(|row| row.purpose == purpose.as_str());
    let lookup = of(Purpose::Lookup).ok_or_else(|| StoreError::damaged("lookup key", "it is missing"))?;
    let Some(data) = of(Purpose::Data) else {
        if passphrase.is_some() {
            return Err(StoreError::Encryption(
                "the database stores plain text, but ENCRYPTION_KEY is set. Nothing was changed. Unset ENCRYPTION_KEY, \
                 or encrypt the database with `gpt-load migrate-keys --to`."
                    .to_owned(),
            ));
        }
        let key =
            read_unprotected(&lookup.wrapped_key).ok_or_else(|| StoreError::damaged("lookup key", "not a key"))?;
        return Ok(Vault::plain(&key));
    };
    let passphrase = passphrase.ok_or_else(|| {
        StoreError::Encryption(
            "the database is encrypted, but ENCRYPTION_KEY is empty. Nothing was changed. Set ENCRYPTION_KEY to the key \
             the database was made with, or decrypt it with `gpt-load migrate-keys --from`."
                .to_owned(),
        )
    })?;
    let derivation = Derivation::from_stored(&data.salt, data.rounds)
        .ok_or_else(|| StoreError::damaged("key derivation", "its salt or its round count is not readable"))?;
    let wrapping = derivation.derive(passphrase);
    let unwrap = |row: &KeyRow, purpose: Purpose| -> StoreResult<KeyBytes> {
        wrapping.unwrap(purpose, row.id, &row.wrapped_key).ok_or_else(|| {
            StoreError::Encryption(
                "ENCRYPTION_KEY does not open this database: it was made with another key. Nothing was changed. Set the \
                 former key, or change it with `gpt-load migrate-keys --from --to`."
                    .to_owned(),
            )
        })
    };
    Ok(Vault::encrypting(data.id, &unwrap(data, Purpose::Data)?, &unwrap(lookup, Purpose::Lookup)?))
}
