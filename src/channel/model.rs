//! The model a request asks for, and the group's redirect rules.

use std::{borrow::Cow, ops::Range};

use gpt_load_schema::channel::Channel;
use percent_encoding::{AsciiSet, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use super::{inspect::Members, query::RESERVED};

/// What a model name inside a path segment must not hold in clear.
const SEGMENT: &AsciiSet = &RESERVED.remove(b'@').remove(b'!').remove(b'$').remove(b'*').remove(b'+').remove(b',');

/// Where the model of a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The member `model` of a JSON body.
    Body,
    /// The segment after `models` of a path of Gemini's own API.
    Path,
}

/// Where the model of a request to `path` stands.
pub fn place(channel: Channel, path: &str) -> Place {
    let is_native = channel == Channel::Gemini && !is_gemini_openai(path) && segment(path).is_some();
    if is_native { Place::Path } else { Place::Body }
}

/// The model asked for; empty when the request names none.
pub fn requested(channel: Channel, path: &str, members: Option<&Members<'_>>) -> String {
    let named = if channel == Channel::Gemini { in_path(path) } else { None };
    named.or_else(|| members?.model.as_deref().map(str::to_owned)).unwrap_or_default()
}

/// The model in a path `…/models/{model}[:action]…`, decoded.
pub fn in_path(path: &str) -> Option<String> {
    segment(path).map(|range| percent_decode_str(&path[range]).decode_utf8_lossy().into_owned())
}

/// The deployment in a path `…/deployments/{deployment}/…` of Azure, which stands for a model there, decoded.
pub fn deployment(path: &str) -> Option<String> {
    let (_, rest) = path.split_once("/deployments/")?;
    let name = rest.split('/').next().filter(|name| !name.is_empty())?;
    Some(percent_decode_str(name).decode_utf8_lossy().into_owned())
}

/// Whether what is sent to `path` is a file, which has no model.
pub fn is_upload(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    // Providers may resolve such a segment, so that the path they see is another one.
    let is_plain = !lower.contains("/.") && !lower.contains("%2e") && !lower.contains("%2f");
    let path = path.trim_end_matches('/');
    let has = |folder: &str| path.ends_with(folder) || path.contains(&format!("{folder}/"));
    is_plain && (path.ends_with("/files") || has("/uploads") || has("/upload"))
}

/// The path with model `to` in place of the one it names; `:action` and all other text stay. `None` when it names none.
pub fn redirect_path(path: &str, to: &str) -> Option<String> {
    let Range { start, end } = segment(path)?;
    let to: Cow<'_, str> = utf8_percent_encode(to.strip_prefix("models/").unwrap_or(to), SEGMENT).into();
    Some([&path[..start], &to, &path[end..]].concat())
}

/// Whether `path` belongs to Gemini's OpenAI-compatible API.
pub fn is_gemini_openai(path: &str) -> bool {
    path.contains("v1beta/openai")
}

/// Where the model stands in a path: after `models/`, up to the action.
fn segment(path: &str) -> Option<Range<usize>> {
    const MARK: &str = "/models/";
    let start = path.find(MARK)? + MARK.len();
    let segment = path[start..].split('/').next().unwrap_or_default();
    let ends = [":", "%3A", "%3a"].into_iter().filter_map(|colon| segment.find(colon));
    let end = start + ends.min().unwrap_or(segment.len());
    (start < end).then_some(start..end)
}

/// What the redirect rules say of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// It stays.
    None,
    /// This one is sent upstream instead.
    To(String),
    /// The rules are strict and know it not.
    Refused,
}

/// Looks `model` up, exactly and case-sensitively; `None` = the request names none, which no rule refuses.
/// Without rules strictness has no effect.
pub fn redirect(rules: &Map<String, Value>, strict: bool, model: Option<&str>) -> Redirect {
    let Some(model) = model.filter(|_| !rules.is_empty()) else { return Redirect::None };
    match rules.get(model).and_then(Value::as_str) {
        Some(target) if target == model => Redirect::None,
        Some(target) => Redirect::To(target.to_owned()),
        None if strict => Redirect::Refused,
        None => Redirect::None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channel::inspect::inspect;

    #[test]
    fn the_model_asked_for() {
        use Channel::{Anthropic, Gemini, OpenAi};
        let body = br#"{"model":"from-body"}"#;
        for (channel, path, expected) in [
            (OpenAi, "/v1/chat/completions", "from-body"),
            (OpenAi, "/v1/models/x", "from-body"),
            (Anthropic, "/v1/messages", "from-body"),
            (Gemini, "/v1beta/models/gemini-pro:generateContent", "gemini-pro"),
            (Gemini, "/v1beta/models/a%2Fb%3AgenerateContent", "a/b"),
            (Gemini, "/v1beta/models/gemini-pro", "gemini-pro"),
            (Gemini, "/v1beta/models/", "from-body"),
            (Gemini, "/v1beta/openai/chat/completions", "from-body"),
        ] {
            assert_eq!(requested(channel, path, inspect(body).as_ref()), expected, "{channel} {path}");
        }
        assert_eq!(requested(OpenAi, "/v1/x", None), "");
    }

    #[test]
    fn where_the_model_stands() {
        let native = "/v1beta/models/g:generateContent";
        assert_eq!(place(Channel::Gemini, native), Place::Path);
        assert_eq!(place(Channel::OpenAi, native), Place::Body);
        assert_eq!(place(Channel::Gemini, "/v1beta/openai/models/g"), Place::Body);
        assert_eq!(place(Channel::Gemini, "/v1beta/models"), Place::Body);
    }

    #[test]
    fn deployments_and_uploads() {
        for (path, expected) in [
            ("/openai/deployments/gpt%2D4/chat/completions", Some("gpt-4")),
            ("/deployments/a", Some("a")),
            ("/deployments/", None),
            ("/v1/chat/completions", None),
        ] {
            assert_eq!(deployment(path).as_deref(), expected, "{path}");
        }
        for (path, expected) in [
            ("/v1/files", true),
            ("/v1/files/", true),
            ("/v1/uploads/u-1/parts", true),
            ("/upload/v1beta/files", true),
            ("/v1/audio/transcriptions", false),
            ("/v1/files/x", false),
            ("/v1/uploads/../audio/transcriptions", false),
            ("/v1/uploads/%2E%2e/audio/transcriptions", false),
            ("/v1/uploads%2f..%2faudio", false),
        ] {
            assert_eq!(is_upload(path), expected, "{path}");
        }
    }

    #[test]
    fn a_path_gets_another_model() {
        for (path, to, expected) in [
            ("/v1beta/models/a:generateContent", "b", Some("/v1beta/models/b:generateContent")),
            (
                "/v1beta/models/a%2Fx%3Astream/op%20s",
                "models/b:c/d e",
                Some("/v1beta/models/b%3Ac%2Fd%20e%3Astream/op%20s"),
            ),
            ("/v1beta/models/a", "b@1", Some("/v1beta/models/b@1")),
            ("/v1/publishers/google/models/a:x", "b", Some("/v1/publishers/google/models/b:x")),
            ("/v1beta/models", "b", None),
            ("/v1beta/models/:x", "b", None),
        ] {
            assert_eq!(redirect_path(path, to).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn redirect_rules() {
        let rules = serde_json::json!({"a": "b", "same": "same"}).as_object().cloned().unwrap();
        let none = Map::new();
        for (rules, strict, model, expected) in [
            (&none, true, Some("x"), Redirect::None),
            (&rules, false, Some("a"), Redirect::To("b".to_owned())),
            (&rules, true, Some("a"), Redirect::To("b".to_owned())),
            (&rules, true, Some("same"), Redirect::None),
            (&rules, false, Some("A"), Redirect::None),
            (&rules, true, Some("A"), Redirect::Refused),
            (&rules, true, Some(""), Redirect::Refused),
            (&rules, true, None, Redirect::None),
        ] {
            assert_eq!(redirect(rules, strict, model), expected, "{strict} {model:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_put_into_a_path_is_read_from_it(model in "[^:]{1,20}", action in "(:[a-z]{1,5})?") {
            prop_assume!(!model.starts_with("models/"));
            let path = redirect_path(&format!("/v1beta/models/x{action}"), &model).unwrap();
            prop_assert!(path.ends_with(&action));
            prop_assert_eq!(in_path(&path), Some(model));
        }
    }
}
