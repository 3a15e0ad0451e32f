//! `POST /api/keys/add-async` and `/delete-async`: any number of keys, as the task of the installation.

use actix_web::{HttpRequest, web};
use gpt_load_actors::tasks::Task;
use gpt_load_schema::{
    audit::Subject,
    group::{Group, GroupType},
    key::KeySource,
};

use super::{
    AdminState,
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    key_input,
    key_request::KeyRequest,
    messages, tasks,
};

/// Starts the import; answers the task.
pub(super) async fn add(
    state: web::Data<AdminState>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let request = KeyRequest::read(&request, payload, state.request_limit()).await?;
    let group = group(&state, &request).await?;
    let first_state = key_input::first_state(request.first_state.as_deref())?;
    let keys = request.keys()?;
    let start = async { Ok(state.runtime.key_work().import(group.id, keys, first_state, KeySource::Manual)?) };
    start_for(&state, &caller, &group, start).await
}

/// Starts the deletion; answers the task.
pub(super) async fn delete(
    state: web::Data<AdminState>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let request = KeyRequest::read(&request, payload, state.request_limit()).await?;
    let group = group(&state, &request).await?;
    let keys = request.keys()?;
    let start = async { Ok(state.runtime.key_work().delete(group.id, keys)?) };
    start_for(&state, &caller, &group, start).await
}

async fn start_for(
    state: &AdminState,
    caller: &Caller,
    group: &Group,
    start: impl Future<Output = Result<Task, ApiError>>,
) -> ApiResult {
    let subject = Subject::group(group.id, &group.definition.name);
    let task = state.audited(caller, "task.start", subject, start, tasks::started).await?;
    Success::data(&tasks::body(&task))
}

async fn group(state: &AdminState, request: &KeyRequest) -> Result<Group, ApiError> {
    let group = state.group(request.group).await?;
    match group.definition.group_type {
        GroupType::Standard => Ok(group),
        GroupType::Aggregate => Err(ApiError::field(ErrorCode::BadRequest, "group_id", messages::KEYS_ON_AGGREGATE)),
    }
}
