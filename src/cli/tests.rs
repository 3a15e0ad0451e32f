//! Commands against a node's and a provider's real answers over real connections.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::Method, rt, web};
use clap::Parser;
use gpt_load_benches::double::{Behaviour, Double, Options};
use serde_json::{Value, json};

use super::{
    access::Access,
    args::{Cli, NodeArgs},
    client::NodeClient,
    exit::{CliError, Exit},
    keys::{task::follow_until, validate::report},
    report::Report,
    run_client,
};

/// What a double of the management API is asked and answers.
type Answer = dyn Fn(&Method, &str, &Value) -> HttpResponse + Send + Sync;

const MANAGEMENT_KEY: &str = "management-key-0123456789";

/// A node that answers with what a test tells it.
struct NodeDouble {
    url: String,
    folder: tempfile::TempDir,
}

impl NodeDouble {
    fn start(answer: impl Fn(&Method, &str, &Value) -> HttpResponse + Send + Sync + 'static) -> Self {
        let answer: web::Data<Answer> = web::Data::from(std::sync::Arc::new(answer) as std::sync::Arc<Answer>);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(answer.clone())
                .app_data(web::PayloadConfig::new(1 << 24))
                .default_service(web::to(respond))
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        rt::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), MANAGEMENT_KEY).unwrap();
        Self { url, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn run(&self, line: &str) -> Result<Report, CliError> {
        let key = self.path("key");
        execute(&format!("{line} --url {} --auth-key-file {}", self.url, key.display())).await
    }
}

async fn respond(request: HttpRequest, body: web::Bytes, answer: web::Data<Answer>) -> HttpResponse {
    let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if authorization != Some(&format!("Bearer {MANAGEMENT_KEY}")) {
        let refusal = json!({"code": "UNAUTHORIZED", "message": "Management key missing or wrong"});
        return HttpResponse::Unauthorized().json(refusal);
    }
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let path = request.uri().path_and_query().unwrap().as_str();
    if (request.method(), path) == (&Method::GET, "/api/groups") {
        return success(&json!([{"id": 7, "name": "default"}]));
    }
    answer(request.method(), path, &body)
}

fn success(data: &Value) -> HttpResponse {
    HttpResponse::Ok().json(json!({"code": 0, "message": "Success", "data": data}))
}

async fn execute(line: &str) -> Result<Report, CliError> {
    let cli = Cli::try_parse_from(["gpt-load", "-q"].into_iter().chain(line.split(' '))).unwrap();
    run_client(cli.command.unwrap(), cli.output).await
}

fn key_file(path: &Path, count: usize) -> Vec<String> {
    let keys: Vec<String> = (0..count).map(|number| format!("sk-provider-{number:06}")).collect();
    fs::write(path, keys.join("\n")).unwrap();
    keys
}

/// A task of `total` keys that is done when it is asked for.
fn task(total: usize, result: Value, error: Option<&str>) -> Value {
    let mut task = json!({"is_running": false, "processed": total, "total": total, "started_at": "then"});
    task["result"] = result;
    if let Some(error) = error {
        task["error"] = json!(error);
        task["processed"] = json!(total - 1_000);
    }
    task
}

#[actix_web::test]
async fn an_import_is_one_task_to_which_every_key_goes_once() {
    let node = NodeDouble::start(|method, path, body| match (method.as_str(), path) {
        ("POST", "/api/keys/add-async") => {
            assert_eq!((&body["group_id"], &body["new_key_state"]), (&json!(7), &json!("pending")));
            assert_eq!(body["keys"].as_array().unwrap().len(), 4500);
            success(&json!({"is_running": true, "processed": 0, "total": 4500, "started_at": "then"}))
        }
        ("GET", "/api/tasks/status") => success(&task(4500, json!({"added_count": 4497, "ignored_count": 3}), None)),
        other => panic!("{other:?}"),
    });
    key_file(&node.path("a"), 3000);
    key_file(&node.path("b"), 4500);
    let line = format!("keys import default {} {} --state pending", node.path("a").display(), node.path("b").display());
    let report = node.run(&line).await.unwrap();
    assert_eq!(report.exit, Exit::Success);
    assert_eq!(report.json, json!({"added_count": 4497, "ignored_count": 3, "not_done": 0, "repeated": 3000}));
}

#[actix_web::test]
async fn an_import_that_breaks_off_ends_in_part() {
    let node = NodeDouble::start(|_, _, body| {
        assert!(body.get("new_key_state").is_none());
        success(&task(4500, json!({"added_count": 3500, "ignored_count": 0}), Some("the node was stopped")))
    });
    key_file(&node.path("keys"), 4500);
    let report = node.run(&format!("keys import 7 {}", node.path("keys").display())).await.unwrap();
    assert_eq!(report.exit, Exit::Partial);
    assert_eq!((&report.json["added_count"], &report.json["not_done"]), (&json!(3500), &json!(1000)));
}

#[actix_web::test]
async fn keys_are_deleted_by_id() {
    let node = NodeDouble::start(|method, path, body| match (method.as_str(), path) {
        ("GET", "/api/keys?group_id=7&page=1&page_size=1000") => success(&json!({
            "items": [{"id": 1, "key_value": "sk-one"}, {"id": 2, "key_value": "sk-two"}],
            "pagination": {"total_pages": 1},
        })),
        ("POST", "/api/keys/delete-async") => {
            assert_eq!(body["keys"], json!(["sk-two"]));
            success(&task(1, json!({"deleted_count": 1, "ignored_count": 0}), None))
        }
        other => panic!("{other:?}"),
    });
    let report = node.run("keys delete default --id 2 9").await.unwrap();
    assert_eq!((report.exit, &report.json["unknown_ids"]), (Exit::Partial, &json!([9])));
    let none = node.run("keys delete default --id 9").await.unwrap_err();
    assert_eq!((none.exit, none.message.as_str()), (Exit::Failure, "the group has no key with the id 9"));
}

#[actix_web::test]
async fn an_export_that_is_cut_leaves_no_file() {
    let node = NodeDouble::start(|_, path, _| {
        let lines = web::Bytes::from_static(b"sk-one\nsk-two\n");
        if path.ends_with("status=all") {
            return HttpResponse::Ok().body(lines);
        }
        let broken = std::io::Error::other("gone");
        HttpResponse::Ok().streaming(futures_util::stream::iter([Ok(lines), Err(broken)]))
    });
    let place = node.path("out");
    let whole = node.run(&format!("keys export default -o {}", place.display())).await.unwrap();
    assert_eq!(whole.json["total"], 2);
    assert_eq!(fs::read_to_string(&place).unwrap(), "sk-one\nsk-two\n");
    let cut = node.path("cut");
    let error = node.run(&format!("keys export default --status invalid -o {}", cut.display())).await.unwrap_err();
    assert_eq!(error.exit, Exit::Unreachable);
    assert!(!cut.exists());
}

#[actix_web::test]
async fn a_validation_is_followed_to_its_end() {
    let asked = AtomicU64::new(0);
    let node = NodeDouble::start(move |method, path, body| {
        let task = |done: u64| {
            json!({"task_type": "KEY_VALIDATION", "is_running": done < 3, "group_name": "default", "processed": done,
                "total": 3, "started_at": "2026-01-01T00:00:00.000Z"})
        };
        match (method.as_str(), path) {
            ("POST", "/api/keys/validate-group") => {
                assert_eq!(*body, json!({"group_id": 7, "status": "invalid", "concurrency": 4}));
                success(&task(0))
            }
            ("GET", "/api/tasks/status") => {
                let done = asked.fetch_add(1, Ordering::Relaxed).min(3);
                let mut task = task(done);
                if done == 3 {
                    task["result"] = json!({"total_keys": 3, "valid_keys": 2, "invalid_keys": 1, "validated_keys": 3, "skipped_keys": 0});
                }
                success(&task)
            }
            other => panic!("{other:?}"),
        }
    });
    let report = node.run("keys validate --group default --status invalid --concurrency 4").await.unwrap();
    assert_eq!(report.text, "3 keys: 2 valid, 1 invalid, 0 cannot say");
    assert_eq!((report.exit, &report.json["result"]["valid_keys"]), (Exit::Partial, &json!(2)));
}

#[actix_web::test]
async fn an_interrupt_cancels_the_validation_and_waits_for_its_end() {
    let cancelled = AtomicBool::new(false);
    let node = NodeDouble::start(move |method, path, _| {
        if (method.as_str(), path) == ("POST", "/api/tasks/cancel") {
            assert!(!cancelled.swap(true, Ordering::Relaxed), "once is enough");
        }
        let mut task = json!({"is_running": !cancelled.load(Ordering::Relaxed), "total": 9, "started_at": "then"});
        if cancelled.load(Ordering::Relaxed) {
            task["error"] = json!("cancelled");
            task["result"] = json!({"valid_keys": 4, "invalid_keys": 0});
        }
        success(&task)
    });
    let args = NodeArgs { url: Some(node.url.clone()), auth_key_file: Some(node.path("key")) };
    let client = NodeClient::new(&Access::find(&args).unwrap()).unwrap();
    let presses = AtomicU64::new(0);
    let interrupt = || {
        let is_first = presses.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if !is_first {
                std::future::pending::<()>().await;
            }
        }
    };
    let task = json!({"is_running": true, "total": 9, "started_at": "then"});
    let report = report(follow_until(&client, task, "", true, interrupt).await.unwrap());
    assert_eq!(report.exit, Exit::Partial);
    assert!(report.text.ends_with("the task did not come to its end: cancelled"), "{}", report.text);
    let replaced = json!({"is_running": true, "total": 9, "started_at": "before"});
    let error = follow_until(&client, replaced, "", true, std::future::pending).await.unwrap_err();
    assert!(error.message.contains("another task"), "{error}");
}

#[actix_web::test]
async fn a_validation_that_does_not_begin_says_why() {
    let node = NodeDouble::start(|_, _, _| {
        HttpResponse::Conflict().json(json!({"code": "TASK_IN_PROGRESS", "message": "A task is running"}))
    });
    let error = node.run("keys validate default").await.unwrap_err();
    assert_eq!(error.exit, Exit::Failure);
    assert!(error.message.contains("A task is running"), "{error}");
}

#[actix_web::test]
async fn exit_codes_tell_refused_unknown_and_unreachable_apart() {
    let node = NodeDouble::start(|_, _, _| success(&Value::Null));
    let unknown = node.run("groups show other").await.unwrap_err();
    assert_eq!((unknown.exit, unknown.advice.as_str()), (Exit::Failure, "Known are: default."));
    fs::write(node.path("key"), "wrong").unwrap();
    assert_eq!(node.run("groups list").await.unwrap_err().exit, Exit::Refused);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = execute(&format!("health --url http://{closed}")).await.unwrap_err();
    assert_eq!(error.exit, Exit::Unreachable);
    assert!(error.advice.contains("gpt-load serve"), "{error}");
    assert_eq!(execute("health --url ftp://h").await.unwrap_err().exit, Exit::Usage);
}

#[actix_web::test]
async fn keys_are_validated_at_a_provider_in_every_channel() {
    let double = Double::start(Options { addr: "127.0.0.1:0".parse().unwrap(), ..Options::default() }).unwrap();
    for (key, behaviour) in [
        ("sk-provider-000001", "status=401"),
        ("sk-provider-000002", "status=429"),
        ("sk-provider-000003", "status=500"),
    ] {
        double.on_key(key, Behaviour::parse(behaviour).unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let (keys, valid) = (folder.path().join("keys"), folder.path().join("valid"));
    let all = key_file(&keys, 20);
    for channel in ["openai", "openai-response", "anthropic", "gemini"] {
        let line = format!(
            "validate-keys {} --channel {channel} --upstream {} --model m --write-valid {}",
            keys.display(),
            double.url(),
            valid.display()
        );
        let report = execute(&line).await.unwrap();
        let count = |name: &str| report.json[name].as_u64().unwrap();
        assert_eq!(
            [count("total"), count("valid"), count("invalid"), count("cannot_say")],
            [20, 17, 1, 2],
            "{channel}"
        );
        assert_eq!(report.exit, Exit::Partial);
        let classes = [1, 2, 3].map(|at| report.json["results"][at]["class"].as_str().unwrap());
        assert_eq!(classes, ["key_invalid", "rate_limited", "upstream_fault"], "{channel}");
        let written = fs::read_to_string(&valid).unwrap();
        let expected: Vec<&str> =
            all.iter().enumerate().filter(|(at, _)| !(1..=3).contains(at)).map(|(_, key)| key.as_str()).collect();
        assert_eq!(written.lines().collect::<Vec<_>>(), expected);
        assert!(all.iter().all(|key| !report.json.to_string().contains(key) && !report.text.contains(key)));
    }
}
