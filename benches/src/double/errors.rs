//! Error objects and error events in the words of each provider.
//!
//! Sources: platform.openai.com/docs/guides/error-codes, docs.anthropic.com/en/api/errors,
//! ai.google.dev/gemini-api/docs/troubleshooting.

use serde_json::json;

/// Whose shape an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    /// OpenAI's Responses API: the same errors, other events.
    Responses,
    Anthropic,
    Gemini,
}

impl Dialect {
    /// Error object for the status; `code` takes the place of the usual code or type.
    pub(crate) fn error_body(
        self,
        status: u16,
        code: Option<&str>,
        message: &str,
        retry_after: Option<&str>,
    ) -> String {
        match self {
            Self::OpenAi | Self::Responses => {
                let (kind, usual) = openai_words(status);
                let code = code.or(usual);
                let kind = if code == Some("insufficient_quota") { "insufficient_quota" } else { kind };
                json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
            }
            Self::Anthropic => {
                let kind = code.unwrap_or_else(|| anthropic_type(status));
                json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_double"})
            }
            Self::Gemini => {
                let (answered, usual) = gemini_words(status);
                let mut details = Vec::new();
                if status == 401 {
                    details.push(json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "API_KEY_INVALID", "domain": "googleapis.com"}));
                }
                if let Some(delay) = retry_after {
                    details.push(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo",
                        "retryDelay": format!("{delay}s")}));
                }
                let status = code.unwrap_or(usual);
                json!({"error": {"code": answered, "message": message, "status": status, "details": details}})
            }
        }
        .to_string()
    }

    /// Status that the provider really sends for this kind of error: Gemini calls an invalid key a bad request.
    pub(crate) fn status(self, status: u16) -> u16 {
        if self == Self::Gemini { gemini_words(status).0 } else { status }
    }

    /// An error in the middle of a 200 stream.
    pub(crate) fn error_event(self, status: u16, code: Option<&str>, message: &str) -> String {
        match self {
            Self::OpenAi | Self::Gemini => format!("data: {}\n\n", self.error_body(status, code, message, None)),
            Self::Anthropic => format!("event: error\ndata: {}\n\n", self.error_body(status, code, message, None)),
            Self::Responses => {
                let code = code.or(openai_words(status).1).unwrap_or("server_error");
                let data = json!({"type": "error", "code": code, "message": message, "param": null,
                    "sequence_number": 0});
                format!("event: error\ndata: {data}\n\n")
            }
        }
    }

    /// What the provider says when nobody says what it should say; `{key}` stands for the key.
    pub(crate) fn usual_message(self, status: u16) -> &'static str {
        match (status, self) {
            (401, Self::OpenAi | Self::Responses) => {
                "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys."
            }
            (401, Self::Anthropic) => "invalid x-api-key",
            (401, Self::Gemini) => "API key not valid. Please pass a valid API key.",
            (402, _) => "You exceeded your current quota, please check your plan and billing details.",
            (403, _) => "Your key does not have permission to use the specified resource.",
            (404, _) => "The requested resource was not found.",
            (429, Self::Gemini) => "Resource has been exhausted (e.g. check quota).",
            (429, _) => "Rate limit reached for requests.",
            (529, _) => "Overloaded",
            (500.., _) => "The server had an error while processing your request.",
            _ => "The request was refused by the provider double.",
        }
    }
}

/// OpenAI's type and code.
fn openai_words(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        402 => ("insufficient_quota", Some("insufficient_quota")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        500.. => ("server_error", None),
        _ => ("invalid_request_error", None),
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// Gemini's status number and word.
fn gemini_words(status: u16) -> (u16, &'static str) {
    match status {
        401 => (400, "INVALID_ARGUMENT"),
        403 => (403, "PERMISSION_DENIED"),
        404 => (404, "NOT_FOUND"),
        429 => (429, "RESOURCE_EXHAUSTED"),
        500 => (500, "INTERNAL"),
        503 => (503, "UNAVAILABLE"),
        504 => (504, "DEADLINE_EXCEEDED"),
        501.. => (status, "UNKNOWN"),
        _ => (status, "INVALID_ARGUMENT"),
    }
}
