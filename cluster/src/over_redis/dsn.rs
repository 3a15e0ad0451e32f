use std::{fmt, str::FromStr};

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// A port of a sentinel that is not named.
const SENTINEL_PORT: u16 = 26_379;

/// Where Redis is: `redis://`, `rediss://` (TLS), `unix://` or, behind sentinels, `redis+sentinel://` and
/// `rediss+sentinel://`. Prints no password.
#[derive(Clone)]
pub struct RedisDsn(pub(super) Place);

#[derive(Clone)]
pub(super) enum Place {
    Server(ConnectionInfo),
    Sentinels(Sentinels),
}

/// `redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/database]`; user and password are those of the
/// server. `?sentinel_user=…&sentinel_password=…` are those of the sentinels.
#[derive(Clone)]
pub(super) struct Sentinels {
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) service: String,
    pub(super) database: i64,
    pub(super) server: Credentials,
    pub(super) sentinel: Credentials,
    pub(super) is_tls: bool,
}

#[derive(Clone, Default)]
pub(super) struct Credentials {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// A name of Redis that is none. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be redis://[user:password@]host[:port][/database], rediss:// for TLS, unix:///path, or \
     redis+sentinel://host[:port],…/service[/database]"
)]
pub struct RedisDsnError;

impl FromStr for RedisDsn {
    type Err = RedisDsnError;

    fn from_str(dsn: &str) -> Result<Self, RedisDsnError> {
        let (scheme, rest) = dsn.split_once("://").ok_or(RedisDsnError)?;
        let place = match scheme {
            "redis" | "rediss" | "unix" | "redis+unix" => {
                let info = dsn.into_connection_info().map_err(|_| RedisDsnError)?;
                let is_named = match info.addr() {
                    ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => !host.is_empty(),
                    ConnectionAddr::Unix(path) => !path.as_os_str().is_empty(),
                    _ => false,
                };
                // The library takes a URL without a host for one of this machine.
                let is_written = scheme.ends_with("unix") || url::Url::parse(dsn).is_ok_and(|url| url.has_host());
                (is_named && is_written).then_some(Place::Server(info)).ok_or(RedisDsnError)?
            }
            "redis+sentinel" | "rediss+sentinel" => {
                Place::Sentinels(Sentinels::parse(rest, scheme.starts_with("rediss")).ok_or(RedisDsnError)?)
            }
            _ => return Err(RedisDsnError),
        };
        Ok(Self(place))
    }
}

impl Sentinels {
    fn parse(rest: &str, is_tls: bool) -> Option<Self> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/')?;
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let hosts = hosts.split(',').map(host).collect::<Option<Vec<_>>>()?;
        let (service, database) =
            path.trim_end_matches('/').split_once('/').unwrap_or((path.trim_end_matches('/'), "0"));
        let mut sentinel = Credentials::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=')? {
                ("sentinel_user", value) => sentinel.user = decoded(value)?,
                ("sentinel_password", value) => sentinel.password = decoded(value)?,
                _ => return None,
            }
        }
        Some(Self {
            hosts,
            service: decoded(service)??,
            database: database.parse().ok().filter(|database| *database >= 0)?,
            server: Credentials { user: decoded(user)?, password: decoded(password)? },
            sentinel,
            is_tls,
        })
    }
}

/// The outer `None` = no text; the inner = an empty one.
fn decoded(text: &str) -> Option<Option<String>> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some((!text.is_empty()).then(|| text.into_owned()))
}

fn host(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(SENTINEL_PORT), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

impl RedisDsn {
    /// Host and port that lead to it, as far as there are any; of sentinels the first.
    pub fn host(&self) -> Option<(&str, u16)> {
        match &self.0 {
            Place::Server(info) => match info.addr() {
                ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some((host, *port)),
                _ => None,
            },
            Place::Sentinels(sentinels) => sentinels.hosts.first().map(|(host, port)| (host.as_str(), *port)),
        }
    }

    pub(super) fn database(&self) -> i64 {
        match &self.0 {
            Place::Server(info) => info.redis_settings().db(),
            Place::Sentinels(sentinels) => sentinels.database,
        }
    }
}

impl fmt::Debug for RedisDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where it is, without user and password.
impl fmt::Display for RedisDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Server(info) => write!(f, "{}", info.addr()),
            Place::Sentinels(sentinels) => write!(f, "service {} of the sentinels", sentinels.service),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_a_url() {
        for (dsn, place, database) in [
            ("redis://127.0.0.1", "127.0.0.1:6379", 0),
            ("redis://:s%40cret@redis.lan:6380/3", "redis.lan:6380", 3),
            ("rediss://user:s3cret@redis.lan/1", "redis.lan:6379", 1),
            ("redis://[::1]:7000", "::1:7000", 0),
            ("unix:///run/redis.sock", "/run/redis.sock", 0),
        ] {
            let parsed: RedisDsn = dsn.parse().unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.database()), (place, database), "{dsn}");
            assert!(!format!("{parsed:?}").contains("cret"), "{parsed:?}");
        }
    }

    #[test]
    fn sentinels_are_named_together_with_their_service() {
        let dsn = "rediss+sentinel://u:p%2Fw@a,b:26380,[::1]:1/main/2?sentinel_password=x%26y";
        let RedisDsn(Place::Sentinels(sentinels)) = dsn.parse().unwrap() else { panic!("{dsn}") };
        let host = |name: &str, port| (name.to_owned(), port);
        assert_eq!(sentinels.hosts, [host("a", 26_379), host("b", 26_380), host("::1", 1)]);
        assert_eq!((sentinels.service.as_str(), sentinels.database, sentinels.is_tls), ("main", 2, true));
        assert_eq!((sentinels.server.user.as_deref(), sentinels.server.password.as_deref()), (Some("u"), Some("p/w")));
        assert_eq!((sentinels.sentinel.user, sentinels.sentinel.password.as_deref()), (None, Some("x&y")));
        let printed = format!("{:?}", dsn.parse::<RedisDsn>());
        assert_eq!(printed, "Ok(service main of the sentinels)");
    }

    #[test]
    fn what_names_no_redis_is_refused_without_being_repeated() {
        for dsn in [
            "",
            "redis://",
            "redis:///0",
            "localhost:6379",
            "http://host",
            "unix://",
            "redis+sentinel://a",
            "redis+sentinel://a/",
            "redis+sentinel:///main",
            "redis+sentinel://a,/main",
            "redis+sentinel://a/main/x",
            "redis+sentinel://a:b/main",
            "redis+sentinel://a/main?tls=1",
            "redis://host:port",
            "redis://host/first",
        ] {
            assert_eq!(dsn.parse::<RedisDsn>().err(), Some(RedisDsnError), "{dsn}");
        }
    }
}
