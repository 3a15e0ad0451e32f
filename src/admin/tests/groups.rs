use actix_web::http::Method;
use gpt_load_actors::commands::Command;
use gpt_load_schema::{group::SubGroup, ids::GroupId};
use serde_json::{Value, json};

use super::support::{Api, group, with};

#[actix_web::test]
async fn channel_types_have_a_fixed_order() {
    let data = Api::start().await.get("/api/channel-types").await.data();
    assert_eq!(data, json!(["openai", "openai-response", "gemini", "anthropic"]));
}

#[actix_web::test]
async fn a_small_group_gets_the_defaults() {
    let api = Api::start().await;
    let mut data = api.post("/api/groups", group("small")).await.data();
    for field in ["created_at", "updated_at"] {
        let time = data.as_object_mut().unwrap().remove(field).unwrap();
        assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    }
    assert!(data["id"].as_i64().unwrap() > 0);
    data["id"] = json!(1);
    let expected = json!({
        "id": 1,
        "name": "small",
        "endpoint": "http://localhost:3001/proxy/small",
        "display_name": "",
        "description": "",
        "group_type": "standard",
        "upstreams": [{"url": "https://api.openai.com", "weight": 1}],
        "channel_type": "openai",
        "sort": 0,
        "test_model": "gpt-4.1-nano",
        "validation_endpoint": "",
        "param_overrides": null,
        "model_redirect_rules": {},
        "model_redirect_strict": false,
        "config": null,
        "header_rules": [],
        "proxy_keys": "",
        "last_validated_at": null,
    });
    assert_eq!(data, expected);
}

fn full() -> Value {
    json!({
        "name": " full_1 ",
        "display_name": " Full ",
        "description": " text ",
        "group_type": "standard",
        "upstreams": [{"url": " https://a.example.com/base ", "weight": 3, "more": 1}, {"url": "http://b.example.com"}],
        "channel_type": "gemini",
        "sort": -5,
        "test_model": " gemini-2.0-flash ",
        "validation_endpoint": "/v1/x?y=1",
        "param_overrides": {"temperature": 0.10, "nested": {"a": [1]}},
        "model_redirect_rules": {"a": "b"},
        "model_redirect_strict": true,
        "config": {"max_retries": 5, "proxy_url": "", "request_timeout": null},
        "header_rules": [{"key": "x-foo", "value": "${CLIENT_IP}", "action": "set"}, {"key": " ", "action": "remove"}],
        "proxy_keys": " sk-1,sk-2 ",
    })
}

fn assert_full(data: &Value) {
    let expected = json!({
        "name": "full_1",
        "display_name": "Full",
        "description": "text",
        "upstreams": [
            {"url": "https://a.example.com/base", "weight": 3},
            {"url": "http://b.example.com", "weight": 0}
        ],
        "channel_type": "gemini",
        "sort": -5,
        "test_model": "gemini-2.0-flash",
        "validation_endpoint": "/v1/x?y=1",
        "param_overrides": {"temperature": 0.10, "nested": {"a": [1]}},
        "model_redirect_rules": {"a": "b"},
        "model_redirect_strict": true,
        "config": {"max_retries": 5, "proxy_url": ""},
        "header_rules": [{"key": "X-Foo", "value": "${CLIENT_IP}", "action": "set"}],
        "proxy_keys": "sk-1,sk-2",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&data[field], value, "{field}");
    }
}

#[actix_web::test]
async fn a_full_group_is_cleaned_and_kept() {
    let api = Api::start().await;
    assert_full(&api.post("/api/groups", full()).await.data());
    let list = api.get("/api/groups").await.data();
    assert_full(&list[0]);
    assert_eq!((&list[0]["key_count"], &list[0]["active_key_count"]), (&json!(0), &json!(0)));
}

#[actix_web::test]
async fn an_aggregate_has_no_upstreams_of_its_own() {
    let api = Api::start().await;
    let body = json!({
        "name": "all",
        "channel_type": "openai",
        "group_type": "aggregate",
        "upstreams": [{"url": "nowhere", "weight": -1}],
        "test_model": "gpt",
        "validation_endpoint": "/v1",
    });
    let data = api.post("/api/groups", body).await.data();
    assert_eq!((&data["group_type"], &data["test_model"]), (&json!("aggregate"), &json!("-")));
    assert_eq!((&data["upstreams"], &data["validation_endpoint"]), (&json!([]), &json!("")));
}

#[actix_web::test]
async fn a_broken_rule_names_its_field() {
    let api = Api::start().await;
    let long = "a".repeat(101);
    let cases = [
        (json!({"name": null}), "VALIDATION_FAILED", "name"),
        (json!({"name": ""}), "VALIDATION_FAILED", "name"),
        (json!({"name": "Upper"}), "VALIDATION_FAILED", "name"),
        (json!({"name": long}), "VALIDATION_FAILED", "name"),
        (json!({"name": "Upper", "channel_type": "x"}), "VALIDATION_FAILED", "name"),
        (json!({"display_name": "d".repeat(256)}), "VALIDATION_FAILED", "display_name"),
        (json!({"description": "d".repeat(513)}), "VALIDATION_FAILED", "description"),
        (json!({"channel_type": null}), "VALIDATION_FAILED", "channel_type"),
        (json!({"channel_type": "azure", "group_type": "x"}), "VALIDATION_FAILED", "channel_type"),
        (json!({"group_type": "x", "test_model": ""}), "VALIDATION_FAILED", "group_type"),
        (json!({"test_model": " ", "upstreams": []}), "VALIDATION_FAILED", "test_model"),
        (json!({"upstreams": null}), "VALIDATION_FAILED", "upstreams"),
        (json!({"upstreams": []}), "VALIDATION_FAILED", "upstreams"),
        (json!({"upstreams": [{"url": "https://a", "weight": 0}]}), "VALIDATION_FAILED", "upstreams"),
        (json!({"upstreams": [{"url": "ftp://a", "weight": 1}]}), "VALIDATION_FAILED", "upstreams[0].url"),
        (json!({"upstreams": [{"url": "https://a", "weight": -1}]}), "VALIDATION_FAILED", "upstreams[0].weight"),
        (
            json!({"upstreams": [{"url": "https://a", "weight": 1_u64 << 40}]}),
            "VALIDATION_FAILED",
            "upstreams[0].weight",
        ),
        (json!({"validation_endpoint": "v1"}), "VALIDATION_FAILED", "validation_endpoint"),
        (json!({"validation_endpoint": "/a://b"}), "VALIDATION_FAILED", "validation_endpoint"),
        (json!({"config": {"no_such": 1}}), "VALIDATION_FAILED", "config.no_such"),
        (json!({"config": {"max_retries": -1}}), "VALIDATION_FAILED", "config.max_retries"),
        (json!({"config": {"app_url": "http://x"}}), "VALIDATION_FAILED", "config.app_url"),
        (json!({"header_rules": [{"key": "a", "action": "add"}]}), "VALIDATION_FAILED", "header_rules[0].action"),
        (
            json!({"header_rules": [{"key": "a", "action": "set"}, {"key": "A", "action": "remove"}]}),
            "VALIDATION_FAILED",
            "header_rules[1].key",
        ),
        (json!({"model_redirect_rules": {" ": "b"}}), "VALIDATION_FAILED", "model_redirect_rules"),
        (
            json!({"group_type": "aggregate", "model_redirect_rules": {"a": "b"}}),
            "VALIDATION_FAILED",
            "model_redirect_rules",
        ),
        (json!({"name": 1}), "INVALID_JSON", "name"),
        (json!({"sort": 1.5}), "INVALID_JSON", "sort"),
        (json!({"sort": "1"}), "INVALID_JSON", "sort"),
        (json!({"upstreams": {}}), "INVALID_JSON", "upstreams"),
        (json!({"upstreams": ["https://a"]}), "INVALID_JSON", "upstreams[0]"),
        (json!({"upstreams": [{"url": 1}]}), "INVALID_JSON", "upstreams[0].url"),
        (json!({"param_overrides": []}), "INVALID_JSON", "param_overrides"),
        (json!({"model_redirect_rules": {"a": 1}}), "INVALID_JSON", "model_redirect_rules.a"),
        (json!({"model_redirect_strict": 1}), "INVALID_JSON", "model_redirect_strict"),
        (json!({"config": "x"}), "INVALID_JSON", "config"),
        (json!({"header_rules": {}}), "INVALID_JSON", "header_rules"),
        (json!({"proxy_keys": ["sk"]}), "INVALID_JSON", "proxy_keys"),
    ];
    for (change, code, field) in cases {
        let case = change.to_string();
        api.post("/api/groups", with(group("g"), &change)).await.is_error(400, code, field, &case);
    }
    assert_eq!(api.get("/api/groups").await.data(), json!([]));
}

#[actix_web::test]
async fn bodies_that_do_not_decode_are_refused_everywhere() {
    let api = Api::start().await;
    let id = api.group("g").await;
    let routes = [
        (Method::POST, "/api/groups".to_owned()),
        (Method::PUT, format!("/api/groups/{id}")),
        (Method::PUT, "/api/groups/reorder".to_owned()),
        (Method::POST, "/api/keys/add-multiple".to_owned()),
        (Method::POST, "/api/keys/clear-all".to_owned()),
    ];
    for (method, path) in routes {
        for body in [&b""[..], b"[]", b"null", b"{\"name\": ", b"{\"name\": \"\xff\"}", b"{\"sort\": 1e400}", b"name=a"]
        {
            let answer = api.raw(method.clone(), &path, body.to_vec()).await;
            answer.is_error(400, "INVALID_JSON", "", &path);
        }
    }
    let large = vec![b' '; (4 << 20) + 1];
    api.raw(Method::POST, "/api/groups", large).await.is_error(413, "PAYLOAD_TOO_LARGE", "", "large");
}

#[actix_web::test]
async fn a_name_is_given_once() {
    let api = Api::start().await;
    api.group("a").await;
    let other = api.group("b").await;
    api.post("/api/groups", group("a")).await.is_error(409, "DUPLICATE_RESOURCE", "name", "create");
    let answer = api.put(&format!("/api/groups/{other}"), json!({"name": "a"})).await;
    answer.is_error(409, "DUPLICATE_RESOURCE", "name", "rename");
}

#[actix_web::test]
async fn lists_are_ordered_and_wrapped_on_request() {
    let api = Api::start().await;
    for (name, sort) in [("a", 2), ("b", 1), ("c", 1)] {
        api.post("/api/groups", with(group(name), &json!({"sort": sort, "display_name": "D"}))).await.data();
    }
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&api.get("/api/groups").await.data()), ["c", "b", "a"]);
    let wrapped = api.get("/api/groups?wrap=1").await.data();
    assert_eq!(names(&wrapped["groups"]), ["c", "b", "a"]);
    let list = api.get("/api/groups/list").await.data();
    assert_eq!(names(&list), ["a", "b", "c"]);
    assert_eq!(list[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "name", "display_name"]);
}

#[actix_web::test]
async fn key_counts_follow_the_keys() {
    let api = Api::start().await;
    let id = api.group("a").await;
    api.keys(id, &["sk-1", "sk-2"]).await;
    api.post("/api/keys/add-multiple", json!({"group_id": id, "keys": ["sk-3"], "new_key_state": "pending"}))
        .await
        .data();
    let list = api.get("/api/groups").await.data();
    assert_eq!((&list[0]["key_count"], &list[0]["active_key_count"]), (&json!(3), &json!(2)));
}

#[actix_web::test]
async fn absent_null_and_empty_differ() {
    let api = Api::start().await;
    let id = api.post("/api/groups", full()).await.data()["id"].as_i64().unwrap();
    let path = format!("/api/groups/{id}");
    assert_full(&api.put(&path, json!({})).await.data());
    let nulls = json!({
        "name": null, "display_name": null, "description": null, "channel_type": null, "sort": null, "test_model": null,
        "validation_endpoint": null, "param_overrides": null, "model_redirect_rules": null, "model_redirect_strict": null,
        "config": null, "header_rules": null, "proxy_keys": null, "group_type": null,
    });
    assert_full(&api.put(&path, nulls).await.data());
    assert_full(&api.put(&path, json!({"test_model": "", "group_type": "aggregate"})).await.data());
    let cases = [
        (json!({"upstreams": null}), "upstreams"),
        (json!({"upstreams": []}), "upstreams"),
        (json!({"name": ""}), "name"),
        (json!({"test_model": " "}), "test_model"),
        (json!({"channel_type": ""}), "channel_type"),
    ];
    for (change, field) in cases {
        let case = change.to_string();
        api.put(&path, change).await.is_error(400, "VALIDATION_FAILED", field, &case);
    }
    let empties = json!({
        "display_name": "", "description": "", "validation_endpoint": "", "proxy_keys": "", "param_overrides": {},
        "model_redirect_rules": {}, "model_redirect_strict": false, "config": {}, "header_rules": [], "sort": 0,
    });
    let data = api.put(&path, empties.clone()).await.data();
    for (field, value) in empties.as_object().unwrap() {
        assert_eq!(&data[field], value, "{field}");
    }
    assert_eq!((&data["name"], &data["channel_type"]), (&json!("full_1"), &json!("gemini")));
}

#[actix_web::test]
async fn a_rename_is_in_the_next_list() {
    let api = Api::start().await;
    let id = api.group("before").await;
    api.put(&format!("/api/groups/{id}"), json!({"name": " after "})).await.data();
    assert_eq!(api.get("/api/groups").await.data()[0]["name"], "after");
}

#[actix_web::test]
async fn ids_in_the_path_are_numbers_of_groups() {
    let api = Api::start().await;
    for (id, status, code, field) in [
        ("x", 400, "BAD_REQUEST", "id"),
        ("1.5", 400, "BAD_REQUEST", "id"),
        ("99999999999999999999", 400, "BAD_REQUEST", "id"),
        ("%ff", 400, "BAD_REQUEST", "id"),
        ("7", 404, "NOT_FOUND", ""),
        ("-7", 404, "NOT_FOUND", ""),
    ] {
        let path = format!("/api/groups/{id}");
        api.put(&path, json!({})).await.is_error(status, code, field, id);
        api.delete(&path).await.is_error(status, code, field, id);
    }
}

#[actix_web::test]
async fn a_deleted_group_takes_its_keys_along() {
    let api = Api::start().await;
    let id = api.group("a").await;
    api.keys(id, &["sk-1"]).await;
    assert_eq!(api.delete(&format!("/api/groups/{id}")).await.message(), "Group deleted");
    assert_eq!(api.get("/api/groups").await.data(), json!([]));
    api.get(&format!("/api/keys?group_id={id}")).await.is_error(404, "NOT_FOUND", "", "keys");
    api.delete(&format!("/api/groups/{id}")).await.is_error(404, "NOT_FOUND", "", "twice");
}

/// An aggregate `all` with the standard group `member` in it; answers the member's id.
async fn aggregate(api: &Api) -> i64 {
    let member = api.group("member").await;
    let body = json!({"name": "all", "channel_type": "openai", "group_type": "aggregate"});
    let all = api.post("/api/groups", body).await.data()["id"].as_i64().unwrap();
    let members = vec![SubGroup { group_id: GroupId(member), weight: 1 }];
    api.state.runtime.execute(Command::SetSubGroups(GroupId(all), members)).await.unwrap();
    member
}

#[actix_web::test]
async fn a_member_keeps_what_its_aggregate_relies_on() {
    let api = Api::start().await;
    let path = format!("/api/groups/{}", aggregate(&api).await);
    api.put(&path, json!({"channel_type": "openai", "validation_endpoint": ""})).await.data();
    let answer = api.put(&path, json!({"channel_type": "gemini"})).await;
    answer.is_error(400, "VALIDATION_FAILED", "channel_type", "channel");
    let answer = api.put(&path, json!({"validation_endpoint": "/v1/x"})).await;
    answer.is_error(400, "VALIDATION_FAILED", "validation_endpoint", "endpoint");
    let said = api.delete(&path).await.message();
    assert_eq!(said, "Group deleted; it was removed from these aggregate groups: all");
}

#[actix_web::test]
async fn the_order_is_saved_as_a_whole() {
    let api = Api::start().await;
    let (a, b) = (api.group("a").await, api.group("b").await);
    let item = |id: i64, sort: i64| json!({"id": id, "sort": sort});
    let said = api.put("/api/groups/reorder", json!({"items": [item(a, 10), item(b, 0)]})).await.message();
    assert_eq!(said, "Group order saved");
    let sorts = || async {
        let list = api.get("/api/groups").await.data();
        list.as_array().unwrap().iter().map(|group| (group["name"].clone(), group["sort"].clone())).collect::<Vec<_>>()
    };
    let saved = vec![(json!("b"), json!(0)), (json!("a"), json!(10))];
    assert_eq!(sorts().await, saved);
    let cases = [
        (json!({}), "VALIDATION_FAILED", "items"),
        (json!({"items": []}), "VALIDATION_FAILED", "items"),
        (json!({"items": [item(a, 1), {"sort": 1}]}), "VALIDATION_FAILED", "items[1].id"),
        (json!({"items": [{"id": a}]}), "VALIDATION_FAILED", "items[0].sort"),
        (json!({"items": [item(a, -1)]}), "VALIDATION_FAILED", "items[0].sort"),
        (json!({"items": [item(a, 1), item(a, 2)]}), "VALIDATION_FAILED", "items[1].id"),
        (json!({"items": [item(a, 1), item(9999, 2)]}), "VALIDATION_FAILED", "items[1].id"),
        (json!({"items": {}}), "INVALID_JSON", "items"),
        (json!({"items": [1]}), "INVALID_JSON", "items[0]"),
        (json!({"items": [{"id": "1", "sort": 1}]}), "INVALID_JSON", "items[0].id"),
        (json!({"items": [{"id": 1, "sort": 0.5}]}), "INVALID_JSON", "items[0].sort"),
    ];
    for (body, code, field) in cases {
        let case = body.to_string();
        api.put("/api/groups/reorder", body).await.is_error(400, code, field, &case);
    }
    assert_eq!(sorts().await, saved);
}

#[actix_web::test]
async fn what_the_environment_rules_is_said_and_kept() {
    let api = Api::start_with(|app| app.upstreams_ruled = true).await;
    let (ruled, free) = (api.group("default").await, api.group("free").await);
    let list = api.get("/api/groups").await.data();
    let of = |name: &str| list.as_array().unwrap().iter().find(|group| group["name"] == name).unwrap();
    assert_eq!(of("default")["ruled_by_environment"], json!(["upstreams"]));
    assert_eq!(of("free").get("ruled_by_environment"), None);
    let other = json!({"upstreams": [{"url": "https://other.example.com", "weight": 1}]});
    let answer = api.put(&format!("/api/groups/{ruled}"), other.clone()).await;
    answer.is_error(400, "VALIDATION_FAILED", "upstreams", "ruled");
    api.put(&format!("/api/groups/{ruled}"), with(group("default"), &json!({"sort": 3}))).await.data();
    api.put(&format!("/api/groups/{free}"), other).await.data();
}
