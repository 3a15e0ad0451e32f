//! Rows of any table, whatever its name: what copies between databases writes.

use diesel::{
    QueryResult, QueryableByName, RunQueryDsl, SqliteConnection, sql_query,
    sql_types::{BigInt, Bool, Nullable, Text},
    sqlite::Sqlite,
};

/// Variables of one statement; every SQLite of this decade takes them.
const VARIABLES: usize = 3_000;

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
    /// The stored row stays.
    Skip,
    /// The new row takes its place.
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

/// Inserts `rows` in statements of bounded size. Tables and columns are names of this program, never input.
pub(in crate::store) fn insert_rows(connection: &mut SqliteConnection, rows: &Rows) -> QueryResult<usize> {
    let mut inserted = 0;
    for chunk in rows.rows.chunks((VARIABLES / rows.columns.len().max(1)).max(1)) {
        let verb = if rows.clash == Clash::Replace { "INSERT OR REPLACE INTO" } else { "INSERT INTO" };
        let tail = match rows.clash {
            Clash::Fail | Clash::Replace => "",
            Clash::Skip => " ON CONFLICT DO NOTHING",
            Clash::AddHour => {
                " ON CONFLICT (group_id, time) DO UPDATE SET success_count = success_count + excluded.success_count, \
                 failure_count = failure_count + excluded.failure_count"
            }
        };
        let one = format!("({})", vec!["?"; rows.columns.len()].join(","));
        let values = vec![one.as_str(); chunk.len()].join(",");
        let sql = format!(r#"{verb} "{}" ({}) VALUES {values}{tail}"#, rows.table, rows.columns.join(","));
        let mut statement = sql_query(sql).into_boxed::<Sqlite>();
        for cell in chunk.iter().flatten() {
            statement = match cell {
                Cell::Null => statement.bind::<Nullable<BigInt>, _>(None::<i64>),
                Cell::Int(number) => statement.bind::<BigInt, _>(*number),
                Cell::Bool(truth) => statement.bind::<Bool, _>(*truth),
                Cell::Text(text) => statement.bind::<Text, _>(text),
            };
        }
        inserted += statement.execute(connection)?;
    }
    Ok(inserted)
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    group_id: i64,
    #[diesel(sql_type = Text)]
    key_hash: String,
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// [`super::Dialect::key_ids`].
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
        ids.extend(found.into_iter().map(|found| (found.group_id, found.key_hash, found.id)));
    }
    Ok(ids)
}
