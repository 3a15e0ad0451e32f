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
#[derive(Clone, Copy)]
pub struct ListRules<'a> {
    /// The models that redirects make available.
    pub sources: &'a [&'a str],
    /// Whether only those are shown.
    pub strict: bool,
    /// Whether this is the list's first page: the query has no `pageToken`.
    pub first_page: bool,
    /// Which of all these may be shown, by the name that clients ask for; `None` = all.
    pub shows: Option<&'a dyn Fn(&str) -> bool>,
}

/// The list as the group shows it; `None` = the body stays as it is (nothing to change, or no list that is known).
///
/// Entries that stay keep their bytes. Without sources strictness has no effect. The cursors of Anthropic's pages stay, also
/// where they name a model that is not shown: the next page starts there.
pub fn rewrite(channel: Channel, body: &[u8], rules: &ListRules<'_>) -> Option<Vec<u8>> {
    if rules.sources.is_empty() && rules.shows.is_none() {
        return None;
    }
    let strict = rules.strict && !rules.sources.is_empty();
    let list = Scan::array(scan::member(body, "data").unwrap_or_default()).map(|_| Style::Data(channel));
    let style = list.or_else(|| (channel == Channel::Gemini).then_some(Style::Gemini))?;
    let name = style.list_name();
    let raw = scan::member(body, name)?;
    let mut entries = entries(raw)?;
    let listed = entries.len();
    if strict {
        let sources: HashSet<&str> = rules.sources.iter().map(|source| style.bare(source)).collect();
        entries.retain(|entry| style.id(entry).is_some_and(|id| sources.contains(&*id)));
    }
    let present: HashSet<String> = entries.iter().filter_map(|entry| style.id(entry)).collect();
    // A list in pages gets what is missing once.
    let adds = strict || !matches!(style, Style::Gemini) || rules.first_page;
    let missing = rules.sources.iter().filter(|source| adds && !present.contains(style.bare(source)));
    let made: Vec<Vec<u8>> = missing.map(|source| style.entry(source).to_string().into_bytes()).collect();
    entries.extend(made.iter().map(Vec::as_slice));
    if let Some(shows) = rules.shows {
        entries.retain(|entry| style.id(entry).is_none_or(|id| shows(&id)));
    }
    if made.is_empty() && !strict && entries.len() == listed {
        return None;
    }
    let changed = splice::splice(body, &[(name.to_owned(), [b"[", &*entries.join(&b','), b"]"].concat())]).ok()?;
    if strict { splice::without(&changed, |member| member == b"nextPageToken") } else { Some(changed) }
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
        let rules = ListRules { sources, strict, first_page, shows: None };
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
    fn what_may_not_be_shown_is_hidden_redirects_included() {
        let shown = |channel, body: &str, sources: &[&str], strict, first_page| {
            let shows = |model: &str| model != "a" && model != "new";
            let rules = ListRules { sources, strict, first_page, shows: Some(&shows) };
            rewrite(channel, body.as_bytes(), &rules).map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let only_b = Some(r#"{"object":"list", "data":[{"id":"b"}]}"#.to_owned());
        assert_eq!(shown(Channel::OpenAi, OPENAI, &[], true, true), only_b);
        assert_eq!(shown(Channel::OpenAi, OPENAI, &["new"], false, true), only_b);
        assert_eq!(
            shown(Channel::OpenAi, OPENAI, &["b", "new"], true, true),
            Some(r#"{"object":"list","data":[{"id":"b"}]}"#.to_owned())
        );
        let anthropic = r#"{"data":[{"type":"model","id":"a"}],"has_more":true,"last_id":"a"}"#;
        assert_eq!(
            shown(Channel::Anthropic, anthropic, &[], false, true),
            Some(r#"{"data":[],"has_more":true,"last_id":"a"}"#.to_owned())
        );
        for first_page in [true, false] {
            assert_eq!(
                shown(Channel::Gemini, GEMINI, &["new"], false, first_page),
                Some(r#"{"models":[{"name":"models/b"}],"nextPageToken":"x"}"#.to_owned()),
                "every page is filtered"
            );
        }
        assert_eq!(shown(Channel::OpenAi, r#"{"data":[{"id":"b"},{}]}"#, &[], false, true), None);
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
