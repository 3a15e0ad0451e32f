//! The tables that are filled beside those of the old program.

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{Nullable, Text},
};
use diesel_migrations::MigrationHarness;

use super::{
    progress::Progress,
    target::{STAGED, progress_rows},
};
use crate::{
    crypto::envelope::Derivation,
    secret::Secret,
    store::{
        StoreError, StoreResult,
        dialect::{Clash, Rows, insert_rows},
        migrate::{MIGRATIONS, SQLITE},
        unlock::{self, Opened},
    },
    time::Timestamp,
};

/// The tables of this program as statements.
pub(super) struct Template {
    /// Names of the tables.
    pub(super) tables: Vec<String>,
    /// Statements that make the indexes once the tables have their names.
    pub(super) indexes: Vec<String>,
    /// Names of the indexes that guard uniqueness; they exist, under a name with [`STAGED`], from the beginning.
    pub(super) unique: Vec<String>,
    /// A database in memory with the tables and their first rows, under names with [`STAGED`].
    connection: SqliteConnection,
}

#[derive(QueryableByName)]
struct Object {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Text>)]
    sql: Option<String>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

impl Template {
    /// Makes the tables in memory. Blocks.
    pub(super) fn new() -> StoreResult<Self> {
        let mut connection = SqliteConnection::establish(":memory:")?;
        connection
            .run_pending_migrations(SQLITE)
            .map_err(|error| StoreError::Internal(format!("cannot make the tables: {error}")))?;
        let tables: Vec<String> = objects(&mut connection, "table")?.into_iter().map(|table| table.name).collect();
        let indexes: Vec<String> =
            objects(&mut connection, "index")?.into_iter().filter_map(|index| index.sql).collect();
        for table in &tables {
            connection.batch_execute(&format!(r#"ALTER TABLE "{table}" RENAME TO "{STAGED}{table}""#))?;
        }
        let unique = objects(&mut connection, "index")?
            .into_iter()
            .filter(|index| index.sql.as_deref().is_some_and(|sql| sql.starts_with("CREATE UNIQUE")))
            .map(|index| index.name)
            .collect();
        Ok(Self { tables, indexes, unique, connection })
    }

    /// Whether the tables under [`STAGED`] in `file` are of this version.
    pub(super) fn fits(&mut self, file: &mut SqliteConnection) -> StoreResult<bool> {
        let sql = format!(r#"SELECT version AS text FROM "{STAGED}{MIGRATIONS}" ORDER BY version"#);
        let versions = |rows: Vec<Row>| rows.into_iter().map(|row| row.text).collect::<Vec<_>>();
        let expected = versions(sql_query(&sql).load(&mut self.connection)?);
        Ok(versions(sql_query(&sql).load(file)?) == expected)
    }

    /// Makes the tables in the file at `path`, all or none, with their first rows, the keys of encryption at rest and the
    /// progress; answers those keys. Blocks, also for the derivation of the wrapping key.
    pub(super) fn stage(
        mut self,
        path: &str,
        passphrase: Option<&Secret>,
        fresh: &Derivation,
        name: &str,
        progress: &Progress,
    ) -> StoreResult<Opened> {
        let made = unlock::make(passphrase, fresh, Timestamp::now());
        let mut statements = Vec::new();
        for table in objects(&mut self.connection, "table")? {
            statements.push(located(&table, "TABLE", |name| format!(r#"db."{name}""#))?);
            let name = &table.name;
            statements.push(format!(r#"INSERT INTO db."{name}" SELECT * FROM main."{name}""#));
        }
        for index in objects(&mut self.connection, "index")? {
            if self.unique.contains(&index.name) {
                statements.push(located(&index, "INDEX", |name| format!(r#"db."{STAGED}{name}""#))?);
            }
        }
        let connection = &mut self.connection;
        sql_query("ATTACH ? AS db").bind::<Text, _>(path).execute(connection)?;
        connection.batch_execute("PRAGMA busy_timeout = 5000")?;
        connection.immediate_transaction(|connection| {
            for statement in &statements {
                connection.batch_execute(statement)?;
            }
            let keys = Rows {
                table: format!("{STAGED}encryption_keys"),
                columns: unlock::COLUMNS,
                rows: made.rows().into_iter().map(unlock::KeyRow::cells).collect(),
                clash: Clash::Fail,
            };
            // These two tables are in the file and, empty, in memory.
            connection.batch_execute(&format!(
                r#"DROP TABLE main."{STAGED}encryption_keys"; DROP TABLE main."{STAGED}takeovers""#
            ))?;
            insert_rows(connection, &keys)?;
            insert_rows(connection, &progress_rows(format!("{STAGED}takeovers"), name, progress)?)?;
            Ok(made)
        })
    }
}

/// A statement that makes a table or an index, with its name put elsewhere.
fn located(object: &Object, kind: &str, place: impl Fn(&str) -> String) -> StoreResult<String> {
    let sql = object.sql.as_deref().unwrap_or_default();
    let name = &object.name;
    let changed = [format!(r#"{kind} "{name}""#), format!("{kind} {name}")]
        .iter()
        .find(|head| sql.contains(head.as_str()))
        .map(|head| sql.replacen(head.as_str(), &format!("{kind} {}", place(name)), 1));
    changed.ok_or_else(|| StoreError::Internal(format!("the statement that makes `{name}` is not understood")))
}

/// Tables or indexes with a statement of their own.
fn objects(connection: &mut SqliteConnection, kind: &str) -> StoreResult<Vec<Object>> {
    let sql = "SELECT name, sql FROM sqlite_master WHERE type = ? AND sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!' \
               ORDER BY rowid";
    Ok(sql_query(sql).bind::<Text, _>(kind).load(connection)?)
}

/// The progress stored under `name` in the table `table`.
pub(super) fn stored_progress(
    connection: &mut SqliteConnection,
    table: &str,
    name: &str,
) -> StoreResult<Option<Progress>> {
    let sql = format!(r#"SELECT progress AS text FROM "{table}" WHERE source = ?"#);
    let rows: Vec<Row> = sql_query(sql).bind::<Text, _>(name).load(connection)?;
    let read = |row: &Row| serde_json::from_str(&row.text).map_err(|error| StoreError::damaged("progress", error));
    rows.first().map(read).transpose()
}

/// The keys behind the tables that are being filled. Blocks for the derivation.
pub(super) fn keys(connection: &mut SqliteConnection, passphrase: Option<&Secret>) -> StoreResult<Opened> {
    let rows: Vec<unlock::KeyRow> =
        sql_query(format!(r#"SELECT * FROM "{STAGED}encryption_keys" ORDER BY id"#)).load(connection)?;
    unlock::open(&rows, passphrase)
}
