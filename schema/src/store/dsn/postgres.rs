//! `postgres://user:password@host:port/database?…` and the keyword form `host=… user=…`.

use std::{fmt, path::PathBuf, time::Duration};

use tokio_postgres::Config;

use super::{DsnError, TlsMode, decoded, host_and_port};

/// Words that begin a keyword string.
const KEYWORDS: [&str; 7] = ["host", "hostaddr", "port", "user", "dbname", "password", "sslmode"];
/// Parameters that the driver knows by the same name.
const DRIVERS: [&str; 17] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];
/// Parameters of other clients that mean nothing here: about times, which are stored as numbers, about how statements
/// are sent, and about ways to log in that this program does not offer.
const WITHOUT_MEANING: [&str; 13] = [
    "client_encoding",
    "default_query_exec_mode",
    "description_cache_capacity",
    "fallback_application_name",
    "gssencmode",
    "krbsrvname",
    "min_read_buffer_size",
    "prefer_simple_protocol",
    "sslcompression",
    "sslsni",
    "statement_cache_capacity",
    "statement_cache_mode",
    "timezone",
];
/// How long data may be on its way unanswered before a connection counts as lost.
const SILENCE: Duration = Duration::from_secs(15);

/// A PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresDsn {
    /// The driver's settings; they hold the password and do not show it.
    pub(in crate::store) config: Config,
    /// What `sslmode` asks for.
    pub tls: TlsMode,
    /// `sslrootcert`: certificates (PEM) that are trusted besides those of the system.
    pub root_file: Option<PathBuf>,
}

impl PostgresDsn {
    /// `None` for what is no PostgreSQL DSN.
    pub(super) fn parse(text: &str) -> Option<Result<Self, DsnError>> {
        let url = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        if let Some(rest) = url {
            return Some(from_url(rest).and_then(Self::new));
        }
        let keyword = text.split('=').next().unwrap_or_default().trim_end();
        let is_ours = text.contains('=') && KEYWORDS.contains(&keyword);
        is_ours.then(|| from_keywords(text).and_then(Self::new))
    }

    fn new(parameters: Vec<(String, String)>) -> Result<Self, DsnError> {
        let (mut tls, mut root_file) = (TlsMode::Prefer, None);
        let (mut settings, mut options) = (String::new(), Vec::new());
        for (name, value) in parameters {
            match name.to_ascii_lowercase().as_str() {
                "sslmode" => tls = tls_mode(&value)?,
                "sslrootcert" if value == "system" => {}
                "sslrootcert" => root_file = Some(PathBuf::from(value)),
                "sslcert" | "sslkey" | "passfile" | "service" => {
                    return Err(format!("the PostgreSQL parameter `{name}` is not supported").into());
                }
                "options" => options.push(value),
                known if DRIVERS.contains(&known) => settings.push_str(&format!("{known}={} ", quoted(&value))),
                known if WITHOUT_MEANING.contains(&known) || known.starts_with("pool_") => {}
                // As in other clients, the rest are settings of the server.
                _ if is_setting(&name) => {
                    options.push(format!("-c {name}={}", value.replace('\\', "\\\\").replace(' ', "\\ ")));
                }
                _ => return Err(format!("the PostgreSQL parameter `{name}` is unknown").into()),
            }
        }
        // libpq: a root certificate is there to be checked against.
        if tls == TlsMode::Require && root_file.is_some() {
            tls = TlsMode::VerifyCa;
        }
        let mut config: Config = settings.parse().map_err(|error: tokio_postgres::Error| {
            use std::error::Error as _;
            // The source names the parameter and never its value.
            let reason = error.source().map_or_else(|| "malformed".to_owned(), ToString::to_string);
            DsnError::from(format!("the PostgreSQL parameters are not usable: {reason}"))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("the PostgreSQL host is missing".into());
        }
        if !options.is_empty() {
            config.options(options.join(" "));
        }
        if config.get_application_name().is_none() {
            config.application_name("gpt-load");
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config.ssl_mode(match tls {
            TlsMode::Disable => tokio_postgres::config::SslMode::Disable,
            TlsMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            _ => tokio_postgres::config::SslMode::Require,
        });
        Ok(Self { config, tls, root_file })
    }
}

impl fmt::Display for PostgresDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            tokio_postgres::config::Host::Tcp(host) => host.clone(),
            #[cfg(unix)]
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        });
        let mut hosts: Vec<String> = hosts.collect();
        if hosts.is_empty() {
            hosts = self.config.get_hostaddrs().iter().map(ToString::to_string).collect();
        }
        let ports = self.config.get_ports();
        let port = |at: usize| ports.get(at).or_else(|| ports.first()).copied().unwrap_or(PORT);
        let places: Vec<String> =
            hosts.into_iter().enumerate().map(|(at, host)| format!("{host}:{}", port(at))).collect();
        let database = self.config.get_dbname().or_else(|| self.config.get_user()).unwrap_or_default();
        write!(f, "PostgreSQL at {}/{database}", places.join(","))
    }
}

const PORT: u16 = 5432;

fn tls_mode(value: &str) -> Result<TlsMode, DsnError> {
    match value {
        "disable" => Ok(TlsMode::Disable),
        "allow" | "prefer" => Ok(TlsMode::Prefer),
        "require" => Ok(TlsMode::Require),
        "verify-ca" => Ok(TlsMode::VerifyCa),
        "verify-full" => Ok(TlsMode::VerifyFull),
        _ => Err("`sslmode` is disable, prefer, require, verify-ca or verify-full".into()),
    }
}

fn is_setting(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte))
}

/// `value` as the keyword form takes it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The parameters of what follows the scheme of a URL.
fn from_url(rest: &str) -> Result<Vec<(String, String)>, DsnError> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = credentials.split_once(':').map_or((credentials, None), |(user, rest)| (user, Some(rest)));
    let mut parameters = Vec::new();
    let mut add = |name: &str, value: String| parameters.push((name.to_owned(), value));
    if !user.is_empty() {
        add("user", decoded(user)?);
    }
    if let Some(password) = password {
        add("password", decoded(password)?);
    }
    if !hosts.is_empty() {
        let (mut names, mut ports) = (Vec::new(), Vec::new());
        for host in hosts.split(',') {
            let (name, port) = host_and_port(host, PORT)?;
            names.push(decoded(name)?);
            ports.push(port.to_string());
        }
        if names.iter().any(|name| !name.is_empty()) {
            add("host", names.join(","));
        }
        add("port", ports.join(","));
    }
    if !path.is_empty() {
        add("dbname", decoded(path)?);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        add(&decoded(name)?, decoded(value)?);
    }
    Ok(parameters)
}

/// The parameters of the keyword form: `name = value`, values quoted where they hold blanks.
fn from_keywords(text: &str) -> Result<Vec<(String, String)>, DsnError> {
    const MALFORMED: &str = "the PostgreSQL keyword form is malformed; it is name=value, with blanks between pairs";
    let mut parameters = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or(MALFORMED)?;
        let name = name.trim_end();
        if !is_setting(name) {
            return Err(MALFORMED.into());
        }
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('\'') {
            Some(inside) => until(inside, |character| character == '\'')
                .ok_or("a quote in the PostgreSQL keyword form is not closed")?,
            None => until(after, char::is_whitespace).unwrap_or_else(|| (unescaped(after), "")),
        };
        parameters.push((name.to_owned(), value));
        rest = left.trim_start();
    }
    Ok(parameters)
}

/// What stands before the first character that `ends` and is not escaped, without escapes, and what follows it.
fn until(text: &str, ends: impl Fn(char) -> bool) -> Option<(String, &str)> {
    let mut escaped = false;
    let end = text.char_indices().find(|(_, character)| {
        let is_end = !escaped && ends(*character);
        escaped = !escaped && *character == '\\';
        is_end
    });
    end.map(|(at, character)| (unescaped(&text[..at]), &text[at + character.len_utf8()..]))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> PostgresDsn {
        PostgresDsn::parse(text).expect(text).expect(text)
    }

    #[test]
    fn urls_are_decoded() {
        let dsn =
            parsed("postgres://us%40er:p%40ss%2F%27%5C%3A%23@db.local:6543/load?sslmode=require&search_path=a%20b");
        assert_eq!((dsn.config.get_user(), dsn.config.get_password()), (Some("us@er"), Some(&b"p@ss/'\\:#"[..])));
        assert_eq!((dsn.to_string().as_str(), dsn.tls), ("PostgreSQL at db.local:6543/load", TlsMode::Require));
        assert_eq!(dsn.config.get_options(), Some("-c search_path=a\\ b"));
        for (text, place) in [
            ("postgresql://host", "PostgreSQL at host:5432/"),
            ("postgres://u@[::1]:7/d", "PostgreSQL at ::1:7/d"),
            ("postgres://a:1,b,c:3/d", "PostgreSQL at a:1,b:5432,c:3/d"),
            ("postgres://%2Frun%2Fpostgresql/d", "PostgreSQL at /run/postgresql:5432/d"),
            ("postgres:///d?host=/run/postgresql&user=u", "PostgreSQL at /run/postgresql:5432/d"),
            ("postgres://u:p%h@h/d?TimeZone=Asia/Shanghai&pool_max_conns=4", "PostgreSQL at h:5432/d"),
        ] {
            assert_eq!(parsed(text).to_string(), place, "{text}");
        }
    }

    #[test]
    fn keywords_are_unquoted() {
        let dsn = parsed(r"host=h user = u password='p s\'s\\' dbname=d port=7 sslmode=disable connect_timeout=3");
        assert_eq!(dsn.config.get_password(), Some(&br"p s's\"[..]));
        assert_eq!((dsn.to_string().as_str(), dsn.tls), ("PostgreSQL at h:7/d", TlsMode::Disable));
        assert_eq!(dsn.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!(parsed("dbname=d hostaddr=127.0.0.1").to_string(), "PostgreSQL at 127.0.0.1:5432/d");
        assert!(PostgresDsn::parse("x=y.db").is_none());
    }

    #[test]
    fn modes_of_tls() {
        for (word, mode) in [
            ("disable", TlsMode::Disable),
            ("allow", TlsMode::Prefer),
            ("prefer", TlsMode::Prefer),
            ("require", TlsMode::Require),
            ("verify-ca", TlsMode::VerifyCa),
            ("verify-full", TlsMode::VerifyFull),
        ] {
            assert_eq!(parsed(&format!("postgres://h/d?sslmode={word}")).tls, mode);
        }
        assert_eq!(parsed("postgres://h/d").tls, TlsMode::Prefer);
        let checked = parsed("postgres://h/d?sslmode=require&sslrootcert=/ca.pem");
        assert_eq!((checked.tls, checked.root_file), (TlsMode::VerifyCa, Some("/ca.pem".into())));
    }

    #[test]
    fn broken_forms_are_refused_without_their_password() {
        for text in [
            "postgres://u:hunter2@h:port/db",
            "postgres://u:hunter2@/db",
            "postgres://u:hunter2@h/db?sslmode=maybe",
            "postgres://u:hunter2@h/db?sslcert=/c",
            "postgres://u:hunter2@h/db?a-b=c",
            "postgres://u:hunter2@h/db?connect_timeout=soon",
            "postgres://u:hunter2%ff@h/db",
            "host=h password='hunter2",
            "user=u password=hunter2",
            "host=h password=hunter2 alone",
        ] {
            let refused = PostgresDsn::parse(text).expect(text).expect_err(text);
            assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused}");
            assert!(refused.to_string().starts_with("DATABASE_DSN: "), "{refused}");
        }
    }
}
