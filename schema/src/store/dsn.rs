//! `DATABASE_DSN`: which database, and where.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::secret::Secret;

/// A database, as `DATABASE_DSN` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dsn {
    /// A file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL or keyword string, as given; it may hold a password.
    Postgres(Secret),
    /// A MySQL or MariaDB server.
    Mysql(Box<MysqlDsn>),
}

/// The parts of `[user[:password]@]tcp(host[:port])/database[?name=value&…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MysqlDsn {
    /// User; empty when none is given.
    pub user: String,
    /// Password; empty when none is given.
    pub password: Secret,
    /// Host name or address.
    pub host: String,
    /// Port; 3306 when none is given.
    pub port: u16,
    /// Database name.
    pub database: String,
    /// Parameters in their order, percent-decoded.
    pub parameters: Vec<(String, String)>,
}

/// Why a DSN names no database. The message never holds the DSN: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DATABASE_DSN: {0}")]
pub struct DsnError(&'static str);

const MYSQL_PORT: u16 = 3306;
/// Words that begin a PostgreSQL keyword string.
const POSTGRES_KEYWORDS: [&str; 6] = ["host", "hostaddr", "port", "user", "dbname", "password"];

impl FromStr for Dsn {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, DsnError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(DsnError("is empty; give a file path, postgres://… or user:password@tcp(host:port)/database"));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return match url::Url::parse(text) {
                Ok(_) => Ok(Self::Postgres(Secret::new(text))),
                Err(_) => Err(DsnError("the PostgreSQL URL is malformed")),
            };
        }
        if text.contains("@tcp") || text.starts_with("tcp(") {
            return mysql(text).map(|dsn| Self::Mysql(Box::new(dsn)));
        }
        let keyword = text.split('=').next().unwrap_or_default().trim_end();
        if text.contains('=') && POSTGRES_KEYWORDS.contains(&keyword) {
            return Ok(Self::Postgres(Secret::new(text)));
        }
        sqlite(text)
    }
}

impl fmt::Display for Dsn {
    /// Kind and place, without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite at {}", path.display()),
            Self::Postgres(_) => f.write_str("PostgreSQL"),
            Self::Mysql(dsn) => write!(f, "MySQL at {}:{}/{}", dsn.host, dsn.port, dsn.database),
        }
    }
}

fn sqlite(text: &str) -> Result<Dsn, DsnError> {
    let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or(text);
    if path == ":memory:" || path.is_empty() {
        return Err(DsnError("a database in memory would lose everything at the end; give a file path"));
    }
    if path.starts_with("file:") || path.contains(['?', '\0']) {
        return Err(DsnError("SQLite takes a plain file path, without `file:` and without `?`"));
    }
    if path.contains("://") {
        return Err(DsnError("unknown scheme; known are postgres://, postgresql:// and sqlite://"));
    }
    Ok(Dsn::Sqlite(PathBuf::from(path)))
}

fn mysql(text: &str) -> Result<MysqlDsn, DsnError> {
    let (server, parameters) =
        text.rsplit_once(")/").ok_or(DsnError("the MySQL form is user:password@tcp(host:port)/database"))?;
    let (credentials, address) = match server.rsplit_once("@tcp(") {
        Some(parts) => parts,
        None => ("", server.strip_prefix("tcp(").ok_or(DsnError("MySQL is reached by tcp(host:port) only"))?),
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (host, port) = host_and_port(address)?;
    let (database, query) = parameters.split_once('?').unwrap_or((parameters, ""));
    if database.is_empty() {
        return Err(DsnError("the MySQL database name is missing after the last `/`"));
    }
    Ok(MysqlDsn {
        user: user.to_owned(),
        password: Secret::new(password),
        host: host.to_owned(),
        port,
        database: database.to_owned(),
        parameters: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
    })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_and_port(address: &str) -> Result<(&str, u16), DsnError> {
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or(DsnError("the MySQL address is malformed"))?)),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(DsnError("the MySQL host is missing"));
    }
    let port =
        port.map_or(Ok(MYSQL_PORT), str::parse).map_err(|_| DsnError("the MySQL port is not a number up to 65535"))?;
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Dsn, DsnError> {
        text.parse()
    }

    #[test]
    fn anything_unrecognised_is_a_file() {
        for (text, path) in [
            ("./data/gpt-load.db", "./data/gpt-load.db"),
            (" /var/lib/a b.db ", "/var/lib/a b.db"),
            ("sqlite:///var/a.db", "/var/a.db"),
            ("x=y.db", "x=y.db"),
        ] {
            assert_eq!(parse(text), Ok(Dsn::Sqlite(path.into())));
        }
        for text in ["", ":memory:", "sqlite::memory:", "a.db?mode=ro", "file:a.db", "redis://localhost"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn postgres_as_url_and_as_keywords() {
        for text in ["postgres://u:p@h/db?sslmode=require", "postgresql://h/db", "host=h user=u dbname=d", "user = u"] {
            assert_eq!(parse(text), Ok(Dsn::Postgres(text.into())));
        }
        assert!(parse("postgres://h:port/db").is_err());
    }

    #[test]
    fn mysql_splits_where_the_old_driver_splits() {
        let Ok(Dsn::Mysql(dsn)) = parse("ro:ot:p@ss/wd@tcp(db.local:3307)/load?charset=utf8mb4&loc=Asia%2FShanghai")
        else {
            panic!("a MySQL DSN");
        };
        assert_eq!((dsn.user.as_str(), dsn.password.expose()), ("ro", "ot:p@ss/wd"));
        assert_eq!((dsn.host.as_str(), dsn.port, dsn.database.as_str()), ("db.local", 3307, "load"));
        assert_eq!(dsn.parameters[1], ("loc".to_owned(), "Asia/Shanghai".to_owned()));
        let Ok(Dsn::Mysql(dsn)) = parse("root@tcp([::1])/load") else { panic!("a MySQL DSN") };
        assert_eq!((dsn.user.as_str(), dsn.host.as_str(), dsn.port), ("root", "::1", 3306));
        for text in ["u@tcp(h:99999)/d", "u@tcp(h)/", "u@tcp(h)", "u@tcp(:1)/d", "u@tcp([::1]x)/d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_password_is_printed() {
        for text in ["postgres://user:hunter2hunter2@h/db", "user:hunter2hunter2@tcp(h)/db"] {
            let dsn = parse(text).expect("parses");
            assert!(!format!("{dsn} {dsn:?}").contains("hunter2hunter2"));
        }
    }
}
