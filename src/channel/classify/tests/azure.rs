//! Azure OpenAI, spoken to through the OpenAI channel. Its limits are those of a deployment.

use super::*;

/// Azure OpenAI "quotas and limits"; answers quoted in alex-wolf-ps/dbchatprov2 issue 2, microsoft/copilot-camp issue 551,
/// openai/openai-python issue 937 (headers) and openai/openai-dotnet issue 838 (-1).
#[test]
fn answers() {
    let gateway: &[(&str, &str)] = &[("apim-request-id", "x"), ("x-ms-region", "North Central US")];
    assert_answers(
        Channel::OpenAi,
        &[
            (
                401,
                gateway,
                r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription."}}"#,
                KeyInvalid,
                "status-401",
                None,
                KEY,
            ),
            (
                401,
                &[],
                r#"{"error":{"code":"PermissionDenied","message":"The principal lacks the required data action"}}"#,
                KeyInvalid,
                "status-401",
                None,
                KEY,
            ),
            (
                429,
                &[("retry-after", "7"), ("retry-after-ms", "6800")],
                r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-06-01 have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 7 seconds."}}"#,
                RateLimited,
                "status-429",
                Some(6.8),
                MODEL,
            ),
            (
                429,
                &[],
                r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-05-01-preview have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 86400 seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."}}"#,
                RateLimited,
                "status-429",
                Some(86_400.0),
                MODEL,
            ),
            (
                429,
                gateway,
                r#"{"error":{"code":"429","message": "Rate limit is exceeded. Try again in 2 seconds."}}"#,
                RateLimited,
                "status-429",
                Some(2.0),
                MODEL,
            ),
            (
                429,
                &[
                    ("apim-request-id", "x"),
                    ("x-rate-limit-reset-tokens", "55"),
                    ("x-ratelimit-limit-tokens", "-1"),
                    ("x-ratelimit-remaining-tokens", "-1"),
                    ("x-ratelimit-reset-tokens", "0"),
                ],
                "",
                RateLimited,
                "status-429",
                Some(55.0),
                MODEL,
            ),
            (
                403,
                &[],
                r#"{"error":{"code":"403","message":"Out of call volume quota for ContentSafety S0 pricing tier. Quota will be replenished in 20.12:34:56."}}"#,
                QuotaExhausted,
                "text-call-volume",
                None,
                KEY,
            ),
            (
                403,
                &[],
                r#"{"error":{"code":"AccessDenied","message":"Access denied due to Virtual Network/Firewall rules."}}"#,
                KeyForbidden,
                "status-403",
                None,
                KEY,
            ),
            (
                404,
                &[],
                r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."}}"#,
                ClientError,
                "status-4xx",
                None,
                KEY,
            ),
            (
                400,
                &[],
                r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400}}"#,
                ClientError,
                "content_filter",
                None,
                KEY,
            ),
            (
                503,
                &[],
                r#"{"error":{"code":"InternalServerError","message":"The service is temporarily unable to process your request."}}"#,
                UpstreamFault,
                "status-503",
                None,
                KEY,
            ),
        ],
    );
}
