//! A scanner over JSON text: finds members and elements as slices of the input and builds nothing.
//!
//! It walks valid JSON exactly and is lenient with the rest (it does not check that brackets pair up by kind): whoever
//! receives the bytes judges them. It never recurses, never allocates, and reads every byte at most once.

use std::borrow::Cow;

use memchr::memchr2;

/// A member of an object: its name without the quotes, still escaped, and its value as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// Name between the quotes.
    pub(super) name: &'a [u8],
    /// Raw value without surrounding whitespace.
    pub(super) value: &'a [u8],
    /// Where the value starts in the scanned text.
    pub(super) value_start: usize,
}

impl Member<'_> {
    /// The name with its escapes resolved.
    pub(super) fn plain_name(&self) -> Cow<'_, [u8]> {
        if memchr::memchr(b'\\', self.name).is_none() {
            return Cow::Borrowed(self.name);
        }
        let quoted = [b"\"", self.name, b"\""].concat();
        serde_json::from_slice::<String>(&quoted).map_or(Cow::Borrowed(self.name), |name| Cow::Owned(name.into_bytes()))
    }
}

/// What is left to scan of an object or an array.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    First,
    Following,
    End,
}

/// The members of an object or the elements of an array, in the order of the text.
///
/// Iteration stops early where the text is cut or broken; [`Scan::finish`] tells the two ends apart.
pub(super) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    close: u8,
    next: Next,
}

impl<'a> Scan<'a> {
    /// Scans the object that `text` is; `None` when it does not start as one.
    pub(super) fn object(text: &'a [u8]) -> Option<Self> {
        Self::open(text, b'{', b'}')
    }

    /// Scans the array that `text` is; `None` when it does not start as one.
    pub(super) fn array(text: &'a [u8]) -> Option<Self> {
        Self::open(text, b'[', b']')
    }

    fn open(text: &'a [u8], open: u8, close: u8) -> Option<Self> {
        let at = skip_space(text, 0);
        (text.get(at) == Some(&open)).then_some(Self { text, at: at + 1, close, next: Next::First })
    }

    /// The next member of an object.
    pub(super) fn member(&mut self) -> Option<Member<'a>> {
        let text = self.text;
        let name_start = self.item()?;
        if text.get(name_start) != Some(&b'"') {
            return None;
        }
        let name_end = skip_string(text, name_start)?;
        let colon = skip_space(text, name_end);
        if text.get(colon) != Some(&b':') {
            return None;
        }
        let value_start = skip_space(text, colon + 1);
        let value_end = skip_value(text, value_start)?;
        self.at = value_end;
        Some(Member { name: &text[name_start + 1..name_end - 1], value: &text[value_start..value_end], value_start })
    }

    /// The next element of an array.
    pub(super) fn element(&mut self) -> Option<&'a [u8]> {
        let start = self.item()?;
        let end = skip_value(self.text, start)?;
        self.at = end;
        Some(&self.text[start..end])
    }

    /// Offset of the closing bracket, when everything up to it was scanned and only whitespace follows it.
    pub(super) fn finish(&self) -> Option<usize> {
        let whole = self.next == Next::End && skip_space(self.text, self.at) == self.text.len();
        whole.then(|| self.at - 1)
    }

    /// Where the next item starts; moves past the separator or the closing bracket.
    fn item(&mut self) -> Option<usize> {
        let at = skip_space(self.text, self.at);
        match (*self.text.get(at)?, self.next) {
            (byte, Next::First | Next::Following) if byte == self.close => {
                (self.at, self.next) = (at + 1, Next::End);
                None
            }
            (_, Next::First) => {
                self.next = Next::Following;
                Some(at)
            }
            (b',', Next::Following) => Some(skip_space(self.text, at + 1)),
            _ => None,
        }
    }
}

/// The value of member `name` of the object `text`; the last one when there are several.
pub(super) fn member<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut scan = Scan::object(text)?;
    let mut found = None;
    while let Some(member) = scan.member() {
        if *member.plain_name() == *name.as_bytes() {
            found = Some(member.value);
        }
    }
    found
}

/// The text of a JSON string; `None` for any other value. Bytes that are no UTF-8 are replaced.
pub(super) fn string(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return Some(String::from_utf8_lossy(inner));
    }
    let text = serde_json::from_slice(value).unwrap_or_else(|_| String::from_utf8_lossy(inner).into_owned());
    Some(Cow::Owned(text))
}

/// A whole number that is not negative; `None` for any other value.
pub(super) fn unsigned(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Whether the value says something: not `null`, `false`, `""`, `[]` or `{}`.
pub(super) fn is_filled(value: &[u8]) -> bool {
    match value.first() {
        Some(b'"') => value.len() > 2,
        Some(b'[' | b'{') => skip_space(value, 1) + 1 < value.len(),
        _ => !matches!(value, b"null" | b"false" | b""),
    }
}

/// Offset of the first byte at or after `at` that is no JSON whitespace.
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

/// Offset after the value that starts at `at`; `None` when it is cut or no value.
pub(super) fn skip_value(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => skip_string(text, at),
        b'{' | b'[' => skip_container(text, at),
        _ => skip_scalar(text, at),
    }
}

fn skip_string(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        let found = at + memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[found] == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

fn skip_container(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open;
    let mut depth = 0_usize;
    loop {
        match text.get(at)? {
            b'"' => {
                at = skip_string(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

fn skip_scalar(text: &[u8], start: usize) -> Option<usize> {
    let rest = &text[start..];
    let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
    let scalar = &rest[..rest.iter().position(is_end).unwrap_or(rest.len())];
    let is_number = || {
        matches!(scalar.first(), Some(b'-' | b'0'..=b'9'))
            && scalar.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
    };
    (matches!(scalar, b"true" | b"false" | b"null") || is_number()).then_some(start + scalar.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn members(text: &str) -> Option<Vec<(String, String)>> {
        let mut scan = Scan::object(text.as_bytes())?;
        let mut found = Vec::new();
        while let Some(member) = scan.member() {
            let name = String::from_utf8(member.plain_name().into_owned()).unwrap();
            found.push((name, String::from_utf8(member.value.to_vec()).unwrap()));
        }
        scan.finish().map(|_| found)
    }

    #[test]
    fn members_are_found_as_they_stand() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (text, expected) in [
            ("{}", Some(vec![])),
            (" { } \n", Some(vec![])),
            (r#"{"a":1}"#, Some(vec![pair("a", "1")])),
            (r#"{ "a" : 1.50 , "b\u0063":"x\"}" }"#, Some(vec![pair("a", "1.50"), pair("bc", r#""x\"}""#)])),
            (r#"{"a":{"b":[1,"]}"]},"c":null}"#, Some(vec![pair("a", r#"{"b":[1,"]}"]}"#), pair("c", "null")])),
            (r#"{"a":1,}"#, None),
            (r#"{"a":1} x"#, None),
            (r#"{"a":1"#, None),
            (r#"{"a" 1}"#, None),
            (r#"{"a":tru}"#, None),
            (r#"{"a":"x"#, None),
            ("[1]", None),
            ("", None),
        ] {
            assert_eq!(members(text), expected, "{text}");
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(member(deep.as_bytes(), "a").map(<[u8]>::len), Some(2_000_000));
    }

    #[test]
    fn filled_values() {
        for empty in ["null", "false", r#""""#, "[]", "{ }", "[\n]"] {
            assert!(!is_filled(empty.as_bytes()), "{empty}");
        }
        for filled in ["0", "true", r#"" ""#, "[0]", r#"{"a":1}"#] {
            assert!(is_filled(filled.as_bytes()), "{filled}");
        }
    }

    /// Any JSON value a few levels deep.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_full_parser(value in any_value(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let scanned = members(&text).map(|found| {
                found.into_iter().map(|(name, raw)| (name, serde_json::from_str(&raw).unwrap())).collect()
            });
            prop_assert_eq!(scanned.map(Value::Object), value.is_object().then_some(value));
        }

        #[test]
        fn survives_any_bytes(bytes in prop::collection::vec(prop_oneof![
            any::<u8>(), prop::sample::select(br#"{}[]",:\ 1tn"#.to_vec())], 0..80)
        ) {
            if let Some(mut scan) = Scan::object(&bytes) {
                while scan.member().is_some() {}
                scan.finish();
            }
            if let Some(mut scan) = Scan::array(&bytes) {
                while scan.element().is_some() {}
            }
            is_filled(&bytes);
            string(&bytes);
        }
    }
}
