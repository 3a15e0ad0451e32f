//! Operations on access tokens, on the audit log and on encryption at rest.

use gpt_load_schema::access::MAX_NAME_CHARS;
use schemars::JsonSchema;
use serde_json::json;

use super::{
    operation::Operation,
    types::{AnyObject, Count, RoleWord, Time},
};
use crate::admin::{
    error::ErrorCode::{
        BadRequest, DuplicateResource, Forbidden, NotFound, ServiceUnavailable, TaskInProgress, ValidationFailed,
    },
    query::PageBody,
};

pub(super) fn operations() -> Vec<Operation> {
    let mut operations = of_tokens();
    let text = || json!({"type": "string"});
    operations.extend([
        Operation::new("get", "/api/auth/me", "whoAmI", "Whose key the request has").data::<Me>(),
        Operation::new("get", "/api/audit", "listAudit", "Who did what: one page, newest first")
            .text("What of a filter does not parse does not narrow.")
            .query("actor", text(), "Exact name of who did it.")
            .query("actor_kind", text(), "Exact kind of who did it.")
            .query("action", text(), "Exact action; with a dot at its end all that begin so.")
            .query("subject_type", text(), "Exact kind of what it was done to.")
            .query("subject_id", json!({"type": "integer", "format": "int64"}), "Id of what it was done to.")
            .query("subject", text(), "Exact name of what it was done to.")
            .query("outcome", text(), "Exact outcome.")
            .query("request_id", text(), "Id of the request.")
            .query("start_time", json!({"type": "string", "format": "date-time"}), "Not before.")
            .query("end_time", json!({"type": "string", "format": "date-time"}), "Not after.")
            .paged()
            .data::<PageBody<AuditEntry>>(),
        Operation::new("get", "/api/encryption", "getEncryption", "How secrets are stored, and how far a rotation is")
            .data::<Encryption>(),
        Operation::new("post", "/api/encryption/rotate", "rotateDataKey", "Begins a rotation of the data key")
            .data::<Encryption>()
            .errors(&[BadRequest, TaskInProgress, ServiceUnavailable]),
    ]);
    operations
}

fn of_tokens() -> Vec<Operation> {
    let example = || json!({"name": "dashboards", "role": "viewer"});
    let operations = vec![
        Operation::new("get", "/api/tokens", "listTokens", "Access tokens").data::<Vec<AccessToken>>(),
        Operation::new("post", "/api/tokens", "createToken", "Makes an access token and tells its value, this once")
            .body::<TokenCreate>(example())
            .data::<AccessToken>()
            .errors(&[ValidationFailed, DuplicateResource, ServiceUnavailable]),
        Operation::new("get", "/api/tokens/{id}", "getToken", "One access token")
            .data::<AccessToken>()
            .errors(&[NotFound]),
        Operation::new("patch", "/api/tokens/{id}", "changeToken", "Changes name, role or time of an access token")
            .text("What is not sent stays.")
            .body::<TokenChange>(example())
            .data::<AccessToken>()
            .errors(&[ValidationFailed, DuplicateResource, NotFound, ServiceUnavailable]),
        Operation::new("delete", "/api/tokens/{id}", "deleteToken", "Ends the access of a token at once")
            .errors(&[NotFound, ServiceUnavailable]),
    ];
    // Its list, too, is for admins only.
    operations.into_iter().map(|operation| operation.errors(&[Forbidden])).collect()
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct Me {
    /// `management_key`, `token`.
    kind: String,
    /// Of the token.
    id: Option<i64>,
    name: String,
    role: RoleWord,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct AccessToken {
    id: i64,
    name: String,
    role: RoleWord,
    /// Beginning of its value.
    prefix: String,
    expires_at: Option<Time>,
    is_expired: bool,
    last_used_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
    /// Its value; only in the answer that made it.
    #[schemars(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct TokenCreate {
    #[schemars(length(min = 1, max = MAX_NAME_CHARS))]
    name: String,
    role: RoleWord,
    /// `null` = for ever.
    expires_at: Option<Time>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct TokenChange {
    #[schemars(length(min = 1, max = MAX_NAME_CHARS))]
    name: Option<String>,
    role: Option<RoleWord>,
    /// `null` = for ever; a time of the past ends its access.
    expires_at: Option<Time>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct AuditEntry {
    id: i64,
    time: Time,
    actor: AuditActor,
    /// Of the client; empty when there was none.
    address: String,
    request_id: String,
    /// Such as `group.update`.
    action: String,
    subject: AuditSubject,
    /// What changed, as it was; secrets are masked.
    before: Option<AnyObject>,
    /// What changed, as it is.
    after: Option<AnyObject>,
    outcome: String,
    error: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct AuditActor {
    kind: String,
    id: Option<i64>,
    name: String,
    role: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct AuditSubject {
    r#type: String,
    id: Option<i64>,
    name: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct Encryption {
    is_encrypted: bool,
    /// Data keys that stored values may be under; above 1 during a rotation, or when values do not decrypt.
    data_keys: Count,
    rotation: Option<Rotation>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct Rotation {
    is_running: bool,
    stage: String,
    /// Whether it makes sure that nothing was left.
    is_check: bool,
    processed: Count,
    total: Count,
    /// Values that do not decrypt; they keep their key.
    unreadable: Count,
    started_at: Time,
    finished_at: Option<Time>,
}
