//! `GET /api/groups/{id}/stats`: everything that earlier programs told of a group, in one object.

use std::time::Duration;

use actix_web::web;
use gpt_load_schema::{
    group::GroupType,
    store::{KeyCounts, Requests},
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    AdminState,
    envelope::{ApiResult, Success},
    groups::PathId,
    legacy::ratio,
    windows::{HOUR, hour_of, recent_end, sum},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "GroupStats")]
pub(super) struct Body {
    key_stats: Keys,
    stats_24_hour: Window,
    stats_7_day: Window,
    stats_30_day: Window,
    hourly_stats: Window,
    daily_stats: Window,
    weekly_stats: Window,
    total_requests: i64,
    successful_requests: i64,
    failed_requests: i64,
    success_rate: f64,
    avg_response_time: i64,
}

/// `invalid_keys` are all that are not active, `invalid` those in that state.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "GroupKeyStats")]
struct Keys {
    total_keys: i64,
    active_keys: i64,
    invalid_keys: i64,
    total: i64,
    active: i64,
    pending: i64,
    degraded: i64,
    disabled: i64,
    invalid: i64,
}

#[derive(Clone, Copy, JsonSchema, Serialize)]
#[schemars(rename = "RequestStats")]
struct Window {
    total_requests: i64,
    failed_requests: i64,
    failure_rate: f64,
}

/// Keys now, requests in the 24 h, 7 days and 30 days that end with the present hour, and in the last 60 minutes.
pub(super) async fn show(state: web::Data<AdminState>, id: PathId) -> ApiResult {
    let group = state.group(id.0).await?;
    let is_aggregate = group.definition.group_type == GroupType::Aggregate;
    let now = Timestamp::now();
    let end = hour_of(now) + HOUR;
    let keys = if is_aggregate { KeyCounts::default() } else { state.store.group_key_counts(group.id).await? };
    let hours = state.store.hours(Some(group.id), end - DAY * 30, end).await?;
    let recent = recent_end(now);
    let last_hour = state.store.requests_ended(Some(group.id), recent - HOUR, recent).await?;
    let [day, week, month] = [1, 7, 30].map(|days| sum(&hours, end - DAY * days, end));
    Success::data(&Body {
        key_stats: keys.into(),
        stats_24_hour: day.into(),
        stats_7_day: week.into(),
        stats_30_day: month.into(),
        hourly_stats: last_hour.into(),
        daily_stats: day.into(),
        weekly_stats: week.into(),
        total_requests: day.total(),
        successful_requests: day.successes,
        failed_requests: day.failures,
        success_rate: ratio(day.successes, day.total()),
        avg_response_time: mean_duration(day),
    })
}

/// In ms, of the requests whose duration is known; 0 without any.
fn mean_duration(requests: Requests) -> i64 {
    if requests.timed == 0 { 0 } else { (requests.duration_ms as f64 / requests.timed as f64).round() as i64 }
}

impl From<Requests> for Window {
    fn from(requests: Requests) -> Self {
        Self {
            total_requests: requests.total(),
            failed_requests: requests.failures,
            failure_rate: ratio(requests.failures, requests.total()),
        }
    }
}

impl From<KeyCounts> for Keys {
    fn from(counts: KeyCounts) -> Self {
        let total = counts.total();
        let KeyCounts { pending, active, degraded, disabled, invalid } = counts;
        Self {
            total_keys: total,
            active_keys: active,
            invalid_keys: total - active,
            total,
            active,
            pending,
            degraded,
            disabled,
            invalid,
        }
    }
}
