//! What the web UI of earlier programs does, call by call, reading the fields that it reads in the types that it needs
//! (management-api.md 9.4), and the traps that it would fall into (9.5).

use serde_json::{Value, json};

use super::World;
use crate::support::{AUTH_KEY, Request};

/// Type of a field: `s`tring, `i`nteger, `n`umber, `b`oolean, `a`rray, `o`bject; `?` after it = may be `null` or absent.
fn read(value: &Value, fields: &str) {
    for field in fields.split_whitespace() {
        let (path, kind) = field.split_once(':').unwrap();
        let found = path.split('.').fold(value, |at, part| part.parse::<usize>().map_or(&at[part], |index| &at[index]));
        let is_fine = match kind.trim_end_matches('?') {
            "s" => found.is_string(),
            "i" => found.is_i64(),
            "n" => found.is_number(),
            "b" => found.is_boolean(),
            "a" => found.is_array(),
            "o" => found.is_object(),
            "v" => found.is_i64() || found.is_boolean() || found.is_string(),
            _ => panic!("{field}"),
        };
        assert!(is_fine || (kind.ends_with('?') && found.is_null()), "{path} is {found} in {value:#}");
    }
}

impl World {
    /// A call of the UI that shows the answer's message.
    async fn toast(&self, method: &str, path: &str, body: &str) {
        let got = self.send(method, &self.filled(path), self.filled(body)).await;
        assert_eq!(got.status, 200, "{method} {path}: {}", got.text);
        assert!(!got.json()["message"].as_str().unwrap().is_empty(), "{}", got.text);
    }
}

#[actix_web::test]
async fn the_login_page_finds_what_it_reads() {
    let world = World::new().await;
    let good = world.send_as(Request::new("POST", "/api/auth/login"), format!(r#"{{"auth_key": "{AUTH_KEY}"}}"#)).await;
    assert_eq!((good.status, &good.json()["success"]), (200, &json!(true)));
    let bad = world.send_as(Request::new("POST", "/api/auth/login"), r#"{"auth_key": "guess"}"#).await;
    assert_eq!((bad.status, &bad.json()["success"]), (401, &json!(false)));
    read(&bad.json(), "message:s");
}

#[actix_web::test]
async fn the_dashboard_finds_what_it_reads() {
    let world = World::new().await;
    let stats = world.api("GET", "/api/dashboard/stats", "").await;
    read(
        &stats,
        "key_count.value:n key_count.sub_value:i? key_count.sub_value_tip:s? rpm.value:n rpm.trend:n rpm.trend_is_growth:b \
         request_count.value:n request_count.trend:n request_count.trend_is_growth:b error_rate.value:n error_rate.trend:n \
         error_rate.trend_is_growth:b security_warnings:a",
    );
    assert_eq!(stats["key_count"]["sub_value"], 1, "the invalid key");
    // AUTH_KEY of the tests and a missing ENCRYPTION_KEY are worth a warning each.
    read(&stats, "security_warnings.0.severity:s security_warnings.0.message:s security_warnings.0.suggestion:s");
    let status = world.api("GET", "/api/dashboard/encryption-status", "").await;
    read(&status, "has_mismatch:b scenario_type:s message:s suggestion:s");
    let names = world.api("GET", "/api/groups/list", "").await;
    read(&names, "0.id:i 0.name:s 0.display_name:s");
    for path in ["/api/dashboard/chart", "/api/dashboard/chart?groupId=$group"] {
        let chart = world.api("GET", path, "").await;
        read(&chart, "labels.23:s datasets.0.label:s datasets.0.data.23:i datasets.0.color:s datasets.1.data.0:i");
        assert_eq!((chart["labels"].as_array().unwrap().len(), chart["datasets"].as_array().unwrap().len()), (24, 2));
    }
}

#[actix_web::test]
async fn the_group_pages_find_what_they_read() {
    let world = World::new().await;
    let groups = world.api("GET", "/api/groups", "").await;
    for group in groups.as_array().unwrap() {
        read(
            group,
            "id:i name:s display_name:s channel_type:s group_type:s sort:i endpoint:s proxy_keys:s description:s test_model:s \
             validation_endpoint:s upstreams:a config:o? header_rules:a? model_redirect_rules:o model_redirect_strict:b \
             param_overrides:o?",
        );
    }
    world
        .toast("PUT", "/api/groups/reorder", r#"{"items": [{"id": $group, "sort": 10}, {"id": $other, "sort": 20}]}"#)
        .await;
    let stats = world.api("GET", "/api/groups/$group/stats", "").await;
    read(&stats, "key_stats.total_keys:i key_stats.active_keys:i key_stats.invalid_keys:i");
    for window in ["stats_24_hour", "stats_7_day", "stats_30_day"] {
        read(&stats[window], "total_requests:i failed_requests:i failure_rate:n");
    }
    assert_eq!((&stats["key_stats"]["total_keys"], &stats["key_stats"]["invalid_keys"]), (&json!(4), &json!(1)));
    for option in world.api("GET", "/api/groups/config-options", "").await.as_array().unwrap() {
        read(option, "key:s name:s description:s default_value:v");
    }
    let parents = world.api("GET", "/api/groups/$member/parent-aggregate-groups", "").await;
    read(&parents, "0.group_id:i 0.name:s 0.display_name:s 0.weight:i");
    assert!(world.api("GET", "/api/channel-types", "").await.as_array().unwrap().iter().all(Value::is_string));
    let members = world.api("GET", "/api/groups/$aggregate/sub-groups", "").await;
    read(
        &members,
        "0.group.id:i 0.group.name:s 0.group.display_name:s 0.weight:i 0.total_keys:i 0.active_keys:i 0.invalid_keys:i",
    );
}

#[actix_web::test]
async fn the_group_forms_find_what_they_read() {
    let world = World::new().await;
    let form = r#"{"name": "form", "display_name": "", "description": "", "upstreams": [{"url": "https://a.example", "weight": 1}],
        "channel_type": "openai", "sort": 1, "test_model": "m", "validation_endpoint": "", "param_overrides": {},
        "model_redirect_rules": {}, "model_redirect_strict": false, "config": {}, "header_rules": [], "proxy_keys": ""}"#;
    let id = world.api("POST", "/api/groups", form).await["id"].as_i64().unwrap();
    assert_eq!(world.api("PUT", &format!("/api/groups/{id}"), form).await["id"], id);
    let aggregate = r#"{"name": "sum", "display_name": "", "description": "", "channel_type": "openai", "sort": 1,
        "proxy_keys": "", "group_type": "aggregate"}"#;
    let sum = world.api("POST", "/api/groups", aggregate).await["id"].as_i64().unwrap();
    assert_eq!(world.api("PUT", &format!("/api/groups/{sum}"), aggregate).await["id"], sum);
    let members = format!(r#"{{"sub_groups": [{{"group_id": {id}, "weight": 1}}]}}"#);
    world.toast("POST", &format!("/api/groups/{sum}/sub-groups"), &members).await;
    world.toast("PUT", &format!("/api/groups/{sum}/sub-groups/{id}/weight"), r#"{"weight": 2}"#).await;
    let fraction = world.send("PUT", &format!("/api/groups/{sum}/sub-groups/{id}/weight"), r#"{"weight": 2.5}"#).await;
    assert_eq!(fraction.told(), "400 INVALID_JSON weight");
    world.toast("DELETE", &format!("/api/groups/{sum}/sub-groups/{id}"), "").await;
    let copied = world.api("POST", "/api/groups/$other/copy", r#"{"copy_keys": "all"}"#).await;
    read(&copied, "group.id:i group.name:s group.display_name:s");
    world.toast("DELETE", &format!("/api/groups/{id}"), "").await;
}

#[actix_web::test]
async fn the_key_table_finds_what_it_reads() {
    let world = World::new().await;
    for size in [12, 24, 60, 120] {
        let page = world.api("GET", &format!("/api/keys?group_id=$group&page=1&page_size={size}"), "").await;
        read(&page, "items:a pagination.total_items:i pagination.total_pages:i");
        for key in page["items"].as_array().unwrap() {
            read(key, "id:i key_value:s status:s notes:s request_count:i failure_count:i last_used_at:s?");
        }
    }
    let one =
        world.api("GET", "/api/keys?group_id=$group&page=1&page_size=12&status=invalid&key_value=sk-bad", "").await;
    assert_eq!((one["items"].as_array().unwrap().len(), &one["items"][0]["status"]), (1, &json!("invalid")));
    let tested = world.api("POST", "/api/keys/test-multiple", r#"{"group_id": $group, "keys_text": "sk-one"}"#).await;
    read(&tested, "results.0.is_valid:b results.0.error:s? total_duration:i");
    world.toast("POST", "/api/keys/restore-multiple", r#"{"group_id": $group, "keys_text": "sk-bad"}"#).await;
    world.toast("POST", "/api/keys/delete-multiple", r#"{"group_id": $group, "keys_text": "sk-bad"}"#).await;
    world.toast("PUT", "/api/keys/$key/notes", r#"{"notes": "mine"}"#).await;
    assert_eq!(world.api("GET", "/api/keys/$key", "").await["notes"], "mine");
    let path = world.filled(&format!("/api/keys/export?group_id=$group&status=active&key={AUTH_KEY}"));
    let file = world.send_as(Request::new("GET", &path), "").await;
    let mut lines: Vec<_> = file.text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["sk-one", "sk-three", "sk-two"]);
    world.toast("POST", "/api/keys/restore-all-invalid", r#"{"group_id": $other}"#).await;
    world.toast("POST", "/api/keys/clear-all-invalid", r#"{"group_id": $other}"#).await;
    world.toast("POST", "/api/keys/clear-all", r#"{"group_id": $other}"#).await;
}

#[actix_web::test]
async fn the_logs_and_settings_pages_find_what_they_read() {
    let world = World::new().await;
    for (size, filter) in
        [(15, ""), (30, "&is_success=true"), (50, "&start_time=2020-01-01T00:00:00.000Z"), (100, "&model=test")]
    {
        let got = world.send("GET", &format!("/api/logs?page=1&page_size={size}{filter}"), "").await.json();
        assert_eq!(got["code"], 0);
        read(&got["data"], "items:a pagination.total_items:i");
        assert_eq!(got["data"]["items"].as_array().unwrap().len(), 1, "{filter}");
        read(
            &got["data"]["items"][0],
            "timestamp:s group_name:s parent_group_name:s key_value:s model:s is_success:b source_ip:s status_code:i \
             request_path:s duration_ms:i error_message:s user_agent:s request_type:s upstream_addr:s is_stream:b request_body:s",
        );
    }
    let none = world.api("GET", "/api/logs?is_success=false", "").await;
    assert_eq!(none["items"], json!([]));
    let file =
        world.send_as(Request::new("GET", &format!("/api/logs/export?group_name=default&key={AUTH_KEY}")), "").await;
    assert!(file.text.starts_with("key_value,group_name,status_code\n"), "{}", file.text);
    let categories = world.api("GET", "/api/settings", "").await;
    let mut all = serde_json::Map::new();
    for category in categories.as_array().unwrap() {
        read(category, "category_name:s settings:a");
        for setting in category["settings"].as_array().unwrap() {
            read(setting, "key:s name:s value:v type:s min_value:i? description:s required:b");
            all.insert(setting["key"].as_str().unwrap().to_owned(), setting["value"].clone());
        }
    }
    // The page sends every setting, as it was shown.
    world.toast("PUT", "/api/settings", &Value::Object(all).to_string()).await;
}

#[actix_web::test]
async fn lists_are_arrays_even_when_empty() {
    let world = World::new().await;
    for path in ["/api/keys?group_id=$empty", "/api/keys?group_id=$group&page=99", "/api/logs?model=none"] {
        assert_eq!(world.api("GET", path, "").await["items"], json!([]), "{path}");
    }
    for path in ["/api/groups/$lone/sub-groups", "/api/groups/$group/parent-aggregate-groups"] {
        assert_eq!(world.api("GET", path, "").await, json!([]), "{path}");
    }
}

#[actix_web::test]
async fn numbers_of_the_dashboard_are_numbers_before_the_first_request() {
    let gateway = crate::support::Gateway::start().await;
    let stats = gateway.api("GET", "/api/dashboard/stats", &Value::Null).await;
    read(
        &stats,
        "rpm.value:n rpm.trend:n error_rate.value:n error_rate.trend:n request_count.value:n request_count.trend:n",
    );
    read(&stats, "key_count.value:n key_count.trend:n");
    assert_eq!(gateway.api("GET", "/api/groups", &Value::Null).await, json!([]));
}

#[actix_web::test]
async fn a_member_of_an_aggregate_takes_what_the_form_always_sends() {
    let world = World::new().await;
    let same = r#"{"channel_type": "openai", "validation_endpoint": "", "display_name": "M"}"#;
    assert_eq!(world.api("PUT", "/api/groups/$member", same).await["display_name"], "M");
    let other = world.send("PUT", &world.filled("/api/groups/$member"), r#"{"channel_type": "gemini"}"#).await;
    assert_eq!(other.told(), "400 VALIDATION_FAILED channel_type");
}

#[actix_web::test]
async fn empty_values_clear() {
    let world = World::new().await;
    let full = r#"{"display_name": "D", "description": "d", "validation_endpoint": "/v1/models", "proxy_keys": "pk-1",
        "param_overrides": {"a": 1}, "config": {"max_retries": 1}, "header_rules": [{"key": "X-A", "value": "", "action": "remove"}],
        "model_redirect_rules": {"a": "b"}}"#;
    let set = world.api("PUT", "/api/groups/$other", full).await;
    assert_eq!((&set["config"], &set["proxy_keys"]), (&json!({"max_retries": 1}), &json!("pk-1")));
    let empty = r#"{"display_name": "", "description": "", "validation_endpoint": "", "proxy_keys": "", "param_overrides": {},
        "config": {}, "header_rules": [], "model_redirect_rules": {}}"#;
    let cleared = world.api("PUT", "/api/groups/$other", empty).await;
    for name in ["display_name", "description", "validation_endpoint", "proxy_keys"] {
        assert_eq!(cleared[name], "", "{name}");
    }
    for name in ["param_overrides", "config", "header_rules", "model_redirect_rules"] {
        let is_empty = match &cleared[name] {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(members) => members.is_empty(),
            _ => false,
        };
        assert!(is_empty, "{name}: {}", cleared[name]);
    }
}

#[actix_web::test]
async fn a_task_is_told_by_the_groups_name_and_a_steady_end() {
    let world = World::new().await;
    world.toast("POST", "/api/keys/validate-group", r#"{"group_id": $group}"#).await;
    let begun = std::time::Instant::now();
    let ended = loop {
        let task = world.api("GET", "/api/tasks/status", "").await;
        read(&task, "task_type:s is_running:b processed:i total:i group_name:s");
        if task["is_running"] == false {
            break task;
        }
        assert!(begun.elapsed() < crate::support::PATIENCE, "the task does not end: {task}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!(ended["group_name"], "default");
    read(&ended, "result:o finished_at:s");
    for _ in 0..3 {
        assert_eq!(world.api("GET", "/api/tasks/status", "").await["finished_at"], ended["finished_at"]);
    }
}

#[actix_web::test]
async fn what_was_saved_is_what_is_read_next() {
    let world = World::new().await;
    for round in 0..5 {
        let name = format!("renamed-{round}");
        world.toast("PUT", "/api/groups/$other", &json!({"name": name}).to_string()).await;
        let groups = world.api("GET", "/api/groups", "").await;
        assert!(groups.as_array().unwrap().iter().any(|group| group["name"] == *name), "{name}");
        world.toast("PUT", "/api/settings", &json!({"max_retries": round}).to_string()).await;
        let categories = world.api("GET", "/api/settings", "").await;
        let mut settings = categories.as_array().unwrap().iter().flat_map(|c| c["settings"].as_array().unwrap());
        assert_eq!(settings.find(|setting| setting["key"] == "max_retries").unwrap()["value"], round);
    }
}
