//! Answers of providers, representative and not recorded.

use gpt_load_schema::{log::OutcomeClass, resource::ResourceKind};
use proptest::prelude::*;

use super::*;

const CHAT: &str = r#"data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-2024","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}

data: {"id":"c","model":"gpt-4o-2024","choices":[{"index":0,"delta":{"content":"\"usage\": {é"},"finish_reason":null}],"usage":null}

data: {"id":"c","model":"gpt-4o-2024","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}

data: {"id":"c","model":"gpt-4o-2024","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":2}}}

data: [DONE]

"#;

const RESPONSES: &str = r#"event: response.created
data: {"type":"response.created","response":{"id":"r","status":"in_progress","error":null,"usage":null}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","delta":"Hi"}

event: response.completed
data: {"type":"response.completed","response":{"id":"r","status":"completed","error":null,"incomplete_details":null,"model":"gpt-4.1","output":[{"type":"message"}],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":1},"output_tokens":12,"output_tokens_details":{"reasoning_tokens":2}}}}

"#;

const ANTHROPIC: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"model":"claude-x","stop_reason":null,"usage":{"input_tokens":7,"cache_creation_input_tokens":1,"cache_read_input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":12}}

event: message_stop
data: {"type":"message_stop"}

"#;

const GEMINI: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"H\"}],\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9},\"modelVersion\":\"gemini-x\"}\r\n\r\ndata: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"i\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":10,\"thoughtsTokenCount\":2,\"cachedContentTokenCount\":1},\"modelVersion\":\"gemini-x\"}\r\n\r\n";

fn report(channel: Channel, is_event_stream: bool, answer: &str, piece: usize, clean_end: bool) -> TapReport {
    let mut tap = Tap::new(channel, is_event_stream, None);
    for bytes in answer.as_bytes().chunks(piece.max(1)) {
        tap.feed(bytes);
    }
    tap.finish(clean_end)
}

fn whole(reason: &str, model: &str, reasoning: Option<u64>) -> TapReport {
    TapReport {
        usage: TokenUsage { input: Some(9), output: Some(12), cached: Some(1), reasoning },
        finish_reason: Some(reason.to_owned()),
        model: Some(model.to_owned()),
        terminal_seen: true,
        error: None,
        content_seen: true,
        learnt: Vec::new(),
    }
}

/// Every stream with what it says.
fn streams() -> [(Channel, &'static str, TapReport); 4] {
    [
        (Channel::OpenAi, CHAT, whole("stop", "gpt-4o-2024", Some(2))),
        (Channel::OpenAiResponse, RESPONSES, whole("completed", "gpt-4.1", Some(2))),
        (Channel::Anthropic, ANTHROPIC, whole("end_turn", "claude-x", None)),
        (Channel::Gemini, GEMINI, whole("STOP", "gemini-x", Some(2))),
    ]
}

#[test]
fn each_stream_is_read() {
    for (channel, answer, expected) in streams() {
        assert_eq!(report(channel, true, answer, usize::MAX, true), expected, "{channel}");
        // The shape decides, not the channel.
        assert_eq!(report(Channel::OpenAi, true, answer, usize::MAX, true), expected, "{channel}");
    }
}

#[test]
fn a_terminal_event_counts_even_when_the_connection_breaks() {
    for (channel, answer, _) in streams() {
        let is_explicit = channel != Channel::Gemini;
        assert_eq!(report(channel, true, answer, 100, false).terminal_seen, is_explicit, "{channel}");
    }
}

#[test]
fn a_stream_cut_in_the_middle_did_not_end() {
    for (channel, answer, _) in streams() {
        let cut = answer.find("\n\n").or_else(|| answer.find("\r\n\r\n")).unwrap() + 4;
        assert!(!report(channel, true, &answer[..cut], 100, true).terminal_seen, "{channel}");
    }
}

#[test]
fn ends_without_a_terminal_event() {
    let no_done = CHAT.replace("data: [DONE]", ": bye");
    assert!(report(Channel::OpenAi, true, &no_done, 50, true).terminal_seen);
    assert!(!report(Channel::OpenAi, true, &no_done, 50, false).terminal_seen);
    assert!(!report(Channel::OpenAi, true, "", 1, true).terminal_seen);
    assert!(!report(Channel::OpenAi, true, ": ping\n\n", 1, true).terminal_seen);
    assert!(report(Channel::OpenAi, true, "data: {\"text\":\"x\"}\n\n", 1, true).terminal_seen);
    for started in ["response.output_text.delta", "content_block_delta"] {
        let started = format!("data: {{\"type\":\"{started}\"}}\n\n");
        assert!(!report(Channel::OpenAi, true, &started, 9, true).terminal_seen, "{started}");
    }
    let unstopped = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";
    let unstopped = format!("data: {{\"type\":\"content_block_delta\"}}\n\n{unstopped}");
    assert!(!report(Channel::Anthropic, true, &unstopped, 9, true).terminal_seen);
    let blocked = r#"data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}"#;
    let blocked = report(Channel::Gemini, true, blocked, 50, true);
    assert_eq!((blocked.terminal_seen, blocked.finish_reason.as_deref()), (true, Some("SAFETY")));
}

#[test]
fn what_comes_first() {
    let first = |answer: &str| {
        let mut tap = Tap::new(Channel::Anthropic, true, None);
        tap.feed(answer.as_bytes());
        match tap.first_event() {
            FirstEvent::Error(verdict) => Some(verdict.class.as_str()),
            FirstEvent::Content => Some("content"),
            FirstEvent::None => None,
        }
    };
    let error =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";
    assert_eq!(first(""), None);
    assert_eq!(first(": comment\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n"), None);
    assert_eq!(first(&error[..error.len() - 1]), None);
    assert_eq!(first(error), Some("upstream_fault"));
    assert_eq!(first(&format!("{ANTHROPIC}{error}")), Some("content"));
}

#[test]
fn an_error_in_the_middle_is_reported() {
    let broken = format!(
        "{}data: {{\"error\":{{\"message\":\"out\",\"code\":429}}}}\n\n",
        &CHAT[..CHAT.find("data: [DONE]").unwrap()]
    );
    let report = report(Channel::OpenAi, true, &broken, 33, true);
    let error = report.error.unwrap();
    assert_eq!((error.class, error.rule, &*error.message), (OutcomeClass::RateLimited, "status-429", "out"));
    assert_eq!(report.usage.output, Some(12));
}

#[test]
fn empty_answers_have_no_content() {
    for (answer, expected) in [
        (r#"{"choices":[{"message":{"role":"assistant","content":""},"finish_reason":"stop"}]}"#, false),
        (r#"{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"x"}]}}]}"#, true),
        (r#"{"choices":[{"message":{"role":"assistant","content":"x"}}]}"#, true),
        (r#"{"choices":[{"text":"x"}]}"#, true),
        (r#"{"candidates":[{"content":{"parts":[],"role":"model"},"finishReason":"STOP"}]}"#, false),
        (r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#, true),
        (r#"{"type":"message","content":[],"stop_reason":"end_turn"}"#, false),
        (r#"{"type":"message","content":[{"type":"text"}]}"#, true),
        (r#"{"data":[{"embedding":[1]}]}"#, true),
        ("{}", false),
        ("", false),
        ("RIFF....", true),
    ] {
        assert_eq!(report(Channel::OpenAi, false, answer, 3, true).content_seen, expected, "{answer}");
    }
}

#[test]
fn whole_answers_are_read() {
    let usage = |input, output| TokenUsage { input: Some(input), output, ..TokenUsage::default() };
    for (answer, expected, reason, model) in [
        (
            r#" {"model":"m","choices":[{"message":{"content":"x"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            usage(1, Some(2)),
            Some("length"),
            Some("m"),
        ),
        (
            r#"{"object":"list","data":[{"embedding":[0.1]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            usage(8, None),
            None,
            Some("e"),
        ),
        (
            r#"{"id":"r","object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"model":"m","output":[],"usage":{"input_tokens":1,"output_tokens":2}}"#,
            usage(1, Some(2)),
            Some("max_output_tokens"),
            Some("m"),
        ),
        (
            r#"{"model":"c","type":"message","content":[{}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}"#,
            usage(1, Some(2)),
            Some("end_turn"),
            Some("c"),
        ),
        (
            r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":1}},
            {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2},"modelVersion":"g"}]"#,
            usage(1, Some(2)),
            Some("STOP"),
            Some("g"),
        ),
        ("{\"usage\":", TokenUsage::default(), None, None),
        ("plain text", TokenUsage::default(), None, None),
    ] {
        let report = report(Channel::OpenAi, false, answer, 7, true);
        assert_eq!(
            (report.usage, report.finish_reason.as_deref(), report.model.as_deref()),
            (expected, reason, model),
            "{answer}"
        );
        assert!(report.terminal_seen);
    }
}

#[test]
fn large_answers_are_read_at_their_ends() {
    let filler = "0.25,".repeat(300_000);
    let answer = format!(r#"{{"data":[{filler}0],"model":"e","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#);
    let embeddings = report(Channel::OpenAi, false, &answer, 10_000, true);
    assert_eq!((embeddings.usage.input, embeddings.model.as_deref()), (Some(8), Some("e")));

    let content = r#"\"usage\":{\"input_tokens\":1} "#.repeat(20_000);
    let answer = format!(
        r#"{{"model":"c","content":[{{"text":"{content}"}}],"stop_reason":"end_turn","usage":{{"input_tokens":5,"output_tokens":6}}}}"#
    );
    let message = report(Channel::Anthropic, false, &answer, 4096, true);
    assert_eq!((message.usage.input, message.usage.output), (Some(5), Some(6)));
    assert_eq!((message.model.as_deref(), message.finish_reason.as_deref()), (Some("c"), Some("end_turn")));
}

#[test]
fn what_belongs_to_the_account_is_learnt_as_soon_as_it_is_told() {
    let learnt = |named: Vec<Named>| named.into_iter().map(|named| named.id.into_string()).collect::<Vec<_>>();
    let reading = Some(Reading::Object(ResourceKind::Response));
    let event = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n";
    for piece in [1, 7, 1000] {
        let mut tap = Tap::new(Channel::OpenAi, true, None).learning(reading);
        event.as_bytes().chunks(piece).for_each(|bytes| tap.feed(bytes));
        assert_eq!(learnt(tap.take_learnt()), ["resp_1"], "{piece}");
        tap.feed(event.as_bytes());
        let again = tap.finish(false).learnt;
        assert_eq!(learnt(again), ["resp_1"], "what is told again is learnt again");
    }
    let whole = zstd::encode_all(&br#"{"id":"resp_2","object":"response","output":[]}"#[..], 3).unwrap();
    let mut tap = Tap::new(Channel::OpenAi, false, Some("zstd")).learning(reading);
    whole.chunks(5).for_each(|bytes| tap.feed(bytes));
    assert_eq!(learnt(tap.take_learnt()), Vec::<String>::new());
    assert_eq!(learnt(tap.finish(true).learnt), ["resp_2"]);
    let mut tap = Tap::new(Channel::OpenAi, false, None);
    tap.feed(br#"{"id":"resp_3"}"#);
    assert_eq!(learnt(tap.finish(true).learnt), Vec::<String>::new(), "nobody asked");
}

#[test]
fn compressed_answers_are_read() {
    let compressed = zstd::encode_all(CHAT.as_bytes(), 3).unwrap();
    let mut tap = Tap::new(Channel::OpenAi, true, Some("zstd"));
    for bytes in compressed.chunks(10) {
        tap.feed(bytes);
    }
    assert_eq!(tap.first_event(), FirstEvent::Content);
    assert_eq!(tap.finish(true), whole("stop", "gpt-4o-2024", Some(2)));
}

#[test]
fn an_unreadable_answer_is_content_and_ends_with_its_framing() {
    for encoding in ["compress", "gzip"] {
        let mut tap = Tap::new(Channel::OpenAi, true, Some(encoding));
        assert_eq!(tap.first_event(), FirstEvent::None);
        tap.feed(b"no such data in here");
        assert_eq!(tap.first_event(), FirstEvent::Content, "{encoding}");
        let expected = TapReport { terminal_seen: true, content_seen: true, ..TapReport::default() };
        assert_eq!(tap.finish(true), expected, "{encoding}");
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(piece in 1_usize..200) {
        for (channel, answer, expected) in streams() {
            prop_assert_eq!(report(channel, true, answer, piece, true), expected);
        }
    }

    #[test]
    fn survives_any_answer(
        answer in "(data: |\n\n|\\{|\\}|\\[|\\]|\"|:|,|\"type\"|\"choices\"|\"usage\"|\"error\"|1|null|é){0,40}",
        is_event_stream in any::<bool>(),
        encoding in prop::sample::select(vec![None, Some("gzip"), Some("br"), Some("x")]),
    ) {
        let mut tap = Tap::new(Channel::Gemini, is_event_stream, encoding);
        tap.feed(answer.as_bytes());
        tap.first_event();
        tap.finish(false);
    }
}
