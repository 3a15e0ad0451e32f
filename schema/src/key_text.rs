//! Keys out of pasted text.
//!
//! A JSON array of strings, or tokens separated by white space, commas and semicolons. No other character separates: a
//! key may hold `|`, `:` or `=`.

use crate::secret::Secret;

/// Bytes of the longest key; provider keys have a few hundred, service account tokens some thousand.
pub const MAX_KEY_BYTES: usize = 8_192;

/// Why a text holds no usable list of keys. Positions count from 1; no key is ever quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Nothing but separators.
    #[error("the text holds no key")]
    Empty,
    /// An array with something that is not a string.
    #[error("element {position} of the JSON array is {found}; every element must be a string")]
    NotAString {
        /// Element, from 1.
        position: usize,
        /// What it is instead, in JSON's words.
        found: &'static str,
    },
    /// A key that no HTTP header can carry.
    #[error("key {position} holds {found}; keys are visible ASCII characters without spaces")]
    BadCharacter {
        /// Key, from 1.
        position: usize,
        /// What it holds.
        found: &'static str,
    },
    /// A key longer than [`MAX_KEY_BYTES`].
    #[error("key {position} is {bytes} bytes long; at most {MAX_KEY_BYTES} are allowed")]
    TooLong {
        /// Key, from 1.
        position: usize,
        /// Its length.
        bytes: usize,
    },
}

/// The keys in `text`, in order, duplicates included.
///
/// A text that is a JSON array is taken as one; any other text is split. An empty array holds no key.
pub fn parse(text: &str) -> Result<Vec<Secret>, KeyTextError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('[') {
        match serde_json::from_str::<Vec<serde_json::Value>>(text) {
            Ok(elements) => return from_json(&elements),
            // Not JSON after all: brackets are characters like others.
            Err(_) => return from_tokens(split(text)),
        }
    }
    from_tokens(split(text))
}

/// The keys of a list as the API takes it: each trimmed, empty ones dropped, none split.
pub fn from_list(elements: &[String]) -> Result<Vec<Secret>, KeyTextError> {
    from_tokens(elements.iter().map(String::as_str))
}

fn from_json(elements: &[serde_json::Value]) -> Result<Vec<Secret>, KeyTextError> {
    let strings: Result<Vec<&str>, KeyTextError> = elements
        .iter()
        .enumerate()
        .map(|(index, element)| {
            element.as_str().ok_or(KeyTextError::NotAString { position: index + 1, found: kind(element) })
        })
        .collect();
    from_tokens(strings?.into_iter())
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| character.is_whitespace() || matches!(character, ',' | ';'))
}

fn from_tokens<'a>(tokens: impl Iterator<Item = &'a str>) -> Result<Vec<Secret>, KeyTextError> {
    let keys: Result<Vec<Secret>, KeyTextError> = tokens
        .map(str::trim)
        .filter(|token| !token.is_empty())
        .enumerate()
        .map(|(index, token)| checked(index + 1, token))
        .collect();
    keys.and_then(|keys| if keys.is_empty() { Err(KeyTextError::Empty) } else { Ok(keys) })
}

fn checked(position: usize, token: &str) -> Result<Secret, KeyTextError> {
    if token.len() > MAX_KEY_BYTES {
        return Err(KeyTextError::TooLong { position, bytes: token.len() });
    }
    match token.bytes().find(|byte| !byte.is_ascii_graphic()) {
        Some(b' ') => Err(KeyTextError::BadCharacter { position, found: "a space" }),
        Some(byte) if byte.is_ascii() => Err(KeyTextError::BadCharacter { position, found: "a control character" }),
        Some(_) => Err(KeyTextError::BadCharacter { position, found: "a character outside ASCII" }),
        None => Ok(Secret::new(token)),
    }
}

const fn kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "an array",
        serde_json::Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(keys: &[Secret]) -> Vec<&str> {
        keys.iter().map(Secret::expose).collect()
    }

    #[test]
    fn separators_are_white_space_comma_and_semicolon() {
        for (text, keys) in [
            ("sk-1", vec!["sk-1"]),
            ("sk-1\r\nsk-2\tsk-3  sk-4", vec!["sk-1", "sk-2", "sk-3", "sk-4"]),
            (" ,sk-1,;sk-2; ", vec!["sk-1", "sk-2"]),
            ("user|sk-1:a=b/c+d", vec!["user|sk-1:a=b/c+d"]),
            ("sk-1 sk-1", vec!["sk-1", "sk-1"]),
            ("\u{feff}sk-1\u{2003}sk-2", vec!["sk-1", "sk-2"]),
            (r#"["sk-1", " sk-2 ", "", "a,b"]"#, vec!["sk-1", "sk-2", "a,b"]),
            ("[sk-1] sk-2", vec!["[sk-1]", "sk-2"]),
        ] {
            assert_eq!(texts(&parse(text).expect(text)), keys, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        use KeyTextError::{BadCharacter, Empty, NotAString, TooLong};
        let long = "k".repeat(MAX_KEY_BYTES + 1);
        for (text, error) in [
            ("", Empty),
            (" ,;\n", Empty),
            ("[]", Empty),
            (r#"["", " "]"#, Empty),
            (r#"["sk-1", 2]"#, NotAString { position: 2, found: "a number" }),
            (r#"[["sk-1"]]"#, NotAString { position: 1, found: "an array" }),
            ("sk-1 sk-\u{7}", BadCharacter { position: 2, found: "a control character" }),
            ("sk-1\0", BadCharacter { position: 1, found: "a control character" }),
            (r#"["sk 1"]"#, BadCharacter { position: 1, found: "a space" }),
            ("sk-ключ", BadCharacter { position: 1, found: "a character outside ASCII" }),
            (long.as_str(), TooLong { position: 1, bytes: MAX_KEY_BYTES + 1 }),
        ] {
            assert_eq!(parse(text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn a_list_is_not_split() {
        let keys = from_list(&[" a,b ".to_owned(), String::new(), "c;d".to_owned()]).expect("two keys");
        assert_eq!(texts(&keys), ["a,b", "c;d"]);
        assert_eq!(from_list(&[]).err(), Some(KeyTextError::Empty));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_every_key_fits_a_header(text in "\\PC{0,200}|[\\[\\]\", a-z0-9\\n;]{0,80}") {
            if let Ok(keys) = parse(&text) {
                prop_assert!(!keys.is_empty());
                prop_assert!(keys.iter().all(|key| key.expose().bytes().all(|byte| byte.is_ascii_graphic())));
            }
        }

        #[test]
        fn joined_keys_come_back(keys in prop::collection::vec("[a-zA-Z0-9_./+=:|-]{1,40}", 1..20), between in "[ ,;\\n\\t]{1,4}") {
            let parsed = parse(&keys.join(&between)).expect("keys");
            prop_assert_eq!(texts(&parsed), keys.iter().map(String::as_str).collect::<Vec<_>>());
            let array = serde_json::to_string(&keys).expect("JSON");
            let parsed = parse(&array).expect("keys");
            prop_assert_eq!(texts(&parsed), keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
