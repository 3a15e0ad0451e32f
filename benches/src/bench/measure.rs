//! One measurement at a time.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::contestants::{Contestant, PROXY_KEY};
use crate::load::{Report, Target, closed, hold, open};

const CONNECTIONS: usize = 64;
const STREAMS: usize = 32;
const BODY: usize = 1024;
/// Connections of the run that looks at the first byte: few, so that nothing waits for a core.
const CALM: usize = 1;

/// What 64 connections get out of a contestant.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Saturated {
    /// Requests a second.
    pub(crate) rate: f64,
    /// CPU time of the contestant for one request, in microseconds.
    pub(crate) cpu_us: f64,
    pub(crate) p99_us: f64,
}

/// What streams of 50 events cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Streamed {
    pub(crate) rate: f64,
    /// CPU time of the contestant for one stream, in microseconds.
    pub(crate) cpu_us: f64,
}

/// What an open stream costs in memory.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Memory {
    pub(crate) streams: usize,
    /// Resident bytes for one stream, above those of the idle program.
    pub(crate) bytes_per_stream: f64,
}

pub(crate) fn warm_up(who: &Contestant, time: Duration) -> anyhow::Result<()> {
    sound(who, &closed(&plain(who), CONNECTIONS, 1, time)?)
}

pub(crate) fn saturated(who: &Contestant, time: Duration) -> anyhow::Result<Saturated> {
    let before = who.process.cpu()?;
    let report = closed(&plain(who), CONNECTIONS, 1, time)?;
    let cpu = who.process.cpu()? - before;
    sound(who, &report)?;
    Ok(Saturated {
        rate: report.rate(),
        cpu_us: per(cpu, report.answers),
        p99_us: micros(report.latency.value_at_quantile(0.99)),
    })
}

/// Latency p99 in microseconds at a fixed rate.
pub(crate) fn p99_at(who: &Contestant, rate: f64, time: Duration) -> anyhow::Result<f64> {
    let report = open(&plain(who), rate.max(1.0), CONNECTIONS, time)?;
    sound(who, &report)?;
    Ok(micros(report.latency.value_at_quantile(0.99)))
}

/// Latency p99 in microseconds at a fixed rate, in windows of `window` for as long as `goes_on` says so after one.
pub(crate) fn p99_while(
    who: &Contestant,
    rate: f64,
    window: Duration,
    mut goes_on: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<f64> {
    let mut all = Vec::new();
    loop {
        let report = open(&plain(who), rate.max(1.0), CONNECTIONS, window)?;
        sound(who, &report)?;
        all.push(report.latency);
        if !goes_on()? {
            break;
        }
    }
    let (first, others) = all.split_first_mut().context("no window was measured")?;
    others.iter().try_for_each(|other| first.add(other))?;
    Ok(micros(first.value_at_quantile(0.99)))
}

pub(crate) fn streamed(who: &Contestant, time: Duration) -> anyhow::Result<Streamed> {
    let before = who.process.cpu()?;
    let report = closed(&stream(who), STREAMS, 1, time)?;
    let cpu = who.process.cpu()? - before;
    sound(who, &report)?;
    Ok(Streamed { rate: report.rate(), cpu_us: per(cpu, report.answers) })
}

/// Median time to the first byte of a stream's body, in microseconds.
pub(crate) fn first_byte(who: &Contestant, time: Duration) -> anyhow::Result<f64> {
    let report = closed(&stream(who), CALM, 1, time)?;
    sound(who, &report)?;
    Ok(micros(report.first_byte.value_at_quantile(0.5)))
}

/// Memory with `count` open streams that say nothing.
pub(crate) fn memory(who: &Contestant, count: usize) -> anyhow::Result<Memory> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let idle = who.process.resident()?;
    runtime.block_on(async {
        let held = hold(&stream(who), count, Duration::from_secs(30)).await;
        let live = held.live();
        ensure!(live > 0, "{} opened none of {count} streams:\n{}", who.name, who.process.last_words());
        let grown = who.process.resident()?.saturating_sub(idle);
        Ok(Memory { streams: live, bytes_per_stream: grown as f64 / live as f64 })
    })
}

fn plain(who: &Contestant) -> Target {
    Target::chat(who.plain, PROXY_KEY, false, BODY)
}

fn stream(who: &Contestant) -> Target {
    Target::chat(who.stream, PROXY_KEY, true, BODY)
}

/// A run with errors measures something else.
fn sound(who: &Contestant, report: &Report) -> anyhow::Result<()> {
    let bad = report.failures + report.statuses.range(400..).map(|(_, count)| count).sum::<u64>();
    ensure!(
        report.answers > 0 && bad * 1000 <= report.answers,
        "{}: {} answers by status {:?}, {} failures\n{}",
        who.name,
        report.answers,
        report.statuses,
        report.failures,
        who.process.last_words()
    );
    Ok(())
}

fn per(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}
