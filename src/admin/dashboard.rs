//! `GET /api/dashboard/stats` and `/encryption-status`.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use gpt_load_schema::{
    group::Group,
    settings::{Language, Settings},
    store::{EncryptionSample, KeyCounts, Requests},
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{
    AdminState,
    envelope::{ApiResult, Success},
    integration::proxy_keys,
    legacy::ratio,
    locale::{Text, language_of},
    messages,
    openapi::types::Number,
    secret_strength::{Flaw, flaws},
    windows::{recent_end, sum},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Time that requests per minute are taken from, in minutes.
const RPM_MINUTES: u32 = 10;
const RPM: Duration = Duration::from_secs(60 * RPM_MINUTES as u64);

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "DashboardStats")]
pub(super) struct Body {
    key_count: Card,
    rpm: Card,
    request_count: Card,
    error_rate: Card,
    security_warnings: Vec<Warning>,
    total_requests: i64,
    success_rate: f64,
    active_groups: usize,
    total_keys: i64,
    system_health: &'static str,
}

/// A number of the dashboard and how it went; trends are in percent, that of a rate in percentage points.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "DashboardCard")]
struct Card {
    #[schemars(with = "Number")]
    value: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_value: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_value_tip: Option<String>,
    trend: f64,
    trend_is_growth: bool,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SecurityWarning")]
struct Warning {
    #[serde(rename = "type")]
    about: String,
    message: String,
    severity: &'static str,
    suggestion: String,
}

/// The four cards, the warnings, and what scripts of other programs read.
pub(super) async fn stats(state: web::Data<AdminState>, request: HttpRequest) -> ApiResult {
    let language = language_of(request.headers());
    let store = &state.store;
    let now = Timestamp::now();
    let groups = store.groups().await?;
    let counts = store.key_counts().await?;
    let keys = counts.values().fold(KeyCounts::default(), |sum, of_group| plus(sum, *of_group));
    let hours = store.hours(None, now - DAY * 2, now).await?;
    let (today, yesterday) = (sum(&hours, now - DAY, now), sum(&hours, now - DAY * 2, now - DAY));
    let end = recent_end(now);
    let minutes = store.requests_ended(None, end - RPM, end).await?.total();
    let minutes_before = store.requests_ended(None, end - RPM * 2, end - RPM).await?.total();
    let per_minute = |requests: i64| requests as f64 / f64::from(RPM_MINUTES);
    let settings = state.system_settings().await?;
    let is_starved = counts.values().any(|counts| counts.total() > 0 && selectable(counts) == 0);
    let tip = messages::INVALID_KEYS.get(language).to_owned();
    Success::data(&Body {
        key_count: Card {
            value: json!(keys.active),
            sub_value: (keys.invalid != 0).then_some(keys.invalid),
            sub_value_tip: Some(tip),
            trend: 0.0,
            trend_is_growth: false,
        },
        rpm: amount(json!(per_minute(minutes)), minutes, minutes_before),
        request_count: amount(json!(today.total()), today.total(), yesterday.total()),
        error_rate: rate(today, yesterday),
        security_warnings: warnings(&state, &settings, &groups, language),
        total_requests: today.total(),
        success_rate: ratio(today.successes, today.total()),
        active_groups: counts.values().filter(|counts| selectable(counts) > 0).count(),
        total_keys: keys.total(),
        system_health: if is_starved { "degraded" } else { "healthy" },
    })
}

/// Whether the stored keys are readable with the `ENCRYPTION_KEY` in force. Where that cannot be found out, nothing is wrong.
pub(super) async fn encryption_status(state: web::Data<AdminState>, request: HttpRequest) -> ApiResult {
    let language = language_of(request.headers());
    let sample = state.store.encryption_sample().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "how keys are stored cannot be looked at");
        EncryptionSample::default()
    });
    let scenario = scenario(state.store.encrypts(), sample);
    let texts = match scenario {
        "data_not_encrypted" => Some((messages::NOT_ENCRYPTED, messages::NOT_ENCRYPTED_HINT)),
        "key_not_configured" => Some((messages::KEY_NOT_CONFIGURED, messages::KEY_NOT_CONFIGURED_HINT)),
        "key_mismatch" => Some((messages::KEY_MISMATCH, messages::KEY_MISMATCH_HINT)),
        _ => None,
    };
    let told = |text: Option<&Text>| text.map_or("", |text| text.get(language)).to_owned();
    Success::data(&json!({
        "has_mismatch": !scenario.is_empty(),
        "scenario_type": scenario,
        "message": told(texts.as_ref().map(|(message, _)| message)),
        "suggestion": told(texts.as_ref().map(|(_, suggestion)| suggestion)),
    }))
}

/// What is wrong with the encryption of keys; empty = nothing.
fn scenario(is_configured: bool, sample: EncryptionSample) -> &'static str {
    if sample.keys == 0 {
        return "";
    }
    let share = |part: usize| part as f64 / sample.keys as f64;
    match (is_configured, share(sample.plain), share(sample.readable)) {
        (true, plain, _) if plain > 0.8 => "data_not_encrypted",
        (false, plain, _) if plain < 0.2 => "key_not_configured",
        (true, plain, readable) if plain < 0.2 && readable < 0.2 => "key_mismatch",
        _ => "",
    }
}

/// A card whose number should grow.
fn amount(value: serde_json::Value, current: i64, before: i64) -> Card {
    let (trend, trend_is_growth) = match (current, before) {
        (0, 0) => (0.0, true),
        (_, 0) => (100.0, true),
        _ => ((current - before) as f64 / before as f64 * 100.0, current >= before),
    };
    Card { value, sub_value: None, sub_value_tip: None, trend, trend_is_growth }
}

/// A card of failures, which should not grow.
fn rate(current: Requests, before: Requests) -> Card {
    let percent = |requests: Requests| match requests.total() {
        0 => 0.0,
        total => requests.failures as f64 / total as f64 * 100.0,
    };
    let now = percent(current);
    let (trend, trend_is_growth) = match (current.total(), before.total()) {
        (0, 0) => (0.0, true),
        (_, 0) => (now, now == 0.0),
        _ => (now - percent(before), now < percent(before)),
    };
    Card { value: json!(now), sub_value: None, sub_value_tip: None, trend, trend_is_growth }
}

fn warnings(state: &AdminState, settings: &Settings, groups: &[Group], language: Language) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut say =
        |about: &str, flaws: &[Flaw]| warnings.extend(flaws.iter().map(|flaw| warning(about, *flaw, language)));
    say("AUTH_KEY", state.management_key_flaws());
    say("ENCRYPTION_KEY", state.encryption_key_flaws());
    for (at, key) in proxy_keys(&settings.proxy_keys).enumerate() {
        say(&format!("{} #{}", messages::GLOBAL_PROXY_KEY.get(language), at + 1), &flaws(key));
    }
    for group in groups {
        let about = format!("{} [{}]", messages::GROUP_PROXY_KEY.get(language), group.definition.name);
        for (at, key) in proxy_keys(&group.definition.proxy_keys).enumerate() {
            say(&format!("{about} #{}", at + 1), &flaws(key));
        }
    }
    warnings
}

fn warning(about: &str, flaw: Flaw, language: Language) -> Warning {
    let (message, suggestion) = match flaw {
        Flaw::Unset => (messages::SECRET_UNSET.with(about), messages::SECRET_UNSET_HINT),
        Flaw::Shorter(bound) => (messages::SECRET_SHORT.with(about).with(bound), messages::SECRET_SHORT_HINT),
        Flaw::Common => (messages::SECRET_COMMON.with(about), messages::SECRET_COMMON_HINT),
        Flaw::Plain => (messages::SECRET_PLAIN.with(about), messages::SECRET_PLAIN_HINT),
    };
    Warning {
        about: about.to_owned(),
        message: message.get(language).to_owned(),
        severity: flaw.severity(),
        suggestion: suggestion.get(language).to_owned(),
    }
}

const fn selectable(counts: &KeyCounts) -> i64 {
    counts.pending + counts.active + counts.degraded
}

const fn plus(one: KeyCounts, other: KeyCounts) -> KeyCounts {
    KeyCounts {
        pending: one.pending + other.pending,
        active: one.active + other.active,
        degraded: one.degraded + other.degraded,
        disabled: one.disabled + other.disabled,
        invalid: one.invalid + other.invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trends_follow_the_table() {
        for (current, before, trend, growth) in
            [(0, 0, 0.0, true), (5, 0, 100.0, true), (0, 5, -100.0, false), (5, 5, 0.0, true), (15, 10, 50.0, true)]
        {
            let card = amount(json!(current), current, before);
            assert_eq!((card.trend, card.trend_is_growth), (trend, growth), "{current} after {before}");
        }
        let of = |successes, failures| Requests { successes, failures, ..Requests::default() };
        for (current, before, value, trend, growth) in [
            (of(0, 0), of(0, 0), 0.0, 0.0, true),
            (of(4, 0), of(0, 0), 0.0, 0.0, true),
            (of(3, 1), of(0, 0), 25.0, 25.0, false),
            (of(3, 1), of(1, 1), 25.0, -25.0, true),
            (of(1, 1), of(3, 1), 50.0, 25.0, false),
            (of(1, 1), of(2, 2), 50.0, 0.0, false),
            (of(0, 0), of(1, 1), 0.0, -50.0, true),
        ] {
            let card = rate(current, before);
            let seen = (card.value, card.trend, card.trend_is_growth);
            assert_eq!(seen, (json!(value), trend, growth), "{current:?} after {before:?}");
        }
    }

    #[test]
    fn mismatches_follow_the_table() {
        let of = |keys, plain, readable| EncryptionSample { keys, plain, readable };
        let cases = [
            (true, of(0, 0, 0), ""),
            (false, of(0, 0, 0), ""),
            (true, of(20, 17, 0), "data_not_encrypted"),
            (true, of(20, 16, 0), ""),
            (true, of(20, 0, 20), ""),
            (true, of(20, 3, 3), "key_mismatch"),
            (true, of(20, 3, 4), ""),
            (true, of(20, 4, 3), ""),
            (false, of(20, 20, 20), ""),
            (false, of(20, 4, 4), ""),
            (false, of(20, 3, 3), "key_not_configured"),
        ];
        for (is_configured, sample, expected) in cases {
            assert_eq!(scenario(is_configured, sample), expected, "{is_configured} {sample:?}");
        }
    }
}
