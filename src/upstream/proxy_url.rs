//! The URL of an outbound proxy.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gpt_load_schema::secret::Secret;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyScheme {
    /// HTTP: `CONNECT` for https upstreams, absolute-form requests for http ones.
    Http,
    /// The same inside TLS to the proxy.
    Https,
    /// SOCKS 5 (RFC 1928); names are resolved here.
    Socks5,
    /// SOCKS 5; names are resolved by the proxy.
    Socks5h,
}

/// Name and password for a proxy, percent-decoded.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) name: String,
    pub(super) password: Secret,
}

/// A valid proxy URL. `Debug` and `Display` show no credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    pub(super) scheme: ProxyScheme,
    /// Without the brackets of an IPv6 literal.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) credentials: Option<Credentials>,
}

/// The rule a proxy URL breaks; never its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyUrlError {
    /// Not a URL.
    #[error("the proxy URL cannot be parsed; write scheme://[user:password@]host:port")]
    Malformed,
    /// A scheme other than the known ones.
    #[error("the proxy URL must begin with http://, https://, socks5:// or socks5h://")]
    UnknownScheme,
    /// No host.
    #[error("the proxy URL has no host")]
    NoHost,
    /// Port 0.
    #[error("the port of the proxy URL must be between 1 and 65535")]
    BadPort,
    /// A path, query or fragment.
    #[error("the proxy URL must end behind the port")]
    Path,
    /// Credentials that are not UTF-8 once decoded, or that hold control characters.
    #[error("user and password of the proxy URL must be percent-encoded UTF-8 without control characters")]
    BadCredentials,
    /// SOCKS 5 limits name and password (RFC 1929).
    #[error("user and password of a SOCKS proxy must have 1 to 255 bytes each")]
    CredentialsLength,
    /// HTTP Basic separates the user with a colon (RFC 7617).
    #[error("the user of an HTTP proxy must not contain a colon")]
    ColonInUser,
}

impl ProxyUrl {
    /// How the proxy is spoken to.
    pub fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// The value of `Proxy-Authorization` (RFC 7617).
    pub(super) fn basic_authorization(&self) -> Option<Secret> {
        let credentials = self.credentials.as_ref()?;
        let pair = Secret::new(format!("{}:{}", credentials.name, credentials.password.expose()));
        Some(Secret::new(format!("Basic {}", STANDARD.encode(pair.expose()))))
    }

    /// Whether requests to plain http upstreams go to the proxy in absolute form.
    pub(super) fn takes_absolute_form(&self) -> bool {
        matches!(self.scheme, ProxyScheme::Http | ProxyScheme::Https)
    }
}

impl FromStr for ProxyUrl {
    type Err = ProxyUrlError;

    /// Parses `scheme://[user:password@]host[:port]`; `http://` may be left out.
    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        let text = text.trim();
        let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        let url = url.map_err(|error| match error {
            url::ParseError::EmptyHost => ProxyUrlError::NoHost,
            url::ParseError::InvalidPort => ProxyUrlError::BadPort,
            _ => ProxyUrlError::Malformed,
        })?;
        let (scheme, default_port) = match url.scheme() {
            "http" => (ProxyScheme::Http, 80),
            "https" => (ProxyScheme::Https, 443),
            "socks5" => (ProxyScheme::Socks5, 1080),
            "socks5h" => (ProxyScheme::Socks5h, 1080),
            _ => return Err(ProxyUrlError::UnknownScheme),
        };
        let host = match url.host().ok_or(ProxyUrlError::NoHost)? {
            Host::Domain("") => return Err(ProxyUrlError::NoHost),
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = url.port().unwrap_or(default_port);
        if port == 0 {
            return Err(ProxyUrlError::BadPort);
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyUrlError::Path);
        }
        Ok(Self { scheme, host, port, credentials: credentials(&url, scheme)? })
    }
}

fn credentials(url: &Url, scheme: ProxyScheme) -> Result<Option<Credentials>, ProxyUrlError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let name = decoded(url.username())?;
    let password = Secret::new(decoded(url.password().unwrap_or_default())?);
    match scheme {
        ProxyScheme::Socks5 | ProxyScheme::Socks5h => {
            let fits = |text: &str| (1..=255).contains(&text.len());
            if !fits(&name) || !fits(password.expose()) {
                return Err(ProxyUrlError::CredentialsLength);
            }
        }
        ProxyScheme::Http | ProxyScheme::Https if name.contains(':') => return Err(ProxyUrlError::ColonInUser),
        ProxyScheme::Http | ProxyScheme::Https => {}
    }
    Ok(Some(Credentials { name, password }))
}

fn decoded(text: &str) -> Result<String, ProxyUrlError> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| ProxyUrlError::BadCredentials)?;
    if text.chars().any(char::is_control) {
        return Err(ProxyUrlError::BadCredentials);
    }
    Ok(text.into_owned())
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            ProxyScheme::Http => "http",
            ProxyScheme::Https => "https",
            ProxyScheme::Socks5 => "socks5",
            ProxyScheme::Socks5h => "socks5h",
        };
        write!(f, "{scheme}://{}", super::address::host_and_port(&self.host, self.port))
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

impl Hash for ProxyUrl {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.scheme, &self.host, self.port).hash(state);
        if let Some(credentials) = &self.credentials {
            (&credentials.name, credentials.password.expose()).hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_url_is_taken_apart() {
        let proxy: ProxyUrl = "socks5h://us%40er:p%3Aa%2Fs%73@proxy.example:1081".parse().unwrap();
        assert_eq!(proxy.scheme, ProxyScheme::Socks5h);
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 1081));
        let credentials = proxy.credentials.as_ref().unwrap();
        assert_eq!((credentials.name.as_str(), credentials.password.expose()), ("us@er", "p:a/ss"));
        assert_eq!(format!("{proxy:?} {proxy}"), "ProxyUrl(socks5h://proxy.example:1081) socks5h://proxy.example:1081");
    }

    #[test]
    fn defaults_are_filled_in() {
        for (text, shown) in [
            ("http://h", "http://h:80"),
            ("https://h/", "https://h:443"),
            ("socks5://h", "socks5://h:1080"),
            ("h:3128", "http://h:3128"),
            ("http://[::1]:3128", "http://[::1]:3128"),
            ("socks5://[::1]", "socks5://[::1]:1080"),
        ] {
            assert_eq!(text.parse::<ProxyUrl>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn a_broken_url_names_the_rule_and_hides_the_credentials() {
        let long = format!("socks5://user:{}@h", "x".repeat(256));
        for (text, error) in [
            ("ftp://user:hunter2@h", ProxyUrlError::UnknownScheme),
            ("socks4://user:hunter2@h", ProxyUrlError::UnknownScheme),
            ("http://user:hunter2@h:99999", ProxyUrlError::BadPort),
            ("http://user:hunter2@h:0", ProxyUrlError::BadPort),
            ("http://user:hunter2@h/path", ProxyUrlError::Path),
            ("http://user:hunter2@h?q", ProxyUrlError::Path),
            ("http://user:hunter2@", ProxyUrlError::NoHost),
            ("http://user:hunter2%ff@h", ProxyUrlError::BadCredentials),
            ("http://user:hunter2%0d%0a@h", ProxyUrlError::BadCredentials),
            ("http://us%3aer:hunter2@h", ProxyUrlError::ColonInUser),
            ("socks5://user@h", ProxyUrlError::CredentialsLength),
            (long.as_str(), ProxyUrlError::CredentialsLength),
            ("http://h h", ProxyUrlError::Malformed),
        ] {
            assert_eq!(text.parse::<ProxyUrl>(), Err(error), "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn http_credentials_become_basic_authorization() {
        let proxy: ProxyUrl = "http://Aladdin:open%20sesame@h".parse().unwrap();
        assert_eq!(proxy.basic_authorization().unwrap().expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!("http://h".parse::<ProxyUrl>().unwrap().basic_authorization(), None);
    }
}
