//! Where a client's path leads to at an upstream. Works on raw text: percent-encoding stays as it is.

use gpt_load_schema::channel::Channel;

/// First path segments of OpenAI's resources, as an SDK sends them when its base URL ends without a version.
/// Source: the paths of <https://platform.openai.com/docs/api-reference>.
const OPENAI_RESOURCES: [&str; 22] = [
    "assistants",
    "audio",
    "batches",
    "chat",
    "completions",
    "containers",
    "conversations",
    "embeddings",
    "evals",
    "files",
    "fine_tuning",
    "images",
    "models",
    "moderations",
    "organization",
    "projects",
    "realtime",
    "responses",
    "threads",
    "uploads",
    "vector_stores",
    "videos",
];

/// The upstream path: the base URL's path, then the client's.
///
/// What the base path says from its version on is not said twice (`/v1` + `/v1/models` → `/v1/models`). On the OpenAI
/// channels a known resource without a version gets `/v1`, unless the base path carries a version or an Azure
/// deployment.
pub fn join(channel: Channel, base_path: &str, client_path: &str) -> String {
    let base = base_path.trim_end_matches('/');
    let client = without_overlap(base, client_path);
    let version = if needs_version(channel, base, client) { "/v1" } else { "" };
    let slash = if client.is_empty() || client.starts_with('/') { "" } else { "/" };
    let joined = [base, version, slash, client].concat();
    if joined.is_empty() { "/".to_owned() } else { joined }
}

/// The client's path without the start that the base path ends with, when that start is a version.
fn without_overlap<'a>(base: &str, client_path: &'a str) -> &'a str {
    let first = client_path.strip_prefix('/').unwrap_or(client_path).split('/').next().unwrap_or_default();
    if !is_version(first) {
        return client_path;
    }
    let versions = base.match_indices('/').filter(|(at, _)| base[at + 1..].split('/').next() == Some(first));
    for (at, _) in versions {
        if let Some(rest) = client_path.strip_prefix(&base[at..])
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return rest;
        }
    }
    client_path
}

fn needs_version(channel: Channel, base: &str, client: &str) -> bool {
    let first = client.strip_prefix('/').unwrap_or(client).split('/').next().unwrap_or_default();
    matches!(channel, Channel::OpenAi | Channel::OpenAiResponse)
        && OPENAI_RESOURCES.contains(&first)
        && !base.split('/').any(|segment| is_version(segment) || segment == "deployments")
}

/// `v1`, `v4`, `v1beta`, `v1alpha2` …
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_digit()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples() {
        use Channel::{Anthropic, Gemini, OpenAi, OpenAiResponse};
        for (channel, base, client, expected) in [
            (OpenAi, "", "/v1/chat/completions", "/v1/chat/completions"),
            (OpenAi, "/", "/v1/chat/completions", "/v1/chat/completions"),
            (OpenAi, "/v1", "/v1/chat/completions", "/v1/chat/completions"),
            (OpenAi, "/v1//", "/v1/chat/completions", "/v1/chat/completions"),
            (OpenAi, "/v1", "/chat/completions", "/v1/chat/completions"),
            (OpenAi, "", "/chat/completions", "/v1/chat/completions"),
            (OpenAi, "/api", "/embeddings", "/api/v1/embeddings"),
            (OpenAi, "/api/v1", "/models/a%2Fb", "/api/v1/models/a%2Fb"),
            (OpenAi, "/api/paas/v4", "/chat/completions", "/api/paas/v4/chat/completions"),
            (OpenAi, "/openai/deployments/gpt", "/chat/completions", "/openai/deployments/gpt/chat/completions"),
            (OpenAi, "/openai/v1", "/responses", "/openai/v1/responses"),
            (OpenAi, "", "/openai/deployments/gpt/chat/completions", "/openai/deployments/gpt/chat/completions"),
            (OpenAi, "", "/rerank", "/rerank"),
            (OpenAi, "", "/chatter", "/chatter"),
            (OpenAi, "/v1", "/v10/x", "/v1/v10/x"),
            (OpenAi, "/v1/x", "/v1/chat", "/v1/x/v1/chat"),
            (OpenAi, "/v1beta/openai", "/v1beta/openai/chat/completions", "/v1beta/openai/chat/completions"),
            (OpenAiResponse, "", "/responses/resp_1", "/v1/responses/resp_1"),
            (OpenAiResponse, "", "/files", "/v1/files"),
            (Gemini, "/v1beta", "/v1beta/models/g:generateContent", "/v1beta/models/g:generateContent"),
            (Gemini, "", "/models", "/models"),
            (Gemini, "/v1", "/v1beta/models", "/v1/v1beta/models"),
            (Anthropic, "", "/messages", "/messages"),
            (Anthropic, "/anthropic", "/v1/messages", "/anthropic/v1/messages"),
            (OpenAi, "/v1", "/v1", "/v1"),
            (OpenAi, "/v1", "", "/v1"),
            (OpenAi, "", "", "/"),
            (OpenAi, "/a", "b%20c//d/", "/a/b%20c//d/"),
        ] {
            assert_eq!(join(channel, base, client), expected, "{channel} {base} {client}");
        }
    }

    proptest! {
        #[test]
        fn the_clients_text_is_kept(base in "(/[a-z0-9]{1,3}){0,3}/?", client in "(/[a-z0-9%:]{0,4}){1,4}") {
            let joined = join(Channel::Gemini, &base, &client);
            prop_assert!(joined.starts_with(base.trim_end_matches('/')));
            prop_assert!(joined.ends_with(&client) || client.starts_with("/v"));
        }
    }
}
