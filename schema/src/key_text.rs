//! Keys out of pasted text.
//!
//! A JSON array of strings, or tokens separated by white space, commas and semicolons. No other character separates: a
//! key may hold `|`, `:` or `=`.

mod list;
mod reader;

pub use self::{
    list::KeyList,
    reader::{KeyArray, KeyText, KeyTextReader},
};
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
    /// Not UTF-8.
    #[error("the text is not UTF-8 (byte {byte}); save it as plain text")]
    NotText {
        /// The first byte that is none, from 1.
        byte: usize,
    },
}

/// The keys in `text`, in order, duplicates included.
///
/// A text that is a JSON array is taken as one; any other text is split. An empty array holds no key.
pub fn parse(text: &str) -> Result<Vec<Secret>, KeyTextError> {
    read(text).map(|mut keys| keys.take(usize::MAX))
}

/// [`parse`] into little memory.
pub fn read(text: &str) -> Result<KeyList, KeyTextError> {
    let mut reader = KeyTextReader::default();
    reader.push(text.as_bytes())?;
    reader.finish()
}

/// The keys of a list as the API takes it: each trimmed, empty ones dropped, none split.
pub fn from_list(elements: &[String]) -> Result<Vec<Secret>, KeyTextError> {
    let tokens = elements.iter().map(|element| element.trim()).filter(|token| !token.is_empty());
    let keys: Result<Vec<Secret>, KeyTextError> =
        (1..).zip(tokens).map(|(position, token)| checked_text(position, token).map(Secret::new)).collect();
    keys.and_then(|keys| if keys.is_empty() { Err(KeyTextError::Empty) } else { Ok(keys) })
}

fn checked_text(position: usize, token: &str) -> Result<&str, KeyTextError> {
    if token.len() > MAX_KEY_BYTES {
        return Err(KeyTextError::TooLong { position, bytes: token.len() });
    }
    match token.bytes().find(|byte| !byte.is_ascii_graphic()) {
        Some(b' ') => Err(KeyTextError::BadCharacter { position, found: "a space" }),
        Some(byte) if byte.is_ascii() => Err(KeyTextError::BadCharacter { position, found: "a control character" }),
        Some(_) => Err(KeyTextError::BadCharacter { position, found: "a character outside ASCII" }),
        None => Ok(token),
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

    /// The keys of `bytes` when they arrive `size` at a time.
    fn in_pieces(bytes: &[u8], size: usize) -> Result<Vec<String>, KeyTextError> {
        let mut reader = KeyTextReader::default();
        bytes.chunks(size).try_for_each(|piece| reader.push(piece))?;
        let mut keys = reader.finish()?;
        Ok(keys.take(usize::MAX).iter().map(|key| key.expose().to_owned()).collect())
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        for (bytes, byte) in [
            (&b"sk-1\xff"[..], 5),
            (b"\xef\xbb\xbfsk-1 \xe2\x80", 9),
            (b"sk-1\xe2\x28\xa1", 5),
            (b"[\"sk\xc3\"]", 5),
            (b"\xff", 1),
        ] {
            for size in 1..9 {
                assert_eq!(in_pieces(bytes, size), Err(KeyTextError::NotText { byte }), "{bytes:?} by {size}");
            }
        }
    }

    #[test]
    fn an_array_is_read_out_of_json_and_what_is_no_string_is_named() {
        let array = |text: &str| serde_json::from_str::<KeyArray>(text).map(|array| array.0);
        let mut keys = array(r#"["a,b", " c ", "", "d"]"#).expect("an array").expect("keys");
        assert_eq!(texts(&keys.take(9)), ["a,b", "c", "d"]);
        for (text, found) in [
            ("1.5", "a number"),
            ("null", "null"),
            ("true", "a boolean"),
            ("[1]", "an array"),
            ("{\"a\":[]}", "an object"),
        ] {
            let error = array(&format!("[\"a\", {text}, 7, \"b\"]")).expect("an array").expect_err("not all strings");
            assert_eq!(error, KeyTextError::NotAString { position: 2, found });
        }
        assert_eq!(array("[]").expect("an array").err(), Some(KeyTextError::Empty));
        assert!(array("{}").is_err() && array("[\"a\"").is_err());
        let mut keys = serde_json::from_str::<KeyText>(r#""a\nb;c""#).expect("a string").0.expect("keys");
        assert_eq!(texts(&keys.take(9)), ["a", "b", "c"]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            text in "[\\[\\]\", a-z\n;\u{feff}\u{2003}é]{0,60}", size in 1_usize..9
        ) {
            let whole = parse(&text).map(|keys| keys.iter().map(|key| key.expose().to_owned()).collect::<Vec<_>>());
            prop_assert_eq!(in_pieces(text.as_bytes(), size), whole);
        }

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
