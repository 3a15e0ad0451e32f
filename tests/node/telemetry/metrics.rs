//! `/metrics` of a node that works.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use gpt_load::telemetry::metrics::declared;
use gpt_load_benches::double::{Behaviour, Options};
use gpt_load_schema::channel::Channel;
use serde_json::json;

use super::{sum, value};
use crate::support::{AUTH_KEY, Gateway, Request};

const TOKEN: &str = "metrics-token-never-printed-0123456789";

async fn status(gateway: &Gateway, request: Request) -> u16 {
    gateway.send(&request).await.head.status
}

#[actix_web::test]
async fn metrics_want_their_token_or_any_key_of_the_management_api() {
    let gateway = Gateway::start_with(Options::default(), &[("METRICS_TOKEN", TOKEN)]).await;
    let (_, viewer) = gateway.token("viewer", "viewer").await;
    let ask = || Request::new("GET", "/metrics");
    for key in [TOKEN, AUTH_KEY, &viewer] {
        assert_eq!(status(&gateway, ask().key(key)).await, 200);
    }
    assert_eq!(status(&gateway, Request::new("GET", &format!("/metrics?key={TOKEN}"))).await, 200);
    assert_eq!(status(&gateway, Request::new("POST", "/metrics").key(TOKEN)).await, 405);
    for request in [ask(), ask().key("wrong"), ask().key("")] {
        assert_eq!(status(&gateway, request).await, 401);
    }
    for path in ["/api/groups", "/stats"] {
        assert_eq!(status(&gateway, Request::new("GET", path).key(TOKEN)).await, 401, "the token opens nothing else");
    }
}

#[actix_web::test]
async fn who_guesses_too_often_is_refused_even_with_the_token() {
    let gateway = Gateway::start_with(Options::default(), &[("METRICS_TOKEN", TOKEN)]).await;
    let ask = |key: &str| Request::new("GET", "/metrics").key(key);
    let mut guesses = 0;
    while status(&gateway, ask("wrong")).await == 401 {
        guesses += 1;
        assert!(guesses < 1000);
    }
    assert_eq!(status(&gateway, ask(TOKEN)).await, 429, "or guessing at it would go on");
}

#[actix_web::test]
async fn metrics_are_open_when_that_is_said() {
    let gateway = Gateway::start_with(Options::default(), &[("METRICS_PUBLIC", "true")]).await;
    let answer = gateway.send(&Request::new("GET", "/metrics")).await;
    assert_eq!(answer.head.status, 200);
    assert_eq!(answer.head.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let closed = Gateway::start().await;
    assert_eq!(status(&closed, Request::new("GET", "/metrics")).await, 401, "without a token too");
}

/// A node that has met everything that is counted.
async fn busy() -> Gateway {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &["sk-good", "sk-bad"], json!({"max_retries": 3})).await;
    gateway.double.on_key("sk-bad", Behaviour::invalid_key());
    for stream in [false, true, false] {
        assert_eq!(status(&gateway, Request::chat(stream)).await, 200);
    }
    gateway.double.on_next(1, Behaviour::status(400));
    assert_eq!(status(&gateway, Request::chat(false)).await, 400);
    assert_eq!(status(&gateway, Request::chat_at("/proxy/none/v1/models", false)).await, 404);
    assert_eq!(status(&gateway, Request::new("POST", "/v1/chat/completions").key("wrong")).await, 401);
    gateway.group("empty", Channel::Anthropic, &[], json!({})).await;
    assert_eq!(status(&gateway, Request::chat_at("/proxy/empty/v1/messages", false)).await, 503);
    gateway.double.on_key("sk-good", Behaviour::rate_limited(600));
    assert_eq!(status(&gateway, Request::chat(false)).await, 429);
    gateway.logs().await;
    gateway.pool_until(group, |pool| pool["resting"] == 1 && pool["counts"]["invalid"] == 1).await;
    gateway
}

#[actix_web::test]
async fn everything_that_happened_is_counted_once() {
    let gateway = busy().await;
    let rested = "gpt_load_keys_resting{group=\"default\"}";
    let page = gateway.metrics_until(|page| value(page, rested) == Some(1.0)).await;
    let of = |series: &str| value(&page, series);
    for (series, expected) in [
        ("gpt_load_requests_total{group=\"default\",class=\"success\",status=\"200\"}", 3.0),
        ("gpt_load_requests_total{group=\"default\",class=\"client_error\",status=\"400\"}", 1.0),
        ("gpt_load_requests_total{group=\"default\",class=\"rate_limited\",status=\"429\"}", 1.0),
        ("gpt_load_requests_total{group=\"\",class=\"refused\",status=\"404\"}", 1.0),
        ("gpt_load_requests_total{group=\"\",class=\"refused\",status=\"401\"}", 1.0),
        ("gpt_load_requests_total{group=\"empty\",class=\"refused\",status=\"503\"}", 1.0),
        ("gpt_load_attempts_total{group=\"default\",class=\"success\"}", 3.0),
        ("gpt_load_attempts_total{group=\"default\",class=\"key_invalid\"}", 1.0),
        ("gpt_load_request_duration_seconds_count{group=\"default\"}", 5.0),
        ("gpt_load_time_to_first_byte_seconds_count{group=\"default\"}", 3.0),
        ("gpt_load_gateway_duration_seconds_count{group=\"default\"}", 3.0),
        ("gpt_load_keys{group=\"default\",state=\"active\"}", 1.0),
        ("gpt_load_keys{group=\"default\",state=\"invalid\"}", 1.0),
        ("gpt_load_keys{group=\"empty\",state=\"active\"}", 0.0),
        ("gpt_load_pool_guard_episodes{group=\"default\"}", 0.0),
        ("gpt_load_requests_in_flight", 0.0),
        ("gpt_load_requests_in_flight_limit", 100.0),
        ("gpt_load_log_rows_dropped_total", 0.0),
        ("gpt_load_actor_restarts_total", 0.0),
        ("gpt_load_leader", 1.0),
    ] {
        assert_eq!(of(series), Some(expected), "{series}: {page}");
    }
    assert_eq!(sum(&page, "gpt_load_refusals_total"), 3.0, "{page}");
    let upstream = gateway.double.url();
    let circuit = |state| {
        of(&format!("gpt_load_upstream_circuit{{group=\"default\",upstream=\"{upstream}\",state=\"{state}\"}}"))
    };
    assert_eq!((circuit("closed"), circuit("open"), circuit("probing")), (Some(1.0), Some(0.0), Some(0.0)), "{page}");
    // The last row of a request for which no further key was left repeats its last attempt.
    let rows = gateway.logs().await;
    let attempts: BTreeSet<_> =
        rows.iter().filter(|row| row.attempt > 0).map(|row| (row.request_id, row.attempt)).collect();
    assert_eq!(sum(&page, "gpt_load_attempts_total"), attempts.len() as f64, "{page}");
    let own = of("gpt_load_gateway_duration_seconds_sum{group=\"default\"}").unwrap();
    let all = of("gpt_load_time_to_first_byte_seconds_sum{group=\"default\"}").unwrap();
    assert!(own > 0.0 && own < all, "{own} {all}");
}

#[actix_web::test]
async fn the_page_holds_what_is_declared_and_nothing_else() {
    let gateway = busy().await;
    let page = gateway.metrics().await;
    let shown: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let declared: BTreeSet<_> =
        declared::all().map(|metric| format!("{} {}", metric.name, metric.kind.as_str())).collect();
    assert_eq!(shown, declared.iter().map(String::as_str).collect());
    let mut series = BTreeSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(declared::is_series(name), "{line}");
        assert!(series.insert(line.rsplit_once(' ').unwrap().0), "twice: {line}");
        assert!(!line.contains("sk-good") && !line.contains("sk-bad") && !line.contains(AUTH_KEY), "{line}");
    }
}

#[actix_web::test]
async fn a_group_keeps_its_counts_over_changes_and_takes_them_with_it() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let id = gateway.find_group("default").await.id;
    let counted = "gpt_load_requests_total{group=\"default\",class=\"success\",status=\"200\"}";
    assert_eq!(status(&gateway, Request::chat(false)).await, 200);
    gateway.metrics_until(|page| value(page, counted) == Some(1.0)).await;
    gateway.api("PUT", &format!("/api/groups/{id}"), &json!({"description": "changed"})).await;
    assert_eq!(status(&gateway, Request::chat(false)).await, 200);
    gateway.metrics_until(|page| value(page, counted) == Some(2.0)).await;
    gateway.api("DELETE", &format!("/api/groups/{id}"), &json!(null)).await;
    let page = gateway.metrics_until(|page| value(page, counted).is_none()).await;
    assert!(!page.contains("group=\"default\""), "{page}");
}

#[actix_web::test]
async fn promtool_has_nothing_against_the_page() {
    // Set by tests/with-servers.sh, which gets promtool and fails where it cannot.
    let Ok(promtool) = std::env::var("GPT_LOAD_TEST_PROMTOOL") else { return };
    let gateway = busy().await;
    let page = gateway.metrics().await;
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success() && text.is_empty(), "{text}");
}
