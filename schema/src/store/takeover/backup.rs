//! Copies of a database file beside it.

use std::{fs, path::Path};

use diesel::{RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::Text};

use super::source_sqlite::open_read_only;
use crate::store::{StoreError, StoreResult, migrate::prepare_file};

/// Copies of one kind beside one database.
const MAX_COPIES: u32 = 1_000;

/// A whole copy, which has its name from [`Backup::settle`] on.
pub(super) struct Backup {
    /// Its name.
    pub(super) path: String,
    unsettled: String,
}

impl Backup {
    /// Copies the database at `path` to a name that ends in `suffix` and is free. Blocks.
    ///
    /// # Errors
    /// When the copy cannot be made whole; what there is of it is deleted.
    pub(super) fn make(path: &str, suffix: &str) -> StoreResult<Self> {
        let name = |number: u32| match number {
            1 => format!("{path}.{suffix}"),
            number => format!("{path}.{suffix}-{number}"),
        };
        let free = (1..=MAX_COPIES).map(name).find(|copy| !Path::new(copy).exists());
        let free = free.ok_or_else(|| failed(path, &format!("there are {MAX_COPIES} copies beside it already")))?;
        let backup = Self::of(path, &free);
        backup.fill(path).inspect_err(|_| _ = fs::remove_file(&backup.unsettled))?;
        Ok(backup)
    }

    /// The copy of the database at `path` that is to be called `copy`.
    pub(super) fn of(path: &str, copy: &str) -> Self {
        Self { path: copy.to_owned(), unsettled: format!("{path}.copy") }
    }

    fn fill(&self, path: &str) -> StoreResult<()> {
        if Path::new(&self.unsettled).exists() {
            fs::remove_file(&self.unsettled).map_err(|error| failed(path, &error))?;
        }
        // Readable by its owner alone; SQLite fills an empty file.
        prepare_file(Path::new(&self.unsettled))?;
        let mut connection = open_read_only(path)?;
        connection.batch_execute("PRAGMA query_only = OFF")?;
        sql_query("VACUUM INTO ?")
            .bind::<Text, _>(&self.unsettled)
            .execute(&mut connection)
            .map_err(|error| failed(path, &error))?;
        fs::File::open(&self.unsettled).and_then(|file| file.sync_all()).map_err(|error| failed(path, &error))
    }

    /// Gives the copy its name if a process died before it could. A copy that somebody moved away is none of our business.
    ///
    /// # Errors
    /// As [`Backup::settle`].
    pub(super) fn settle_late(&self) -> StoreResult<()> {
        let waits = Path::new(&self.unsettled).exists() && !Path::new(&self.path).exists();
        if waits { self.settle() } else { Ok(()) }
    }

    /// Gives the copy its name.
    ///
    /// # Errors
    /// When the copy is gone or cannot be renamed.
    pub(super) fn settle(&self) -> StoreResult<()> {
        fs::rename(&self.unsettled, &self.path).map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!(
        "the copy of the database beside {path} cannot be made: {error}. The old tables were not touched. The copy needs as \
         much room as the database."
    ))
}
