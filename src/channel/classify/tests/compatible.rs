//! Others that speak OpenAI's format, more or less.

use super::*;

const OPEN_AI: Channel = Channel::OpenAi;

/// DeepSeek "Error Codes".
#[test]
fn deepseek() {
    assert_answers(
        OPEN_AI,
        &[
            (
                401,
                &[],
                r#"{"error":{"message":"Authentication Fails, Your api key: ****abcd is invalid","type":"authentication_error","param":null,"code":"invalid_request_error"}}"#,
                KeyInvalid,
                "authentication_error",
                None,
                KEY,
            ),
            (
                402,
                &[],
                r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
                QuotaExhausted,
                "status-402",
                None,
                KEY,
            ),
            (
                400,
                &[],
                r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
                ClientError,
                "status-4xx",
                None,
                KEY,
            ),
            (422, &[], r#"{"error":{"message":"Invalid Parameters"}}"#, ClientError, "status-4xx", None, KEY),
            (429, &[], r#"{"error":{"message":"Rate Limit Reached"}}"#, RateLimited, "status-429", None, KEY),
            (503, &[], r#"{"error":{"message":"Server Overloaded"}}"#, UpstreamFault, "status-503", None, KEY),
        ],
    );
}

/// Groq "Errors", "Rate Limits" and "Project permissions"; answers quoted in elizaOS/eliza issue 4040, openinterpreter issue 408 and
/// continuedev/continue issue 10920.
#[test]
fn groq() {
    assert_answers(
        OPEN_AI,
        &[
            (
                401,
                &[],
                r#"{"error":{"message":"Invalid API Key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                KeyInvalid,
                "invalid_api_key",
                None,
                KEY,
            ),
            (
                403,
                &[],
                r#"{"error":{"message":"The model `llama-3.3-70b-versatile` is blocked at the organization level.","type":"permissions_error","code":"model_permission_blocked_org"}}"#,
                KeyForbidden,
                "status-403",
                None,
                MODEL,
            ),
            (
                413,
                &[],
                r#"{"error":{"message":"Request too large for model `llama-3.1-8b-instant` in organization `org_x` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 6294, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#,
                ClientError,
                "status-4xx",
                None,
                KEY,
            ),
            (
                429,
                &[("x-ratelimit-remaining-requests", "14370"), ("x-ratelimit-reset-requests", "2m59.56s")],
                r#"{"error":{"message":"Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_x` service tier `on_demand` on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s. Need more tokens? Upgrade to Dev Tier today","type":"tokens","code":"rate_limit_exceeded"}}"#,
                RateLimited,
                "rate_limit_exceeded",
                Some(578.016),
                MODEL_OF_ACCOUNT,
            ),
        ],
    );
}

/// Mistral "Rate limits"; dnakov/anon-kode issue 53.
#[test]
fn mistral() {
    assert_answers(
        OPEN_AI,
        &[
            (401, &[], r#"{"detail":"Unauthorized"}"#, KeyInvalid, "status-401", None, KEY),
            (429, &[], r#"{"message":"Requests rate limit exceeded"}"#, RateLimited, "status-429", None, KEY),
            (
                429,
                &[],
                r#"{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","param":null,"code":"3505"}"#,
                RateLimited,
                "service_tier_capacity_exceeded",
                None,
                MODEL,
            ),
            (
                422,
                &[],
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden"}]},"type":"invalid_request_error"}"#,
                ClientError,
                "status-4xx",
                None,
                KEY,
            ),
        ],
    );
}

/// Errors of xAI are texts; continuedev/continue issues 10778 and 10373, Wei-Shaw/sub2api issue 4069.
#[test]
fn xai() {
    assert_answers(
        OPEN_AI,
        &[
            (
                400,
                &[],
                r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: na***ys. You can obtain an API key from https://console.x.ai."}"#,
                KeyInvalid,
                "text-key-invalid",
                None,
                KEY,
            ),
            (
                429,
                &[],
                r#"{"code":"Some resource has been exhausted","error":"Your team 16f2 has either used all available credits or reached its monthly spending limit. To continue making API requests, please purchase more credits or raise your spending limit."}"#,
                QuotaExhausted,
                "text-spending-limit",
                None,
                KEY,
            ),
            (
                403,
                &[],
                r#"{"code":"personal-team-blocked","error":"You have run out of credits or need a Grok subscription. Add credits at https://grok.com/?_s=usage or upgrade at https://grok.com/supergrok."}"#,
                QuotaExhausted,
                "text-credits-used",
                None,
                KEY,
            ),
            (
                404,
                &[],
                r#"{"code":"Some requested entity was not found","error":"The model grok-9 does not exist or your team 16f2 does not have access to it. Please ensure you're using the correct API key."}"#,
                KeyForbidden,
                "text-model-access",
                None,
                MODEL,
            ),
        ],
    );
}

/// Moonshot "Error reference" and "Kimi Code error reference".
#[test]
fn moonshot() {
    assert_answers(
        OPEN_AI,
        &[
            (
                401,
                &[],
                r#"{"error":{"message":"Invalid Authentication","type":"invalid_authentication_error"}}"#,
                KeyInvalid,
                "invalid_authentication_error",
                None,
                KEY,
            ),
            (
                403,
                &[],
                r#"{"error":{"message":"You've reached your usage limit for this billing cycle.","type":"access_terminated_error"}}"#,
                QuotaExhausted,
                "text-usage-limits",
                None,
                KEY,
            ),
            (
                404,
                &[],
                r#"{"error":{"message":"Not found the model moonshot-v9 or Permission denied","type":"resource_not_found_error"}}"#,
                KeyForbidden,
                "text-model-access",
                None,
                MODEL,
            ),
            (
                429,
                &[],
                r#"{"error":{"message":"Your account org-x<ak-y> is suspended, please check your plan and billing details","type":"exceeded_current_quota_error"}}"#,
                QuotaExhausted,
                "exceeded_current_quota_error",
                None,
                KEY,
            ),
            (
                429,
                &[],
                r#"{"error":{"message":"Your account org-x<ak-y> request reached organization max RPM: 3, please try again after 1 seconds","type":"rate_limit_reached_error"}}"#,
                RateLimited,
                "rate_limit_reached_error",
                Some(1.0),
                ACCOUNT,
            ),
            (
                429,
                &[],
                r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"engine_overloaded_error"}}"#,
                RateLimited,
                "status-429",
                None,
                MODEL,
            ),
        ],
    );
}

/// Alibaba Model Studio "Error codes" and "Rate limits". It says that tokens come too fast in OpenAI's words for an empty
/// account.
#[test]
fn alibaba() {
    assert_answers(
        OPEN_AI,
        &[
            (
                401,
                &[],
                r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"},"request_id":"x"}"#,
                KeyInvalid,
                "invalid_api_key",
                None,
                KEY,
            ),
            (
                400,
                &[],
                r#"{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing.","request_id":"x"}"#,
                QuotaExhausted,
                "arrearage",
                None,
                KEY,
            ),
            (
                403,
                &[],
                r#"{"error":{"message":"The free tier of the model has been exhausted. If you wish to continue access the model on a paid basis, please disable the use free tier only mode.","type":"AllocationQuota.FreeTierOnly","param":null,"code":"AllocationQuota.FreeTierOnly"},"request_id":"x"}"#,
                KeyForbidden,
                "status-403",
                None,
                MODEL,
            ),
            (
                403,
                &[],
                r#"{"code":"Model.AccessDenied","message":"Model access denied.","request_id":"x"}"#,
                KeyForbidden,
                "status-403",
                None,
                MODEL,
            ),
            (
                429,
                &[],
                r#"{"error":{"message":"You exceeded your current requests list.","type":"limit_requests","param":null,"code":"limit_requests"},"request_id":"x"}"#,
                RateLimited,
                "limit_requests",
                None,
                MODEL_OF_ACCOUNT,
            ),
            (
                429,
                &[],
                r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details. For details, see: https://help.aliyun.com/zh/model-studio/error-code#token-limit","type":"insufficient_quota","param":null,"code":"insufficient_quota"},"request_id":"x"}"#,
                RateLimited,
                "text-token-limit",
                None,
                MODEL_OF_ACCOUNT,
            ),
            (
                429,
                &[],
                r#"{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded, please try again later.","request_id":"x"}"#,
                RateLimited,
                "throttling.ratequota",
                None,
                MODEL_OF_ACCOUNT,
            ),
            (
                400,
                &[],
                r#"{"code":"DataInspectionFailed","message":"Input data may contain inappropriate content.","request_id":"x"}"#,
                ClientError,
                "status-4xx",
                None,
                KEY,
            ),
        ],
    );
}

/// Zhipu and SiliconFlow, error codes of their API references.
#[test]
fn zhipu_and_siliconflow() {
    assert_answers(
        OPEN_AI,
        &[
            (
                429,
                &[],
                r#"{"error":{"code":"1113","message":"余额不足或无可用资源包,请充值。"}}"#,
                QuotaExhausted,
                "text-balance",
                None,
                KEY,
            ),
            (
                403,
                &[],
                r#"{"code":30001,"message":"Sorry, your account balance is insufficient","data":null}"#,
                QuotaExhausted,
                "text-balance",
                None,
                KEY,
            ),
            (401, &[], r#""Invalid token""#, KeyInvalid, "status-401", None, KEY),
        ],
    );
}
