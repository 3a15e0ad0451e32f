//! Errors in the provider's own shape, and secrets taken out of texts that leave the gateway.

use gpt_load_schema::{channel::Channel, secret::Secret};
use memchr::memmem;
use percent_encoding::utf8_percent_encode;
use serde_json::{Value, json};

use super::query::RESERVED;

/// The body of an error made by the gateway: the contract's `code` and `message` beside the channel's native error
/// object, so that an official SDK raises the exception it has for `status`.
///
/// Types and status words follow the providers' lists: <https://docs.anthropic.com/en/api/errors>,
/// <https://cloud.google.com/apis/design/errors#handling_errors>; OpenAI's SDKs go by the HTTP status alone.
pub fn native(channel: Channel, status: u16, code: &str, message: &str) -> Vec<u8> {
    let body: Value = match channel {
        Channel::OpenAi | Channel::OpenAiResponse => json!({
            "code": code,
            "message": message,
            "error": {"message": message, "type": error_type(status), "param": null, "code": code},
        }),
        Channel::Anthropic => json!({
            "code": code,
            "message": message,
            "type": "error",
            "error": {"type": error_type(status), "message": message},
        }),
        Channel::Gemini => json!({
            "code": code,
            "message": message,
            "error": {"code": status, "message": message, "status": google_status(status)},
        }),
    };
    body.to_string().into_bytes()
}

fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        502 | 503 | 529 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// `text` with every occurrence of the secret, plain or percent-encoded, replaced by its mask.
pub fn redact(text: &str, secret: &Secret) -> String {
    match redact_bytes(text.as_bytes(), secret) {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => text.to_owned(),
    }
}

/// [`redact`] for bodies; `None` when the secret does not occur.
pub fn redact_bytes(body: &[u8], secret: &Secret) -> Option<Vec<u8>> {
    let plain = secret.expose();
    if plain.is_empty() {
        return None;
    }
    let mask = secret.masked();
    let once = replace(body, plain, &mask);
    let encoded = utf8_percent_encode(plain, RESERVED).to_string();
    if encoded == plain {
        return once;
    }
    replace(once.as_deref().unwrap_or(body), &encoded, &mask).or(once)
}

fn replace(body: &[u8], secret: &str, mask: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut copied = 0;
    for at in memmem::find_iter(body, secret) {
        out.extend_from_slice(&body[copied..at]);
        out.extend_from_slice(mask.as_bytes());
        copied = at + secret.len();
    }
    (copied > 0).then(|| [&out, &body[copied..]].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(channel: Channel, status: u16) -> Value {
        serde_json::from_slice(&native(channel, status, "NO_KEYS_AVAILABLE", "no \"key\"")).unwrap()
    }

    #[test]
    fn both_shapes_stand_in_one_body() {
        assert_eq!(
            body(Channel::OpenAi, 503),
            json!({"code": "NO_KEYS_AVAILABLE", "message": "no \"key\"", "error": {
                "message": "no \"key\"", "type": "overloaded_error", "param": null, "code": "NO_KEYS_AVAILABLE"}})
        );
        assert_eq!(
            body(Channel::Anthropic, 429),
            json!({"code": "NO_KEYS_AVAILABLE", "message": "no \"key\"", "type": "error",
                "error": {"type": "rate_limit_error", "message": "no \"key\""}})
        );
        assert_eq!(
            body(Channel::Gemini, 403),
            json!({"code": "NO_KEYS_AVAILABLE", "message": "no \"key\"",
                "error": {"code": 403, "message": "no \"key\"", "status": "PERMISSION_DENIED"}})
        );
    }

    #[test]
    fn every_status_has_its_words() {
        for (status, kind, google) in [
            (400, "invalid_request_error", "INVALID_ARGUMENT"),
            (401, "authentication_error", "UNAUTHENTICATED"),
            (403, "permission_error", "PERMISSION_DENIED"),
            (404, "not_found_error", "NOT_FOUND"),
            (413, "request_too_large", "INVALID_ARGUMENT"),
            (429, "rate_limit_error", "RESOURCE_EXHAUSTED"),
            (500, "api_error", "INTERNAL"),
            (501, "api_error", "UNIMPLEMENTED"),
            (502, "api_error", "UNAVAILABLE"),
            (503, "overloaded_error", "UNAVAILABLE"),
            (504, "timeout_error", "DEADLINE_EXCEEDED"),
        ] {
            assert_eq!(body(Channel::Anthropic, status)["error"]["type"], kind, "{status}");
            assert_eq!(body(Channel::Gemini, status)["error"]["status"], google, "{status}");
        }
    }

    #[test]
    fn a_secret_is_masked_in_all_its_forms() {
        let secret = Secret::from("sk-abc/defghijkl");
        assert_eq!(
            redact("bad sk-abc/defghijkl, ?key=sk-abc%2Fdefghijkl&sk-abc/defghijkl", &secret),
            "bad sk-a****ijkl, ?key=sk-a****ijkl&sk-a****ijkl"
        );
        assert_eq!(redact_bytes(b"nothing here", &secret), None);
        assert_eq!(redact_bytes(b"\xffsk-abc%2Fdefghijkl", &secret), Some(b"\xffsk-a****ijkl".to_vec()));
        assert_eq!(redact_bytes(b"abc", &Secret::from("")), None);
    }

    proptest! {
        #[test]
        fn no_secret_is_left(before in "[a-z ]{0,10}", key in "[A-Z]{13,20}", after in "[a-z ]{0,10}") {
            let secret = Secret::from(key.as_str());
            let text = redact(&format!("{before}{key}{after}{key}"), &secret);
            prop_assert!(!text.contains(&key));
            prop_assert!(text.starts_with(&before));
        }
    }
}
