//! The words that providers have for their errors, for people's rules. The classifier reads its own.

use serde_json::Value;

use super::sse::Splitter;

/// Longest word, in bytes.
const MAX_WORD: usize = 200;

/// Type, code and status word of the error in a body, in that order, as they stand; empty when it has none.
///
/// `error.type` and `error.code` are OpenAI's and Anthropic's, `error.status` is Gemini's; some put them beside the
/// message without an `error` around.
pub fn error_words(body: &[u8]) -> Vec<String> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let outer = value.as_array().and_then(|list| list.first()).unwrap_or(&value);
    let outer = outer.get("response").unwrap_or(outer);
    let error = outer.get("error").filter(|error| error.is_object()).unwrap_or(outer);
    let mut words = Vec::new();
    for name in ["type", "code", "status"] {
        if let Some(word) = error.get(name).and_then(Value::as_str)
            && !word.is_empty()
            && word.len() <= MAX_WORD
            && !words.iter().any(|known| known == word)
        {
            words.push(word.to_owned());
        }
    }
    words
}

/// [`error_words`] of the first event of a stream that has any.
pub fn event_error_words(events: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut see = |data: &[u8]| {
        if found.is_empty() {
            found = error_words(data);
        }
    };
    let mut splitter = Splitter::new();
    splitter.feed(events, &mut see);
    splitter.finish(&mut see);
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_every_channel() {
        for (body, expected) in [
            (
                r#"{"error":{"message":"x","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                &["invalid_request_error", "invalid_api_key"][..],
            ),
            (r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#, &["insufficient_quota"]),
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#, &["overloaded_error"]),
            (r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]"#, &["RESOURCE_EXHAUSTED"]),
            (r#"{"type":"response.failed","response":{"error":{"code":"server_error"}}}"#, &["server_error"]),
            (r#"{"code":"NOPE","message":"x"}"#, &["NOPE"]),
            (r#"{"error":"text"}"#, &[]),
            (r#"{"error":{"type":null,"code":""}}"#, &[]),
            ("<html>", &[]),
            ("", &[]),
        ] {
            assert_eq!(error_words(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn words_of_a_stream() {
        let events = "event: ping\ndata: {}\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}\n\n";
        assert_eq!(event_error_words(events.as_bytes()), ["rate_limit_error"]);
        assert_eq!(event_error_words(b"data: [DONE]\n\n"), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in any::<Vec<u8>>()) {
            error_words(&bytes);
            event_error_words(&bytes);
        }
    }
}
