//! The words and texts by which providers say what is wrong, per class.

use gpt_load_schema::log::OutcomeClass::{self, ClientError, KeyForbidden, KeyInvalid, QuotaExhausted, RateLimited};

/// Structured words, lower case. Sources: the providers' error references (OpenAI "Error codes", Anthropic "Errors",
/// Google AIP-193 and `google.api.ErrorReason`, OpenRouter, DeepSeek, Moonshot, Alibaba Model Studio).
const WORDS: [(OutcomeClass, &str); 37] = [
    (QuotaExhausted, "insufficient_quota"),
    (QuotaExhausted, "billing_hard_limit_reached"),
    (QuotaExhausted, "billing_not_active"),
    (QuotaExhausted, "billing_error"),
    (QuotaExhausted, "insufficient_balance"),
    (QuotaExhausted, "insufficient_credits"),
    (QuotaExhausted, "insufficient_user_quota"),
    (QuotaExhausted, "exceeded_current_quota_error"),
    (QuotaExhausted, "payment_required"),
    (QuotaExhausted, "arrearage"),
    (RateLimited, "rate_limit_error"),
    (RateLimited, "rate_limit_exceeded"),
    (RateLimited, "rate_limit_reached_error"),
    (RateLimited, "resource_exhausted"),
    (RateLimited, "too_many_requests"),
    (RateLimited, "limit_requests"),
    (RateLimited, "limit_burst_rate"),
    (RateLimited, "service_tier_capacity_exceeded"),
    (RateLimited, "throttling"),
    (RateLimited, "throttling.ratequota"),
    (RateLimited, "throttling.allocationquota"),
    (KeyInvalid, "invalid_api_key"),
    (KeyInvalid, "invalidapikey"),
    (KeyInvalid, "incorrect_api_key"),
    (KeyInvalid, "incorrect_api_key_error"),
    (KeyInvalid, "invalid_authentication_error"),
    (KeyInvalid, "authentication_error"),
    (KeyInvalid, "api_key_invalid"),
    (KeyInvalid, "account_deactivated"),
    (KeyInvalid, "deactivated_workspace"),
    (KeyInvalid, "consumer_suspended"),
    (KeyInvalid, "unauthenticated"),
    (ClientError, "content_filter"),
    (ClientError, "content_policy_violation"),
    (ClientError, "context_length_exceeded"),
    (ClientError, "invalid_prompt"),
    (ClientError, "flagged_input"),
];

/// Words that overrule what the status, or a word beside them, says: OpenRouter's 402 for a budget that is merely held by
/// requests in flight.
const EXCEPTIONS: [(OutcomeClass, &str); 1] = [(RateLimited, "openrouter_in_flight_budget")];

/// Texts that overrule what the status, or a word beside them, says, with the evidence they give.
///
/// Alibaba answers an exceeded limit of tokens per minute in OpenAI's words for an empty account, with a link to its own
/// page. OpenAI and Groq answer a request that is larger than the whole limit in the words of a used-up one: no time cures
/// that, so no key may rest for it. OpenAI answers a restricted key that lacks the scope for one endpoint with 401.
const EXCEPTIONAL_TEXTS: [(u16, OutcomeClass, &str, &str); 4] = [
    (429, RateLimited, "error-code#token-limit", "text-token-limit"),
    (429, ClientError, "request too large for ", "text-too-large"),
    (401, KeyForbidden, "insufficient permissions for this operation", "text-scopes"),
    (403, KeyForbidden, "insufficient permissions for this operation", "text-scopes"),
];

/// Texts where a provider has no word of its own, lower case, with the evidence they give.
const TEXTS: [(OutcomeClass, &str, &str); 33] = [
    (QuotaExhausted, "your credit balance is too low", "text-credit-balance"),
    (QuotaExhausted, "you have reached your specified api usage limits", "text-usage-limits"),
    (QuotaExhausted, "billing hard limit", "text-billing-limit"),
    (QuotaExhausted, "monthly spending limit", "text-spending-limit"),
    (QuotaExhausted, "used all available credits", "text-credits-used"),
    (QuotaExhausted, "run out of credits", "text-credits-used"),
    (QuotaExhausted, "reached your usage limit", "text-usage-limits"),
    (QuotaExhausted, "insufficient balance", "text-balance"),
    (QuotaExhausted, "account balance is insufficient", "text-balance"),
    (QuotaExhausted, "insufficient credits", "text-credits"),
    (QuotaExhausted, "insufficient quota", "text-quota"),
    (QuotaExhausted, "out of call volume quota", "text-call-volume"),
    (QuotaExhausted, "key limit exceeded", "text-key-limit"),
    (QuotaExhausted, "余额不足", "text-balance"),
    (RateLimited, "rate limit", "text-rate-limit"),
    (RateLimited, "too many requests", "text-rate-limit"),
    (KeyInvalid, "api key not valid", "text-key-invalid"),
    (KeyInvalid, "invalid api key", "text-key-invalid"),
    (KeyInvalid, "incorrect api key", "text-key-invalid"),
    (KeyInvalid, "invalid x-api-key", "text-key-invalid"),
    (KeyInvalid, "api key is invalid", "text-key-invalid"),
    (KeyInvalid, "api key not found", "text-key-invalid"),
    (KeyInvalid, "api key expired", "text-key-expired"),
    (KeyInvalid, "api key has expired", "text-key-expired"),
    (KeyInvalid, "api key was reported as leaked", "text-key-leaked"),
    (KeyInvalid, "has been suspended", "text-suspended"),
    (KeyInvalid, "account has been deactivated", "text-deactivated"),
    (KeyInvalid, "account is deactivated", "text-deactivated"),
    (KeyInvalid, "this organization has been disabled", "text-deactivated"),
    (KeyForbidden, "does not exist or you do not have access to it", "text-model-access"),
    (KeyForbidden, "does not have access to it", "text-model-access"),
    (KeyForbidden, "or permission denied", "text-model-access"),
    (KeyForbidden, "your organization must be verified to", "text-verification"),
];

/// What overrules the rows of the table, if anything does.
pub(super) fn exception(status: u16, said: &[String], message: &str) -> Option<(OutcomeClass, &'static str)> {
    let word = EXCEPTIONS.iter().find(|(_, word)| said.iter().any(|said| said == word)).copied();
    word.or_else(|| {
        if !matches!(status, 401 | 403 | 429) {
            return None;
        }
        let message = message.to_lowercase();
        let fits = |(at, _, text, _): &&(u16, _, &str, _)| *at == status && message.contains(text);
        EXCEPTIONAL_TEXTS.iter().find(fits).map(|(_, class, _, evidence)| (*class, *evidence))
    })
}

/// The first word of `class` among `said` (lower case).
pub(super) fn word_of(class: OutcomeClass, said: &[String]) -> Option<&'static str> {
    if said.is_empty() {
        return None;
    }
    WORDS.iter().find(|(of, word)| *of == class && said.iter().any(|said| said == word)).map(|(_, word)| *word)
}

/// The evidence of the first text of `class` that `message` holds where an answer of this `status` may be believed.
pub(super) fn text_of(class: OutcomeClass, status: u16, message: &str) -> Option<&'static str> {
    let is_believed: fn(&str, &str) -> bool = match (status, class) {
        (529, RateLimited) | (403 | 429, QuotaExhausted | KeyInvalid) => |message, text| message.contains(text),
        (400, QuotaExhausted | KeyInvalid | KeyForbidden) => |message, text| message.starts_with(text),
        // It quotes the model, which at worst costs a key that model.
        (404, KeyForbidden) => |message, text| message.contains(text),
        _ => return None,
    };
    let message = message.to_lowercase();
    TEXTS.iter().find(|(of, text, _)| *of == class && is_believed(&message, text)).map(|(_, _, evidence)| *evidence)
}
