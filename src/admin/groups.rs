//! Groups: lists, create, change, delete.

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use gpt_load_actors::commands::{Command, CommandError, Reply};
use gpt_load_schema::{channel::Channel, group::Group, ids::GroupId, store::StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use std::future::{Ready, ready};

use super::{
    AdminState,
    body::JsonBody,
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    group_input::GroupInput,
    group_object::{GroupBody, Surroundings, upstreams_ruled},
    locale::Text,
    messages,
    query::Params,
};

/// The id in the path.
pub(super) struct PathId<T = GroupId>(pub(super) T);

impl<T: From<i64>> FromRequest for PathId<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|id| id.parse::<i64>().ok()).map(|id| Self(id.into()));
        ready(id.ok_or_else(|| {
            ApiError::field(ErrorCode::BadRequest, "id", Text::english("The id in the path must be a whole number"))
        }))
    }
}

/// `GET /api/channel-types`.
pub(super) async fn channel_types() -> ApiResult {
    Success::data(&Channel::ALL.map(Channel::as_str))
}

/// `GET /api/groups`: every group with its key counts; `wrap=1` puts the array into an object.
pub(super) async fn all(state: web::Data<AdminState>, params: Params) -> ApiResult {
    let groups = state.store.groups().await?;
    let counts = state.store.key_counts().await?;
    let settings = state.system_settings().await?;
    let around = Surroundings { settings: &settings, app: &state.app };
    let bodies: Vec<_> = groups
        .iter()
        .map(|group| GroupBody::new(group, &around, Some(counts.get(&group.id).copied().unwrap_or_default())))
        .collect();
    if params.get("wrap") == Some("1") { Success::data(&json!({"groups": bodies})) } else { Success::data(&bodies) }
}

/// What a group is called.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "GroupName")]
pub(super) struct Name<'a> {
    id: i64,
    name: &'a str,
    display_name: &'a str,
}

/// `GET /api/groups/list`: names only.
pub(super) async fn names(state: web::Data<AdminState>) -> ApiResult {
    let mut groups = state.store.groups().await?;
    groups.sort_by_key(|group| group.id);
    let names: Vec<_> = groups
        .iter()
        .map(|Group { id, definition, .. }| Name {
            id: id.0,
            name: &definition.name,
            display_name: &definition.display_name,
        })
        .collect();
    Success::data(&names)
}

/// `POST /api/groups`.
pub(super) async fn create(state: web::Data<AdminState>, caller: Caller, body: JsonBody) -> ApiResult {
    let definition = GroupInput::decode(body.0)?.into_definition(state.upstream_policy())?;
    let reply = state.execute(&caller, Command::CreateGroup(Box::new(definition))).await;
    answer(&state, reply).await
}

/// `PUT /api/groups/{id}`.
pub(super) async fn update(state: web::Data<AdminState>, caller: Caller, id: PathId, body: JsonBody) -> ApiResult {
    let input = GroupInput::decode(body.0)?;
    let _turn = state.edit_groups().await;
    let group = state.group(id.0).await?;
    let is_member = aggregates_of(&state, group.id).await?.next().is_some();
    let definition = input.applied_to(&group.definition, is_member, state.upstream_policy())?;
    if upstreams_ruled(&group.definition, &state.app) && definition.upstreams != group.definition.upstreams {
        return Err(ApiError::invalid("upstreams", messages::UPSTREAMS_RULED));
    }
    let reply = state.execute(&caller, Command::UpdateGroup(group.id, Box::new(definition))).await;
    answer(&state, reply).await
}

/// `DELETE /api/groups/{id}`; says which aggregate groups lose a member by it.
pub(super) async fn delete(state: web::Data<AdminState>, caller: Caller, id: PathId) -> ApiResult {
    let _turn = state.edit_groups().await;
    let group = state.group(id.0).await?;
    let aggregates: Vec<_> = aggregates_of(&state, group.id).await?.map(|group| group.definition.name).collect();
    state.execute(&caller, Command::DeleteGroup(group.id)).await?;
    Ok(Success::message(match aggregates[..] {
        [] => messages::GROUP_DELETED,
        _ => messages::GROUP_DELETED_MEMBER.with(aggregates.join(", ")),
    }))
}

/// Aggregate groups that `id` is a member of.
pub(super) async fn aggregates_of(
    state: &AdminState,
    id: GroupId,
) -> Result<impl Iterator<Item = Group> + use<>, ApiError> {
    let groups = state.store.groups().await?;
    Ok(groups.into_iter().filter(move |group| group.sub_groups.iter().any(|member| member.group_id == id)))
}

/// The group object after a write.
async fn answer(state: &AdminState, reply: Result<Reply, CommandError>) -> ApiResult {
    let group = match reply {
        Ok(Reply::Group(group)) => group,
        Ok(_) => return Err(ApiError::new(ErrorCode::InternalServerError)),
        Err(CommandError::Store(StoreError::Duplicate(_))) => {
            return Err(ApiError::field(ErrorCode::DuplicateResource, "name", messages::GROUP_NAME_TAKEN));
        }
        Err(error) => return Err(error.into()),
    };
    let settings = state.system_settings().await?;
    Success::data(&GroupBody::new(&group, &Surroundings { settings: &settings, app: &state.app }, None))
}
