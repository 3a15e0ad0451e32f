//! The long task of the installation: how far it is, and its end before its time.

use actix_web::web;
use gpt_load_actors::tasks::Task;
use gpt_load_schema::{
    audit::{Deed, Ending, Subject},
    time::Timestamp,
};
use serde_json::{Map, Value, json};

use super::{
    AdminState,
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    messages,
};

/// What stands for a time that is not set where the contract wants one.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// `GET /api/tasks/status`: the task that runs or ran last.
pub(super) async fn status(state: web::Data<AdminState>) -> ApiResult {
    match state.runtime.tasks().current(Timestamp::now()) {
        Some(task) => Success::data(&body(&task)),
        None => Success::data(
            &json!({"task_type": "", "is_running": false, "processed": 0, "total": 0, "started_at": ZERO_TIME}),
        ),
    }
}

/// `POST /api/tasks/cancel`: asks the running task to end. It ends by itself soon after, as failed, with what it brought.
pub(super) async fn cancel(state: web::Data<AdminState>, caller: Caller) -> ApiResult {
    let at = Timestamp::now();
    let task = state.runtime.tasks().cancel(at);
    let task = task.ok_or_else(|| ApiError::saying(ErrorCode::NoTaskRunning, messages::NO_TASK_RUNNING))?;
    // Noted afterwards: the end of a task does not wait for a database that the task keeps busy.
    let subject = Subject { name: task.group.clone(), ..Subject::of_kind("task") };
    let deed = Deed { actor: caller.actor, action: "task.cancel", subject, at };
    state.runtime.audit().record(deed, Ending::done(started(&task)));
    Success::data(&body(&task))
}

/// What the audit log is told of a task.
pub(super) fn started(task: &Task) -> Value {
    json!({"task_type": task.kind.as_str(), "total": task.total})
}

/// A task as the API shows it.
pub(super) fn body(task: &Task) -> Value {
    let mut body = json!({
        "task_type": task.kind.as_str(),
        "is_running": task.is_running(),
        "processed": task.processed,
        "total": task.total,
        "started_at": task.started_at.to_rfc3339(),
        "owner": task.owner,
    });
    let mut set = |name: &str, value: Value| body[name] = value;
    if !task.group.is_empty() {
        set("group_name", json!(task.group));
    }
    if let Some(result) = task.result.as_ref().filter(|_| !task.is_running()) {
        let counts: Map<String, Value> =
            result.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
        set("result", Value::Object(counts));
    }
    if let Some(error) = &task.error {
        set("error", json!(error));
    }
    if task.is_cancelled {
        set("is_cancelled", json!(true));
    }
    if let Some(finished) = task.finished_at {
        set("finished_at", json!(finished.to_rfc3339()));
        let seconds = finished.since(task.started_at).as_secs_f64();
        if seconds > 0.0 {
            set("duration_seconds", json!(seconds));
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gpt_load_actors::tasks::{TaskKind, Tasks};

    use super::*;

    #[test]
    fn members_appear_when_they_say_something() {
        let (tasks, start) = (Tasks::default(), Timestamp(1_767_225_600_000));
        tasks.owned_by("node-1");
        let handle = tasks.begin(TaskKind::KeyImport, "default", 7, start).unwrap();
        assert_eq!(
            body(&handle.task().unwrap()),
            json!({"task_type": "KEY_IMPORT", "is_running": true, "processed": 0, "total": 7, "owner": "node-1",
                "started_at": "2026-01-01T00:00:00.000Z", "group_name": "default"})
        );
        let end = start + Duration::from_millis(1_500);
        tasks.cancel(end).unwrap();
        handle.give_up(vec![("added_count", 3)], end);
        assert_eq!(
            body(&tasks.current(end).unwrap()),
            json!({"task_type": "KEY_IMPORT", "is_running": false, "processed": 0, "total": 7, "owner": "node-1",
                "started_at": "2026-01-01T00:00:00.000Z", "group_name": "default", "result": {"added_count": 3},
                "error": "cancelled", "is_cancelled": true, "finished_at": "2026-01-01T00:00:01.500Z",
                "duration_seconds": 1.5})
        );
        let handle = tasks.begin(TaskKind::KeyDelete, "", 0, start).unwrap();
        handle.finish(Vec::new(), start);
        let body = body(&tasks.current(start).unwrap());
        assert!(
            body.get("group_name").is_none() && body.get("duration_seconds").is_none() && body["result"] == json!({})
        );
    }
}
