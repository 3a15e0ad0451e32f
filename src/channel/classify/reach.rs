//! Whom a limit or a refusal concerns, as far as the answer says: requests for the model only, or all keys of the account.
//!
//! What nothing is said of concerns the key. An empty account is always the key's (keys-and-policies "quota exhausted").

use actix_http::header::HeaderMap;
use gpt_load_actors::pool::Reach;
use gpt_load_schema::log::OutcomeClass::{self, KeyForbidden, RateLimited};

use super::fault::Fault;

const MODEL: Reach = Reach { model: true, account: false };
const ACCOUNT: Reach = Reach { model: false, account: true };
const MODEL_OF_ACCOUNT: Reach = Reach { model: true, account: true };

/// Words of limits. Alibaba counts per account and model (Model Studio "Rate limits"), Mistral's capacity and Moonshot's
/// engines are a model's.
const LIMIT_WORDS: [(&str, Reach); 8] = [
    ("limit_requests", MODEL_OF_ACCOUNT),
    ("limit_burst_rate", MODEL_OF_ACCOUNT),
    ("throttling", MODEL_OF_ACCOUNT),
    ("throttling.ratequota", MODEL_OF_ACCOUNT),
    ("throttling.allocationquota", MODEL_OF_ACCOUNT),
    ("service_tier_capacity_exceeded", MODEL),
    ("engine_overloaded_error", MODEL),
    ("openrouter_free_tier_daily", MODEL),
];

/// Texts of limits, lower case; the first that fits decides.
const LIMIT_TEXTS: [(&str, Reach); 11] = [
    // Moonshot: "Your account org-…<ak-…> request reached organization max RPM: 3".
    (" reached organization ", ACCOUNT),
    // OpenAI and Groq: "Rate limit reached for gpt-4o in organization org-… on tokens per min (TPM)".
    (" in organization ", MODEL_OF_ACCOUNT),
    // Anthropic, whose limits are an organization's for a class of models.
    ("your organization", MODEL_OF_ACCOUNT),
    ("your per-minute rate limit", MODEL_OF_ACCOUNT),
    ("your account's rate limit", MODEL_OF_ACCOUNT),
    // Alibaba, tokens per minute.
    ("error-code#token-limit", MODEL_OF_ACCOUNT),
    // Gemini without details: "* Quota exceeded for metric: …, limit: 0, model: gemini-3-pro".
    (", model: ", MODEL_OF_ACCOUNT),
    // Azure: "… have exceeded token rate limit of your current OpenAI S0 pricing tier".
    ("rate limit of your current ", MODEL),
    // Mistral: "Service tier capacity exceeded for this model."
    ("for this model", MODEL),
    // OpenRouter: "Rate limit exceeded: free-models-per-day".
    ("free-models-per-", MODEL),
    ("temporarily rate-limited upstream", MODEL),
];

/// Words of a refusal that is about the model: OpenAI, Groq, Alibaba (whose free tier is counted per model).
const MODEL_WORDS: [&str; 6] = [
    "model_not_found",
    "model_permission_blocked_org",
    "model_permission_blocked_project",
    "model.accessdenied",
    "model_access_denied",
    "allocationquota.freetieronly",
];

/// Texts of a refusal that is about the model, lower case.
const MODEL_TEXTS: [&str; 4] = ["access to model", "access to the model", "access to this model", "use the model"];

/// Whom an answer of `status` and `class` concerns.
///
/// A 404 for a model is *key forbidden* only where the provider says that it may be a matter of access (OpenAI: "does not
/// exist or you do not have access to it"). That may as well be a model nobody has, so it concerns this model alone: at
/// worst the key is not asked for it for a while.
pub(super) fn of(class: OutcomeClass, status: u16, headers: Option<&HeaderMap>, fault: &Fault) -> Reach {
    match class {
        RateLimited => limit(headers, fault),
        KeyForbidden if matches!(status, 400 | 404) || is_about_model(fault) => MODEL,
        _ => Reach::KEY,
    }
}

fn limit(headers: Option<&HeaderMap>, fault: &Fault) -> Reach {
    if fault.reach != Reach::KEY {
        return fault.reach;
    }
    let said = |word: &str| fault.words.iter().any(|said| said == word);
    if let Some((_, reach)) = LIMIT_WORDS.iter().find(|(word, _)| said(word)) {
        return *reach;
    }
    let message = fault.message.to_lowercase();
    if let Some((_, reach)) = LIMIT_TEXTS.iter().find(|(text, _)| message.contains(text)) {
        return *reach;
    }
    // Azure counts per deployment, which is what it has for a model.
    let is_azure = headers.is_some_and(|headers| headers.contains_key("apim-request-id"));
    if is_azure { MODEL } else { Reach::KEY }
}

fn is_about_model(fault: &Fault) -> bool {
    if MODEL_WORDS.iter().any(|word| fault.words.iter().any(|said| said == word)) {
        return true;
    }
    let message = fault.message.to_lowercase();
    MODEL_TEXTS.iter().any(|text| message.contains(text))
}
