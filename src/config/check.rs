//! Checks of single values beyond type and range.

use url::Url;

pub(super) fn base_path(text: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let good = text.starts_with('/') && !text.contains("//") && !text.contains("..") && text.bytes().all(plain);
    good.then_some(()).ok_or("must be / or a path such as /gateway")
}

pub(super) fn group_name(text: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (text.len() <= 100 && text.bytes().all(plain))
        .then_some(())
        .ok_or("must be 1 to 100 small letters, digits, hyphens or underscores")
}

/// What is part of the names of keys in Redis.
pub(super) fn cluster_name(text: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    ((1..=64).contains(&text.len()) && text.bytes().all(plain))
        .then_some(())
        .ok_or("must be 1 to 64 letters, digits, hyphens, underscores or dots")
}

/// `host:port`; of IPv6 the address in brackets.
pub(super) fn node_address(text: &str) -> Result<(), &'static str> {
    let good = text.parse::<http::uri::Authority>().is_ok_and(|authority| {
        !authority.host().is_empty() && authority.port_u16().is_some_and(|port| port > 0) && !text.contains('@')
    });
    good.then_some(()).ok_or("must be host:port, with the address of IPv6 in brackets")
}

/// A proxy URL; `host:port` alone means `http://`.
pub(super) fn proxy_url(text: &str) -> Result<(), &'static str> {
    let schemes = ["http", "https", "socks5", "socks5h"];
    let good =
        if text.contains("://") { has_host(text, &schemes) } else { has_host(&format!("http://{text}"), &schemes) };
    good.then_some(()).ok_or("must be the URL of an http, https, socks5 or socks5h proxy")
}

pub(super) fn base_urls(text: &str) -> Result<(), &'static str> {
    text.split(',')
        .map(str::trim)
        .all(|url| url.is_empty() || has_host(url, &["http", "https"]))
        .then_some(())
        .ok_or("must be http:// or https:// URLs, separated by commas")
}

/// The address of a collector. Its keys belong into `OTEL_EXPORTER_OTLP_HEADERS`, where nothing shows them.
pub(super) fn collector(text: &str) -> Result<(), &'static str> {
    let without_user = |url: Url| url.username().is_empty() && url.password().is_none();
    (has_host(text, &["http", "https"]) && Url::parse(text).is_ok_and(without_user))
        .then_some(())
        .ok_or("must be an http:// or https:// URL without user and password")
}

pub(super) fn otlp_protocol(text: &str) -> Result<(), &'static str> {
    ["http/protobuf", "grpc"].contains(&text).then_some(()).ok_or("must be http/protobuf or grpc")
}

pub(super) fn traces_exporter(text: &str) -> Result<(), &'static str> {
    ["otlp", "none"].contains(&text).then_some(()).ok_or("must be otlp or none")
}

pub(super) fn sampler(text: &str) -> Result<(), &'static str> {
    let plain = text.strip_prefix("parentbased_").unwrap_or(text);
    ["always_on", "always_off", "traceidratio"]
        .contains(&plain)
        .then_some(())
        .ok_or("must be always_on, always_off or traceidratio, or one of them behind parentbased_")
}

/// A number from 0 to 1.
pub(super) fn share(text: &str) -> Result<(), &'static str> {
    let good = text.parse::<f64>().is_ok_and(|share| (0.0..=1.0).contains(&share));
    good.then_some(()).ok_or("must be a number from 0 to 1")
}

fn has_host(text: &str, schemes: &[&str]) -> bool {
    Url::parse(text).is_ok_and(|url| schemes.contains(&url.scheme()) && url.host_str().is_some_and(|h| !h.is_empty()))
}
