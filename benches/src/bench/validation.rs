//! How fast the node proves keys at a provider that takes 50 ms for an answer, and what clients notice of it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::Outcome;
use super::contestants::{self, PROXY_KEY};
use super::measure::p99_at;
use crate::raw::Client;

/// Time of the provider for an answer.
const DELAY_MS: u64 = 50;
const CONCURRENCY: u64 = 100;
/// Keys a second that must be reached (quality.md, "Figures").
const TARGET: f64 = 1_500.0;
/// Keys that one request may add.
const KEYS_PER_REQUEST: usize = 5_000;
/// Requests a second of the clients that are watched.
const CLIENTS_RATE: f64 = 200.0;
const CLIENTS_TIME: Duration = Duration::from_secs(2);
/// Bound on the whole validation.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is measured.
#[derive(Debug, Clone)]
pub struct ValidationOptions {
    /// Program of the node.
    pub gateway: PathBuf,
    /// Program of the provider double.
    pub provider: PathBuf,
    /// Keys to be proved.
    pub keys: usize,
    /// Workers of the node.
    pub workers: usize,
}

/// Measures one validation of a whole group.
///
/// # Errors
/// A program does not start, or the node does not do as it is told.
pub fn run_validation(options: &ValidationOptions, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Outcome> {
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let provider = contestants::delayed_provider(&options.provider, dir.path(), DELAY_MS)?;
    let gateway = contestants::gateway(&options.gateway, dir.path(), provider.plain, options.workers)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let call = |method: &str, path: &str, body: &Value| runtime.block_on(manage(gateway.plain, method, path, body));

    tell(&format!("adding {} keys", options.keys));
    let group = call("POST", "/api/groups", &group(provider.plain))?["id"].as_i64().context("the group has no id")?;
    let keys: Vec<String> = (0..options.keys).map(|number| format!("sk-validated-{number:07}")).collect();
    for keys in keys.chunks(KEYS_PER_REQUEST) {
        let body = json!({"group_id": group, "keys": keys, "new_key_state": "active"});
        call("POST", "/api/keys/add-multiple", &body)?;
    }
    tell("clients alone");
    let alone_us = p99_at(&gateway, CLIENTS_RATE, CLIENTS_TIME)?;
    tell("validating");
    let cpu = gateway.process.cpu()?;
    call("POST", "/api/keys/validate-group", &json!({"group_id": group}))?;
    let beside_us = p99_at(&gateway, CLIENTS_RATE, CLIENTS_TIME)?;
    let is_beside = call("GET", "/api/tasks/status", &Value::Null)?["is_running"] == true;
    let task = wait(&call)?;
    let cpu = gateway.process.cpu()? - cpu;
    let valid = task["result"]["valid_keys"].as_u64().unwrap_or(0);
    ensure!(valid == keys.len() as u64, "only {valid} of {} keys were found to be valid: {task}", keys.len());
    let seconds = task["duration_seconds"].as_f64().context("the task has no duration")?;
    let rate = valid as f64 / seconds;
    let met = rate >= TARGET;

    let mut table = String::new();
    let cpu_us = cpu.as_secs_f64() * 1e6 / valid as f64;
    let beside = if is_beside { "" } else { " (the validation ended first: take more keys)" };
    // Writing into a string does not fail.
    _ = writeln!(table, "validation of {valid} keys, provider {DELAY_MS} ms, concurrency {CONCURRENCY}");
    _ = writeln!(
        table,
        "  keys a second       {rate:>10.0}   target {TARGET:.0}   {}",
        if met { "met" } else { "missed" }
    );
    _ = writeln!(table, "  CPU time a key      {cpu_us:>10.0} us (clients' requests included)");
    _ = writeln!(table, "  clients' p99 alone  {:>10.1} ms", alone_us / 1e3);
    _ = writeln!(table, "  clients' p99 beside {:>10.1} ms{beside}", beside_us / 1e3);
    let json = json!({
        "keys": valid,
        "seconds": seconds,
        "rate": rate,
        "target": TARGET,
        "cpu_us_per_key": cpu_us,
        "clients_p99_alone_us": alone_us,
        "clients_p99_beside_us": beside_us,
        "clients_beside_to_the_end": is_beside,
    });
    Ok(Outcome { table, json, met })
}

fn wait(call: &dyn Fn(&str, &str, &Value) -> anyhow::Result<Value>) -> anyhow::Result<Value> {
    let begun = Instant::now();
    loop {
        let task = call("GET", "/api/tasks/status", &Value::Null)?;
        if task["is_running"] == false {
            return Ok(task);
        }
        if begun.elapsed() > PATIENCE {
            bail!("the validation does not end: {task}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn group(provider: SocketAddr) -> Value {
    json!({
        "name": "validated",
        "channel_type": "openai",
        "test_model": "bench",
        "upstreams": [{"url": format!("http://{provider}"), "weight": 1}],
        "config": {"key_validation_concurrency": CONCURRENCY},
    })
}

/// `data` of a call of the management API.
pub(super) async fn manage(addr: SocketAddr, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {PROXY_KEY}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = Client::connect(addr).await?.exchange(request.as_bytes()).await?;
    let mut json = answer.json();
    ensure!(answer.head.status == 200, "{method} {path}: {} {json}", answer.head.status);
    Ok(json["data"].take())
}

/// Where the provider double is, beside the program that runs.
pub fn provider_beside(program: &Path) -> PathBuf {
    program.parent().unwrap_or(Path::new(".")).join("provider-double")
}
