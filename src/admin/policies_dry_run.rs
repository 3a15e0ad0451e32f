//! `POST /api/policies/evaluate`: what policies would make of a request or of a failed attempt. Nothing is changed and
//! nothing is counted.

use std::sync::Arc;

use actix_http::header::HeaderMap;
use actix_web::web;
use gpt_load_actors::{pool::Consequence, routing::GroupRoute};
use gpt_load_schema::{
    channel::Channel,
    ids::{GroupId, PolicyId},
    log::OutcomeClass,
    policy::{Policy, format_duration},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{
    AdminState,
    body::{Fields, JsonBody},
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    messages,
    policies_input::PolicyInput,
};
use crate::{
    channel::classify,
    policy::{Facts, Policies, Step, bare_model, compile::Known, decide, evaluate::Matched},
};

/// Longest text that is looked at, in bytes, as the classifier has it.
const MAX_MESSAGE: usize = 2048;

/// Whose policies are asked: an aggregate group's before those of the member that is named.
struct Asked {
    channel: Channel,
    policies: Vec<Policies>,
}

/// A failed attempt as it was sent; absent parts are empty.
struct Attempt {
    status: u16,
    message: String,
    words: Vec<String>,
    class: Option<OutcomeClass>,
    failures: i64,
    requests: u64,
}

/// Says what would happen.
pub(super) async fn evaluate(state: web::Data<AdminState>, body: JsonBody) -> ApiResult {
    let mut body = body.0;
    let asked = asked(&state, &mut body)?;
    let model = body.string("model")?.unwrap_or_default();
    let attempt = attempt(&mut body)?;
    let filtered = filtered(&asked, &model);
    if filtered["allowed"] == false {
        return Success::data(&json!({
            "class": null, "decided_by": null, "rules": [], "key": {"action": "none", "duration": null},
            "request": {"action": "refuse"},
            "client": {"gets": "refusal", "status": 403, "code": "MODEL_NOT_ALLOWED"},
            "model_filter": filtered, "rate_limits": limits(&asked),
        }));
    }
    let Some(attempt) = attempt else {
        return Success::data(&json!({
            "class": null, "decided_by": null, "rules": [], "key": {"action": "none", "duration": null},
            "request": {"action": "send"}, "client": {"gets": "answer", "status": null},
            "model_filter": filtered, "rate_limits": limits(&asked),
        }));
    };
    let class = attempt.class.unwrap_or_else(|| classified(asked.channel, &attempt));
    let facts = Facts {
        status: attempt.status,
        class,
        message: &attempt.message,
        error_types: &attempt.words,
        model: &model,
        failures: attempt.failures,
        requests: attempt.requests,
    };
    let policies: Vec<&Policies> = asked.policies.iter().collect();
    let decision = decide(&policies, &facts);
    let rules: Vec<Value> = decision.retry.iter().chain(&decision.degradation).map(matched).collect();
    let (request, gets) = match decision.step {
        Step::AsUsual => (json!({"action": "as_class"}), "as_class"),
        Step::Pass => (json!({"action": "pass"}), "this_answer"),
        Step::Retry { max_retries, backoff, .. } => (
            json!({
                "action": "retry", "max_retries": max_retries,
                "backoff_ms": u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX),
            }),
            "next_attempt",
        ),
    };
    Success::data(&json!({
        "class": class.as_str(),
        "decided_by": decision.decided_by().as_deref(),
        "rules": rules,
        "key": key(decision.consequence),
        "request": request,
        "client": {"gets": gets, "status": Some(attempt.status).filter(|status| *status > 0)},
        "model_filter": filtered,
        "rate_limits": limits(&asked),
    }))
}

fn asked(state: &AdminState, body: &mut Fields) -> Result<Asked, ApiError> {
    let group = body.integer("group_id")?;
    let sub_group = body.integer("sub_group_id")?;
    let inline = body.object("policy")?;
    let compiled = |policies: &[Arc<Policy>]| Policies::compile(policies, &Known::new(), &mut Known::new());
    match (group, inline) {
        (Some(group), None) => {
            let group = route(state, group)?;
            let mut policies = vec![compiled(&group.policies)];
            if let Some(member) = sub_group {
                if !group.group.sub_groups.iter().any(|known| known.group_id == GroupId(member)) {
                    return Err(ApiError::invalid("sub_group_id", messages::SUB_GROUP_FOREIGN));
                }
                policies.push(compiled(&route(state, member)?.policies));
            }
            Ok(Asked { channel: group.group.definition.channel, policies })
        }
        (None, Some(members)) => {
            let definition = PolicyInput::decode(Fields::new(members))?.into_draft()?;
            let now = Timestamp::now();
            let draft = Policy { id: PolicyId(0), definition, created_at: now, updated_at: now };
            Ok(Asked { channel: Channel::OpenAi, policies: vec![compiled(&[Arc::new(draft)])] })
        }
        _ => Err(ApiError::invalid("group_id", messages::EVALUATE_WHAT)),
    }
}

/// The group as the data path has it now.
fn route(state: &AdminState, id: i64) -> Result<GroupRoute, ApiError> {
    let table = state.routing.load_full();
    let found = table.as_ref().and_then(|table| table.groups.iter().find(|route| route.group.id == GroupId(id)));
    found.cloned().ok_or_else(|| ApiError::saying(ErrorCode::NotFound, messages::GROUP_UNKNOWN))
}

/// The attempt, when anything of one was sent.
fn attempt(body: &mut Fields) -> Result<Option<Attempt>, ApiError> {
    let first = |body: &mut Fields, names: [&'static str; 2]| -> Result<Option<(i64, &'static str)>, ApiError> {
        for name in names {
            if let Some(number) = body.integer(name)? {
                return Ok(Some((number, name)));
            }
        }
        Ok(None)
    };
    let status = first(body, ["status", "status_code"])?;
    let message = match body.string("message")? {
        None => body.string("error_message")?,
        message => message,
    };
    let words = match body.string("error_type")? {
        Some(word) => Some(vec![word]),
        None => body.strings("error_types")?,
    };
    let class = match body.string("class")? {
        None => body.string("error_class")?,
        class => class,
    };
    let count = |body: &mut Fields, name: &str| match body.integer(name)? {
        Some(count) if count < 0 => Err(ApiError::invalid(name, messages::EVALUATE_COUNT)),
        count => Ok(count.unwrap_or(0)),
    };
    let (failures, requests) = (count(body, "failure_count")?, count(body, "request_count")?);
    if status.is_none() && message.is_none() && words.is_none() && class.is_none() {
        return Ok(None);
    }
    let status = match status {
        None | Some((0, _)) => 0,
        Some((status, name)) => u16::try_from(status)
            .ok()
            .filter(|status| (100..600).contains(status))
            .ok_or_else(|| ApiError::invalid(name, messages::EVALUATE_STATUS))?,
    };
    let class = class.map(|word| {
        let known = OutcomeClass::ALL.into_iter().find(|class| class.as_str() == word);
        let words = OutcomeClass::ALL.map(OutcomeClass::as_str).join(", ");
        known.ok_or_else(|| ApiError::invalid("class", messages::EVALUATE_CLASS.with(words)))
    });
    let mut message = message.unwrap_or_default();
    message.truncate(message.floor_char_boundary(MAX_MESSAGE));
    Ok(Some(Attempt {
        status,
        message,
        words: words.unwrap_or_default(),
        class: class.transpose()?,
        failures,
        requests: requests.unsigned_abs(),
    }))
}

/// The class of an answer like this; without an answer it is the way to the provider that failed.
fn classified(channel: Channel, attempt: &Attempt) -> OutcomeClass {
    if attempt.status == 0 {
        return OutcomeClass::UpstreamFault;
    }
    let error = json!({"error": {
        "message": attempt.message, "type": attempt.words.first(), "code": attempt.words.get(1),
    }});
    let body = error.to_string();
    classify::answer(channel, attempt.status, &HeaderMap::new(), body.as_bytes(), Timestamp::now()).class
}

fn matched(matched: &Matched<'_>) -> Value {
    let policy = &matched.policy.source;
    json!({
        "policy_id": Some(policy.id.0).filter(|id| *id > 0),
        "policy": policy.definition.name,
        "type": policy.definition.kind.as_str(),
        "rule": matched.rule.name,
        "index": matched.index,
        "action": matched.rule.action.as_str(),
    })
}

fn key(consequence: Option<Consequence>) -> Value {
    let (action, duration) = match consequence {
        None => ("as_class", None),
        Some(Consequence::Spare) => ("spare", None),
        Some(Consequence::Degrade(duration)) => ("degrade", duration),
        Some(Consequence::Disable(duration)) => ("disable", duration),
        Some(Consequence::Invalidate) => ("invalidate", None),
        Some(Consequence::Rest(duration)) => ("rest", Some(duration)),
    };
    json!({"action": action, "duration": duration.map(format_duration)})
}

/// What the model filters say; `null` without a filter or without a model, which every filter lets pass.
fn filtered(asked: &Asked, model: &str) -> Value {
    let model = bare_model(asked.channel, model);
    let filters: Vec<&Policies> = asked.policies.iter().filter(|policies| policies.filter_models()).collect();
    if model.is_empty() || filters.is_empty() {
        return Value::Null;
    }
    let mut allowance = filters[0].allowance(model);
    for policies in &filters[1..] {
        if allowance.allowed {
            allowance = policies.allowance(model);
        }
    }
    json!({"allowed": allowance.allowed, "policy": allowance.policy, "pattern": allowance.pattern})
}

/// The limits that the request would be counted by.
fn limits(asked: &Asked) -> Vec<Value> {
    let limits = asked.policies.iter().flat_map(Policies::limits);
    limits
        .map(|limit| {
            json!({
                "policy_id": Some(limit.id.0).filter(|id| *id > 0),
                "scope": limit.rule.scope.as_str(),
                "limit": limit.rule.limit,
                "interval": format_duration(limit.rule.interval),
            })
        })
        .collect()
}
