//! How often a provider must refuse: a pool that is asked for 120 % of its budget, through the node that reads what the
//! provider announces, through the node when the provider announces nothing, and by plain rotation over the keys.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::Outcome;
use super::contestants::{KEYS, PROXY_KEY, gateway, key, provider};
use crate::double::Budget;
use crate::load::{Report, Target, open, open_in_turn};
use crate::raw::Client;

/// What each key may ask for: so little that the machine is never what holds requests up.
const BUDGET: Budget = Budget { limit: 5, window_ms: 1000, silent: false };
/// Share of the pool's budget that is asked for.
const LOAD: f64 = 1.2;
const CONNECTIONS: usize = 64;
const BODY: usize = 256;
/// Most that the provider may refuse, as a share of what it refuses to plain rotation.
const TARGET: f64 = 0.01;

/// What is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Program of the node.
    pub gateway: PathBuf,
    /// Program of the provider double.
    pub provider: PathBuf,
    /// Length of each of the three runs.
    pub time: Duration,
    /// Workers of the node.
    pub workers: usize,
}

/// One run, as the provider and the clients saw it.
#[derive(Debug, Serialize)]
struct Run {
    name: &'static str,
    /// Requests that the provider answered with 200.
    served: u64,
    /// Requests that it refused with 429.
    refused: u64,
    /// Share of the pool's budget that was used.
    used: f64,
    clients: serde_json::Value,
}

/// Makes the three runs. Blocks; `tell` is told what is being done.
///
/// # Errors
/// A program does not start, or answers are lost.
pub fn run(options: &Options, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Outcome> {
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let silent = Budget { silent: true, ..BUDGET };
    let plain = one("plain rotation", silent, options, dir.path(), tell, |provider, rate| {
        let targets: Vec<_> = (0..KEYS).map(|number| Target::chat(provider, &key(number), false, BODY)).collect();
        Ok(open_in_turn(&targets, rate, CONNECTIONS, options.time)?)
    })?;
    let through_node = |provider, rate| {
        let node = gateway(&options.gateway, dir.path(), provider, options.workers)?;
        Ok(open(&Target::chat(node.plain, PROXY_KEY, false, BODY), rate, CONNECTIONS, options.time)?)
    };
    let blind = one("node, nothing announced", silent, options, dir.path(), tell, through_node)?;
    let seeing = one("node, limits announced", BUDGET, options, dir.path(), tell, through_node)?;
    let ratio = |to: &Run| seeing.refused as f64 / to.refused.max(1) as f64;
    let (to_plain, to_blind) = (ratio(&plain), ratio(&blind));
    let met = plain.refused > 0 && to_plain <= TARGET;
    let mut table = String::new();
    // Writing to a `String` cannot fail.
    _ = writeln!(table, "{:<26} {:>8} {:>8} {:>12}", "run", "200", "429", "budget used");
    for run in [&plain, &blind, &seeing] {
        _ = writeln!(table, "{:<26} {:>8} {:>8} {:>11.1}%", run.name, run.served, run.refused, 100.0 * run.used);
    }
    _ = writeln!(
        table,
        "429s with announced limits: {:.2} % of plain rotation's (target ≤ {:.0} %, {}), {:.2} % of the blind node's",
        100.0 * to_plain,
        100.0 * TARGET,
        if met { "met" } else { "missed" },
        100.0 * to_blind
    );
    let json = serde_json::json!({
        "keys": KEYS,
        "budget": BUDGET,
        "load": LOAD,
        "seconds": options.time.as_secs_f64(),
        "runs": [plain, blind, seeing],
        "ratio-to-plain": to_plain,
        "ratio-to-blind": to_blind,
        "target": TARGET,
        "met": met,
    });
    Ok(Outcome { table, json, met })
}

/// A run against a provider of its own, whose budget is whole.
fn one(
    name: &'static str,
    budget: Budget,
    options: &Options,
    dir: &Path,
    tell: &mut dyn FnMut(&str),
    load: impl FnOnce(SocketAddr, f64) -> anyhow::Result<Report>,
) -> anyhow::Result<Run> {
    tell(name);
    let per_second = budget.limit as f64 * 1000.0 / budget.window_ms as f64 * KEYS as f64;
    let provider = provider(&options.provider, dir)?;
    control(provider.plain, "PUT", &serde_json::to_string(&budget)?)?;
    let report = load(provider.plain, per_second * LOAD)?;
    // A run that could not keep its rate would be spared refusals by that alone.
    let lost = report.failures + report.unsent;
    ensure!(lost * 100 <= report.answers, "{name}: {lost} requests had no answer: {:#}", report.to_json());
    let asked = control(provider.plain, "GET", "")?;
    let keys = asked["keys"].as_object().context("the provider does not tell what it was asked")?;
    let served: u64 = keys.values().filter_map(|key| key["served"].as_u64()).sum();
    let refused = asked["refused"].as_u64().context("the provider does not tell what it refused")?;
    let used = served as f64 / (per_second * options.time.as_secs_f64());
    Ok(Run { name, served, refused, used, clients: report.to_json() })
}

/// Talks to the provider of its budget.
fn control(provider: SocketAddr, method: &str, body: &str) -> anyhow::Result<serde_json::Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let length = body.len();
    let request = format!("{method} /__double/budget HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}");
    let answer = runtime.block_on(async { Client::connect(provider).await?.exchange(request.as_bytes()).await })?;
    ensure!(answer.head.status == 200, "the provider refuses its budget with {}", answer.head.status);
    Ok(answer.json())
}
