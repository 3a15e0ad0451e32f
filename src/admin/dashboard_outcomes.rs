//! `GET /api/dashboard/errors` and `/api/dashboard/tokens`: what failed lately, and what was used.

use std::{collections::BTreeMap, time::Duration};

use actix_web::web;
use gpt_load_schema::{
    log::OutcomeClass,
    store::{HourOutcome, Tokens},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::json;

use super::{
    AdminState,
    dashboard_chart::group_asked_for,
    envelope::{ApiResult, Success},
    query::Params,
    windows::{HOUR, hour_of},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ErrorBody {
    class: String,
    attempts: i64,
    requests: i64,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct TokensBody {
    input_tokens: i64,
    output_tokens: i64,
    cached_tokens: i64,
    reasoning_tokens: i64,
    attempts: i64,
}

/// Failed attempts by class in the 24 hours that end with the present one, most first; `requests` are those that no other
/// attempt followed.
pub(super) async fn errors(state: web::Data<AdminState>, params: Params) -> ApiResult {
    let group = group_asked_for(&state, &params).await?;
    let end = hour_of(Timestamp::now()) + HOUR;
    let outcomes = state.store.outcomes(group, end - DAY, end).await?;
    Success::data(&json!({"hours": 24, "errors": failed(&outcomes)}))
}

/// Tokens of all attempts in the 24 hours, 7 days and 30 days that end with the present hour, and in the 24 hours before
/// those.
pub(super) async fn tokens(state: web::Data<AdminState>, params: Params) -> ApiResult {
    let group = group_asked_for(&state, &params).await?;
    let end = hour_of(Timestamp::now()) + HOUR;
    let outcomes = state.store.outcomes(group, end - DAY * 30, end).await?;
    Success::data(&json!({
        "tokens_24_hour": used(&outcomes, end - DAY, end),
        "tokens_previous_24_hour": used(&outcomes, end - DAY * 2, end - DAY),
        "tokens_7_day": used(&outcomes, end - DAY * 7, end),
        "tokens_30_day": used(&outcomes, end - DAY * 30, end),
    }))
}

fn failed(outcomes: &[HourOutcome]) -> Vec<ErrorBody> {
    let mut classes: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.class != OutcomeClass::Success.as_str()) {
        let sums = classes.entry(&outcome.class).or_default();
        *sums = (sums.0 + outcome.attempts, sums.1 + outcome.requests);
    }
    let body = |(class, (attempts, requests)): (&str, _)| ErrorBody { class: class.to_owned(), attempts, requests };
    let mut errors: Vec<ErrorBody> = classes.into_iter().map(body).collect();
    errors.sort_by_key(|error| std::cmp::Reverse(error.attempts));
    errors
}

fn used(outcomes: &[HourOutcome], from: Timestamp, until: Timestamp) -> TokensBody {
    let within = outcomes.iter().filter(|outcome| (from..until).contains(&outcome.time));
    let (tokens, attempts) = within.fold((Tokens::default(), 0), |(tokens, attempts), outcome| {
        (tokens.plus(outcome.tokens), attempts + outcome.attempts)
    });
    TokensBody {
        input_tokens: tokens.input,
        output_tokens: tokens.output,
        cached_tokens: tokens.cached,
        reasoning_tokens: tokens.reasoning,
        attempts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(time: i64, class: &str, attempts: i64, requests: i64) -> HourOutcome {
        let tokens = Tokens { input: attempts * 10, output: attempts, cached: 2, reasoning: 1 };
        HourOutcome { time: Timestamp(time), class: class.to_owned(), attempts, requests, tokens }
    }

    #[test]
    fn errors_are_summed_over_hours_and_the_most_frequent_comes_first() {
        let outcomes = [
            outcome(0, "key_invalid", 2, 0),
            outcome(0, "success", 90, 90),
            outcome(0, "upstream_fault", 3, 1),
            outcome(1, "gateway", 3, 3),
            outcome(1, "key_invalid", 5, 1),
        ];
        let error = |class: &str, attempts, requests| ErrorBody { class: class.to_owned(), attempts, requests };
        let expected = [error("key_invalid", 7, 1), error("gateway", 3, 3), error("upstream_fault", 3, 1)];
        assert_eq!(failed(&outcomes), expected);
        assert_eq!(failed(&outcomes[1..2]), []);
    }

    #[test]
    fn tokens_are_those_of_all_attempts_within_the_time() {
        let outcomes = [outcome(0, "success", 9, 9), outcome(1, "success", 1, 1), outcome(1, "upstream_fault", 2, 0)];
        let sums =
            TokensBody { input_tokens: 30, output_tokens: 3, cached_tokens: 4, reasoning_tokens: 2, attempts: 3 };
        assert_eq!(used(&outcomes, Timestamp(1), Timestamp(2)), sums);
        assert_eq!(used(&outcomes, Timestamp(2), Timestamp(9)), TokensBody::default());
    }
}
