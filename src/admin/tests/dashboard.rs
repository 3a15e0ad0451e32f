use std::time::Duration;

use actix_web::http::Method;
use gpt_load_schema::{
    ids::GroupId,
    key::{KeyHealth, KeyState},
    log::{RequestLog, RequestType},
    secret::Secret,
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{logs::row, support::Api};

fn ago(minutes: u64) -> Timestamp {
    Timestamp::now() - Duration::from_secs(minutes * 60)
}

#[actix_web::test]
async fn an_empty_node_has_a_dashboard_of_numbers() {
    let data = Api::start().await.get("/api/dashboard/stats").await.data();
    let card = |value: Value, growth: bool| json!({"value": value, "trend": 0.0, "trend_is_growth": growth});
    let keys = json!({"value": 0, "sub_value_tip": "Invalid keys", "trend": 0.0, "trend_is_growth": false});
    assert_eq!(data["key_count"], keys);
    assert_eq!(data["rpm"], card(json!(0.0), true));
    assert_eq!(data["request_count"], card(json!(0), true));
    assert_eq!(data["error_rate"], card(json!(0.0), true));
    let rest =
        ["total_requests", "success_rate", "active_groups", "total_keys", "system_health"].map(|name| &data[name]);
    assert_eq!(rest, [&json!(0), &json!(0.0), &json!(0), &json!(0), &json!("healthy")]);
    assert!(data["security_warnings"].is_array());
    assert_eq!(data.as_object().unwrap().len(), 10);
}

#[actix_web::test]
async fn the_dashboard_counts_each_request_once() {
    let api = Api::start().await;
    let (one, two) = (api.group("one").await, api.group("two").await);
    api.keys(one, &["sk-1", "sk-2", "sk-3"]).await;
    api.keys(two, &["sk-4"]).await;
    api.put_into(one, "sk-2", KeyHealth::new(KeyState::Invalid)).await;
    api.put_into(one, "sk-3", KeyHealth::new(KeyState::Disabled)).await;
    let ended = |minutes, is_success| RequestLog { is_success, ..row(one, ago(minutes)) };
    let through = RequestLog { parent: Some((GroupId(50), "all".to_owned())), ..ended(3, true) };
    let retry = RequestLog { request_type: RequestType::Retry, ..ended(3, false) };
    let day = 24 * 60;
    api.log(&[
        ended(1, true),
        ended(2, false),
        through,
        retry,
        ended(15, true),
        ended(15, true),
        ended(5 * 60, true),
        ended(day + 120, true),
        ended(day + 120, false),
        ended(3 * day, true),
    ])
    .await;
    let data = api.get("/api/dashboard/stats").await.data();
    let keys =
        json!({"value": 2, "sub_value": 1, "sub_value_tip": "Invalid keys", "trend": 0.0, "trend_is_growth": false});
    assert_eq!(data["key_count"], keys);
    assert_eq!(data["rpm"], json!({"value": 0.3, "trend": 50.0, "trend_is_growth": true}));
    assert_eq!(data["request_count"], json!({"value": 6, "trend": 200.0, "trend_is_growth": true}));
    let rate = &data["error_rate"];
    assert!((rate["value"].as_f64().unwrap() - 100.0 / 6.0).abs() < 1e-9, "{rate}");
    assert!((rate["trend"].as_f64().unwrap() - (100.0 / 6.0 - 50.0)).abs() < 1e-9, "{rate}");
    assert_eq!(rate["trend_is_growth"], json!(true));
    let rest =
        ["total_requests", "success_rate", "active_groups", "total_keys", "system_health"].map(|name| &data[name]);
    assert_eq!(rest, [&json!(6), &json!(0.8333), &json!(2), &json!(4), &json!("healthy")]);
    api.put_into(two, "sk-4", KeyHealth::new(KeyState::Disabled)).await;
    let data = api.get("/api/dashboard/stats").await.data();
    assert_eq!((&data["active_groups"], &data["system_health"]), (&json!(1), &json!("degraded")));
}

#[actix_web::test]
async fn weak_secrets_are_named_and_never_shown() {
    let api = Api::start().await;
    let mut body = super::support::group("team");
    body["proxy_keys"] = json!("Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#, short-qwerty-pk");
    api.post("/api/groups", body).await.data();
    api.put("/api/settings", json!({"proxy_keys": "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"})).await.message();
    let answer = api.get("/api/dashboard/stats").await;
    assert!(!answer.text.contains("qwerty") && !answer.text.contains("zzzz"), "{}", answer.text);
    let warnings = answer.data()["security_warnings"].as_array().unwrap().clone();
    let seen: Vec<_> = warnings
        .iter()
        .map(|warning| {
            assert!(["message", "suggestion"].iter().all(|text| !warning[text].as_str().unwrap().is_empty()));
            assert_eq!(warning.as_object().unwrap().len(), 4);
            (warning["type"].as_str().unwrap(), warning["severity"].as_str().unwrap())
        })
        .collect();
    // The management key of the tests is `sk-management`.
    let expected = [
        ("AUTH_KEY", "high"),
        ("ENCRYPTION_KEY", "high"),
        ("Global proxy key #1", "medium"),
        ("Group proxy key [team] #2", "high"),
        ("Group proxy key [team] #2", "high"),
    ];
    assert_eq!(seen, expected);
    let request = Api::request(Method::GET, "/api/dashboard/stats").insert_header(("Accept-Language", "zh"));
    assert_eq!(api.send(request).await.data()["security_warnings"][2]["type"], "全局代理密钥 #1");
}

#[actix_web::test]
async fn the_encryption_key_is_looked_at_where_it_is_known() {
    let api =
        Api::start_as(|state| state.with_encryption_key(Some(&Secret::from("Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#Zr8#")))).await;
    let data = api.get("/api/dashboard/stats").await.data();
    let about: Vec<_> = data["security_warnings"].as_array().unwrap().iter().map(|warning| &warning["type"]).collect();
    assert!(!about.contains(&&json!("ENCRYPTION_KEY")), "{about:?}");
}

#[actix_web::test]
async fn the_chart_has_a_day_of_hours() {
    let api = Api::start().await;
    let id = api.group("team").await;
    let body = json!({"name": "all", "channel_type": "openai", "group_type": "aggregate"});
    let aggregate = api.post("/api/groups", body).await.data()["id"].as_i64().unwrap();
    let ended = |hours: u64, is_success| RequestLog { is_success, ..row(id, ago(hours * 60)) };
    let through = RequestLog { parent: Some((GroupId(aggregate), "all".to_owned())), ..ended(2, true) };
    api.log(&[ended(0, true), ended(0, false), through, ended(23, false), ended(24, true), row(id + 50, ago(0))]).await;
    let chart = async |query: &str| api.get(&format!("/api/dashboard/chart{query}")).await.data();
    let data = chart("").await;
    let labels: Vec<Timestamp> = data["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|label| Timestamp(label.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()))
        .collect();
    assert_eq!(labels.len(), 24);
    assert!(labels.windows(2).all(|pair| pair[1].0 - pair[0].0 == 3_600_000) && labels[23].0 % 3_600_000 == 0);
    assert!((0..3_600_000).contains(&(Timestamp::now().0 - labels[23].0)));
    let line = |hours: &[(usize, i64)]| {
        let mut line = vec![0; 24];
        hours.iter().for_each(|(ago, count)| line[23 - ago] = *count);
        line
    };
    let datasets = |successes: &[(usize, i64)], failures: &[(usize, i64)]| {
        json!([
            {"label": "Success", "data": line(successes), "color": "rgba(10, 200, 110, 1)"},
            {"label": "Error", "data": line(failures), "color": "rgba(255, 70, 70, 1)"},
        ])
    };
    assert_eq!(data["datasets"], datasets(&[(0, 2), (2, 1)], &[(0, 1), (23, 1)]));
    assert_eq!(chart(&format!("?groupId={id}")).await["datasets"], datasets(&[(0, 1), (2, 1)], &[(0, 1), (23, 1)]));
    assert_eq!(chart(&format!("?groupId={aggregate}")).await["datasets"], datasets(&[(2, 1)], &[]));
    assert_eq!(chart("?groupId=").await["datasets"], data["datasets"]);
    for (tag, label) in [("zh", "失败"), ("ja", "エラー")] {
        let request = Api::request(Method::GET, "/api/dashboard/chart").insert_header(("Accept-Language", tag));
        assert_eq!(api.send(request).await.data()["datasets"][1]["label"], label);
    }
}

#[actix_web::test]
async fn the_chart_needs_a_group_that_exists() {
    let api = Api::start().await;
    for (id, status, code, field) in [
        ("99", 404, "NOT_FOUND", ""),
        ("0", 400, "BAD_REQUEST", "groupId"),
        ("-1", 400, "BAD_REQUEST", "groupId"),
        ("x", 400, "BAD_REQUEST", "groupId"),
        ("9223372036854775808", 400, "BAD_REQUEST", "groupId"),
    ] {
        api.get(&format!("/api/dashboard/chart?groupId={id}")).await.is_error(status, code, field, id);
    }
}

#[actix_web::test]
async fn keys_that_are_stored_as_they_should_be_raise_no_alarm() {
    let api = Api::start().await;
    let fine = json!({"has_mismatch": false, "scenario_type": "", "message": "", "suggestion": ""});
    assert_eq!(api.get("/api/dashboard/encryption-status").await.data(), fine, "no keys");
    let id = api.group("team").await;
    api.keys(id, &["sk-1", "sk-2"]).await;
    assert_eq!(api.get("/api/dashboard/encryption-status").await.data(), fine);
}

#[actix_web::test]
async fn errors_and_tokens_are_told_for_all_and_for_a_group() {
    use gpt_load_schema::log::{OutcomeClass, TokenUsage};
    let api = Api::start().await;
    let (one, two) = (api.group("one").await, api.group("two").await);
    let usage = TokenUsage { input: Some(100), output: Some(20), cached: Some(30), reasoning: Some(5) };
    let served = |group, minutes| RequestLog { usage, class: Some(OutcomeClass::Success), ..row(group, ago(minutes)) };
    let failed = |class, request_type| RequestLog { class, request_type, is_success: false, ..row(one, ago(1)) };
    let hour = 60;
    api.log(&[
        served(one, 0),
        served(two, 0),
        served(one, 30 * hour),
        served(one, 5 * 24 * hour),
        served(one, 20 * 24 * hour),
        failed(Some(OutcomeClass::RateLimited), RequestType::Retry),
        failed(Some(OutcomeClass::RateLimited), RequestType::Final),
        failed(None, RequestType::Final),
    ])
    .await;
    let errors = json!({"hours": 24, "errors": [
        {"class": "rate_limited", "attempts": 2, "requests": 1},
        {"class": "gateway", "attempts": 1, "requests": 1},
    ]});
    assert_eq!(api.get("/api/dashboard/errors").await.data(), errors);
    assert_eq!(
        api.get(&format!("/api/dashboard/errors?groupId={two}")).await.data(),
        json!({"hours": 24, "errors": []})
    );
    let used = |served: i64, attempts: i64| {
        json!({
            "input_tokens": 100 * served, "output_tokens": 20 * served, "cached_tokens": 30 * served,
            "reasoning_tokens": 5 * served, "attempts": attempts,
        })
    };
    let tokens = api.get("/api/dashboard/tokens").await.data();
    let expected = json!({
        "tokens_24_hour": used(2, 5), "tokens_previous_24_hour": used(1, 1),
        "tokens_7_day": used(4, 7), "tokens_30_day": used(5, 8),
    });
    assert_eq!(tokens, expected);
    let of_two = api.get(&format!("/api/dashboard/tokens?groupId={two}")).await.data();
    assert_eq!((&of_two["tokens_24_hour"], &of_two["tokens_30_day"]), (&used(1, 1), &used(1, 1)));
    for path in ["errors", "tokens"] {
        api.get(&format!("/api/dashboard/{path}?groupId=x")).await.is_error(400, "BAD_REQUEST", "groupId", path);
        api.get(&format!("/api/dashboard/{path}?groupId=99")).await.is_error(404, "NOT_FOUND", "", path);
    }
}
