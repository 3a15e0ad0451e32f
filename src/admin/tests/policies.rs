use actix_web::http::Method;
use gpt_load_actors::commands::Command;
use gpt_load_schema::{group::SubGroup, ids::GroupId};
use serde_json::{Value, json};

use super::support::{Api, group, with};
use crate::admin::error::{ApiError, ErrorCode};

fn limit(name: &str) -> Value {
    json!({"name": name, "type": "rate_limit", "config": {"limit": 3, "interval": "1m"}})
}

async fn create(api: &Api, body: Value) -> i64 {
    api.post("/api/policies", body).await.data()["id"].as_i64().unwrap()
}

async fn aggregate(api: &Api, name: &str, members: &[i64]) -> i64 {
    let body = with(group(name), &json!({"group_type": "aggregate", "upstreams": [], "test_model": ""}));
    let id = api.post("/api/groups", body).await.data()["id"].as_i64().unwrap();
    let members = members.iter().map(|id| SubGroup { group_id: GroupId(*id), weight: 1 }).collect();
    api.state.runtime.execute(Command::SetSubGroups(GroupId(id), members)).await.unwrap();
    id
}

#[actix_web::test]
async fn the_built_in_policies_are_ordinary_ones() {
    let api = Api::start().await;
    let all = api.get("/api/policies").await.data();
    let names: Vec<_> = all.as_array().unwrap().iter().map(|policy| policy["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["default-retry", "default-degradation"]);
    assert_eq!(all[0]["group_ids"], json!([]));
    assert_eq!(all[0]["config"]["rules"][0]["backoff_ms"], 2000);
    let path = format!("/api/policies/{}", all[0]["id"]);
    assert_eq!(api.put(&path, json!({"name": "mine", "is_active": false})).await.data()["config"], all[0]["config"]);
    assert_eq!(api.delete(&path).await.message(), "Policy deleted");
    assert_eq!(api.get("/api/policies").await.data().as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn a_policy_is_made_read_changed_and_deleted() {
    let api = Api::start().await;
    let mut made =
        api.post("/api/policies", with(limit(" a "), &json!({"description": " d ", "unknown": 1}))).await.data();
    let id = made["id"].clone();
    for field in ["id", "created_at", "updated_at"] {
        made.as_object_mut().unwrap().remove(field);
    }
    let expected = json!({
        "name": "a", "description": "d", "type": "rate_limit", "priority": 0, "is_active": true, "group_ids": [],
        "config": {"scope": "group", "limit": 3, "interval": "1m"},
    });
    assert_eq!(made, expected);
    let path = format!("/api/policies/{id}");
    assert_eq!(api.get(&path).await.data()["name"], "a");
    let changed = json!({"type": "model_filter", "config": {"type": "exclude", "patterns": ["x*"]}, "priority": -1});
    let changed = api.put(&path, changed).await.data();
    assert_eq!(
        (&changed["type"], &changed["name"], &changed["priority"]),
        (&json!("model_filter"), &json!("a"), &json!(-1))
    );
    api.put(&path, json!({"type": "rate_limit"})).await.is_error(
        400,
        "VALIDATION_FAILED",
        "config.limit",
        "the config stays",
    );

    api.post("/api/policies", limit("a")).await.is_error(409, "DUPLICATE_RESOURCE", "name", "taken");
    assert_eq!(api.delete(&path).await.message(), "Policy deleted");
    api.get(&path).await.is_error(404, "NOT_FOUND", "", "gone");
    api.put(&path, json!({})).await.is_error(404, "NOT_FOUND", "", "gone");
    api.delete(&path).await.is_error(404, "NOT_FOUND", "", "gone");
    api.get("/api/policies/x").await.is_error(400, "BAD_REQUEST", "id", "no number");
}

#[actix_web::test]
async fn rules_may_stand_beside_the_config() {
    let api = Api::start().await;
    let rules = json!([{"name": "r", "conditions": [], "action": "pass"}]);
    let made = api.post("/api/policies", json!({"name": "a", "type": "retry", "rules": rules})).await.data();
    assert_eq!(made["config"]["rules"][0]["action"], "pass");
    let bad = json!([{"conditions": [{"type": "model", "operator": "like", "value": "x"}], "action": "pass"}]);
    let refused = api.post("/api/policies", json!({"name": "b", "type": "retry", "rules": bad})).await;
    refused.is_error(400, "VALIDATION_FAILED", "rules[0].conditions[0].operator", "named where it was sent");
}

#[actix_web::test]
async fn bad_input_is_refused_with_the_field_named() {
    let api = Api::start().await;
    let rule = |rule: Value| json!({"name": "x", "type": "retry", "config": {"rules": [{"action": "pass"}, rule]}});
    let condition = |condition: Value| rule(json!({"action": "retry", "conditions": [condition]}));
    let at = "config.rules[1].conditions[0]";
    for (body, field) in [
        (json!({"type": "retry", "config": {"rules": []}}), "name".to_owned()),
        (json!({"name": "x"}), "type".to_owned()),
        (json!({"name": "x", "type": "magic"}), "type".to_owned()),
        (with(limit("x"), &json!({"config": {"limit": -1, "interval": "1m"}})), "config.limit".to_owned()),
        (with(limit("x"), &json!({"config": {"limit": 1, "interval": "soon"}})), "config.interval".to_owned()),
        (rule(json!({"action": "explode"})), "config.rules[1].action".to_owned()),
        (
            condition(json!({"type": "error_message", "operator": "regex", "value": "a{1000000}"})),
            format!("{at}.value"),
        ),
        (condition(json!({"type": "error_message", "operator": "regex", "value": "("})), format!("{at}.value")),
        (condition(json!({"type": "model", "operator": "sounds_like", "value": "x"})), format!("{at}.operator")),
        (condition(json!({"type": "weather", "operator": "equals", "value": "x"})), format!("{at}.type")),
        (
            json!({"name": "x", "type": "model_filter", "config": {"type": "include", "patterns": ["re:["]}}),
            "config.patterns[0]".to_owned(),
        ),
    ] {
        let answer = api.post("/api/policies", body.clone()).await;
        answer.is_error(400, "VALIDATION_FAILED", &field, &body.to_string());
    }
    api.post("/api/policies", json!({"name": 1})).await.is_error(400, "INVALID_JSON", "name", "no text");
    api.post("/api/policies", json!({"config": []})).await.is_error(400, "INVALID_JSON", "config", "no object");
    let chinese = Api::request(Method::POST, "/api/policies").insert_header(("Accept-Language", "zh-CN"));
    let body = with(limit("x"), &json!({"config": {"limit": 1, "interval": "soon"}}));
    let answer = api.send(chinese.set_payload(body.to_string())).await;
    assert!(answer.json()["message"].as_str().unwrap().contains("有效时长"), "{}", answer.text);
}

#[actix_web::test]
async fn policies_are_attached_to_groups() {
    let api = Api::start().await;
    let (one, two) = (api.group("one").await, api.group("two").await);
    let (a, b) = (create(&api, limit("a")).await, create(&api, limit("b")).await);
    let path = format!("/api/groups/{one}/policies");
    assert_eq!(api.get(&path).await.data(), json!([]));
    let order = |data: &Value| -> Vec<(i64, i64, bool)> {
        let link = |link: &Value| {
            let number = |name: &str| link[name].as_i64().unwrap();
            assert_eq!(link["policy"]["id"], link["policy_id"]);
            (number("policy_id"), number("priority"), link["is_active"].as_bool().unwrap())
        };
        data.as_array().unwrap().iter().map(link).collect()
    };
    let put = api.put(&path, json!({"policies": [{"policy_id": b}, {"policy_id": a, "is_active": false}]})).await;
    assert_eq!(order(&put.data()), [(b, 0, true), (a, 1, false)]);
    let list = json!([{"policy_id": b, "priority": 7}, {"policy_id": a, "priority": 3}]);
    assert_eq!(order(&api.put(&path, list).await.data()), [(a, 3, true), (b, 7, true)], "a bare list does too");
    assert_eq!(order(&api.get(&path).await.data()), [(a, 3, true), (b, 7, true)]);
    api.put(&format!("/api/groups/{two}/policies"), json!([{"policy_id": a}])).await.data();
    assert_eq!(api.get(&format!("/api/policies/{a}")).await.data()["group_ids"], json!([one, two]));

    for (body, field, code) in [
        (json!([{"policy_id": a}, {"policy_id": 999}]), "policies[1].policy_id", "VALIDATION_FAILED"),
        (json!([{"policy_id": a}, {"policy_id": a}]), "policies[1].policy_id", "VALIDATION_FAILED"),
        (json!([{"policy_id": "a"}]), "policies[0].policy_id", "INVALID_JSON"),
        (json!([{}]), "policies[0].policy_id", "INVALID_JSON"),
        (json!([1]), "policies[0]", "INVALID_JSON"),
        (json!({}), "policies", "INVALID_JSON"),
        (json!(7), "", "INVALID_JSON"),
    ] {
        api.put(&path, body.clone()).await.is_error(400, code, field, &body.to_string());
    }
    assert_eq!(order(&api.get(&path).await.data()).len(), 2, "what was refused changed nothing");
    api.get("/api/groups/999/policies").await.is_error(404, "NOT_FOUND", "", "no group");
    api.put("/api/groups/999/policies", json!([])).await.is_error(404, "NOT_FOUND", "", "no group");

    let deleted = api.delete(&format!("/api/policies/{a}")).await.message();
    assert_eq!(deleted, "Policy deleted; it was detached from 2 groups: two, one");
    assert_eq!(order(&api.get(&path).await.data()), [(b, 7, true)]);
    api.delete(&format!("/api/groups/{one}")).await;
    assert_eq!(api.get(&format!("/api/policies/{b}")).await.data()["group_ids"], json!([]));
}

#[actix_web::test]
async fn an_aggregate_has_no_keys_to_count() {
    let api = Api::start().await;
    let member = api.group("member").await;
    let both = aggregate(&api, "both", &[member]).await;
    let keys = with(limit("keys"), &json!({"config": {"scope": "key", "limit": 3, "interval": "1m"}}));
    let (keys, plain) = (create(&api, keys).await, create(&api, limit("plain")).await);
    let path = format!("/api/groups/{both}/policies");
    let refused = api.put(&path, json!([{"policy_id": plain}, {"policy_id": keys}])).await;
    refused.is_error(400, "VALIDATION_FAILED", "policies[1].policy_id", "scope key");
    api.put(&path, json!([{"policy_id": plain}])).await.data();
    let refused = api
        .put(&format!("/api/policies/{plain}"), json!({"config": {"scope": "key", "limit": 3, "interval": "1m"}}))
        .await;
    refused.is_error(400, "VALIDATION_FAILED", "config.scope", "attached to an aggregate");
}

#[actix_web::test]
async fn a_dry_run_tells_the_rule_and_what_it_does() {
    let api = Api::start().await;
    let id = api.group("one").await;
    let retry = create(
        &api,
        json!({"name": "again", "type": "retry", "config": {"rules": [
            {"name": "busy", "conditions": [{"type": "status_code", "operator": "equals", "value": 409}],
             "action": "retry", "max_retries": 2, "backoff_ms": 100},
            {"conditions": [{"type": "error_type", "operator": "equals", "value": "gone"}], "action": "pass"},
        ]}}),
    )
    .await;
    let rest = create(
        &api,
        json!({"name": "calm", "type": "degradation", "config": {"rules": [
            {"conditions": [{"type": "failure_count", "operator": "gte", "value": 2}], "action": "disable", "duration": "5m"},
        ]}}),
    )
    .await;
    let filter = create(
        &api,
        json!({"name": "models", "type": "model_filter", "config": {"type": "include", "patterns": ["gpt-4*"]}}),
    )
    .await;
    let counted = create(&api, limit("counted")).await;
    let links: Vec<Value> = [retry, rest, filter, counted].iter().map(|id| json!({"policy_id": id})).collect();
    api.put(&format!("/api/groups/{id}/policies"), json!(links)).await.data();
    let run = async |body: Value| {
        let body = with(json!({"group_id": id}), &body);
        api.post("/api/policies/evaluate", body).await.data()
    };

    let told = run(json!({"status": 409, "message": "x", "model": "gpt-4o", "failure_count": 3})).await;
    assert_eq!(
        (&told["class"], &told["decided_by"]),
        (&json!("client_error"), &json!("policy calm: rule 1; policy again: busy"))
    );
    assert_eq!(told["request"], json!({"action": "retry", "max_retries": 2, "backoff_ms": 100}));
    assert_eq!(told["key"], json!({"action": "disable", "duration": "5m"}));
    assert_eq!(told["client"], json!({"gets": "next_attempt", "status": 409}));
    assert_eq!(told["model_filter"], json!({"allowed": true, "policy": "models", "pattern": "gpt-4*"}));
    assert_eq!(told["rate_limits"], json!([{"policy_id": counted, "scope": "group", "limit": 3, "interval": "1m"}]));
    assert_eq!(
        told["rules"][0],
        json!({
        "policy_id": retry, "policy": "again", "type": "retry", "rule": "busy", "index": 0, "action": "retry"})
    );

    let told = run(json!({"status": 500, "error_type": "gone", "model": "gpt-4"})).await;
    assert_eq!((&told["request"]["action"], &told["client"]["gets"]), (&json!("pass"), &json!("this_answer")));
    let told = run(json!({"status": 500})).await;
    assert_eq!(
        (&told["decided_by"], &told["key"]["action"], &told["request"]["action"]),
        (&Value::Null, &json!("as_class"), &json!("as_class"))
    );
    assert_eq!(run(json!({"status": 200, "class": "rate_limited"})).await["class"], "rate_limited");
    assert_eq!(run(json!({"status": 429, "message": "x"})).await["class"], "rate_limited");
    assert_eq!(run(json!({"status": 200})).await["rules"], json!([]));

    let told = run(json!({"status": 409, "model": "o3"})).await;
    assert_eq!(told["client"], json!({"gets": "refusal", "status": 403, "code": "MODEL_NOT_ALLOWED"}));
    assert_eq!(told["model_filter"], json!({"allowed": false, "policy": "models", "pattern": null}));
    assert_eq!(run(json!({"model": "gpt-4o"})).await["request"]["action"], "send");
}

#[actix_web::test]
async fn a_dry_run_takes_a_policy_that_is_not_stored() {
    let api = Api::start().await;
    let policy = json!({"type": "model_filter", "config": {"type": "exclude", "patterns": ["re:mini$"]}});
    let told = api.post("/api/policies/evaluate", json!({"policy": policy, "model": "gpt-4o-mini"})).await.data();
    assert_eq!(told["model_filter"], json!({"allowed": false, "policy": "draft", "pattern": "re:mini$"}));
    let broken = json!({"policy": {"type": "model_filter", "config": {"type": "exclude", "patterns": ["re:("]}}});
    let answer = api.post("/api/policies/evaluate", broken).await;
    answer.is_error(400, "VALIDATION_FAILED", "config.patterns[0]", "a draft is checked as a policy is");
    let group = api.group("one").await;
    for (body, field) in [
        (json!({}), "group_id"),
        (json!({"group_id": group, "policy": {}}), "group_id"),
        (json!({"group_id": group, "sub_group_id": group}), "sub_group_id"),
        (json!({"group_id": group, "status": 42}), "status"),
        (json!({"group_id": group, "status_code": 70_000}), "status_code"),
        (json!({"group_id": group, "class": "bad"}), "class"),
        (json!({"group_id": group, "failure_count": -1}), "failure_count"),
    ] {
        let answer = api.post("/api/policies/evaluate", body.clone()).await;
        answer.is_error(400, "VALIDATION_FAILED", field, &body.to_string());
    }
    api.post("/api/policies/evaluate", json!({"group_id": 999})).await.is_error(404, "NOT_FOUND", "", "no group");
}

#[actix_web::test]
async fn a_dry_run_asks_the_aggregate_before_its_member() {
    let api = Api::start().await;
    let member = api.group("member").await;
    let both = aggregate(&api, "both", &[member]).await;
    let rule = |name: &str, action: &str| json!({"name": name, "type": "retry", "config": {"rules": [{"name": action, "action": action}]}});
    let (own, members) = (create(&api, rule("own", "pass")).await, create(&api, rule("members", "retry")).await);
    api.put(&format!("/api/groups/{member}/policies"), json!([{"policy_id": members}])).await.data();
    let run = async || {
        let body = json!({"group_id": both, "sub_group_id": member, "status": 500});
        api.post("/api/policies/evaluate", body).await.data()["decided_by"].clone()
    };
    assert_eq!(run().await, "policy members: retry");
    api.put(&format!("/api/groups/{both}/policies"), json!([{"policy_id": own}])).await.data();
    assert_eq!(run().await, "policy own: pass");
}

#[actix_web::test]
async fn an_aggregate_inside_an_aggregate_is_refused_with_the_field_named() {
    let api = Api::start().await;
    let member = api.group("member").await;
    let (inner, outer) = (aggregate(&api, "inner", &[member]).await, aggregate(&api, "outer", &[member]).await);
    let members = [member, inner].map(|id| SubGroup { group_id: GroupId(id), weight: 1 });
    let refused = api.state.runtime.execute(Command::SetSubGroups(GroupId(outer), members.to_vec())).await;
    let error = ApiError::from(refused.unwrap_err());
    assert_eq!(error.code(), ErrorCode::ValidationFailed);
    assert_eq!(error.details()[0].field, "sub_groups[1].group_id");
}
