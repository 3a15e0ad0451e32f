//! The validation call of each channel (management-api.md 6.1): the smallest question that only a good key gets answered.

use gpt_load_schema::{channel::Channel, group::GroupDefinition};
use serde_json::{Value, json};

/// Why a validation endpoint cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// It is no path.
    #[error("the endpoint is no path; it begins with /")]
    NoPath,
    /// The channel makes its path of the model.
    #[error("the channel makes its path of the model; leave the endpoint out")]
    OfModel,
}

/// The call that proves a key; the same for every key.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Wire format.
    pub channel: Channel,
    /// Path below the upstream's base URL.
    pub path: String,
    /// Query of the path, without `?`.
    pub query: Option<String>,
    /// JSON body.
    pub body: Value,
}

impl Call {
    /// The call that asks `model`; `endpoint` is a path with an optional query that replaces the channel's own.
    ///
    /// # Errors
    /// When `endpoint` is no path, or the channel makes its path of the model.
    pub fn new(channel: Channel, model: &str, endpoint: Option<&str>) -> Result<Self, InvalidEndpoint> {
        let endpoint = match (endpoint, channel.default_validation_endpoint()) {
            (Some(endpoint), _) if !endpoint.starts_with('/') || endpoint.contains("://") => {
                return Err(InvalidEndpoint::NoPath);
            }
            (Some(_), None) => return Err(InvalidEndpoint::OfModel),
            (Some(endpoint), Some(_)) => endpoint.to_owned(),
            (None, Some(default)) => default.to_owned(),
            (None, None) => format!("/v1beta/models/{}:generateContent", model.trim_start_matches("models/")),
        };
        let (path, query) = match endpoint.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (endpoint, None),
        };
        Ok(Self { channel, path, query, body: body(channel, model) })
    }

    /// The call of a group: its endpoint, unless it has none or the channel makes its path of the model.
    ///
    /// # Errors
    /// When the endpoint is no path.
    pub fn of(group: &GroupDefinition) -> Result<Self, InvalidEndpoint> {
        let own = Some(group.validation_endpoint.trim()).filter(|endpoint| !endpoint.is_empty());
        let own = own.filter(|_| group.channel.default_validation_endpoint().is_some());
        Self::new(group.channel, &group.test_model, own)
    }
}

fn body(channel: Channel, model: &str) -> Value {
    let messages = json!([{"role": "user", "content": "hi"}]);
    match channel {
        Channel::OpenAi => json!({"model": model, "messages": messages}),
        Channel::OpenAiResponse => json!({"model": model, "input": "hi"}),
        Channel::Anthropic => json!({"model": model, "max_tokens": 100, "messages": messages}),
        Channel::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
    }
}

/// The channel's own provider.
pub const fn default_upstream(channel: Channel) -> &'static str {
    match channel {
        Channel::OpenAi | Channel::OpenAiResponse => "https://api.openai.com",
        Channel::Gemini => "https://generativelanguage.googleapis.com",
        Channel::Anthropic => "https://api.anthropic.com",
    }
}

/// A cheap model of the channel's own provider.
pub const fn default_model(channel: Channel) -> &'static str {
    match channel {
        Channel::OpenAi | Channel::OpenAiResponse => "gpt-4.1-nano",
        Channel::Gemini => "gemini-2.0-flash-lite",
        Channel::Anthropic => "claude-3-haiku-20240307",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_asks_in_its_own_words() {
        for (channel, path, body) in [
            (Channel::OpenAi, "/v1/chat/completions", r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#),
            (Channel::OpenAiResponse, "/v1/responses", r#"{"model":"m","input":"hi"}"#),
            (
                Channel::Anthropic,
                "/v1/messages",
                r#"{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#,
            ),
            (
                Channel::Gemini,
                "/v1beta/models/m:generateContent",
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
            ),
        ] {
            let call = Call::new(channel, "m", None).unwrap();
            assert_eq!((call.path.as_str(), call.query.as_deref()), (path, None));
            assert_eq!(call.body.to_string(), body);
        }
    }

    #[test]
    fn an_endpoint_may_carry_a_query() {
        let call = Call::new(Channel::OpenAi, "m", Some("/chat?api-version=1&x=2")).unwrap();
        assert_eq!((call.path.as_str(), call.query.as_deref()), ("/chat", Some("api-version=1&x=2")));
    }

    #[test]
    fn endpoints_that_cannot_be_are_refused() {
        for (channel, endpoint, error) in [
            (Channel::OpenAi, "chat", InvalidEndpoint::NoPath),
            (Channel::OpenAi, "/a://b", InvalidEndpoint::NoPath),
            (Channel::Gemini, "/v1beta/models", InvalidEndpoint::OfModel),
        ] {
            assert_eq!(Call::new(channel, "m", Some(endpoint)), Err(error), "{endpoint}");
        }
    }
}
