//! `GET /api/groups/{id}/pool`: a group's keys as this node sees them now, and `POST …/pool/accept`.

use actix_web::web;
use gpt_load_actors::{
    commands::{Command, Reply},
    pool::{LiveKey, Overview, Part},
};
use gpt_load_schema::{
    group::{Group, GroupType, Upstream},
    key::KeyState,
    store::KeyCounts,
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{
    AdminState,
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    groups::PathId,
    guard_view::EpisodeBody,
    key_object::time,
    messages,
    openapi::types::{KeyStateWord, Time},
    query::{PageBody, Paging, Params},
};
use crate::upstream::{balance::UpstreamState, breaker::Circuit};

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Pool")]
pub(super) struct PoolBody<'a> {
    group_id: i64,
    counts: CountsBody,
    resting: u64,
    /// Keys that would be out but for the pool guard.
    held: usize,
    in_flight: u64,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    next_return: Option<Timestamp>,
    guard: Vec<EpisodeBody<'a>>,
    upstreams: Vec<UpstreamBody<'a>>,
    keys: PageBody<PooledKey>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "KeyCounts")]
struct CountsBody {
    total: i64,
    pending: i64,
    active: i64,
    degraded: i64,
    disabled: i64,
    invalid: i64,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UpstreamState")]
struct UpstreamBody<'a> {
    url: &'a str,
    weight: u32,
    /// `closed`, `open`, `probing`.
    circuit: &'static str,
    consecutive_faults: u32,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    next_probe_at: Option<Timestamp>,
}

/// A key in a pool. Its value is masked: whoever may see values asks for the key itself.
#[derive(JsonSchema, Serialize)]
struct PooledKey {
    id: i64,
    key: String,
    #[schemars(with = "KeyStateWord")]
    state: &'static str,
    in_flight: u32,
    weight: i32,
    priority: i32,
    upstream: Option<String>,
    consecutive_failures: i32,
    last_class: Option<String>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    resting_until: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    next_return: Option<Timestamp>,
}

/// `GET /api/groups/{id}/pool`: sums over all keys and one page of them, by ascending id; `state` narrows the page.
pub(super) async fn show(state: web::Data<AdminState>, id: PathId, params: Params) -> ApiResult {
    let (paging, wanted) = (params.paging(), params.key_state("state", false)?);
    let group = standard_group(&state, id).await?;
    // A group that was made a moment ago and is not served yet.
    let route = state.route(group.id).ok_or_else(|| ApiError::new(ErrorCode::ServiceUnavailable))?;
    let (pool, now) = (route.pool.clone(), Timestamp::now());
    let part = part(paging, wanted);
    // A pool may hold a million keys.
    let overview = web::block(move || pool.overview(part, now)).await;
    let overview = overview.map_err(|_| ApiError::new(ErrorCode::InternalServerError))?;
    let episodes = route.pool.guard();
    let states = state.upstream_states(group.id);
    Success::data(&PoolBody {
        group_id: group.id.0,
        counts: overview.counts.into(),
        resting: overview.resting,
        held: episodes.iter().map(|episode| episode.held).sum(),
        in_flight: overview.in_flight,
        next_return: overview.next_return,
        guard: episodes.iter().map(EpisodeBody::from).collect(),
        upstreams: route.group.definition.upstreams.iter().zip(states).map(UpstreamBody::from).collect(),
        keys: page(paging, &overview, now),
    })
}

/// `POST /api/groups/{id}/pool/accept`: what the pool guard holds back takes effect.
pub(super) async fn accept(state: web::Data<AdminState>, caller: Caller, id: PathId) -> ApiResult {
    let group = standard_group(&state, id).await?;
    match state.execute(&caller, Command::AcceptHeld(group.id)).await? {
        Reply::Changed { count, .. } => Success::data(&json!({"accepted_count": count})),
        _ => Err(ApiError::new(ErrorCode::InternalServerError)),
    }
}

async fn standard_group(state: &AdminState, id: PathId) -> Result<Group, ApiError> {
    let group = state.group(id.0).await?;
    match group.definition.group_type {
        GroupType::Standard => Ok(group),
        GroupType::Aggregate => Err(ApiError::field(ErrorCode::BadRequest, "id", messages::POOL_OF_AGGREGATE)),
    }
}

fn part(paging: Paging, state: Option<KeyState>) -> Part {
    let take = paging.page_size.unsigned_abs();
    let skip = (paging.stored_page() - 1).saturating_mul(take);
    Part { state, skip, take: usize::try_from(take).unwrap_or(usize::MAX) }
}

fn page(paging: Paging, overview: &Overview, now: Timestamp) -> PageBody<PooledKey> {
    let items = overview.keys.iter().map(|key| PooledKey::new(key, now)).collect();
    paging.page(items, i64::try_from(overview.matching).unwrap_or(i64::MAX))
}

impl PooledKey {
    fn new(key: &LiveKey, now: Timestamp) -> Self {
        let (record, health) = (&key.record, &key.record.health);
        Self {
            id: record.id.0,
            key: record.value.as_ref().map_or_else(|| "****".to_owned(), |value| value.masked()),
            state: health.state.as_str(),
            in_flight: key.in_flight,
            weight: record.weight,
            priority: record.priority,
            upstream: record.upstream.clone(),
            consecutive_failures: health.consecutive_failures,
            last_class: health.last_class.clone(),
            resting_until: key.away_until,
            next_return: key.next_return(now),
        }
    }
}

impl From<KeyCounts> for CountsBody {
    fn from(counts: KeyCounts) -> Self {
        let KeyCounts { pending, active, degraded, disabled, invalid } = counts;
        Self { total: counts.total(), pending, active, degraded, disabled, invalid }
    }
}

impl<'a> From<(&'a Upstream, UpstreamState)> for UpstreamBody<'a> {
    fn from((upstream, state): (&'a Upstream, UpstreamState)) -> Self {
        let (circuit, until) = match state.circuit {
            Circuit::Closed => ("closed", None),
            Circuit::Open { until } => ("open", Some(until)),
            Circuit::Probing { until } => ("probing", Some(until)),
        };
        Self {
            url: &upstream.url,
            weight: upstream.weight,
            circuit,
            consecutive_faults: state.consecutive_faults,
            next_probe_at: until.map(|until| Timestamp::default() + until),
        }
    }
}
