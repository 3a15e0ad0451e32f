use actix_web::http::Method;
use gpt_load_schema::key::{KeyHealth, KeyState};
use serde_json::{Value, json};

use super::support::{Api, group, with};

impl Api {
    async fn made(&self, name: &str, change: Value) -> i64 {
        self.post("/api/groups", with(group(name), &change)).await.data()["id"].as_i64().unwrap()
    }

    async fn aggregate(&self) -> i64 {
        self.made("all", json!({"group_type": "aggregate"})).await
    }

    /// Ids and weights of the members.
    async fn members(&self, id: i64) -> Vec<(i64, i64)> {
        let data = self.get(&format!("/api/groups/{id}/sub-groups")).await.data();
        let number = |value: &Value| value.as_i64().unwrap();
        data.as_array()
            .unwrap()
            .iter()
            .map(|member| (number(&member["group"]["id"]), number(&member["weight"])))
            .collect()
    }
}

#[actix_web::test]
async fn members_come_weigh_and_go() {
    let api = Api::start().await;
    let (all, one, two) = (api.aggregate().await, api.group("one").await, api.group("two").await);
    let path = format!("/api/groups/{all}/sub-groups");
    assert_eq!(api.get(&path).await.data(), json!([]));
    let body = json!({"sub_groups": [{"group_id": one, "weight": 1000}, {"group_id": two}]});
    assert_eq!(api.post(&path, body).await.message(), "Sub-groups added");
    assert_eq!(api.members(all).await, [(one, 1000), (two, 0)]);
    let weigh = async |weight: i64| api.put(&format!("{path}/{two}/weight"), json!({"weight": weight})).await.message();
    assert_eq!(weigh(7).await, "Weight of the sub-group saved");
    assert_eq!(api.members(all).await, [(one, 1000), (two, 7)]);
    weigh(0).await;
    let parents = api.get(&format!("/api/groups/{one}/parent-aggregate-groups")).await.data();
    assert_eq!(parents, json!([{"group_id": all, "name": "all", "display_name": "", "weight": 1000}]));
    assert_eq!(api.delete(&format!("{path}/{one}")).await.message(), "Sub-group removed");
    assert_eq!(api.members(all).await, [(two, 0)]);
    assert_eq!(api.get(&format!("/api/groups/{one}/parent-aggregate-groups")).await.data(), json!([]));
    // The data path has the members at once.
    let table = api.state.routing.load_full().unwrap();
    let shown = table.groups.iter().find(|route| route.group.id.0 == all).unwrap();
    assert_eq!(shown.group.sub_groups.iter().map(|member| member.group_id.0).collect::<Vec<_>>(), [two]);
}

#[actix_web::test]
async fn a_member_is_shown_without_what_is_not_its_aggregates() {
    let api = Api::start().await;
    let all = api.aggregate().await;
    let one = api.made("one", json!({"proxy_keys": "pk-secret", "display_name": "One"})).await;
    api.keys(one, &["sk-1", "sk-2", "sk-3"]).await;
    api.put_into(one, "sk-1", KeyHealth::new(KeyState::Disabled)).await;
    let path = format!("/api/groups/{all}/sub-groups");
    api.post(&path, json!({"sub_groups": [{"group_id": one, "weight": 5}]})).await.message();
    let answer = api.get(&path).await;
    assert!(!answer.text.contains("pk-secret"));
    let mut group = api
        .get("/api/groups")
        .await
        .data()
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["id"] == one)
        .unwrap()
        .clone();
    for hidden in ["proxy_keys", "key_count", "active_key_count"] {
        assert!(group.as_object_mut().unwrap().shift_remove(hidden).is_some());
    }
    group["endpoint"] = json!("");
    let expected = json!([{"group": group, "weight": 5, "total_keys": 3, "active_keys": 2, "invalid_keys": 1}]);
    assert_eq!(answer.data(), expected);
}

#[actix_web::test]
async fn only_fitting_groups_become_members() {
    let api = Api::start().await;
    let all = api.aggregate().await;
    let (one, two) = (api.group("one").await, api.group("two").await);
    let same = api.made("same", json!({"validation_endpoint": "/v1/chat/completions"})).await;
    let other = api.made("other", json!({"validation_endpoint": "/v1/other"})).await;
    let claude = api.made("claude", json!({"channel_type": "anthropic"})).await;
    let nested = api.made("nested", json!({"group_type": "aggregate"})).await;
    let path = format!("/api/groups/{all}/sub-groups");
    api.post(&path, json!({"sub_groups": [{"group_id": one}]})).await.message();
    let member = |id: i64| json!({"sub_groups": [{"group_id": id, "weight": 1}]});
    let weight = |weight: Value| json!({"sub_groups": [{"group_id": two, "weight": weight}]});
    const RULE: &str = "VALIDATION_FAILED";
    const JSON: &str = "INVALID_JSON";
    let cases = [
        (json!({}), RULE, "sub_groups"),
        (json!({"sub_groups": null}), RULE, "sub_groups"),
        (json!({"sub_groups": []}), RULE, "sub_groups"),
        (json!({"sub_groups": {}}), JSON, "sub_groups"),
        (json!({"sub_groups": [1]}), JSON, "sub_groups[0]"),
        (json!({"sub_groups": [{"group_id": "1"}]}), JSON, "sub_groups[0].group_id"),
        (json!({"sub_groups": [{"weight": 1}]}), RULE, "sub_groups[0].group_id"),
        (member(0), RULE, "sub_groups[0].group_id"),
        (member(-1), RULE, "sub_groups[0].group_id"),
        (member(9999), RULE, "sub_groups[0].group_id"),
        (member(all), RULE, "sub_groups[0].group_id"),
        (member(nested), RULE, "sub_groups[0].group_id"),
        (member(claude), RULE, "sub_groups[0].group_id"),
        (member(other), RULE, "sub_groups[0].group_id"),
        (member(one), "BAD_REQUEST", "sub_groups[0].group_id"),
        (json!({"sub_groups": [{"group_id": two}, {"group_id": two}]}), RULE, "sub_groups[1].group_id"),
        (json!({"sub_groups": [{"group_id": two}, {"group_id": other}]}), RULE, "sub_groups[1].group_id"),
        (weight(json!(-1)), RULE, "sub_groups[0].weight"),
        (weight(json!(1001)), RULE, "sub_groups[0].weight"),
        (weight(json!(4_294_967_297_i64)), RULE, "sub_groups[0].weight"),
        (weight(json!(1.5)), JSON, "sub_groups[0].weight"),
        (weight(json!("1")), JSON, "sub_groups[0].weight"),
    ];
    for (body, code, field) in cases {
        api.post(&path, body.clone()).await.is_error(400, code, field, &body.to_string());
    }
    assert_eq!(api.members(all).await, [(one, 0)], "all or none");
    api.post(&path, member(same)).await.message();
    // Among new members the first one's endpoint counts; a Gemini group has none, whatever is stored.
    api.post(&format!("/api/groups/{nested}/sub-groups"), member(other)).await.message();
    let gemini = |name: &'static str, endpoint: &'static str| {
        api.made(name, json!({"channel_type": "gemini", "validation_endpoint": endpoint}))
    };
    let (g1, g2) = (gemini("g1", "").await, gemini("g2", "/v1/x").await);
    let google = api.made("google", json!({"channel_type": "gemini", "group_type": "aggregate"})).await;
    let both = json!({"sub_groups": [{"group_id": g1, "weight": 1}, {"group_id": g2, "weight": 1}]});
    api.post(&format!("/api/groups/{google}/sub-groups"), both).await.message();
}

#[actix_web::test]
async fn each_route_names_what_is_wrong() {
    let api = Api::start().await;
    let (all, one, two) = (api.aggregate().await, api.group("one").await, api.group("two").await);
    let path = format!("/api/groups/{all}/sub-groups");
    api.post(&path, json!({"sub_groups": [{"group_id": one}]})).await.message();
    let add = json!({"sub_groups": [{"group_id": two}]});
    let weight = json!({"weight": 1});
    let of = |group: &str, rest: &str| format!("/api/groups/{group}/sub-groups{rest}");
    let (a, standard) = (all.to_string(), one.to_string());
    let cases = [
        (Method::GET, of("9999", ""), Value::Null, 404, "NOT_FOUND", ""),
        (Method::GET, of("x", ""), Value::Null, 400, "BAD_REQUEST", "id"),
        (Method::GET, of(&standard, ""), Value::Null, 400, "BAD_REQUEST", "id"),
        (Method::POST, of("9999", ""), add.clone(), 404, "NOT_FOUND", ""),
        (Method::POST, of("x", ""), add.clone(), 400, "BAD_REQUEST", "id"),
        (Method::POST, of(&standard, ""), add, 400, "BAD_REQUEST", "id"),
        (Method::PUT, of("9999", &format!("/{one}/weight")), weight.clone(), 404, "NOT_FOUND", ""),
        (Method::PUT, of("x", "/1/weight"), weight.clone(), 400, "BAD_REQUEST", "id"),
        (Method::PUT, of(&a, "/x/weight"), weight.clone(), 400, "BAD_REQUEST", "sub_group_id"),
        (Method::PUT, of(&standard, &format!("/{one}/weight")), weight.clone(), 400, "BAD_REQUEST", "id"),
        (Method::PUT, of(&a, &format!("/{two}/weight")), weight, 404, "NOT_FOUND", ""),
        (Method::PUT, of(&a, &format!("/{one}/weight")), json!({}), 400, "INVALID_JSON", "weight"),
        (Method::PUT, of(&a, &format!("/{one}/weight")), json!({"weight": null}), 400, "INVALID_JSON", "weight"),
        (Method::PUT, of(&a, &format!("/{one}/weight")), json!({"weight": 1.5}), 400, "INVALID_JSON", "weight"),
        (Method::PUT, of(&a, &format!("/{one}/weight")), json!({"weight": "1"}), 400, "INVALID_JSON", "weight"),
        (Method::PUT, of(&a, &format!("/{one}/weight")), json!({"weight": -1}), 400, "VALIDATION_FAILED", "weight"),
        (Method::PUT, of(&a, &format!("/{one}/weight")), json!({"weight": 1001}), 400, "VALIDATION_FAILED", "weight"),
        (Method::DELETE, of("9999", &format!("/{one}")), Value::Null, 404, "NOT_FOUND", ""),
        (Method::DELETE, of("x", "/1"), Value::Null, 400, "BAD_REQUEST", "id"),
        (Method::DELETE, of(&a, "/x"), Value::Null, 400, "BAD_REQUEST", "sub_group_id"),
        (Method::DELETE, of(&standard, &format!("/{two}")), Value::Null, 400, "BAD_REQUEST", "id"),
        (Method::DELETE, of(&a, &format!("/{two}")), Value::Null, 404, "NOT_FOUND", ""),
        (Method::GET, "/api/groups/x/parent-aggregate-groups".to_owned(), Value::Null, 400, "BAD_REQUEST", "id"),
    ];
    for (method, path, body, status, code, field) in cases {
        let case = format!("{method} {path} {body}");
        api.raw(method, &path, body.to_string()).await.is_error(status, code, field, &case);
    }
    assert_eq!(api.get("/api/groups/9999/parent-aggregate-groups").await.data(), json!([]));
    assert_eq!(api.members(all).await, [(one, 0)]);
}
