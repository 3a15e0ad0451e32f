//! OpenAI: chat completions, responses, embeddings, models.

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, CREATED, quoted, text, word_count, words};
use super::behaviour::Behaviour;
use super::errors::Dialect;
use super::request::Ask;

/// Models the double lists.
const MODELS: [&str; 3] = ["gpt-4o-mini", "gpt-4.1", "text-embedding-3-small"];
const PROMPT_TOKENS: usize = 12;
const DIMENSIONS: usize = 8;

/// `POST /v1/chat/completions`.
pub(crate) fn chat(ask: &Ask<'_>, model: &str, how: &Behaviour) -> Answer {
    if ask.messages.is_none() {
        return Answer::error(Dialect::OpenAi, 400, None, "Missing required parameter: 'messages'.");
    }
    let model = quoted(model);
    if ask.streams() { chat_stream(&model, how, ask.wants_usage()) } else { chat_whole(&model, how) }
}

fn chat_whole(model: &str, how: &Behaviour) -> Answer {
    let content = quoted(&text(how));
    let usage = usage(word_count(how), how).map(|usage| format!(",\"usage\":{usage}")).unwrap_or_default();
    let body = format!(
        "{{\"id\":\"chatcmpl-double\",\"object\":\"chat.completion\",\"created\":{CREATED},\"model\":{model},\
         \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":{content},\"refusal\":null,\
         \"annotations\":[]}},\"logprobs\":null,\"finish_reason\":\"stop\"}}]{usage},\
         \"service_tier\":\"default\",\"system_fingerprint\":\"fp_double\"}}"
    );
    Answer::json(Dialect::OpenAi, body)
        .header("x-request-id", "req_double")
        .header("openai-processing-ms", "1")
        .header("x-ratelimit-remaining-requests", "9999")
}

fn chat_stream(model: &str, how: &Behaviour, with_usage: bool) -> Answer {
    let usage_member = if with_usage { ",\"usage\":null" } else { "" };
    let chunk = |choices: &str, usage: &str| {
        Bytes::from(format!(
            "data: {{\"id\":\"chatcmpl-double\",\"object\":\"chat.completion.chunk\",\"created\":{CREATED},\
             \"model\":{model},\"system_fingerprint\":\"fp_double\",\"choices\":{choices}{usage}}}\n\n"
        ))
    };
    let delta = |delta: &str, finish: &str| {
        format!("[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]")
    };
    let mut events =
        vec![chunk(&delta("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", "null"), usage_member)];
    let mut count = 0;
    for word in words(how) {
        count += 1;
        events.push(chunk(&delta(&format!("{{\"content\":{}}}", quoted(word)), "null"), usage_member));
    }
    events.push(chunk(&delta("{}", "\"stop\""), usage_member));
    if let Some(usage) = usage(count, how).filter(|_| with_usage) {
        events.push(chunk("[]", &format!(",\"usage\":{usage}")));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    Answer::events(Dialect::OpenAi, events, 1).header("x-request-id", "req_double")
}

fn usage(completion: usize, how: &Behaviour) -> Option<String> {
    let total = PROMPT_TOKENS + completion;
    (!how.no_usage).then(|| {
        format!(
            "{{\"prompt_tokens\":{PROMPT_TOKENS},\"completion_tokens\":{completion},\"total_tokens\":{total},\
             \"prompt_tokens_details\":{{\"cached_tokens\":4,\"audio_tokens\":0}},\
             \"completion_tokens_details\":{{\"reasoning_tokens\":2,\"audio_tokens\":0,\
             \"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}}"
        )
    })
}

/// `POST /v1/responses`.
pub(crate) fn responses(ask: &Ask<'_>, model: &str, how: &Behaviour) -> Answer {
    if ask.input.is_none() {
        return Answer::error(Dialect::Responses, 400, None, "Missing required parameter: 'input'.");
    }
    if ask.streams() {
        return responses_stream(model, how);
    }
    let body = response_object(model, "completed", Some(&text(how)), word_count(how), how);
    Answer::json(Dialect::Responses, body.to_string()).header("x-request-id", "req_double")
}

fn responses_stream(model: &str, how: &Behaviour) -> Answer {
    let mut events = Vec::new();
    let mut push = |kind: &str, mut data: Value| {
        data["type"] = kind.into();
        data["sequence_number"] = events.len().into();
        events.push(Bytes::from(format!("event: {kind}\ndata: {data}\n\n")));
    };
    let place = |mut data: Value| {
        data["item_id"] = "msg_double".into();
        data["output_index"] = 0.into();
        data["content_index"] = 0.into();
        data
    };
    let full: String = words(how).collect();
    let begun = response_object(model, "in_progress", None, 0, how);
    push("response.created", json!({"response": begun}));
    push("response.in_progress", json!({"response": begun}));
    push("response.output_item.added", json!({"output_index": 0, "item": message("in_progress", None)}));
    push("response.content_part.added", place(json!({"part": part("")})));
    for word in words(how) {
        push("response.output_text.delta", place(json!({"delta": word, "logprobs": []})));
    }
    push("response.output_text.done", place(json!({"text": full, "logprobs": []})));
    push("response.content_part.done", place(json!({"part": part(&full)})));
    push("response.output_item.done", json!({"output_index": 0, "item": message("completed", Some(&full))}));
    let count = words(how).count();
    push("response.completed", json!({"response": response_object(model, "completed", Some(&full), count, how)}));
    Answer::events(Dialect::Responses, events, 1)
}

fn response_object(model: &str, status: &str, text: Option<&str>, tokens: usize, how: &Behaviour) -> Value {
    let output: Vec<Value> = text.map(|text| message("completed", Some(text))).into_iter().collect();
    let usage = (text.is_some() && !how.no_usage).then(|| {
        json!({"input_tokens": PROMPT_TOKENS, "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": tokens, "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": PROMPT_TOKENS + tokens})
    });
    json!({"id": "resp_double", "object": "response", "created_at": CREATED, "status": status, "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "model": model, "output": output,
        "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "usage": usage})
}

fn message(status: &str, text: Option<&str>) -> Value {
    let content: Vec<Value> = text.map(part).into_iter().collect();
    json!({"id": "msg_double", "type": "message", "role": "assistant", "status": status, "content": content})
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// `POST /v1/embeddings`.
pub(crate) fn embeddings(ask: &Ask<'_>, model: &str) -> Answer {
    if ask.input.is_none() {
        return Answer::error(Dialect::OpenAi, 400, None, "Missing required parameter: 'input'.");
    }
    let coded = ask.encoding_format.as_deref() == Some("base64");
    let data: Vec<Value> = (0..ask.inputs())
        .map(|index| {
            let vector = vector(index);
            let embedding = if coded {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                base64::engine::general_purpose::STANDARD.encode(bytes).into()
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let usage = json!({"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS});
    Answer::json(Dialect::OpenAi, json!({"object": "list", "data": data, "model": model, "usage": usage}).to_string())
}

/// A vector that is exact in 32 bits.
pub(crate) fn vector(index: usize) -> Vec<f32> {
    (0..DIMENSIONS).map(|dimension| 0.125 * (dimension + 1) as f32 - 0.25 * (index % 4) as f32).collect()
}

/// `GET /v1/models`.
pub(crate) fn models() -> Answer {
    let data: Vec<Value> = MODELS.iter().map(|id| model_object(id)).collect();
    Answer::json(Dialect::OpenAi, json!({"object": "list", "data": data}).to_string())
}

/// `GET /v1/models/{id}`.
pub(crate) fn model(id: &str) -> Answer {
    if MODELS.contains(&id) {
        return Answer::json(Dialect::OpenAi, model_object(id).to_string());
    }
    Answer::error(Dialect::OpenAi, 404, None, &format!("The model '{id}' does not exist"))
}

fn model_object(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": CREATED, "owned_by": "provider-double"})
}
