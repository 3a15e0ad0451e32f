//! Databases of older GPT-Load programs, taken over.
//!
//! *In place* ([`in_place`]): the node finds tables of an older program in its own database. It copies the file, fills
//! `new_*` tables beside the old ones ([`copy`]), checks them ([`check`]) and changes names in one transaction
//! ([`swap`]): the old tables are `legacy_*` from then on, and [`Store::undo_take_over`] changes the names back.
//! *Import* ([`import`]): another installation's database is copied into the tables in use.
//!
//! Both are the same copy from a [`crate::takeover::source::Source`] to a [`target::Target`], in batches, each one
//! transaction together with the progress it makes.

mod backup;
mod check;
mod copy;
mod import;
mod in_place;
mod progress;
mod source_sqlite;
mod staging;
mod swap;
mod target;

#[cfg(test)]
mod tests;

pub(super) use self::source_sqlite::inventory;

use std::path::Path;

use self::{backup::Backup, in_place::take_over, progress::Progress, staging::Template};
use super::{
    Store, StoreError, StoreResult, Writer,
    dsn::{Dsn, DsnError},
    migrate::{self, Found},
    pool::{self, StoreRuntime, blocking},
    unlock::Opened,
};
use crate::{crypto::envelope::Derivation, secret::Secret, takeover::Report, time::Timestamp};

/// How to take over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Leaves keys out that the passphrase does not open, as long as it opens others. Otherwise one such key stops the
    /// take-over before anything is changed.
    pub leave_unreadable: bool,
}

/// How far a take-over is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What is under way, in a word or two.
    pub stage: &'static str,
    /// Rows done of it.
    pub done: i64,
    /// Rows that it has.
    pub total: i64,
}

/// Is told how far a take-over is.
pub type Watch = Box<dyn FnMut(Moment) + Send>;

/// A take-over that was made.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What it found and did.
    pub report: Report,
    /// The copy of the file, made before anything was changed.
    pub backup: Option<String>,
    /// When it was made.
    pub at: Timestamp,
}

impl Store {
    /// Takes over the database of an older program in place, without opening it for use afterwards. `None` when it is no
    /// database of an older program; [`Store::taken_over`] says whether it was one before.
    ///
    /// # Errors
    /// As [`Store::open`]. After an error the old tables are what they were.
    pub async fn take_over(
        dsn: &str,
        passphrase: Option<&Secret>,
        options: Options,
        mut watch: Watch,
    ) -> StoreResult<Option<Report>> {
        let path = sqlite_path(dsn)?;
        let passphrase = passphrase.cloned();
        let runtime = StoreRuntime::start()?;
        runtime
            .run(async move {
                let inspected = path.clone();
                let found = blocking(move || existing(&inspected)).await?;
                if found != Found::Legacy {
                    return Ok(None);
                }
                let (report, _) = take_over(&path, passphrase, Derivation::fresh(), options, &mut watch).await?;
                Ok(Some(report))
            })
            .await
    }

    /// The take-over that made this database what it is; `None` when it was made otherwise.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn taken_over(dsn: &str) -> StoreResult<Option<Taken>> {
        let path = sqlite_path(dsn)?;
        let runtime = StoreRuntime::start()?;
        let progress = runtime.run(async move { blocking(move || finished(&path)).await }).await?;
        Ok(progress.map(|progress| Taken {
            at: progress.finished_at.unwrap_or(progress.started_at),
            report: progress.report,
            backup: progress.backup,
        }))
    }

    /// Gives the tables of the older program their names back and drops those of this one, after copying the file; answers
    /// the path of the copy. The database must not be in use.
    ///
    /// # Errors
    /// `Incompatible` when the database was not taken over, or its old tables are gone; nothing was changed then.
    pub async fn undo_take_over(dsn: &str) -> StoreResult<String> {
        let path = sqlite_path(dsn)?;
        let runtime = StoreRuntime::start()?;
        runtime
            .run(async move {
                blocking(move || {
                    let progress = finished(&path)?.ok_or_else(|| {
                        StoreError::Incompatible(format!(
                            "{path} was not taken over from an older GPT-Load. Nothing was changed."
                        ))
                    })?;
                    let copy = Backup::make(&path, "before-rollback")?;
                    copy.settle()?;
                    swap::back(&path, &Template::new()?, &progress)?;
                    Ok(copy.path)
                })
                .await
            })
            .await
    }
}

impl Writer {
    /// Copies groups, keys, settings, statistics and the recent request log of an older program's database into this one.
    /// Killed, it goes on where it was; made once more, it brings what came since. Nothing is written to `from`.
    ///
    /// A group of the same name, channel and type gets the keys; settings that are set here stay.
    ///
    /// # Errors
    /// `Incompatible` when `from` names no database of an older program; `Encryption` when `passphrase` does not open its
    /// keys; both before anything is changed.
    pub async fn import(
        &self,
        from: &str,
        passphrase: Option<Secret>,
        options: Options,
        mut watch: Watch,
    ) -> StoreResult<Report> {
        let from: Dsn = from.parse().map_err(|error: DsnError| StoreError::Incompatible(error.to_string()))?;
        let writer = self.clone();
        self.engine.run(async move { import::import(writer, &from, passphrase, options, &mut watch).await }).await
    }
}

/// [`take_over`] with everything said on the log, a few lines for each stage and the report; answers the database's
/// keys.
pub(super) async fn take_over_loudly(path: &str, passphrase: Option<Secret>, fresh: Derivation) -> StoreResult<Opened> {
    let mut said = ("", -1);
    let mut watch: Watch = Box::new(move |moment: Moment| {
        let tenth = if moment.total == 0 { 10 } else { moment.done * 10 / moment.total };
        if said != (moment.stage, tenth) {
            said = (moment.stage, tenth);
            tracing::info!(stage = moment.stage, done = moment.done, total = moment.total, "taking over");
        }
    });
    let (report, opened) = take_over(path, passphrase, fresh, Options::default(), &mut watch).await?;
    tracing::info!("the database of an older GPT-Load was taken over; its tables are there as legacy_*");
    for line in report.to_string().lines() {
        tracing::info!("{line}");
    }
    Ok(opened)
}

fn sqlite_path(dsn: &str) -> StoreResult<String> {
    let dsn: Dsn = dsn.parse().map_err(|error: DsnError| StoreError::Incompatible(error.to_string()))?;
    match dsn {
        Dsn::Sqlite(path) => pool::path_text(&path),
        other => Err(StoreError::Incompatible(format!(
            "DATABASE_DSN names {other}, but only SQLite databases can be taken over yet"
        ))),
    }
}

fn existing(path: &str) -> StoreResult<Found> {
    if !Path::new(path).is_file() {
        return Err(StoreError::Unavailable(format!("there is no file {path}")));
    }
    migrate::inspect_sqlite(path)
}

/// The progress of a take-over in place that was made.
fn finished(path: &str) -> StoreResult<Option<Progress>> {
    if existing(path)? != Found::Ours {
        return Ok(None);
    }
    let mut connection = source_sqlite::open_read_only(path)?;
    if !inventory(&mut connection)?.0.contains_key("takeovers") {
        return Ok(None);
    }
    staging::stored_progress(&mut connection, "takeovers", in_place::NAME)
}
