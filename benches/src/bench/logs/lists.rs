//! How long lists and statistics take that a person looks at.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use gpt_load_schema::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::super::contestants::PROXY_KEY;
use super::fill::{Filled, RARE_MODEL, name};
use crate::raw::{Client, request};

/// Name of the list that has a target.
pub(super) const TARGETED: &str = "group and one day, page 1";
/// Times that each list is asked for.
const TIMES: usize = 5;

/// What one list took.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Listed {
    pub(super) name: &'static str,
    pub(super) first_ms: f64,
    pub(super) median_ms: f64,
    pub(super) total: Option<i64>,
    pub(super) is_estimate: bool,
    /// Whether only the newest part of the log was searched.
    pub(super) is_bounded: bool,
}

pub(super) fn measure(gateway: SocketAddr, filled: &Filled, tell: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<Listed>> {
    tell("lists");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let day = Duration::from_secs(24 * 3600);
    let within =
        |from: Timestamp, until: Timestamp| format!("start_time={}&end_time={}", from.to_rfc3339(), until.to_rfc3339());
    let middle = within(filled.from + day * 2, filled.from + day * 3);
    let (popular, small) = (name(0), name(7));
    let logs = |query: &str| format!("/api/logs?{query}");
    let pages = [
        (TARGETED, logs(&format!("group_name={popular}&{middle}"))),
        ("small group and one day, page 1", logs(&format!("group_name={small}&{middle}"))),
        ("everything, page 1", logs("")),
        ("everything, page 100", logs("page=100")),
        ("everything, page 5,000", logs("page=5000")),
        ("everything, page 50,000", logs("page=50000")),
        ("everything, page 500,000", logs("page=500000")),
        ("small group, page 1", logs(&format!("group_name={small}"))),
        ("small group, page 10,000", logs(&format!("group_name={small}&page=10000"))),
        ("an aggregate", logs("parent_group_name=bench-aggregate")),
        ("one key", logs(&format!("key_value={}", filled.key))),
        ("failures", logs("is_success=false")),
        ("status 429", logs("status_code=429")),
        ("retries", logs("request_type=retry")),
        ("one group's status 503", logs(&format!("group_name={popular}&status_code=503"))),
        ("part of a common model", logs("model=gpt-4")),
        ("a rare model", logs(&format!("model={RARE_MODEL}"))),
        ("part of an error", logs("error_contains=could+not")),
        ("no such error", logs("error_contains=never+said")),
        ("one address", logs("source_ip=10.0.1.17")),
        ("what follows a row", logs(&format!("after={}&page_size=100", filled.late.0))),
        ("attempts of a request", format!("/api/logs/{}/attempts", filled.late.1)),
        ("dashboard", "/api/dashboard/stats".to_owned()),
        ("dashboard: chart", "/api/dashboard/chart".to_owned()),
        ("dashboard: errors", "/api/dashboard/errors".to_owned()),
        ("dashboard: tokens", "/api/dashboard/tokens".to_owned()),
        ("statistics of a group", "/api/groups/1/stats".to_owned()),
    ];
    pages.into_iter().map(|(name, path)| runtime.block_on(listed(gateway, name, &path))).collect()
}

async fn listed(gateway: SocketAddr, name: &'static str, path: &str) -> anyhow::Result<Listed> {
    let mut times = Vec::with_capacity(TIMES);
    let mut answer = Value::Null;
    for _ in 0..TIMES {
        let begun = Instant::now();
        answer = ask(gateway, path).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let first_ms = times[0];
    times.sort_by(f64::total_cmp);
    let pagination = &answer["pagination"];
    Ok(Listed {
        name,
        first_ms,
        median_ms: times[TIMES / 2],
        total: pagination["total_items"].as_i64(),
        is_estimate: pagination["total_is_estimate"] == true,
        is_bounded: pagination["searched_from"].is_string(),
    })
}

/// `data` of an answer.
pub(super) async fn ask(gateway: SocketAddr, path: &str) -> anyhow::Result<Value> {
    let answer = Client::connect(gateway).await?.exchange(&request("GET", path, PROXY_KEY)).await?;
    let mut json = answer.json();
    ensure!(answer.head.status == 200, "{path}: {} {json}", answer.head.status);
    Ok(json["data"].take())
}
