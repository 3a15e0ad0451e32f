//! Keys out of a text that arrives in pieces.

use serde::{
    Deserialize, Deserializer as _,
    de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor},
};
use zeroize::Zeroizing;

use super::{KeyList, KeyTextError, MAX_KEY_BYTES, checked_text, kind};

/// Bytes of the longest UTF-8 character less one: what a piece may end within.
const SPLIT_CHARACTER: usize = 3;
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a pasted text or a file piece by piece; memory grows with the keys alone, unless the text begins like a JSON
/// array, which is kept as a whole until its end shows whether it is one.
#[derive(Default)]
pub struct KeyTextReader {
    form: Form,
    keys: KeyList,
    /// The token under way, at most one byte longer than a key may be, and its whole length.
    token: Zeroizing<Vec<u8>>,
    token_bytes: usize,
    /// The beginning of a character whose rest is in the next piece.
    split: Vec<u8>,
    /// Bytes that were read.
    read: usize,
}

/// What the text is, as far as it is known.
#[derive(Default)]
enum Form {
    /// Nothing but white space yet.
    #[default]
    Open,
    Tokens,
    /// Perhaps an array; all of it.
    Array(Zeroizing<Vec<u8>>),
}

impl KeyTextReader {
    /// Reads on.
    ///
    /// # Errors
    /// What makes the text unusable, as soon as it is seen.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), KeyTextError> {
        if let Form::Array(text) = &mut self.form {
            append(text, piece);
            return Ok(());
        }
        let mut piece = piece;
        while !self.split.is_empty() && !piece.is_empty() {
            self.split.push(piece[0]);
            piece = &piece[1..];
            match std::str::from_utf8(&self.split) {
                Ok(character) => {
                    let character = character.to_owned();
                    self.split.clear();
                    self.text(&character)?;
                }
                Err(error) if error.error_len().is_none() && self.split.len() <= SPLIT_CHARACTER => {}
                Err(_) => return Err(self.not_text()),
            }
        }
        let text = match std::str::from_utf8(piece) {
            Ok(text) => text,
            Err(error) => {
                let (text, rest) = piece.split_at(error.valid_up_to());
                if error.error_len().is_some() {
                    self.read += text.len();
                    return Err(self.not_text());
                }
                self.split = rest.to_vec();
                // Proof: `valid_up_to` bytes are valid, so this never falls back.
                std::str::from_utf8(text).unwrap_or_default()
            }
        };
        self.text(text)
    }

    /// The keys of the whole text, in order, repeated ones included.
    ///
    /// # Errors
    /// Why the text holds no usable list of keys.
    pub fn finish(mut self) -> Result<KeyList, KeyTextError> {
        if !self.split.is_empty() {
            return Err(self.not_text());
        }
        if let Form::Array(text) = std::mem::take(&mut self.form) {
            match std::str::from_utf8(&text) {
                Ok(text) if is_array(text) => {
                    let mut reader = serde_json::Deserializer::from_str(text);
                    // Proof: it was found to be an array of JSON.
                    return reader.deserialize_seq(Elements).unwrap_or(Err(KeyTextError::Empty)).and_then(not_empty);
                }
                // Not JSON after all: brackets are characters like others.
                Ok(text) => {
                    self.form = Form::Tokens;
                    self.text(text)?;
                }
                Err(error) => return Err(KeyTextError::NotText { byte: self.read + error.valid_up_to() + 1 }),
            }
        }
        self.end_token()?;
        not_empty(self.keys)
    }

    fn text(&mut self, text: &str) -> Result<(), KeyTextError> {
        let mut text = text;
        if matches!(self.form, Form::Open) {
            let begin = text.trim_start_matches(|c: char| c.is_whitespace() || c == BYTE_ORDER_MARK);
            self.read += text.len() - begin.len();
            text = begin;
            self.form = match text.as_bytes().first() {
                None => return Ok(()),
                Some(b'[') => {
                    let mut whole = Zeroizing::new(Vec::new());
                    append(&mut whole, text.as_bytes());
                    whole.append(&mut self.split);
                    Form::Array(whole)
                }
                Some(_) => Form::Tokens,
            };
            if let Form::Array(_) = self.form {
                return Ok(());
            }
        }
        let mut tokens = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
        self.add_to_token(tokens.next().unwrap_or_default());
        for token in tokens {
            self.end_token()?;
            self.add_to_token(token);
        }
        self.read += text.len();
        Ok(())
    }

    fn add_to_token(&mut self, part: &str) {
        self.token_bytes += part.len();
        let room = (MAX_KEY_BYTES + 1).saturating_sub(self.token.len());
        let part = &part.as_bytes()[..part.len().min(room)];
        append(&mut self.token, part);
    }

    fn end_token(&mut self) -> Result<(), KeyTextError> {
        if self.token_bytes == 0 {
            return Ok(());
        }
        let position = self.keys.len() + 1;
        if self.token_bytes > MAX_KEY_BYTES {
            return Err(KeyTextError::TooLong { position, bytes: self.token_bytes });
        }
        // Proof: made of whole parts of a text, none of which was cut.
        let token = std::str::from_utf8(&self.token).unwrap_or_default();
        self.keys.push(checked_text(position, token)?);
        self.token.clear();
        self.token_bytes = 0;
        Ok(())
    }

    fn not_text(&self) -> KeyTextError {
        KeyTextError::NotText { byte: self.read + 1 }
    }
}

/// Appends without leaving a copy of a secret behind when the buffer has to move.
fn append(buffer: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    if buffer.capacity() - buffer.len() < bytes.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity((buffer.len() + bytes.len()).max(1 << 12) * 2));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}

fn not_empty(keys: KeyList) -> Result<KeyList, KeyTextError> {
    if keys.is_empty() { Err(KeyTextError::Empty) } else { Ok(keys) }
}

/// Whether the whole text is one JSON array.
fn is_array(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Reads the elements of an array into a [`KeyList`], none more than once in memory.
///
/// What is wrong with an element is not an error of the array's form; the outer result tells only of that.
pub(super) struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Result<KeyList, KeyTextError>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let (mut keys, mut position, mut trouble) = (KeyList::default(), 0, None);
        while let Some(found) = elements.next_element_seed(Element { keys: &mut keys, position: position + 1 })? {
            position += 1;
            if let Err(error) = found {
                trouble.get_or_insert(error);
            }
        }
        Ok(trouble.map_or(Ok(keys), Err))
    }
}

/// One element, which goes into the list.
struct Element<'a> {
    keys: &'a mut KeyList,
    position: usize,
}

impl Element<'_> {
    fn is(&self, found: &'static str) -> Result<(), KeyTextError> {
        Err(KeyTextError::NotAString { position: self.position, found })
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = Result<(), KeyTextError>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = Result<(), KeyTextError>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let token = text.trim();
        if token.is_empty() {
            return Ok(Ok(()));
        }
        Ok(checked_text(self.keys.len() + 1, token).map(|key| self.keys.push(key)))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.is(kind(&value.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.is(kind(&value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.is(kind(&value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(self.is(kind(&value.into())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.is(kind(&serde_json::Value::Null)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.is(kind(&serde_json::Value::Array(Vec::new()))))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self.is(kind(&serde_json::Value::Object(serde_json::Map::new()))))
    }
}

/// The keys of an array as the API takes it: each trimmed, empty ones dropped, none split. What is no string is told in
/// the inner result.
pub struct KeyArray(pub Result<KeyList, KeyTextError>);

impl<'de> Deserialize<'de> for KeyArray {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements).map(|keys| Self(keys.and_then(not_empty)))
    }
}

/// The keys of a pasted text, read out of a JSON string without a copy of the whole.
pub struct KeyText(pub Result<KeyList, KeyTextError>);

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = KeyText;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(KeyText(super::read(text)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
