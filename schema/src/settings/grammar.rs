//! The grammars of text settings.

use percent_encoding::percent_decode_str;
use url::Url;

/// Whether `text` is a list of status codes and ranges: comma- or newline-separated, 100–999, `a-b` with a ≤ b.
///
/// Empty tokens are ignored; the empty text is valid and matches nothing (management-api.md 4.9).
pub(super) fn is_status_code_list(text: &str) -> bool {
    text.split([',', '\n']).map(str::trim).filter(|token| !token.is_empty()).all(|token| match token.split_once('-') {
        None => status_code(token).is_some(),
        Some((first, last)) => matches!((status_code(first), status_code(last)), (Some(a), Some(b)) if a <= b),
    })
}

fn status_code(text: &str) -> Option<u16> {
    let text = text.trim();
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|code| digits && *code >= 100)
}

/// Whether `text` is the URL of an outbound proxy: `http`, `https`, `socks5` or `socks5h`, a host, nothing behind the
/// port, and credentials that can be sent (RFC 1929 for SOCKS, RFC 7617 for HTTP). What this lets through must be
/// usable: a group with a proxy that cannot be asked serves nobody.
pub(super) fn is_proxy_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let is_socks = match url.scheme() {
        "http" | "https" => false,
        "socks5" | "socks5h" => true,
        _ => return false,
    };
    let has_host = url.host_str().is_some_and(|host| !host.is_empty()) && url.port() != Some(0);
    let ends_there = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    has_host && ends_there && has_sendable_credentials(&url, is_socks)
}

fn has_sendable_credentials(url: &Url, is_socks: bool) -> bool {
    let decoded = |text| percent_decode_str(text).decode_utf8().ok().filter(|text| !text.chars().any(char::is_control));
    if url.username().is_empty() && url.password().is_none() {
        return true;
    }
    match (decoded(url.username()), decoded(url.password().unwrap_or_default())) {
        (Some(name), Some(password)) if is_socks => [name, password].iter().all(|text| (1..=255).contains(&text.len())),
        (Some(name), Some(_)) => !name.contains(':'),
        _ => false,
    }
}

/// Whether `text` is a header name (RFC 9110 `token`).
pub(super) fn is_header_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
