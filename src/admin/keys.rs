//! Keys of a group: the list, and changes by name and by the whole group.

use actix_web::web;
use futures_util::{StreamExt, TryStreamExt, stream};
use gpt_load_actors::commands::{Command, Reply};
use gpt_load_schema::{
    audit::Subject,
    group::{Group, GroupType},
    ids::{GroupId, KeyId},
    key::{KeyHealth, KeyRecord, KeySource, KeyState},
    secret::Secret,
    store::{KeyFilter, KeySelector},
    time::Timestamp,
};
use serde_json::json;

use super::{
    AdminState,
    body::{Fields, JsonBody, KeysBody},
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    key_input::{self, KeyList},
    key_object::KeyBody,
    locale::Text,
    messages,
    query::Params,
};

/// Keys looked up at once.
const LOOKUPS: usize = 16;

/// `GET /api/keys`: one page.
pub(super) async fn page(state: web::Data<AdminState>, params: Params) -> ApiResult {
    let group = params.group_id()?;
    let filter =
        KeyFilter { state: params.status(false)?, value: params.get("key_value").map(Secret::from), source: None };
    state.group(group).await?;
    let paging = params.paging();
    let mut keys = state.store.keys_page(group, &filter, paging.stored_page(), paging.page_size.unsigned_abs()).await?;
    show_as_now(&state, group, &mut keys.items);
    Success::data(&paging.page(keys.items.iter().map(KeyBody::from).collect(), keys.total))
}

/// The pool knows later states than the database, and which keys rest.
fn show_as_now(state: &AdminState, group: GroupId, keys: &mut [KeyRecord]) {
    let (route, now) = (state.route(group), Timestamp::now());
    for key in keys {
        match route.as_ref().and_then(|route| route.pool.key(key.id, now)) {
            Some(live) => key.health = KeyHealth { resting_until: live.away_until, ..live.record.health },
            None => key.health.resting_until = key.health.resting_until.filter(|until| *until > now),
        }
    }
}

/// `POST /api/keys/add-multiple`.
pub(super) async fn add(state: web::Data<AdminState>, caller: Caller, body: KeysBody) -> ApiResult {
    let mut body = body.0;
    let word = body.string("new_key_state")?;
    let (group, keys) = keys_of_request(&state, &mut body).await?;
    if group.definition.group_type == GroupType::Aggregate {
        return Err(ApiError::field(ErrorCode::BadRequest, "group_id", messages::KEYS_ON_AGGREGATE));
    }
    let first_state = key_input::first_state(word.as_deref())?;
    let parsed = count(&keys);
    let command = Command::AddKeys { group: group.id, values: keys, state: first_state, source: KeySource::Manual };
    let Reply::Added { added, total, .. } = state.execute(&caller, command).await? else { return Err(unexpected()) };
    Success::data(&json!({"added_count": added, "ignored_count": parsed - added, "total_in_group": total}))
}

/// `POST /api/keys/delete-multiple`.
pub(super) async fn delete(state: web::Data<AdminState>, caller: Caller, body: KeysBody) -> ApiResult {
    let mut body = body.0;
    let (group, keys) = keys_of_request(&state, &mut body).await?;
    let parsed = count(&keys);
    let (deleted, total) = change(&state, &caller, Command::DeleteKeys(group.id, KeySelector::Values(keys))).await?;
    Success::data(&json!({"deleted_count": deleted, "ignored_count": parsed - deleted, "total_in_group": total}))
}

/// `POST /api/keys/restore-multiple`: of the keys named, only the invalid ones become active; a disabled key comes back by
/// itself or through `/reset-keys`.
pub(super) async fn restore(state: web::Data<AdminState>, caller: Caller, body: KeysBody) -> ApiResult {
    let mut body = body.0;
    let (group, keys) = keys_of_request(&state, &mut body).await?;
    let parsed = count(&keys);
    let invalid = invalid_among(&state, group.id, keys).await?;
    let (restored, total) = change(&state, &caller, Command::RestoreKeys(group.id, KeySelector::Ids(invalid))).await?;
    Success::data(&json!({"restored_count": restored, "ignored_count": parsed - restored, "total_in_group": total}))
}

/// `POST /api/keys/restore-all-invalid`.
pub(super) async fn restore_all_invalid(state: web::Data<AdminState>, caller: Caller, body: JsonBody) -> ApiResult {
    let group = group_of_request(&state, body.0).await?;
    let work = async { Ok(state.runtime.key_work().restore_all(group.id, KeyState::Invalid).await?.0) };
    sweep(&state, &caller, "key.restore", &group, "invalid", work, &messages::KEYS_RESTORED).await
}

/// `POST /api/keys/clear-all-invalid`.
pub(super) async fn clear_all_invalid(state: web::Data<AdminState>, caller: Caller, body: JsonBody) -> ApiResult {
    let group = group_of_request(&state, body.0).await?;
    let work = async { Ok(state.runtime.key_work().delete_all(group.id, Some(KeyState::Invalid)).await?.0) };
    sweep(&state, &caller, "key.delete", &group, "invalid", work, &messages::KEYS_CLEARED_INVALID).await
}

/// `POST /api/keys/clear-all`.
pub(super) async fn clear_all(state: web::Data<AdminState>, caller: Caller, body: JsonBody) -> ApiResult {
    let group = group_of_request(&state, body.0).await?;
    let work = async { Ok(state.runtime.key_work().delete_all(group.id, None).await?.0) };
    sweep(&state, &caller, "key.delete", &group, "all", work, &messages::KEYS_CLEARED).await
}

/// The group and the keys that a request is about. What does not decode comes before an unknown group, and that before
/// keys that do not parse.
pub(super) async fn keys_of_request(state: &AdminState, body: &mut Fields) -> Result<(Group, Vec<Secret>), ApiError> {
    let id = key_input::group_id(body)?;
    let list: KeyList = key_input::key_list(body)?;
    let group = state.group(id).await?;
    Ok((group, list.parse()?))
}

async fn group_of_request(state: &AdminState, mut body: Fields) -> Result<Group, ApiError> {
    let id = key_input::group_id(&mut body)?;
    state.group(id).await
}

/// Changes all keys that are meant, however many, with one row in the audit log.
async fn sweep(
    state: &AdminState,
    caller: &Caller,
    action: &'static str,
    group: &Group,
    which: &str,
    work: impl Future<Output = Result<i64, ApiError>>,
    text: &Text,
) -> ApiResult {
    let subject = Subject::group(group.id, &group.definition.name);
    let told = |count: &i64| json!({"which": which, "count": count});
    let count = state.audited(caller, action, subject, work, told).await?;
    Ok(Success::message(text.with(count)))
}

/// Ids of the keys that are stored in the group as invalid.
async fn invalid_among(state: &AdminState, group: GroupId, keys: Vec<Secret>) -> Result<Vec<KeyId>, ApiError> {
    let look_up = |key| async {
        let filter = KeyFilter { state: Some(KeyState::Invalid), value: Some(key), source: None };
        state.store.keys_after(group, &filter, None, 1).await
    };
    let found: Vec<_> = stream::iter(keys).map(look_up).buffer_unordered(LOOKUPS).try_collect().await?;
    let mut ids: Vec<_> = found.iter().flatten().map(|key| key.id).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Carries out a change of keys; answers how many changed and how many the group has after it.
async fn change(state: &AdminState, caller: &Caller, command: Command) -> Result<(i64, i64), ApiError> {
    match state.execute(caller, command).await? {
        Reply::Changed { count, total } => Ok((count, total)),
        _ => Err(unexpected()),
    }
}

fn count(keys: &[Secret]) -> i64 {
    i64::try_from(keys.len()).unwrap_or(i64::MAX)
}

fn unexpected() -> ApiError {
    tracing::error!("a management write was answered in a form that does not belong to it");
    ApiError::new(ErrorCode::InternalServerError)
}
