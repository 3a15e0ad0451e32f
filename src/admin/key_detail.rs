//! `GET /api/keys/{id}`: one key, and why it is in its state.

use actix_web::web;
use gpt_load_actors::pool::{LiveKey, TrippedGuard};
use gpt_load_schema::{
    ids::KeyId,
    key::{KeySource, KeyState, ModelHealth},
    log::{OutcomeClass, RequestLog, RequestType},
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    AdminState,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    groups::PathId,
    guard_view::{EpisodeBody, episode_of},
    key_object::{KeyBody, time},
    messages,
    openapi::types::{KeySourceWord, OutcomeClassWord, RequestTypeWord, Time},
};

/// The rule of a key that serves on probation because the pool guard holds its failures back.
const HELD: &str = "pool-guard";
/// Log rows that are shown.
const LAST_OUTCOMES: u32 = 20;

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "KeyDetail")]
pub(super) struct DetailBody<'a> {
    #[serde(flatten)]
    key: KeyBody<'a>,
    in_flight: u32,
    #[schemars(with = "KeySourceWord")]
    source: KeySource,
    state_reason: Option<Reason<'a>>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    next_return: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    next_validation_at: Option<Timestamp>,
    models: Vec<ModelBody<'a>>,
    held: Option<EpisodeBody<'a>>,
    last_outcomes: Vec<OutcomeBody<'a>>,
}

/// Why a key is in its state.
#[derive(Debug, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "KeyStateReason")]
struct Reason<'a> {
    class: Option<&'a str>,
    rule: Option<&'a str>,
    message: Option<&'a str>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    since: Option<Timestamp>,
}

/// What one model may not be asked for with the key.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "KeyModel")]
struct ModelBody<'a> {
    model: &'a str,
    consecutive_failures: i32,
    backoff_level: i32,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    disabled_until: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    resting_until: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    out_until: Option<Timestamp>,
}

/// How one use of the key ended.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "KeyOutcome")]
struct OutcomeBody<'a> {
    #[serde(serialize_with = "time")]
    #[schemars(with = "Time")]
    time: Option<Timestamp>,
    request_id: String,
    attempt: u32,
    #[schemars(with = "RequestTypeWord")]
    request_type: RequestType,
    #[schemars(with = "Option<OutcomeClassWord>")]
    class: Option<&'static str>,
    evidence: Option<&'a str>,
    is_success: bool,
    status_code: u16,
    model: &'a str,
    upstream_addr: &'a str,
    duration_ms: i64,
}

/// `GET /api/keys/{id}`.
pub(super) async fn show(state: web::Data<AdminState>, id: PathId<KeyId>) -> ApiResult {
    describe(&state, id.0).await
}

/// Rule of a rest that no failure has caused.
const USED_UP: &str = "limit-used-up";
const USED_UP_MESSAGE: &str =
    "the provider announced that nothing is left of a limit, or the group's own key_rpm is used up";

/// The key with all that is known of it.
///
/// # Errors
/// 404 when there is none with this id.
pub(super) async fn describe(state: &AdminState, id: KeyId) -> ApiResult {
    state.settled().await;
    let stored = state.store.key(id).await?;
    let mut stored = stored.ok_or_else(|| ApiError::saying(ErrorCode::NotFound, messages::KEY_UNKNOWN))?;
    let logs = state.store.key_logs(stored.group_id, &stored.hash, LAST_OUTCOMES).await?;
    let route = state.route(stored.group_id);
    let episodes = route.as_ref().map(|route| route.pool.guard()).unwrap_or_default();
    let now = Timestamp::now();
    let (in_flight, away_until) = match route.and_then(|route| route.pool.key(id, now)) {
        Some(live) => {
            stored.health = live.record.health;
            (live.in_flight, live.away_until)
        }
        None => (0, stored.health.resting_until.filter(|until| *until > now)),
    };
    let key = LiveKey { record: stored, in_flight, away_until };
    let episode = episode_of(key.record.health.state, &logs, &episodes);
    Success::data(&body(&key, &logs, episode, now))
}

fn body<'a>(
    key: &'a LiveKey,
    logs: &'a [RequestLog],
    episode: Option<&'a TrippedGuard>,
    now: Timestamp,
) -> DetailBody<'a> {
    let LiveKey { record, in_flight, away_until } = key;
    let health = &record.health;
    DetailBody {
        key: KeyBody::from(record).resting_until(*away_until),
        in_flight: *in_flight,
        source: record.source,
        state_reason: episode.map(Reason::from).or_else(|| reason(key, logs, now)),
        next_return: key.next_return(now),
        next_validation_at: health.next_validation_at,
        models: health.models.iter().map(|model| ModelBody::new(model, now)).collect(),
        held: episode.map(EpisodeBody::from),
        last_outcomes: logs.iter().map(OutcomeBody::from).collect(),
    }
}

/// `None` where there is nothing to explain: the key serves without reservation, or has not been tried yet.
fn reason<'a>(key: &'a LiveKey, logs: &[RequestLog], now: Timestamp) -> Option<Reason<'a>> {
    let health = &key.record.health;
    let rests = health.resting_until.is_some_and(|until| until > now);
    if !rests && health.state.is_selectable() && key.away_until.is_some() {
        return Some(Reason { class: None, rule: Some(USED_UP), message: Some(USED_UP_MESSAGE), since: None });
    }
    let serves = health.state == KeyState::Active && health.consecutive_failures == 0 && !rests;
    let untried = health.state == KeyState::Pending && health.last_class.is_none();
    if serves || untried {
        return None;
    }
    let class = health.last_class.as_deref();
    // A cooldown is no failure, so the key does not remember when it began; its log rows do.
    let logged = |class| {
        let alike = |row: &&RequestLog| row.class.map(OutcomeClass::as_str) == Some(class);
        logs.iter().find(alike).map(|row| row.timestamp)
    };
    let since = match class {
        Some(class) if class == OutcomeClass::RateLimited.as_str() => logged(class),
        Some(class) => health.last_failure_at.or_else(|| logged(class)),
        // A person decided so.
        None => None,
    };
    Some(Reason { class, rule: health.last_rule.as_deref(), message: health.last_error.as_deref(), since })
}

impl<'a> From<&'a TrippedGuard> for Reason<'a> {
    fn from(episode: &'a TrippedGuard) -> Self {
        Self {
            class: Some(episode.class.as_str()),
            rule: Some(HELD),
            message: Some(&*episode.message),
            since: Some(episode.since),
        }
    }
}

impl<'a> ModelBody<'a> {
    fn new(health: &'a ModelHealth, now: Timestamp) -> Self {
        Self {
            model: &health.model,
            consecutive_failures: health.consecutive_failures,
            backoff_level: health.backoff_level,
            disabled_until: health.disabled_until,
            resting_until: health.resting_until,
            out_until: health.out_until().filter(|until| *until > now),
        }
    }
}

impl<'a> From<&'a RequestLog> for OutcomeBody<'a> {
    fn from(row: &'a RequestLog) -> Self {
        Self {
            time: Some(row.timestamp),
            request_id: row.request_id.to_string(),
            attempt: row.attempt,
            request_type: row.request_type,
            class: row.class.map(OutcomeClass::as_str),
            evidence: row.evidence.as_deref(),
            is_success: row.is_success,
            status_code: row.status_code,
            model: &row.model,
            upstream_addr: &row.upstream_addr,
            duration_ms: row.duration_ms,
        }
    }
}
