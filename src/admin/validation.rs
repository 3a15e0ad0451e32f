//! Validation of groups: the task, the incremental runs and their history.

use std::time::Duration;

use actix_web::web;
use gpt_load_actors::validation::{Increment, Ran, Report, Tally};
use gpt_load_schema::{
    audit::Subject,
    group::GroupType,
    key::KeyState,
    store::{KeyCounts, ValidationFilter},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{
    AdminState,
    body::{Fields, JsonBody},
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    groups::PathId,
    key_input, messages,
    query::Params,
    tasks,
};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long a run that is waited for may take: over one group, over all.
const TIME: (Duration, Duration) = (Duration::from_secs(10 * 60), Duration::from_secs(30 * 60));
/// Calls at the same time that the task may be asked for; the group's own limit rules too.
const MAX_CONCURRENCY: i64 = 10_000;

/// `POST /api/keys/validate-group`: starts the task.
pub(super) async fn group(state: web::Data<AdminState>, caller: Caller, body: JsonBody) -> ApiResult {
    let mut body = body.0;
    let id = key_input::group_id(&mut body)?;
    let word = body.string("status")?.filter(|word| !word.is_empty());
    let wanted = match word.map(|word| word.parse::<KeyState>()).transpose() {
        Ok(state) => state,
        Err(_) => {
            let known = KeyState::ALL.map(KeyState::as_str).join(", ");
            return Err(ApiError::invalid("status", messages::STATUS_UNKNOWN.with(known)));
        }
    };
    let code = ErrorCode::ValidationFailed;
    let concurrency = match body.integer("concurrency")? {
        None => None,
        Some(number) => Some(within("concurrency", number, (1, MAX_CONCURRENCY), code)?),
    };
    let group = state.group(id).await?;
    if group.definition.group_type == GroupType::Aggregate {
        let text = messages::NO_KEYS_TO_VALIDATE_ON_AGGREGATE;
        return Err(ApiError::field(ErrorCode::BadRequest, "group_id", text));
    }
    let subject = Subject::group(id, &group.definition.name);
    let start = async { Ok(state.runtime.validation().validate_group(id, wanted, concurrency.map(size))?) };
    let task = state.audited(&caller, "task.start", subject, start, tasks::started).await?;
    Success::data(&tasks::body(&task))
}

/// `POST /api/validation/groups/{id}`: validates the newer keys of a group; more than 1,000 of them as a task.
pub(super) async fn increment(
    state: web::Data<AdminState>,
    caller: Caller,
    id: PathId,
    body: Result<JsonBody, ApiError>,
) -> ApiResult {
    let increment = read(body, TIME.0)?;
    let group = state.group(id.0).await?;
    if group.definition.group_type == GroupType::Aggregate {
        let text = messages::NO_KEYS_TO_VALIDATE_ON_AGGREGATE;
        return Err(ApiError::field(ErrorCode::BadRequest, "id", text));
    }
    let subject = Subject::group(group.id, &group.definition.name);
    let run = async { Ok(state.runtime.validation().incremental(&[group.id], &increment).await?) };
    match state.audited(&caller, "validation.run", subject, run, told).await? {
        Ran::Task(task) => Success::data(&tasks::body(&task)),
        Ran::Done(reports) => {
            let report = reports.first().ok_or_else(|| ApiError::new(ErrorCode::NotFound))?;
            Success::data(&shown(report))
        }
    }
}

/// `POST /api/validation/groups`: the same over all groups that have keys of their own.
pub(super) async fn increment_all(
    state: web::Data<AdminState>,
    caller: Caller,
    body: Result<JsonBody, ApiError>,
) -> ApiResult {
    let increment = read(body, TIME.1)?;
    let groups = state.store.groups().await?;
    let standard = groups.iter().filter(|group| group.definition.group_type == GroupType::Standard);
    let ids: Vec<_> = standard.map(|group| group.id).collect();
    let run = async { Ok(state.runtime.validation().incremental(&ids, &increment).await?) };
    match state.audited(&caller, "validation.run", Subject::of_kind("group"), run, told).await? {
        Ran::Task(task) => Success::data(&tasks::body(&task)),
        Ran::Done(reports) => {
            let mut sum = Tally::default();
            reports.iter().for_each(|report| sum += report.tally);
            Success::data(&json!({
                "results": reports.iter().map(shown).collect::<Vec<_>>(),
                "summary": {
                    "total_groups": reports.len(),
                    "total_keys": sum.total,
                    "total_validated": sum.validated(),
                    "total_successful": sum.successful,
                },
            }))
        }
    }
}

/// `GET /api/validation/groups/{id}/history`: what the keys of a group have come to; zeros for an unknown one.
pub(super) async fn history(state: web::Data<AdminState>, id: PathId, params: Params) -> ApiResult {
    let hours = params.number::<u32>("hours").filter(|hours| (1..=168).contains(hours)).unwrap_or(24);
    let counts: KeyCounts = state.store.group_key_counts(id.0).await?;
    let since = Timestamp::now() - HOUR * hours;
    let validated = state.store.keys_validated_since(id.0, since).await?;
    let total = counts.total();
    let rate = if total == 0 { 0.0 } else { validated as f64 / total as f64 };
    Success::data(&json!({
        "group_id": id.0,
        "time_range": hours,
        "history": {
            "total_keys": total,
            "validated_keys": validated,
            "pending_keys": counts.pending,
            "active_keys": counts.active,
            "invalid_keys": counts.invalid,
            "degraded_keys": counts.degraded,
            "disabled_keys": counts.disabled,
            "validation_rate": rate,
        },
    }))
}

/// What the audit log is told of a run.
fn told(ran: &Ran) -> Value {
    match ran {
        Ran::Task(task) => tasks::started(task),
        Ran::Done(reports) => {
            let mut sum = Tally::default();
            reports.iter().for_each(|report| sum += report.tally);
            json!({"groups": reports.len(), "keys": sum.total, "validated": sum.validated(), "successful": sum.successful})
        }
    }
}

/// Whatever is wrong with the body of an incremental run is a bad request.
fn read(body: Result<JsonBody, ApiError>, time: Duration) -> Result<Increment, ApiError> {
    let body = body.map(|body| body.0).and_then(|mut body| increment_of(&mut body, time, Timestamp::now()));
    body.map_err(|error| match error.code() {
        ErrorCode::InvalidJson => error.with_code(ErrorCode::BadRequest),
        _ => error,
    })
}

fn increment_of(body: &mut Fields, time: Duration, now: Timestamp) -> Result<Increment, ApiError> {
    let mut number = |name: &str, default: i64, bounds| {
        let number = body.integer(name)?.unwrap_or(default);
        within(name, number, bounds, ErrorCode::BadRequest)
    };
    let window = number("time_window_hours", 0, (0, 168))?;
    let recent = number("recent_validation_hours", 0, (0, 24))?;
    let concurrency = number("concurrency", 5, (1, 20))?;
    let batch = number("batch_size", 100, (10, 1000))?;
    let words = body.strings("include_states")?.unwrap_or_default();
    let states = if words.is_empty() {
        vec![KeyState::Pending, KeyState::Invalid]
    } else {
        // A word that is no state matches no key.
        words.iter().filter_map(|word| word.parse().ok()).collect()
    };
    let hours = |number: i64, default: u32| HOUR * u32::try_from(number).ok().filter(|n| *n > 0).unwrap_or(default);
    let spares_recent = body.boolean("exclude_recently_validated")?.unwrap_or(true);
    Ok(Increment {
        filter: ValidationFilter {
            created_since: now - hours(window, 24),
            states,
            validated_before: spares_recent.then(|| now - hours(recent, 1)),
        },
        concurrency: size(concurrency),
        batch: u32::try_from(batch).unwrap_or(u32::MAX),
        time,
    })
}

fn within(name: &str, number: i64, (least, most): (i64, i64), code: ErrorCode) -> Result<i64, ApiError> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(ApiError::field(code, name, messages::NUMBER_BETWEEN.with(least).with(most)))
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(1)
}

fn shown(report: &Report) -> Value {
    let Report { group, name, tally, duration } = report;
    json!({
        "group_id": group,
        "group_name": name,
        "total_keys": tally.total,
        "validated_keys": tally.validated(),
        "successful_keys": tally.successful,
        "failed_keys": tally.failed,
        "skipped_keys": tally.skipped(),
        "duration_ms": u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    })
}
