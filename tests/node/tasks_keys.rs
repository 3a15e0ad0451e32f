//! Imports, deletions and copies as tasks, over real connections.

use futures_util::future::join_all;
use gpt_load_benches::raw::Answer;
use gpt_load_schema::{channel::Channel, ids::GroupId};
use serde_json::{Value, json};

use crate::support::{AUTH_KEY, Gateway, PATIENCE, Request, code};

/// So many that a task over them is seen at work.
const MANY: usize = 100_000;

fn text(numbers: impl IntoIterator<Item = usize>) -> String {
    numbers.into_iter().map(|number| format!("sk-{number:06}\n")).collect()
}

impl Gateway {
    async fn start_task(&self, path: &str, group: GroupId, keys_text: &str) -> Answer {
        let body = json!({"group_id": group.0, "keys_text": keys_text, "new_key_state": "active"});
        self.send(&Request::new("POST", path).key(AUTH_KEY).json(&body)).await
    }

    /// Asks until `holds` of the task.
    async fn task_until(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let task = self.api("GET", "/api/tasks/status", &Value::Null).await;
                if holds(&task) {
                    return task;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("it comes to pass")
    }

    async fn task_ended(&self) -> Value {
        self.task_until(|task| task["is_running"] == false).await
    }

    async fn stored(&self, group: GroupId) -> u64 {
        self.node.store().group_key_counts(group).await.unwrap().total().unsigned_abs()
    }
}

fn upload(group: GroupId, file: &str) -> Request {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"group_id\"\r\n\r\n{group}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"keys.txt\"\r\n\
         Content-Type: text/plain\r\n\r\n{file}\r\n--b--\r\n"
    );
    Request::new("POST", "/api/keys/add-async")
        .key(AUTH_KEY)
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body)
}

#[actix_web::test]
async fn progress_reaches_the_total_with_repeated_and_known_keys() {
    let gateway = Gateway::with_keys(&["sk-000001"]).await;
    let group = gateway.find_group("default").await.id;
    let file = text((0..4_000).chain(3_500..4_500).chain([7, 7]));
    let begun = gateway.send(&upload(group, &file)).await.json()["data"].take();
    assert_eq!((&begun["is_running"], &begun["total"], begun.get("result")), (&json!(true), &json!(5_002), None));
    let ended = gateway.task_ended().await;
    assert_eq!((&ended["processed"], &ended["total"]), (&json!(5_002), &json!(5_002)));
    assert_eq!(ended["result"], json!({"added_count": 4_499, "ignored_count": 503}));
    assert_eq!(gateway.stored(group).await, 4_500);

    let answer = gateway.start_task("/api/keys/delete-async", group, &text((1_000..2_600).chain(9_000..9_100))).await;
    assert_eq!(answer.json()["data"]["task_type"], "KEY_DELETE");
    let ended = gateway.task_ended().await;
    assert_eq!((&ended["processed"], &ended["total"]), (&json!(1_700), &json!(1_700)));
    assert_eq!(ended["result"], json!({"deleted_count": 1_600, "ignored_count": 100}));
    assert_eq!(gateway.stored(group).await, 2_900);
    assert_eq!(gateway.pool(group).await["counts"]["total"], 2_900);
}

#[actix_web::test]
async fn of_many_that_start_together_one_does_and_a_cancelled_one_keeps_what_it_did() {
    let gateway = Gateway::with_keys(&[]).await;
    let group = gateway.find_group("default").await.id;
    let keys = text(0..MANY);
    let paths = ["/api/keys/add-async", "/api/keys/delete-async"];
    let answers = join_all((0..6).map(|number| gateway.start_task(paths[number % 2], group, &keys))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.head.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409]);
    let refused = answers.iter().filter(|answer| answer.head.status == 409);
    assert!(refused.clone().all(|answer| code(answer) == "TASK_IN_PROGRESS"));
    gateway.task_ended_or_cancelled().await;

    assert_eq!(gateway.start_task(paths[0], group, &text(MANY..2 * MANY)).await.head.status, 200);
    let before = gateway.stored(group).await;
    gateway.task_until(|task| task["processed"] != 0).await;
    let copy = gateway.api("POST", &format!("/api/groups/{group}/copy"), &json!({"copy_keys": "all"})).await;
    let import = &copy["key_import"];
    assert_eq!((&import["is_started"], &import["code"]), (&json!(false), &json!("TASK_IN_PROGRESS")));
    let asked = gateway.api("POST", "/api/tasks/cancel", &json!({})).await;
    assert_eq!(asked["is_cancelled"], true);
    let task = gateway.task_ended().await;
    assert_eq!((&task["error"], &task["is_cancelled"]), (&json!("cancelled"), &json!(true)));
    let processed = task["processed"].as_u64().unwrap();
    assert!(processed > 0 && processed < MANY as u64, "{task}");
    let result = task["result"].as_object().unwrap();
    assert_eq!(result["added_count"].as_u64().unwrap() + result["ignored_count"].as_u64().unwrap(), processed);
    assert!(gateway.stored(group).await >= before.max(processed), "what was committed stays");
    let copied = GroupId(copy["group"]["id"].as_i64().unwrap());
    assert_eq!(gateway.stored(copied).await, 0, "the copy has no keys, as it was told");
}

impl Gateway {
    /// Ends the task that runs, if one does.
    async fn task_ended_or_cancelled(&self) {
        let cancel = Request::new("POST", "/api/tasks/cancel").key(AUTH_KEY).json(&json!({}));
        let status = self.send(&cancel).await.head.status;
        assert!([200, 409].contains(&status), "{status}");
        self.task_ended().await;
    }
}

#[actix_web::test]
async fn requests_and_other_changes_go_on_beside_an_import() {
    let gateway = Gateway::with_keys(&["sk-first"]).await;
    let group = gateway.find_group("default").await.id;
    let other = gateway.group("other", Channel::OpenAi, &["sk-other"], json!({})).await;
    assert_eq!(gateway.send(&upload(group, &text(0..3 * MANY))).await.head.status, 200);
    gateway.task_until(|task| task["processed"] != 0).await;
    gateway.add_keys(other, &["sk-more"]).await;
    for _ in 0..5 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    assert_eq!(gateway.logs().await.len(), 5, "log rows are stored between the batches");
    let task = gateway.api("GET", "/api/tasks/status", &Value::Null).await;
    assert_eq!(task["is_running"], true, "{task}");
    gateway.task_ended_or_cancelled().await;
}

#[actix_web::test]
async fn an_upload_beyond_the_limit_is_refused_before_it_is_read() {
    let gateway = Gateway::start_with(Default::default(), &[("MAX_REQUEST_BYTES", "1MiB")]).await;
    let group = gateway.group("default", Channel::OpenAi, &[], json!({})).await;
    let answer = gateway.send(&upload(group, &"k".repeat(2 << 20))).await;
    assert_eq!((answer.head.status, code(&answer)), (413, "PAYLOAD_TOO_LARGE".to_owned()));
}
