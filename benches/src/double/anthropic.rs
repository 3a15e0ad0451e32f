//! Anthropic: messages, token counts, models.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, text, word_count, words};
use super::behaviour::Behaviour;
use super::errors::Dialect;
use super::request::Ask;

const MODELS: [&str; 2] = ["claude-sonnet-5", "claude-haiku-4-5"];
const INPUT_TOKENS: usize = 12;

/// `POST /v1/messages`.
pub(crate) fn messages(ask: &Ask<'_>, model: &str, how: &Behaviour) -> Answer {
    if ask.messages.is_none() {
        return Answer::error(Dialect::Anthropic, 400, None, "messages: Field required");
    }
    if ask.max_tokens.is_none() {
        return Answer::error(Dialect::Anthropic, 400, None, "max_tokens: Field required");
    }
    if ask.streams() {
        return messages_stream(model, how);
    }
    let content = json!([{"type": "text", "text": text(how), "citations": null}]);
    let body = message(model, &content, Some("end_turn"), usage(word_count(how), how));
    Answer::json(Dialect::Anthropic, body.to_string())
        .header("request-id", "req_double")
        .header("anthropic-ratelimit-requests-remaining", "9999")
}

fn messages_stream(model: &str, how: &Behaviour) -> Answer {
    let event = |kind: &str, mut data: Value| {
        data["type"] = kind.into();
        Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
    };
    let begun = message(model, &json!([]), None, usage(1, how));
    let block = json!({"type": "text", "text": "", "citations": null});
    let mut events = vec![
        event("message_start", json!({"message": begun})),
        event("content_block_start", json!({"index": 0, "content_block": block})),
        event("ping", json!({})),
    ];
    for word in words(how) {
        events.push(event("content_block_delta", json!({"index": 0, "delta": {"type": "text_delta", "text": word}})));
    }
    events.push(event("content_block_stop", json!({"index": 0})));
    let mut delta = json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null}});
    if !how.no_usage {
        delta["usage"] = json!({"output_tokens": words(how).count()});
    }
    events.push(event("message_delta", delta));
    events.push(event("message_stop", json!({})));
    Answer::events(Dialect::Anthropic, events, 1).header("request-id", "req_double")
}

fn message(model: &str, content: &Value, stop: Option<&str>, usage: Option<Value>) -> Value {
    let mut message = json!({"id": "msg_double", "type": "message", "role": "assistant", "model": model,
        "content": content, "stop_reason": stop, "stop_sequence": null});
    if let Some(usage) = usage {
        message["usage"] = usage;
    }
    message
}

fn usage(output: usize, how: &Behaviour) -> Option<Value> {
    (!how.no_usage).then(|| {
        json!({"input_tokens": INPUT_TOKENS, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4,
            "output_tokens": output, "service_tier": "standard"})
    })
}

/// `POST /v1/messages/count_tokens`.
pub(crate) fn count_tokens(ask: &Ask<'_>) -> Answer {
    if ask.messages.is_none() {
        return Answer::error(Dialect::Anthropic, 400, None, "messages: Field required");
    }
    Answer::json(Dialect::Anthropic, json!({"input_tokens": INPUT_TOKENS}).to_string())
}

/// `GET /v1/models`.
pub(crate) fn models() -> Answer {
    let data: Vec<Value> = MODELS.iter().map(|id| model_object(id)).collect();
    let body = json!({"data": data, "has_more": false, "first_id": MODELS[0], "last_id": MODELS[MODELS.len() - 1]});
    Answer::json(Dialect::Anthropic, body.to_string())
}

/// `GET /v1/models/{id}`.
pub(crate) fn model(id: &str) -> Answer {
    if MODELS.contains(&id) {
        return Answer::json(Dialect::Anthropic, model_object(id).to_string());
    }
    Answer::error(Dialect::Anthropic, 404, None, &format!("model: {id}"))
}

fn model_object(id: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": "2025-10-09T08:53:20Z"})
}
