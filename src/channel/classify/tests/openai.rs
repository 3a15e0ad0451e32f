//! OpenAI: chat completions, responses and all else under its key.

use super::*;

/// OpenAI "Error codes" and "Rate limits"; answers quoted in BuilderIO/micro-agent issue 86, DrShushen/climb issue 13 and
/// Aider-AI/aider issue 1880 (too large), cursor/cursor issue 2953 (403 for a model), Aider-AI/aider issue 2030 (404 for a
/// model), microsoft/PowerToys issue 32989 and bytedance/trae-agent issue 162 (scopes).
#[test]
fn answers() {
    let chat: &[Example<'_>] = &[
        (200, &[], "", Success, "ended-well", None, KEY),
        (302, &[], "", Success, "ended-well", None, KEY),
        (
            401,
            &[],
            r#"{"error":{"message":"Incorrect API key provided: sk-abc***xyz. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            KeyInvalid,
            "invalid_api_key",
            None,
            KEY,
        ),
        (
            401,
            &[],
            r#"{"error":{"message":"The OpenAI account associated with this API key has been deactivated.","type":"invalid_request_error","code":"account_deactivated"}}"#,
            KeyInvalid,
            "account_deactivated",
            None,
            KEY,
        ),
        (401, &[], "<html>Unauthorized</html>", KeyInvalid, "status-401", None, KEY),
        (
            401,
            &[],
            r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.responses.write. Check that you have the correct role in your organization.","type":"invalid_request_error","param":null,"code":null}}"#,
            KeyForbidden,
            "text-scopes",
            None,
            KEY,
        ),
        (
            403,
            &[],
            r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","param":null,"type":"request_forbidden"}}"#,
            KeyForbidden,
            "status-403",
            None,
            KEY,
        ),
        (
            403,
            &[],
            r#"{"error":{"message":"Project `proj_x` does not have access to model `gpt-4o-mini`","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            KeyForbidden,
            "status-403",
            None,
            MODEL,
        ),
        (
            404,
            &[],
            r#"{"error":{"message":"The model `gpt-4o-2024-08-06` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            KeyForbidden,
            "text-model-access",
            None,
            MODEL,
        ),
        (
            404,
            &[],
            r#"{"error":{"message":"Your organization must be verified to use the model `o3`. Please go to: https://platform.openai.com/settings/organization/general","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            KeyForbidden,
            "text-verification",
            None,
            MODEL,
        ),
        (
            400,
            &[],
            r#"{"error":{"message":"Your organization must be verified to stream this model. Please go to: https://platform.openai.com/settings/organization/general","type":"invalid_request_error","param":"stream","code":"unsupported_value"}}"#,
            KeyForbidden,
            "text-verification",
            None,
            MODEL,
        ),
        (
            404,
            &[],
            r#"{"error":{"message":"The model 'nonesuch' does not exist","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#,
            ClientError,
            "status-4xx",
            None,
            KEY,
        ),
        (
            404,
            &[],
            r#"{"error":{"message":"No such File object: file-x","type":"invalid_request_error","param":"id","code":null}}"#,
            ClientError,
            "status-4xx",
            None,
            KEY,
        ),
        (
            429,
            &[],
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            QuotaExhausted,
            "insufficient_quota",
            None,
            KEY,
        ),
        (
            429,
            &[
                ("openai-organization", "org-x"),
                ("x-ratelimit-remaining-requests", "499"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-requests", "8.64s"),
                ("x-ratelimit-reset-tokens", "644ms"),
            ],
            r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29937, Requested 385. Please try again in 644ms. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            RateLimited,
            "rate_limit_exceeded",
            Some(0.644),
            MODEL_OF_ACCOUNT,
        ),
        (
            429,
            &[("retry-after-ms", "19500"), ("retry-after", "20")],
            r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            RateLimited,
            "rate_limit_exceeded",
            Some(19.5),
            MODEL_OF_ACCOUNT,
        ),
        (
            429,
            &[],
            r#"{"error":{"message":"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 36278. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
            ClientError,
            "text-too-large",
            None,
            KEY,
        ),
        (429, &[], "", RateLimited, "status-429", None, KEY),
        (
            400,
            &[],
            r#"{"error":{"message":"Billing hard limit has been reached","type":"image_generation_user_error","code":"billing_hard_limit_reached"}}"#,
            QuotaExhausted,
            "billing_hard_limit_reached",
            None,
            KEY,
        ),
        (
            400,
            &[],
            r#"{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            ClientError,
            "context_length_exceeded",
            None,
            KEY,
        ),
        (422, &[], r#"{"detail":"x"}"#, ClientError, "status-4xx", None, KEY),
        (408, &[], "", UpstreamFault, "status-408", None, KEY),
        (425, &[], "", UpstreamFault, "status-425", None, KEY),
        (
            500,
            &[],
            r#"{"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#,
            UpstreamFault,
            "status-500",
            None,
            KEY,
        ),
        (
            503,
            &[("retry-after", "5")],
            r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"server_error","param":null,"code":null}}"#,
            UpstreamFault,
            "status-503",
            None,
            KEY,
        ),
        (503, &[], "upstream connect error", UpstreamFault, "status-503", None, KEY),
        (520, &[], "error code: 520", UpstreamFault, "status-5xx", None, KEY),
    ];
    for channel in [Channel::OpenAi, Channel::OpenAiResponse] {
        assert_answers(channel, chat);
    }
}

/// OpenAI "Streaming" of chat completions, and "Streaming events" (`error`, `response.failed`) of responses.
#[test]
fn events() {
    assert_events(
        Channel::OpenAi,
        &[
            (r#"{"choices":[{"delta":{"content":"\"error\""}}]}"#, None),
            (r#"{"choices":[],"error":null}"#, None),
            ("[DONE]", None),
            (
                r#"{"error":{"message":"The server had an error","type":"server_error","code":null}}"#,
                Some((UpstreamFault, "status-500", None, KEY)),
            ),
            (
                r#"{"error":{"message":"quota","type":"insufficient_quota"}}"#,
                Some((QuotaExhausted, "insufficient_quota", None, KEY)),
            ),
        ],
    );
    assert_events(
        Channel::OpenAiResponse,
        &[
            (
                r#"{"type":"error","code":"rate_limit_exceeded","message":"Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 1, Used 1, Requested 1. Please try again in 3s.","param":null,"sequence_number":1}"#,
                Some((RateLimited, "rate_limit_exceeded", Some(3.0), MODEL_OF_ACCOUNT)),
            ),
            (
                r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}"#,
                Some((UpstreamFault, "status-500", None, KEY)),
            ),
            (
                r#"{"type":"response.failed","response":{"error":{"code":"invalid_prompt","message":"x"}}}"#,
                Some((ClientError, "invalid_prompt", None, KEY)),
            ),
            (
                r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"x"}}}"#,
                Some((RateLimited, "rate_limit_exceeded", None, KEY)),
            ),
            (r#"{"type":"response.created","response":{"error":null}}"#, None),
        ],
    );
}
