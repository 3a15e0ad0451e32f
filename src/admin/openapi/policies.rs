//! Operations on policies.

use schemars::JsonSchema;
use serde_json::json;

use super::{
    operation::Operation,
    types::{
        AnyObject, ConditionTypeWord, Count, FilterTypeWord, LimitScopeWord, OperatorWord, OutcomeClassWord,
        PolicyActionWord, PolicyTypeWord, TextOrNumber,
    },
};
use crate::admin::{
    error::ErrorCode::{DuplicateResource, NotFound, ServiceUnavailable, ValidationFailed},
    policies::{LinkBody, PolicyBody},
};

pub(super) fn operations() -> Vec<Operation> {
    let policy = || json!({"name": "small models only", "type": "model_filter", "config": {"type": "include", "patterns": ["*-mini"]}});
    let links = || json!({"policies": [{"policy_id": 1, "priority": 0, "is_active": true}]});
    let attempt = json!({"group_id": 1, "model": "gpt-4o-mini", "status": 429, "message": "Rate limit reached"});
    vec![
        Operation::new("get", "/api/policies", "listPolicies", "Every policy, by priority")
            .data::<Vec<PolicyBody<'_>>>(),
        Operation::new("post", "/api/policies", "createPolicy", "Makes a policy")
            .body::<PolicyCreate>(policy())
            .data::<PolicyBody<'_>>()
            .errors(&[ValidationFailed, DuplicateResource, ServiceUnavailable]),
        Operation::new("get", "/api/policies/{id}", "getPolicy", "One policy")
            .data::<PolicyBody<'_>>()
            .errors(&[NotFound]),
        Operation::new("put", "/api/policies/{id}", "updatePolicy", "Changes a policy; what is not sent stays")
            .body::<PolicyUpdate>(json!({"is_active": false}))
            .data::<PolicyBody<'_>>()
            .errors(&[ValidationFailed, NotFound, DuplicateResource, ServiceUnavailable]),
        Operation::new(
            "delete",
            "/api/policies/{id}",
            "deletePolicy",
            "Deletes a policy and detaches it from its groups",
        )
        .errors(&[NotFound, ServiceUnavailable]),
        Operation::new(
            "post",
            "/api/policies/evaluate",
            "evaluatePolicies",
            "What policies would make of a request or of a failed attempt",
        )
        .text("Exactly one of `group_id` and `policy` is sent. Nothing is changed and nothing is counted.")
        .body::<Evaluate>(attempt)
        .data::<Evaluation>()
        .errors(&[ValidationFailed, NotFound]),
        Operation::new(
            "get",
            "/api/groups/{id}/policies",
            "listGroupPolicies",
            "Policies of a group, in the order in which they are asked",
        )
        .data::<Vec<LinkBody<'_>>>()
        .errors(&[NotFound]),
        Operation::new(
            "put",
            "/api/groups/{id}/policies",
            "setGroupPolicies",
            "Gives a group these policies and no others",
        )
        .text("The array alone is understood too.")
        .body::<LinksInput>(links())
        .data::<Vec<LinkBody<'_>>>()
        .errors(&[ValidationFailed, NotFound, ServiceUnavailable]),
    ]
}

/// By type of the policy: `rules` of `retry` and `degradation`; `type` and `patterns` of `model_filter`; `scope`, `limit` and
/// `interval` of `rate_limit`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
pub(in crate::admin) struct PolicyConfig {
    #[schemars(skip_serializing_if = "Option::is_none", length(max = 100))]
    rules: Option<Vec<PolicyRule>>,
    /// What `patterns` name.
    #[schemars(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<FilterTypeWord>,
    /// `re:` and a regular expression, else a text with `*` (any characters) and `?` (one character).
    #[schemars(skip_serializing_if = "Option::is_none")]
    patterns: Option<Vec<String>>,
    /// `group` when absent.
    #[schemars(skip_serializing_if = "Option::is_none")]
    scope: Option<LimitScopeWord>,
    /// Requests within any span of `interval`.
    #[schemars(skip_serializing_if = "Option::is_none", range(min = 1))]
    limit: Option<i64>,
    /// A duration such as `90s`, `5m`, `1h30m`; 100 ms to 31 days.
    #[schemars(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct PolicyRule {
    #[schemars(skip_serializing_if = "Option::is_none", length(max = 100))]
    name: Option<String>,
    /// Lower is asked first.
    #[schemars(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
    /// All must hold; none = always.
    #[schemars(skip_serializing_if = "Option::is_none", length(max = 20))]
    conditions: Option<Vec<PolicyCondition>>,
    action: PolicyActionWord,
    /// Retry: attempts that this rule may add to one request.
    #[schemars(skip_serializing_if = "Option::is_none")]
    max_retries: Option<i64>,
    /// Retry: pause before the next attempt, in ms.
    #[schemars(skip_serializing_if = "Option::is_none")]
    backoff_ms: Option<i64>,
    /// How long the key is out or rests, such as `90s`, `5m`, `1h30m`.
    #[schemars(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
}

/// `values` for `in` and `not_in`, `value` for the others.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct PolicyCondition {
    #[schemars(rename = "type")]
    kind: ConditionTypeWord,
    operator: OperatorWord,
    #[schemars(skip_serializing_if = "Option::is_none")]
    value: Option<TextOrNumber>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<TextOrNumber>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct PolicyCreate {
    /// Unique.
    #[schemars(length(min = 1, max = 100))]
    name: String,
    #[schemars(length(max = 512))]
    description: Option<String>,
    #[schemars(rename = "type")]
    kind: PolicyTypeWord,
    config: PolicyConfig,
    priority: Option<i64>,
    /// `true` when absent.
    is_active: Option<bool>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct PolicyUpdate {
    #[schemars(length(min = 1, max = 100))]
    name: Option<String>,
    #[schemars(length(max = 512))]
    description: Option<String>,
    #[schemars(rename = "type")]
    kind: Option<PolicyTypeWord>,
    config: Option<PolicyConfig>,
    priority: Option<i64>,
    is_active: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged, rename = "GroupPoliciesUpdate")]
#[expect(dead_code, reason = "describes a body")]
enum LinksInput {
    Object {
        #[schemars(length(max = 100))]
        policies: Vec<LinkInput>,
    },
    Array(#[schemars(length(max = 100))] Vec<LinkInput>),
}

#[derive(JsonSchema)]
#[schemars(rename = "GroupPolicyInput")]
#[expect(dead_code, reason = "describes a body")]
struct LinkInput {
    /// Each policy once.
    policy_id: i64,
    /// Lower is asked first; the position when absent.
    priority: Option<i64>,
    /// `true` when absent.
    is_active: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename = "PolicyEvaluate")]
#[expect(dead_code, reason = "describes a body")]
struct Evaluate {
    group_id: Option<i64>,
    /// Member of the aggregate group `group_id`.
    sub_group_id: Option<i64>,
    /// A policy that need not be stored, nor have a name.
    policy: Option<AnyObject>,
    model: Option<String>,
    /// Status of the answer; 0 = there was none.
    #[schemars(range(min = 0, max = 599))]
    status: Option<i64>,
    /// The provider's text.
    message: Option<String>,
    error_type: Option<String>,
    error_types: Option<Vec<String>>,
    /// Class of the outcome; found out when absent.
    class: Option<OutcomeClassWord>,
    #[schemars(range(min = 0))]
    failure_count: Option<i64>,
    #[schemars(range(min = 0))]
    request_count: Option<i64>,
}

#[derive(JsonSchema)]
#[schemars(rename = "PolicyEvaluation")]
#[expect(dead_code, reason = "describes an answer")]
struct Evaluation {
    class: Option<OutcomeClassWord>,
    /// Name of the policy whose rule decides.
    decided_by: Option<String>,
    /// Rules that matched.
    rules: Vec<MatchedRule>,
    key: KeyFate,
    request: RequestFate,
    client: ClientFate,
    model_filter: Option<FilterVerdict>,
    rate_limits: Vec<CountedLimit>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct MatchedRule {
    policy_id: Option<i64>,
    policy: String,
    #[schemars(rename = "type")]
    kind: PolicyTypeWord,
    rule: String,
    index: Count,
    action: PolicyActionWord,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct KeyFate {
    /// `none`, `as_class`, `spare`, `degrade`, `disable`, `invalidate`, `rest`.
    action: String,
    duration: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct RequestFate {
    /// `refuse`, `send`, `as_class`, `pass`, `retry`.
    action: String,
    #[schemars(skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    backoff_ms: Option<u64>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct ClientFate {
    /// `refusal`, `answer`, `as_class`, `this_answer`, `next_attempt`.
    gets: String,
    /// `null` when nobody knows yet.
    status: Option<u16>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct FilterVerdict {
    allowed: bool,
    policy: Option<String>,
    pattern: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct CountedLimit {
    policy_id: Option<i64>,
    scope: LimitScopeWord,
    limit: u32,
    interval: String,
}
