//! The wire formats of providers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The wire format and credential style of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// OpenAI chat completions and everything compatible, Azure OpenAI included.
    #[serde(rename = "openai")]
    OpenAi,
    /// OpenAI's Responses API.
    #[serde(rename = "openai-response")]
    OpenAiResponse,
    /// Google Gemini, native or OpenAI-compatible.
    Gemini,
    /// Anthropic Claude.
    Anthropic,
}

impl Channel {
    /// Every channel, in the order in which lists show them.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::OpenAiResponse, Self::Gemini, Self::Anthropic];

    /// The word used in the API, in the database and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiResponse => "openai-response",
            Self::Gemini => "gemini",
            Self::Anthropic => "anthropic",
        }
    }

    /// Path of the cheap call that proves a key, when the group names none; `None` where it is made of the model.
    pub const fn default_validation_endpoint(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("/v1/chat/completions"),
            Self::OpenAiResponse => Some("/v1/responses"),
            Self::Anthropic => Some("/v1/messages"),
            Self::Gemini => None,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text named no known channel.
#[derive(Debug, thiserror::Error)]
#[error("unknown channel `{0}`; known are openai, openai-response, gemini, anthropic")]
pub struct UnknownChannel(pub String);

impl FromStr for Channel {
    type Err = UnknownChannel;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == text).ok_or_else(|| UnknownChannel(text.to_owned()))
    }
}
