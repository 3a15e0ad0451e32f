//! SQLite files: made, looked at, brought up to date.

use std::{fs, path::Path};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use diesel_migrations::MigrationHarness;

use super::{Found, SQLITE, found_in, refuse_newer};
use crate::store::{StoreError, StoreResult, pool::open_sqlite, takeover::inventory};

/// Runs pending migrations. Blocks.
pub(in crate::store) fn migrate_sqlite(path: &str) -> StoreResult<()> {
    let mut connection = open_sqlite(path)?;
    refuse_newer(&mut connection, &SQLITE)?;
    // One immediate transaction, so that two nodes started at once do not both migrate.
    connection.immediate_transaction(|connection| {
        connection
            .run_pending_migrations(SQLITE)
            .map(drop)
            .map_err(|error| StoreError::Internal(format!("cannot bring the tables up to date: {error}")))
    })
}

/// Creates the file with its parent directories where needed. Blocks.
pub(in crate::store) fn prepare_file(path: &Path) -> StoreResult<()> {
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
pub(in crate::store) fn opening_turn(path: &str) -> Option<fs::File> {
    let folder = Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::File::open(folder.unwrap_or(Path::new("."))).ok()?;
    folder.lock().ok().map(|()| folder)
}

/// Looks at what a file holds; refuses one that holds the tables of other programs. Blocks.
///
/// No setting is made on this connection: switching to WAL would already write into a foreign file.
pub(in crate::store) fn inspect_sqlite(path: &str) -> StoreResult<Found> {
    let mut connection = SqliteConnection::establish(path)?;
    connection.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;")?;
    let tables = inventory(&mut connection).map_err(|error| match StoreError::from(error) {
        StoreError::Internal(detail) => StoreError::Incompatible(format!(
            "{path} is not a SQLite database ({detail}); let DATABASE_DSN name another file"
        )),
        other => other,
    })?;
    found_in(&tables).ok_or_else(|| {
        StoreError::Incompatible(format!(
            "{path} belongs to another program. Nothing was changed. Let DATABASE_DSN name another file."
        ))
    })
}
