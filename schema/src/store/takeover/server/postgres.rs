//! PostgreSQL: statements that change tables are part of a transaction like all others.

use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use jiff::tz::TimeZone;

use super::{ASIDE, House, NAME, PROGRESS, Tables, done, is_unchanged, list, to_set_aside};
use crate::{
    store::{
        StoreResult,
        dialect::{Dialect, Rows},
        migrate::ServerSchema,
        takeover::{
            progress::Progress,
            source_server::ServerSource,
            target::{STAGED, Staged, progress_rows},
        },
        unlock::KeyRow,
    },
    takeover::source::Source,
};

/// Bytes of a name, at most.
const NAME_BYTES: usize = 63;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

impl House for AsyncPgConnection {
    fn tables() -> Tables {
        Tables::postgres()
    }

    async fn source(self, zone: TimeZone) -> StoreResult<Box<dyn Source>> {
        Ok(Box::new(ServerSource::open(self, zone).await?))
    }

    fn staged(self) -> Staged {
        Staged::Postgres(Box::new(self))
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
        Ok(self.batch_execute(&format!("DROP TABLE {} CASCADE", list::<Self>(tables))).await?)
    }

    async fn forth(&mut self, tables: &Tables, mut progress: Progress) -> StoreResult<Option<Progress>> {
        self.transaction(async |conn| -> StoreResult<Option<Progress>> {
            let aside = to_set_aside(&conn.inventory().await?, tables);
            conn.batch_execute(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", list::<Self>(&aside))).await?;
            if !is_unchanged(conn, &progress).await? {
                return Ok(None);
            }
            // Names of indexes belong to the schema: those of the old tables are needed for the new ones.
            let renamed: Vec<(String, String)> = conn
                .texts(indexes("c.relname::text", &aside))
                .await?
                .into_iter()
                .map(|name| (name.clone(), format!("{ASIDE}{name}")))
                .filter(|(_, aside)| aside.len() <= NAME_BYTES)
                .collect();
            for (name, aside) in &renamed {
                conn.batch_execute(&rename("INDEX", name, aside)).await?;
            }
            for table in &aside {
                conn.batch_execute(&rename("TABLE", table, &format!("{ASIDE}{table}"))).await?;
            }
            let ours: Vec<String> = tables.names.iter().cloned().collect();
            for table in &ours {
                conn.batch_execute(&rename("TABLE", &format!("{STAGED}{table}"), table)).await?;
            }
            let skip = STAGED.len() + 1;
            let renames = format!("format('ALTER INDEX %I RENAME TO %I', c.relname, substr(c.relname, {skip}))");
            let renames = format!("{} AND starts_with(c.relname, '{STAGED}')", indexes(&renames, &ours));
            for statement in conn.texts(renames).await? {
                conn.batch_execute(&statement).await?;
            }
            // The constraints that have no index; the others were renamed with theirs.
            let renames = format!(
                "SELECT format('ALTER TABLE %I RENAME CONSTRAINT %I TO %I', t.relname, k.conname, substr(k.conname, {skip})) \
                 AS text FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid \
                 JOIN pg_namespace n ON n.oid = t.relnamespace \
                 WHERE n.nspname = current_schema() AND t.relname IN ({}) AND starts_with(k.conname, '{STAGED}')",
                texts(&ours)
            );
            for statement in conn.texts(renames).await? {
                conn.batch_execute(&statement).await?;
            }
            done(&mut progress, aside);
            progress.renamed = renamed;
            conn.insert_rows(progress_rows(PROGRESS.to_owned(), NAME, &progress)?).await?;
            Ok(Some(progress))
        })
        .await
    }

    async fn back(&mut self, ours: &[String], progress: &Progress) -> StoreResult<()> {
        self.transaction(async |conn| -> StoreResult<()> {
            conn.batch_execute(&format!("DROP TABLE {}", list::<Self>(ours))).await?;
            for table in &progress.aside {
                conn.batch_execute(&rename("TABLE", &format!("{ASIDE}{table}"), table)).await?;
            }
            let present = conn.texts(indexes("c.relname::text", &progress.aside)).await?;
            for (name, aside) in progress.renamed.iter().filter(|(_, aside)| present.contains(aside)) {
                conn.batch_execute(&rename("INDEX", aside, name)).await?;
            }
            Ok(())
        })
        .await
    }
}

fn rename(kind: &str, from: &str, to: &str) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    format!("ALTER {kind} {} RENAME TO {}", quoted(from), quoted(to))
}

/// The query for `what` of the indexes `c` of these tables.
fn indexes(what: &str, tables: &[String]) -> String {
    format!(
        "SELECT {what} AS text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
         JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = current_schema() AND t.relname IN ({})",
        texts(tables)
    )
}

/// Names as texts, for a list.
fn texts(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",")
}
