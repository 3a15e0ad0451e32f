//! Operations on the keys in memory.

use schemars::JsonSchema;

use super::{
    operation::Operation,
    types::{Count, KeyStateWord},
};
use crate::admin::{
    error::ErrorCode::{BadRequest, NotFound, ServiceUnavailable, ValidationFailed},
    pool::PoolBody,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("get", "/api/groups/{id}/pool", "getPool", "A group's keys as this node sees them now")
            .text("Sums are over all keys; the page is by ascending id. Keys are masked.")
            .paged()
            .query("state", KeyStateWord::schema(), "Only keys in this state are on the page.")
            .data::<PoolBody<'_>>()
            .errors(&[BadRequest, ValidationFailed, NotFound, ServiceUnavailable]),
        Operation::new(
            "post",
            "/api/groups/{id}/pool/accept",
            "acceptHeldFailures",
            "Lets what the pool guard holds back take effect",
        )
        .data::<Accepted>()
        .errors(&[BadRequest, NotFound, ServiceUnavailable]),
    ]
}

#[derive(JsonSchema)]
#[schemars(rename = "HeldFailuresAccepted")]
#[expect(dead_code, reason = "describes an answer")]
struct Accepted {
    /// Keys whose failures took effect.
    accepted_count: Count,
}
