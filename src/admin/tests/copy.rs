use actix_web::http::Method;
use gpt_load_actors::tasks::TaskKind;
use gpt_load_schema::{
    key::{KeyHealth, KeyState},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::support::{Api, group, with};

impl Api {
    async fn copied(&self, id: i64, body: Value) -> Value {
        self.post(&format!("/api/groups/{id}/copy"), body).await.data()
    }

    /// The task after its end.
    pub(super) async fn task_ended(&self) -> Value {
        loop {
            let task = self.get("/api/tasks/status").await.data();
            if task["is_running"] == false {
                return task;
            }
            actix_web::rt::task::yield_now().await;
        }
    }
}

#[actix_web::test]
async fn a_copy_is_like_its_group_but_for_its_names() {
    let api = Api::start().await;
    let full = json!({
        "display_name": "Team",
        "description": "text",
        "sort": 7,
        "validation_endpoint": "/v1/x",
        "param_overrides": {"temperature": 0.5},
        "model_redirect_rules": {"a": "b"},
        "model_redirect_strict": true,
        "config": {"max_retries": 5, "proxy_url": "http://user:pass@127.0.0.1:1"},
        "header_rules": [{"key": "X-Foo", "value": "1", "action": "set"}],
        "proxy_keys": "pk-1,pk-2",
    });
    let mut group = api.post("/api/groups", with(group("team"), &full)).await.data();
    let id = group["id"].as_i64().unwrap();
    let data = api.copied(id, json!({"copy_keys": "none"})).await;
    assert_eq!((data.as_object().unwrap().len(), &data["key_import"]), (2, &Value::Null));
    let mut copy = data["group"].clone();
    assert_ne!(copy["id"], group["id"]);
    for own in ["id", "created_at", "updated_at"] {
        assert!(copy.as_object_mut().unwrap().shift_remove(own).is_some());
        group.as_object_mut().unwrap().shift_remove(own);
    }
    group["name"] = json!("team_copy");
    group["display_name"] = json!("Team Copy");
    group["endpoint"] = json!("http://localhost:3001/proxy/team_copy");
    assert_eq!(copy, group);
    assert_eq!(api.copied(id, json!({"copy_keys": "none"})).await["group"]["name"], "team_copy_2");
    assert_eq!(api.copied(id, json!({})).await["group"]["name"], "team_copy_3");
    assert_eq!(api.get("/api/groups").await.data().as_array().unwrap().len(), 4);
}

#[actix_web::test]
async fn keys_are_copied_as_new_ones() {
    let api = Api::start().await;
    let id = api.group("team").await;
    api.keys(id, &["sk-1", "sk-2", "sk-3"]).await;
    api.put_into(id, "sk-2", KeyHealth::new(KeyState::Invalid)).await;
    let values = async |copy: &Value| {
        let page = api.get(&format!("/api/keys?group_id={}&page_size=100", copy["group"]["id"])).await.data();
        let mut keys: Vec<_> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| (key["key_value"].as_str().unwrap().to_owned(), key["status"].as_str().unwrap().to_owned()))
            .collect();
        keys.sort();
        keys
    };
    let pending =
        |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "pending".to_owned())).collect::<Vec<_>>();
    for (body, expected) in [
        (json!({"copy_keys": "all"}), &["sk-1", "sk-2", "sk-3"][..]),
        (json!({"copy_keys": ""}), &["sk-1", "sk-2", "sk-3"]),
        (json!({}), &["sk-1", "sk-2", "sk-3"]),
        (json!({"copy_keys": "valid_only"}), &["sk-1", "sk-3"]),
    ] {
        let copy = api.copied(id, body.clone()).await;
        assert_eq!(copy["key_import"], json!({"is_started": true, "total": expected.len()}), "{body}");
        let task = api.task_ended().await;
        assert_eq!((&task["group_name"], &task["processed"]), (&copy["group"]["name"], &task["total"]));
        assert_eq!(task["result"], json!({"added_count": expected.len(), "ignored_count": 0}), "{body}");
        assert_eq!(values(&copy).await, pending(expected), "{body}");
    }
    assert_eq!(values(&api.copied(id, json!({"copy_keys": "none"})).await).await, pending(&[]));
}

#[actix_web::test]
async fn policies_are_copied_and_a_running_task_is_told() {
    let api = Api::start().await;
    let id = api.group("team").await;
    api.keys(id, &["sk-1"]).await;
    let policies = api.get("/api/policies").await.data();
    let policy = policies["policies"].as_array().or_else(|| policies.as_array()).unwrap()[0]["id"].clone();
    let links = json!({"policies": [{"policy_id": policy, "priority": 7, "is_active": false}]});
    api.put(&format!("/api/groups/{id}/policies"), links).await.data();
    let handle = api.state.runtime.tasks().begin(TaskKind::KeyDelete, "other", 1, Timestamp::now()).unwrap();
    let copy = api.copied(id, json!({})).await;
    let refused = &copy["key_import"];
    assert_eq!((&refused["is_started"], &refused["code"]), (&json!(false), &json!("TASK_IN_PROGRESS")));
    assert!(refused["error"].as_str().unwrap().contains("running"));
    handle.finish(Vec::new(), Timestamp::now());
    let copied = copy["group"]["id"].as_i64().unwrap();
    let of = async |id: i64| api.get(&format!("/api/groups/{id}/policies")).await.data();
    assert_eq!(of(copied).await, of(id).await);
    assert_eq!(api.get(&format!("/api/keys?group_id={copied}")).await.data()["items"], json!([]));
    let empty = api.group("empty").await;
    assert_eq!(api.copied(empty, json!({})).await["key_import"], json!({"is_started": false, "total": 0}));
}

#[actix_web::test]
async fn a_copy_of_an_aggregate_has_neither_members_nor_keys() {
    let api = Api::start().await;
    let one = api.group("one").await;
    let body = json!({"name": "all", "channel_type": "openai", "group_type": "aggregate"});
    let all = api.post("/api/groups", body).await.data()["id"].as_i64().unwrap();
    api.post(&format!("/api/groups/{all}/sub-groups"), json!({"sub_groups": [{"group_id": one}]})).await.message();
    let data = api.copied(all, json!({})).await;
    assert_eq!((&data["key_import"], &data["group"]["group_type"]), (&Value::Null, &json!("aggregate")));
    assert_eq!(api.get(&format!("/api/groups/{}/sub-groups", data["group"]["id"])).await.data(), json!([]));
}

#[actix_web::test]
async fn a_copy_needs_a_group_and_a_body() {
    let api = Api::start().await;
    let id = api.group("team").await;
    let cases = [
        (id.to_string(), String::new(), 400, "INVALID_JSON", ""),
        (id.to_string(), "null".to_owned(), 400, "INVALID_JSON", ""),
        (id.to_string(), json!({"copy_keys": true}).to_string(), 400, "INVALID_JSON", "copy_keys"),
        (id.to_string(), json!({"copy_keys": "some"}).to_string(), 400, "VALIDATION_FAILED", "copy_keys"),
        (id.to_string(), json!({"copy_keys": "All"}).to_string(), 400, "VALIDATION_FAILED", "copy_keys"),
        ("9999".to_owned(), "{}".to_owned(), 404, "NOT_FOUND", ""),
        ("x".to_owned(), "{}".to_owned(), 400, "BAD_REQUEST", "id"),
    ];
    for (id, body, status, code, field) in cases {
        let answer = api.raw(Method::POST, &format!("/api/groups/{id}/copy"), body.clone()).await;
        answer.is_error(status, code, field, &format!("{id} {body}"));
    }
    assert_eq!(api.get("/api/groups").await.data().as_array().unwrap().len(), 1);
}
