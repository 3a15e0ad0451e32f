//! Cases of tokens, the audit log, encryption, tasks of keys, and what the dashboard tells of tokens and errors.

use super::Row;

pub(super) const CASES: &[Row] = &[
    ("importKeys", "/api/keys/add-async", r#"{"group_id": $other, "keys": ["sk-later-1", "sk-later-2"]}"#, "200"),
    ("importKeys", "/api/keys/add-async", r#"{"group_id": $other, "keys": []}"#, "400 VALIDATION_FAILED keys"),
    ("importKeys", "/api/keys/add-async", r#"{"group_id": $aggregate, "keys": ["k"]}"#, "400 BAD_REQUEST group_id"),
    ("importKeys", "/api/keys/add-async", r#"{"group_id": 999999, "keys": ["k"]}"#, "404 NOT_FOUND"),
    ("whoAmI", "/api/auth/me", "", "200"),
    (
        "createToken",
        "/api/tokens",
        r#"{"name": "robot", "role": "viewer", "expires_at": "2999-01-01T00:00:00Z"}"#,
        "200",
    ),
    ("createToken", "/api/tokens", r#"{"name": "robot", "role": "viewer"}"#, "409 DUPLICATE_RESOURCE name"),
    ("createToken", "/api/tokens", r#"{"name": "", "role": "viewer"}"#, "400 INVALID_JSON name"),
    ("createToken", "/api/tokens", r#"{"name": "x", "role": "king"}"#, "400 VALIDATION_FAILED role"),
    (
        "createToken",
        "/api/tokens",
        r#"{"name": "x", "role": "admin", "expires_at": "2001-01-01T00:00:00Z"}"#,
        "400 VALIDATION_FAILED expires_at",
    ),
    ("listTokens", "/api/tokens", "", "200"),
    ("getToken", "/api/tokens/1", "", "200"),
    ("getToken", "/api/tokens/999999", "", "404 NOT_FOUND"),
    ("changeToken", "/api/tokens/1", r#"{"name": "robots", "expires_at": null}"#, "200"),
    ("createToken", "/api/tokens", r#"{"name": "other", "role": "admin"}"#, "200"),
    ("changeToken", "/api/tokens/1", r#"{"name": "other"}"#, "409 DUPLICATE_RESOURCE name"),
    ("changeToken", "/api/tokens/1", r#"{"role": "king"}"#, "400 VALIDATION_FAILED role"),
    ("changeToken", "/api/tokens/999999", r#"{"name": "x"}"#, "404 NOT_FOUND"),
    ("listAudit", "/api/audit", "", "200"),
    ("listAudit", "/api/audit?action=token.&actor_kind=management_key&subject=robots&page=1&page_size=9", "", "200"),
    ("deleteToken", "/api/tokens/1", "", "200"),
    ("deleteToken", "/api/tokens/1", "", "404 NOT_FOUND"),
    ("getEncryption", "/api/encryption", "", "200"),
    ("rotateDataKey", "/api/encryption/rotate", "", "400 BAD_REQUEST"),
    ("getDashboardErrors", "/api/dashboard/errors", "", "200"),
    ("getDashboardErrors", "/api/dashboard/errors?groupId=0", "", "400 BAD_REQUEST groupId"),
    ("getDashboardErrors", "/api/dashboard/errors?groupId=999999", "", "404 NOT_FOUND"),
    ("getDashboardTokens", "/api/dashboard/tokens?groupId=$group", "", "200"),
    ("getDashboardTokens", "/api/dashboard/tokens?groupId=x", "", "400 BAD_REQUEST groupId"),
    ("getDashboardTokens", "/api/dashboard/tokens?groupId=999999", "", "404 NOT_FOUND"),
    ("listLogs", "/api/logs?after=nothing", "", "400 BAD_REQUEST after"),
    ("listLogs", "/api/logs?after=00000000-0000-7000-8000-000000000000", "", "200"),
    ("listLogs", "/api/logs?after=00000000-0000-4000-8000-000000000000", "", "404 NOT_FOUND after"),
    ("deleteKeysAsync", "/api/keys/delete-async", r#"{"group_id": $other, "keys_text": "sk-later-1"}"#, "200"),
    (
        "deleteKeysAsync",
        "/api/keys/delete-async",
        r#"{"group_id": $other, "keys_text": " "}"#,
        "400 VALIDATION_FAILED keys_text",
    ),
    (
        "deleteKeysAsync",
        "/api/keys/delete-async",
        r#"{"group_id": $aggregate, "keys": ["k"]}"#,
        "400 BAD_REQUEST group_id",
    ),
    ("deleteKeysAsync", "/api/keys/delete-async", r#"{"group_id": 999999, "keys": ["k"]}"#, "404 NOT_FOUND"),
];

/// Cases that need a task under way.
pub(super) const WHILE_BUSY: &[Row] = &[
    ("importKeys", "/api/keys/add-async", r#"{"group_id": $other, "keys": ["k"]}"#, "409 TASK_IN_PROGRESS"),
    ("deleteKeysAsync", "/api/keys/delete-async", r#"{"group_id": $other, "keys": ["k"]}"#, "409 TASK_IN_PROGRESS"),
];
