//! Which headers pass, and the group's changes to them.

mod rules;

use actix_http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName};

pub use self::rules::{CompiledRules, RuleVars};
use super::credential::is_credential;

/// What a client sent, as it goes to an upstream: all values of all headers, without the hop-by-hop ones (RFC 9110,
/// section 7.6.1), without credentials, and without those that the outbound call makes anew (`Host`, `Content-Length`,
/// `Expect`).
///
/// `X-Forwarded-*` pass as the client sent them: the gateway adds none, and a header rule can remove them.
pub fn forward_request(client: &HeaderMap) -> HeaderMap {
    forward(client, |name| !is_credential(name) && !matches!(*name, HOST | CONTENT_LENGTH | EXPECT))
}

/// What an upstream answered, as it goes to the client: all values of all headers but the hop-by-hop ones and those by
/// which the gateway speaks of itself. `Content-Length` stays.
pub fn forward_response(upstream: &HeaderMap) -> HeaderMap {
    forward(upstream, |name| !name.as_str().starts_with("x-gpt-load-"))
}

fn forward(from: &HeaderMap, passes: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut to = HeaderMap::with_capacity(from.len_keys());
    for (name, value) in from {
        if !is_hop_by_hop(name) && passes(name) {
            to.append(name.clone(), value.clone());
        }
    }
    for named in from.get_all(CONNECTION).filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')) {
        to.remove(named.trim());
    }
    to
}

/// Whether a header belongs to one connection only.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        lines.iter().map(pair).collect()
    }

    fn lines(headers: &HeaderMap) -> Vec<(&str, &str)> {
        let mut lines: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn a_request_loses_credentials_and_what_belongs_to_its_connection() {
        let client = headers(&[
            ("accept", "a"),
            ("accept", "b"),
            ("anthropic-beta", "x"),
            ("api-key", "secret"),
            ("authorization", "secret"),
            ("connection", "close, X-Hop"),
            ("connection", "x-hop2,,bad name"),
            ("content-length", "3"),
            ("content-type", "application/json"),
            ("cookie", "c=1"),
            ("expect", "100-continue"),
            ("host", "gateway"),
            ("keep-alive", "5"),
            ("proxy-authorization", "secret"),
            ("te", "trailers"),
            ("traceparent", "00-1-2-01"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-api-key", "secret"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-goog-api-key", "secret"),
            ("x-hop", "1"),
            ("x-hop2", "1"),
        ]);
        assert_eq!(
            lines(&forward_request(&client)),
            [
                ("accept", "a"),
                ("accept", "b"),
                ("anthropic-beta", "x"),
                ("content-type", "application/json"),
                ("cookie", "c=1"),
                ("traceparent", "00-1-2-01"),
                ("x-forwarded-for", "192.0.2.1"),
            ]
        );
    }

    #[test]
    fn an_answer_keeps_all_values() {
        let upstream = headers(&[
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("trailer", "x"),
        ]);
        assert_eq!(
            lines(&forward_response(&upstream)),
            [("content-encoding", "gzip"), ("content-length", "5"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
        );
    }
}
