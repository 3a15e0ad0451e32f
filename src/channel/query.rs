//! The `key` parameter of a query string. All other parameters keep their bytes and their order.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Takes every `key` parameter out of a query: the first value that is not empty, decoded, and what is left, as it
/// was (`None` when nothing is left).
pub fn take_key(query: &str) -> (Option<String>, Option<String>) {
    let mut key = None;
    for parameter in query.split('&').filter(|parameter| is_key(parameter)) {
        let value = parameter.split_once('=').map_or("", |(_, value)| value);
        if key.is_none() && !value.is_empty() {
            key = Some(decoded(value).into_owned());
        }
    }
    (key, without_key(query))
}

/// The query with `key` as its only `key` parameter, at the end.
pub fn set_key(query: Option<&str>, key: &str) -> String {
    let mut out = query.and_then(without_key).unwrap_or_default();
    if !out.is_empty() {
        out.push('&');
    }
    out.push_str("key=");
    out.extend(utf8_percent_encode(key, RESERVED));
    out
}

fn without_key(query: &str) -> Option<String> {
    let mut out = String::with_capacity(query.len());
    let mut is_first = true;
    for parameter in query.split('&').filter(|parameter| !is_key(parameter)) {
        if !is_first {
            out.push('&');
        }
        is_first = false;
        out.push_str(parameter);
    }
    (!out.is_empty()).then_some(out)
}

fn is_key(parameter: &str) -> bool {
    let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    name == "key" || (name.contains('%') && decoded(name) == "key")
}

/// A name or value of a form-encoded query in clear.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_key_is_taken() {
        for (query, key, rest) in [
            ("", None, None),
            ("key=abc", Some("abc"), None),
            ("a=1&key=a%2Fb+c&b=%7e&a=2", Some("a/b c"), Some("a=1&b=%7e&a=2")),
            ("alt=sse&k%65y=x", Some("x"), Some("alt=sse")),
            ("key=&key=x&key=y&z", Some("x"), Some("z")),
            ("key", None, None),
            ("Key=x&keys=y", None, Some("Key=x&keys=y")),
            ("a=key&b", None, Some("a=key&b")),
        ] {
            assert_eq!(take_key(query), (key.map(str::to_owned), rest.map(str::to_owned)), "{query}");
        }
    }

    #[test]
    fn a_set_key_replaces() {
        assert_eq!(set_key(None, "a b/ü"), "key=a%20b%2F%C3%BC");
        assert_eq!(set_key(Some("alt=sse&key=old&x=%2f"), "new"), "alt=sse&x=%2f&key=new");
        assert_eq!(set_key(Some("key=old"), "new"), "key=new");
    }

    proptest! {
        #[test]
        fn what_is_set_is_taken(query in "[a-z=&%0-9+]{0,30}", key in ".{1,20}") {
            let (_, rest) = take_key(&query);
            prop_assert_eq!(take_key(&set_key(Some(&query), &key)), (Some(key), rest));
        }

        #[test]
        fn a_query_without_key_is_untouched(query in "[abc=&%0-9+]{1,30}") {
            prop_assert_eq!(take_key(&query), (None, Some(query)));
        }
    }
}
