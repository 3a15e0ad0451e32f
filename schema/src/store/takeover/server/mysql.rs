//! MySQL and MariaDB: each statement that changes tables is a transaction of its own, so names change in a single one.

use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::{AsyncConnection, AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use jiff::tz::TimeZone;

use super::{ASIDE, House, NAME, PROGRESS, Tables, done, is_unchanged, list, to_set_aside};
use crate::{
    store::{
        StoreResult,
        dialect::{Dialect, Rows},
        migrate::ServerSchema,
        takeover::{
            progress::Progress,
            source_server::{Reads, ServerSource},
            target::{STAGED, Staged, progress_rows},
        },
        unlock::KeyRow,
    },
    takeover::source::Source,
};

/// The beginning of the names of tables that were given up, for the moment until they are dropped.
pub(super) const UNDONE: &str = "undone_";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

impl House for AsyncMysqlConnection {
    fn tables() -> Tables {
        Tables::mysql()
    }

    async fn source(self, zone: TimeZone) -> StoreResult<Box<dyn Source>> {
        Ok(Box::new(ServerSource::open(self, zone).await?))
    }

    fn staged(self) -> Staged {
        Staged::Mysql(self)
    }

    async fn texts(&mut self, sql: String) -> StoreResult<Vec<String>> {
        let rows: Vec<Row> = sql_query(sql).load(self).await?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }

    async fn staged_keys(&mut self) -> StoreResult<Vec<KeyRow>> {
        Ok(sql_query(format!("SELECT * FROM {STAGED}encryption_keys ORDER BY id")).load(self).await?)
    }

    async fn insert_all(&mut self, rows: Vec<Rows>) -> StoreResult<()> {
        self.transaction(async |conn| -> StoreResult<()> {
            for rows in rows {
                conn.insert_rows(rows).await?;
            }
            Ok(())
        })
        .await
    }

    async fn drop_tables(&mut self, tables: &[String]) -> StoreResult<()> {
        let drop = format!("DROP TABLE IF EXISTS {}", list::<Self>(tables));
        self.batch_execute("SET SESSION foreign_key_checks = 0").await?;
        let dropped = self.batch_execute(&drop).await;
        self.batch_execute("SET SESSION foreign_key_checks = 1").await?;
        Ok(dropped?)
    }

    async fn forth(&mut self, tables: &Tables, mut progress: Progress) -> StoreResult<Option<Progress>> {
        let aside = to_set_aside(&self.inventory().await?, tables);
        if !is_unchanged(self, &progress).await? {
            return Ok(None);
        }
        let mut names: Vec<(String, String)> =
            aside.iter().map(|table| (table.clone(), format!("{ASIDE}{table}"))).collect();
        names.extend(tables.names.iter().map(|table| (format!("{STAGED}{table}"), table.clone())));
        // Said before, since it cannot be said at once with the change; nobody reads it under the present names, except
        // whoever takes over after this died, and checks everything again.
        done(&mut progress, aside);
        self.insert_all(vec![progress_rows(format!("{STAGED}{PROGRESS}"), NAME, &progress)?]).await?;
        self.batch_execute(&rename(&names)).await?;
        Ok(Some(progress))
    }

    async fn back(&mut self, ours: &[String], progress: &Progress) -> StoreResult<()> {
        let undone: Vec<String> = ours.iter().map(|table| format!("{UNDONE}{table}")).collect();
        let mut names: Vec<(String, String)> = ours.iter().cloned().zip(undone.iter().cloned()).collect();
        names.extend(progress.aside.iter().map(|table| (format!("{ASIDE}{table}"), table.clone())));
        self.batch_execute(&rename(&names)).await?;
        self.drop_tables(&undone).await
    }
}

/// The statement that changes all these names at once.
fn rename(names: &[(String, String)]) -> String {
    let quoted = AsyncMysqlConnection::quoted;
    let changes = names.iter().map(|(from, to)| format!("{} TO {}", quoted(from), quoted(to)));
    format!("RENAME TABLE {}", changes.collect::<Vec<_>>().join(", "))
}
