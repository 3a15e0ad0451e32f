//! The members of an aggregate group.

use std::{
    collections::BTreeSet,
    future::{Ready, ready},
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use gpt_load_actors::commands::Command;
use gpt_load_schema::{
    channel::Channel,
    group::{Group, GroupDefinition, GroupType, SubGroup},
    ids::GroupId,
    store::KeyCounts,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    AdminState,
    body::{Fields, JsonBody},
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    group_object::{GroupBody, Surroundings},
    groups::{PathId, aggregates_of},
    locale::Text,
    messages,
};

/// Largest weight of a member.
const MAX_WEIGHT: i64 = 1000;

/// The id of the member in the path.
pub(super) struct SubId(GroupId);

impl FromRequest for SubId {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("sub_id").and_then(|id| id.parse().ok()).map(|id| Self(GroupId(id)));
        ready(id.ok_or_else(|| {
            let text = Text::english("The id of the sub-group in the path must be a whole number");
            ApiError::field(ErrorCode::BadRequest, "sub_group_id", text)
        }))
    }
}

/// `GET /api/groups/{id}/sub-groups`. The groups come without address and proxy keys: clients use those of the aggregate.
pub(super) async fn all(state: web::Data<AdminState>, id: PathId) -> ApiResult {
    #[derive(Serialize)]
    struct Member {
        group: Value,
        weight: u32,
        total_keys: i64,
        active_keys: i64,
        invalid_keys: i64,
    }
    let aggregate = aggregate(&state, id.0).await?;
    let groups = state.store.groups().await?;
    let counts = state.store.key_counts().await?;
    let settings = state.system_settings().await?;
    let around = Surroundings { settings: &settings, app: &state.app };
    let member = |member: &SubGroup| {
        let group = groups.iter().find(|group| group.id == member.group_id)?;
        let counts: KeyCounts = counts.get(&group.id).copied().unwrap_or_default();
        let mut body = json!(GroupBody::new(group, &around, None));
        if let Some(members) = body.as_object_mut() {
            members.insert("endpoint".to_owned(), json!(""));
            members.shift_remove("proxy_keys");
        }
        Some(Member {
            group: body,
            weight: member.weight,
            total_keys: counts.total(),
            active_keys: counts.active,
            invalid_keys: counts.total() - counts.active,
        })
    };
    Success::data(&aggregate.sub_groups.iter().filter_map(member).collect::<Vec<_>>())
}

/// `POST /api/groups/{id}/sub-groups`: adds members, all or none.
pub(super) async fn add(state: web::Data<AdminState>, caller: Caller, id: PathId, body: JsonBody) -> ApiResult {
    let added = decode(body.0)?;
    let _turn = state.edit_groups().await;
    let aggregate = aggregate(&state, id.0).await?;
    let groups = state.store.groups().await?;
    check(&aggregate, &added, &groups)?;
    let members = added.into_iter().map(|input| input.member);
    let members = aggregate.sub_groups.iter().copied().chain(members).collect();
    state.execute(&caller, Command::SetSubGroups(aggregate.id, members)).await?;
    Ok(Success::message(messages::SUB_GROUPS_ADDED))
}

/// `PUT /api/groups/{id}/sub-groups/{subGroupId}/weight`.
pub(super) async fn weigh(
    state: web::Data<AdminState>,
    caller: Caller,
    id: PathId,
    sub_id: SubId,
    body: JsonBody,
) -> ApiResult {
    let mut body = body.0;
    let weight = body.integer("weight")?.ok_or_else(|| body.missing("weight"))?;
    let weight = weight_of(weight).ok_or_else(|| ApiError::invalid("weight", messages::SUB_GROUP_WEIGHT))?;
    let _turn = state.edit_groups().await;
    let mut aggregate = aggregate(&state, id.0).await?;
    let member = aggregate.sub_groups.iter_mut().find(|member| member.group_id == sub_id.0);
    member.ok_or_else(no_member)?.weight = weight;
    state.execute(&caller, Command::SetSubGroups(aggregate.id, aggregate.sub_groups)).await?;
    Ok(Success::message(messages::SUB_GROUP_WEIGHT_SAVED))
}

/// `DELETE /api/groups/{id}/sub-groups/{subGroupId}`.
pub(super) async fn remove(state: web::Data<AdminState>, caller: Caller, id: PathId, sub_id: SubId) -> ApiResult {
    let _turn = state.edit_groups().await;
    let aggregate = aggregate(&state, id.0).await?;
    let (gone, left): (Vec<_>, Vec<_>) =
        aggregate.sub_groups.into_iter().partition(|member| member.group_id == sub_id.0);
    if gone.is_empty() {
        return Err(no_member());
    }
    state.execute(&caller, Command::SetSubGroups(aggregate.id, left)).await?;
    Ok(Success::message(messages::SUB_GROUP_REMOVED))
}

/// `GET /api/groups/{id}/parent-aggregate-groups`: empty for an unknown id.
pub(super) async fn parents(state: web::Data<AdminState>, id: PathId) -> ApiResult {
    let parents: Vec<_> = aggregates_of(&state, id.0)
        .await?
        .map(|Group { id: aggregate, definition, sub_groups, .. }| {
            let weight = sub_groups.iter().find(|member| member.group_id == id.0).map_or(0, |member| member.weight);
            let GroupDefinition { name, display_name, .. } = definition;
            json!({"group_id": aggregate, "name": name, "display_name": display_name, "weight": weight})
        })
        .collect();
    Success::data(&parents)
}

/// A member as it was sent.
struct Input {
    /// Where it stood, with a dot at its end.
    place: String,
    member: SubGroup,
}

fn decode(mut body: Fields) -> Result<Vec<Input>, ApiError> {
    let elements = body.objects("sub_groups")?.unwrap_or_default();
    if elements.is_empty() {
        return Err(ApiError::invalid("sub_groups", messages::SUB_GROUPS_EMPTY));
    }
    let typed: Vec<_> = elements
        .into_iter()
        .map(|mut element| {
            let id = element.integer("group_id")?.unwrap_or_default();
            let weight = element.integer("weight")?.unwrap_or_default();
            Ok((element.path(""), GroupId(id), weight))
        })
        .collect::<Result<_, ApiError>>()?;
    let input = |(place, group_id, weight): (String, GroupId, i64)| {
        let field = format!("{place}weight");
        let weight = weight_of(weight).ok_or_else(|| ApiError::invalid(field, messages::SUB_GROUP_WEIGHT))?;
        Ok(Input { place, member: SubGroup { group_id, weight } })
    };
    typed.into_iter().map(input).collect()
}

fn weight_of(number: i64) -> Option<u32> {
    u32::try_from(number).ok().filter(|_| number <= MAX_WEIGHT)
}

/// Whether all of `added` may become members.
fn check(aggregate: &Group, added: &[Input], groups: &[Group]) -> Result<(), ApiError> {
    let find = |id| groups.iter().find(|group| group.id == id);
    let mut seen = BTreeSet::new();
    let mut endpoint = aggregate.sub_groups.first().and_then(|member| find(member.group_id)).map(effective_endpoint);
    for Input { place, member: SubGroup { group_id, .. } } in added {
        let invalid = |text: Text| Err(ApiError::invalid(format!("{place}group_id"), text));
        let Some(group) = find(*group_id) else { return invalid(messages::SUB_GROUP_UNKNOWN.with(group_id)) };
        if !seen.insert(*group_id) {
            return invalid(messages::SUB_GROUP_TWICE.with(group_id));
        }
        if group.definition.group_type == GroupType::Aggregate {
            return invalid(messages::SUB_GROUP_AGGREGATE);
        }
        if group.definition.channel != aggregate.definition.channel {
            return invalid(messages::SUB_GROUP_CHANNEL.with(aggregate.definition.channel));
        }
        if aggregate.sub_groups.iter().any(|member| member.group_id == *group_id) {
            let text = messages::SUB_GROUP_MEMBER.with(group_id);
            return Err(ApiError::field(ErrorCode::BadRequest, format!("{place}group_id"), text));
        }
        let wanted = *endpoint.get_or_insert_with(|| effective_endpoint(group));
        if effective_endpoint(group) != wanted {
            return invalid(messages::SUB_GROUP_ENDPOINT.with(wanted));
        }
    }
    Ok(())
}

/// The path of validation calls; empty where it is made of the model and what is stored does not count.
fn effective_endpoint(group: &Group) -> &str {
    let GroupDefinition { channel, validation_endpoint, .. } = &group.definition;
    match (channel, validation_endpoint.as_str()) {
        (Channel::Gemini, _) => "",
        (channel, "") => channel.default_validation_endpoint().unwrap_or_default(),
        (_, stored) => stored,
    }
}

async fn aggregate(state: &AdminState, id: GroupId) -> Result<Group, ApiError> {
    let group = state.group(id).await?;
    if group.definition.group_type != GroupType::Aggregate {
        return Err(ApiError::field(ErrorCode::BadRequest, "id", messages::GROUP_NOT_AGGREGATE));
    }
    Ok(group)
}

fn no_member() -> ApiError {
    ApiError::saying(ErrorCode::NotFound, messages::SUB_GROUP_NO_MEMBER)
}
