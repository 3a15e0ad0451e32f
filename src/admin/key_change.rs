//! `PATCH /api/keys/{id}`: a person's decisions about one key.

use actix_web::web;
use gpt_load_actors::commands::{Command, KeyTraits, Order};
use gpt_load_schema::{
    group::Group,
    ids::KeyId,
    key::{KeyRecord, KeyState},
    time::Timestamp,
};

use super::{
    AdminState,
    body::{Fields, JsonBody},
    caller::Caller,
    envelope::ApiResult,
    error::{ApiError, ErrorCode},
    groups::PathId,
    key_detail::describe,
    messages,
};

const WEIGHTS: std::ops::RangeInclusive<i64> = 1..=100;
const PRIORITIES: std::ops::RangeInclusive<i64> = -1000..=1000;

/// Changes state, weight, priority and upstream, as far as the body names them; answers the key as it is then. Nothing is
/// changed when a field is refused.
pub(super) async fn change(
    state: web::Data<AdminState>,
    caller: Caller,
    id: PathId<KeyId>,
    body: JsonBody,
) -> ApiResult {
    let (id, mut fields) = (id.0, body.0);
    let unknown = || ApiError::saying(ErrorCode::NotFound, messages::KEY_UNKNOWN);
    let stored = state.store.key(id).await?.ok_or_else(unknown)?;
    let group = state.group(stored.group_id).await?;
    if !["state", "status", "weight", "priority", "upstream"].iter().any(|name| fields.contains(name)) {
        return Err(ApiError::invalid("state", messages::KEY_CHANGE_EMPTY));
    }
    let traits = traits(&mut fields, &group)?;
    let order = order(&mut fields, state_now(&state, &stored))?;
    if traits != KeyTraits::default() {
        state.execute(&caller, Command::UpdateKey(group.id, id, traits)).await?;
    }
    if let Some(order) = order {
        state.execute(&caller, Command::OrderKey(group.id, id, order)).await?;
    }
    describe(&state, id).await
}

/// The pool may know a later state than the database.
fn state_now(state: &AdminState, stored: &KeyRecord) -> KeyState {
    let live = state.route(stored.group_id).and_then(|route| route.pool.key(stored.id, Timestamp::now()));
    live.map_or(stored.health.state, |live| live.record.health.state)
}

fn order(fields: &mut Fields, now: KeyState) -> Result<Option<Order>, ApiError> {
    let mut order = None;
    // Key objects call it `status`, pools `state`: either is understood, both are checked, `state` counts.
    for name in ["status", "state"] {
        if let Some(word) = fields.string(name)? {
            order = order_of(name, &word, now)?;
        }
    }
    Ok(order)
}

fn order_of(name: &str, word: &str, now: KeyState) -> Result<Option<Order>, ApiError> {
    match word.parse() {
        Ok(KeyState::Active) => Ok(Some(Order::Restore)),
        Ok(KeyState::Disabled) => Ok(Some(Order::Disable)),
        Ok(KeyState::Invalid) => Ok(Some(Order::Invalidate)),
        Ok(KeyState::Degraded) if now == KeyState::Disabled => Ok(Some(Order::Enable)),
        Ok(KeyState::Degraded) if now == KeyState::Degraded => Ok(None),
        Ok(KeyState::Degraded) => Err(ApiError::invalid(name, messages::KEY_NOT_DISABLED.with(now))),
        Ok(KeyState::Pending) | Err(_) => Err(ApiError::invalid(name, messages::KEY_STATE_UNKNOWN)),
    }
}

fn traits(fields: &mut Fields, group: &Group) -> Result<KeyTraits, ApiError> {
    let mut within = |name, range: std::ops::RangeInclusive<i64>, text| match fields.integer(name)? {
        None => Ok(None),
        Some(number) if range.contains(&number) => Ok(i32::try_from(number).ok()),
        Some(_) => Err(ApiError::invalid(name, text)),
    };
    let weight = within("weight", WEIGHTS, messages::KEY_WEIGHT_RANGE)?;
    let priority = within("priority", PRIORITIES, messages::KEY_PRIORITY_RANGE)?;
    Ok(KeyTraits { weight, priority, upstream: upstream(fields, group)? })
}

/// `null` lets the key go; absent leaves it as it is.
fn upstream(fields: &mut Fields, group: &Group) -> Result<Option<Option<String>>, ApiError> {
    if fields.is_null("upstream") {
        return Ok(Some(None));
    }
    let Some(url) = fields.string("upstream")? else { return Ok(None) };
    let upstreams = &group.definition.upstreams;
    if upstreams.iter().any(|upstream| upstream.url == url) {
        return Ok(Some(Some(url)));
    }
    let known: Vec<_> = upstreams.iter().map(|upstream| upstream.url.as_str()).collect();
    Err(ApiError::invalid("upstream", messages::KEY_UPSTREAM_UNKNOWN.with(known.join(", "))))
}
