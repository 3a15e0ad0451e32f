//! Header rules.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::FieldError;
use crate::group::{HeaderAction, HeaderRule};

/// A header rule as entered: the action is still a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderRuleInput {
    /// Header name.
    #[serde(default)]
    pub key: String,
    /// New value.
    #[serde(default)]
    pub value: String,
    /// `set` or `remove`.
    #[serde(default)]
    pub action: String,
}

impl From<HeaderRule> for HeaderRuleInput {
    fn from(rule: HeaderRule) -> Self {
        let action = match rule.action {
            HeaderAction::Set => "set",
            HeaderAction::Remove => "remove",
        };
        Self { key: rule.key, value: rule.value, action: action.to_owned() }
    }
}

const FIELD: &str = "header_rules";
const MAX_NAME_BYTES: usize = 128;
const MAX_VALUE_BYTES: usize = 4_096;

/// Headers of one connection rather than of the request (RFC 9110, 7.6.1), and those that frame the message: the
/// gateway alone sets them.
const CONNECTION_HEADERS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The rules with canonical names and without those that name no header, or every rule they break.
pub fn header_rules(entered: &[HeaderRuleInput]) -> Result<Vec<HeaderRule>, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    let mut rules = Vec::with_capacity(entered.len());
    for (index, input) in entered.iter().enumerate() {
        let name = input.key.trim();
        if name.is_empty() {
            continue;
        }
        let mut refuse = |part: &str, code, message: &str| {
            errors.push(FieldError::new(format!("{FIELD}[{index}].{part}"), code, message));
        };
        if let Err((code, message)) = check_name(name) {
            refuse("key", code, message);
        } else if !seen.insert(name.to_ascii_lowercase()) {
            refuse("key", "header_duplicate", "the same header is named by an earlier rule");
        }
        if let Err((code, message)) = check_value(&input.value) {
            refuse("value", code, message);
        }
        match input.action.trim() {
            "set" => rules.push(rule(name, &input.value, HeaderAction::Set)),
            "remove" => rules.push(rule(name, &input.value, HeaderAction::Remove)),
            _ => refuse("action", "header_action", "the action is `set` or `remove`"),
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(errors) }
}

fn rule(name: &str, value: &str, action: HeaderAction) -> HeaderRule {
    HeaderRule { key: canonical(name), value: value.trim().to_owned(), action }
}

/// `x-api-key` → `X-Api-Key`.
fn canonical(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|character| {
            let cased = if start { character.to_ascii_uppercase() } else { character.to_ascii_lowercase() };
            start = character == '-';
            cased
        })
        .collect()
}

fn check_name(name: &str) -> Result<(), (&'static str, &'static str)> {
    // `tchar` of RFC 9110, 5.6.2.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.len() > MAX_NAME_BYTES {
        return Err(("header_name_long", "a header name has at most 128 characters"));
    }
    if !name.bytes().all(is_token) {
        return Err(("header_name", "a header name holds letters, digits and !#$%&'*+-.^_`|~ only"));
    }
    if CONNECTION_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(("header_connection", "this header belongs to the connection and is set by the gateway alone"));
    }
    Ok(())
}

fn check_value(value: &str) -> Result<(), (&'static str, &'static str)> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(("header_value_long", "a header value has at most 4096 bytes"));
    }
    if value.chars().any(|character| character.is_control() && character != '\t') {
        return Err(("header_value", "a header value holds no line breaks and no other control characters"));
    }
    Ok(())
}
