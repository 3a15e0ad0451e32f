use actix_web::http::Method;
use gpt_load_actors::tasks::TaskKind;
use gpt_load_schema::time::Timestamp;
use serde_json::{Value, json};

use super::support::{Answer, Api};

const BOUNDARY: &str = "----boundary";

/// A part of a form: name, file name, content.
type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map_or_else(String::new, |file| format!("; filename=\"{file}\"\r\nContent-Type: text/plain"));
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

impl Api {
    async fn upload(&self, path: &str, kind: &str, body: Vec<u8>) -> Answer {
        let request = Self::request(Method::POST, path).insert_header(("Content-Type", kind)).set_payload(body);
        self.send(request).await
    }

    async fn add_form(&self, parts: &[Part<'_>]) -> Answer {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.upload("/api/keys/add-async", &kind, form(parts)).await
    }

    async fn values_of(&self, group: i64) -> Vec<String> {
        let page = self.get(&format!("/api/keys?group_id={group}&page_size=1000")).await.data();
        let keys = page["items"].as_array().unwrap().iter();
        let mut values: Vec<_> = keys.map(|key| key["key_value"].as_str().unwrap().to_owned()).collect();
        values.sort();
        values
    }
}

#[actix_web::test]
async fn keys_come_and_go_as_tasks() {
    let api = Api::start().await;
    let id = api.group("team").await;
    let body = json!({"group_id": id, "keys_text": "sk-1 sk-2\nsk-1", "new_key_state": "active"});
    let begun = api.post("/api/keys/add-async", body).await.data();
    assert_eq!(
        (&begun["task_type"], &begun["group_name"], &begun["total"]),
        (&json!("KEY_IMPORT"), &json!("team"), &json!(3))
    );
    assert!(begun.get("error").is_none());
    let ended = api.task_ended().await;
    assert_eq!((&ended["processed"], &ended["total"]), (&json!(3), &json!(3)));
    assert_eq!(ended["result"], json!({"added_count": 2, "ignored_count": 1}));
    assert_eq!(ended["started_at"], begun["started_at"]);
    assert!(ended.get("error").is_none() && ended["finished_at"].is_string());
    assert_eq!(api.task_ended().await, ended, "the end stays as it was");
    assert_eq!(api.values_of(id).await, ["sk-1", "sk-2"]);
    let states = api.get(&format!("/api/keys?group_id={id}&status=active")).await.data();
    assert_eq!(states["pagination"]["total_items"], 2);

    for keys in [json!({"keys": ["sk-2", "sk-9"]}), json!({"key_values": ["sk-1"]})] {
        let mut body = json!({"group_id": id});
        body.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let begun = api.post("/api/keys/delete-async", body).await.data();
        assert_eq!(begun["task_type"], "KEY_DELETE");
        let ended = api.task_ended().await;
        let ignored = ended["total"].as_u64().unwrap() - 1;
        assert_eq!(ended["result"], json!({"deleted_count": 1, "ignored_count": ignored}));
    }
    assert_eq!(api.values_of(id).await, Vec::<String>::new());
}

#[actix_web::test]
async fn a_file_is_uploaded_in_any_order_of_parts() {
    let api = Api::start().await;
    let id = api.group("team").await;
    let group = id.to_string();
    let text = "\u{feff}sk-1\r\nsk-2;sk-3";
    let parts: [Part<'_>; 4] = [
        ("file", Some("Keys.TXT"), text.as_bytes()),
        ("other", None, b"whatever"),
        ("new_key_state", None, b"active"),
        ("group_id", None, group.as_bytes()),
    ];
    let begun = api.add_form(&parts).await.data();
    assert_eq!((&begun["task_type"], &begun["total"]), (&json!("KEY_IMPORT"), &json!(3)));
    assert_eq!(api.task_ended().await["result"], json!({"added_count": 3, "ignored_count": 0}));
    assert_eq!(api.values_of(id).await, ["sk-1", "sk-2", "sk-3"]);
    let states = api.get(&format!("/api/keys?group_id={id}&status=active")).await.data();
    assert_eq!(states["pagination"]["total_items"], 3);
}

#[actix_web::test]
async fn what_is_wrong_with_an_upload_is_named() {
    let api = Api::start().await;
    let id = api.group("team").await;
    let body = json!({"name": "all", "channel_type": "openai", "group_type": "aggregate"});
    let all = api.post("/api/groups", body).await.data()["id"].to_string();
    let group = id.to_string();
    let file: Part<'_> = ("file", Some("k.txt"), b"sk-1");
    let of = |group| ("group_id", None, group);
    let team: Part<'_> = of(group.as_bytes());
    let many = vec![b'1'; 300];
    let cases: [(&[Part<'_>], u16, &str, &str); 15] = [
        (&[file], 400, "BAD_REQUEST", "group_id"),
        (&[of(b"x"), file], 400, "BAD_REQUEST", "group_id"),
        (&[of(b"0"), file], 400, "BAD_REQUEST", "group_id"),
        (&[of(b"-1"), file], 400, "BAD_REQUEST", "group_id"),
        (&[of(&many), file], 400, "BAD_REQUEST", "group_id"),
        (&[team], 400, "BAD_REQUEST", "file"),
        (&[team, ("file", None, b"sk-1")], 400, "BAD_REQUEST", "file"),
        (&[team, file, file], 400, "BAD_REQUEST", "file"),
        (&[team, ("file", Some("k.txt"), b"sk-1 \xff")], 400, "BAD_REQUEST", "file"),
        (&[team, ("file", Some("k.txt"), b"sk-1 \xc3")], 400, "BAD_REQUEST", "file"),
        (&[team, ("file", Some("k.csv"), b"sk-1")], 400, "VALIDATION_FAILED", "file"),
        (&[team, ("file", Some("k.txt"), b" \n;")], 400, "VALIDATION_FAILED", "file"),
        (&[team, ("file", Some("k.txt"), b"sk-\x07")], 400, "VALIDATION_FAILED", "file"),
        (&[of(b"9999"), file], 404, "NOT_FOUND", ""),
        (&[of(all.as_bytes()), file], 400, "BAD_REQUEST", "group_id"),
    ];
    for (number, (parts, status, code, field)) in cases.into_iter().enumerate() {
        api.add_form(parts).await.is_error(status, code, field, &format!("case {number}"));
    }
    let state: Part<'_> = ("new_key_state", None, b"dead");
    api.add_form(&[team, state, file]).await.is_error(400, "VALIDATION_FAILED", "new_key_state", "state");
    let whole = form(&[team, file]);
    for (kind, body) in [
        ("multipart/form-data", whole.clone()),
        ("multipart/form-data; boundary=other", whole.clone()),
        ("multipart/form-data; boundary=----boundary", whole[..whole.len() - 30].to_vec()),
        ("multipart/form-data; boundary=----boundary", Vec::new()),
        ("multipart/mixed; boundary=", whole),
    ] {
        let size = body.len();
        api.upload("/api/keys/add-async", kind, body).await.is_error(400, "BAD_REQUEST", "", &format!("{kind} {size}"));
    }
    assert_eq!(api.get("/api/tasks/status").await.data()["task_type"], "", "nothing was begun");
}

#[actix_web::test]
async fn more_than_the_limit_is_refused_whatever_its_form() {
    let api = Api::start_as(|state| state.with_request_limit(Box::new(|| 500))).await;
    let id = api.group("team").await.to_string();
    let long = vec![b'k'; 600];
    api.add_form(&[("group_id", None, id.as_bytes()), ("file", Some("k.txt"), &long)]).await.is_error(
        413,
        "PAYLOAD_TOO_LARGE",
        "",
        "form",
    );
    let body = json!({"group_id": id.parse::<i64>().unwrap(), "keys_text": "k".repeat(600)});
    for path in ["/api/keys/add-async", "/api/keys/delete-async"] {
        api.post(path, body.clone()).await.is_error(413, "PAYLOAD_TOO_LARGE", "", path);
    }
}

#[actix_web::test]
async fn nothing_to_do_is_told_from_another_task() {
    let api = Api::start().await;
    let id = api.group("team").await;
    let handle = api.state.runtime.tasks().begin(TaskKind::KeyValidation, "x", 1, Timestamp::now()).unwrap();
    for path in ["/api/keys/add-async", "/api/keys/delete-async"] {
        let post = async |keys: Value| api.post(path, json!({"group_id": id, "keys_text": keys})).await;
        post(json!(" ; ")).await.is_error(400, "VALIDATION_FAILED", "keys_text", path);
        post(json!("")).await.is_error(400, "INVALID_JSON", "keys_text", path);
        post(json!("sk-1")).await.is_error(409, "TASK_IN_PROGRESS", "", path);
        let unknown = json!({"group_id": 9999, "keys_text": " "});
        api.post(path, unknown).await.is_error(404, "NOT_FOUND", "", path);
    }
    handle.finish(Vec::new(), Timestamp::now());
    assert_eq!(api.values_of(id).await, Vec::<String>::new());
}
