//! Validation over HTTP; the provider is played by what a key's value says.

use std::sync::Arc;

use async_trait::async_trait;
use gpt_load_actors::{
    pool::{Candidate, Verdict},
    routing::GroupRoute,
    validation::{Finding, Prober},
};
use gpt_load_schema::{log::OutcomeClass, time::Timestamp};
use serde_json::{Value, json};

use super::support::{Api, group, with};

struct Played;

#[async_trait]
impl Prober for Played {
    async fn probe(&self, _: &GroupRoute, key: &Candidate) -> Finding {
        let word = key.secret.expose().split('-').nth(1).unwrap_or_default().to_owned();
        if word == "hangs" {
            std::future::pending::<()>().await;
        }
        let class = OutcomeClass::ALL.into_iter().find(|class| class.as_str() == word).unwrap();
        let verdict = Verdict { message: format!("it is {word}"), ..Verdict::new(class, "played") };
        Finding { verdict, upstream: "http://up".into(), model: "m".into(), status: Some(418) }
    }
}

async fn start() -> Api {
    let api = Api::start().await;
    api.state.runtime.begin_validation(Arc::new(Played), "node-1");
    api
}

async fn task_ends(api: &Api) -> Value {
    loop {
        let task = api.get("/api/tasks/status").await.data();
        if task["is_running"] == false {
            return task;
        }
        tokio::task::yield_now().await;
    }
}

#[actix_web::test]
async fn without_a_task_the_record_is_empty() {
    let api = start().await;
    assert_eq!(
        api.get("/api/tasks/status").await.data(),
        json!({"task_type": "", "is_running": false, "processed": 0, "total": 0, "started_at": "0001-01-01T00:00:00Z"})
    );
    api.post("/api/tasks/cancel", json!({})).await.is_error(409, "NO_TASK_RUNNING", "", "nothing runs");
}

#[actix_web::test]
async fn a_groups_keys_are_validated_by_a_task() {
    let api = start().await;
    let id = api.group("default").await;
    api.keys(id, &["sk-success-1", "sk-success-2", "sk-key_invalid-1", "sk-rate_limited-1"]).await;
    let task = api.post("/api/keys/validate-group", json!({"group_id": id, "status": "active"})).await.data();
    assert_eq!(
        (&task["task_type"], &task["group_name"], &task["total"], &task["owner"]),
        (&json!("KEY_VALIDATION"), &json!("default"), &json!(4), &json!("node-1"))
    );
    let task = task_ends(&api).await;
    let result = json!({"total_keys": 4, "valid_keys": 2, "invalid_keys": 1, "validated_keys": 3, "skipped_keys": 1});
    assert_eq!((&task["result"], &task["processed"]), (&result, &json!(4)));
    assert!(task.get("error").is_none());
    let listed = api.get(&format!("/api/keys?group_id={id}&status=invalid")).await.data();
    assert_eq!(listed["items"][0]["key_value"], "sk-key_invalid-1", "the list knows when the task ends");
}

#[actix_web::test]
async fn a_task_that_runs_stands_in_the_way_until_it_is_cancelled() {
    let api = start().await;
    let id = api.group("default").await;
    api.keys(id, &["sk-hangs-1", "sk-hangs-2"]).await;
    let begin = async || api.post("/api/keys/validate-group", json!({"group_id": id, "concurrency": 1})).await;
    assert_eq!(begin().await.data()["is_running"], true);
    begin().await.is_error(409, "TASK_IN_PROGRESS", "", "one at a time");
    let cancelled = api.post("/api/tasks/cancel", json!({})).await.data();
    assert_eq!(cancelled["is_cancelled"], true);
    let task = task_ends(&api).await;
    assert_eq!((&task["error"], &task["result"]["skipped_keys"]), (&json!("cancelled"), &json!(2)));
    assert_eq!(begin().await.data()["is_running"], true);
}

#[actix_web::test]
async fn bad_orders_name_what_is_wrong() {
    let api = start().await;
    let id = api.group("default").await;
    let mut aggregate = with(group("all"), &json!({"group_type": "aggregate"}));
    aggregate.as_object_mut().unwrap().remove("upstreams");
    let aggregate = api.post("/api/groups", aggregate).await.data()["id"].as_i64().unwrap();
    for (body, status, code, field) in [
        (json!({}), 400, "INVALID_JSON", "group_id"),
        (json!({"group_id": 99}), 404, "NOT_FOUND", ""),
        (json!({"group_id": id, "status": "good"}), 400, "VALIDATION_FAILED", "status"),
        (json!({"group_id": id, "concurrency": 0}), 400, "VALIDATION_FAILED", "concurrency"),
        (json!({"group_id": id}), 400, "VALIDATION_FAILED", ""),
        (json!({"group_id": id, "status": "degraded"}), 400, "VALIDATION_FAILED", ""),
        (json!({"group_id": aggregate}), 400, "BAD_REQUEST", "group_id"),
    ] {
        api.post("/api/keys/validate-group", body.clone()).await.is_error(status, code, field, &body.to_string());
    }
    for (body, field) in [
        ("", ""),
        ("[]", ""),
        (r#"{"concurrency": 0}"#, "concurrency"),
        (r#"{"concurrency": 21}"#, "concurrency"),
        (r#"{"batch_size": 9}"#, "batch_size"),
        (r#"{"batch_size": 1001}"#, "batch_size"),
        (r#"{"time_window_hours": -1}"#, "time_window_hours"),
        (r#"{"time_window_hours": 169}"#, "time_window_hours"),
        (r#"{"recent_validation_hours": 25}"#, "recent_validation_hours"),
        (r#"{"include_states": "invalid"}"#, "include_states"),
    ] {
        for path in ["/api/validation/groups", &format!("/api/validation/groups/{id}")] {
            let answer = api.raw(actix_web::http::Method::POST, path, body).await;
            answer.is_error(400, "BAD_REQUEST", field, body);
        }
    }
    api.post("/api/validation/groups/x", json!({})).await.is_error(400, "BAD_REQUEST", "id", "no number");
    api.post("/api/validation/groups/99", json!({})).await.is_error(404, "NOT_FOUND", "", "unknown");
    api.post(&format!("/api/validation/groups/{aggregate}"), json!({})).await.is_error(
        400,
        "BAD_REQUEST",
        "id",
        "aggregate",
    );
    assert_eq!(api.get("/api/tasks/status").await.data()["task_type"], "", "nothing was begun");
}

#[actix_web::test]
async fn named_keys_are_tested_in_their_order() {
    let api = start().await;
    let id = api.group("default").await;
    api.keys(id, &["sk-success-1", "sk-key_invalid-1", "sk-client_error-1"]).await;
    let keys = ["sk-key_invalid-1", "sk-unknown", "sk-client_error-1", "sk-success-1", "sk-key_invalid-1"];
    let body = json!({"group_id": id, "keys": keys, "update_state": false});
    let tested = api.post("/api/keys/test-multiple", body).await.data();
    let invalid = json!({"key_value": "sk-key_invalid-1", "is_valid": false, "class": "key_invalid",
        "error": "[status 418] it is key_invalid"});
    assert_eq!(
        tested["results"],
        json!([
            invalid,
            {"key_value": "sk-unknown", "is_valid": false, "error": "The group does not have this key"},
            {"key_value": "sk-client_error-1", "is_valid": true, "class": "client_error",
                "note": "[status 418] it is client_error"},
            {"key_value": "sk-success-1", "is_valid": true, "class": "success"},
            invalid,
        ])
    );
    assert!(tested["total_duration"].is_u64());
    let count = async || {
        api.get(&format!("/api/keys?group_id={id}&status=active")).await.data()["items"].as_array().unwrap().len()
    };
    assert_eq!(count().await, 3, "nothing was changed");
    api.post("/api/keys/test-multiple", json!({"group_id": id, "keys_text": "sk-key_invalid-1"})).await.data();
    assert_eq!(count().await, 2);
}

#[actix_web::test]
async fn an_increment_counts_exactly() {
    let api = start().await;
    let (one, two) = (api.group("one").await, api.group("two").await);
    api.keys(one, &["sk-success-1", "sk-key_invalid-1", "sk-key_forbidden-1", "sk-upstream_fault-1"]).await;
    api.keys(two, &["sk-success-1"]).await;
    let none = api.post(&format!("/api/validation/groups/{one}"), json!({})).await.data();
    assert_eq!((&none["total_keys"], &none["group_name"]), (&json!(0), &json!("one")), "no key is pending or invalid");
    let body = json!({"include_states": ["active", "nonsense"], "concurrency": 2, "batch_size": 10});
    let counts = |group: &Value| {
        ["total_keys", "validated_keys", "successful_keys", "failed_keys", "skipped_keys"]
            .map(|name| group[name].as_u64().unwrap())
    };
    let done = api.post(&format!("/api/validation/groups/{one}"), body.clone()).await.data();
    assert_eq!(counts(&done), [4, 3, 1, 2, 1]);
    assert!(done["duration_ms"].is_u64());
    let all = api.post("/api/validation/groups", body).await.data();
    let mut totals: Vec<_> =
        all["results"].as_array().unwrap().iter().map(|group| group["total_keys"].clone()).collect();
    totals.sort_by_key(Value::as_u64);
    assert_eq!(all["results"].as_array().unwrap().len(), 2);
    assert_eq!(all["summary"]["total_groups"], 2);
    assert_eq!(totals.iter().filter_map(Value::as_u64).sum::<u64>(), all["summary"]["total_keys"].as_u64().unwrap());
    let nonsense = json!({"include_states": ["nonsense"]});
    let none = api.post(&format!("/api/validation/groups/{one}"), nonsense).await.data();
    assert_eq!(counts(&none), [0; 5]);
}

#[actix_web::test]
async fn the_history_shows_where_the_keys_stand() {
    let api = start().await;
    let id = api.group("default").await;
    api.keys(id, &["sk-success-1", "sk-success-2", "sk-success-3", "sk-success-4"]).await;
    let validated = |state, hours: i64| gpt_load_schema::key::KeyHealth {
        last_validated_at: Some(Timestamp(Timestamp::now().0 - hours * 3_600_000 - 60_000)),
        ..gpt_load_schema::key::KeyHealth::new(state)
    };
    use gpt_load_schema::key::KeyState::{Degraded, Disabled, Invalid};
    api.put_into(id, "sk-success-1", validated(Invalid, 0)).await;
    api.put_into(id, "sk-success-2", validated(Degraded, 2)).await;
    api.put_into(id, "sk-success-3", validated(Disabled, 30)).await;
    let path = format!("/api/validation/groups/{id}/history");
    for (query, hours, count, rate) in [
        ("", 24, 2, 0.5),
        ("?hours=1", 1, 1, 0.25),
        ("?hours=168", 168, 3, 0.75),
        ("?hours=169", 24, 2, 0.5),
        ("?hours=x", 24, 2, 0.5),
    ] {
        assert_eq!(
            api.get(&format!("{path}{query}")).await.data(),
            json!({"group_id": id, "time_range": hours, "history": {"total_keys": 4, "validated_keys": count,
                "pending_keys": 0, "active_keys": 1, "invalid_keys": 1, "degraded_keys": 1, "disabled_keys": 1,
                "validation_rate": rate}}),
            "{query}"
        );
    }
    let unknown = api.get("/api/validation/groups/99/history").await.data();
    assert_eq!((&unknown["history"]["total_keys"], &unknown["history"]["validation_rate"]), (&json!(0), &json!(0.0)));
}

#[actix_web::test]
async fn a_node_that_cannot_ask_says_so() {
    let api = Api::start().await;
    let id = api.group("default").await;
    api.keys(id, &["sk-success-1"]).await;
    let answer = api.post("/api/keys/validate-group", json!({"group_id": id})).await;
    answer.is_error(503, "SERVICE_UNAVAILABLE", "", "no prober");
    assert!(answer.headers.contains_key("retry-after"));
}
