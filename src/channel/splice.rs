//! Changes of top-level members of a JSON body that leave every other byte as it was: digits, order, whitespace.

use super::json::Scan;

/// The body has no members to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not a JSON object")]
pub struct NotAnObject;

/// Gives members of the object `body` raw JSON values: in place where the member stands (wherever it stands, when it is
/// repeated), after the last member where it does not. Of two changes of one member the later wins.
pub fn splice(body: &[u8], changes: &[(String, Vec<u8>)]) -> Result<Vec<u8>, NotAnObject> {
    let added: usize = changes.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut out = Vec::with_capacity(body.len() + added);
    let mut done = vec![false; changes.len()];
    let mut scan = Scan::object(body).ok_or(NotAnObject)?;
    let mut copied = 0;
    let mut last_end = None;
    while let Some(member) = scan.member() {
        let name = member.plain_name();
        let value_end = member.value_start + member.value.len();
        if let Some(at) = changes.iter().rposition(|(changed, _)| *name == *changed.as_bytes()) {
            out.extend_from_slice(&body[copied..member.value_start]);
            out.extend_from_slice(&changes[at].1);
            copied = value_end;
            done[at] = true;
        }
        last_end = Some(value_end);
    }
    let close = scan.finish().ok_or(NotAnObject)?;
    let tail = last_end.unwrap_or(close);
    out.extend_from_slice(&body[copied..tail]);
    let mut is_first = last_end.is_none();
    for (at, (name, value)) in changes.iter().enumerate() {
        let is_overtaken = changes[at + 1..].iter().any(|(later, _)| later == name);
        if done[at] || is_overtaken {
            continue;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        out.extend_from_slice(quoted(name).as_bytes());
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.extend_from_slice(&body[tail..]);
    Ok(out)
}

/// The raw value of `stream_options` that asks for usage; `current` is what the body has. Its other members are kept.
pub fn include_usage(current: Option<&[u8]>) -> Vec<u8> {
    let change = [("include_usage".to_owned(), b"true".to_vec())];
    current.and_then(|options| splice(options, &change).ok()).unwrap_or_else(|| br#"{"include_usage":true}"#.to_vec())
}

/// `text` as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `text` as a raw JSON value for [`splice`].
pub fn text_value(text: &str) -> Vec<u8> {
    quoted(text).into_bytes()
}

/// The object `body` without the members for which `is_unwanted` holds; the others keep their bytes, not the space
/// between them. `None` when the body is no object.
pub(super) fn without(body: &[u8], is_unwanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len());
    let mut scan = Scan::object(body)?;
    while let Some(member) = scan.member() {
        if !is_unwanted(&member.plain_name()) {
            out.push(if out.is_empty() { b'{' } else { b',' });
            out.push(b'"');
            out.extend_from_slice(member.name);
            out.extend_from_slice(b"\":");
            out.extend_from_slice(member.value);
        }
    }
    scan.finish()?;
    if out.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn changed(body: &str, changes: &[(&str, &str)]) -> Result<String, NotAnObject> {
        let changes: Vec<_> =
            changes.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        splice(body.as_bytes(), &changes).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn only_the_touched_members_change() {
        for (body, changes, expected) in [
            (r#"{"model":"a"}"#, &[("model", r#""b""#)][..], r#"{"model":"b"}"#),
            (
                "{ \"n\" : 1.00e3,\n \"model\" : \"a\" , \"z\":12345678901234567890 }",
                &[("model", r#""b""#)],
                "{ \"n\" : 1.00e3,\n \"model\" : \"b\" , \"z\":12345678901234567890 }",
            ),
            (r#"{"a":1 }"#, &[("b", "2"), ("c", "[]")], r#"{"a":1,"b":2,"c":[] }"#),
            ("{ }", &[("b", "2")], r#"{ "b":2}"#),
            (r#"{"a":1,"a":2}"#, &[("a", "3")], r#"{"a":3,"a":3}"#),
            (r#"{"\u0061":1}"#, &[("a", "3")], r#"{"\u0061":3}"#),
            (r#"{"a":1}"#, &[("a", "2"), ("a", "3")], r#"{"a":3}"#),
            ("{}", &[("a", "2"), ("a", "3")], r#"{"a":3}"#),
            (r#"{"a":{"b":1}}"#, &[("b", "2")], r#"{"a":{"b":1},"b":2}"#),
            ("{}", &[("q\"", "1")], r#"{"q\"":1}"#),
            (" {\"a\":1}\n", &[], " {\"a\":1}\n"),
        ] {
            assert_eq!(changed(body, changes).as_deref(), Ok(expected), "{body}");
        }
        for body in ["", "[]", "7", r#"{"a":1"#, r#"{"a":1}}"#] {
            assert_eq!(changed(body, &[("a", "2")]), Err(NotAnObject), "{body}");
        }
    }

    #[test]
    fn usage_is_asked_for_beside_other_options() {
        let asked = |current: Option<&str>| String::from_utf8(include_usage(current.map(str::as_bytes))).unwrap();
        assert_eq!(asked(None), r#"{"include_usage":true}"#);
        assert_eq!(asked(Some("null")), r#"{"include_usage":true}"#);
        assert_eq!(asked(Some(r#"{"x": 1}"#)), r#"{"x": 1,"include_usage":true}"#);
        assert_eq!(asked(Some(r#"{"include_usage":false}"#)), r#"{"include_usage":true}"#);
    }

    #[test]
    fn members_are_taken_out() {
        let without_b =
            |body: &str| without(body.as_bytes(), |name| name == b"b").map(|out| String::from_utf8(out).unwrap());
        assert_eq!(without_b(r#"{"a":1, "b":[2] ,"c":3}"#).as_deref(), Some(r#"{"a":1,"c":3}"#));
        assert_eq!(without_b(r#"{"b":1}"#).as_deref(), Some("{}"));
        assert_eq!(without_b("[]"), None);
    }

    proptest! {
        #[test]
        fn the_result_is_the_changed_object(
            members in prop::collection::btree_map("[a-e\"\\\\é]{0,2}", any::<i64>(), 0..6),
            changes in prop::collection::btree_map("[a-e\"\\\\é]{0,2}", any::<String>(), 0..4),
            pretty in any::<bool>(),
        ) {
            let original: Map<String, Value> = members.into_iter().map(|(name, value)| (name, value.into())).collect();
            let body =
                if pretty { serde_json::to_vec_pretty(&original) } else { serde_json::to_vec(&original) }.unwrap();
            let raw: Vec<_> = changes.iter().map(|(name, value)| (name.clone(), text_value(value))).collect();
            let mut expected = original;
            expected.extend(changes.into_iter().map(|(name, value)| (name, Value::from(value))));
            let spliced = splice(&body, &raw).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Map<String, Value>>(&spliced).unwrap(), expected);
        }

        #[test]
        fn untouched_members_keep_their_bytes(number in "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", space in "[ \t\n\r]{0,3}") {
            let body = format!("{{{space}\"a\"{space}:{space}{number}{space},{space}\"m\":\"x\"{space}}}");
            let expected = body.replace("\"x\"", "\"yy\"");
            prop_assert_eq!(changed(&body, &[("m", "\"yy\"")]), Ok(expected));
        }
    }
}
