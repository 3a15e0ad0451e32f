//! What the write path and the process say of themselves when they are asked.

use gpt_load_actors::runtime::Runtime;

use super::{
    declared::{
        BUILD_INFO, JOURNAL_BYTES, JOURNAL_LOST, JOURNAL_REPLAYED, JOURNAL_SEGMENTS, JOURNAL_UNREADABLE,
        JOURNAL_UNWRITTEN, LEADER, LEADER_EPOCH, LOG_ROWS_DROPPED, LOG_ROWS_WAITING, LOG_ROWS_WRITTEN,
        OUTCOMES_APPLIED, OUTCOMES_WAITING, RESPAWNS,
    },
    page::Page,
};

/// Shows the write path: log rows, outcomes, journal, leadership.
pub fn show_runtime(runtime: &Runtime, page: &mut Page) {
    let (stats, journal, epoch) = (runtime.stats(), runtime.journal(), runtime.epoch());
    for (metric, value) in [
        (&LOG_ROWS_WAITING, stats.logs_waiting),
        (&LOG_ROWS_WRITTEN, stats.logs_written),
        (&LOG_ROWS_DROPPED, stats.logs_dropped),
        (&OUTCOMES_WAITING, stats.outcomes_waiting),
        (&OUTCOMES_APPLIED, stats.outcomes_applied),
        (&RESPAWNS, stats.respawns),
        (&JOURNAL_BYTES, journal.bytes),
        (&JOURNAL_SEGMENTS, journal.segments),
        (&JOURNAL_LOST, journal.lost),
        (&JOURNAL_UNWRITTEN, journal.unwritten),
        (&JOURNAL_REPLAYED, journal.replayed),
        (&JOURNAL_UNREADABLE, journal.unreadable),
        (&LEADER, u64::from(epoch.is_some())),
        (&LEADER_EPOCH, epoch.map_or(0, |epoch| u64::try_from(epoch.0).unwrap_or(0))),
    ] {
        page.count(metric, &[], value);
    }
}

/// Shows the program and its process.
pub fn show_node(page: &mut Page) {
    page.count(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1);
    #[cfg(target_os = "linux")]
    if let Err(error) = process::show(page) {
        tracing::debug!(%error, "the process does not tell of itself");
    }
}

#[cfg(target_os = "linux")]
mod process {
    use procfs::{
        ProcResult, WithCurrentSystemInfo,
        process::{LimitValue, Process},
    };

    use super::super::{
        declared::{
            PROCESS_CPU, PROCESS_FDS, PROCESS_MAX_FDS, PROCESS_RSS, PROCESS_START, PROCESS_THREADS, PROCESS_VSIZE,
        },
        page::Page,
    };

    pub(super) fn show(page: &mut Page) -> ProcResult<()> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second();
        page.number(&PROCESS_CPU, &[], (stat.utime + stat.stime) as f64 / ticks as f64);
        page.count(&PROCESS_RSS, &[], stat.rss_bytes().get());
        page.count(&PROCESS_VSIZE, &[], stat.vsize);
        page.number(&PROCESS_THREADS, &[], stat.num_threads as f64);
        page.count(&PROCESS_FDS, &[], process.fd_count()? as u64);
        if let LimitValue::Value(most) = process.limits()?.max_open_files.soft_limit {
            page.count(&PROCESS_MAX_FDS, &[], most);
        }
        let started = procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks as f64;
        page.number(&PROCESS_START, &[], started);
        Ok(())
    }
}
