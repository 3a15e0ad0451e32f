//! The forms in which databases and Redis are named (management-api.md 8.2, 8.3).

use gpt_load_cluster::over_redis::RedisDsn;
use gpt_load_schema::store::Dsn;

pub(super) fn check_database(dsn: &str) -> Result<(), &'static str> {
    dsn.parse::<Dsn>().map(drop).map_err(
        |_| "must be a file path, postgres://user:password@host:port/database or user:password@tcp(host:port)/database",
    )
}

pub(super) fn check_redis(dsn: &str) -> Result<(), &'static str> {
    dsn.parse::<RedisDsn>().map(drop).map_err(
        |_| "must be redis://[user:password@]host[:port][/database], rediss:// (TLS), unix:///path or redis+sentinel://host,…/service",
    )
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
    fn the_forms_of_all_databases_are_taken() {
        for dsn in [
            "./data/gpt-load.db",
            "/var/lib/a b.db",
            "postgres://u:p@host:5432/db?sslmode=disable",
            "postgresql://host/db",
            "host=localhost user=u password=p dbname=d",
            "root:pa/ss@w@tcp(127.0.0.1:3306)/gpt?charset=utf8mb4&loc=Asia%2FShanghai",
            "tcp(db)/gpt",
            "u@unix(/run/mysqld.sock)/gpt",
        ] {
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
