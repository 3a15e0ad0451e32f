//! Databases on servers, taken over in place.
//!
//! What differs between servers is a [`House`]; the copy itself is the same as everywhere.

mod mysql;
mod postgres;
mod tables;

use std::sync::Arc;

use jiff::tz::TimeZone;

use self::tables::Tables;
use super::{
    ASIDE, Options, Watch, check,
    copy::Copying,
    in_place::{NAME, changed_meanwhile, finish},
    progress::{Progress, Stage},
    source_server::Reads,
    target::{PROGRESS, STAGED, Staged, Target, progress_rows},
};
use crate::{
    crypto::envelope::Derivation,
    secret::Secret,
    store::{
        StoreError, StoreResult,
        dialect::{Clash, Dialect, Rows},
        migrate::MIGRATIONS,
        pool::{Server, blocking, connect},
        unlock::{self, KeyRow, Opened},
    },
    takeover::{
        Report,
        cipher::LegacyCipher,
        source::{LEGACY_TABLES, Source},
    },
    time::Timestamp,
};

/// A server's way of changing tables as a whole.
pub(in crate::store) trait House: Reads + Dialect + Send {
    /// The tables of this program.
    fn tables() -> Tables;

    /// The connection, to read what the old program stored; `zone` is that of times that do not tell their own.
    async fn source(self, zone: TimeZone) -> StoreResult<Box<dyn Source>>;

    /// The connection, to fill tables with.
    fn staged(self) -> Staged;

    /// The texts that a query answers in its column `text`.
    async fn texts(&mut self, sql: String) -> StoreResult<Vec<String>>;

    /// The keys of encryption at rest that were stored beside the old tables.
    async fn staged_keys(&mut self) -> StoreResult<Vec<KeyRow>>;

    /// Inserts rows, all or none.
    async fn insert_all(&mut self, rows: Vec<Rows>) -> StoreResult<()>;

    /// Drops these tables, whatever refers to them.
    async fn drop_tables(&mut self, tables: &[String]) -> StoreResult<()>;

    /// Sets the old tables `aside` and puts the filled ones in their places, all or nothing, with the progress that says
    /// so. `None` when keys or groups came or went since they were read; nothing was changed then.
    async fn forth(&mut self, tables: &Tables, progress: Progress) -> StoreResult<Option<Progress>>;

    /// Drops those tables of this program that are in `ours` and gives the old ones their names back, all or nothing.
    async fn back(&mut self, ours: &[String], progress: &Progress) -> StoreResult<()>;
}

/// Copies the tables of the old program and puts the copies in their places; answers what was done, and the keys of the
/// database. The turn to change tables is the caller's.
pub(in crate::store) async fn take_over<S: Server<Connection: House>>(
    server: &S,
    zone: TimeZone,
    passphrase: Option<Secret>,
    fresh: Derivation,
    options: Options,
    watch: &mut Watch,
) -> StoreResult<(Report, Opened)> {
    let passphrase = passphrase.filter(|passphrase| !passphrase.expose().is_empty());
    let derived = passphrase.clone();
    let cipher = Arc::new(blocking(move || Ok(LegacyCipher::new(derived.as_ref()))).await?);
    let mut source = connect(server).await?.source(zone).await?;
    check::passphrase(&mut *source, &cipher, options, watch).await?;

    let tables = S::Connection::tables();
    let mut connection = connect(server).await?;
    let (opened, progress) =
        begin(&mut connection, &tables, passphrase, fresh, source.inventory().generation()).await?;
    let mut target = Target::Staged { connection: connection.staged(), vault: Arc::clone(&opened.vault) };
    let mut copying =
        Copying { source: &mut *source, target: &mut target, name: NAME, cipher, options, progress, watch };
    copying.run().await?;
    let progress = finish(copying).await?;
    drop((source, target));

    let mut connection = connect(server).await?;
    match connection.forth(&tables, progress).await? {
        Some(progress) => Ok((progress.report, opened)),
        None => {
            drop_staged(&mut connection, &tables).await?;
            Err(changed_meanwhile())
        }
    }
}

/// The copy that was begun before, or a fresh one.
async fn begin<C: House>(
    connection: &mut C,
    tables: &Tables,
    passphrase: Option<Secret>,
    fresh: Derivation,
    generation: &str,
) -> StoreResult<(Opened, Progress)> {
    if let Some(progress) = resumable(connection, tables).await? {
        let keys = connection.staged_keys().await?;
        let opened = blocking(move || unlock::open(&keys, passphrase.as_ref())).await?;
        return Ok((opened, progress));
    }
    drop_staged(connection, tables).await?;
    let now = Timestamp::now();
    let made = blocking(move || Ok(unlock::make(passphrase.as_ref(), &fresh, now))).await?;
    for statements in &tables.statements {
        connection.batch_execute(statements).await?;
    }
    let progress = Progress::begin(now, generation);
    let keys = Rows {
        table: format!("{STAGED}encryption_keys"),
        columns: unlock::COLUMNS,
        rows: made.rows().into_iter().map(KeyRow::cells).collect(),
        clash: Clash::Fail,
    };
    // From here on there is something to go on with.
    connection.insert_all(vec![keys, progress_rows(format!("{STAGED}{PROGRESS}"), NAME, &progress)?]).await?;
    Ok((made, progress))
}

/// How far a copy into tables of this version is.
async fn resumable<C: House>(connection: &mut C, tables: &Tables) -> StoreResult<Option<Progress>> {
    let present = connection.inventory().await?.0;
    let list = format!("{STAGED}{MIGRATIONS}");
    if !tables.names.iter().all(|name| present.contains_key(&format!("{STAGED}{name}"))) {
        return Ok(None);
    }
    let versions = connection.texts(format!("SELECT version AS text FROM {list} ORDER BY version")).await?;
    if versions != tables.versions {
        return Ok(None);
    }
    stored_progress(connection, &format!("{STAGED}{PROGRESS}")).await
}

/// Drops what an earlier attempt, or another version of this program, began to fill.
async fn drop_staged<C: House>(connection: &mut C, tables: &Tables) -> StoreResult<()> {
    let present = connection.inventory().await?.0;
    let ours = |table: &&String| {
        [STAGED, mysql::UNDONE]
            .iter()
            .any(|prefix| table.strip_prefix(prefix).is_some_and(|name| tables.names.contains(name)))
    };
    let left: Vec<String> = present.keys().filter(ours).cloned().collect();
    if left.is_empty() { Ok(()) } else { connection.drop_tables(&left).await }
}

/// The progress of a take-over in place.
async fn stored_progress<C: House>(connection: &mut C, table: &str) -> StoreResult<Option<Progress>> {
    let texts = connection.texts(format!("SELECT progress AS text FROM {table} WHERE source = '{NAME}'")).await?;
    let read = |text: &String| serde_json::from_str(text).map_err(|error| StoreError::damaged("progress", error));
    texts.first().map(read).transpose()
}

/// The progress of a take-over in place that was made of this database.
pub(super) async fn finished<C: House>(connection: &mut C) -> StoreResult<Option<Progress>> {
    if connection.inventory().await?.0.contains_key(PROGRESS) {
        stored_progress(connection, PROGRESS).await
    } else {
        Ok(None)
    }
}

/// Gives the tables of the older program their names back and drops those of this one.
///
/// # Errors
/// `Incompatible` when an old table is gone; nothing was changed then.
pub(super) async fn undo<C: House>(connection: &mut C, progress: &Progress) -> StoreResult<()> {
    let present = connection.inventory().await?.0;
    super::all_aside(progress, |table| present.contains_key(&format!("{ASIDE}{table}")))?;
    let ours: Vec<String> = C::tables().names.into_iter().filter(|table| present.contains_key(table)).collect();
    connection.back(&ours, progress).await
}

/// Drops the tables of the older program; answers their names.
pub(super) async fn drop_aside<C: House>(connection: &mut C, mut progress: Progress) -> StoreResult<Vec<String>> {
    let present = connection.inventory().await?.0;
    let tables: Vec<String> = progress.aside.iter().map(|table| format!("{ASIDE}{table}")).collect();
    let tables: Vec<String> = tables.into_iter().filter(|table| present.contains_key(table)).collect();
    if !tables.is_empty() {
        connection.drop_tables(&tables).await?;
    }
    progress.aside.clear();
    progress.renamed.clear();
    connection.insert_all(vec![progress_rows(PROGRESS.to_owned(), NAME, &progress)?]).await?;
    Ok(tables)
}

/// Names in their quotes, for a list.
fn list<C: Reads>(names: &[String]) -> String {
    names.iter().map(|name| C::quoted(name)).collect::<Vec<_>>().join(", ")
}

/// The tables that make room: those of the old program, and whatever else has the name of one of this program's.
fn to_set_aside(present: &crate::takeover::source::Inventory, tables: &Tables) -> Vec<String> {
    let moves = |table: &&String| tables.names.contains(*table) || LEGACY_TABLES.contains(&table.as_str());
    present.0.keys().filter(moves).cloned().collect()
}

/// Whether the old tables hold as many keys and groups as were read.
async fn is_unchanged<C: House>(connection: &mut C, progress: &Progress) -> StoreResult<bool> {
    let mut counts = Vec::new();
    for table in ["api_keys", "groups"] {
        let sql = format!("SELECT CAST(COUNT(*) AS CHAR(20)) AS text FROM {}", C::quoted(table));
        let texts = connection.texts(sql).await?;
        counts.push(texts.first().and_then(|text| text.trim().parse::<i64>().ok()));
    }
    Ok(counts == [Some(progress.report.keys.read), Some(progress.report.groups_read)])
}

/// What is known from the moment on at which names change.
fn done(progress: &mut Progress, aside: Vec<String>) {
    progress.aside = aside;
    progress.stage = Stage::Done;
    progress.finished_at = Some(Timestamp::now());
}
