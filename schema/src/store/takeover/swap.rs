//! The moment at which names change: to this program's tables, or back. Each is one transaction.

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query,
    sql_types::Text,
};

use super::{
    ASIDE,
    progress::{Progress, Stage},
    source_sqlite::{count, inventory},
    staging::Template,
    target::{STAGED, progress_rows},
};
use crate::{
    store::{StoreResult, dialect::insert_rows},
    takeover::source::LEGACY_TABLES,
    time::Timestamp,
};

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    sql: String,
}

/// Sets the tables of the old program aside and puts the filled ones in their places. Blocks.
///
/// `None` when keys or groups came or went since they were read; nothing was changed then.
pub(super) fn forth(
    path: &str,
    template: &Template,
    name: &str,
    mut progress: Progress,
) -> StoreResult<Option<Progress>> {
    let mut connection = open(path)?;
    connection.immediate_transaction(|connection| {
        let tables = inventory(connection)?.0;
        let keys = count(connection, "api_keys")?;
        let groups = count(connection, "groups")?;
        if (keys, groups) != (progress.report.keys.read, progress.report.groups_read) {
            return Ok(None);
        }
        let is_ours = |table: &&String| template.tables.contains(*table) || LEGACY_TABLES.contains(&table.as_str());
        let aside: Vec<String> = tables.keys().filter(is_ours).cloned().collect();
        for table in &aside {
            for index in indexes(connection, table)? {
                connection.batch_execute(&format!(r#"DROP INDEX "{}""#, index.name))?;
                progress.indexes.push(index.sql);
            }
            connection.batch_execute(&format!(r#"ALTER TABLE "{table}" RENAME TO "{ASIDE}{table}""#))?;
        }
        for index in &template.unique {
            connection.batch_execute(&format!(r#"DROP INDEX "{STAGED}{index}""#))?;
        }
        for table in &template.tables {
            connection.batch_execute(&format!(r#"ALTER TABLE "{STAGED}{table}" RENAME TO "{table}""#))?;
        }
        for index in &template.indexes {
            connection.batch_execute(index)?;
        }
        progress.aside = aside;
        progress.stage = Stage::Done;
        progress.finished_at = Some(Timestamp::now());
        insert_rows(connection, &progress_rows("takeovers".to_owned(), name, &progress)?)?;
        Ok(Some(progress))
    })
}

/// Drops the tables of this program and gives the old ones their names and indexes back. Blocks.
pub(super) fn back(path: &str, template: &Template, progress: &Progress) -> StoreResult<()> {
    let mut connection = open(path)?;
    connection.immediate_transaction(|connection| -> StoreResult<()> {
        let tables = inventory(connection)?.0;
        super::all_aside(progress, |table| tables.contains_key(&format!("{ASIDE}{table}")))?;
        // Tables are dropped before those that they refer to.
        for table in template.tables.iter().rev().filter(|table| tables.contains_key(*table)) {
            connection.batch_execute(&format!(r#"DROP TABLE "{table}""#))?;
        }
        for table in &progress.aside {
            connection.batch_execute(&format!(r#"ALTER TABLE "{ASIDE}{table}" RENAME TO "{table}""#))?;
        }
        for index in &progress.indexes {
            connection.batch_execute(index)?;
        }
        Ok(())
    })?;
    // The journal that the old programs used. Another reader may keep it from changing, which hurts nobody.
    let _ = connection.batch_execute("PRAGMA journal_mode = DELETE");
    Ok(())
}

/// Drops the tables of the old program; answers their names. Blocks.
pub(super) fn drop_aside(path: &str, name: &str, mut progress: Progress) -> StoreResult<Vec<String>> {
    let mut connection = open(path)?;
    let dropped = connection.immediate_transaction(|connection| -> StoreResult<Vec<String>> {
        let tables = inventory(connection)?.0;
        let aside = progress.aside.iter().map(|table| format!("{ASIDE}{table}"));
        let aside: Vec<String> = aside.filter(|table| tables.contains_key(table)).collect();
        for table in &aside {
            connection.batch_execute(&format!(r#"DROP TABLE "{table}""#))?;
        }
        progress.aside.clear();
        progress.indexes.clear();
        insert_rows(connection, &progress_rows("takeovers".to_owned(), name, &progress)?)?;
        Ok(aside)
    })?;
    // What was in them is in the file until its pages are used again. Without room for the copy that this needs, they are.
    if let Err(error) = connection.batch_execute("VACUUM") {
        tracing::warn!(%error, "the file keeps its size");
    }
    Ok(dropped)
}

/// Drops what an earlier attempt, or another version of this program, began to fill. Blocks.
pub(super) fn drop_staged(connection: &mut SqliteConnection) -> StoreResult<()> {
    connection.immediate_transaction(|connection| {
        let tables = inventory(connection)?.0;
        connection.batch_execute("PRAGMA defer_foreign_keys = ON")?;
        for table in tables.keys().filter(|table| table.starts_with(STAGED)) {
            connection.batch_execute(&format!(r#"DROP TABLE "{table}""#))?;
        }
        Ok(())
    })
}

/// Indexes of a table that have a statement of their own.
fn indexes(connection: &mut SqliteConnection, table: &str) -> StoreResult<Vec<Index>> {
    let sql =
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ? ORDER BY rowid";
    Ok(sql_query(sql).bind::<Text, _>(table).load(connection)?)
}

/// Renaming a table renames it in the foreign keys of others, which is wanted, but must not check or follow them.
fn open(path: &str) -> StoreResult<SqliteConnection> {
    let mut connection = SqliteConnection::establish(path)?;
    connection.batch_execute(
        "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = OFF; \
         PRAGMA synchronous = FULL;",
    )?;
    Ok(connection)
}
