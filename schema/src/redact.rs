//! Takes secrets out of JSON that describes groups, keys, settings and the like: for people who may not see them, and for
//! records that outlive them. Pure.
//!
//! A member is known by its name, wherever it stands, so that an object that is new is covered as far as it uses the words
//! of the others. Passwords inside of URLs are found in every text.

use serde_json::{Map, Value};

use crate::{secret::mask, settings};

/// What stands for a text of which nothing may be shown.
const HIDDEN: &str = "****";
/// What stands for stored values that do not decrypt; it hides nothing.
const UNDECRYPTABLE: &str = "failed-to-decrypt";
/// Members that are a secret, or a list of them.
const SECRETS: [&str; 5] = ["key_value", "key_values", "keys_text", "token", "auth_key"];
/// Members that are comma-separated secrets.
const LISTS: [&str; 1] = ["proxy_keys"];
/// Words in the names of members, as of parameters and headers, that people choose for secrets.
const TELLING: [&str; 8] =
    ["password", "passwd", "secret", "authorization", "api_key", "apikey", "access_token", "credential"];

/// Masks every secret in `value`.
pub fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => object(members),
        Value::Array(elements) => elements.iter_mut().for_each(redact),
        Value::String(text) => without_passwords(text),
        _ => {}
    }
}

/// `text` with the passwords of URLs in it masked.
pub fn redact_text(text: &str) -> String {
    let mut text = text.to_owned();
    without_passwords(&mut text);
    text
}

fn object(members: &mut Map<String, Value>) {
    let names_secret = members.get("key").and_then(Value::as_str).and_then(settings::declaration);
    let names_secret = names_secret.is_some_and(|declaration| declaration.secret);
    for (name, value) in members.iter_mut() {
        let is_value = name == "value" || name == "default_value";
        if names_secret && is_value || LISTS.contains(&name.as_str()) {
            list(value);
        } else if SECRETS.contains(&name.as_str()) {
            each_text(value, &|text| *text = masked(text));
        } else if name == "header_rules" {
            header_rules(value);
        } else if is_telling(name) {
            each_text(value, &|text| *text = hidden(text));
        } else {
            redact(value);
        }
    }
}

fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    TELLING.iter().any(|word| name.contains(word))
}

/// Header rules carry credentials as often as not; which header, and whether it is set or removed, stays.
fn header_rules(rules: &mut Value) {
    for rule in rules.as_array_mut().into_iter().flatten() {
        if let Some(Value::String(text)) = rule.get_mut("value") {
            *text = hidden(text);
        }
    }
}

fn list(value: &mut Value) {
    each_text(value, &|text| {
        *text = match text.contains("://") {
            true => redact_text(text),
            false => text.split(',').map(|part| masked(part.trim())).collect::<Vec<_>>().join(","),
        };
    });
}

fn each_text(value: &mut Value, change: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(elements) => elements.iter_mut().for_each(|element| each_text(element, change)),
        Value::Object(members) => members.values_mut().for_each(|member| each_text(member, change)),
        _ => {}
    }
}

fn masked(text: &str) -> String {
    if text.is_empty() || text == UNDECRYPTABLE { text.to_owned() } else { mask(text) }
}

fn hidden(text: &str) -> String {
    if text.is_empty() { String::new() } else { HIDDEN.to_owned() }
}

/// Hides what stands before the `@` of each URL's authority, all of it: some providers take the key as the user.
fn without_passwords(text: &mut String) {
    let mut from = 0;
    while let Some(at) = text[from..].find("://").map(|at| from + at + "://".len()) {
        let is_end = |character: char| {
            matches!(character, '/' | '?' | '#' | '\\' | '"' | '\'' | '<' | '>') || character.is_whitespace()
        };
        let end = text[at..].find(is_end).map_or(text.len(), |end| at + end);
        if let Some(sign) = text[at..end].rfind('@').filter(|sign| *sign > 0) {
            text.replace_range(at..at + sign, HIDDEN);
        }
        from = at;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_by_the_names_of_their_members() {
        let cases = [
            (json!({"key_value": "sk-0123456789abcdef"}), json!({"key_value": "sk-0****cdef"})),
            (json!({"items": [{"key_value": "short"}]}), json!({"items": [{"key_value": "****"}]})),
            (json!({"key_value": "failed-to-decrypt"}), json!({"key_value": "failed-to-decrypt"})),
            (json!({"key_value": "", "notes": "mine"}), json!({"key_value": "", "notes": "mine"})),
            (json!({"proxy_keys": "pk-0123456789abcd, pk-1"}), json!({"proxy_keys": "pk-0****abcd,****"})),
            (
                json!({"config": {"proxy_url": "http://u:p@h:1", "max_retries": 3}}),
                json!({"config": {"proxy_url": "http://****@h:1", "max_retries": 3}}),
            ),
            (
                json!({"header_rules": [{"key": "X-A", "value": "v", "action": "set"}, {"key": "B", "action": "remove"}]}),
                json!({"header_rules": [{"key": "X-A", "value": "****", "action": "set"}, {"key": "B", "action": "remove"}]}),
            ),
            (
                json!({"key": "proxy_keys", "value": "pk-0123456789abcd", "default_value": ""}),
                json!({"key": "proxy_keys", "value": "pk-0****abcd", "default_value": ""}),
            ),
            (
                json!({"key": "proxy_url", "value": "", "default_value": "socks5://me:pw@h"}),
                json!({"key": "proxy_url", "value": "", "default_value": "socks5://****@h"}),
            ),
            (json!({"key": "app_url", "value": "http://a"}), json!({"key": "app_url", "value": "http://a"})),
            (
                json!({"param_overrides": {"Api-Key": "x", "safe": {"my_password": ["a", 1]}, "max_tokens": 5}}),
                json!({"param_overrides": {"Api-Key": "****", "safe": {"my_password": ["****", 1]}, "max_tokens": 5}}),
            ),
        ];
        for (mut value, expected) in cases {
            redact(&mut value);
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn passwords_of_urls_are_found_in_every_text() {
        let cases = [
            ("http://user:pw@host/path@x", "http://****@host/path@x"),
            ("cannot reach http://a:b@c: and https://key@d/e?f", "cannot reach http://****@c: and https://****@d/e?f"),
            ("http://a:p@ss@host", "http://****@host"),
            ("http://host/a@b", "http://host/a@b"),
            ("mail me@example.com", "mail me@example.com"),
            ("http://@h 日本://é@x", "http://@h 日本://****@x"),
            ("://", "://"),
        ];
        for (text, expected) in cases {
            assert_eq!(redact_text(text), expected);
        }
    }
}
