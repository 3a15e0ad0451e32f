//! Operations of the dashboard.

use schemars::JsonSchema;
use serde_json::json;

use super::{operation::Operation, types::Time};
use crate::admin::{
    dashboard,
    error::ErrorCode::{BadRequest, NotFound},
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("get", "/api/dashboard/stats", "getDashboardStats", "The four cards and the security warnings")
            .data::<dashboard::Body>(),
        Operation::new("get", "/api/dashboard/chart", "getDashboardChart", "Requests of the last 24 hours, by hour")
            .query("groupId", json!({"type": "integer", "format": "int64", "minimum": 1}), "Of this group only.")
            .data::<Chart>()
            .errors(&[BadRequest, NotFound]),
        Operation::new(
            "get",
            "/api/dashboard/encryption-status",
            "getEncryptionStatus",
            "Whether the stored keys are readable with the ENCRYPTION_KEY in force",
        )
        .data::<EncryptionStatus>(),
    ]
}

/// Successes, then failures.
#[derive(JsonSchema)]
#[schemars(rename = "DashboardChart")]
#[expect(dead_code, reason = "describes an answer")]
struct Chart {
    /// Beginnings of 24 hours, oldest first.
    labels: Vec<Time>,
    datasets: Vec<Dataset>,
}

/// A curve.
#[derive(JsonSchema)]
#[schemars(rename = "ChartDataset")]
#[expect(dead_code, reason = "describes an answer")]
struct Dataset {
    label: String,
    data: Vec<i64>,
    /// As in CSS.
    color: String,
}

/// Texts are empty when nothing is wrong.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct EncryptionStatus {
    has_mismatch: bool,
    scenario_type: Scenario,
    message: String,
    suggestion: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "describes an answer")]
enum Scenario {
    #[schemars(rename = "")]
    None,
    DataNotEncrypted,
    KeyNotConfigured,
    KeyMismatch,
}
