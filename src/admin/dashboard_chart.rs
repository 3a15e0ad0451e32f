//! `GET /api/dashboard/chart`: requests of the last 24 hours.

use actix_web::{HttpRequest, web};
use gpt_load_schema::{ids::GroupId, store::Requests, time::Timestamp};
use serde_json::json;

use super::{
    AdminState,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    locale::{Text, language_of},
    messages,
    query::Params,
    windows::{HOUR, hour_of, sum},
};

/// Hours shown, the present one included.
const HOURS: u32 = 24;

/// Successes and failures per hour, of one group or of all but aggregates, whose requests are those of their members.
pub(super) async fn chart(state: web::Data<AdminState>, params: Params, request: HttpRequest) -> ApiResult {
    let group = group_asked_for(&state, &params).await?;
    let first = hour_of(Timestamp::now()) - HOUR * (HOURS - 1);
    let begins: Vec<Timestamp> = (0..HOURS).map(|hour| first + HOUR * hour).collect();
    let hours = state.store.hours(group, first, first + HOUR * HOURS).await?;
    let per_hour: Vec<Requests> = begins.iter().map(|begin| sum(&hours, *begin, *begin + HOUR)).collect();
    let labels: Vec<String> = begins.into_iter().map(Timestamp::to_rfc3339).collect();
    let data = |count: fn(&Requests) -> i64| per_hour.iter().map(count).collect::<Vec<_>>();
    let language = language_of(request.headers());
    Success::data(&json!({"labels": labels, "datasets": [
        {
            "label": messages::CHART_SUCCESSES.get(language),
            "data": data(|requests| requests.successes),
            "color": "rgba(10, 200, 110, 1)",
        },
        {
            "label": messages::CHART_FAILURES.get(language),
            "data": data(|requests| requests.failures),
            "color": "rgba(255, 70, 70, 1)",
        },
    ]}))
}

/// The group of `groupId`, which must exist; `None` = all.
pub(super) async fn group_asked_for(state: &AdminState, params: &Params) -> Result<Option<GroupId>, ApiError> {
    let Some(text) = params.get("groupId") else { return Ok(None) };
    let id = text.parse().ok().filter(|id| *id > 0).map(GroupId).ok_or_else(|| {
        let text = Text::english("groupId must be a positive whole number");
        ApiError::field(ErrorCode::BadRequest, "groupId", text)
    })?;
    Ok(Some(state.group(id).await?.id))
}
