//! Answers of providers. They are representative: written after the providers' documentation and well-known answers,
//! with made-up ids, not recorded.

use actix_http::header::{HeaderName, HeaderValue};
use gpt_load_schema::log::OutcomeClass::Success;
use proptest::prelude::*;

use super::*;

/// 2026-01-31T12:00:00Z.
const NOW: Timestamp = Timestamp(1_769_860_800_000);

fn verdict(channel: Channel, status: u16, body: &str) -> Verdict {
    answer(channel, status, &HeaderMap::new(), body.as_bytes(), NOW)
}

/// Asserts class and rule of each `(channel, status, body, class, rule)`.
fn assert_answers(examples: &[(Channel, u16, &str, OutcomeClass, &str)]) {
    for &(channel, status, body, class, rule) in examples {
        let verdict = verdict(channel, status, body);
        assert_eq!((verdict.class, verdict.rule), (class, rule), "{channel} {status} {body}");
    }
}

#[test]
fn openai_and_its_like() {
    use Channel::{OpenAi, OpenAiResponse};
    assert_answers(&[
        (OpenAi, 200, "", Success, "ended-well"),
        (OpenAi, 302, "", Success, "ended-well"),
        (
            OpenAi,
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-abc***xyz.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            KeyInvalid,
            "invalid_api_key",
        ),
        (
            OpenAi,
            401,
            r#"{"error":{"message":"The OpenAI account associated with this API key has been deactivated.","type":"invalid_request_error","code":"account_deactivated"}}"#,
            KeyInvalid,
            "account_deactivated",
        ),
        (OpenAi, 401, "<html>Unauthorized</html>", KeyInvalid, "status-401"),
        (
            OpenAiResponse,
            429,
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            QuotaExhausted,
            "insufficient_quota",
        ),
        (
            OpenAi,
            429,
            r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            RateLimited,
            "rate_limit_exceeded",
        ),
        (OpenAi, 429, "", RateLimited, "status-429"),
        (
            OpenAi,
            400,
            r#"{"error":{"message":"Billing hard limit has been reached","type":"image_generation_user_error","code":"billing_hard_limit_reached"}}"#,
            QuotaExhausted,
            "billing_hard_limit_reached",
        ),
        (
            OpenAi,
            400,
            r#"{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            ClientError,
            "context_length_exceeded",
        ),
        (
            OpenAi,
            404,
            r#"{"error":{"message":"The model `x` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            ClientError,
            "status-4xx",
        ),
        (
            OpenAi,
            403,
            r#"{"error":{"message":"Project `proj_x` does not have access to model `o1`","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            KeyForbidden,
            "status-403",
        ),
        (
            OpenAi,
            413,
            r#"{"error":{"message":"Request too large for model on tokens per minute (TPM): Limit 6000, Requested 10000","type":"tokens","code":"rate_limit_exceeded"}}"#,
            ClientError,
            "status-4xx",
        ),
        (
            OpenAi,
            500,
            r#"{"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#,
            UpstreamFault,
            "status-500",
        ),
        (OpenAi, 503, "upstream connect error", UpstreamFault, "status-503"),
        (OpenAi, 520, "error code: 520", UpstreamFault, "status-5xx"),
        (OpenAi, 408, "", UpstreamFault, "status-408"),
        (OpenAi, 425, "", UpstreamFault, "status-425"),
        (OpenAi, 422, r#"{"detail":"x"}"#, ClientError, "status-4xx"),
    ]);
}

#[test]
fn azure() {
    use Channel::OpenAi;
    assert_answers(&[
        (
            OpenAi,
            401,
            r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#,
            KeyInvalid,
            "status-401",
        ),
        (
            OpenAi,
            429,
            r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 7 seconds."}}"#,
            RateLimited,
            "status-429",
        ),
        (
            OpenAi,
            403,
            r#"{"error":{"code":"403","message":"Out of call volume quota for ContentSafety S0 pricing tier. Quota will be replenished in 20.12:34:56."}}"#,
            QuotaExhausted,
            "text-call-volume",
        ),
        (
            OpenAi,
            403,
            r#"{"error":{"code":"AccessDenied","message":"Access denied due to Virtual Network/Firewall rules."}}"#,
            KeyForbidden,
            "status-403",
        ),
        (
            OpenAi,
            404,
            r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
            ClientError,
            "status-4xx",
        ),
        (
            OpenAi,
            400,
            r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400}}"#,
            ClientError,
            "content_filter",
        ),
    ]);
}

#[test]
fn anthropic() {
    use Channel::Anthropic;
    let error = |kind: &str, message: &str| {
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_x"}}"#)
    };
    for (status, kind, message, class, rule) in [
        (401, "authentication_error", "invalid x-api-key", KeyInvalid, "authentication_error"),
        (403, "permission_error", "Your API key lacks permission.", KeyForbidden, "status-403"),
        (404, "not_found_error", "model: x", ClientError, "status-4xx"),
        (413, "request_too_large", "Request exceeds the maximum size", ClientError, "status-4xx"),
        (429, "rate_limit_error", "This request would exceed the rate limit", RateLimited, "rate_limit_error"),
        (500, "api_error", "Internal server error", UpstreamFault, "status-500"),
        (529, "overloaded_error", "Overloaded", UpstreamFault, "status-529"),
        (529, "overloaded_error", "Too many requests", RateLimited, "text-rate-limit"),
        (402, "billing_error", "Payment", QuotaExhausted, "billing_error"),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            QuotaExhausted,
            "text-credit-balance",
        ),
        (400, "invalid_request_error", "This organization has been disabled.", KeyInvalid, "text-deactivated"),
        (400, "invalid_request_error", "max_tokens: Field required", ClientError, "status-4xx"),
    ] {
        assert_answers(&[(Anthropic, status, &error(kind, message), class, rule)]);
    }
    let limited = error(
        "invalid_request_error",
        "You have reached your specified API usage limits. You will regain access on 2026-02-01 at 00:00 UTC.",
    );
    let verdict = verdict(Anthropic, 400, &limited);
    assert_eq!((verdict.class, verdict.rule), (QuotaExhausted, "text-usage-limits"));
    assert_eq!(verdict.retry_after, Some(Duration::from_secs(12 * 3600)));
}

#[test]
fn gemini_native_and_compatible() {
    use Channel::Gemini;
    let invalid = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
    let limited = r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"37.5s"}]}}"#;
    assert_answers(&[
        (Gemini, 400, invalid, KeyInvalid, "api_key_invalid"),
        (Gemini, 400, &format!("[{invalid}]"), KeyInvalid, "api_key_invalid"),
        (
            Gemini,
            400,
            r#"[{"error":{"code":400,"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}]"#,
            KeyInvalid,
            "text-key-expired",
        ),
        (
            Gemini,
            403,
            r#"{"error":{"code":403,"message":"Your API key was reported as leaked. Please use another API key.","status":"PERMISSION_DENIED"}}"#,
            KeyInvalid,
            "text-key-leaked",
        ),
        (
            Gemini,
            403,
            r#"{"error":{"code":403,"message":"Permission denied: Consumer has been suspended.","status":"PERMISSION_DENIED","details":[{"reason":"CONSUMER_SUSPENDED"}]}}"#,
            KeyInvalid,
            "consumer_suspended",
        ),
        (
            Gemini,
            403,
            r#"{"error":{"code":403,"message":"Generative Language API has not been used in project 1 before or it is disabled.","status":"PERMISSION_DENIED","details":[{"reason":"SERVICE_DISABLED"}]}}"#,
            KeyForbidden,
            "status-403",
        ),
        (
            Gemini,
            400,
            r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#,
            ClientError,
            "status-4xx",
        ),
        (Gemini, 429, limited, RateLimited, "resource_exhausted"),
        (
            Gemini,
            503,
            r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#,
            UpstreamFault,
            "status-503",
        ),
    ]);
    assert_eq!(verdict(Gemini, 429, limited).retry_after, Some(Duration::from_millis(37_500)));
}

#[test]
fn others() {
    use Channel::OpenAi;
    assert_answers(&[
        (OpenAi, 402, r#"{"error":{"message":"Insufficient credits","code":402}}"#, QuotaExhausted, "status-402"),
        (
            OpenAi,
            402,
            r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
            QuotaExhausted,
            "status-402",
        ),
        (
            OpenAi,
            403,
            r#"{"error":{"message":"Input was flagged","code":403,"metadata":{"reasons":["violence"],"flagged_input":"…"}}}"#,
            ClientError,
            "flagged_input",
        ),
        (
            OpenAi,
            400,
            r#"{"code":"Arrearage","message":"Access denied.","request_id":"x"}"#,
            QuotaExhausted,
            "arrearage",
        ),
        (
            OpenAi,
            429,
            r#"{"error":{"code":"1113","message":"余额不足或无可用资源包,请充值。"}}"#,
            QuotaExhausted,
            "text-balance",
        ),
        (
            OpenAi,
            403,
            r#"{"code":30001,"message":"Sorry, your account balance is insufficient","data":null}"#,
            QuotaExhausted,
            "text-balance",
        ),
    ]);
}

#[test]
fn a_client_cannot_blame_a_key_by_what_a_400_quotes() {
    for quoted in ["insufficient balance", "API key not valid", "Your credit balance is too low"] {
        let body = format!(r#"{{"error":{{"message":"Invalid value: '{quoted}'","type":"invalid_request_error"}}}}"#);
        assert_answers(&[(Channel::OpenAi, 400, &body, ClientError, "status-4xx")]);
    }
}

#[test]
fn waits_are_read_for_limits_only() {
    let headers: HeaderMap =
        [(HeaderName::from_static("retry-after"), HeaderValue::from_static("7"))].into_iter().collect();
    let wait = |status| answer(Channel::OpenAi, status, &headers, b"", NOW).retry_after;
    assert_eq!(wait(429), Some(Duration::from_secs(7)));
    assert_eq!(wait(402), Some(Duration::from_secs(7)));
    assert_eq!(wait(503), None);
    assert_eq!(wait(400), None);
}

#[test]
fn messages() {
    for (body, expected) in [
        (r#"{"error":{"message":" a "},"message":"b"}"#, "a"),
        (r#"{"error":{"message":" "},"error_msg":"b"}"#, "b"),
        (r#"{"error":"c","message":"d"}"#, "c"),
        (r#"{"message":"d"}"#, "d"),
        (r#"{"detail":"e"}"#, r#"{"detail":"e"}"#),
        (r#"[{"error":{"message":"f"}}]"#, "f"),
        ("g\u{0}h", "gh"),
        ("", ""),
    ] {
        assert_eq!(error_message(body.as_bytes()), expected, "{body}");
    }
    let long = "é".repeat(2000);
    assert_eq!(error_message(format!("x{long}").as_bytes()).len(), 2047);
}

#[test]
fn errors_inside_of_streams() {
    use Channel::{Anthropic, Gemini, OpenAi, OpenAiResponse};
    for (channel, data, expected) in [
        (OpenAi, r#"{"choices":[{"delta":{"content":"\"error\""}}]}"#, None),
        (OpenAi, r#"{"choices":[],"error":null}"#, None),
        (OpenAi, "[DONE]", None),
        (
            OpenAi,
            r#"{"error":{"message":"The server had an error","type":"server_error","code":null}}"#,
            Some((UpstreamFault, "status-500")),
        ),
        (
            OpenAi,
            r#"{"error":{"message":"quota","type":"insufficient_quota"}}"#,
            Some((QuotaExhausted, "insufficient_quota")),
        ),
        (
            OpenAi,
            r#"{"id":"gen","error":{"code":502,"message":"Provider returned error"},"choices":[{"delta":{},"finish_reason":"error"}]}"#,
            Some((UpstreamFault, "status-502")),
        ),
        (
            Anthropic,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Some((UpstreamFault, "status-529")),
        ),
        (
            Anthropic,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#,
            Some((RateLimited, "rate_limit_error")),
        ),
        (
            Anthropic,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"x"}}"#,
            Some((ClientError, "status-4xx")),
        ),
        (
            OpenAiResponse,
            r#"{"type":"error","code":"rate_limit_exceeded","message":"x","param":null,"sequence_number":1}"#,
            Some((RateLimited, "rate_limit_exceeded")),
        ),
        (
            OpenAiResponse,
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}"#,
            Some((UpstreamFault, "status-500")),
        ),
        (
            OpenAiResponse,
            r#"{"type":"response.failed","response":{"error":{"code":"invalid_prompt","message":"x"}}}"#,
            Some((ClientError, "invalid_prompt")),
        ),
        (OpenAiResponse, r#"{"type":"response.created","response":{"error":null}}"#, None),
        (
            Gemini,
            r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
            Some((UpstreamFault, "status-503")),
        ),
    ] {
        let found = event(channel, data.as_bytes(), NOW).map(|verdict| (verdict.class, verdict.rule));
        assert_eq!(found, expected, "{data}");
    }
}

proptest! {
    #[test]
    fn every_answer_has_a_class(
        status in any::<u16>(),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "(\\{|\\}|\\[|\"error\"|:|,|\"code\"|\"type\"|\"details\"|1|null|\"rate limit\"){0,30}".prop_map(String::into_bytes),
        ],
    ) {
        let verdict = answer(Channel::OpenAi, status, &HeaderMap::new(), &body, NOW);
        prop_assert!(verdict.message.len() <= 2048);
        prop_assert_eq!(verdict.class == Success, (200..400).contains(&status));
        event(Channel::OpenAi, &body, NOW);
    }
}
