//! The forms in which databases and Redis are named (management-api.md 8.2, 8.3).

use url::Url;

/// The database that a DSN names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file, by its path.
    Sqlite,
    /// `postgres://…`, `postgresql://…` or the keyword form `host=… user=…`.
    Postgres,
    /// `user:password@tcp(host:port)/database?…` or `user@unix(/path)/database`.
    Mysql,
}

impl Database {
    /// The database named by `dsn`; whatever is neither PostgreSQL nor MySQL is the path of a SQLite file.
    pub fn of(dsn: &str) -> Self {
        if dsn.starts_with("postgres://") || dsn.starts_with("postgresql://") || is_keyword_form(dsn) {
            Self::Postgres
        } else if ["@tcp", "@unix("].iter().any(|mark| dsn.contains(mark)) || dsn.starts_with("tcp(") {
            Self::Mysql
        } else {
            Self::Sqlite
        }
    }
}

fn is_keyword_form(dsn: &str) -> bool {
    const KEYWORDS: [&str; 5] = ["host=", "hostaddr=", "user=", "dbname=", "port="];
    KEYWORDS.iter().any(|keyword| dsn.split_whitespace().any(|part| part.starts_with(keyword)))
}

pub(super) fn check_database(dsn: &str) -> Result<(), &'static str> {
    let known = match Database::of(dsn) {
        Database::Postgres => is_keyword_form(dsn) || Url::parse(dsn).is_ok_and(|url| url.has_host()),
        Database::Mysql => is_mysql(dsn),
        Database::Sqlite => !dsn.contains("://"),
    };
    known.then_some(()).ok_or(
        "must be a file path, postgres://user:password@host:port/database or user:password@tcp(host:port)/database",
    )
}

/// `[user[:password]@]protocol(address)/database[?parameters]`; the last `/` before the parameters begins the database.
fn is_mysql(dsn: &str) -> bool {
    let (head, parameters) = dsn.split_once(")/").unwrap_or_default();
    let database = parameters.split('?').next().unwrap_or_default();
    head.rsplit('@').next().is_some_and(|address| address.len() > "tcp(".len()) && !database.is_empty()
}

pub(super) fn check_redis(dsn: &str) -> Result<(), &'static str> {
    let known = Url::parse(dsn).is_ok_and(|url| match url.scheme() {
        "redis" | "rediss" => url.host_str().is_some_and(|host| !host.is_empty()),
        "unix" => url.path().len() > 1,
        _ => false,
    });
    known.then_some(()).ok_or("must be redis://, rediss:// or unix:// with a host or path")
}

/// `dsn` without user names and passwords: nothing before the last `@` but the scheme, nothing after `password=`.
pub fn masked(dsn: &str) -> String {
    let without_user = match dsn.rfind('@') {
        Some(at) => {
            let scheme = dsn[..at].find("://").map_or(0, |found| found + "://".len());
            format!("{}****{}", &dsn[..scheme], &dsn[at..])
        }
        None => dsn.to_owned(),
    };
    match without_user.to_ascii_lowercase().find("password=") {
        Some(at) => format!("{}****", &without_user[..at + "password=".len()]),
        None => without_user,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_says_which_database() {
        for (dsn, database) in [
            ("./data/gpt-load.db", Database::Sqlite),
            ("/var/lib/a b.db", Database::Sqlite),
            ("postgres://u:p@host:5432/db?sslmode=disable", Database::Postgres),
            ("postgresql://host/db", Database::Postgres),
            ("host=localhost user=u password=p dbname=d", Database::Postgres),
            ("root:pa/ss@w@tcp(127.0.0.1:3306)/gpt?charset=utf8mb4&loc=Asia%2FShanghai", Database::Mysql),
            ("tcp(db)/gpt", Database::Mysql),
            ("u@unix(/run/mysqld.sock)/gpt", Database::Mysql),
        ] {
            assert_eq!(Database::of(dsn), database, "{dsn}");
            assert_eq!(check_database(dsn), Ok(()), "{dsn}");
        }
    }

    #[test]
    fn broken_forms_are_refused() {
        for dsn in ["mysql://u:p@host/db", "postgres://", "u:p@tcp(host:3306", "u:p@tcp(host:3306)/", "u@tcp()/db"] {
            assert!(check_database(dsn).is_err(), "{dsn}");
        }
        for dsn in ["redis://", "localhost:6379", "http://host", "unix://"] {
            assert!(check_redis(dsn).is_err(), "{dsn}");
        }
        for dsn in ["redis://:p@host:6379/0", "rediss://host", "unix:///run/redis.sock"] {
            assert_eq!(check_redis(dsn), Ok(()), "{dsn}");
        }
    }

    #[test]
    fn masking_leaves_no_credential() {
        for (dsn, shown) in [
            ("postgres://u:s3cret@host/db", "postgres://****@host/db"),
            ("u:s3/c@ret@tcp(host)/db", "****@tcp(host)/db"),
            ("redis://:s3cret@host/0", "redis://****@host/0"),
            ("host=h password='s3 cret' user=u", "host=h password=****"),
            ("postgres://host/db?password=s3cret", "postgres://host/db?password=****"),
            ("./data/gpt-load.db", "./data/gpt-load.db"),
        ] {
            assert_eq!(masked(dsn), shown);
        }
    }
}
