//! The node against nginx and against the provider alone, in rounds that take turns, so that whatever else the machine
//! does falls on all of them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;

mod contestants;
mod figures;
pub mod keys;
pub mod logs;
mod measure;
pub mod prediction;
mod process;
mod validation;

pub use validation::{ValidationOptions, provider_beside, run_validation};

use contestants::Contestant;
use figures::{Measured, median};

/// What is measured, and how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// Program of the node; without one only the provider and nginx are measured.
    pub gateway: Option<PathBuf>,
    /// Program of nginx.
    pub nginx: Option<PathBuf>,
    /// Program of the provider double.
    pub provider: PathBuf,
    /// Rounds of all contestants.
    pub rounds: usize,
    /// Length of one measurement.
    pub time: Duration,
    /// Numbers of open streams whose memory is measured; capped by the open files the system allows.
    pub streams: Vec<usize>,
    /// No further round begins after this time.
    pub limit: Duration,
    /// Workers of nginx and of the node.
    pub workers: usize,
}

/// Result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Table for people.
    pub table: String,
    /// The same and all measurements, for machines.
    pub json: serde_json::Value,
    /// Whether every target that could be measured is met.
    pub met: bool,
}

/// Measures all. Blocks; `tell` is told what is being done.
///
/// # Errors
/// A program does not start, or answers with errors.
pub fn run(options: &Options, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Outcome> {
    let begin = Instant::now();
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let provider = contestants::provider(&options.provider, dir.path())?;
    let mut proxies = Vec::new();
    if let Some(program) = &options.nginx {
        proxies.push((contestants::nginx(program, dir.path(), provider.plain, options.workers)?, Measured::default()));
    }
    if let Some(program) = &options.gateway {
        proxies
            .push((contestants::gateway(program, dir.path(), provider.plain, options.workers)?, Measured::default()));
    }
    let mut alone = Measured::default();
    let mut rounds = 0;
    while rounds < options.rounds && (rounds == 0 || begin.elapsed() < options.limit) {
        rounds += 1;
        tell(&format!("round {rounds} of {}", options.rounds));
        measure_round(&provider, &mut alone, options.time)?;
        for (who, measured) in &mut proxies {
            measure_round(who, measured, options.time)?;
            measure_added_p99(&provider, who, measured, options.time)?;
        }
    }
    // The programs end here: memory is measured with fresh ones, which have not grown by other work.
    drop(provider);
    let (mut nginx, mut gateway) = (None, None);
    for (who, measured) in proxies {
        match who.name {
            contestants::NGINX => nginx = Some(measured),
            _ => gateway = Some(measured),
        }
    }
    measure_memory(options, nginx.as_mut(), gateway.as_mut(), tell)?;
    let figures = figures::figures(&alone, nginx.as_ref(), gateway.as_ref());
    let table = figures::table(&figures, nginx.is_some(), gateway.is_some());
    let met = figures.iter().all(|figure| figure.met != Some(false));
    let json = serde_json::json!({
        "seconds": begin.elapsed().as_secs_f64(),
        "rounds": rounds,
        "workers": options.workers,
        "figures": figures,
        "measured": {"provider": alone, "nginx": nginx, "gateway": gateway},
    });
    Ok(Outcome { table, json, met })
}

fn measure_round(who: &Contestant, measured: &mut Measured, time: Duration) -> anyhow::Result<()> {
    measure::warm_up(who, time / 8)?;
    measured.saturated.push(measure::saturated(who, time)?);
    measured.streamed.push(measure::streamed(who, time)?);
    measured.first_byte_us.push(measure::first_byte(who, time / 4)?);
    Ok(())
}

/// Latency that a proxy adds at half of what it can do, against the provider at the same rate.
fn measure_added_p99(
    provider: &Contestant,
    who: &Contestant,
    measured: &mut Measured,
    time: Duration,
) -> anyhow::Result<()> {
    let most = median(measured.saturated.iter().map(|round| round.rate)).context("nothing was measured")?;
    let with = measure::p99_at(who, most / 2.0, time)?;
    let without = measure::p99_at(provider, most / 2.0, time)?;
    measured.added_p99_us.push(with - without);
    Ok(())
}

fn measure_memory(
    options: &Options,
    mut nginx: Option<&mut Measured>,
    mut gateway: Option<&mut Measured>,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<()> {
    // A stream takes two files of a proxy; some are for the proxy itself.
    let most = usize::try_from(crate::raise_open_files().saturating_sub(500) / 2).unwrap_or(usize::MAX);
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    for count in options.streams.iter().map(|count| *count.min(&most)) {
        tell(&format!("memory with {count} open streams"));
        let provider = contestants::slow_provider(&options.provider, dir.path())?;
        if let (Some(program), Some(measured)) = (&options.nginx, &mut nginx) {
            let who = contestants::nginx(program, dir.path(), provider.plain, options.workers)?;
            measured.memory.push(measure::memory(&who, count)?);
        }
        if let (Some(program), Some(measured)) = (&options.gateway, &mut gateway) {
            let who = contestants::gateway(program, dir.path(), provider.plain, options.workers)?;
            measured.memory.push(measure::memory(&who, count)?);
        }
    }
    Ok(())
}
