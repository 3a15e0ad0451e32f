//! Operations on the request log.

use serde_json::json;

use super::{
    operation::Operation,
    types::{PlainText, RequestTypeWord},
};
use crate::admin::{
    error::ErrorCode::{BadRequest, NotFound},
    logs::{AttemptsBody, LogsBody},
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        filtered(Operation::new("get", "/api/logs", "listLogs", "One page of the request log, newest first").paged())
            .text(
                "A filter that does not parse does not narrow. `pagination.total_is_estimate` says that there are more than \
                 100,000 rows, or that rows older than `searched_from` were not looked at; an `end_time` before that moment \
                 goes on from there.",
            )
            .data::<LogsBody<'_>>(),
        filtered(Operation::new("get", "/api/logs/export", "exportLogKeys", "Keys of the matching rows as CSV"))
            .text("One row per key: `key_value,group_name,status_code`, the newest of its rows, ordered by the key's hash.")
            .content::<PlainText>("text/csv"),
        Operation::new("get", "/api/logs/{request_id}/attempts", "listAttempts", "All rows of one request")
            .data::<AttemptsBody<'_>>()
            .errors(&[BadRequest, NotFound]),
    ]
}

fn filtered(operation: Operation) -> Operation {
    let text = || json!({"type": "string"});
    let time = || json!({"type": "string", "format": "date-time"});
    operation
        .query("parent_group_name", text(), "Part of the name of the aggregate group.")
        .query("group_name", text(), "Part of the name of the group that served.")
        .query("key_value", text(), "A whole key.")
        .query("model", text(), "Part of the model's name.")
        .query("is_success", json!({"type": "boolean"}), "Whether the request succeeded.")
        .query(
            "request_type",
            RequestTypeWord::schema(),
            "`final` rows answer a client, `retry` rows were tried before.",
        )
        .query("status_code", json!({"type": "integer"}), "Status that the client, or the attempt, got.")
        .query("source_ip", text(), "The client's address.")
        .query("error_contains", text(), "Part of the error message.")
        .query("start_time", time(), "Not before.")
        .query("end_time", time(), "Not after.")
}
