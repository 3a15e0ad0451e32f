//! Databases of older GPT-Load programs, taken over.
//!
//! *In place* ([`in_place`] for files, [`server`] for servers): the node finds tables of an older program in its own
//! database. It copies a file, fills `new_*` tables beside the old ones ([`copy`]), checks them ([`check`]) and changes
//! names at once ([`swap`]): the old tables are `legacy_*` from then on. [`Store::undo_take_over`] changes the names back,
//! [`Store::drop_taken_over`] drops them.
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
mod server;
mod source_server;
mod source_sqlite;
mod staging;
mod swap;
mod target;

pub(super) use self::{server::House, source_server::zone, source_sqlite::inventory};

use std::path::Path;

use jiff::tz::TimeZone;

use self::{backup::Backup, progress::Progress, staging::Template};
use super::{
    Place, Store, StoreError, StoreResult, Writer,
    dsn::Dsn,
    migrate::{self, Found, Migrated},
    open::Parsed,
    pool::{Mysql, Postgres, Server, StoreRuntime, blocking, connect, path_text},
    unlock::Opened,
};
use crate::{crypto::envelope::Derivation, secret::Secret, takeover::Report, time::Timestamp};

/// The beginning of the names of old tables that were set aside.
const ASIDE: &str = "legacy_";

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
    /// The copy of the file, made before anything was changed; servers have none.
    pub backup: Option<String>,
    /// Whether the tables of the older program are still there.
    pub old_tables: bool,
    /// When it was made.
    pub at: Timestamp,
}

/// Does the same on a database of any kind: `$file` with its path, `$server` with a server and the zone of its times.
macro_rules! anywhere {
    ($place:expr, |$path:ident| $file:expr, |$server:ident, $zone:ident| $on_server:expr) => {{
        let place: Parsed = $place;
        StoreRuntime::start()?
            .run(async move {
                match place.dsn {
                    Dsn::Sqlite(path) => {
                        let $path = path_text(&path)?;
                        $file
                    }
                    Dsn::Postgres(dsn) => {
                        let ($server, $zone) = (Postgres::new(&dsn, place.roots)?, TimeZone::UTC);
                        $on_server
                    }
                    Dsn::Mysql(dsn) => {
                        let $zone = zone(&dsn, place.time_zone.as_deref())?;
                        let $server = Mysql::new(&dsn, &place.roots)?;
                        $on_server
                    }
                }
            })
            .await
    }};
}

impl Store {
    /// Takes over the database of an older program in place, without opening it for use afterwards. `None` when it is no
    /// database of an older program; [`Store::taken_over`] says whether it was one before.
    ///
    /// # Errors
    /// As [`Store::open`]. After an error the old tables are what they were.
    pub async fn take_over(
        place: impl Into<Place<'_>>,
        passphrase: Option<&Secret>,
        options: Options,
        mut watch: Watch,
    ) -> StoreResult<Option<Report>> {
        let passphrase = passphrase.cloned();
        let fresh = Derivation::fresh();
        anywhere!(
            place.into().try_into()?,
            |path| {
                let inspected = path.clone();
                let found = blocking(move || existing(&inspected)).await?;
                if found != Found::Legacy {
                    return Ok(None);
                }
                let (report, _) = in_place::take_over(&path, passphrase, fresh, options, &mut watch).await?;
                Ok(Some(report))
            },
            |server, zone| {
                let mut turn = Migrated::turn(connect(&server).await?).await?;
                if turn.found(server.place()).await? != Found::Legacy {
                    return Ok(None);
                }
                let (report, _) =
                    Box::pin(server::take_over(&server, zone, passphrase, fresh, options, &mut watch)).await?;
                turn.end().await?;
                Ok(Some(report))
            }
        )
    }

    /// The take-over that made this database what it is; `None` when it was made otherwise.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn taken_over(place: impl Into<Place<'_>>) -> StoreResult<Option<Taken>> {
        let progress =
            anywhere!(place.into().try_into()?, |path| blocking(move || finished(&path)).await, |server, _zone| {
                server::finished(&mut connect(&server).await?).await
            })?;
        Ok(progress.map(|progress| Taken {
            at: progress.finished_at.unwrap_or(progress.started_at),
            report: progress.report,
            backup: progress.backup,
            old_tables: !progress.aside.is_empty(),
        }))
    }

    /// Gives the tables of the older program their names back and drops those of this one. The database must not be in use.
    /// A file is copied before; answers the path of the copy.
    ///
    /// # Errors
    /// `Incompatible` when the database was not taken over, or its old tables are gone; nothing was changed then.
    pub async fn undo_take_over(place: impl Into<Place<'_>>) -> StoreResult<Option<String>> {
        anywhere!(
            place.into().try_into()?,
            |path| {
                blocking(move || {
                    let progress = finished(&path)?.ok_or_else(|| not_taken_over(&path))?;
                    all_aside(&progress, |_| true)?;
                    let copy = Backup::make(&path, "before-rollback")?;
                    copy.settle()?;
                    swap::back(&path, &Template::new()?, &progress)?;
                    Ok(Some(copy.path))
                })
                .await
            },
            |server, _zone| {
                let turn = Migrated::turn(connect(&server).await?).await?;
                let mut connection = connect(&server).await?;
                let progress = server::finished(&mut connection).await?;
                let progress = progress.ok_or_else(|| not_taken_over(server.place()))?;
                server::undo(&mut connection, &progress).await?;
                turn.end().await?;
                Ok(None)
            }
        )
    }

    /// Drops the tables of the older program, which a take-over left as `legacy_*`; answers their names. The take-over
    /// cannot be undone from then on.
    ///
    /// # Errors
    /// `Incompatible` when the database was not taken over; nothing was changed then.
    pub async fn drop_taken_over(place: impl Into<Place<'_>>) -> StoreResult<Vec<String>> {
        anywhere!(
            place.into().try_into()?,
            |path| {
                blocking(move || {
                    let progress = finished(&path)?.ok_or_else(|| not_taken_over(&path))?;
                    swap::drop_aside(&path, in_place::NAME, progress)
                })
                .await
            },
            |server, _zone| {
                let turn = Migrated::turn(connect(&server).await?).await?;
                let mut connection = connect(&server).await?;
                let progress = server::finished(&mut connection).await?;
                let progress = progress.ok_or_else(|| not_taken_over(server.place()))?;
                let dropped = server::drop_aside(&mut connection, progress).await?;
                turn.end().await?;
                Ok(dropped)
            }
        )
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
        from: impl Into<Place<'_>>,
        passphrase: Option<Secret>,
        options: Options,
        mut watch: Watch,
    ) -> StoreResult<Report> {
        let from: Parsed = from.into().try_into()?;
        let writer = self.clone();
        let import = Box::pin(async move { import::import(writer, from, passphrase, options, &mut watch).await });
        self.engine.run(import).await
    }
}

/// Takes over the database in the file at `path`, with everything said on the log; answers the database's keys.
pub(super) async fn file_loudly(path: &str, passphrase: Option<Secret>, fresh: Derivation) -> StoreResult<Opened> {
    let (report, opened) = in_place::take_over(path, passphrase, fresh, Options::default(), &mut loud()).await?;
    say(&report);
    Ok(opened)
}

/// Takes over the database on `server`, as [`file_loudly`] does; the turn to change tables is the caller's.
pub(super) async fn server_loudly<S: Server<Connection: House>>(
    server: &S,
    zone: TimeZone,
    passphrase: Option<Secret>,
    fresh: Derivation,
) -> StoreResult<Opened> {
    let (report, opened) = server::take_over(server, zone, passphrase, fresh, Options::default(), &mut loud()).await?;
    say(&report);
    Ok(opened)
}

/// Says on the log how far a take-over is, a few lines for each stage.
fn loud() -> Watch {
    let mut said = ("", -1);
    Box::new(move |moment: Moment| {
        let tenth = if moment.total == 0 { 10 } else { moment.done * 10 / moment.total };
        if said != (moment.stage, tenth) {
            said = (moment.stage, tenth);
            tracing::info!(stage = moment.stage, done = moment.done, total = moment.total, "taking over");
        }
    })
}

fn say(report: &Report) {
    tracing::info!("the database of an older GPT-Load was taken over; its tables are there as legacy_*");
    for line in report.to_string().lines() {
        tracing::info!("{line}");
    }
}

fn not_taken_over(place: &str) -> StoreError {
    StoreError::Incompatible(format!("{place} was not taken over from an older GPT-Load. Nothing was changed."))
}

/// # Errors
/// `Incompatible` when an old table is gone.
fn all_aside(progress: &Progress, is_there: impl Fn(&str) -> bool) -> StoreResult<()> {
    const NOTHING: &str = "so the take-over cannot be undone. Nothing was changed.";
    if progress.aside.is_empty() {
        return Err(StoreError::Incompatible(format!("the tables of the older GPT-Load were dropped, {NOTHING}")));
    }
    match progress.aside.iter().find(|table| !is_there(table)) {
        Some(gone) => Err(StoreError::Incompatible(format!("the table {ASIDE}{gone} is gone, {NOTHING}"))),
        None => Ok(()),
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

// Here, so that it sees the macro.
#[cfg(test)]
mod tests;
