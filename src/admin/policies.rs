//! Policies: list, create, change, delete, and which of them a group asks.

use std::collections::BTreeMap;

use actix_web::web;
use gpt_load_actors::commands::{Command, CommandError, Reply};
use gpt_load_schema::{
    group::{Group, GroupType},
    ids::{GroupId, PolicyId},
    policy::{GroupPolicy, LimitScope, Policy, PolicyConfig, PolicyDefinition, PolicyLink},
    store::StoreError,
    time::Timestamp,
    validate::policy_config,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    AdminState,
    body::{JsonBody, ListBody},
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    groups::PathId,
    key_object::time,
    messages,
    openapi::{
        policies::PolicyConfig as ConfigBody,
        types::{PolicyTypeWord, Time},
    },
    policies_input::{PolicyInput, link_error, links},
};

/// A policy as the API shows it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Policy")]
pub(super) struct PolicyBody<'a> {
    #[schemars(with = "i64")]
    id: PolicyId,
    name: &'a str,
    description: &'a str,
    #[serde(rename = "type")]
    #[schemars(with = "PolicyTypeWord")]
    kind: &'static str,
    #[schemars(with = "ConfigBody")]
    config: &'a Map<String, Value>,
    priority: i64,
    is_active: bool,
    /// Groups that it is attached to.
    #[schemars(with = "Vec<i64>")]
    group_ids: Vec<GroupId>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Time")]
    created_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Time")]
    updated_at: Option<Timestamp>,
}

impl<'a> PolicyBody<'a> {
    fn new(policy: &'a Policy, links: &[GroupPolicy]) -> Self {
        let PolicyDefinition { name, description, kind, config, priority, is_active } = &policy.definition;
        Self {
            id: policy.id,
            name,
            description,
            kind: kind.as_str(),
            config,
            priority: *priority,
            is_active: *is_active,
            group_ids: groups_of(policy.id, links),
            created_at: Some(policy.created_at),
            updated_at: Some(policy.updated_at),
        }
    }
}

fn groups_of(policy: PolicyId, links: &[GroupPolicy]) -> Vec<GroupId> {
    links.iter().filter(|linked| linked.link.policy_id == policy).map(|linked| linked.group_id).collect()
}

/// `GET /api/policies`: every policy, by priority.
pub(super) async fn all(state: web::Data<AdminState>) -> ApiResult {
    let (policies, links) = (state.store.policies().await?, state.store.group_policies().await?);
    Success::data(&policies.iter().map(|policy| PolicyBody::new(policy, &links)).collect::<Vec<_>>())
}

/// `GET /api/policies/{id}`.
pub(super) async fn one(state: web::Data<AdminState>, id: PathId) -> ApiResult {
    let policy = stored(&state, &id).await?;
    Success::data(&PolicyBody::new(&policy, &state.store.group_policies().await?))
}

/// `POST /api/policies`.
pub(super) async fn create(state: web::Data<AdminState>, caller: Caller, body: JsonBody) -> ApiResult {
    let definition = PolicyInput::decode(body.0)?.into_definition()?;
    let reply = state.execute(&caller, Command::CreatePolicy(Box::new(definition))).await;
    answer(&state, reply).await
}

/// `PUT /api/policies/{id}`: what is not sent stays.
pub(super) async fn update(state: web::Data<AdminState>, caller: Caller, id: PathId, body: JsonBody) -> ApiResult {
    let input = PolicyInput::decode(body.0)?;
    let _turn = state.edit_groups().await;
    let policy = stored(&state, &id).await?;
    let definition = input.applied_to(policy.definition)?;
    if counts_keys(&definition) {
        let attached = groups_of(policy.id, &state.store.group_policies().await?);
        let groups = state.store.groups().await?;
        let aggregate = |group: &&Group| is_aggregate(group) && attached.contains(&group.id);
        if let Some(group) = groups.iter().find(aggregate) {
            let text = messages::POLICY_KEYS_OF_ATTACHED.with(&group.definition.name);
            return Err(ApiError::invalid("config.scope", text));
        }
    }
    let reply = state.execute(&caller, Command::UpdatePolicy(policy.id, Box::new(definition))).await;
    answer(&state, reply).await
}

/// `DELETE /api/policies/{id}`: takes it out of the groups that it is attached to, and says which.
pub(super) async fn delete(state: web::Data<AdminState>, caller: Caller, id: PathId) -> ApiResult {
    let _turn = state.edit_groups().await;
    let policy = stored(&state, &id).await?;
    let attached = groups_of(policy.id, &state.store.group_policies().await?);
    let groups = state.store.groups().await?;
    let names = groups.into_iter().filter(|group| attached.contains(&group.id)).map(|group| group.definition.name);
    let names: Vec<String> = names.collect();
    state.execute(&caller, Command::DeletePolicy(policy.id)).await?;
    Ok(Success::message(match names[..] {
        [] => messages::POLICY_DELETED,
        _ => messages::POLICY_DELETED_DETACHED.with(names.len()).with(names.join(", ")),
    }))
}

/// Describes a [`PolicyLink`].
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct LinkMembers {
    policy_id: i64,
    /// Lower is asked first.
    priority: i64,
    is_active: bool,
}

/// A group's link as the API shows it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "GroupPolicy")]
pub(super) struct LinkBody<'a> {
    #[serde(flatten)]
    #[schemars(with = "LinkMembers")]
    link: PolicyLink,
    /// The policy itself.
    policy: PolicyBody<'a>,
}

/// `GET /api/groups/{id}/policies`, in the order in which they are asked.
pub(super) async fn of_group(state: web::Data<AdminState>, id: PathId) -> ApiResult {
    let group = state.group(id.0).await?;
    shown_links(&state, group.id).await
}

/// `PUT /api/groups/{id}/policies`: these and no others.
pub(super) async fn attach(state: web::Data<AdminState>, caller: Caller, id: PathId, body: ListBody) -> ApiResult {
    let links = links(body.into_fields("policies")?)?;
    let _turn = state.edit_groups().await;
    let group = state.group(id.0).await?;
    let policies = by_id(state.store.policies().await?);
    let problems: Vec<_> = links
        .iter()
        .enumerate()
        .filter_map(|(position, link)| {
            let text = match policies.get(&link.policy_id) {
                None => messages::POLICY_UNKNOWN,
                Some(policy) if is_aggregate(&group) && counts_keys(&policy.definition) => {
                    messages::POLICY_KEYS_OF_AGGREGATE
                }
                Some(_) => return None,
            };
            Some(link_error(position, text))
        })
        .collect();
    if !problems.is_empty() {
        return Err(ApiError::fields(ErrorCode::ValidationFailed, problems));
    }
    state.execute(&caller, Command::SetGroupPolicies(group.id, links)).await?;
    shown_links(&state, group.id).await
}

async fn shown_links(state: &AdminState, group: GroupId) -> ApiResult {
    let (policies, links) = (by_id(state.store.policies().await?), state.store.group_policies().await?);
    let own = links.iter().filter(|linked| linked.group_id == group);
    let shown = own.filter_map(|linked| {
        let policy = policies.get(&linked.link.policy_id)?;
        Some(LinkBody { link: linked.link, policy: PolicyBody::new(policy, &links) })
    });
    Success::data(&shown.collect::<Vec<_>>())
}

fn by_id(policies: Vec<Policy>) -> BTreeMap<PolicyId, Policy> {
    policies.into_iter().map(|policy| (policy.id, policy)).collect()
}

fn is_aggregate(group: &Group) -> bool {
    group.definition.group_type == GroupType::Aggregate
}

/// Whether it counts calls with keys, which an aggregate group has none of.
fn counts_keys(policy: &PolicyDefinition) -> bool {
    let read = policy_config(policy.kind, &policy.config).0;
    matches!(read, Some(PolicyConfig::RateLimit(limit)) if limit.scope == LimitScope::Key)
}

async fn stored(state: &AdminState, id: &PathId) -> Result<Policy, ApiError> {
    let policy = state.store.policy(PolicyId(id.0.0)).await?;
    policy.ok_or_else(|| ApiError::saying(ErrorCode::NotFound, messages::POLICY_UNKNOWN))
}

/// The policy after a write.
async fn answer(state: &AdminState, reply: Result<Reply, CommandError>) -> ApiResult {
    match reply {
        Ok(Reply::Policy(policy)) => Success::data(&PolicyBody::new(&policy, &state.store.group_policies().await?)),
        Ok(_) => Err(ApiError::new(ErrorCode::InternalServerError)),
        Err(CommandError::Store(StoreError::Duplicate(_))) => {
            Err(ApiError::field(ErrorCode::DuplicateResource, "name", messages::POLICY_NAME_TAKEN))
        }
        Err(error) => Err(error.into()),
    }
}
