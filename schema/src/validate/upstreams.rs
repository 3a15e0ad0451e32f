//! Provider base URLs.

use std::net::{IpAddr, Ipv6Addr};

use url::{Host, Url};

use super::FieldError;
use crate::group::Upstream;

/// Where upstreams may point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamPolicy {
    /// Allows link-local addresses (169.254.0.0/16, fe80::/10), among them the metadata services of clouds, which hand
    /// out credentials to whoever asks from inside.
    pub allow_link_local: bool,
}

const FIELD: &str = "upstreams";
/// Bytes of a base URL; with the request path it must fit the log's address column.
const MAX_URL_BYTES: usize = 400;
/// Largest weight; far above any sensible share, far below overflow of their sum.
const MAX_WEIGHT: u32 = 1_000_000;

/// The upstreams with trimmed URLs, or every rule they break.
pub fn upstreams(entered: &[Upstream], policy: UpstreamPolicy) -> Result<Vec<Upstream>, Vec<FieldError>> {
    if entered.is_empty() {
        return Err(vec![FieldError::new(FIELD, "upstreams_empty", "at least one upstream is needed")]);
    }
    let mut errors = Vec::new();
    let mut checked = Vec::with_capacity(entered.len());
    for (index, upstream) in entered.iter().enumerate() {
        let url = upstream.url.trim().to_owned();
        if let Err((code, message)) = base_url(&url, policy) {
            errors.push(FieldError::new(format!("{FIELD}[{index}].url"), code, message));
        }
        if upstream.weight > MAX_WEIGHT {
            let message = format!("the weight is at most {MAX_WEIGHT}");
            errors.push(FieldError::new(format!("{FIELD}[{index}].weight"), "upstream_weight", message));
        }
        checked.push(Upstream { url, weight: upstream.weight });
    }
    if entered.iter().all(|upstream| upstream.weight == 0) {
        errors.push(FieldError::new(FIELD, "upstreams_all_off", "at least one upstream needs a weight above 0"));
    }
    if errors.is_empty() { Ok(checked) } else { Err(errors) }
}

fn base_url(text: &str, policy: UpstreamPolicy) -> Result<(), (&'static str, String)> {
    let refuse = |code, message: &str| Err((code, message.to_owned()));
    if text.is_empty() {
        return refuse("upstream_url_empty", "the URL is empty");
    }
    if text.len() > MAX_URL_BYTES {
        return Err(("upstream_url_long", format!("the URL is longer than {MAX_URL_BYTES} bytes")));
    }
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return refuse("upstream_url_scheme", "the URL must start with http:// or https://");
    }
    let Ok(url) = Url::parse(text) else {
        return refuse("upstream_url", "the URL is malformed; it takes a host, an optional port and a base path");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("upstream_url_credentials", "the URL must not hold a user or a password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("upstream_url_query", "the URL must end with its path, without `?` and `#`");
    }
    if !policy.allow_link_local && url.host().is_some_and(|host| is_link_local(&host)) {
        return refuse("upstream_link_local", "the URL points to a link-local address");
    }
    Ok(())
}

fn is_link_local(host: &Host<&str>) -> bool {
    let address = match host {
        Host::Ipv4(address) => IpAddr::V4(*address),
        Host::Ipv6(address) => IpAddr::V6(*address).to_canonical(),
        Host::Domain(_) => return false,
    };
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address == METADATA_V6,
    }
}

/// The metadata service of EC2 over IPv6, a unique local address.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);
