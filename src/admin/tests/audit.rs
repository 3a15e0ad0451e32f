//! Whatever changes something leaves a row that says who did it.

use std::collections::BTreeSet;

use actix_web::http::Method;
use gpt_load_actors::tasks::TaskKind;
use gpt_load_schema::{access::Role, secret::Secret, time::Timestamp};
use serde_json::{Value, json};

use super::{
    roles::{methods, routes},
    support::{Api, KEY, group, with},
};

/// Routes that change nothing although they are no readings.
const CHANGE_NOTHING: [&str; 2] = ["/auth/login", "/policies/evaluate"];

/// Method, route, ids in it, body, action of the row, outcome.
type Case = (&'static str, &'static str, Vec<i64>, Value, &'static str, &'static str);

fn path_of(template: &str, ids: &[i64]) -> String {
    let path = if template == "/reset-keys" { template.to_owned() } else { format!("/api{template}") };
    let mut ids = ids.iter();
    let parts = path.split('/').map(|part| match part.starts_with('{') {
        true => ids.next().unwrap().to_string(),
        false => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

impl Api {
    /// The rows of the audit log, newest first.
    pub(super) async fn audit(&self, query: &str) -> Vec<Value> {
        self.state.runtime.audit_written().await;
        let page = self.get(&format!("/api/audit?page_size=1000&{query}")).await.data();
        page["items"].as_array().unwrap().clone()
    }
}

#[actix_web::test]
async fn every_route_that_changes_something_leaves_a_row_of_its_caller() {
    let api = Api::start().await;
    let (a, b) = (api.group("default").await, api.group("b").await);
    let aggregate = with(group("all"), &json!({"group_type": "aggregate", "test_model": "-", "upstreams": []}));
    let all = api.post("/api/groups", aggregate).await.data()["id"].as_i64().unwrap();
    api.keys(a, &["sk-1", "sk-2", "sk-3"]).await;
    let key = api.key_id(a, "sk-1").await;
    let (token, _) = api.token("spare", Role::Viewer).await;
    let (admin, value) = api.token("robot", Role::Admin).await;
    let policy = json!({"name": "p", "type": "rate_limit", "config": {"scope": "ip", "limit": 3, "interval": "1m"}});
    let policy_id = api.post("/api/policies", policy.clone()).await.data()["id"].as_i64().unwrap();
    let _task = api.state.runtime.tasks().begin(TaskKind::KeyImport, "b", 7, Timestamp::now()).unwrap();
    let of = |id: i64| json!({"group_id": id});
    let two = json!({"group_id": a, "keys": ["sk-2"]});
    // Nobody validates here, so what asks a provider fails, and is noted as failed.
    let cases: Vec<Case> = vec![
        ("POST", "/groups", vec![], group("c"), "group.create", "done"),
        ("PUT", "/groups/reorder", vec![], json!({"items": [{"id": a, "sort": 7}]}), "group.reorder", "done"),
        ("PUT", "/groups/{id}", vec![a], json!({"description": "x"}), "group.update", "done"),
        ("POST", "/groups/{id}/copy", vec![b], json!({"copy_keys": "none"}), "group.create", "done"),
        (
            "POST",
            "/groups/{id}/sub-groups",
            vec![all],
            json!({"sub_groups": [{"group_id": b, "weight": 1}]}),
            "group.members",
            "done",
        ),
        ("PUT", "/groups/{id}/sub-groups/{sub_id}/weight", vec![all, b], json!({"weight": 5}), "group.members", "done"),
        ("DELETE", "/groups/{id}/sub-groups/{sub_id}", vec![all, b], json!({}), "group.members", "done"),
        ("POST", "/groups/{id}/pool/accept", vec![a], json!({}), "pool.accept", "done"),
        ("POST", "/policies", vec![], with(policy, &json!({"name": "q"})), "policy.create", "done"),
        ("PUT", "/policies/{id}", vec![policy_id], json!({"priority": 9}), "policy.update", "done"),
        (
            "PUT",
            "/groups/{id}/policies",
            vec![a],
            json!({"policies": [{"policy_id": policy_id}]}),
            "policy.attach",
            "done",
        ),
        ("DELETE", "/policies/{id}", vec![policy_id], json!({}), "policy.delete", "done"),
        ("POST", "/keys/add-multiple", vec![], json!({"group_id": a, "keys": ["sk-4"]}), "key.add", "done"),
        ("POST", "/keys/restore-multiple", vec![], two.clone(), "key.restore", "done"),
        ("POST", "/keys/restore-all-invalid", vec![], of(a), "key.restore", "done"),
        ("PATCH", "/keys/{id}", vec![key], json!({"weight": 3}), "key.update", "done"),
        ("PUT", "/keys/{id}/notes", vec![key], json!({"notes": "password: 1234"}), "key.notes", "done"),
        ("POST", "/keys/test-multiple", vec![], two.clone(), "key.test", "failed"),
        ("POST", "/keys/validate-group", vec![], of(a), "task.start", "failed"),
        ("POST", "/validation/groups", vec![], json!({}), "validation.run", "failed"),
        ("POST", "/validation/groups/{id}", vec![a], json!({}), "validation.run", "failed"),
        ("POST", "/tasks/cancel", vec![], json!({}), "task.cancel", "done"),
        (
            "PUT",
            "/settings",
            vec![],
            json!({"max_retries": 2, "proxy_keys": "pk-new-secret-0123456789"}),
            "settings.update",
            "done",
        ),
        ("GET", "/reset-keys", vec![], json!({}), "key.restore", "done"),
        ("POST", "/keys/delete-multiple", vec![], two, "key.delete", "done"),
        ("POST", "/keys/clear-all-invalid", vec![], of(a), "key.delete", "done"),
        ("POST", "/keys/clear-all", vec![], of(a), "key.delete", "done"),
        ("POST", "/tokens", vec![], json!({"name": "n", "role": "viewer"}), "token.create", "done"),
        ("PATCH", "/tokens/{id}", vec![token], json!({"role": "admin"}), "token.update", "done"),
        ("DELETE", "/tokens/{id}", vec![token], json!({}), "token.delete", "done"),
        ("DELETE", "/groups/{id}", vec![a], json!({}), "group.delete", "done"),
    ];
    let mut played = BTreeSet::new();
    for (method, template, ids, body, action, outcome) in cases {
        let path = path_of(template, &ids);
        let case = format!("{method} {path}");
        let request = Api::with_key(method.parse().unwrap(), &path, &value).set_payload(body.to_string());
        let answer = api.send(request).await;
        assert_eq!(answer.status == 200, outcome == "done", "{case}: {}", answer.text);
        let rows = api.audit(&format!("request_id={}", answer.headers["x-gpt-load-request-id"])).await;
        let row = rows.last().unwrap_or_else(|| panic!("{case} left no row"));
        let told = |name: &str| row[name].as_str().unwrap().to_owned();
        assert_eq!((told("action"), told("outcome")), (action.to_owned(), outcome.to_owned()), "{case}: {row}");
        let actor = json!({"kind": "token", "id": admin, "name": "robot", "role": "admin"});
        assert_eq!((&row["actor"], &row["address"]), (&actor, &json!("192.0.2.9")), "{case}");
        assert_eq!(told("error").is_empty(), outcome == "done", "{case}: {row}");
        for secret in ["sk-2", "sk-4", "password: 1234", "pk-new-secret-0123456789"] {
            assert!(!row.to_string().contains(secret), "{case}: {row}");
        }
        played.insert((method.to_owned(), template.to_owned()));
    }
    for route in routes(&api).await {
        for method in methods(&route) {
            let reads = [Method::GET, Method::HEAD].contains(&method) && route.0 != "/reset-keys";
            let key = (method.to_string(), route.0.clone());
            let is_known = reads || method == Method::HEAD || CHANGE_NOTHING.contains(&route.0.as_str());
            assert!(is_known || played.contains(&key), "{key:?} has no case: say what row it leaves");
        }
    }
}

#[actix_web::test]
async fn rows_tell_what_changed_and_nothing_else() {
    let api = Api::start().await;
    let id = api.group("team").await;
    let path = format!("/api/groups/{id}");
    let change = json!({"name": "crew", "proxy_keys": "pk-0123456789abcdef", "config": {"max_retries": 9}});
    api.put(&path, change).await.data();
    api.put("/api/settings", json!({"max_retries": 4})).await.message();
    api.delete(&path).await.message();
    let rows = api.audit("").await;
    let actions: Vec<_> = rows.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["group.delete", "settings.update", "group.update", "group.create"]);
    let [deleted, settings, updated, created] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(created["subject"], json!({"type": "group", "id": id, "name": "team"}));
    assert_eq!((&created["before"], &created["after"]["channel"]), (&Value::Null, &json!("openai")));
    assert_eq!(updated["before"], json!({"name": "team", "proxy_keys": "", "config": null}));
    assert_eq!(updated["after"], json!({"name": "crew", "proxy_keys": "pk-0****cdef", "config": {"max_retries": 9}}));
    assert_eq!(
        (&settings["before"], &settings["after"]),
        (&json!({"max_retries": null}), &json!({"max_retries": "4"}))
    );
    assert_eq!((&deleted["before"]["name"], &deleted["after"]), (&json!("crew"), &Value::Null));
    assert_eq!(deleted["actor"]["kind"], "management_key");
}

#[actix_web::test]
async fn what_was_refused_is_told_as_failed() {
    let api = Api::start().await;
    api.group("team").await;
    assert_eq!(api.post("/api/groups", group("team")).await.status, 409);
    let row = api.audit("outcome=failed").await.remove(0);
    assert_eq!((&row["action"], &row["subject"]["id"]), (&json!("group.create"), &Value::Null));
    assert!(row["error"].as_str().unwrap().contains("already exists"), "{row}");
}

#[actix_web::test]
async fn lists_are_narrowed_and_paged() {
    let api = Api::start().await;
    let (one, two) = (api.group("one").await, api.group("two").await);
    api.keys(one, &["sk-1"]).await;
    let (_, value) = api.token("robot", Role::Admin).await;
    let body = json!({"description": "x"}).to_string();
    api.send(Api::with_key(Method::PUT, &format!("/api/groups/{two}"), &value).set_payload(body)).await.data();
    for (query, expected) in [
        ("", vec!["group.update", "token.create", "key.add", "group.create", "group.create"]),
        ("action=group.create", vec!["group.create", "group.create"]),
        ("action=group.", vec!["group.update", "group.create", "group.create"]),
        ("action=%25.", vec![]),
        ("actor=robot", vec!["group.update"]),
        ("actor_kind=management_key&action=key.", vec!["key.add"]),
        (&format!("subject_type=group&subject_id={one}"), vec!["key.add", "group.create"]),
        ("subject=two", vec!["group.update", "group.create"]),
        ("start_time=2999-01-01T00:00:00Z", vec![]),
        ("end_time=2999-01-01T00:00:00Z&outcome=done&actor=robot", vec!["group.update"]),
    ] {
        let rows = api.audit(query).await;
        let actions: Vec<_> = rows.iter().map(|row| row["action"].as_str().unwrap()).collect();
        assert_eq!(actions, expected, "{query}");
    }
    let page = api.get("/api/audit?page=2&page_size=2").await.data();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["pagination"], json!({"page": 2, "page_size": 2, "total_items": 5, "total_pages": 3}));
}

#[actix_web::test]
async fn failed_logins_are_told_without_the_guess_and_within_bounds() {
    let api = Api::start().await;
    let guess = "a-guess-that-nobody-may-read";
    for host in 0..100_u8 {
        let request = actix_web::test::TestRequest::post()
            .uri("/api/auth/login")
            .peer_addr(([198, 51, 100, host], 1).into())
            .set_payload(json!({"auth_key": guess}).to_string());
        assert_eq!(api.send(request).await.status, 401);
    }
    let rows = api.audit("action=auth.failed").await;
    assert_eq!(rows.len(), 60, "an attacker does not fill the disk");
    let row = &rows[0];
    assert_eq!((&row["outcome"], &row["actor"]["kind"]), (&json!("refused"), &json!("unknown")));
    assert_eq!(row["subject"]["name"], "/api/auth/login");
    assert!(row["address"].as_str().unwrap().starts_with("198.51.100."));
    assert!(!format!("{rows:?}").contains(guess));
    let wrong = Api::with_key(Method::GET, &format!("/api/groups?key={guess}&a=1"), KEY);
    assert_eq!(api.send(wrong).await.status, 401);
    assert!(!format!("{:?}", api.audit("").await).contains(guess));
}

#[actix_web::test]
async fn the_node_signs_for_what_its_configuration_changes() {
    let api = Api::start().await;
    api.state.runtime.audit().on_node("node-7");
    let values = [("max_retries".to_owned(), Some("1".to_owned()))].into();
    api.state.runtime.execute(gpt_load_actors::commands::Command::PutSettings(values)).await.unwrap();
    let row = api.audit("").await.remove(0);
    assert_eq!(row["actor"], json!({"kind": "node", "id": null, "name": "node-7", "role": "admin"}));
    assert!(Secret::from(KEY).masked_in(row.to_string()) == row.to_string());
}
