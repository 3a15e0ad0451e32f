//! Every model that a provider might take a request to ask for: what filters judge.
//!
//! [`super::inspect`] says what one parser sees. Providers use many: some take the first of two equal members, or do not
//! mind capitals, so here every reading counts, and what cannot be read for certain is no answer at all.

use std::collections::BTreeSet;

use memchr::memmem;
use percent_encoding::percent_decode_str;

use super::{
    inspect::boundary,
    json::{Scan, string},
};

/// The models that a JSON object names: `model`, alternatives in `models`, and those of the elements of a batch's
/// `requests`; `None` when the body is no JSON object.
pub fn in_json(body: &[u8]) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut scan = Scan::object(body)?;
    while let Some(member) = scan.member() {
        let name = member.plain_name().to_ascii_lowercase();
        match &*name {
            b"model" => found.extend(string(member.value).map(std::borrow::Cow::into_owned)),
            b"models" => each(member.value, |value| found.extend(string(value).map(std::borrow::Cow::into_owned))),
            b"requests" => each(member.value, |request| of_batched(request, &mut found)),
            _ => {}
        }
    }
    scan.finish().map(|_| found)
}

/// `requests[].model`, and Anthropic's `requests[].params.model`.
fn of_batched(request: &[u8], found: &mut BTreeSet<String>) {
    let Some(mut scan) = Scan::object(request) else { return };
    while let Some(member) = scan.member() {
        match &*member.plain_name().to_ascii_lowercase() {
            b"model" => found.extend(string(member.value).map(std::borrow::Cow::into_owned)),
            b"params" => {
                let Some(mut params) = Scan::object(member.value) else { continue };
                while let Some(param) = params.member() {
                    if param.plain_name().eq_ignore_ascii_case(b"model") {
                        found.extend(string(param.value).map(std::borrow::Cow::into_owned));
                    }
                }
            }
            _ => {}
        }
    }
}

fn each<'a>(array: &'a [u8], mut take: impl FnMut(&'a [u8])) {
    let Some(mut scan) = Scan::array(array) else { return };
    while let Some(element) = scan.element() {
        take(element);
    }
}

/// The fields `model` of a whole `multipart/form-data` body; `None` when it is none, or not of the plain form that every
/// parser reads alike.
pub fn in_form(content_type: &str, body: &[u8]) -> Option<BTreeSet<String>> {
    let delimiter = format!("\r\n--{}", boundary(content_type)?);
    let delimiter = memmem::Finder::new(&delimiter);
    let mut rest = body.strip_prefix(&delimiter.needle()[2..])?;
    let mut found = BTreeSet::new();
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n")?;
        let end = delimiter.find(rest)?;
        let head_end = memmem::find(&rest[..end], b"\r\n\r\n")?;
        if field_name(std::str::from_utf8(&rest[..head_end]).ok()?)?.eq_ignore_ascii_case("model") {
            found.insert(String::from_utf8_lossy(&rest[head_end + 4..end]).trim().to_owned());
        }
        rest = &rest[end + delimiter.needle().len()..];
    }
    Some(found)
}

/// The one `name` of a part's one `Content-Disposition`.
fn field_name(head: &str) -> Option<&str> {
    let mut lines = head.split("\r\n");
    if lines.clone().any(|line| line.starts_with([' ', '\t']) || line.contains(['\r', '\n'])) {
        return None;
    }
    let is_disposition = |line: &&str| {
        line.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))
    };
    let line = lines.find(is_disposition)?;
    if lines.any(|line| is_disposition(&line)) {
        return None;
    }
    let (_, mut rest) = line.split_once(';')?;
    let mut name = None;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        // Whether a backslash before a quotation mark ends the text is read differently.
        if value.ends_with('\\') {
            return None;
        }
        match key.trim().to_ascii_lowercase().as_str() {
            "name" if name.is_some() || value.contains(['\\', '%', '&', '"']) => return None,
            "name" => name = Some(value.trim()),
            "filename" | "filename*" => {}
            _ => return None,
        }
        match after.trim_start() {
            "" => return name,
            more => rest = more.strip_prefix(';')?,
        }
    }
}

/// Whether a path has segments `.` or `..`, in clear or encoded, which a provider may resolve: then it is another path.
pub fn is_relative(path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(found: Option<BTreeSet<String>>) -> Option<String> {
        found.map(|found| found.into_iter().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn every_reading_of_json_counts() {
        for (body, expected) in [
            (r#"{"model":"a"}"#, Some("a")),
            (r#"{"messages":[{"model":"x"}]}"#, Some("")),
            (r#"{"model":"a","model":"b"}"#, Some("a b")),
            (r#"{"model":"a","Model":"b","MOD\u0045L":"c"}"#, Some("a b c")),
            (r#"{"model":"a","models":["b",7,"c"]}"#, Some("a b c")),
            (r#"{"requests":[{"custom_id":"1","params":{"model":"a"}},{"model":"b"},7,{"params":[]}]}"#, Some("a b")),
            (r#"{"model":7,"models":"b","requests":{"model":"c"}}"#, Some("")),
            (r#"{"model":"a"}{"#, None),
            ("\u{feff}{\"model\":\"a\"}", None),
            ("model=a", None),
        ] {
            assert_eq!(names(in_json(body.as_bytes())).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn only_plain_forms_are_read() {
        let part = |head: &str, value: &str| format!("--XX\r\n{head}\r\n\r\n{value}\r\n");
        let field = |name: &str, value: &str| part(&format!("Content-Disposition: form-data; {name}"), value);
        let model = field(r#"name="model""#, "a");
        for (parts, expected) in [
            (field(r#"name="file"; filename="C:\a; name=model.mp3""#, "\0--XX") + &model, Some("a")),
            (model.clone() + &field("name=model", " b "), Some("a b")),
            (model.clone() + &field(r#"NAME = "Model""#, "b"), None),
            (model.clone() + &field(r#"NAME="Model""#, "b"), Some("a b")),
            (field(r#"name="file""#, "x"), Some("")),
            (model.clone() + &field(r#"name*=UTF-8''model"#, "b"), None),
            (model.clone() + &field(r#"name="mod\el""#, "b"), None),
            (model.clone() + &field(r#"name="x"; name="model""#, "b"), None),
            (model.clone() + &field(r#"name="x"; filename="\"; name="model""#, "b"), None),
            (model.clone() + &part("Content-Disposition: form-data;\r\n name=\"model\"", "b"), None),
            (model.clone() + "--XX \r\n", None),
            (model.replace("\r\n", "\n"), None),
            (String::from("preamble\r\n") + &model, None),
        ] {
            let body = parts.clone() + "--XX--\r\n";
            assert_eq!(
                names(in_form("multipart/form-data; boundary=XX", body.as_bytes())).as_deref(),
                expected,
                "{parts}"
            );
        }
        assert_eq!(in_form("multipart/form-data; boundary=XX", model.as_bytes()), None, "cut");
        assert_eq!(in_form("text/plain", (model + "--XX--").as_bytes()), None);
    }

    #[test]
    fn paths_that_may_be_others() {
        for (path, expected) in [
            ("/v1beta/models/a/../b:generateContent", true),
            ("/v1beta/models/a%2F..%2fb:generateContent", true),
            ("/v1beta/models/a/%2E./b", true),
            ("/v1/./chat", true),
            ("/v1\\..\\x", true),
            ("/v1beta/models/gemini-2.5-pro:generateContent", false),
            ("/v1/files/a..b", false),
            ("/v1/.well-known", false),
        ] {
            assert_eq!(is_relative(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_form_is_survived(body in "(--XX|\r\n|name=\"model\"|Content-Disposition:|;|=|\"|a|--){0,40}") {
            in_form("multipart/form-data; boundary=XX", body.as_bytes());
        }
    }
}
