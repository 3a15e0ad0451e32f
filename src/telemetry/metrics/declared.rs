//! Every metric of a node, declared once: what `/metrics` shows, what docs/OBSERVABILITY.md says, and what dashboards and
//! alert rules may use.

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the node.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size: `_bucket` with the label `le`, `_sum`, `_count`.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name; of a counter it ends with `_total`, units are base units.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// Its labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// What it counts, in one sentence.
    pub help: &'static str,
}

impl Metric {
    /// The names under which a database of metrics knows it.
    pub fn series(&self) -> Vec<String> {
        let of = |suffix| format!("{}{suffix}", self.name);
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![of("")],
            Kind::Histogram => vec![of("_bucket"), of("_sum"), of("_count")],
        }
    }
}

/// What a group of metrics is about, and its metrics.
pub type Section = (&'static str, &'static [Metric]);

/// Makes a constant of each row, and [`SECTIONS`] of all.
macro_rules! metrics {
    ($($section:literal { $($constant:ident $kind:ident $name:literal [$($label:literal),*] $help:literal)* })*) => {
        $($(
            #[doc = $help]
            pub const $constant: Metric =
                Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )*)*

        /// Every metric, in the order of the documentation.
        pub const SECTIONS: &[Section] = &[$(($section, &[$($constant),*])),*];
    };
}

metrics! {
    "Requests" {
        REQUESTS Counter "gpt_load_requests_total" ["group", "class", "status"]
            "Requests that ended; class refused = by the gateway itself, group empty = before a group was found or entered"
        REFUSALS Counter "gpt_load_refusals_total" ["code"]
            "Requests that the gateway refused itself, by the code of its error"
        REQUEST_DURATION Histogram "gpt_load_request_duration_seconds" ["group"]
            "Time from the arrival of a request to the end of its answer"
        FIRST_BYTE Histogram "gpt_load_time_to_first_byte_seconds" ["group"]
            "Time from the arrival of a request to the first byte of its answer"
        GATEWAY_DURATION Histogram "gpt_load_gateway_duration_seconds" ["group"]
            "The gateway's own share of the time to first byte: without reading the request and without waiting for upstreams"
        TOKENS Counter "gpt_load_tokens_total" ["group", "model", "kind"]
            "Tokens as providers counted them; input includes cached, output includes reasoning; model other = beyond the first 100"
        IN_FLIGHT Gauge "gpt_load_requests_in_flight" []
            "Requests in progress"
        IN_FLIGHT_LIMIT Gauge "gpt_load_requests_in_flight_limit" []
            "MAX_CONCURRENT_REQUESTS"
    }
    "Attempts and upstreams" {
        ATTEMPTS Counter "gpt_load_attempts_total" ["group", "class"]
            "Calls to upstreams that ended, by outcome class"
        UPSTREAM_DURATION Histogram "gpt_load_upstream_duration_seconds" ["group"]
            "Time from the sending of a call to the head of its answer, connecting included"
        CIRCUIT Gauge "gpt_load_upstream_circuit" ["group", "upstream", "state"]
            "1 for the state in which the circuit breaker of an upstream is: closed, open or probing; 0 for the others"
        CONSECUTIVE_FAULTS Gauge "gpt_load_upstream_consecutive_faults" ["group", "upstream"]
            "Faults of an upstream since its last success"
    }
    "Keys" {
        KEYS Gauge "gpt_load_keys" ["group", "state"]
            "Keys by state"
        KEYS_RESTING Gauge "gpt_load_keys_resting" ["group"]
            "Keys that may serve but rest now, in a cooldown or because nothing is left of a limit"
        GUARD_EPISODES Gauge "gpt_load_pool_guard_episodes" ["group"]
            "Causes for which the pool guard holds failures back now; 0 = all is normal"
        GUARD_FAILED Gauge "gpt_load_pool_guard_failed_keys" ["group"]
            "Keys that failed in those episodes"
        GUARD_HELD Gauge "gpt_load_pool_guard_held_keys" ["group"]
            "Keys that would be out but for the pool guard"
    }
    "Writing" {
        LOG_ROWS_WAITING Gauge "gpt_load_log_rows_waiting" []
            "Rows of the request log that wait for the database"
        LOG_ROWS_WRITTEN Counter "gpt_load_log_rows_written_total" []
            "Rows of the request log that the database took"
        LOG_ROWS_DROPPED Counter "gpt_load_log_rows_dropped_total" []
            "Rows of the request log that were lost because the database could not take them in time"
        OUTCOMES_WAITING Gauge "gpt_load_outcomes_waiting" []
            "Outcomes of attempts that wait for the actor of their group"
        OUTCOMES_APPLIED Counter "gpt_load_outcomes_applied_total" []
            "Outcomes of attempts that are done with"
        JOURNAL_BYTES Gauge "gpt_load_journal_bytes" []
            "Size of the journal's files"
        JOURNAL_SEGMENTS Gauge "gpt_load_journal_segments" []
            "Files of the journal"
        JOURNAL_LOST Counter "gpt_load_journal_records_lost_total" []
            "Log rows that neither the journal nor memory had room for"
        JOURNAL_UNWRITTEN Counter "gpt_load_journal_records_unwritten_total" []
            "Records that could not be written to the journal, for instance because the disk is full"
        JOURNAL_REPLAYED Counter "gpt_load_journal_records_replayed_total" []
            "Records of earlier runs that were read again"
        JOURNAL_UNREADABLE Counter "gpt_load_journal_records_unreadable_total" []
            "Records of earlier runs that could not be read"
        RESPAWNS Counter "gpt_load_actor_restarts_total" []
            "Actors that were rebuilt after a panic"
        SPANS_EXPORTED Counter "gpt_load_spans_exported_total" []
            "Spans that the collector of traces took"
        SPANS_DROPPED Counter "gpt_load_spans_dropped_total" []
            "Spans that were lost because the collector of traces was too slow, away or unwilling"
    }
    "Node" {
        BUILD_INFO Gauge "gpt_load_build_info" ["version"]
            "1, with the version of the program"
        LEADER Gauge "gpt_load_leader" []
            "Whether this node leads: 1 or 0"
        LEADER_EPOCH Gauge "gpt_load_leader_epoch" []
            "The term in which this node leads; 0 when it does not"
        PROCESS_CPU Counter "process_cpu_seconds_total" []
            "Processor time of the process, user and system"
        PROCESS_RSS Gauge "process_resident_memory_bytes" []
            "Memory of the process that is in RAM"
        PROCESS_VSIZE Gauge "process_virtual_memory_bytes" []
            "Address space of the process"
        PROCESS_THREADS Gauge "process_threads" []
            "Threads of the process"
        PROCESS_FDS Gauge "process_open_fds" []
            "Open files and sockets of the process"
        PROCESS_MAX_FDS Gauge "process_max_fds" []
            "Open files and sockets that the process may have"
        PROCESS_START Gauge "process_start_time_seconds" []
            "Start of the process in seconds since 1970"
    }
}

/// Every metric.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    SECTIONS.iter().flat_map(|(_, metrics)| metrics.iter())
}

/// Whether `name` is a series that a node may have: of a metric as it is, of a histogram one of its three.
pub fn is_series(name: &str) -> bool {
    all().any(|metric| metric.series().iter().any(|series| series == name))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let mut seen = HashSet::new();
        for metric in all() {
            let Metric { name, kind, labels, help } = *metric;
            assert!(seen.insert(name), "{name} twice");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!(name.starts_with("gpt_load_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
            assert!(!help.is_empty() && !help.contains(['\n', '|', '\\']), "{name}");
            assert!(labels.iter().all(|label| !["le", "quantile", "job", "instance"].contains(label)), "{name}");
        }
    }

    #[test]
    fn a_histogram_is_known_by_its_three_series_only() {
        for (name, expected) in [
            ("gpt_load_requests_total", true),
            ("gpt_load_requests", false),
            ("gpt_load_request_duration_seconds_bucket", true),
            ("gpt_load_request_duration_seconds_sum", true),
            ("gpt_load_request_duration_seconds_count", true),
            ("gpt_load_request_duration_seconds", false),
            ("gpt_load_keys_bucket", false),
        ] {
            assert_eq!(is_series(name), expected, "{name}");
        }
    }
}
