//! What becomes of an import whose node is killed.

use gpt_load_benches::double::{Double, Options};
use gpt_load_schema::store::Store;
use serde_json::{Value, json};

use crate::{
    program::{Program, start},
    support::{AUTH_KEY, PATIENCE, Request},
};

const ENV: [(&str, &str); 3] = [("AUTH_KEY", AUTH_KEY), ("LOG_LEVEL", "warn"), ("NODE_NAME", "node-1")];
/// So many that none of them is the last within seconds.
const MANY: usize = 300_000;

async fn api(program: &Program, method: &str, path: &str, body: &Value) -> Value {
    let answer = program.send(&Request::new(method, path).key(AUTH_KEY).json(body)).await;
    assert_eq!(answer.head.status, 200, "{method} {path}: {}", String::from_utf8_lossy(&answer.body()));
    answer.json()["data"].take()
}

async fn import(program: &Program, group: &Value, keys: usize) -> Value {
    let text: Vec<String> = (0..keys).map(|number| format!("sk-{number:06}")).collect();
    let body = json!({"group_id": group, "keys_text": text.join("\n"), "new_key_state": "active"});
    api(program, "POST", "/api/keys/add-async", &body).await
}

async fn status(program: &Program) -> Value {
    api(program, "GET", "/api/tasks/status", &Value::Null).await
}

#[actix_web::test]
async fn a_killed_import_is_shown_as_failed_with_what_it_did_and_blocks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let mut program = start(folder.path(), &ENV).await;
    let group = json!({"name": "default", "channel_type": "openai", "test_model": "m", "sort": 1,
        "upstreams": [{"url": double.url(), "weight": 1}]});
    let group = api(&program, "POST", "/api/groups", &group).await["id"].clone();
    let begun = import(&program, &group, MANY).await;
    assert_eq!((&begun["is_running"], &begun["total"]), (&json!(true), &json!(MANY)));

    let path = folder.path().join("data/gpt-load.db").display().to_string();
    let store = Store::open(path.as_str(), None).await.unwrap();
    let kept = async {
        loop {
            match store.task().await.unwrap() {
                Some((task, _)) if task.processed > 0 => return task,
                _ => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    };
    let kept = tokio::time::timeout(PATIENCE, kept).await.expect("progress is kept");
    program.signal("KILL");
    program.ended().await;
    assert!(kept.is_running() && kept.processed < kept.total, "it was in the middle: {kept:?}");
    drop(store);

    let program = start(folder.path(), &ENV).await;
    let task = status(&program).await;
    assert_eq!((&task["is_running"], &task["task_type"]), (&json!(false), &json!("KEY_IMPORT")));
    assert_eq!((&task["group_name"], &task["owner"]), (&json!("default"), &json!("node-1")));
    assert_eq!((&task["started_at"], &task["total"]), (&begun["started_at"], &begun["total"]));
    let error = task["error"].as_str().unwrap();
    assert!(error.contains("the node that did it ended") && error.contains("node-1"), "{error}");
    let told = task["processed"].as_u64().unwrap();
    assert!(told >= kept.processed && told < MANY as u64, "{task}");
    assert_eq!(task["result"], json!({"added_count": told, "ignored_count": 0}));
    assert_eq!(status(&program).await, task, "it stays as it is");

    let page = api(&program, "GET", &format!("/api/keys?group_id={group}&page_size=1"), &Value::Null).await;
    let stored = page["pagination"]["total_items"].as_u64().unwrap();
    assert!(stored >= told && stored < MANY as u64, "{stored} keys, {told} told");
    assert_eq!(program.send(&Request::chat(false)).await.head.status, 200, "what was added serves");

    let again = import(&program, &group, 2_000).await;
    assert_eq!(again["is_running"], true);
    let ending = async {
        loop {
            let task = status(&program).await;
            if task["is_running"] == false {
                return task;
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ending).await.expect("it ends");
    assert_eq!((&ended["processed"], ended.get("error")), (&json!(2_000), None));
}
