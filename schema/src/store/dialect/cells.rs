//! Rows of any table, whatever its name: what copies between databases writes.

use diesel::{
    QueryResult, QueryableByName, RunQueryDsl, SqliteConnection, sql_query,
    sql_types::{BigInt, Bool, Text},
    sqlite::Sqlite,
};

/// Variables of one statement; every SQLite of this decade takes them.
const VARIABLES: usize = 3_000;
/// Bytes of text in one statement, about: old servers take packets of 4 MiB.
const BYTES: usize = 2 << 20;

/// A value of any column.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Cell {
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
}

/// What happens to a row whose key is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Clash {
    /// The statement fails.
    Fail,
    /// The new row takes the place of the one with the same first column.
    Replace,
    /// The counts of an hour are added to those stored.
    AddHour,
}

/// Rows to insert.
#[derive(Clone, Debug)]
pub(in crate::store) struct Rows {
    pub(in crate::store) table: String,
    pub(in crate::store) columns: &'static [&'static str],
    pub(in crate::store) rows: Vec<Vec<Cell>>,
    pub(in crate::store) clash: Clash,
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Cell {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// How a database writes names and variables.
pub(super) struct Words {
    quote: char,
    /// Whether variables are `$1`, `$2`… rather than `?`.
    numbered: bool,
    /// Whether a row that gives way is named by its key: `ON CONFLICT`.
    conflict: bool,
}

pub(super) const SQLITE: Words = Words { quote: '"', numbered: false, conflict: true };
pub(super) const POSTGRES: Words = Words { quote: '"', numbered: true, conflict: true };
pub(super) const MYSQL: Words = Words { quote: '`', numbered: false, conflict: false };

impl Rows {
    /// The rows in batches of one statement each.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &[Vec<Cell>]> {
        let most = (VARIABLES / self.columns.len().max(1)).max(1);
        let mut rest = self.rows.as_slice();
        std::iter::from_fn(move || {
            let mut bytes = 0;
            let fits = |row: &&Vec<Cell>| {
                bytes += row.iter().map(Cell::bytes).sum::<usize>();
                bytes <= BYTES
            };
            let count = rest.iter().take(most).take_while(fits).count().max(1);
            let (chunk, left) = rest.split_at_checked(count)?;
            rest = left;
            Some(chunk)
        })
    }
}

impl Cell {
    /// Bytes of its text.
    const fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Null | Self::Int(_) | Self::Bool(_) => 0,
        }
    }
}

/// The statement that inserts `chunk`, which has a variable for every cell but NULL. Tables and columns are names of this
/// program, never input.
pub(super) fn insert_sql(words: &Words, rows: &Rows, chunk: &[Vec<Cell>]) -> String {
    let quoted = |name: &str| format!("{0}{name}{0}", words.quote);
    let columns: Vec<String> = rows.columns.iter().map(|column| quoted(column)).collect();
    let mut variables = 0;
    let mut variable = || {
        variables += 1;
        if words.numbered { format!("${variables}") } else { "?".to_owned() }
    };
    let mut cell = |cell: &Cell| if *cell == Cell::Null { "NULL".to_owned() } else { variable() };
    let row = |row: &Vec<Cell>| format!("({})", row.iter().map(&mut cell).collect::<Vec<_>>().join(","));
    let values: Vec<String> = chunk.iter().map(row).collect();
    let table = quoted(&rows.table);
    let update = |columns: &[String], plus: bool| {
        let change = |column: &String| {
            let new = if words.conflict { format!("excluded.{column}") } else { format!("VALUES({column})") };
            if plus { format!("{column} = {table}.{column} + {new}") } else { format!("{column} = {new}") }
        };
        columns.iter().map(change).collect::<Vec<_>>().join(", ")
    };
    let counts = ["success_count", "failure_count"].map(quoted);
    let tail = match (rows.clash, words.conflict) {
        (Clash::Fail, _) => String::new(),
        (Clash::Replace, true) => format!(" ON CONFLICT ({}) DO UPDATE SET {}", columns[0], update(&columns, false)),
        (Clash::Replace, false) => format!(" ON DUPLICATE KEY UPDATE {}", update(&columns, false)),
        (Clash::AddHour, true) => {
            format!(" ON CONFLICT ({}, {}) DO UPDATE SET {}", quoted("group_id"), quoted("time"), update(&counts, true))
        }
        (Clash::AddHour, false) => format!(" ON DUPLICATE KEY UPDATE {}", update(&counts, true)),
    };
    format!("INSERT INTO {table} ({}) VALUES {}{tail}", columns.join(","), values.join(","))
}

/// [`super::Dialect::insert_rows`] of SQLite.
pub(in crate::store) fn insert_rows(connection: &mut SqliteConnection, rows: &Rows) -> QueryResult<usize> {
    let mut inserted = 0;
    for chunk in rows.chunks() {
        let mut statement = sql_query(insert_sql(&SQLITE, rows, chunk)).into_boxed::<Sqlite>();
        for cell in chunk.iter().flatten() {
            statement = match cell {
                Cell::Null => statement,
                Cell::Int(number) => statement.bind::<BigInt, _>(*number),
                Cell::Bool(truth) => statement.bind::<Bool, _>(*truth),
                Cell::Text(text) => statement.bind::<Text, _>(text),
            };
        }
        inserted += statement.execute(connection)?;
    }
    Ok(inserted)
}

/// A stored key.
/// A name that a statement asks for as `name`.
#[derive(QueryableByName)]
pub(super) struct Name {
    #[diesel(sql_type = Text)]
    pub(super) name: String,
}

#[derive(QueryableByName)]
pub(super) struct Found {
    #[diesel(sql_type = BigInt)]
    group_id: i64,
    #[diesel(sql_type = Text)]
    key_hash: String,
    #[diesel(sql_type = BigInt)]
    id: i64,
}

impl Found {
    /// Group, hash, id.
    pub(super) fn into_tuple(self) -> (i64, String, i64) {
        (self.group_id, self.key_hash, self.id)
    }
}

/// [`super::Dialect::key_ids`] of SQLite.
pub(super) fn key_ids(
    connection: &mut SqliteConnection,
    table: &str,
    wanted: &[(i64, String)],
) -> QueryResult<Vec<(i64, String, i64)>> {
    let mut ids = Vec::with_capacity(wanted.len());
    for chunk in wanted.chunks(VARIABLES / 2) {
        let values = vec!["(?,?)"; chunk.len()].join(",");
        let sql =
            format!(r#"SELECT group_id, key_hash, id FROM "{table}" WHERE (group_id, key_hash) IN (VALUES {values})"#);
        let mut statement = sql_query(sql).into_boxed::<Sqlite>();
        for (group, hash) in chunk {
            statement = statement.bind::<BigInt, _>(*group).bind::<Text, _>(hash);
        }
        let found: Vec<Found> = statement.load(connection)?;
        ids.extend(found.into_iter().map(Found::into_tuple));
    }
    Ok(ids)
}
