//! Gemini, native and through its OpenAI-compatible endpoint, which wraps the same error into a list.

use super::*;

/// Gemini API "Troubleshooting" and "Rate limits", google.rpc.ErrorInfo; answers quoted in google-gemini/gemini-cli issue 8437,
/// langgenius/dify issue 19838, continuedev/continue issues 9570, 10902, 12781 and 11541, n4ze3m/page-assist issue 406 (list).
#[test]
fn answers() {
    let native: &[Example<'_>] = &[
        (
            400,
            &[],
            r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
            KeyInvalid,
            "api_key_invalid",
            None,
            KEY,
        ),
        (
            400,
            &[],
            r#"{"error":{"code":400,"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}"#,
            KeyInvalid,
            "text-key-expired",
            None,
            KEY,
        ),
        (
            403,
            &[],
            r#"{"error":{"code":403,"message":"Your API key was reported as leaked. Please use another API key.","status":"PERMISSION_DENIED"}}"#,
            KeyInvalid,
            "text-key-leaked",
            None,
            KEY,
        ),
        (
            403,
            &[],
            r#"{"error":{"code":403,"message":"Permission denied: Consumer 'api_key:x' has been suspended.","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"CONSUMER_SUSPENDED","domain":"googleapis.com","metadata":{"consumer":"projects/1"}}]}}"#,
            KeyInvalid,
            "consumer_suspended",
            None,
            KEY,
        ),
        (
            403,
            &[],
            r#"{"error":{"code":403,"message":"Requests to this API generativelanguage.googleapis.com method google.ai.generativelanguage.v1beta.GenerativeService.StreamGenerateContent are blocked.","status":"PERMISSION_DENIED","details":[{"reason":"API_KEY_SERVICE_BLOCKED"}]}}"#,
            KeyForbidden,
            "status-403",
            None,
            KEY,
        ),
        (
            403,
            &[],
            r#"{"error":{"code":403,"message":"Generative Language API has not been used in project 1 before or it is disabled.","status":"PERMISSION_DENIED","details":[{"reason":"SERVICE_DISABLED"}]}}"#,
            KeyForbidden,
            "status-403",
            None,
            KEY,
        ),
        (
            400,
            &[],
            r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#,
            ClientError,
            "status-4xx",
            None,
            KEY,
        ),
        (
            404,
            &[],
            r#"{"error":{"code":404,"message":"models/nonesuch is not found for API version v1beta, or is not supported for generateContent.","status":"NOT_FOUND"}}"#,
            ClientError,
            "status-4xx",
            None,
            KEY,
        ),
        (
            429,
            &[],
            r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"generativelanguage.googleapis.com/generate_content_free_tier_requests","quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaDimensions":{"location":"global","model":"gemini-2.5-flash"}}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"37.5s"}]}}"#,
            RateLimited,
            "resource_exhausted",
            Some(37.5),
            MODEL_OF_ACCOUNT,
        ),
        (
            429,
            &[],
            r#"{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"generativelanguage.googleapis.com/generate_requests_per_model_per_day","quotaId":"GenerateRequestsPerDayPerProjectPerModel"}]}]}}"#,
            RateLimited,
            "resource_exhausted",
            None,
            MODEL_OF_ACCOUNT,
        ),
        (
            429,
            &[],
            r#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"CreateCachedContentPerDayPerProject"}]}]}}"#,
            RateLimited,
            "resource_exhausted",
            None,
            ACCOUNT,
        ),
        (
            429,
            &[],
            r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.\n* Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 0, model: gemini-3-pro\nPlease retry in 45.5s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.Help","links":[]}]}}"#,
            RateLimited,
            "resource_exhausted",
            Some(45.5),
            MODEL_OF_ACCOUNT,
        ),
        (
            429,
            &[],
            r#"{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}"#,
            RateLimited,
            "resource_exhausted",
            None,
            KEY,
        ),
        (
            500,
            &[],
            r#"{"error":{"code":500,"message":"An internal error has occurred.","status":"INTERNAL"}}"#,
            UpstreamFault,
            "status-500",
            None,
            KEY,
        ),
        (
            503,
            &[],
            r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#,
            UpstreamFault,
            "status-503",
            None,
            KEY,
        ),
    ];
    assert_answers(Channel::Gemini, native);
    for &(status, lines, body, class, rule, wait, reach) in native {
        let listed = format!("[{body}\n]\n");
        assert_answers(Channel::Gemini, &[(status, lines, &listed, class, rule, wait, reach)]);
        assert_answers(Channel::OpenAi, &[(status, lines, &listed, class, rule, wait, reach)]);
    }
}

/// A stream of `streamGenerateContent` may end in an error object.
#[test]
fn events() {
    assert_events(
        Channel::Gemini,
        &[
            (
                r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
                Some((UpstreamFault, "status-503", None, KEY)),
            ),
            (
                r#"{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"3s"}]}}"#,
                Some((RateLimited, "resource_exhausted", Some(3.0), KEY)),
            ),
            (r#"{"candidates":[{"content":{"parts":[{"text":"error"}]}}]}"#, None),
        ],
    );
}
