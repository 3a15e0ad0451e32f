//! `GET /health`, `/health/live`, `/health/ready`: no key needed, nothing secret said. What is wrong, and with which group,
//! is said to holders of the management key only.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use gpt_load_schema::{store::KeyCounts, time::Timestamp};
use serde_json::json;

use super::{AdminState, auth::presented_key, cluster, envelope, guard_view};

/// How long the database may take to prove that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The process answers: always 200, without asking anyone. With the management key, also what people should know.
pub(super) async fn health(state: web::Data<AdminState>, request: HttpRequest) -> HttpResponse {
    let now = Timestamp::now();
    let mut body = json!({
        "status": "healthy",
        "timestamp": whole_seconds(now),
        "uptime": duration_text(now.since(state.app.started_at)),
        "version": state.app.version,
    });
    let cluster = state.peers().cluster();
    if cluster.is_shared {
        body["role"] = json!(if cluster.lease.current().is_some() { "leader" } else { "follower" });
    }
    if may_know_more(&state, &request) {
        let warnings = warnings(&state);
        if !warnings.is_empty() {
            body["warnings"] = json!(warnings);
        }
    }
    envelope::json(StatusCode::OK, &body)
}

/// The process answers.
pub(super) async fn live() -> HttpResponse {
    envelope::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// The node can do its work: groups are known, the database answers, and, in a cluster, somebody leads.
pub(super) async fn ready(state: web::Data<AdminState>) -> HttpResponse {
    let database = match tokio::time::timeout(PING_TIMEOUT, state.store.ping()).await {
        Ok(Ok(())) => "ok",
        Ok(Err(_)) | Err(_) => "unavailable",
    };
    let routing = if state.routing.load().is_some() { "ok" } else { "starting" };
    let mut checks = json!({"database": database, "routing": routing});
    let cluster = state.peers().cluster();
    let is_led = !cluster.is_shared || cluster::leader(cluster, &cluster.lease.watch().borrow()).is_some();
    if cluster.is_shared {
        checks["leader"] = json!(if is_led { "ok" } else { "unknown" });
    }
    let ready = database == "ok" && routing == "ok" && is_led;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if ready { "ready" } else { "not_ready" };
    let body = json!({"status": word, "checks": checks});
    let mut response = envelope::json(status, &body);
    if !ready {
        response.headers_mut().insert(header::RETRY_AFTER, 2.into());
    }
    response
}

/// Whether the request has the management key or an access token. Who has a wrong one is answered like everyone.
fn may_know_more(state: &AdminState, request: &HttpRequest) -> bool {
    presented_key(request.query_string(), request.headers())
        .is_some_and(|key| matches!(state.identify(&key, request, Instant::now()), Ok(Some(_))))
}

fn warnings(state: &AdminState) -> Vec<String> {
    let stats = state.runtime.stats();
    let mut warnings = Vec::new();
    let journal = state.runtime.journal();
    if journal.unwritten > 0 {
        warnings.push(format!(
            "{} records could not be written to the journal (is the disk full?): a kill may have cost them",
            journal.unwritten
        ));
    }
    if journal.unreadable > 0 {
        warnings.push(format!(
            "{} records of the journal were damaged and are lost; their files are kept as DATA_DIR/journal/*.damaged",
            journal.unreadable
        ));
    }
    if journal.lost > 0 {
        warnings.push(format!("{} log rows were lost: the journal was full (JOURNAL_MAX_BYTES)", journal.lost));
    }
    if stats.logs_dropped > 0 {
        warnings.push(format!(
            "{} request log rows were lost because the database could not take them in time",
            stats.logs_dropped
        ));
    }
    if stats.respawns > 0 {
        warnings.push(format!("{} actors were rebuilt after a panic; see the server log", stats.respawns));
    }
    if let Some(table) = &*state.routing.load() {
        for route in &table.groups {
            let name = &route.group.definition.name;
            warnings.extend(starved(name, route.pool.counts()));
            warnings.extend(route.pool.guard().iter().map(|episode| guard_view::warning(name, episode)));
        }
    }
    warnings
}

/// What is wrong with a group that has keys, none of which may serve.
fn starved(group: &str, counts: KeyCounts) -> Option<String> {
    let KeyCounts { disabled, invalid, .. } = counts;
    (disabled + invalid > 0 && disabled + invalid == counts.total())
        .then(|| format!("group {group}: no key may serve ({disabled} disabled for a while, {invalid} invalid)"))
}

/// RFC 3339 in UTC without a fraction.
fn whole_seconds(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// `1h2m3.5s`: hours and minutes only from the first that is not zero, a fraction without trailing zeros.
fn duration_text(duration: Duration) -> String {
    let (total, millis) = (duration.as_secs(), duration.subsec_millis());
    if total == 0 {
        return if millis == 0 { "0s".to_owned() } else { format!("{millis}ms") };
    }
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    let mut text = String::new();
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if total >= 60 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{seconds}");
    if millis > 0 {
        let fraction = format!("{millis:03}");
        let _ = write!(text, ".{}", fraction.trim_end_matches('0'));
    }
    text + "s"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_reads_as_a_duration() {
        let cases = [
            (0, "0s"),
            (250, "250ms"),
            (1_000, "1s"),
            (1_050, "1.05s"),
            (60_000, "1m0s"),
            (3_723_500, "1h2m3.5s"),
            (360_000_001, "100h0m0.001s"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration_text(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_group_starves_when_it_has_keys_of_which_none_may_serve() {
        let of = |active, disabled, invalid| KeyCounts { active, disabled, invalid, ..KeyCounts::default() };
        for counts in [of(0, 0, 0), of(1, 0, 0), of(1, 5, 5)] {
            assert_eq!(starved("team", counts), None, "{counts:?}");
        }
        let expected = "group team: no key may serve (2 disabled for a while, 1 invalid)";
        assert_eq!(starved("team", of(0, 2, 1)).as_deref(), Some(expected));
    }

    #[test]
    fn the_timestamp_has_whole_seconds() {
        assert_eq!(whole_seconds(Timestamp(1_769_862_896_789)), "2026-01-31T12:34:56Z");
    }
}
