//! `DATABASE_DSN`: which database, and where.

mod mysql;
mod postgres;

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

pub use self::{
    mysql::{MysqlAddress, MysqlDsn},
    postgres::PostgresDsn,
};
pub use super::pool::tls::TlsMode;

/// A database, as `DATABASE_DSN` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dsn {
    /// A file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(Box<PostgresDsn>),
    /// A MySQL or MariaDB server.
    Mysql(Box<MysqlDsn>),
}

/// Why a DSN names no database. The message never holds the DSN: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DATABASE_DSN: {0}")]
pub struct DsnError(Cow<'static, str>);

impl DsnError {
    /// The reason alone, for a variable of another name.
    pub fn reason(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for DsnError {
    fn from(reason: &'static str) -> Self {
        Self(reason.into())
    }
}

impl From<String> for DsnError {
    fn from(reason: String) -> Self {
        Self(reason.into())
    }
}

impl FromStr for Dsn {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, DsnError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(DsnError::from(
                "is empty; give a file path, postgres://… or user:password@tcp(host:port)/database",
            ));
        }
        if let Some(dsn) = PostgresDsn::parse(text) {
            return dsn.map(|dsn| Self::Postgres(Box::new(dsn)));
        }
        if let Some(dsn) = MysqlDsn::parse(text) {
            return dsn.map(|dsn| Self::Mysql(Box::new(dsn)));
        }
        sqlite(text)
    }
}

impl fmt::Display for Dsn {
    /// Kind and place, without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite at {}", path.display()),
            Self::Postgres(dsn) => dsn.fmt(f),
            Self::Mysql(dsn) => dsn.fmt(f),
        }
    }
}

fn sqlite(text: &str) -> Result<Dsn, DsnError> {
    let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or(text);
    if path == ":memory:" || path.is_empty() {
        return Err(DsnError::from("a database in memory would lose everything at the end; give a file path"));
    }
    if path.starts_with("file:") || path.contains(['?', '\0']) {
        return Err(DsnError::from("SQLite takes a plain file path, without `file:` and without `?`"));
    }
    if path.contains("://") {
        return Err(DsnError::from("unknown scheme; known are postgres://, postgresql:// and sqlite://"));
    }
    Ok(Dsn::Sqlite(PathBuf::from(path)))
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_and_port(address: &str, default: u16) -> Result<(&str, u16), DsnError> {
    let malformed = || DsnError::from("the address of the server is malformed; it is host:port or [IPv6]:port");
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or_else(malformed)?)),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    if host.contains([':', '[', ']']) != address.starts_with('[') {
        return Err(malformed());
    }
    let port = port.map_or(Ok(default), str::parse);
    Ok((host, port.map_err(|_| DsnError::from("the port of the server is not a number up to 65535"))?))
}

/// `text` with its `%xx` decoded.
fn decoded(text: &str) -> Result<String, DsnError> {
    let bytes = percent_encoding::percent_decode_str(text);
    bytes.decode_utf8().map(Cow::into_owned).map_err(|_| "a %-sequence is not UTF-8".into())
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
    fn no_password_is_printed() {
        for text in ["postgres://user:hunter2hunter2@h/db", "user:hunter2hunter2@tcp(h)/db"] {
            let dsn = parse(text).expect("parses");
            assert!(!format!("{dsn} {dsn:?}").contains("hunter2hunter2"));
        }
    }
}
