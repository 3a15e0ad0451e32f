//! Credentials: the client's proxy key comes in, the provider's key goes out.

use std::str::FromStr;

use actix_http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use gpt_load_schema::{channel::Channel, secret::Secret};

use super::{model::is_gemini_openai, query};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// Version of Anthropic's API asked for when the client names none.
const DEFAULT_ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Hosts of Azure's AI services, which take the key in `api-key`.
/// Source: <https://learn.microsoft.com/azure/ai-services/openai/reference#authentication>.
const AZURE_HOSTS: [&str; 3] = [".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"];

/// Whether a request header carries a credential; none of these reaches an upstream as the client sent it.
pub(super) fn is_credential(name: &HeaderName) -> bool {
    [AUTHORIZATION, X_API_KEY, X_GOOG_API_KEY, API_KEY].contains(name)
}

/// The proxy key of a request: from the query, else `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key`.
/// The first that is not empty counts. `query_key` comes from [`query::take_key`].
pub fn extract_proxy_key(headers: &HeaderMap, query_key: Option<&str>) -> Option<Secret> {
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let filled = |key: &&str| !key.is_empty();
    query_key
        .filter(filled)
        .or_else(|| header(AUTHORIZATION).and_then(bearer).filter(filled))
        .or_else(|| header(X_API_KEY).filter(filled))
        .or_else(|| header(X_GOOG_API_KEY).filter(filled))
        .or_else(|| header(API_KEY).filter(filled))
        .map(Secret::new)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Setting `auth_scheme`: how a group's upstreams want the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthScheme {
    /// As the channel and the host want it.
    #[default]
    Auto,
    /// `Authorization: Bearer`.
    Bearer,
    /// Azure's `api-key` header.
    ApiKey,
}

/// The text named no known scheme.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown auth_scheme `{0}`; known are auto, bearer, api-key")]
pub struct UnknownAuthScheme(pub String);

impl FromStr for AuthScheme {
    type Err = UnknownAuthScheme;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "bearer" => Ok(Self::Bearer),
            "api-key" => Ok(Self::ApiKey),
            _ => Err(UnknownAuthScheme(text.to_owned())),
        }
    }
}

/// The key cannot stand in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key holds a character that no HTTP header may carry; delete the key and add it again")]
pub struct InvalidKey;

/// Puts the provider's key where the upstream wants it: into `headers` or `query`, whose older credentials give way.
///
/// `host` is the upstream's host without a port, `path` the joined path. On the Anthropic channel the API's version is
/// added when the client sent none.
pub fn apply(
    channel: Channel,
    scheme: AuthScheme,
    host: &str,
    path: &str,
    key: &Secret,
    headers: &mut HeaderMap,
    query: &mut Option<String>,
) -> Result<(), InvalidKey> {
    let text = key.expose();
    let bearer = || Ok((AUTHORIZATION, sensitive(&["Bearer ", text].concat())?));
    let (name, value) = match (scheme, channel) {
        (AuthScheme::Bearer, _) => bearer()?,
        (AuthScheme::ApiKey, _) => (API_KEY, sensitive(text)?),
        (AuthScheme::Auto, _) if is_azure(host) => (API_KEY, sensitive(text)?),
        (AuthScheme::Auto, Channel::Anthropic) => (X_API_KEY, sensitive(text)?),
        (AuthScheme::Auto, Channel::Gemini) if !is_gemini_openai(path) => {
            *query = Some(query::set_key(query.as_deref(), text));
            return Ok(());
        }
        (AuthScheme::Auto, _) => bearer()?,
    };
    headers.insert(name, value);
    if channel == Channel::Anthropic && !headers.contains_key(ANTHROPIC_VERSION) {
        headers.insert(ANTHROPIC_VERSION, DEFAULT_ANTHROPIC_VERSION);
    }
    Ok(())
}

fn sensitive(text: &str) -> Result<HeaderValue, InvalidKey> {
    let mut value = HeaderValue::from_str(text).map_err(|_| InvalidKey)?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_azure(host: &str) -> bool {
    let host = host.as_bytes();
    AZURE_HOSTS.iter().any(|suffix| {
        host.len() > suffix.len() && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_first_place_with_a_proxy_key_counts() {
        let all = [("authorization", "Bearer b"), ("x-api-key", "x"), ("x-goog-api-key", "g"), ("api-key", "a")];
        for (query, sent, expected) in [
            (Some("q"), &all[..], Some("q")),
            (Some(""), &all[..], Some("b")),
            (None, &all[1..], Some("x")),
            (None, &all[2..], Some("g")),
            (None, &all[3..], Some("a")),
            (None, &[("authorization", "bearer  b ")], Some("b")),
            (None, &[("authorization", "Basic b"), ("x-api-key", "x")], Some("x")),
            (None, &[("authorization", "Bearer "), ("x-api-key", "x")], Some("x")),
            (None, &[("authorization", "b")], None),
            (None, &[], None),
        ] {
            assert_eq!(extract_proxy_key(&headers(sent), query), expected.map(Secret::from), "{query:?} {sent:?}");
        }
    }

    #[test]
    fn each_upstream_gets_the_key_its_way() {
        use AuthScheme::{ApiKey, Auto, Bearer};
        use Channel::{Anthropic, Gemini, OpenAi, OpenAiResponse};
        let native = "/v1beta/models/g:generateContent";
        for (channel, scheme, host, path, name, value, query) in [
            (OpenAi, Auto, "api.openai.com", "/v1/x", "authorization", "Bearer k/1", None),
            (OpenAiResponse, Auto, "api.openai.com", "/v1/x", "authorization", "Bearer k/1", None),
            (OpenAi, Auto, "my.OpenAI.azure.com", "/v1/x", "api-key", "k/1", None),
            (OpenAi, Auto, "my.services.ai.azure.com", "/v1/x", "api-key", "k/1", None),
            (OpenAi, Auto, "my.cognitiveservices.azure.com", "/v1/x", "api-key", "k/1", None),
            (OpenAi, Auto, "openai.azure.com.evil.org", "/v1/x", "authorization", "Bearer k/1", None),
            (OpenAi, Bearer, "my.openai.azure.com", "/v1/x", "authorization", "Bearer k/1", None),
            (OpenAi, ApiKey, "h", "/v1/x", "api-key", "k/1", None),
            (Anthropic, Auto, "api.anthropic.com", "/v1/messages", "x-api-key", "k/1", None),
            (Anthropic, Bearer, "h", "/v1/messages", "authorization", "Bearer k/1", None),
            (Gemini, Auto, "h", native, "", "", Some("alt=sse&key=k%2F1")),
            (Gemini, Auto, "h", "/v1beta/openai/chat/completions", "authorization", "Bearer k/1", None),
            (Gemini, Bearer, "h", native, "authorization", "Bearer k/1", None),
        ] {
            let mut sent = HeaderMap::new();
            let mut sent_query = Some("alt=sse".to_owned());
            apply(channel, scheme, host, path, &Secret::from("k/1"), &mut sent, &mut sent_query).unwrap();
            assert_eq!(sent_query.as_deref(), Some(query.unwrap_or("alt=sse")), "{channel} {scheme:?} {host}");
            if !name.is_empty() {
                let credential = sent.get(name).unwrap();
                assert_eq!(credential, value, "{channel} {scheme:?} {host}");
                assert!(credential.is_sensitive());
            }
            assert_eq!(sent.contains_key("anthropic-version"), channel == Anthropic);
        }
    }

    #[test]
    fn the_clients_anthropic_version_stays() {
        let mut sent = headers(&[("anthropic-version", "2099-01-01")]);
        let key = Secret::from("k");
        apply(Channel::Anthropic, AuthScheme::Auto, "h", "/v1/messages", &key, &mut sent, &mut None).unwrap();
        assert_eq!(sent.get("anthropic-version").unwrap(), "2099-01-01");
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused() {
        let (mut sent, key) = (HeaderMap::new(), Secret::from("a\r\nb"));
        let refused = apply(Channel::OpenAi, AuthScheme::Auto, "h", "/", &key, &mut sent, &mut None);
        assert_eq!(refused, Err(InvalidKey));
        assert!(sent.is_empty());
    }

    #[test]
    fn schemes_by_name() {
        assert_eq!("auto".parse(), Ok(AuthScheme::Auto));
        assert_eq!("bearer".parse(), Ok(AuthScheme::Bearer));
        assert_eq!("api-key".parse(), Ok(AuthScheme::ApiKey));
        assert_eq!("Basic".parse::<AuthScheme>(), Err(UnknownAuthScheme("Basic".to_owned())));
    }
}
