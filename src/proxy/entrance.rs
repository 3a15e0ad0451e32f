//! Which group a request is for, by its path alone. Pure.

use actix_web::http::Method;
use gpt_load_schema::channel::Channel;

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance<'a> {
    /// `/proxy/{group}/…`: the group and the path below it.
    Named(&'a str, &'a str),
    /// The root: the default group and the path.
    Root(&'a str),
    /// `GET` of a path that no provider serves.
    NotProxied,
}

/// Paths at the root that always belong to the default group.
pub const PROVIDER_PREFIXES: [&str; 3] = ["/v1/", "/v1beta/", "/openai/"];

/// Reads the entrance from a percent-encoded path below the node's prefix.
pub fn entrance<'a>(method: &Method, path: &'a str) -> Entrance<'a> {
    if let Some(rest) = path.strip_prefix("/proxy/") {
        return match rest.find('/') {
            Some(end) => Entrance::Named(&rest[..end], &rest[end..]),
            None => Entrance::Named(rest, "/"),
        };
    }
    let is_read = *method == Method::GET || *method == Method::HEAD;
    if path == "/proxy" || (is_read && !PROVIDER_PREFIXES.iter().any(|prefix| path.starts_with(prefix))) {
        return Entrance::NotProxied;
    }
    Entrance::Root(path)
}

/// The channel whose error shape a client most likely understands, when no group says it.
pub fn likely_channel(path: &str) -> Channel {
    if path.contains("/messages") {
        Channel::Anthropic
    } else if path.contains("/v1beta/") && !path.contains("/openai/") {
        Channel::Gemini
    } else {
        Channel::OpenAi
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_group() {
        let table = [
            (Method::POST, "/proxy/team-a/v1/chat/completions", Entrance::Named("team-a", "/v1/chat/completions")),
            (Method::GET, "/proxy/team-a", Entrance::Named("team-a", "/")),
            (Method::GET, "/proxy/team-a/", Entrance::Named("team-a", "/")),
            (Method::POST, "/proxy//v1/x", Entrance::Named("", "/v1/x")),
            (Method::POST, "/proxy/a/%2Fv1%20x", Entrance::Named("a", "/%2Fv1%20x")),
            (Method::GET, "/v1/models", Entrance::Root("/v1/models")),
            (Method::GET, "/v1beta/models", Entrance::Root("/v1beta/models")),
            (Method::GET, "/openai/deployments/d", Entrance::Root("/openai/deployments/d")),
            (Method::POST, "/chat/completions", Entrance::Root("/chat/completions")),
            (Method::GET, "/favicon.ico", Entrance::NotProxied),
            (Method::HEAD, "/", Entrance::NotProxied),
            (Method::POST, "/proxy", Entrance::NotProxied),
        ];
        for (method, path, expected) in table {
            assert_eq!(entrance(&method, path), expected, "{method} {path}");
        }
    }
}
