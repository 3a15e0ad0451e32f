//! `POST /api/keys/test-multiple`: asks the provider about the keys that a request names.

use std::{collections::HashMap, time::Instant};

use actix_web::web;
use futures_util::{StreamExt, TryStreamExt, stream};
use gpt_load_actors::validation::{Finding, Proof, ValidationError};
use gpt_load_schema::{audit::Subject, group::GroupType, ids::KeyId, log::OutcomeClass};
use serde_json::{Value, json};

use super::{
    AdminState,
    body::KeysBody,
    caller::Caller,
    envelope::{ApiResult, Success},
    error::ApiError,
    keys::keys_of_request,
    locale::Text,
    messages,
};

/// Keys looked up at once.
const LOOKUPS: usize = 16;

/// `POST /api/keys/test-multiple`. `update_state: false` leaves the keys as they are, whatever is found.
pub(super) async fn test(state: web::Data<AdminState>, caller: Caller, body: KeysBody) -> ApiResult {
    let started = Instant::now();
    let mut body = body.0;
    let updates = body.boolean("update_state")?.unwrap_or(true);
    let (group, keys) = keys_of_request(&state, &mut body).await?;
    let look_up = |key| {
        let state = &state;
        async move { Ok::<_, ApiError>(state.store.key_by_value(group.id, key).await?.map(|key| key.id)) }
    };
    let ids: Vec<Option<KeyId>> = stream::iter(&keys).map(look_up).buffered(LOOKUPS).try_collect().await?;
    let mut wanted: Vec<KeyId> = ids.iter().flatten().copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let found = if wanted.is_empty() || group.definition.group_type == GroupType::Aggregate {
        HashMap::new()
    } else {
        let subject = Subject::group(group.id, &group.definition.name);
        let told =
            json!({"ids": wanted.iter().take(20).collect::<Vec<_>>(), "given": wanted.len(), "update_state": updates});
        let ask = async {
            match state.runtime.validation().test(group.id, wanted, updates).await {
                // The group went a moment ago, and the keys with it.
                Err(ValidationError::NoSuchGroup) => Ok(HashMap::new()),
                found => Ok(found?),
            }
        };
        Box::pin(state.audited(&caller, "key.test", subject, ask, |_| told)).await?
    };
    let results: Vec<Value> = keys
        .iter()
        .zip(&ids)
        .map(|(key, id)| match id {
            None => refused(key.expose(), &messages::KEY_NOT_IN_GROUP),
            Some(id) => match found.get(id) {
                None => refused(key.expose(), &messages::KEY_NOT_ASKED),
                Some(finding) => result(key.expose(), finding),
            },
        })
        .collect();
    let duration = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Success::data(&json!({"results": results, "total_duration": duration}))
}

fn refused(key: &str, why: &Text) -> Value {
    json!({"key_value": key, "is_valid": false, "error": why.get(gpt_load_schema::settings::Language::English)})
}

/// A key whose question was refused, but not the key itself, is valid; `note` holds what the provider said.
fn result(key: &str, finding: &Finding) -> Value {
    let class = finding.verdict.class;
    let is_valid = Proof::of(&finding.verdict) == Proof::Accepted;
    let mut result = json!({"key_value": key, "is_valid": is_valid, "class": class.as_str()});
    if class != OutcomeClass::Success {
        result[if is_valid { "note" } else { "error" }] = json!(reason(finding));
    }
    result
}

fn reason(finding: &Finding) -> String {
    let message = finding.verdict.message.as_str();
    match (finding.status, message.is_empty()) {
        (Some(status), true) => format!("[status {status}]"),
        (Some(status), false) => format!("[status {status}] {message}"),
        (None, true) => finding.verdict.rule.to_owned(),
        (None, false) => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use gpt_load_actors::pool::Verdict;

    use super::*;

    #[test]
    fn a_result_says_what_the_provider_said() {
        let finding = |class, message: &str, status| Finding {
            verdict: Verdict { message: message.to_owned(), ..Verdict::new(class, "connect") },
            upstream: "http://up".into(),
            model: "m".into(),
            status,
        };
        for (finding, expected) in [
            (
                finding(OutcomeClass::Success, "", Some(200)),
                json!({"key_value": "k", "is_valid": true, "class": "success"}),
            ),
            (
                finding(OutcomeClass::KeyInvalid, "no such key", Some(401)),
                json!({"key_value": "k", "is_valid": false, "class": "key_invalid", "error": "[status 401] no such key"}),
            ),
            (
                finding(OutcomeClass::ClientError, "no such model", Some(404)),
                json!({"key_value": "k", "is_valid": true, "class": "client_error", "note": "[status 404] no such model"}),
            ),
            (
                finding(OutcomeClass::UpstreamFault, "", None),
                json!({"key_value": "k", "is_valid": false, "class": "upstream_fault", "error": "connect"}),
            ),
            (
                finding(OutcomeClass::RateLimited, "", Some(429)),
                json!({"key_value": "k", "is_valid": false, "class": "rate_limited", "error": "[status 429]"}),
            ),
        ] {
            assert_eq!(result("k", &finding), expected);
        }
    }
}
