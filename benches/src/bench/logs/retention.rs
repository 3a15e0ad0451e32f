//! What deleting rows past their retention costs, and how fast it goes, while requests are served.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use gpt_load_schema::time::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::super::contestants::Contestant;
use super::super::measure::p99_at;
use super::super::validation::manage;
use super::DAYS;
use super::fill::Filled;
use super::lists::ask;

/// Requests a second of the clients that are watched.
const CLIENTS_RATE: f64 = 200.0;
const CLIENTS_TIME: Duration = Duration::from_secs(20);
/// Days that stay.
const KEPT_DAYS: u64 = DAYS / 2;

/// What was seen of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Retention {
    deleted: u64,
    rows_per_second: f64,
    clients_p99_alone_us: f64,
    clients_p99_beside_us: f64,
    to_the_end: bool,
}

impl Retention {
    pub(super) fn tell(&self, table: &mut String) {
        let beside = if self.to_the_end { " (the deletion ended first: take more rows)" } else { "" };
        // Writing into a string does not fail.
        _ = writeln!(table, "  retention");
        _ = writeln!(table, "    rows deleted a second  {:>10.0}   ({} rows)", self.rows_per_second, self.deleted);
        _ = writeln!(table, "    clients' p99 alone     {:>10.1} ms", self.clients_p99_alone_us / 1e3);
        _ = writeln!(table, "    clients' p99 beside    {:>10.1} ms{beside}", self.clients_p99_beside_us / 1e3);
    }
}

pub(super) fn measure(gateway: &Contestant, filled: &Filled, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Retention> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tell("clients alone");
    let clients_p99_alone_us = p99_at(gateway, CLIENTS_RATE, CLIENTS_TIME)?;
    tell("clients beside the deletion of old rows");
    let cutoff = Timestamp::now() - Duration::from_secs(KEPT_DAYS * 24 * 3600);
    let settings = json!({"request_log_retention_days": KEPT_DAYS});
    runtime.block_on(manage(gateway.plain, "PUT", "/api/settings", &settings))?;
    let begun = Instant::now();
    let clients_p99_beside_us = p99_at(gateway, CLIENTS_RATE, CLIENTS_TIME)?;
    let seconds = begun.elapsed().as_secs_f64();
    let oldest = runtime.block_on(oldest(gateway, filled.from, cutoff))?;
    let share = (oldest.0 - filled.from.0) as f64 / (filled.until.0 - filled.from.0) as f64;
    let deleted = (share * filled.rows as f64).round() as u64;
    Ok(Retention {
        deleted,
        rows_per_second: deleted as f64 / seconds,
        clients_p99_alone_us,
        clients_p99_beside_us,
        to_the_end: cutoff.0 - oldest.0 < 60_000,
    })
}

/// About the time of the oldest row between two times: rows are spread evenly, so it tells how many are gone.
async fn oldest(gateway: &Contestant, from: Timestamp, until: Timestamp) -> anyhow::Result<Timestamp> {
    let (mut gone, mut there) = (from.0, until.0);
    while there - gone > 1_000 {
        let middle = gone + (there - gone) / 2;
        let path = format!("/api/logs?page_size=1&end_time={}", Timestamp(middle).to_rfc3339());
        let has_rows = ask(gateway.plain, &path).await?["pagination"]["total_items"] != 0;
        if has_rows { there = middle } else { gone = middle }
    }
    Ok(Timestamp(there))
}
