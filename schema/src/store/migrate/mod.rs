//! Brings a database to the tables of this program, and leaves those of other programs alone.

mod server;
mod sqlite;

#[cfg(test)]
mod tests;

use diesel::{
    backend::Backend,
    migration::{MigrationSource, MigrationVersion},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

pub(super) use self::{
    server::{Migrated, ServerSchema},
    sqlite::{inspect_sqlite, migrate_sqlite, opening_turn, prepare_file},
};
use super::{StoreError, StoreResult};
use crate::takeover::source::Inventory;

pub(super) const SQLITE: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");
pub(super) const POSTGRES: EmbeddedMigrations = embed_migrations!("../migrations/postgres");
pub(super) const MYSQL: EmbeddedMigrations = embed_migrations!("../migrations/mysql");

/// A table that only this program makes.
pub(super) const MARKER: &str = "leader_epoch";
/// diesel's list of the migrations that ran.
pub(super) const MIGRATIONS: &str = "__diesel_schema_migrations";

/// What a database holds before anything is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No tables.
    Nothing,
    /// A database of this program, maybe of an earlier version.
    Ours,
    /// A database of an older GPT-Load, maybe with a take-over under way.
    Legacy,
}

/// Whose tables these are; `None` for those of another program.
fn found_in(tables: &Inventory) -> Option<Found> {
    if tables.0.contains_key(MARKER) {
        Some(Found::Ours)
    // The list of migrations alone is what a start leaves that was cut off before its first migration.
    } else if tables.0.keys().all(|table| table == MIGRATIONS) {
        Some(Found::Nothing)
    } else {
        tables.is_legacy().then_some(Found::Legacy)
    }
}

/// Refuses a database with migrations that this program does not know.
fn refuse_newer<DB: Backend>(
    connection: &mut impl MigrationHarness<DB>,
    migrations: &impl MigrationSource<DB>,
) -> StoreResult<()> {
    let damaged = |error: &dyn std::fmt::Display| StoreError::damaged("list of migrations", error);
    let applied = connection.applied_migrations().map_err(|error| damaged(&error))?;
    let known = migrations.migrations().map_err(|error| damaged(&error))?;
    let known: Vec<MigrationVersion<'_>> = known.iter().map(|migration| migration.name().version()).collect();
    match applied.iter().find(|version| !known.contains(version)) {
        Some(version) => Err(StoreError::Incompatible(format!(
            "the database was made by a newer GPT-Load (migration {version}); start that version or a newer one"
        ))),
        None => Ok(()),
    }
}
