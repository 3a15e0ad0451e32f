//! What a million keys cost: their import, memory, start and deletion, and what clients notice meanwhile.

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::Outcome;
use super::contestants::{self, Contestant, PROXY_KEY};
use super::measure::p99_while;
use super::validation::manage;
use crate::load::Target;
use crate::raw::Client;

/// The figures of quality.md.
const IMPORT_SECONDS: f64 = 60.0;
const DELETE_SECONDS: f64 = 20.0;
const MEMORY_MIB: f64 = 400.0;
const START_SECONDS: f64 = 10.0;
const P99_RATIO: f64 = 2.0;
/// The number of keys that they are about.
const MILLION: usize = 1_000_000;
/// Requests a second of the clients that are watched.
const CLIENTS_RATE: f64 = 200.0;
const WINDOW: Duration = Duration::from_secs(2);
/// Windows of the clients alone.
const WINDOWS_ALONE: usize = 5;
/// Bound on each task.
const PATIENCE: Duration = Duration::from_secs(600);
const BODY: usize = 1024;

/// What is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Program of the node.
    pub gateway: PathBuf,
    /// Program of the provider double.
    pub provider: PathBuf,
    /// Keys to be added.
    pub keys: usize,
    /// Keys to be deleted of them, at most all.
    pub delete: usize,
    /// Workers of the node.
    pub workers: usize,
}

/// A task as it ended, and the clients' p99 beside it in microseconds.
struct Done {
    task: Value,
    seconds: f64,
    p99_us: f64,
    cpu_seconds: f64,
}

/// One line of the result.
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    most: f64,
}

/// Measures all. Blocks; `tell` is told what is being done.
///
/// # Errors
/// A program does not start, or the node does not do as it is told.
pub fn run(options: &Options, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Outcome> {
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let home = dir.path().join("gateway");
    let provider = contestants::provider(&options.provider, dir.path())?;
    let start = || contestants::gateway_in(&options.gateway, &home, provider.plain, options.workers, &[]);
    let node = start()?;
    let first = json!({
        "name": "many",
        "channel_type": "openai",
        "test_model": "bench",
        "upstreams": [{"url": format!("http://{}", provider.plain), "weight": 1}],
    });
    // The first call waits until the node serves.
    let group = call(&node, "POST", "/api/groups", &first)?["id"].as_i64().context("the group has no id")?;
    let empty_mib = resident(&node)?;

    tell("clients alone");
    let left = Cell::new(WINDOWS_ALONE);
    let alone_us = p99_while(&node, CLIENTS_RATE, WINDOW, || {
        left.set(left.get() - 1);
        Ok(left.get() > 0)
    })?;
    tell(&format!("importing {} keys", options.keys));
    let begun = Instant::now();
    let import = beside(&node, || upload(&node, group, options.keys))?;
    let upload_seconds = begun.elapsed().as_secs_f64();
    ensure!(import.task["result"]["added_count"] == options.keys, "not all keys were added: {}", import.task);
    let imported_mib = resident(&node)?;

    tell("starting again");
    drop(node);
    let begun = Instant::now();
    let node = start()?;
    first_answer(&node)?;
    let start_seconds = begun.elapsed().as_secs_f64();
    let started_mib = resident(&node)?;

    let delete = options.delete.min(options.keys);
    tell(&format!("deleting {delete} keys"));
    let text: Vec<String> = (0..delete).map(key).collect();
    let order = json!({"group_id": group, "keys_text": text.join("\n")});
    let deletion = beside(&node, || call(&node, "POST", "/api/keys/delete-async", &order))?;
    ensure!(deletion.task["result"]["deleted_count"] == delete, "not all keys were deleted: {}", deletion.task);

    let figures = [
        Figure { name: "import", value: import.seconds, unit: "s", most: IMPORT_SECONDS },
        Figure { name: "clients' p99 beside it / alone", value: import.p99_us / alone_us, unit: "x", most: P99_RATIO },
        Figure { name: "memory after the import", value: imported_mib, unit: "MiB", most: MEMORY_MIB },
        Figure { name: "start to the first answer", value: start_seconds, unit: "s", most: START_SECONDS },
        Figure { name: "memory after the start", value: started_mib, unit: "MiB", most: MEMORY_MIB },
        Figure { name: "deletion", value: deletion.seconds, unit: "s", most: DELETE_SECONDS },
    ];
    let met = figures.iter().all(|figure| figure.value <= figure.most);
    let mut table = String::new();
    // Writing into a string does not fail.
    _ = writeln!(table, "{} keys, {delete} of them deleted", options.keys);
    if options.keys != MILLION {
        _ = writeln!(table, "(the targets are those for {MILLION} keys)");
    }
    for Figure { name, value, unit, most } in &figures {
        let verdict = if value <= most { "met" } else { "missed" };
        _ = writeln!(table, "  {name:<32} {value:>9.2} {unit:<4} target {most:>5.0}   {verdict}");
    }
    for (name, value, unit) in [
        ("clients' p99 alone", alone_us / 1e3, "ms"),
        ("clients' p99 beside the import", import.p99_us / 1e3, "ms"),
        ("clients' p99 beside the deletion", deletion.p99_us / 1e3, "ms"),
        ("memory before the import", empty_mib, "MiB"),
        ("CPU time of the import", import.cpu_seconds, "s"),
        ("CPU time of the deletion", deletion.cpu_seconds, "s"),
        ("upload and import", upload_seconds, "s"),
    ] {
        _ = writeln!(table, "  {name:<32} {value:>9.2} {unit}");
    }
    let json = json!({
        "keys": options.keys,
        "deleted": delete,
        "figures": figures.iter().map(|figure| json!({
            "name": figure.name, "value": figure.value, "unit": figure.unit, "target": figure.most,
            "met": figure.value <= figure.most,
        })).collect::<Vec<_>>(),
        "clients_p99_alone_us": alone_us,
        "clients_p99_import_us": import.p99_us,
        "clients_p99_deletion_us": deletion.p99_us,
        "memory_empty_mib": empty_mib,
        "import_cpu_seconds": import.cpu_seconds,
        "deletion_cpu_seconds": deletion.cpu_seconds,
    });
    Ok(Outcome { table, json, met })
}

/// A key of the length that providers give theirs.
fn key(number: usize) -> String {
    format!("sk-proj-{number:043}")
}

/// Starts a task and watches the clients until it ends.
fn beside(node: &Contestant, start: impl FnOnce() -> anyhow::Result<Value>) -> anyhow::Result<Done> {
    let cpu = node.process.cpu()?;
    start()?;
    let begun = Instant::now();
    let mut task = Value::Null;
    let p99_us = p99_while(node, CLIENTS_RATE, WINDOW, || {
        task = call(node, "GET", "/api/tasks/status", &Value::Null)?;
        if begun.elapsed() > PATIENCE {
            bail!("the task does not end: {task}");
        }
        Ok(task["is_running"] == true)
    })?;
    let seconds = task["duration_seconds"].as_f64().context("the task has no duration")?;
    Ok(Done { seconds, p99_us, cpu_seconds: (node.process.cpu()? - cpu).as_secs_f64(), task })
}

fn upload(node: &Contestant, group: i64, keys: usize) -> anyhow::Result<Value> {
    const BOUNDARY: &str = "bench-keys-boundary";
    let mut body = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"group_id\"\r\n\r\n{group}\r\n\
         --{BOUNDARY}\r\ncontent-disposition: form-data; name=\"new_key_state\"\r\n\r\nactive\r\n\
         --{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"keys.txt\"\r\n\r\n"
    );
    for number in 0..keys {
        body.push_str(&key(number));
        body.push('\n');
    }
    body.push_str(&format!("\r\n--{BOUNDARY}--\r\n"));
    let head = format!(
        "POST /api/keys/add-async HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {PROXY_KEY}\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    runtime()?.block_on(async {
        let answer = Client::connect(node.plain).await?.exchange((head + &body).as_bytes()).await?;
        ensure!(answer.head.status == 200, "the upload: {} {}", answer.head.status, answer.json());
        Ok(answer.json()["data"].take())
    })
}

/// Asks until a request is proxied.
fn first_answer(node: &Contestant) -> anyhow::Result<()> {
    let request = Target::chat(node.plain, PROXY_KEY, false, BODY).request;
    let begun = Instant::now();
    runtime()?.block_on(async {
        loop {
            if let Ok(mut client) = Client::connect(node.plain).await
                && let Ok(answer) = client.exchange(&request).await
                && answer.head.status == 200
            {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the node does not serve:\n{}", node.process.last_words());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

fn call(node: &Contestant, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    runtime()?.block_on(manage(node.plain, method, path, body))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn resident(node: &Contestant) -> anyhow::Result<f64> {
    Ok(node.process.resident()? as f64 / f64::from(1 << 20))
}
