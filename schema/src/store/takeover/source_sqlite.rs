//! Reads a SQLite file of an older program, and never writes to it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use diesel::{
    Connection, ConnectionError, QueryResult, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{BigInt, Text},
    sqlite::Sqlite,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    store::{
        StoreError, StoreResult,
        pool::{AsyncSqlite, blocking},
    },
    takeover::{
        rows::{LegacyGroup, LegacyHour, LegacyKey, LegacyLog, LegacyMember, LegacyRow, LegacySetting, Read},
        source::{Inventory, Logs, Source},
    },
};

/// What a path needs not escape within a URI.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A SQLite file of an older program.
pub(super) struct SqliteSource {
    connection: AsyncSqlite,
    inventory: Inventory,
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
}

#[derive(QueryableByName)]
pub(super) struct Count {
    #[diesel(sql_type = BigInt)]
    pub(super) number: i64,
}

impl SqliteSource {
    pub(super) async fn open(path: &str) -> StoreResult<Self> {
        let path = path.to_owned();
        let (connection, inventory) = blocking(move || {
            let mut connection = open_read_only(&path)?;
            let inventory = inventory(&mut connection)?;
            Ok((connection, inventory))
        })
        .await?;
        Ok(Self { connection: AsyncSqlite::new(connection), inventory })
    }

    /// Rows of `R`, the condition and order with at most two variables.
    async fn rows<R>(&mut self, tail: &str, variables: Vec<i64>) -> StoreResult<Vec<R>>
    where
        R: LegacyRow + QueryableByName<Sqlite> + Send + 'static,
    {
        if !self.inventory.0.contains_key(R::TABLE) {
            return Ok(Vec::new());
        }
        let columns: Vec<String> = R::COLUMNS.iter().map(|column| self.column::<R>(*column)).collect();
        let sql = format!(r#"SELECT {} FROM "{}" AS t {tail}"#, columns.join(", "), R::TABLE);
        let load = move |connection: &mut SqliteConnection| {
            let mut query = sql_query(sql).into_boxed::<Sqlite>();
            for variable in variables {
                query = query.bind::<BigInt, _>(variable);
            }
            query.load(connection)
        };
        Ok(self.connection.spawn_blocking(load).await?)
    }

    /// SQLite stores any type in any column, and texts of any bytes: what is read is made what is expected.
    fn column<R: LegacyRow>(&self, (name, read): (&str, Read)) -> String {
        if name == "position" {
            return "t.rowid AS position".to_owned();
        }
        if !self.inventory.has(R::TABLE, name) {
            return format!("NULL AS {name}");
        }
        match read {
            Read::Text => format!(r#"CAST(t."{name}" AS BLOB) AS {name}"#),
            Read::Int => format!(r#"CAST(t."{name}" AS INTEGER) AS {name}"#),
        }
    }
}

#[async_trait]
impl Source for SqliteSource {
    fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    async fn count(&mut self, table: &'static str) -> StoreResult<i64> {
        if !self.inventory.0.contains_key(table) {
            return Ok(0);
        }
        Ok(self.connection.spawn_blocking(move |connection| count(connection, table)).await?)
    }

    async fn highest(&mut self, table: &'static str) -> StoreResult<i64> {
        if !self.inventory.0.contains_key(table) {
            return Ok(0);
        }
        let sql = format!(r#"SELECT COALESCE(MAX(id), 0) AS number FROM "{table}""#);
        let load = move |connection: &mut SqliteConnection| sql_query(sql).get_result::<Count>(connection);
        Ok(self.connection.spawn_blocking(load).await?.number.max(0))
    }

    async fn settings(&mut self) -> StoreResult<Vec<LegacySetting>> {
        self.rows("ORDER BY t.rowid", Vec::new()).await
    }

    async fn groups(&mut self) -> StoreResult<Vec<LegacyGroup>> {
        self.rows("ORDER BY t.id", Vec::new()).await
    }

    async fn members(&mut self) -> StoreResult<Vec<LegacyMember>> {
        self.rows("ORDER BY t.rowid", Vec::new()).await
    }

    async fn keys(&mut self, after: i64, limit: usize) -> StoreResult<Vec<LegacyKey>> {
        self.rows("WHERE t.id > ? ORDER BY t.id LIMIT ?", vec![after, bound(limit)]).await
    }

    async fn hours(&mut self, after: i64, limit: usize) -> StoreResult<Vec<LegacyHour>> {
        self.rows("WHERE t.rowid > ? ORDER BY t.rowid LIMIT ?", vec![after, bound(limit)]).await
    }

    async fn logs(&mut self, from: Option<String>, limit: usize) -> StoreResult<Logs> {
        let before = match from {
            Some(from) => from.parse().map_err(|_| StoreError::damaged("place in the request log", &from))?,
            None => i64::MAX,
        };
        let tail = "WHERE t.rowid < ? ORDER BY t.rowid DESC LIMIT ?";
        let rows: Vec<LegacyLog> = self.rows(tail, vec![before, bound(limit)]).await?;
        let next = rows.last().and_then(|row| row.position).map(|position| position.to_string());
        Ok(Logs { rows, next })
    }
}

pub(super) fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Rows of the table `table`.
pub(super) fn count(connection: &mut SqliteConnection, table: &str) -> QueryResult<i64> {
    let count: Count = sql_query(format!(r#"SELECT COUNT(*) AS number FROM "{table}""#)).get_result(connection)?;
    Ok(count.number)
}

/// Tables and their columns.
pub(in crate::store) fn inventory(connection: &mut SqliteConnection) -> QueryResult<Inventory> {
    let columns: Vec<Column> = sql_query(
        "SELECT m.name AS table_name, c.name AS column_name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c \
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!'",
    )
    .load(connection)?;
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Column { table_name, column_name } in columns {
        tables.entry(table_name).or_default().insert(column_name);
    }
    Ok(Inventory(tables))
}

/// A connection that cannot write, not even by recovering what a crash left behind.
pub(super) fn open_read_only(path: &str) -> StoreResult<SqliteConnection> {
    let mut connection = SqliteConnection::establish(&format!("file:{}?mode=ro", utf8_percent_encode(path, KEPT)))
        .map_err(|error| match error {
            ConnectionError::BadConnection(reason) => {
                StoreError::Unavailable(format!("{path} cannot be opened for reading: {reason}"))
            }
            other => other.into(),
        })?;
    connection.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;")?;
    Ok(connection)
}
