//! OpenRouter, which hands on the limits of the providers behind it.

use super::*;

/// OpenRouter "Errors and Debugging" and "Limits"; answers quoted in Gitlawb/openclaude issues 936 and 1549,
/// Avarok-Cybersecurity/atlas pull request 543 (`limit_source`), continuedev/continue issue 10442.
#[test]
fn answers() {
    assert_answers(
        Channel::OpenAi,
        &[
            (401, &[], r#"{"error":{"message":"User not found.","code":401}}"#, KeyInvalid, "status-401", None, KEY),
            (
                402,
                &[],
                r#"{"error":{"message":"Insufficient credits. Add more using https://openrouter.ai/settings/credits","code":402}}"#,
                QuotaExhausted,
                "status-402",
                None,
                KEY,
            ),
            (
                402,
                &[("retry-after", "3")],
                r#"{"error":{"message":"Requests in flight hold your remaining credits","code":402,"metadata":{"limit_source":"openrouter_in_flight_budget"}}}"#,
                RateLimited,
                "openrouter_in_flight_budget",
                Some(3.0),
                KEY,
            ),
            (
                403,
                &[],
                r#"{"error":{"message":"Key limit exceeded (monthly limit). Manage it using https://openrouter.ai/settings/keys","code":403}}"#,
                QuotaExhausted,
                "text-key-limit",
                None,
                KEY,
            ),
            (
                403,
                &[],
                r#"{"error":{"message":"Input was flagged","code":403,"metadata":{"reasons":["violence"],"flagged_input":"…","provider_name":"OpenAI","model_slug":"openai/gpt-4o"}}}"#,
                ClientError,
                "flagged_input",
                None,
                KEY,
            ),
            (
                404,
                &[],
                r#"{"error":{"message":"No endpoints found for nonesuch/model.","code":404}}"#,
                ClientError,
                "status-4xx",
                None,
                KEY,
            ),
            (
                429,
                &[],
                r#"{"error":{"message":"Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1769904000000"},"provider_name":null}}}"#,
                RateLimited,
                "status-429",
                Some(43_200.0),
                MODEL,
            ),
            (
                429,
                &[],
                r#"{"error":{"message":"Rate limit exceeded: free-models-per-day-high-balance.","type":"rate_limit_error","code":"429"}}"#,
                RateLimited,
                "rate_limit_error",
                None,
                MODEL,
            ),
            (
                429,
                &[("retry-after", "9")],
                r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"qwen/qwen3-coder:free is temporarily rate-limited upstream. Please retry shortly.","provider_name":"Chutes"}}}"#,
                RateLimited,
                "status-429",
                Some(9.0),
                MODEL,
            ),
            (408, &[], r#"{"error":{"message":"Timed out","code":408}}"#, UpstreamFault, "status-408", None, KEY),
            (
                502,
                &[],
                r#"{"error":{"message":"Provider returned error","code":502,"metadata":{"provider_name":"Chutes"}}}"#,
                UpstreamFault,
                "status-502",
                None,
                KEY,
            ),
            (
                503,
                &[],
                r#"{"error":{"message":"No allowed providers are available for the selected model.","code":503}}"#,
                UpstreamFault,
                "status-503",
                None,
                KEY,
            ),
        ],
    );
}

/// OpenRouter "Errors and Debugging", errors after the status 200 was sent; the same object is the whole body without a
/// stream.
#[test]
fn events() {
    assert_events(
        Channel::OpenAi,
        &[
            (
                r#"{"id":"gen","error":{"code":502,"message":"Provider returned error"},"choices":[{"delta":{},"finish_reason":"error"}]}"#,
                Some((UpstreamFault, "status-502", None, KEY)),
            ),
            (
                r#"{"error":{"message":"Rate limit exceeded: free-models-per-min","code":429,"metadata":{"headers":{"X-RateLimit-Reset":"1769860830000"}}}}"#,
                Some((RateLimited, "status-429", Some(30.0), MODEL)),
            ),
            (
                r#"{"error":{"message":"Insufficient credits","code":402},"user_id":"u"}"#,
                Some((QuotaExhausted, "status-402", None, KEY)),
            ),
            (
                r#"{"id":"gen","error":{"code":"server_error","message":"Provider disconnected unexpectedly"},"choices":[]}"#,
                Some((UpstreamFault, "status-500", None, KEY)),
            ),
        ],
    );
}
