//! Brings a database to the tables of this program, and leaves those of other programs alone.

use std::{fs, path::Path};

use diesel::{
    Connection, SqliteConnection,
    connection::SimpleConnection,
    migration::{MigrationSource, MigrationVersion},
    sqlite::Sqlite,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{StoreError, StoreResult, pool::open_sqlite, takeover::inventory};

pub(super) const SQLITE: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");

/// A table that only this program makes.
pub(super) const MARKER: &str = "leader_epoch";
/// diesel's list of the migrations that ran.
pub(super) const MIGRATIONS: &str = "__diesel_schema_migrations";

/// What a file holds before anything is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No tables.
    Nothing,
    /// A database of this program, maybe of an earlier version.
    Ours,
    /// A database of an older GPT-Load, maybe with a take-over under way.
    Legacy,
}

/// Runs pending migrations. Blocks.
pub(super) fn migrate_sqlite(path: &str) -> StoreResult<()> {
    let mut connection = open_sqlite(path)?;
    refuse_newer(&mut connection)?;
    // One immediate transaction, so that two nodes started at once do not both migrate.
    connection.immediate_transaction(|connection| {
        connection
            .run_pending_migrations(SQLITE)
            .map(drop)
            .map_err(|error| StoreError::Internal(format!("cannot bring the tables up to date: {error}")))
    })
}

/// Creates the file with its parent directories where needed. Blocks.
pub(super) fn prepare_file(path: &Path) -> StoreResult<()> {
    let refuse = |what: &str, error: std::io::Error| {
        StoreError::Unavailable(format!("{what} {}: {error}; check DATABASE_DSN and the permissions", path.display()))
    };
    if path.is_dir() {
        return Err(StoreError::Incompatible(format!("DATABASE_DSN: {} is a directory, not a file", path.display())));
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|error| refuse("cannot create the directory of", error))?;
    }
    // A file that is there is not opened: closing it would end the locks that other connections of this process hold.
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    // SQLite gives its side files the same mode.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(refuse("cannot create", error)),
        _ => Ok(()),
    }
}

/// Waits for the turn to open a database in the folder of `path`, until the result is dropped. Blocks.
///
/// The first switch to WAL is refused at once, without regard to the busy timeout, while another connection opens the
/// file. Where folders cannot be locked nobody waits.
pub(super) fn opening_turn(path: &str) -> Option<fs::File> {
    let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::File::open(folder.unwrap_or(Path::new("."))).ok()?;
    folder.lock().ok().map(|()| folder)
}

/// Looks at what a file holds; refuses one that holds the tables of other programs. Blocks.
///
/// No setting is made on this connection: switching to WAL would already write into a foreign file.
pub(super) fn inspect_sqlite(path: &str) -> StoreResult<Found> {
    let mut connection = SqliteConnection::establish(path)?;
    connection.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;")?;
    let tables = inventory(&mut connection).map_err(|error| match StoreError::from(error) {
        StoreError::Internal(detail) => StoreError::Incompatible(format!(
            "{path} is not a SQLite database ({detail}); let DATABASE_DSN name another file"
        )),
        other => other,
    })?;
    if tables.0.contains_key(MARKER) {
        return Ok(Found::Ours);
    }
    // The list of migrations alone is what a start leaves that was cut off before its first migration.
    if tables.0.keys().all(|table| table == MIGRATIONS) {
        return Ok(Found::Nothing);
    }
    if tables.is_legacy() {
        return Ok(Found::Legacy);
    }
    Err(StoreError::Incompatible(format!(
        "{path} belongs to another program. Nothing was changed. Let DATABASE_DSN name another file."
    )))
}

/// Refuses a database with migrations that this program does not know.
fn refuse_newer(connection: &mut SqliteConnection) -> StoreResult<()> {
    let damaged = |error: &dyn std::fmt::Display| StoreError::damaged("list of migrations", error);
    let applied = connection.applied_migrations().map_err(|error| damaged(&error))?;
    let known = MigrationSource::<Sqlite>::migrations(&SQLITE).map_err(|error| damaged(&error))?;
    let known: Vec<MigrationVersion<'_>> = known.iter().map(|migration| migration.name().version()).collect();
    match applied.iter().find(|version| !known.contains(version)) {
        Some(version) => Err(StoreError::Incompatible(format!(
            "the database was made by a newer GPT-Load (migration {version}); start that version or a newer one"
        ))),
        None => Ok(()),
    }
}
