//! The request log at scale: how fast rows are written, how long lists over all of them take, and what deleting old rows
//! costs clients.

mod fill;
mod lists;
mod retention;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use super::Outcome;
use super::contestants;

/// Rows a second that must be reached (quality.md, "Figures").
const WRITE_TARGET: f64 = 20_000.0;
/// Time of the first page with a group and a time filter that must not be passed, in ms.
const PAGE_TARGET: f64 = 100.0;
/// Passphrase of the database: rows are written as an installation with everything on writes them.
const PASSPHRASE: &str = "bench-passphrase-0123456789";
/// Days over which the rows spread; the retention then leaves half of them.
const DAYS: u64 = 6;

/// What is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Program of the node.
    pub gateway: PathBuf,
    /// Program of the provider double.
    pub provider: PathBuf,
    /// Rows of the log.
    pub rows: u64,
    /// Keys of all groups together.
    pub keys: usize,
    /// Where the database is made; `None` = the folder for temporary files.
    pub folder: Option<PathBuf>,
    /// Workers of the node.
    pub workers: usize,
}

/// Writes the log, reads it, deletes half of it. Blocks.
///
/// # Errors
/// A program does not start, the disk is full, or the node does not do as it is told.
pub fn run(options: &Options, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Outcome> {
    let dir = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let dir = dir.context("cannot make a temporary directory")?;
    let path = dir.path().join("log.db");
    let dsn = path.to_str().context("the folder's name is not UTF-8")?;
    let filled = fill::fill(dsn, options, tell)?;
    let bytes = std::fs::metadata(&path)?.len();

    let provider = contestants::provider(&options.provider, dir.path())?;
    let env = [("DATABASE_DSN", dsn), ("ENCRYPTION_KEY", PASSPHRASE)];
    let gateway = contestants::gateway_in(
        &options.gateway,
        &contestants::new_home(dir.path())?,
        provider.plain,
        options.workers,
        &env,
    )?;
    let lists = lists::measure(gateway.plain, &filled, tell)?;
    let retention = retention::measure(&gateway, &filled, tell)?;

    let first = lists.iter().find(|list| list.name == lists::TARGETED).context("the first page was not measured")?;
    let met = filled.rate >= WRITE_TARGET && first.median_ms <= PAGE_TARGET;
    let word = |met: bool| if met { "met" } else { "missed" };
    let mut table = String::new();
    // Writing into a string does not fail.
    _ = writeln!(table, "request log of {} rows, {:.2} GB on SQLite", options.rows, bytes as f64 / 1e9);
    _ = writeln!(
        table,
        "  rows written a second {:>8.0}   target {WRITE_TARGET:.0}   {}   slowest million {:.0}, CPU {:.0} us a row",
        filled.rate,
        word(filled.rate >= WRITE_TARGET),
        filled.slowest,
        filled.cpu_us
    );
    for (million, rate) in filled.curve.iter().enumerate() {
        _ = writeln!(table, "    million {:>3}         {rate:>8.0} rows/s", million + 1);
    }
    _ = writeln!(
        table,
        "  first page, group and time {:>6.1} ms   target {PAGE_TARGET:.0} ms   {}",
        first.median_ms,
        word(first.median_ms <= PAGE_TARGET)
    );
    for list in &lists {
        let total = list.total.map_or_else(String::new, |total| format!("{total:>10}"));
        let estimate = if list.is_estimate { "~" } else { " " };
        let searched = if list.is_bounded { " newest part searched" } else { "" };
        _ = writeln!(
            table,
            "    {:<34} {:>8.1} ms median {:>8.1} ms first {estimate}{total}{searched}",
            list.name, list.median_ms, list.first_ms
        );
    }
    retention.tell(&mut table);
    let json = serde_json::json!({
        "rows": options.rows,
        "keys": options.keys,
        "bytes": bytes,
        "write": filled.to_json(),
        "lists": lists,
        "retention": retention,
        "met": met,
    });
    Ok(Outcome { table, json, met })
}
