//! `/stats`, `/blacklist` and `/reset-keys` of the one-file set-up: plain objects about the default group.

use actix_web::{HttpResponse, http::StatusCode, web};
use gpt_load_actors::routing::GroupRoute;
use gpt_load_schema::{
    audit::Subject,
    key::{KeyRecord, KeyState},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{
    AdminState,
    caller::Caller,
    envelope,
    error::{ApiError, ErrorCode},
    locale::Text,
};

/// Keys that `/blacklist` lists at most.
const MAX_LISTED: usize = 10_000;

/// Keys of the default group, and client requests of all groups since the database was made. Every key that may serve
/// counts as active, every other as blacklisted; `success_rate` is 0–1.
pub(super) async fn stats(state: web::Data<AdminState>) -> Result<HttpResponse, ApiError> {
    let route = default_route(&state)?;
    let counts = route.pool.counts();
    let blacklisted = counts.disabled + counts.invalid;
    state.settled().await;
    let (successes, failures) = state.store.request_totals().await?;
    let body = json!({
        "total_keys": counts.total(),
        "active_keys": counts.total() - blacklisted,
        "blacklisted_keys": blacklisted,
        "current_index": route.pool.current_index(),
        "total_requests": successes + failures,
        "success_count": successes,
        "failure_count": failures,
        "success_rate": ratio(successes, successes + failures),
        "uptime_seconds": Timestamp::now().since(state.app.started_at).as_secs(),
    });
    Ok(envelope::json(StatusCode::OK, &body))
}

/// Keys of the default group that may not serve, and why.
pub(super) async fn blacklist(state: web::Data<AdminState>) -> Result<HttpResponse, ApiError> {
    let route = default_route(&state)?;
    let counts = route.pool.counts();
    let out = route.pool.out_of_rotation(MAX_LISTED, Timestamp::now());
    let keys: Vec<_> = out.iter().filter(|key| !key.health.state.is_selectable()).map(blacklisted_key).collect();
    let body = json!({"total_blacklisted": counts.disabled + counts.invalid, "keys": keys});
    Ok(envelope::json(StatusCode::OK, &body))
}

/// Makes every disabled and invalid key of the default group active again.
pub(super) async fn reset_keys(state: web::Data<AdminState>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let route = default_route(&state)?;
    let group = route.group.id;
    let mut reset = 0;
    for word in [KeyState::Disabled, KeyState::Invalid] {
        let work = async { Ok(state.runtime.key_work().restore_all(group, word).await?.0) };
        let subject = Subject::group(group, &route.group.definition.name);
        let told = |count: &i64| json!({"which": word.as_str(), "count": count});
        reset += state.audited(&caller, "key.restore", subject, work, told).await?;
    }
    let message = format!("{reset} keys are active again");
    Ok(envelope::json(StatusCode::OK, &json!({"success": true, "message": message, "reset_count": reset})))
}

fn blacklisted_key(key: &KeyRecord) -> Value {
    let health = &key.health;
    let time = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
    json!({
        "key": key.value.as_ref().map_or_else(|| "****".to_owned(), |value| value.masked()),
        "state": health.state.as_str(),
        "class": health.last_class,
        "message": health.last_error,
        "since": time(health.last_failure_at),
        "until": time(health.disabled_until),
    })
}

fn default_route(state: &AdminState) -> Result<GroupRoute, ApiError> {
    let name = &state.app.default_group;
    let table = state.routing.load();
    let routes = table.as_ref().map_or(&[][..], |table| &table.groups);
    routes.iter().find(|route| &route.group.definition.name == name).cloned().ok_or_else(|| {
        let text = format!("The default group {name} does not exist; make it or name another with DEFAULT_GROUP");
        ApiError::saying(ErrorCode::NotFound, Text::english(text))
    })
}

/// `part` of `whole`, rounded to four decimals; 0 of nothing.
pub(super) fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_four_decimals() {
        assert_eq!([ratio(0, 0), ratio(1, 3), ratio(2, 2)], [0.0, 0.3333, 1.0]);
    }
}
