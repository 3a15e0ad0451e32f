//! `gpt-load takeover`: the database of an older GPT-Load, taken over or given back.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::Path,
};

use gpt_load_schema::{
    store::{Claim, Dsn, Moment, Place, Store, StoreError, TakeoverOptions, Watch},
    takeover::Report as Taken,
};
use serde_json::json;

use super::{
    args::TakeoverArgs,
    exit::{CliError, Exit},
    progress::Progress,
    report::Report,
};
use crate::config::{Config, process_environment};

/// Takes the configured database over, says that this was done before, undoes it, or drops what it left.
///
/// # Errors
/// When nothing could be done; the database is then what it was.
pub(super) async fn run(args: &TakeoverArgs, quiet: bool) -> Result<Report, CliError> {
    let config = configuration()?;
    let place = config.database();
    let _claim = Claim::of(place, &config.node_name).await.map_err(failed)?;
    if args.rollback {
        return roll_back(place, args.yes).await;
    }
    if args.drop_legacy {
        return drop_legacy(place, args.yes).await;
    }
    let options = TakeoverOptions { leave_unreadable: args.leave_unreadable };
    let taking = Store::take_over(place, config.encryption_key.as_ref(), options, watch(quiet));
    if let Some(taken) = taking.await.map_err(failed)? {
        return Ok(summary("the database was taken over; its old tables are there as legacy_*", &taken));
    }
    match Store::taken_over(place).await.map_err(failed)? {
        Some(before) => {
            let left =
                if before.old_tables { "its old tables are there as legacy_*" } else { "its old tables were dropped" };
            let head = format!("the database was taken over before, at {}; {left}", before.at.to_rfc3339());
            Ok(summary(&head, &before.report))
        }
        None => {
            Ok(Report::success("the database is one of this program: nothing to take over", json!({"report": null})))
        }
    }
}

async fn roll_back(place: Place<'_>, yes: bool) -> Result<Report, CliError> {
    let taken = Store::taken_over(place).await.map_err(failed)?;
    // A file is copied, and what cannot be undone is refused anyway.
    let loses = matches!(place.dsn.parse::<Dsn>(), Ok(Dsn::Postgres(_) | Dsn::Mysql(_)));
    if loses && !yes && taken.is_some_and(|taken| taken.old_tables) {
        confirm(
            "a take-over cannot be rolled back on a server",
            "The tables of this program will be dropped, with all that was stored since the take-over",
        )?;
    }
    let copy = Store::undo_take_over(place).await.map_err(failed)?;
    let kept =
        copy.as_ref().map_or(String::new(), |copy| format!("what was in the database before this is in {copy}\n"));
    let text = format!(
        "the tables of the older GPT-Load have their names back, and it may be started\n{kept}\
         a start of this program takes the database over again"
    );
    Ok(Report::success(text, json!({"rolled_back": true, "copy": copy})))
}

async fn drop_legacy(place: Place<'_>, yes: bool) -> Result<Report, CliError> {
    let taken = Store::taken_over(place).await.map_err(failed)?;
    if !yes && taken.as_ref().is_some_and(|taken| taken.old_tables) {
        confirm("tables cannot be dropped", "The tables legacy_* of the older GPT-Load will be dropped")?;
    }
    let dropped = Store::drop_taken_over(place).await.map_err(failed)?;
    let mut text = match dropped.as_slice() {
        [] => "there are no tables of the older GPT-Load any more".to_owned(),
        tables => format!("dropped: {}", tables.join(", ")),
    };
    let copy = taken.and_then(|taken| taken.backup).filter(|copy| Path::new(copy).exists());
    if let Some(copy) = &copy {
        text.push_str(&format!("\nthe copy that was made before the take-over is still there: {copy}"));
    }
    Ok(Report::success(text, json!({"dropped": dropped, "copy": copy})))
}

/// Asks a person; where nobody can be asked, `what` needs `--yes`.
fn confirm(what: &str, consequence: &str) -> Result<(), CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::usage(format!("{what} without --yes where nobody can be asked")));
    }
    let _ = write!(io::stderr(), "{consequence}. This cannot be undone. Type yes: ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" { Ok(()) } else { Err(CliError::failure("nothing was changed")) }
}

/// The configuration of the present folder.
pub(super) fn configuration() -> Result<Config, CliError> {
    let loaded = Config::load(Path::new("."), process_environment());
    loaded.map(|loaded| loaded.config).map_err(|errors| CliError::usage(errors.to_string()))
}

/// A database that could not be used.
#[allow(clippy::needless_pass_by_value, reason = "the signature of map_err")]
pub(super) fn failed(error: StoreError) -> CliError {
    CliError::failure(error.to_string())
}

/// Shows how far a take-over is.
pub(super) fn watch(quiet: bool) -> Watch {
    let mut shown: Option<(&'static str, i64, Progress)> = None;
    let count = |rows: i64| u64::try_from(rows).unwrap_or(0);
    Box::new(move |Moment { stage, done, total }| {
        let (before, mut progress) = match shown.take() {
            Some((same, before, progress)) if same == stage => (before, progress),
            _ => (0, Progress::start(stage, count(total), quiet)),
        };
        progress.advance(count(done - before));
        shown = Some((stage, done, progress));
    })
}

/// What a take-over found and did.
pub(super) fn summary(head: &str, taken: &Taken) -> Report {
    let text = format!("{head}\n{}", taken.to_string().trim_end());
    let exit = if taken.keys.unreadable > 0 { Exit::Partial } else { Exit::Success };
    Report::success(text, json!({"report": taken})).ending(exit)
}
