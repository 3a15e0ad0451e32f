//! Login, health, this document, and routes outside of `/api`.

use actix_web::http::StatusCode;
use schemars::JsonSchema;
use serde_json::json;

use super::{
    operation::Operation,
    types::{AnyObject, Count, KeyStateWord, OutcomeClassWord, PlainText, RoleWord, Share, Time},
};
use crate::admin::{
    cluster::ClusterBody,
    error::ErrorCode::{NotFound, ServiceUnavailable, TooManyRequests, Unauthorized, ValidationFailed},
    integration::Integration,
};

pub(super) fn operations() -> Vec<Operation> {
    let get = |path, id, summary| Operation::new("get", path, id, summary);
    vec![
        Operation::new(
            "post",
            "/api/auth/login",
            "login",
            "Tells whether a key is the management key or an access token",
        )
        .text("Issues nothing: the client keeps the key and sends it with every request.")
        .open()
        .body::<Login>(json!({"auth_key": "the management key"}))
        .plain::<LoginAnswer>()
        .errors_as::<LoginAnswer>()
        .errors(&[Unauthorized, TooManyRequests]),
        get("/api/openapi.json", "getOpenApi", "This document").plain::<AnyObject>(),
        integration(get("/api/integration/info", "listIntegrations", "Groups that accept a proxy key")),
        integration(get(
            "/proxy/{group}/api/integration/info",
            "getIntegration",
            "The group, if it accepts a proxy key",
        ))
        .text("Any method is taken.")
        .errors(&[NotFound]),
        get("/api/cluster", "getCluster", "The nodes, who leads, and how far behind each is").data::<ClusterBody>(),
        get("/health", "getHealth", "The process answers").open().plain::<Health>(),
        get("/health/live", "getLiveness", "The process answers").open().plain::<Live>(),
        get("/health/ready", "getReadiness", "The node can do its work")
            .open()
            .plain::<Ready>()
            .or::<Ready>(StatusCode::SERVICE_UNAVAILABLE, "Not yet, or not now"),
        get("/metrics", "getMetrics", "The node's numbers in the text format of Prometheus")
            .text("`METRICS_TOKEN` is as good as a key; with `METRICS_PUBLIC` none is needed. docs/OBSERVABILITY.md names the metrics.")
            .content::<PlainText>("text/plain"),
        get("/stats", "getStats", "Keys of the default group, and requests of all groups")
            .plain::<Stats>()
            .errors(&[NotFound]),
        get("/blacklist", "getBlacklist", "Keys of the default group that may not serve, and why")
            .plain::<Blacklist>()
            .errors(&[NotFound]),
        get("/reset-keys", "resetKeys", "Makes every disabled and invalid key of the default group active again")
            .plain::<Reset>()
            .errors(&[NotFound, ServiceUnavailable]),
    ]
}

fn integration(operation: Operation) -> Operation {
    operation
        .open()
        .required_query("key", json!({"type": "string"}), "A proxy key; headers do not count.")
        .data::<Vec<Integration>>()
        .errors(&[ValidationFailed, ServiceUnavailable])
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct Login {
    #[schemars(length(min = 1))]
    auth_key: String,
}

#[derive(JsonSchema)]
#[schemars(rename = "LoginResult")]
#[expect(dead_code, reason = "describes an answer")]
struct LoginAnswer {
    success: bool,
    message: String,
    /// What the key may do, when it is right.
    #[schemars(skip_serializing_if = "Option::is_none")]
    role: Option<RoleWord>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct Health {
    /// `healthy`.
    status: String,
    timestamp: Time,
    /// Such as `1h2m3.5s`.
    uptime: String,
    version: String,
    /// Of a node of a cluster: `leader`, `follower`.
    #[schemars(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(rename = "Liveness")]
#[expect(dead_code, reason = "describes an answer")]
struct Live {
    /// `ok`.
    status: String,
}

#[derive(JsonSchema)]
#[schemars(rename = "Readiness")]
#[expect(dead_code, reason = "describes an answer")]
struct Ready {
    /// `ready`, `not_ready`.
    status: String,
    checks: std::collections::BTreeMap<String, String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct Stats {
    total_keys: Count,
    active_keys: Count,
    blacklisted_keys: Count,
    current_index: Count,
    total_requests: Count,
    success_count: Count,
    failure_count: Count,
    success_rate: Share,
    uptime_seconds: Count,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct Blacklist {
    total_blacklisted: Count,
    keys: Vec<BlacklistedKey>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct BlacklistedKey {
    /// Masked.
    key: String,
    state: KeyStateWord,
    class: Option<OutcomeClassWord>,
    message: Option<String>,
    since: Option<Time>,
    until: Option<Time>,
}

#[derive(JsonSchema)]
#[schemars(rename = "KeysReset")]
#[expect(dead_code, reason = "describes an answer")]
struct Reset {
    success: bool,
    message: String,
    reset_count: Count,
}
