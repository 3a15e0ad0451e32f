//! The outbound proxy of the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` and their lower-case forms.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::address::unbracketed;
use super::proxy_url::{ProxyUrl, ProxyUrlError};

/// Proxies named by the environment. A `proxy_url` of a group or of the node precedes them and ignores `NO_PROXY`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyEnv {
    http: Option<Arc<ProxyUrl>>,
    https: Option<Arc<ProxyUrl>>,
    exceptions: NoProxy,
}

/// A variable that does not hold a proxy URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {source}")]
pub struct ProxyEnvError {
    /// Name of the variable.
    pub variable: &'static str,
    /// The rule it breaks.
    pub source: ProxyUrlError,
}

impl ProxyEnv {
    /// Reads the variables with `variable`; the lower-case form wins, an empty value counts as none.
    ///
    /// # Errors
    /// When a variable that applies does not hold a proxy URL.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyEnvError> {
        let proxy = |names: &[&'static str]| {
            for &name in names {
                let Some(text) = variable(name).filter(|text| !text.trim().is_empty()) else { continue };
                let proxy = text.parse().map_err(|source| ProxyEnvError { variable: name, source })?;
                return Ok(Some(Arc::new(proxy)));
            }
            Ok(None)
        };
        let exceptions = variable("no_proxy").filter(|text| !text.trim().is_empty()).or_else(|| variable("NO_PROXY"));
        Ok(Self {
            http: proxy(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?,
            https: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            exceptions: NoProxy::parse(&exceptions.unwrap_or_default()),
        })
    }

    /// The proxy for an upstream; `host` may be bracketed.
    pub fn proxy_for(&self, https: bool, host: &str, port: u16) -> Option<&Arc<ProxyUrl>> {
        let proxy = if https { self.https.as_ref() } else { self.http.as_ref() }?;
        (!self.exceptions.matches(host, port)).then_some(proxy)
    }
}

/// The hosts of `NO_PROXY`: names (with all names below them), addresses, CIDR ranges, each with an optional port; `*` for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct NoProxy(Vec<Exception>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Exception {
    host: Hosts,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    /// Lower case, without a leading dot.
    Domain(String),
    Range(IpNet),
}

impl NoProxy {
    fn parse(text: &str) -> Self {
        Self(text.split([',', ' ', '\t', '\n']).filter(|item| !item.is_empty()).map(Exception::parse).collect())
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        let host = unbracketed(host).trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok();
        self.0.iter().any(|exception| {
            exception.port.is_none_or(|only| only == port)
                && match &exception.host {
                    Hosts::All => true,
                    Hosts::Domain(domain) => {
                        address.is_none()
                            && host
                                .strip_suffix(domain.as_str())
                                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                    }
                    Hosts::Range(range) => address.is_some_and(|address| range.contains(&address)),
                }
        })
    }
}

impl Exception {
    fn parse(item: &str) -> Self {
        if let Some(host) = Hosts::numeric(item) {
            return Self { host, port: None };
        }
        let (host, port) = match item.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) => (host, Some(port)),
            _ => (item, None),
        };
        let host = Hosts::numeric(host).unwrap_or_else(|| {
            let domain = host.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
            if domain == "*" { Hosts::All } else { Hosts::Domain(domain) }
        });
        Self { host, port }
    }
}

impl Hosts {
    fn numeric(text: &str) -> Option<Self> {
        let text = unbracketed(text);
        let range = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
        Some(Self::Range(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<ProxyEnv, ProxyEnvError> {
        ProxyEnv::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn shown(proxies: &ProxyEnv, https: bool) -> Option<String> {
        proxies.proxy_for(https, "api.example.com", 443).map(|proxy| proxy.to_string())
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_is_the_rest() {
        let proxies = environment(&[("HTTP_PROXY", "http://a:1"), ("ALL_PROXY", "socks5://b:2")]).unwrap();
        assert_eq!(shown(&proxies, false).unwrap(), "http://a:1");
        assert_eq!(shown(&proxies, true).unwrap(), "socks5://b:2");
        let lower = environment(&[("https_proxy", "http://low:1"), ("HTTPS_PROXY", "http://up:1")]).unwrap();
        assert_eq!(shown(&lower, true).unwrap(), "http://low:1");
        assert_eq!(shown(&lower, false), None);
        assert_eq!(environment(&[("HTTP_PROXY", " ")]).unwrap(), ProxyEnv::default());
    }

    #[test]
    fn a_broken_variable_is_named_without_its_value() {
        let error = environment(&[("HTTPS_PROXY", "ftp://user:hunter2@h")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "HTTPS_PROXY: the proxy URL must begin with http://, https://, socks5:// or socks5h://"
        );
    }

    #[test]
    fn no_proxy_knows_names_ports_addresses_and_ranges() {
        for (rule, host, port, expected) in [
            ("*", "anything.example", 443, true),
            ("example.com", "example.com", 443, true),
            ("example.com", "api.example.com", 443, true),
            ("example.com", "notexample.com", 443, false),
            (".example.com", "api.example.com", 443, true),
            (".example.com", "example.com", 443, true),
            ("*.example.com", "api.example.com", 443, true),
            ("EXAMPLE.com", "Api.Example.COM.", 443, true),
            ("example.com:8443", "example.com", 8443, true),
            ("example.com:8443", "example.com", 443, false),
            ("*:8443", "example.com", 8443, true),
            ("10.0.0.0/8", "10.1.2.3", 80, true),
            ("10.0.0.0/8", "11.1.2.3", 80, false),
            ("10.0.0.0/8", "10.example", 80, false),
            ("127.0.0.1", "127.0.0.1", 80, true),
            ("127.0.0.1:8080", "127.0.0.1", 80, false),
            ("127.0.0.1:8080", "127.0.0.1", 8080, true),
            ("::1", "[::1]", 80, true),
            ("[::1]:8080", "[::1]", 8080, true),
            ("[::1]:8080", "::1", 80, false),
            ("fd00::/8", "fd12::1", 80, true),
            ("a.example, b.example", "b.example", 80, true),
            ("", "b.example", 80, false),
        ] {
            assert_eq!(NoProxy::parse(rule).matches(host, port), expected, "{rule} {host}:{port}");
        }
        let proxies = environment(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", "api.example.com")]).unwrap();
        assert_eq!(shown(&proxies, true), None);
        assert!(proxies.proxy_for(true, "other.example", 443).is_some());
    }
}
