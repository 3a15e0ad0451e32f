//! Anthropic, whose limits are an organization's for a class of models.

use super::*;

fn error(kind: &str, message: &str) -> String {
    format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_x"}}"#)
}

/// Anthropic "Errors" and "Rate limits"; answers quoted in stagewise-io/stagewise issue 927, stackblitz/bolt.new issue 8589
/// (rate limits), anthropics/claude-code issues 72457 (disabled) and 65714 (403), MiniMax-AI/MiniMax-M2.7 issue 36 (another
/// provider in the same format).
#[test]
fn answers() {
    for (status, kind, message, class, rule, wait, reach) in [
        (401, "authentication_error", "invalid x-api-key", KeyInvalid, "authentication_error", None, KEY),
        (403, "permission_error", "Your API key lacks permission.", KeyForbidden, "status-403", None, KEY),
        (
            403,
            "permission_error",
            "OAuth authentication is currently not allowed for this organization.",
            KeyForbidden,
            "status-403",
            None,
            KEY,
        ),
        (403, "permission_error", "This organization has been disabled.", KeyInvalid, "text-deactivated", None, KEY),
        (404, "not_found_error", "model: claude-nonesuch", ClientError, "status-4xx", None, KEY),
        (413, "request_too_large", "Request exceeds the maximum size", ClientError, "status-4xx", None, KEY),
        (
            429,
            "rate_limit_error",
            "This request would exceed your organization's rate limit of 30,000 input tokens per minute (org: 8016, model: claude-opus-4-6). For details, refer to: https://docs.claude.com/en/api/rate-limits.",
            RateLimited,
            "rate_limit_error",
            None,
            MODEL_OF_ACCOUNT,
        ),
        (
            429,
            "rate_limit_error",
            "This request would exceed the rate limit for your organization (a22c) of 1,000,000 input tokens per minute.",
            RateLimited,
            "rate_limit_error",
            None,
            MODEL_OF_ACCOUNT,
        ),
        (
            429,
            "rate_limit_error",
            "Number of request tokens has exceeded your per-minute rate limit",
            RateLimited,
            "rate_limit_error",
            None,
            MODEL_OF_ACCOUNT,
        ),
        (
            429,
            "rate_limit_error",
            "usage limit exceeded, 5-hour usage limit reached for Token Plan Starter (0/0 used), resets at 2026-01-31T15:00:00Z (2056)",
            RateLimited,
            "rate_limit_error",
            Some(10_800.0),
            KEY,
        ),
        (402, "billing_error", "Payment", QuotaExhausted, "billing_error", None, KEY),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
            QuotaExhausted,
            "text-credit-balance",
            None,
            KEY,
        ),
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on 2026-02-01 at 00:00 UTC.",
            QuotaExhausted,
            "text-usage-limits",
            Some(43_200.0),
            KEY,
        ),
        (
            400,
            "invalid_request_error",
            "This organization has been disabled.",
            KeyInvalid,
            "text-deactivated",
            None,
            KEY,
        ),
        (400, "invalid_request_error", "max_tokens: Field required", ClientError, "status-4xx", None, KEY),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens", ClientError, "status-4xx", None, KEY),
        (500, "api_error", "Internal server error", UpstreamFault, "status-500", None, KEY),
        (504, "timeout_error", "The request timed out", UpstreamFault, "status-504", None, KEY),
        (529, "overloaded_error", "Overloaded", UpstreamFault, "status-529", None, KEY),
        (529, "overloaded_error", "Too many requests", RateLimited, "text-rate-limit", None, KEY),
    ] {
        assert_answers(Channel::Anthropic, &[(status, &[], &error(kind, message), class, rule, wait, reach)]);
    }
}

/// Only the limit that is used up explains the answer. The `unified` headers are those of subscriptions.
#[test]
fn waits_from_headers() {
    let body = error("rate_limit_error", "This request would exceed your organization's rate limit");
    let examples: [(&[(&str, &str)], f64); 3] = [
        (&[("retry-after", "12"), ("anthropic-ratelimit-requests-reset", "2026-01-31T13:00:00Z")], 12.0),
        (
            &[
                ("anthropic-ratelimit-output-tokens-remaining", "0"),
                ("anthropic-ratelimit-output-tokens-reset", "2026-01-31T12:00:30Z"),
                ("anthropic-ratelimit-requests-remaining", "10"),
                ("anthropic-ratelimit-requests-reset", "2026-01-31T13:00:00Z"),
            ],
            30.0,
        ),
        (
            &[
                ("anthropic-ratelimit-unified-status", "rejected"),
                ("anthropic-ratelimit-unified-reset", "1769864400"),
                ("anthropic-ratelimit-unified-7d-reset", "1770292800"),
            ],
            3600.0,
        ),
    ];
    for (lines, wait) in examples {
        let expected = (429, lines, &*body, RateLimited, "rate_limit_error", Some(wait), MODEL_OF_ACCOUNT);
        assert_answers(Channel::Anthropic, &[expected]);
    }
}

/// Anthropic "Streaming messages", "Error events".
#[test]
fn events() {
    let overloaded = error("overloaded_error", "Overloaded");
    let limited = error("rate_limit_error", "This request would exceed your organization's rate limit");
    let refused = error("invalid_request_error", "x");
    assert_events(
        Channel::Anthropic,
        &[
            (&overloaded, Some((UpstreamFault, "status-529", None, KEY))),
            (&limited, Some((RateLimited, "rate_limit_error", None, MODEL_OF_ACCOUNT))),
            (&refused, Some((ClientError, "status-4xx", None, KEY))),
            (r#"{"type":"message_start","message":{"id":"msg","content":[]}}"#, None),
            (r#"{"type":"ping"}"#, None),
        ],
    );
}
