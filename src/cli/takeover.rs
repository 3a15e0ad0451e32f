//! `gpt-load takeover`: the database of an older GPT-Load, taken over or given back.

use std::path::Path;

use gpt_load_schema::{
    store::{Claim, Moment, Store, StoreError, TakeoverOptions, Watch},
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

/// Takes the configured database over, says that this was done before, or undoes it.
///
/// # Errors
/// When nothing could be done; the database is then what it was.
pub(super) async fn run(args: &TakeoverArgs, quiet: bool) -> Result<Report, CliError> {
    let config = configuration()?;
    let dsn = &config.database_dsn;
    let _claim = Claim::of(config.database(), &config.node_name).await.map_err(failed)?;
    if args.rollback {
        let copy = Store::undo_take_over(dsn).await.map_err(failed)?;
        let text = format!(
            "the tables of the older GPT-Load have their names back, and it may be started\n\
             what was in the database before this is in {copy}\n\
             a start of this program takes the database over again"
        );
        return Ok(Report::success(text, json!({"rolled_back": true, "copy": copy})));
    }
    let options = TakeoverOptions { leave_unreadable: args.leave_unreadable };
    let taking = Store::take_over(dsn, config.encryption_key.as_ref(), options, watch(quiet));
    if let Some(taken) = taking.await.map_err(failed)? {
        return Ok(summary("the database was taken over; its old tables are there as legacy_*", &taken));
    }
    match Store::taken_over(dsn).await.map_err(failed)? {
        Some(before) => {
            let head = format!("the database was taken over before, at {}", before.at.to_rfc3339());
            Ok(summary(&head, &before.report))
        }
        None => {
            Ok(Report::success("the database is one of this program: nothing to take over", json!({"report": null})))
        }
    }
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
