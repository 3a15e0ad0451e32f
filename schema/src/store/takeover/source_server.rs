//! Reads the database of an older program on a server, and never writes to it.

use async_trait::async_trait;
use diesel::{QueryableByName, mysql::Mysql, pg::Pg, sql_query, sql_types::Text};
use diesel_async::{AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl};
use jiff::{civil::DateTime, tz::TimeZone};

use super::source_sqlite::{Count, bound};
use crate::{
    store::{StoreError, StoreResult, dsn::MysqlDsn, migrate::ServerSchema},
    takeover::{
        rows::{LegacyGroup, LegacyHour, LegacyKey, LegacyLog, LegacyMember, LegacyRow, LegacySetting, Read},
        source::{Inventory, Logs, Source},
    },
};

/// The database of an older program on a server.
pub(super) struct ServerSource<C> {
    connection: C,
    inventory: Inventory,
    /// Of stored times that do not tell their own.
    zone: TimeZone,
}

/// How a server is asked.
pub(in crate::store) trait Reads: ServerSchema {
    /// Makes the session one that cannot write, and times read in UTC.
    const SETTINGS: &'static str;
    /// The condition for log rows that come after the one with the time and the id of the two variables.
    const OLDER: &'static str;
    /// Variables that [`Reads::OLDER`] takes of the time and the id.
    const OLDER_VARIABLES: [usize; 3];

    /// A name in its quotes.
    fn quoted(name: &str) -> String;
    /// The bytes of the UTF-8 text of a column of any type.
    fn text(column: &str) -> String;
    /// The whole number in a column.
    fn int(column: &str) -> String;
}

impl Reads for AsyncPgConnection {
    const SETTINGS: &'static str = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SET TimeZone = 'UTC'; \
         SET DateStyle = 'ISO, YMD'";
    const OLDER: &'static str = r#"WHERE (t."timestamp", t."id") < (CAST($1 AS TIMESTAMPTZ), $2)"#;
    const OLDER_VARIABLES: [usize; 3] = [0, 1, usize::MAX];

    fn quoted(name: &str) -> String {
        format!(r#""{name}""#)
    }

    fn text(column: &str) -> String {
        format!("convert_to(CAST({column} AS TEXT), 'UTF8')")
    }

    fn int(column: &str) -> String {
        format!("CAST({column} AS BIGINT)")
    }
}

impl Reads for AsyncMysqlConnection {
    const SETTINGS: &'static str = "SET SESSION TRANSACTION READ ONLY";
    // Not a comparison of pairs, for which no index is used.
    const OLDER: &'static str =
        "WHERE t.`timestamp` <= CAST(? AS DATETIME(6)) AND (t.`timestamp` < CAST(? AS DATETIME(6)) OR t.`id` < ?)";
    const OLDER_VARIABLES: [usize; 3] = [0, 0, 1];

    fn quoted(name: &str) -> String {
        format!("`{name}`")
    }

    fn text(column: &str) -> String {
        format!("CAST(CONVERT({column} USING utf8mb4) AS BINARY)")
    }

    fn int(column: &str) -> String {
        format!("CAST({column} AS SIGNED)")
    }
}

impl<C: Reads> ServerSource<C> {
    /// Reads on `connection`, whose session cannot write from now on.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) async fn open(mut connection: C, zone: TimeZone) -> StoreResult<Self> {
        connection.batch_execute(C::SETTINGS).await?;
        let inventory = connection.inventory().await?;
        Ok(Self { connection, inventory, zone })
    }

    /// The statement that reads rows of `R`, with the condition and the order that `tail` says.
    fn select<R: LegacyRow>(&self, tail: &str) -> String {
        let column = |(name, read): &(&str, Read)| {
            // Rows have their order from their ids where they have no other.
            let stored = if *name == "position" { "id" } else { *name };
            let text = format!("t.{}", C::quoted(stored));
            let value = match read {
                _ if !self.inventory.has(R::TABLE, stored) || (*name == "position" && R::TABLE == LegacyLog::TABLE) => {
                    "NULL".to_owned()
                }
                Read::Text => C::text(&text),
                Read::Int => C::int(&text),
            };
            format!("{value} AS {}", C::quoted(name))
        };
        let columns: Vec<String> = R::COLUMNS.iter().map(column).collect();
        format!("SELECT {} FROM {} AS t {tail}", columns.join(", "), C::quoted(R::TABLE))
    }

    /// Gives the times of rows their distance from UTC.
    fn located<R: LegacyRow>(&self, mut rows: Vec<R>) -> Vec<R> {
        if self.zone != TimeZone::UTC {
            for time in rows.iter_mut().flat_map(LegacyRow::times) {
                *time = time.take().map(|text| located(&self.zone, text));
            }
        }
        rows
    }
}

/// `text` with the distance from UTC that `zone` has at that time; of the two times that a clock shows twice, the first.
fn located(zone: &TimeZone, text: String) -> String {
    let Ok(time) = text.parse::<DateTime>() else { return text };
    let Ok(there) = zone.to_ambiguous_zoned(time).compatible() else { return text };
    let Ok(utc) = TimeZone::UTC.to_ambiguous_zoned(time).compatible() else { return text };
    // Not the zone's distance: a time that no clock showed, in spring, is one of before the change.
    let minutes = (utc.timestamp().as_second() - there.timestamp().as_second()) / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{text}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// The time zone of the times in a MySQL database of an older program; `local` is `TZ`, if it is set.
///
/// # Errors
/// `Incompatible` for a zone that this machine does not know.
pub(in crate::store) fn zone(dsn: &MysqlDsn, local: Option<&str>) -> StoreResult<TimeZone> {
    let local = local.map(|zone| zone.trim().trim_start_matches(':')).filter(|zone| !zone.is_empty());
    let name = match dsn.location.as_deref().map(str::trim) {
        None | Some("" | "UTC") => return Ok(TimeZone::UTC),
        Some("Local") => match local {
            Some(name) => name,
            None => return Ok(TimeZone::system()),
        },
        Some(name) => name,
    };
    TimeZone::get(name).map_err(|_| {
        StoreError::Incompatible(format!(
            "{dsn}: the time zone `{}` (`loc`, or TZ for `Local`) is unknown on this machine; times in the older GPT-Load's \
             database cannot be understood without it",
            name.escape_debug()
        ))
    })
}

macro_rules! server_source {
    ($connection:ty, $backend:ty) => {
        impl ServerSource<$connection> {
            /// Rows of `R`; the variables are texts.
            async fn rows<R>(&mut self, tail: &str, variables: &[&str]) -> StoreResult<Vec<R>>
            where
                R: LegacyRow + QueryableByName<$backend> + Send + 'static,
            {
                if !self.inventory.0.contains_key(R::TABLE) {
                    return Ok(Vec::new());
                }
                let mut query = sql_query(self.select::<R>(tail)).into_boxed::<$backend>();
                for variable in variables {
                    query = query.bind::<Text, _>((*variable).to_owned());
                }
                Ok(query.load(&mut self.connection).await?)
            }

            async fn number(&mut self, table: &str, what: &str) -> StoreResult<i64> {
                if !self.inventory.0.contains_key(table) {
                    return Ok(0);
                }
                let sql = format!("SELECT {what} AS number FROM {}", <$connection>::quoted(table));
                Ok(sql_query(sql).get_result::<Count>(&mut self.connection).await?.number)
            }
        }

        #[async_trait]
        impl Source for ServerSource<$connection> {
            fn inventory(&self) -> &Inventory {
                &self.inventory
            }

            async fn count(&mut self, table: &'static str) -> StoreResult<i64> {
                self.number(table, "COUNT(*)").await
            }

            async fn highest(&mut self, table: &'static str) -> StoreResult<i64> {
                let highest = <$connection>::int("COALESCE(MAX(id), 0)");
                Ok(self.number(table, &highest).await?.max(0))
            }

            async fn settings(&mut self) -> StoreResult<Vec<LegacySetting>> {
                self.rows("ORDER BY t.id", &[]).await
            }

            async fn groups(&mut self) -> StoreResult<Vec<LegacyGroup>> {
                let rows = self.rows("ORDER BY t.id", &[]).await?;
                Ok(self.located(rows))
            }

            async fn members(&mut self) -> StoreResult<Vec<LegacyMember>> {
                self.rows("ORDER BY t.id", &[]).await
            }

            async fn keys(&mut self, after: i64, limit: usize) -> StoreResult<Vec<LegacyKey>> {
                let tail = format!("WHERE t.id > {after} ORDER BY t.id LIMIT {}", bound(limit));
                let rows = self.rows(&tail, &[]).await?;
                Ok(self.located(rows))
            }

            async fn hours(&mut self, after: i64, limit: usize) -> StoreResult<Vec<LegacyHour>> {
                let tail = format!("WHERE t.id > {after} ORDER BY t.id LIMIT {}", bound(limit));
                let rows = self.rows(&tail, &[]).await?;
                Ok(self.located(rows))
            }

            async fn logs(&mut self, from: Option<String>, limit: usize) -> StoreResult<Logs> {
                let place: Vec<&str> = from.as_deref().map_or(Vec::new(), |from| from.splitn(2, '\n').collect());
                let variables: Vec<&str> = match place.len() {
                    2 => <$connection>::OLDER_VARIABLES.iter().filter_map(|at| place.get(*at).copied()).collect(),
                    _ => Vec::new(),
                };
                let older = if variables.is_empty() { "" } else { <$connection>::OLDER };
                let order = <$connection>::quoted("timestamp");
                let tail = format!("{older} ORDER BY t.{order} DESC, t.id DESC LIMIT {}", bound(limit));
                let rows: Vec<LegacyLog> = self.rows(&tail, &variables).await?;
                let next =
                    rows.last().and_then(|row| Some(format!("{}\n{}", row.timestamp.as_ref()?, row.id.as_ref()?)));
                Ok(Logs { rows: self.located(rows), next })
            }
        }
    };
}

server_source!(AsyncPgConnection, Pg);
server_source!(AsyncMysqlConnection, Mysql);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dsn::Dsn;

    #[test]
    fn times_without_zone_are_those_of_the_dsn() {
        let zone_of = |query: &str, local: Option<&str>| {
            let Ok(Dsn::Mysql(dsn)) = format!("u:hunter2@tcp(h)/d?{query}").parse() else { panic!("a MySQL DSN") };
            zone(&dsn, local)
        };
        for (query, local, text) in [
            ("", None, "2026-07-01 20:00:00.500+00:00"),
            ("loc=UTC", Some("Asia/Shanghai"), "2026-07-01 20:00:00.500+00:00"),
            ("loc=Asia%2FShanghai", None, "2026-07-01 20:00:00.500+08:00"),
            ("loc=Local", Some("America/St_Johns"), "2026-07-01 20:00:00.500-02:30"),
            ("loc=Europe%2FBerlin", None, "2026-07-01 20:00:00.500+02:00"),
        ] {
            let zone = zone_of(query, local).expect(query);
            assert_eq!(located(&zone, "2026-07-01 20:00:00.500".to_owned()), text, "{query}");
        }
        let berlin = zone_of("loc=Europe%2FBerlin", None).expect("known");
        for (stored, expected) in [
            ("2026-10-25 02:30:00.000", "2026-10-25 02:30:00.000+02:00"),
            ("2026-03-29 02:30:00.000", "2026-03-29 02:30:00.000+01:00"),
            ("0000-00-00 00:00:00.000", "0000-00-00 00:00:00.000"),
        ] {
            assert_eq!(located(&berlin, stored.to_owned()), expected);
        }
        let refused = zone_of("loc=Mars%2FOlympus", None).expect_err("unknown").to_string();
        assert!(refused.contains("`Mars/Olympus`") && !refused.contains("hunter2"), "{refused}");
    }
}
