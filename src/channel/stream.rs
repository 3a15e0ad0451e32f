//! Whether a request asks for a stream.

use gpt_load_schema::channel::Channel;

use super::query;

/// Decided on what goes upstream, so `stream_member` is the body's `stream` after the group's overrides.
pub fn is_requested(
    channel: Channel,
    path: &str,
    query: Option<&str>,
    accept: Option<&str>,
    stream_member: Option<bool>,
) -> bool {
    (channel == Channel::Gemini && query::decoded(path).ends_with(":streamGenerateContent"))
        || accept.is_some_and(accepts_events)
        || query.is_some_and(|query| query.split('&').any(|parameter| parameter == "stream=true"))
        || stream_member == Some(true)
}

fn accepts_events(accept: &str) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    accept.as_bytes().windows(EVENTS.len()).any(|part| part.eq_ignore_ascii_case(EVENTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples() {
        use Channel::{Gemini, OpenAi};
        let path = "/v1beta/models/g:streamGenerateContent";
        for (channel, path, query, accept, member, expected) in [
            (Gemini, path, None, None, None, true),
            (Gemini, "/v1beta/models/g%3AstreamGenerateContent", None, None, None, true),
            (OpenAi, path, None, None, None, false),
            (OpenAi, "/v1/x", None, Some("application/json, Text/Event-Stream"), Some(false), true),
            (OpenAi, "/v1/x", Some("a=1&stream=true"), None, None, true),
            (OpenAi, "/v1/x", Some("stream=trues&xstream=true"), None, None, false),
            (OpenAi, "/v1/x", None, None, Some(true), true),
            (OpenAi, "/v1/x", None, Some("*/*"), Some(false), false),
        ] {
            assert_eq!(is_requested(channel, path, query, accept, member), expected, "{path} {query:?} {accept:?}");
        }
    }
}
