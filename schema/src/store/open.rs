//! Opening: which database, whose tables, under which passphrase.

use std::{path::Path, sync::Arc};

use jiff::tz::TimeZone;

use super::{
    Store, StoreError, StoreResult,
    dsn::{Dsn, DsnError},
    migrate::{self, Found, Migrated},
    pool::{
        self, Engine, Mysql, Pools, Postgres, Server, ServerPools, StoreRuntime, blocking, connect, path_text,
        tls::ExtraRoots,
    },
    takeover::{self, House},
    unlock::{self, Opened, Passphrases},
};
use crate::{crypto::envelope::Derivation, secret::Secret};

/// Where the data of a node is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `DATABASE_DSN`.
    pub dsn: &'a str,
    /// `DATABASE_READ_DSN`: a replica for lists of log rows and dashboards, which may be a moment behind.
    pub read_dsn: Option<&'a str>,
    /// `EXTRA_CA_FILE`: roots (PEM) that servers are trusted by besides those of the system.
    pub extra_ca_file: Option<&'a Path>,
    /// `TZ`: the zone that an older GPT-Load on MySQL calls `Local`, in whose times it may have stored.
    pub time_zone: Option<&'a str>,
}

impl<'a> From<&'a str> for Place<'a> {
    fn from(dsn: &'a str) -> Self {
        Self { dsn, read_dsn: None, extra_ca_file: None, time_zone: None }
    }
}

/// What a [`Place`] names.
pub(super) struct Parsed {
    pub(super) dsn: Dsn,
    replica: Option<Dsn>,
    pub(super) roots: ExtraRoots,
    pub(super) time_zone: Option<String>,
}

impl TryFrom<Place<'_>> for Parsed {
    type Error = StoreError;

    fn try_from(place: Place<'_>) -> StoreResult<Self> {
        let dsn = place.dsn.parse().map_err(|error: DsnError| StoreError::Incompatible(error.to_string()))?;
        let replica = place.read_dsn.map(|dsn| {
            let refused = |error: DsnError| StoreError::Incompatible(format!("DATABASE_READ_DSN: {}", error.reason()));
            dsn.parse::<Dsn>().map_err(refused)
        });
        let roots = ExtraRoots(place.extra_ca_file.map(Path::to_path_buf).into_iter().collect());
        Ok(Self { dsn, replica: replica.transpose()?, roots, time_zone: place.time_zone.map(str::to_owned) })
    }
}

impl Store {
    /// Opens (and for SQLite creates) the database, brings its tables up to date and unlocks encryption at rest.
    ///
    /// `passphrase` is `ENCRYPTION_KEY`; `None` or empty stores plain text. A database of an older GPT-Load is taken over
    /// first, which takes some seconds for each hundred thousand keys.
    ///
    /// # Errors
    /// `Incompatible` for a DSN that names no usable database and for a database of another program or a newer
    /// version; `Unavailable` when it cannot be reached; `Encryption` when the passphrase is not that of the database.
    pub async fn open(place: impl Into<Place<'_>>, passphrase: Option<&Secret>) -> StoreResult<Self> {
        Self::open_changing(place, passphrase, None).await
    }

    /// [`Store::open`] for a change of the passphrase: a database that `previous` opens (`ENCRYPTION_KEY_PREVIOUS`) is opened
    /// by `passphrase` alone from then on. Only the keys of encryption at rest are wrapped anew, in one transaction.
    ///
    /// # Errors
    /// As [`Store::open`]; when neither opens the database nothing was changed.
    pub async fn open_changing(
        place: impl Into<Place<'_>>,
        passphrase: Option<&Secret>,
        previous: Option<&Secret>,
    ) -> StoreResult<Self> {
        Self::open_as(place.into(), Passphrases::new(passphrase, previous), Derivation::fresh()).await
    }

    /// [`Store::open`] with the derivation that a new database gets.
    #[cfg(test)]
    pub(super) async fn open_with(
        place: Place<'_>,
        passphrase: Option<&Secret>,
        fresh: Derivation,
    ) -> StoreResult<Self> {
        Self::open_as(place, Passphrases::new(passphrase, None), fresh).await
    }

    pub(super) async fn open_as(place: Place<'_>, passphrases: Passphrases, fresh: Derivation) -> StoreResult<Self> {
        let (store, _) = Self::unlocked(place, passphrases, fresh).await?;
        store.refuse_interrupted().await?;
        store.finish_header_rules().await?;
        Ok(store)
    }

    /// The store of a database whatever is under way there, and its opened keys.
    pub(super) async fn unlocked(
        place: Place<'_>,
        passphrases: Passphrases,
        fresh: Derivation,
    ) -> StoreResult<(Self, Opened)> {
        let place = Parsed::try_from(place)?;
        let key = Key { passphrases, fresh };
        let runtime = StoreRuntime::start()?;
        let (pools, opened) = runtime
            .run(async move {
                match place.dsn {
                    Dsn::Sqlite(_) if place.replica.is_some() => {
                        Err(StoreError::Incompatible("DATABASE_READ_DSN: SQLite has no replicas; unset it".to_owned()))
                    }
                    Dsn::Sqlite(path) => sqlite(path_text(&path)?, key).await,
                    Dsn::Postgres(dsn) => {
                        let replica = match place.replica {
                            None => None,
                            Some(Dsn::Postgres(dsn)) => Some(Postgres::new(&dsn, place.roots.clone())?),
                            Some(_) => return Err(another_kind("PostgreSQL")),
                        };
                        server(Postgres::new(&dsn, place.roots)?, replica, Pools::Postgres, key, || Ok(TimeZone::UTC))
                            .await
                    }
                    Dsn::Mysql(dsn) => {
                        let replica = match place.replica {
                            None => None,
                            Some(Dsn::Mysql(dsn)) => Some(Mysql::new(&dsn, &place.roots)?),
                            Some(_) => return Err(another_kind("MySQL")),
                        };
                        let zone = || takeover::zone(&dsn, place.time_zone.as_deref());
                        server(Mysql::new(&dsn, &place.roots)?, replica, Pools::Mysql, key, zone).await
                    }
                }
            })
            .await?;
        let engine = Engine::new(pools, &opened, runtime);
        Ok((Self { engine: Arc::new(engine) }, opened))
    }
}

fn another_kind(kind: &str) -> StoreError {
    StoreError::Incompatible(format!("DATABASE_READ_DSN: DATABASE_DSN names {kind}, so its replica must be one, too"))
}

/// What encryption at rest is opened or made with.
struct Key {
    passphrases: Passphrases,
    fresh: Derivation,
}

impl Key {
    async fn open(self, pools: &Pools) -> StoreResult<Opened> {
        unlock::unlock(pools, self.passphrases, self.fresh).await
    }
}

/// What `$take_over` answers with the passphrase that opens an older program's database; `None` when that is the previous
/// one, so that the keys are to be wrapped anew yet.
macro_rules! with_either {
    ($key:expr, |$passphrase:ident| $take_over:expr) => {{
        let Passphrases { current: $passphrase, previous } = $key.passphrases.clone();
        // On the heap: it is large, and rare.
        match Box::pin($take_over).await {
            Err(StoreError::Encryption(_)) if previous.is_some() => {
                let $passphrase = previous;
                Box::pin($take_over).await?;
                None
            }
            result => Some(result?),
        }
    }};
}

async fn sqlite(path: String, key: Key) -> StoreResult<(Pools, Opened)> {
    let inspected = path.clone();
    let (found, _turn) = blocking(move || {
        migrate::prepare_file(Path::new(&inspected))?;
        let turn = migrate::opening_turn(&inspected);
        Ok((migrate::inspect_sqlite(&inspected)?, turn))
    })
    .await?;
    let mut known = None;
    if found == Found::Legacy {
        known = with_either!(key, |passphrase| takeover::file_loudly(&path, passphrase, key.fresh.clone()));
    }
    let migrate = async |path: String| blocking(move || migrate::migrate_sqlite(&path)).await;
    if found == Found::Nothing {
        migrate(path.clone()).await?;
    }
    let pools = pool::sqlite_pools(&path).await?;
    let opened = match known {
        Some(opened) => opened,
        None => key.open(&pools).await?,
    };
    // An existing database is not touched before its passphrase is known to be right.
    if found != Found::Nothing {
        migrate(path).await?;
    }
    Ok((pools, opened))
}

async fn server<S: Server<Connection: House>>(
    server: S,
    replica: Option<S>,
    kind: fn(ServerPools<S>) -> Pools,
    key: Key,
    zone: impl FnOnce() -> StoreResult<TimeZone> + Send,
) -> StoreResult<(Pools, Opened)> {
    let server = Arc::new(server);
    let mut turn = Migrated::turn(connect(&*server).await?).await?;
    let found = turn.found(server.place()).await?;
    let mut known = None;
    if found == Found::Legacy {
        let zone = zone()?;
        known = with_either!(key, |passphrase| {
            takeover::server_loudly(&*server, zone.clone(), passphrase, key.fresh.clone())
        });
    }
    if found == Found::Nothing {
        turn = turn.migrate().await?;
    }
    let pools = kind(ServerPools::new(&server, replica));
    let opened = match known {
        Some(opened) => opened,
        None => key.open(&pools).await?,
    };
    // An existing database is not touched before its passphrase is known to be right.
    if found != Found::Nothing {
        turn = turn.migrate().await?;
    }
    turn.end().await?;
    Ok((pools, opened))
}
