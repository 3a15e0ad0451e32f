//! The words of OpenTelemetry's conventions for generative AI.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>.

use gpt_load_schema::channel::Channel;

/// `gen_ai.provider.name` of a channel.
pub(super) const fn provider(channel: Channel) -> &'static str {
    match channel {
        Channel::OpenAi | Channel::OpenAiResponse => "openai",
        Channel::Gemini => "gcp.gemini",
        Channel::Anthropic => "anthropic",
    }
}

/// `gen_ai.operation.name` of a call by its path; `None` for what no model is asked to do.
pub(super) fn operation(method: &str, path: &str) -> Option<&'static str> {
    if method != "POST" {
        return None;
    }
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let endings = [
        ("/chat/completions", "chat"),
        ("/completions", "text_completion"),
        ("/embeddings", "embeddings"),
        ("/responses", "chat"),
        ("/v1/messages", "chat"),
        (":generateContent", "generate_content"),
        (":streamGenerateContent", "generate_content"),
        (":embedContent", "embeddings"),
        (":batchEmbedContents", "embeddings"),
    ];
    endings.into_iter().find(|(ending, _)| path.ends_with(ending)).map(|(_, operation)| operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_those_of_the_paths_that_ask_a_model() {
        for (method, path, expected) in [
            ("POST", "/v1/chat/completions", Some("chat")),
            ("POST", "/proxy/team/v1/chat/completions?a=1", Some("chat")),
            ("POST", "/openai/deployments/d/chat/completions", Some("chat")),
            ("POST", "/v1/completions", Some("text_completion")),
            ("POST", "/v1/responses/", Some("chat")),
            ("POST", "/v1/messages", Some("chat")),
            ("POST", "/v1/messages/count_tokens", None),
            ("POST", "/v1/threads/t/messages", None),
            ("POST", "/v1/embeddings", Some("embeddings")),
            ("POST", "/v1beta/models/gemini:generateContent", Some("generate_content")),
            ("POST", "/v1beta/models/gemini:streamGenerateContent?alt=sse", Some("generate_content")),
            ("POST", "/v1beta/models/e:embedContent", Some("embeddings")),
            ("GET", "/v1/chat/completions", None),
            ("GET", "/v1/models", None),
            ("POST", "/v1/files", None),
        ] {
            assert_eq!(operation(method, path), expected, "{method} {path}");
        }
    }
}
