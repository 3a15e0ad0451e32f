//! Model lists (`GET …/models`) as a group with redirects shows them.

use std::collections::HashSet;

use gpt_load_schema::channel::Channel;
use serde_json::{Value, json};

use super::{
    json::{self as scan, Scan},
    splice,
};

/// Whether a request reads a model list.
pub fn is_list(method: &str, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    method == "GET" && (path.ends_with("/models") || path.contains("/v1beta/openai/v1/models"))
}

/// What a group shows of a model list.
#[derive(Clone, Copy, Debug)]
pub struct ListRules<'a> {
    /// The models that redirects make available.
    pub sources: &'a [&'a str],
    /// Whether only those are shown.
    pub strict: bool,
    /// Whether this is the list's first page: the query has no `pageToken`.
    pub first_page: bool,
}

/// The list as the group shows it; `None` = the body stays as it is (nothing to change, or no list that is known).
///
/// Entries that stay keep their bytes. Without sources nothing changes, strict or not.
pub fn rewrite(channel: Channel, body: &[u8], rules: &ListRules<'_>) -> Option<Vec<u8>> {
    if rules.sources.is_empty() {
        return None;
    }
    let list = Scan::array(scan::member(body, "data").unwrap_or_default()).map(|_| Style::Data(channel));
    let style = list.or_else(|| (channel == Channel::Gemini).then_some(Style::Gemini))?;
    let name = style.list_name();
    let raw = scan::member(body, name)?;
    let mut entries = entries(raw)?;
    if rules.strict {
        let sources: HashSet<&str> = rules.sources.iter().map(|source| style.bare(source)).collect();
        entries.retain(|entry| style.id(entry).is_some_and(|id| sources.contains(&*id)));
    } else if matches!(style, Style::Gemini) && !rules.first_page {
        return None;
    }
    let present: HashSet<String> = entries.iter().filter_map(|entry| style.id(entry)).collect();
    let missing = rules.sources.iter().filter(|source| !present.contains(style.bare(source)));
    let made: Vec<Vec<u8>> = missing.map(|source| style.entry(source).to_string().into_bytes()).collect();
    if made.is_empty() && !rules.strict {
        return None;
    }
    entries.extend(made.iter().map(Vec::as_slice));
    let changed = splice::splice(body, &[(name.to_owned(), [b"[", &*entries.join(&b','), b"]"].concat())]).ok()?;
    if rules.strict { splice::without(&changed, |member| member == b"nextPageToken") } else { Some(changed) }
}

fn entries(list: &[u8]) -> Option<Vec<&[u8]>> {
    let mut elements = Scan::array(list)?;
    let mut found = Vec::new();
    while let Some(element) = elements.element() {
        found.push(element);
    }
    elements.finish().map(|_| found)
}

/// The two formats of lists.
#[derive(Clone, Copy)]
enum Style {
    /// OpenAI's, which Anthropic and Gemini's compatible API share.
    Data(Channel),
    /// Gemini's own.
    Gemini,
}

impl Style {
    fn list_name(self) -> &'static str {
        match self {
            Self::Data(_) => "data",
            Self::Gemini => "models",
        }
    }

    fn bare(self, model: &str) -> &str {
        match self {
            Self::Data(_) => model,
            Self::Gemini => model.strip_prefix("models/").unwrap_or(model),
        }
    }

    /// The model an entry stands for, without `models/` where that is a prefix of the format.
    fn id(self, entry: &[u8]) -> Option<String> {
        let name = match self {
            Self::Data(_) => "id",
            Self::Gemini => "name",
        };
        scan::member(entry, name).and_then(scan::string).map(|id| self.bare(&id).to_owned())
    }

    /// An entry for a model that only the gateway knows.
    fn entry(self, model: &str) -> Value {
        match self {
            Self::Data(Channel::Anthropic) => json!({
                "id": model, "object": "model", "created": 0, "owned_by": "system",
                "type": "model", "display_name": model, "created_at": "1970-01-01T00:00:00Z",
            }),
            Self::Data(_) => json!({"id": model, "object": "model", "created": 0, "owned_by": "system"}),
            Self::Gemini => json!({
                "name": format!("models/{}", self.bare(model)),
                "displayName": model,
                "supportedGenerationMethods": ["generateContent"],
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(channel: Channel, body: &str, sources: &[&str], strict: bool, first_page: bool) -> Option<String> {
        let rules = ListRules { sources, strict, first_page };
        rewrite(channel, body.as_bytes(), &rules).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    const OPENAI: &str = r#"{"object":"list", "data":[{"id":"a","created":1.0},{"id":"b"}]}"#;
    const GEMINI: &str = r#"{"models":[{"name":"models/a"},{"name":"models/b"}],"nextPageToken":"x"}"#;
    const NEW: &str = r#"{"id":"new","object":"model","created":0,"owned_by":"system"}"#;
    const NEW_GEMINI: &str =
        r#"{"name":"models/new","displayName":"new","supportedGenerationMethods":["generateContent"]}"#;

    #[test]
    fn lists_are_known_by_their_path() {
        for (method, path, expected) in [
            ("GET", "/v1/models", true),
            ("GET", "/v1beta/models/", true),
            ("GET", "/models", true),
            ("GET", "/v1beta/openai/v1/models", true),
            ("GET", "/v1beta/openai/models", true),
            ("POST", "/v1/models", false),
            ("GET", "/v1/models/a", false),
            ("GET", "/v1/chat/completions", false),
        ] {
            assert_eq!(is_list(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn missing_sources_are_added() {
        assert_eq!(
            rewritten(Channel::OpenAi, OPENAI, &["b", "new"], false, true),
            Some(format!(r#"{{"object":"list", "data":[{{"id":"a","created":1.0}},{{"id":"b"}},{NEW}]}}"#))
        );
        assert_eq!(
            rewritten(Channel::Gemini, GEMINI, &["a", "models/b", "new"], false, true),
            Some(format!(
                r#"{{"models":[{{"name":"models/a"}},{{"name":"models/b"}},{NEW_GEMINI}],"nextPageToken":"x"}}"#
            ))
        );
        assert_eq!(
            rewritten(Channel::Gemini, r#"{"data":[]}"#, &["new"], false, true),
            Some(format!(r#"{{"data":[{NEW}]}}"#))
        );
        let anthropic =
            rewritten(Channel::Anthropic, r#"{"data":[],"has_more":false}"#, &["new"], false, true).unwrap();
        assert!(anthropic.contains(r#""type":"model","display_name":"new","created_at":"#), "{anthropic}");
    }

    #[test]
    fn strict_shows_sources_only() {
        assert_eq!(
            rewritten(Channel::OpenAi, OPENAI, &["a", "new"], true, true),
            Some(format!(r#"{{"object":"list","data":[{{"id":"a","created":1.0}},{NEW}]}}"#))
        );
        assert_eq!(
            rewritten(Channel::Gemini, GEMINI, &["models/a", "new"], true, false),
            Some(format!(r#"{{"models":[{{"name":"models/a"}},{NEW_GEMINI}]}}"#))
        );
    }

    #[test]
    fn the_rest_stays_as_it_is() {
        assert_eq!(rewritten(Channel::OpenAi, OPENAI, &[], true, true), None);
        assert_eq!(rewritten(Channel::OpenAi, OPENAI, &["a"], false, true), None);
        assert_eq!(rewritten(Channel::Gemini, GEMINI, &["new"], false, false), None);
        for body in ["", "[]", "{}", r#"{"data":{}}"#, r#"{"models":[]}"#, r#"{"data":[1"#] {
            assert_eq!(rewritten(Channel::OpenAi, body, &["new"], false, true), None, "{body}");
            assert_eq!(rewritten(Channel::OpenAi, body, &["new"], true, true), None, "{body}");
        }
    }
}
