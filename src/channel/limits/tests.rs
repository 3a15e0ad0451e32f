//! Headers of good answers, as the providers document or show them.

use actix_http::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

/// 2026-01-31T12:00:00Z.
const NOW: Timestamp = Timestamp(1_769_860_800_000);

fn read(lines: &[(&str, &str)]) -> Announced {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    announced(&lines.iter().map(pair).collect(), NOW)
}

fn left(left: u64, limit: impl Into<Option<u64>>, reset_in_ms: u64) -> Option<Remaining> {
    Some(Remaining { left, limit: limit.into(), reset_in: Duration::from_millis(reset_in_ms) })
}

/// Headers, and the requests and tokens they say are left; whether the limits are per model.
type Example<'a> = (&'a [(&'a str, &'a str)], Option<Remaining>, Option<Remaining>, bool);

fn assert_told(examples: &[Example<'_>]) {
    for &(lines, requests, tokens, per_model) in examples {
        let told = read(lines);
        assert_eq!((told.requests, told.tokens, told.per_model), (requests, tokens, per_model), "{lines:?}");
    }
}

/// OpenAI "Rate limits", "Rate limits in headers"; Groq "Rate Limits", "Rate limit headers"; Azure as quoted in
/// openai/openai-dotnet issue 838 and microsoft/copilot-camp issue 551.
#[test]
fn openai_and_those_who_name_as_it_does() {
    assert_told(&[
        (
            &[
                ("x-ratelimit-limit-requests", "60"),
                ("x-ratelimit-limit-tokens", "150000"),
                ("x-ratelimit-remaining-requests", "59"),
                ("x-ratelimit-remaining-tokens", "149984"),
                ("x-ratelimit-reset-requests", "1s"),
                ("x-ratelimit-reset-tokens", "6m0s"),
            ],
            left(59, 60, 1_000),
            left(149_984, 150_000, 360_000),
            true,
        ),
        (
            &[
                ("x-ratelimit-limit-requests", "14400"),
                ("x-ratelimit-remaining-requests", "14370"),
                ("x-ratelimit-reset-requests", "2m59.56s"),
            ],
            left(14_370, 14_400, 179_560),
            None,
            true,
        ),
        // Azure does not always say when.
        (&[("x-ratelimit-remaining-requests", "7"), ("x-ratelimit-limit-requests", "8")], None, None, false),
        (
            &[
                ("x-ratelimit-limit-tokens", "-1"),
                ("x-ratelimit-remaining-tokens", "-1"),
                ("x-ratelimit-reset-tokens", "0"),
            ],
            None,
            None,
            false,
        ),
    ]);
}

/// As recorded in the tests of the R package tidyllm: the most restrictive limit counts.
#[test]
fn anthropic() {
    assert_told(&[(
        &[
            ("anthropic-ratelimit-input-tokens-limit", "80000"),
            ("anthropic-ratelimit-input-tokens-remaining", "80000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-01-31T12:00:00Z"),
            ("anthropic-ratelimit-output-tokens-limit", "16000"),
            ("anthropic-ratelimit-output-tokens-remaining", "0"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-01-31T12:00:20Z"),
            ("anthropic-ratelimit-requests-limit", "1000"),
            ("anthropic-ratelimit-requests-remaining", "999"),
            ("anthropic-ratelimit-requests-reset", "2026-01-31T12:00:30Z"),
            ("anthropic-ratelimit-tokens-limit", "96000"),
            ("anthropic-ratelimit-tokens-remaining", "96000"),
            ("anthropic-ratelimit-tokens-reset", "2026-01-31T12:00:00Z"),
            ("anthropic-ratelimit-unified-status", "allowed"),
        ],
        left(999, 1_000, 30_000),
        left(0, 16_000, 20_000),
        true,
    )]);
}

/// mistralai/client-ts issue 169; OpenRouter and Moonshot "Rate limits"; draft-ietf-httpapi-ratelimit-headers 03 and 10.
#[test]
fn others() {
    assert_told(&[
        (
            &[
                ("x-ratelimit-limit-tokens-minute", "5000000"),
                ("x-ratelimit-remaining-tokens-minute", "4999911"),
                ("x-ratelimit-tokens-query-cost", "52"),
                ("x-ratelimit-limit-req-minute", "720"),
                ("x-ratelimit-remaining-req-minute", "717"),
            ],
            left(717, 720, 60_000),
            left(4_999_911, 5_000_000, 60_000),
            true,
        ),
        (
            &[("x-ratelimit-limit", "50"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1769860805000")],
            left(0, 50, 5_000),
            None,
            false,
        ),
        (
            &[("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "50"), ("ratelimit-reset", "30")],
            left(50, 100, 30_000),
            None,
            false,
        ),
        (&[("ratelimit", "limit=100, remaining=50, reset=5")], left(50, 100, 5_000), None, false),
        (&[("ratelimit", r#""burst";r=5;t=1, "daily";r=900;t=3600"#)], left(5, None, 1_000), None, false),
        (&[("ratelimit", r#""default";r=5"#)], None, None, false),
        (&[("ratelimit-policy", r#""default";q=100;w=60"#)], None, None, false),
        (
            &[("x-request-id", "r"), ("retry-after", "5"), ("x-rate", "1"), ("openai-version", "2020-10-01")],
            None,
            None,
            false,
        ),
        (&[], None, None, false),
    ]);
}

#[test]
fn accounts() {
    let account = |lines: &[(&str, &str)]| read(lines).account;
    let organization = account(&[("openai-organization", "org-a")]);
    assert!(organization.is_some());
    assert_eq!(organization, account(&[("openai-organization", " org-a")]));
    let project = account(&[("openai-organization", "org-a"), ("openai-project", "proj_1")]);
    assert_ne!(organization, project);
    assert_ne!(project, account(&[("openai-organization", "org-a"), ("openai-project", "proj_2")]));
    assert_ne!(organization, account(&[("anthropic-organization-id", "36562039-1ae4-48e6-ae28-1e517e3d2d12")]));
    assert_eq!(account(&[("openai-version", "2020-10-01")]), None);
}

proptest! {
    #[test]
    fn any_headers_are_read(
        lines in prop::collection::vec(
            (
                "(x-|anthropic-|openai-)?(ratelimit-?)?(limit|remaining|reset|organization|project)?-?(requests|tokens|input-tokens|req-minute|[a-z]{0,4})",
                "[ -~]{0,24}|\"?[a-z]{0,3}\"?;?(r=[0-9]{0,24};?|t=[0-9e.-]{0,9},?|limit=|remaining=|reset=){0,6}",
            ),
            0..8,
        ),
        now in any::<i64>(),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in &lines {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                headers.append(name, value);
            }
        }
        let told = announced(&headers, Timestamp(now));
        for remaining in [told.requests, told.tokens].into_iter().flatten() {
            prop_assert!(remaining.reset_in <= Duration::from_secs(366 * 24 * 3600));
        }
    }
}
