//! Makes or opens the keys of encryption at rest, and wraps them anew when the passphrase changes.

use std::sync::Arc;

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
        envelope::{Derivation, Purpose, WrappingKey, random_key, read_unprotected, unprotected},
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
#[derive(Clone, PartialEq, Eq, Queryable, QueryableByName, Insertable)]
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
    pub(super) const fn id(&self) -> i64 {
        self.id
    }

    /// Whether it is a key that encrypts values.
    pub(super) fn is_data_key(&self) -> bool {
        self.purpose == Purpose::Data.as_str()
    }

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

/// Within a transaction: `$rows` in the places of `$former`, or an error when these are not what is stored.
macro_rules! replace_rows {
    ($conn:ident, $former:expr, $rows:expr) => {{
        use diesel::{ExpressionMethods, QueryDsl};
        use diesel_async::RunQueryDsl;
        use $crate::store::tables::encryption_keys;
        let stored: Vec<$crate::store::unlock::KeyRow> =
            encryption_keys::table.order(encryption_keys::id).load($conn).await?;
        if !stored.iter().eq($former.iter()) {
            return Err($crate::store::StoreError::Unavailable(
                "another process changes the encryption key at this moment. Nothing was changed. Try again.".to_owned(),
            ));
        }
        for row in $rows {
            let id = row.id();
            diesel::delete(encryption_keys::table.filter(encryption_keys::id.eq(id))).execute($conn).await?;
            diesel::insert_into(encryption_keys::table).values(row).execute($conn).await?;
        }
        Ok::<(), $crate::store::StoreError>(())
    }};
}

pub(super) use replace_rows;

/// The passphrases that a node is started with; empty ones are none.
#[derive(Clone, Default)]
pub(super) struct Passphrases {
    /// `ENCRYPTION_KEY`.
    pub(super) current: Option<Secret>,
    /// `ENCRYPTION_KEY_PREVIOUS`.
    pub(super) previous: Option<Secret>,
}

impl Passphrases {
    pub(super) fn new(current: Option<&Secret>, previous: Option<&Secret>) -> Self {
        let given = |passphrase: Option<&Secret>| passphrase.filter(|text| !text.expose().is_empty()).cloned();
        Self { current: given(current), previous: given(previous) }
    }
}

/// What wraps the keys, kept for those that are still to come.
pub(super) struct Wrapping {
    derivation: Derivation,
    key: WrappingKey,
}

impl Wrapping {
    /// Derives it. Blocks.
    pub(super) fn derive(derivation: Derivation, passphrase: &Secret) -> Self {
        Self { key: derivation.derive(passphrase), derivation }
    }

    /// Whether `row` is wrapped under the same passphrase and salt.
    pub(super) fn covers(&self, row: &KeyRow) -> bool {
        Derivation::from_stored(&row.salt, row.rounds).as_ref() == Some(&self.derivation)
    }

    /// The data key in `row`; `None` when it is wrapped otherwise.
    pub(super) fn data_key(&self, row: &KeyRow) -> Option<KeyBytes> {
        self.key.unwrap(Purpose::Data, row.id, &row.wrapped_key)
    }

    fn row(&self, id: i64, purpose: Purpose, key: &KeyBytes, created_at: i64) -> KeyRow {
        KeyRow {
            id,
            purpose: purpose.as_str().to_owned(),
            wrapping: PBKDF2.to_owned(),
            salt: self.derivation.salt(),
            rounds: i64::from(self.derivation.rounds()),
            wrapped_key: self.key.wrap(purpose, id, key),
            created_at,
        }
    }

    /// A fresh data key and its row.
    pub(super) fn fresh_data_key(&self, id: i64, now: Timestamp) -> (KeyRow, KeyBytes) {
        let key = random_key();
        (self.row(id, Purpose::Data, &key, now.0), key)
    }
}

/// The opened keys of a database.
pub(super) struct Opened {
    pub(super) vault: Arc<Vault>,
    /// `None` where no passphrase protects them.
    pub(super) wrapping: Option<Arc<Wrapping>>,
    keys: Vec<(KeyRow, Purpose, KeyBytes)>,
}

impl Opened {
    /// The rows as they were read, or are to be stored.
    pub(super) fn rows(&self) -> Vec<KeyRow> {
        self.keys.iter().map(|(row, ..)| row.clone()).collect()
    }

    /// The rows of the same keys under `wrapping`.
    pub(super) fn rows_under(&self, wrapping: &Wrapping) -> Vec<KeyRow> {
        self.keys.iter().map(|(row, purpose, key)| wrapping.row(row.id, *purpose, key, row.created_at)).collect()
    }

    /// The row of the lookup key when nothing protects it.
    pub(super) fn unprotected_lookup(&self) -> Option<KeyRow> {
        let lookup = self.keys.iter().find(|(_, purpose, _)| *purpose == Purpose::Lookup);
        lookup.map(|(row, _, key)| bare(row.id, Purpose::Lookup, key, row.created_at))
    }
}

/// The keys of the database, made when there are none; wrapped anew when it is the previous passphrase that opens them.
/// `fresh` says how a new wrapping key is derived.
pub(super) async fn unlock(pools: &Pools, passphrases: Passphrases, fresh: Derivation) -> StoreResult<Opened> {
    let mut stored = load(pools).await?;
    if stored.is_empty() {
        let (made_for, derivation) = (passphrases.current.clone(), fresh.clone());
        let made = blocking(move || Ok(make(made_for.as_ref(), &derivation, Timestamp::now()))).await?;
        match insert(pools, made.rows()).await {
            Ok(()) => return Ok(made),
            // Of two nodes that start on an empty database one comes second and takes what the first has stored.
            Err(StoreError::Duplicate(_)) => {}
            Err(error) => return Err(error),
        }
        stored = load(pools).await?;
    }
    let stored = Arc::new(stored);
    let (rows, given) = (Arc::clone(&stored), passphrases.clone());
    let opened = blocking(move || match open(&rows, given.current.as_ref()) {
        Err(StoreError::Encryption(_)) if given.current.is_some() && given.previous.is_some() && is_wrapped(&rows) => {
            open(&rows, given.previous.as_ref()).map(|opened| (opened, true)).map_err(|_| neither())
        }
        opened => opened.map(|opened| (opened, false)),
    });
    let (opened, is_previous) = opened.await?;
    let (Some(current), true) = (passphrases.current, is_previous) else {
        if passphrases.previous.is_some() {
            tracing::info!("ENCRYPTION_KEY_PREVIOUS is not needed: ENCRYPTION_KEY opens the database; unset it");
        }
        return Ok(opened);
    };
    let (opened, rows) = blocking(move || {
        let wrapping = Wrapping::derive(fresh, &current);
        let rows = opened.rows_under(&wrapping);
        Ok((Opened { wrapping: Some(Arc::new(wrapping)), ..opened }, rows))
    })
    .await?;
    replace(pools, &stored, rows).await?;
    tracing::info!("the encryption key was changed: from now on ENCRYPTION_KEY alone opens the database");
    Ok(opened)
}

fn neither() -> StoreError {
    StoreError::Encryption(
        "neither ENCRYPTION_KEY nor ENCRYPTION_KEY_PREVIOUS opens this database: it was made with another key. Nothing was \
         changed. Set ENCRYPTION_KEY_PREVIOUS to the key that is in force."
            .to_owned(),
    )
}

fn is_wrapped(rows: &[KeyRow]) -> bool {
    rows.iter().any(|row| row.is_data_key())
}

/// The rows, ascending by id.
pub(super) async fn load(pools: &Pools) -> StoreResult<Vec<KeyRow>> {
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

/// Stores `rows` in the places of `former`, unless these have changed; all or none.
async fn replace(pools: &Pools, former: &[KeyRow], rows: Vec<KeyRow>) -> StoreResult<()> {
    transact!(pools, |conn| replace_rows!(conn, former, rows))
}

/// The keys of a new database. Blocks for the derivation.
pub(super) fn make(passphrase: Option<&Secret>, derivation: &Derivation, now: Timestamp) -> Opened {
    let lookup = random_key();
    let vault = Vault::plain(&lookup);
    let Some(passphrase) = passphrase else {
        let row = bare(LOOKUP_ID, Purpose::Lookup, &lookup, now.0);
        return Opened { vault: Arc::new(vault), wrapping: None, keys: vec![(row, Purpose::Lookup, lookup)] };
    };
    let wrapping = Wrapping::derive(derivation.clone(), passphrase);
    let (data_row, data) = wrapping.fresh_data_key(DATA_ID, now);
    vault.learn(DATA_ID, &data);
    let lookup_row = wrapping.row(LOOKUP_ID, Purpose::Lookup, &lookup, now.0);
    let keys = vec![(lookup_row, Purpose::Lookup, lookup), (data_row, Purpose::Data, data)];
    Opened { vault: Arc::new(vault), wrapping: Some(Arc::new(wrapping)), keys }
}

fn bare(id: i64, purpose: Purpose, key: &KeyBytes, created_at: i64) -> KeyRow {
    KeyRow {
        id,
        purpose: purpose.as_str().to_owned(),
        wrapping: UNWRAPPED.to_owned(),
        salt: String::new(),
        rounds: 0,
        wrapped_key: unprotected(key),
        created_at,
    }
}

/// Opens stored keys. Blocks for the derivation.
pub(super) fn open(rows: &[KeyRow], passphrase: Option<&Secret>) -> StoreResult<Opened> {
    let lookup = rows.iter().rev().find(|row| row.purpose == Purpose::Lookup.as_str());
    let lookup = lookup.ok_or_else(|| StoreError::damaged("lookup key", "it is missing"))?;
    let Some(latest) = rows.iter().rev().find(|row| row.is_data_key()) else {
        if passphrase.is_some() {
            return Err(StoreError::Encryption(
                "the database stores plain text, but ENCRYPTION_KEY is set. Nothing was changed. Unset ENCRYPTION_KEY, \
                 or encrypt the database with `gpt-load migrate-keys --to`."
                    .to_owned(),
            ));
        }
        let key =
            read_unprotected(&lookup.wrapped_key).ok_or_else(|| StoreError::damaged("lookup key", "not a key"))?;
        let keys = vec![(lookup.clone(), Purpose::Lookup, key.clone())];
        return Ok(Opened { vault: Arc::new(Vault::plain(&key)), wrapping: None, keys });
    };
    let passphrase = passphrase.ok_or_else(|| {
        StoreError::Encryption(
            "the database is encrypted, but ENCRYPTION_KEY is empty. Nothing was changed. Set ENCRYPTION_KEY to the key \
             the database was made with, or decrypt it with `gpt-load migrate-keys --from`."
                .to_owned(),
        )
    })?;
    let derivation = Derivation::from_stored(&latest.salt, latest.rounds)
        .ok_or_else(|| StoreError::damaged("key derivation", "its salt or its round count is not readable"))?;
    let wrapping = Wrapping::derive(derivation, passphrase);
    let unwrap = |row: &KeyRow, purpose: Purpose| -> StoreResult<KeyBytes> {
        wrapping.key.unwrap(purpose, row.id, &row.wrapped_key).ok_or_else(|| {
            StoreError::Encryption(
                "ENCRYPTION_KEY does not open this database: it was made with another key. Nothing was changed. Set the \
                 former key, or change it: with ENCRYPTION_KEY_PREVIOUS at a start, or with `gpt-load migrate-keys \
                 --from --to`."
                    .to_owned(),
            )
        })
    };
    let lookup_key = unwrap(lookup, Purpose::Lookup)?;
    let vault = Vault::plain(&lookup_key);
    let mut keys = vec![(lookup.clone(), Purpose::Lookup, lookup_key)];
    for row in rows.iter().filter(|row| row.is_data_key()) {
        let key = unwrap(row, Purpose::Data)?;
        vault.learn(row.id, &key);
        keys.push((row.clone(), Purpose::Data, key));
    }
    Ok(Opened { vault: Arc::new(vault), wrapping: Some(Arc::new(wrapping)), keys })
}
