//! Token counts as providers name them.

use gpt_load_schema::log::TokenUsage;

use crate::channel::json::{self, Scan};

/// Reads a `usage` object of OpenAI, of the many that follow it, or of Anthropic.
///
/// OpenAI counts cached tokens within the prompt's (<https://platform.openai.com/docs/api-reference/chat/object>),
/// Anthropic beside them (<https://docs.anthropic.com/en/api/messages#response-usage>): there they are added.
pub(super) fn of_openai_or_anthropic(object: &[u8]) -> TokenUsage {
    let mut usage = TokenUsage::default();
    let (mut read, mut written) = (None, None);
    each(object, |name, value| match name {
        b"prompt_tokens" | b"input_tokens" => set(&mut usage.input, json::unsigned(value)),
        b"completion_tokens" | b"output_tokens" => set(&mut usage.output, json::unsigned(value)),
        b"prompt_tokens_details" | b"input_tokens_details" => set(&mut usage.cached, count(value, "cached_tokens")),
        b"completion_tokens_details" | b"output_tokens_details" => {
            set(&mut usage.reasoning, count(value, "reasoning_tokens"));
        }
        b"prompt_cache_hit_tokens" => set(&mut usage.cached, json::unsigned(value)),
        b"cache_read_input_tokens" => read = json::unsigned(value),
        b"cache_creation_input_tokens" => written = json::unsigned(value),
        _ => {}
    });
    set(&mut usage.cached, read);
    if let Some(input) = &mut usage.input {
        *input = input.saturating_add(read.unwrap_or(0)).saturating_add(written.unwrap_or(0));
    }
    usage
}

/// Reads Gemini's `usageMetadata`, which counts thoughts beside the candidates
/// (<https://ai.google.dev/api/generate-content#UsageMetadata>).
pub(super) fn of_gemini(object: &[u8]) -> TokenUsage {
    let mut usage = TokenUsage::default();
    let (mut tools, mut thoughts) = (None, None);
    each(object, |name, value| match name {
        b"promptTokenCount" => usage.input = json::unsigned(value),
        b"candidatesTokenCount" => usage.output = json::unsigned(value),
        b"cachedContentTokenCount" => usage.cached = json::unsigned(value),
        b"toolUsePromptTokenCount" => tools = json::unsigned(value),
        b"thoughtsTokenCount" => thoughts = json::unsigned(value),
        _ => {}
    });
    usage.reasoning = thoughts;
    usage.input = sum(usage.input, tools);
    usage.output = sum(usage.output, thoughts);
    usage
}

/// Takes over what `later` says. Providers repeat and raise their counts while a stream runs, so the larger one holds.
pub(super) fn merge(usage: &mut TokenUsage, later: TokenUsage) {
    for (count, later) in [
        (&mut usage.input, later.input),
        (&mut usage.output, later.output),
        (&mut usage.cached, later.cached),
        (&mut usage.reasoning, later.reasoning),
    ] {
        *count = (*count).max(later);
    }
}

fn each<'a>(object: &'a [u8], mut found: impl FnMut(&[u8], &'a [u8])) {
    let Some(mut scan) = Scan::object(object) else { return };
    while let Some(member) = scan.member() {
        found(member.name, member.value);
    }
}

fn count(object: &[u8], name: &str) -> Option<u64> {
    json::member(object, name).and_then(json::unsigned)
}

fn set(count: &mut Option<u64>, value: Option<u64>) {
    *count = value.or(*count);
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.map_or(other, |one| Some(one.saturating_add(other.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: Option<u64>, cached: Option<u64>, reasoning: Option<u64>) -> TokenUsage {
        TokenUsage { input: Some(input), output, cached, reasoning }
    }

    #[test]
    fn counts_of_each_provider() {
        for (text, expected) in [
            (
                r#"{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":3,
                "audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":4}}"#,
                usage(19, Some(10), Some(3), Some(4)),
            ),
            (
                r#"{"input_tokens":36,"input_tokens_details":{"cached_tokens":0},"output_tokens":87,
                "output_tokens_details":{"reasoning_tokens":7},"total_tokens":123}"#,
                usage(36, Some(87), Some(0), Some(7)),
            ),
            (r#"{"prompt_tokens":8,"total_tokens":8}"#, usage(8, None, None, None)),
            (
                r#"{"prompt_tokens":8,"completion_tokens":1,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":2}"#,
                usage(8, Some(1), Some(6), None),
            ),
            (
                r#"{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":5}"#,
                usage(1110, Some(5), Some(1000), None),
            ),
        ] {
            assert_eq!(of_openai_or_anthropic(text.as_bytes()), expected, "{text}");
        }
        let gemini = br#"{"promptTokenCount":9,"candidatesTokenCount":20,"thoughtsTokenCount":5,"totalTokenCount":34,
            "cachedContentTokenCount":2,"promptTokensDetails":[{"modality":"TEXT","tokenCount":9}]}"#;
        assert_eq!(of_gemini(gemini), usage(9, Some(25), Some(2), Some(5)));
    }

    #[test]
    fn what_is_no_count_is_not_known() {
        let odd = br#"{"prompt_tokens":-1,"completion_tokens":"7","prompt_tokens_details":null}"#;
        assert_eq!(of_openai_or_anthropic(odd), TokenUsage::default());
        assert_eq!(of_openai_or_anthropic(b"null"), TokenUsage::default());
        assert_eq!(of_gemini(b"[]"), TokenUsage::default());
    }
}
