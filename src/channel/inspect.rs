//! The members of a request body that the gateway reads, without building the body's tree.

use std::borrow::Cow;

use memchr::memmem;

use super::json::{self, Scan};

/// Longest model name read from a form field, in bytes.
const MAX_FORM_MODEL: usize = 1024;

/// The top-level members the gateway cares for. Of a member that stands twice the last one counts, as in common parsers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members<'a> {
    /// `model`, when it is a string.
    pub model: Option<Cow<'a, str>>,
    /// `stream`, when it is a boolean.
    pub stream: Option<bool>,
    /// `stream_options` as it stands in the body.
    pub stream_options: Option<&'a [u8]>,
    /// `user`, when it is a string.
    pub user: Option<Cow<'a, str>>,
    /// `prompt_cache_key`, when it is a string.
    pub prompt_cache_key: Option<Cow<'a, str>>,
    /// `previous_response_id`, when it is a string.
    pub previous_response_id: Option<Cow<'a, str>>,
    /// `metadata` as it stands in the body.
    pub metadata: Option<&'a [u8]>,
}

/// Reads the members of a JSON object; `None` when the body is none.
///
/// Nothing is allocated unless a wanted string holds an escape.
pub fn inspect(body: &[u8]) -> Option<Members<'_>> {
    let mut members = Members::default();
    let mut scan = Scan::object(body)?;
    while let Some(member) = scan.member() {
        let value = member.value;
        match &*member.plain_name() {
            b"model" => members.model = json::string(value),
            b"stream" => {
                members.stream = match value {
                    b"true" => Some(true),
                    b"false" => Some(false),
                    _ => None,
                };
            }
            b"stream_options" => members.stream_options = Some(value),
            b"user" => members.user = json::string(value),
            b"prompt_cache_key" => members.prompt_cache_key = json::string(value),
            b"previous_response_id" => members.previous_response_id = json::string(value),
            b"metadata" => members.metadata = Some(value),
            _ => {}
        }
    }
    scan.finish().map(|_| members)
}

/// The form field `model` of a `multipart/form-data` body, when it lies within `prefix`, the body's buffered part.
pub fn multipart_model(content_type: &str, prefix: &[u8]) -> Option<String> {
    let delimiter = format!("--{}", boundary(content_type)?);
    let delimiter = memmem::Finder::new(&delimiter);
    let mut starts = delimiter.find_iter(prefix).map(|at| at + delimiter.needle().len());
    let mut start = starts.next()?;
    loop {
        let next = starts.next()?;
        let part = prefix[start..next - delimiter.needle().len()].strip_prefix(b"\r\n")?;
        if let Some(head_end) = memmem::find(part, b"\r\n\r\n")
            && is_model_field(&part[..head_end])
        {
            let value = part[head_end + 4..].strip_suffix(b"\r\n")?;
            return (value.len() <= MAX_FORM_MODEL).then(|| String::from_utf8_lossy(value).trim().to_owned());
        }
        start = next;
    }
}

/// The boundary parameter of a multipart content type (RFC 2046, section 5.1.1).
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim())
    })?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (!value.is_empty()).then_some(value)
}

fn is_model_field(head: &[u8]) -> bool {
    let Ok(head) = std::str::from_utf8(head) else { return false };
    head.split("\r\n").any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("content-disposition")
                && value.split(';').any(|parameter| matches!(parameter.trim(), r#"name="model""# | "name=model"))
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_it_needs_and_borrows_it() {
        let body = br#"{"messages":[{"role":"user","content":"model \"x\""}],"model":"gpt-4o","stream":true,
            "user":"u\u0031","stream_options":{"include_usage":false},"metadata":{"user_id":"m"}}"#;
        let members = inspect(body).unwrap();
        assert!(matches!(members.model, Some(Cow::Borrowed("gpt-4o"))));
        assert_eq!(members.stream, Some(true));
        assert_eq!(members.user.as_deref(), Some("u1"));
        assert_eq!(members.stream_options, Some(&br#"{"include_usage":false}"#[..]));
        assert_eq!(members.metadata, Some(&br#"{"user_id":"m"}"#[..]));
    }

    #[test]
    fn odd_bodies() {
        let model = |body: &str| inspect(body.as_bytes()).map(|members| members.model.map(Cow::into_owned));
        for (body, expected) in [
            (r#"{"model":"a","model":"b"}"#, Some(Some("b"))),
            (r#"{"model":"a","mod\u0065l":"b"}"#, Some(Some("b"))),
            (r#"{"model":"a","model":7}"#, Some(None)),
            (r#"{"Model":"a"}"#, Some(None)),
            (r#"{"nested":{"model":"a"}}"#, Some(None)),
            (r#"{"model":"a\nb"}"#, Some(Some("a\nb"))),
            (r#"["model"]"#, None),
            (r#"{"model":"a""#, None),
            (r#"{"model":"a"}{"model":"b"}"#, None),
            ("", None),
        ] {
            assert_eq!(model(body), expected.map(|name| name.map(str::to_owned)), "{body}");
        }
    }

    const FORM: &str = "multipart/form-data; boundary=XX";

    fn form(fields: &[(&str, &str)]) -> String {
        let part = |(name, value): &(&str, &str)| {
            format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        fields.iter().map(part).collect::<String>() + "--XX--\r\n"
    }

    #[test]
    fn reads_the_model_of_a_form() {
        let whole = form(&[("file", "\0\r\n\r\nname=\"model\""), ("model", "whisper-1"), ("language", "en")]);
        assert_eq!(multipart_model(FORM, whole.as_bytes()).as_deref(), Some("whisper-1"));
        assert_eq!(
            multipart_model(r#"Multipart/Form-Data; charset=x; Boundary="XX""#, whole.as_bytes()).as_deref(),
            Some("whisper-1")
        );
        let cut = &whole[..whole.find("whisper-1").unwrap() + 4];
        assert_eq!(multipart_model(FORM, cut.as_bytes()), None);
        assert_eq!(multipart_model(FORM, form(&[("file", "x")]).as_bytes()), None);
        assert_eq!(multipart_model("application/json", whole.as_bytes()), None);
        assert_eq!(multipart_model("multipart/form-data", whole.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn survives_any_form(prefix in "(--XX|\r\n|name=\"model\"|Content-Disposition:|;|a|--){0,40}") {
            multipart_model(FORM, prefix.as_bytes());
        }

        #[test]
        fn finds_the_model_wherever_it_stands(model in any::<String>(), before in any::<String>(), after in any::<String>()) {
            let body = serde_json::json!({"a": before, "model": model, "z": [after]}).to_string();
            let members = inspect(body.as_bytes()).unwrap();
            prop_assert_eq!(members.model.as_deref(), Some(&*model));
        }
    }
}
