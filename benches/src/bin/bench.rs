//! The bench runner as a program; `docs/BENCHMARKS.md` says how to read its table.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gpt_load_benches::bench::{
    Options, ValidationOptions, keys, logs, prediction, provider_beside, run, run_validation,
};

/// Measures the node against nginx and against the provider alone, in one run.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; without it the data path.
    #[command(subcommand)]
    what: Option<What>,
    /// Program of the node, built for release.
    #[arg(long, global = true, default_value = "target/release/gpt-load")]
    gateway: PathBuf,
    /// Measure the provider and nginx only.
    #[arg(long)]
    no_gateway: bool,
    /// Program of nginx; left out of the table when missing.
    #[arg(long, default_value = "/usr/sbin/nginx")]
    nginx: PathBuf,
    /// Short runs, below a minute.
    #[arg(long, global = true)]
    quick: bool,
    /// Rounds of all contestants.
    #[arg(long)]
    rounds: Option<usize>,
    /// Write the result here as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Exit with status 1 when a target is missed.
    #[arg(long, global = true)]
    strict: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Keys that the node proves a second at a provider that takes 50 ms, with 100 calls at the same time.
    Validation {
        /// Keys to be proved.
        #[arg(long, default_value_t = 10_000)]
        keys: usize,
    },
    /// Import, memory, start and deletion with a million keys, and what clients notice of it.
    Keys {
        /// Keys to be added.
        #[arg(long, default_value_t = 1_000_000)]
        keys: usize,
        /// Keys to be deleted of them.
        #[arg(long, default_value_t = 300_000)]
        delete: usize,
    },
    /// The 429s of a pool that is asked for 120 % of its budget, with and without the node looking ahead.
    Prediction,
    /// The request log at scale: rows written a second, lists and statistics over all of them, deletion past retention.
    Logs {
        /// Rows of the log; ten million take about 7 GB of disk while it runs.
        #[arg(long, default_value_t = 10_000_000)]
        rows: u64,
        /// Keys of all groups together.
        #[arg(long, default_value_t = 1_000)]
        keys: usize,
        /// Folder for the database; it is empty again afterwards.
        #[arg(long)]
        folder: Option<PathBuf>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    gpt_load_benches::raise_open_files();
    let own = std::env::current_exe().context("cannot find this program")?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let provider = provider_beside(&own);
    let mut progress = std::io::stderr();
    // Progress that cannot be shown does not matter.
    let mut tell = |doing: &str| _ = writeln!(progress, "{doing}");
    let outcome = match arguments.what.clone() {
        Some(What::Validation { keys }) => {
            let gateway = arguments.gateway.clone();
            run_validation(&ValidationOptions { gateway, provider, keys, workers }, &mut tell)?
        }
        Some(What::Keys { keys, delete }) => {
            let gateway = arguments.gateway.clone();
            keys::run(&keys::Options { gateway, provider, keys, delete, workers }, &mut tell)?
        }
        Some(What::Prediction) => {
            let time = Duration::from_secs(if arguments.quick { 5 } else { 20 });
            let gateway = arguments.gateway.clone();
            prediction::run(&prediction::Options { gateway, provider, time, workers }, &mut tell)?
        }
        Some(What::Logs { rows, keys, folder }) => {
            let rows = if arguments.quick { rows.min(500_000) } else { rows };
            let gateway = arguments.gateway.clone();
            logs::run(&logs::Options { gateway, provider, rows, keys, folder, workers }, &mut tell)?
        }
        None => run(&data_path(&arguments, provider, workers), &mut tell)?,
    };
    write!(std::io::stdout(), "{}", outcome.table)?;
    if let Some(path) = &arguments.json {
        std::fs::write(path, format!("{:#}\n", outcome.json))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if arguments.strict && !outcome.met { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn data_path(arguments: &Arguments, provider: PathBuf, workers: usize) -> Options {
    let (rounds, time, streams, limit) = if arguments.quick {
        (2, Duration::from_millis(800), vec![1_000], Duration::from_secs(40))
    } else {
        (5, Duration::from_secs(2), vec![1_000, 10_000], Duration::from_secs(170))
    };
    Options {
        gateway: (!arguments.no_gateway).then(|| arguments.gateway.clone()),
        nginx: Some(arguments.nginx.clone()).filter(|path| path.exists()),
        provider,
        rounds: arguments.rounds.unwrap_or(rounds),
        time,
        streams,
        limit,
        workers,
    }
}
