//! Operations that ask providers about keys, and the long task.

use schemars::JsonSchema;
use serde_json::json;

use super::{
    operation::Operation,
    types::{Count, KeyStateWord, Share, Time},
};
use crate::admin::error::ErrorCode::{
    BadRequest, NoTaskRunning, NotFound, ServiceUnavailable, TaskInProgress, ValidationFailed,
};

pub(super) fn operations() -> Vec<Operation> {
    let increment = || json!({"time_window_hours": 24, "include_states": ["pending", "invalid"], "concurrency": 5});
    let lenient = |operation: Operation| operation.malformed(BadRequest).errors(&[TaskInProgress, ServiceUnavailable]);
    vec![
        Operation::new(
            "post",
            "/api/keys/validate-group",
            "validateGroup",
            "Starts a task that asks about the keys of a group",
        )
        .body::<ValidateGroup>(json!({"group_id": 1, "status": "invalid"}))
        .data::<Task>()
        .errors(&[BadRequest, ValidationFailed, NotFound, TaskInProgress, ServiceUnavailable]),
        lenient(Operation::new(
            "post",
            "/api/validation/groups/{id}",
            "validateNewKeys",
            "Asks about the newer keys of a group",
        ))
        .text("Above 1,000 keys the answer is the task that does it.")
        .body::<Increment>(increment())
        .data::<IncrementOfGroup>()
        .errors(&[NotFound]),
        lenient(Operation::new(
            "post",
            "/api/validation/groups",
            "validateNewKeysOfAll",
            "Asks about the newer keys of all groups",
        ))
        .text("Above 1,000 keys the answer is the task that does it.")
        .body::<Increment>(increment())
        .data::<IncrementOfAll>(),
        Operation::new(
            "get",
            "/api/validation/groups/{id}/history",
            "getValidationHistory",
            "What the keys of a group have come to",
        )
        .text("Zeros for an unknown group.")
        .query(
            "hours",
            json!({"type": "integer", "minimum": 1, "maximum": 168, "default": 24}),
            "How far back; anything else counts as 24.",
        )
        .data::<HistoryOfGroup>(),
        Operation::new("get", "/api/tasks/status", "getTask", "The task that runs or ran last").data::<Task>(),
        Operation::new("post", "/api/tasks/cancel", "cancelTask", "Asks the running task to end")
            .text("It ends soon after, as failed, with what it brought.")
            .data::<Task>()
            .errors(&[NoTaskRunning]),
    ]
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct ValidateGroup {
    #[schemars(range(min = 1))]
    group_id: i64,
    /// Only keys in this state; absent or empty = all.
    status: Option<StateOrAll>,
    /// Calls at the same time; the group's own limit rules too.
    #[schemars(range(min = 1, max = 10_000))]
    concurrency: Option<i64>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
#[expect(dead_code, reason = "describes a body")]
enum StateOrAll {
    Pending,
    Active,
    Degraded,
    Disabled,
    Invalid,
    #[schemars(rename = "")]
    All,
}

/// The long task of the installation. Members that say nothing are absent.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
pub(super) struct Task {
    task_type: TaskType,
    is_running: bool,
    processed: Count,
    total: Count,
    /// `0001-01-01T00:00:00Z` when there was none.
    started_at: Time,
    /// Node that does the work.
    #[schemars(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    /// What it brought, by name; after a failure, until then.
    #[schemars(skip_serializing_if = "Option::is_none")]
    result: Option<std::collections::BTreeMap<String, Count>>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    is_cancelled: Option<bool>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Time>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "SCREAMING_SNAKE_CASE", inline)]
#[expect(dead_code, reason = "describes an answer")]
enum TaskType {
    #[schemars(rename = "")]
    None,
    KeyValidation,
    KeyImport,
    KeyDelete,
}

#[derive(JsonSchema)]
#[schemars(rename = "ValidationIncrement")]
#[expect(dead_code, reason = "describes a body")]
struct Increment {
    /// Only keys made within this time; 0 or absent = 24.
    #[schemars(range(min = 0, max = 168))]
    time_window_hours: Option<i64>,
    /// Only keys in these states; empty or absent = pending and invalid.
    include_states: Option<Vec<KeyStateWord>>,
    /// Leaves out keys that were asked about within `recent_validation_hours`; `true` when absent.
    exclude_recently_validated: Option<bool>,
    /// 0 or absent = 1.
    #[schemars(range(min = 0, max = 24))]
    recent_validation_hours: Option<i64>,
    /// Calls at the same time; absent = 5.
    #[schemars(range(min = 1, max = 20))]
    concurrency: Option<i64>,
    /// Keys read at once; absent = 100.
    #[schemars(range(min = 10, max = 1000))]
    batch_size: Option<i64>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "describes an answer")]
enum IncrementOfGroup {
    Done(Validated),
    Task(Task),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "describes an answer")]
enum IncrementOfAll {
    Done(ValidatedAll),
    Task(Task),
}

#[derive(JsonSchema)]
#[schemars(rename = "GroupValidated")]
#[expect(dead_code, reason = "describes an answer")]
struct Validated {
    group_id: i64,
    group_name: String,
    total_keys: Count,
    validated_keys: Count,
    successful_keys: Count,
    failed_keys: Count,
    skipped_keys: Count,
    duration_ms: Count,
}

#[derive(JsonSchema)]
#[schemars(rename = "GroupsValidated")]
#[expect(dead_code, reason = "describes an answer")]
struct ValidatedAll {
    results: Vec<Validated>,
    summary: Summary,
}

#[derive(JsonSchema)]
#[schemars(rename = "ValidationSummary")]
#[expect(dead_code, reason = "describes an answer")]
struct Summary {
    total_groups: Count,
    total_keys: Count,
    total_validated: Count,
    total_successful: Count,
}

#[derive(JsonSchema)]
#[schemars(rename = "ValidationHistory")]
#[expect(dead_code, reason = "describes an answer")]
struct HistoryOfGroup {
    group_id: i64,
    /// Hours.
    time_range: u32,
    history: History,
}

#[derive(JsonSchema)]
#[schemars(rename = "ValidationHistoryCounts")]
#[expect(dead_code, reason = "describes an answer")]
struct History {
    total_keys: Count,
    validated_keys: Count,
    pending_keys: Count,
    active_keys: Count,
    invalid_keys: Count,
    degraded_keys: Count,
    disabled_keys: Count,
    validation_rate: Share,
}
