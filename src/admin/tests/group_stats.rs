use std::time::Duration;

use gpt_load_schema::{
    ids::GroupId,
    key::{KeyHealth, KeyState},
    log::{RequestLog, RequestType},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{logs::row, support::Api};

fn ago(hours: u64) -> Timestamp {
    Timestamp::now() - Duration::from_secs(hours * 3600)
}

fn triple(total: i64, failed: i64, rate: f64) -> Value {
    json!({"total_requests": total, "failed_requests": failed, "failure_rate": rate})
}

#[actix_web::test]
async fn a_group_tells_of_its_keys_and_requests_what_each_program_told() {
    let api = Api::start().await;
    let (id, other) = (api.group("team").await, api.group("other").await);
    let keys = ["sk-1", "sk-2", "sk-3", "sk-4", "sk-5", "sk-6", "sk-7"];
    api.keys(id, &keys).await;
    for (key, state) in [
        ("sk-1", KeyState::Pending),
        ("sk-2", KeyState::Degraded),
        ("sk-3", KeyState::Disabled),
        ("sk-4", KeyState::Invalid),
        ("sk-5", KeyState::Invalid),
    ] {
        api.put_into(id, key, KeyHealth::new(state)).await;
    }
    let ended = |hours, is_success, duration_ms| RequestLog { is_success, duration_ms, ..row(id, ago(hours)) };
    api.log(&[
        ended(0, true, 10),
        ended(0, true, 21),
        ended(0, false, 30),
        RequestLog { request_type: RequestType::Retry, ..ended(0, false, 1_000) },
        ended(20, true, 40),
        ended(30, true, 9_000),
        ended(200, false, 9_000),
        ended(800, false, 9_000),
        row(other, ago(0)),
    ])
    .await;
    let expected = json!({
        "key_stats": {
            "total_keys": 7, "active_keys": 2, "invalid_keys": 5,
            "total": 7, "active": 2, "pending": 1, "degraded": 1, "disabled": 1, "invalid": 2,
        },
        "stats_24_hour": triple(4, 1, 0.25),
        "stats_7_day": triple(5, 1, 0.2),
        "stats_30_day": triple(6, 2, 0.3333),
        "hourly_stats": triple(3, 1, 0.3333),
        "daily_stats": triple(4, 1, 0.25),
        "weekly_stats": triple(5, 1, 0.2),
        "total_requests": 4, "successful_requests": 3, "failed_requests": 1,
        "success_rate": 0.75, "avg_response_time": 25,
    });
    assert_eq!(api.get(&format!("/api/groups/{id}/stats")).await.data(), expected);
}

#[actix_web::test]
async fn an_aggregate_counts_what_came_through_it() {
    let api = Api::start().await;
    let member = api.group("member").await;
    api.keys(member, &["sk-1"]).await;
    let body = json!({"name": "all", "channel_type": "openai", "group_type": "aggregate"});
    let id = api.post("/api/groups", body).await.data()["id"].as_i64().unwrap();
    let through = RequestLog { parent: Some((GroupId(id), "all".to_owned())), ..row(member, ago(0)) };
    api.log(&[through, row(member, ago(0))]).await;
    let all = api.get(&format!("/api/groups/{id}/stats")).await.data();
    assert_eq!((&all["stats_24_hour"], &all["hourly_stats"]), (&triple(1, 0, 0.0), &triple(1, 0, 0.0)));
    assert!(all["key_stats"].as_object().unwrap().values().all(|count| count == 0), "{all}");
    let of_member = api.get(&format!("/api/groups/{member}/stats")).await.data();
    assert_eq!((&of_member["stats_24_hour"], &of_member["hourly_stats"]), (&triple(2, 0, 0.0), &triple(2, 0, 0.0)));
}

#[actix_web::test]
async fn a_group_without_requests_has_zeros() {
    let api = Api::start().await;
    let id = api.group("team").await;
    let data = api.get(&format!("/api/groups/{id}/stats")).await.data();
    for window in ["stats_24_hour", "stats_7_day", "stats_30_day", "hourly_stats", "daily_stats", "weekly_stats"] {
        assert_eq!(data[window], triple(0, 0, 0.0), "{window}");
    }
    assert_eq!((&data["success_rate"], &data["avg_response_time"]), (&json!(0.0), &json!(0)));
}

#[actix_web::test]
async fn statistics_need_a_group() {
    let api = Api::start().await;
    for (id, status, code, field) in [
        ("9", 404, "NOT_FOUND", ""),
        ("0", 404, "NOT_FOUND", ""),
        ("x", 400, "BAD_REQUEST", "id"),
        ("1.5", 400, "BAD_REQUEST", "id"),
    ] {
        api.get(&format!("/api/groups/{id}/stats")).await.is_error(status, code, field, id);
    }
}
