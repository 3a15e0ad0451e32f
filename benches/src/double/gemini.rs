//! Gemini: generation, embeddings, token counts, models.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, text, word_count, words};
use super::behaviour::Behaviour;
use super::errors::Dialect;
use super::openai::vector;
use super::request::Ask;

const MODELS: [&str; 2] = ["gemini-2.5-flash", "gemini-embedding-001"];
const PROMPT_TOKENS: usize = 12;

/// `POST …:generateContent`.
pub(crate) fn generate(ask: &Ask<'_>, model: &str, how: &Behaviour) -> Answer {
    if ask.contents.is_none() {
        return missing("contents");
    }
    let body = generation(model, &text(how), Some("STOP"), word_count(how), how);
    Answer::json(Dialect::Gemini, body.to_string())
}

/// `POST …:streamGenerateContent`: server-sent events, or a JSON array that grows.
pub(crate) fn generate_stream(ask: &Ask<'_>, model: &str, how: &Behaviour, sse: bool) -> Answer {
    if ask.contents.is_none() {
        return missing("contents");
    }
    let last = words(how).count().saturating_sub(1);
    let parts: Vec<Value> = words(how)
        .enumerate()
        .map(|(at, word)| generation(model, word, (at == last).then_some("STOP"), at + 1, how))
        .collect();
    if sse {
        let events = parts.iter().map(|part| format!("data: {part}\r\n\r\n").into()).collect();
        // The finish reason in the last event is all that tells the end.
        return Answer::events(Dialect::Gemini, events, 1);
    }
    let lead = |at: usize| if at == 0 { "[" } else { ",\r\n" };
    let mut events: Vec<Bytes> =
        parts.iter().enumerate().map(|(at, part)| format!("{}{part}", lead(at)).into()).collect();
    events.push(Bytes::from_static(if parts.is_empty() { b"[]\n" } else { b"]\n" }));
    let answer = Answer::events(Dialect::Gemini, events, 1);
    Answer { content_type: "application/json; charset=UTF-8", ..answer }
}

fn generation(model: &str, text: &str, finish: Option<&str>, tokens: usize, how: &Behaviour) -> Value {
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    let mut body = json!({"candidates": [candidate], "modelVersion": model, "responseId": "double"});
    if !how.no_usage {
        body["usageMetadata"] = json!({"promptTokenCount": PROMPT_TOKENS, "candidatesTokenCount": tokens,
            "cachedContentTokenCount": 4, "thoughtsTokenCount": 2, "totalTokenCount": PROMPT_TOKENS + tokens + 2});
    }
    body
}

/// `POST …:embedContent`.
pub(crate) fn embed() -> Answer {
    Answer::json(Dialect::Gemini, json!({"embedding": {"values": vector(0)}}).to_string())
}

/// `POST …:batchEmbedContents`.
pub(crate) fn embed_batch(ask: &Ask<'_>) -> Answer {
    let Some(requests) = &ask.requests else { return missing("requests") };
    let embeddings: Vec<Value> = (0..requests.len()).map(|index| json!({"values": vector(index)})).collect();
    Answer::json(Dialect::Gemini, json!({"embeddings": embeddings}).to_string())
}

/// `POST …:countTokens`.
pub(crate) fn count_tokens() -> Answer {
    Answer::json(Dialect::Gemini, json!({"totalTokens": PROMPT_TOKENS}).to_string())
}

/// `GET /v1beta/models`.
pub(crate) fn models() -> Answer {
    let models: Vec<Value> = MODELS.iter().map(|id| model_object(id)).collect();
    Answer::json(Dialect::Gemini, json!({"models": models}).to_string())
}

/// `GET /v1beta/models/{id}`.
pub(crate) fn model(id: &str) -> Answer {
    if MODELS.contains(&id) {
        return Answer::json(Dialect::Gemini, model_object(id).to_string());
    }
    let message = format!("models/{id} is not found for API version v1beta");
    Answer::error(Dialect::Gemini, 404, None, &message)
}

fn model_object(id: &str) -> Value {
    json!({"name": format!("models/{id}"), "version": "001", "displayName": id, "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"]})
}

fn missing(field: &str) -> Answer {
    Answer::error(Dialect::Gemini, 400, None, &format!("* GenerateContentRequest.{field}: {field} is not specified"))
}
