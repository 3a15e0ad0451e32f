//! `[user[:password]@]tcp(host[:port])/database[?name=value&…]`, as the older GPT-Load takes it.

use std::fmt;

use super::{DsnError, TlsMode, host_and_port};
use crate::secret::Secret;

const PORT: u16 = 3306;
const FORM: &str = "the MySQL form is user:password@tcp(host:port)/database";
/// Parameters of the driver of the older GPT-Load that mean nothing here: this program always speaks utf8mb4, stores
/// times as numbers, and lets the driver decide the rest.
const WITHOUT_MEANING: [&str; 19] = [
    "allowallfiles",
    "allowcleartextpasswords",
    "allowfallbacktoplaintext",
    "allownativepasswords",
    "allowoldpasswords",
    "charset",
    "checkconnliveness",
    "clientfoundrows",
    "collation",
    "columnswithalias",
    "connectionattributes",
    "interpolateparams",
    "maxallowedpacket",
    "multistatements",
    "parsetime",
    "readtimeout",
    "rejectreadonly",
    "timeout",
    "writetimeout",
];

/// A MySQL or MariaDB database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MysqlDsn {
    /// User; empty when none is given.
    pub user: String,
    /// Password; empty when none is given.
    pub password: Secret,
    /// Where the server listens.
    pub address: MysqlAddress,
    /// Database name.
    pub database: String,
    /// What `tls` asks for.
    pub tls: TlsMode,
    /// `loc`: the time zone in which the older GPT-Load stored times.
    pub location: Option<String>,
    /// Session variables and their values, as SQL.
    variables: Vec<(String, String)>,
}

/// Where a MySQL server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MysqlAddress {
    /// A host name or address, and a port (3306 when none is given).
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A Unix socket.
    Socket(String),
}

impl MysqlDsn {
    /// `None` for what is no MySQL DSN.
    pub(super) fn parse(text: &str) -> Option<Result<Self, DsnError>> {
        let is_mysql = ["@tcp", "@unix("].iter().any(|mark| text.contains(mark))
            || ["tcp(", "unix("].iter().any(|mark| text.starts_with(mark));
        is_mysql.then(|| parse(text))
    }

    /// The statements that set the session variables of the DSN.
    pub(in crate::store) fn variables(&self) -> Vec<String> {
        self.variables.iter().map(|(name, value)| format!("SET SESSION {name} = {value}")).collect()
    }
}

impl fmt::Display for MysqlDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            MysqlAddress::Tcp { host, port } => write!(f, "MySQL at {host}:{port}/{}", self.database),
            MysqlAddress::Socket(path) => write!(f, "MySQL at {path}/{}", self.database),
        }
    }
}

fn parse(text: &str) -> Result<MysqlDsn, DsnError> {
    let (server, rest) = text.rsplit_once(")/").ok_or(FORM)?;
    let (credentials, address) = match server.rsplit_once('@') {
        Some((credentials, address)) => (credentials, address),
        None => ("", server),
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let address = match address.split_once('(').ok_or(FORM)? {
        ("tcp" | "tcp4" | "tcp6", address) => {
            let (host, port) = host_and_port(address, PORT)?;
            if host.is_empty() {
                return Err("the MySQL host is missing".into());
            }
            MysqlAddress::Tcp { host: host.to_owned(), port }
        }
        ("unix", path) if path.starts_with('/') => MysqlAddress::Socket(path.to_owned()),
        _ => return Err(FORM.into()),
    };
    let (database, query) = rest.split_once('?').unwrap_or((rest, ""));
    if database.is_empty() {
        return Err("the MySQL database name is missing after the last `/`".into());
    }
    let (mut tls, mut location, mut variables) = (TlsMode::Disable, None, Vec::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.to_ascii_lowercase().as_str() {
            "tls" => tls = tls_mode(&value)?,
            "loc" => location = Some(value.into_owned()),
            name if WITHOUT_MEANING.contains(&name) => {}
            // Their driver makes session variables of all others.
            _ if is_name(&name) && is_literal(&value) => variables.push((name.into_owned(), value.into_owned())),
            _ => {
                return Err(format!(
                    "the MySQL parameter `{name}` is unknown, or no session variable can have its value"
                )
                .into());
            }
        }
    }
    Ok(MysqlDsn {
        user: user.to_owned(),
        password: Secret::new(password),
        address,
        database: database.to_owned(),
        tls,
        location,
        variables,
    })
}

fn tls_mode(value: &str) -> Result<TlsMode, DsnError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(TlsMode::VerifyFull),
        "false" | "0" | "" => Ok(TlsMode::Disable),
        "skip-verify" => Ok(TlsMode::Require),
        "preferred" => Ok(TlsMode::Prefer),
        _ => Err("the MySQL parameter `tls` is true, false, skip-verify or preferred".into()),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A number, a word, or a quoted text without escapes.
fn is_literal(value: &str) -> bool {
    let bare = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-+".contains(&byte));
    match value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(text) => !text.contains(['\'', '\\']),
        None => !value.is_empty() && bare(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> MysqlDsn {
        MysqlDsn::parse(text).expect(text).expect(text)
    }

    fn tcp(host: &str, port: u16) -> MysqlAddress {
        MysqlAddress::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn it_splits_where_the_old_driver_splits() {
        let dsn = parsed("ro:ot:p@ss/w%41d@tcp(db.local:3307)/load?charset=utf8mb4&parseTime=True&loc=Asia%2FShanghai");
        assert_eq!((dsn.user.as_str(), dsn.password.expose()), ("ro", "ot:p@ss/w%41d"));
        assert_eq!((&dsn.address, dsn.database.as_str(), dsn.tls), (&tcp("db.local", 3307), "load", TlsMode::Disable));
        assert_eq!((dsn.variables(), dsn.location.as_deref()), (Vec::new(), Some("Asia/Shanghai")));
        for (text, user, address) in [
            ("root@tcp([::1])/load", "root", tcp("::1", 3306)),
            ("root@tcp([::1]:7)/load", "root", tcp("::1", 7)),
            ("tcp(h)/d", "", tcp("h", 3306)),
            ("u@unix(/run/mysqld.sock)/d", "u", MysqlAddress::Socket("/run/mysqld.sock".to_owned())),
        ] {
            let dsn = parsed(text);
            assert_eq!((dsn.user.as_str(), &dsn.address), (user, &address), "{text}");
        }
    }

    #[test]
    fn parameters_mean_what_they_meant() {
        for (query, mode) in [
            ("tls=true", TlsMode::VerifyFull),
            ("tls=skip-verify", TlsMode::Require),
            ("tls=preferred&timeout=5s&readTimeout=1m", TlsMode::Prefer),
            ("tls=false", TlsMode::Disable),
        ] {
            assert_eq!(parsed(&format!("u@tcp(h)/d?{query}")).tls, mode, "{query}");
        }
        let dsn = parsed("u@tcp(h)/d?time_zone=%27%2B00%3A00%27&wait_timeout=60");
        assert_eq!(dsn.variables(), ["SET SESSION time_zone = '+00:00'", "SET SESSION wait_timeout = 60"]);
        for query in ["tls=custom", "a=1;DROP", "a-b=1", "a=%27x%5C%27", "a="] {
            assert!(MysqlDsn::parse(&format!("u@tcp(h)/d?{query}")).expect("MySQL").is_err(), "{query}");
        }
    }

    #[test]
    fn broken_forms_are_refused() {
        for text in [
            "u@tcp(h:99999)/d",
            "u@tcp(h)/",
            "u@tcp(h)",
            "u@tcp(:1)/d",
            "u@tcp([::1]x)/d",
            "u@tcp(::1)/d",
            "u@unix(socket)/d",
            "u@tcp",
        ] {
            assert!(MysqlDsn::parse(text).expect(text).is_err(), "{text}");
        }
    }
}
