//! One node per database, as long as no Redis keeps several apart.

mod server;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Write,
    path::{Path, PathBuf},
    process,
};

use self::server::Holding;
use super::{
    Place, StoreError, StoreResult,
    dsn::Dsn,
    migrate::prepare_file,
    open::Parsed,
    pool::{Mysql, Postgres},
};

/// The right of one node to use a database; given back when it is dropped, and when the process dies however it dies.
#[derive(Debug)]
pub struct Claim {
    _held: Held,
}

#[derive(Debug)]
enum Held {
    /// The lock is that of the open file.
    File { _lock: File },
    /// The lock is that of a session.
    Session { _holding: Holding },
}

impl Claim {
    /// Claims the database for the node `node`. To be held for as long as the database is in use, from before it is
    /// opened.
    ///
    /// A SQLite database is claimed by a lock on the file `<database>.lock`, which names its holder; one on a server by a
    /// lock of a session, which ends with it.
    ///
    /// # Errors
    /// `Unavailable` while another node holds the database, when the files cannot be made, and when the server is not
    /// reached; `Incompatible` for a DSN that names no usable database.
    pub async fn of(place: impl Into<Place<'_>>, node: &str) -> StoreResult<Self> {
        let place = Parsed::try_from(place.into())?;
        let held = match place.dsn {
            Dsn::Sqlite(path) => Held::File { _lock: lock(&path, node)? },
            Dsn::Postgres(dsn) => {
                Held::Session { _holding: Holding::of(Postgres::new(&dsn, place.roots)?, node).await? }
            }
            Dsn::Mysql(dsn) => Held::Session { _holding: Holding::of(Mysql::new(&dsn, &place.roots)?, node).await? },
        };
        Ok(Self { _held: held })
    }
}

fn lock(database: &Path, node: &str) -> StoreResult<File> {
    prepare_file(database)?;
    // By whichever path or link a node comes, the lock is the same.
    let database = fs::canonicalize(database).unwrap_or_else(|_| database.to_path_buf());
    let path = beside(&database);
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        StoreError::Unavailable(format!(
            "cannot {what} {}: {error}; check the permissions of its folder",
            path.display()
        ))
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(|error| failed("open", &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let holder = if holder.trim().is_empty() { "another node" } else { holder.trim() };
            return Err(StoreError::Unavailable(format!(
                "{} is in use by {holder}. Stop that node, or let DATABASE_DSN name another file; only nodes that are \
                 joined by REDIS_DSN share a database",
                database.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", &error)),
    }
    let holder = format!("node {node}, process {}\n", process::id());
    file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())).map_err(|error| failed("write", &error))?;
    Ok(file)
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{Database, Kind};

    /// As a second node finds it; the first is given time to end.
    async fn one_holder_at_a_time(kind: Kind) {
        let database = Database::new(kind);
        let first = Claim::of(database.dsn(), "one").await.expect("nobody holds it");
        let refused = Claim::of(database.dsn(), "two").await.expect_err("it is held").to_string();
        for part in ["DATABASE_DSN", "REDIS_DSN", "in use by"] {
            assert!(refused.contains(part), "{refused}");
        }
        drop(first);
        let second = Claim::of(database.dsn(), "two").await.expect("it was given back");
        // A server that was stopped has forgotten all locks; they are taken again.
        database.cut_connections();
        let Held::Session { _holding: holding } = &second._held else { panic!("a session") };
        holding.taken_again().await;
        Claim::of(database.dsn(), "three").await.expect_err("it is held again");
    }

    #[tokio::test]
    async fn a_postgres_database_has_one_holder_at_a_time() {
        one_holder_at_a_time(Kind::Postgres).await;
    }

    #[tokio::test]
    async fn a_mysql_database_has_one_holder_at_a_time() {
        one_holder_at_a_time(Kind::Mysql).await;
    }

    #[tokio::test]
    async fn a_file_has_one_holder_at_a_time() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("data/gpt-load.db");
        let dsn = path.to_str().expect("UTF-8");
        let first = Claim::of(dsn, "one").await.expect("nobody holds it");
        let refused = Claim::of(dsn, "two").await.expect_err("it is held").to_string();
        for part in ["node one", &process::id().to_string(), "DATABASE_DSN", "REDIS_DSN"] {
            assert!(refused.contains(part), "{refused}");
        }
        drop(first);
        drop(Claim::of(dsn, "two").await.expect("it was given back"));
        #[cfg(unix)]
        {
            let link = folder.path().join("link.db");
            std::os::unix::fs::symlink(&path, &link).expect("a link");
            let _held = Claim::of(dsn, "one").await.expect("it was given back");
            assert!(Claim::of(link.to_str().expect("UTF-8"), "two").await.is_err(), "the same file by another name");
        }
    }

    #[tokio::test]
    async fn what_is_no_file_is_not_claimed() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let refused = Claim::of(folder.path().to_str().expect("UTF-8"), "one").await.expect_err("a directory");
        assert!(matches!(&refused, StoreError::Incompatible(text) if text.contains("directory")), "{refused}");
        assert!(!beside(folder.path()).exists());
        let within = folder.path().join("file");
        fs::write(&within, "").expect("a file");
        let refused =
            Claim::of(within.join("gpt-load.db").to_str().expect("UTF-8"), "one").await.expect_err("no folder");
        assert!(matches!(&refused, StoreError::Unavailable(text) if text.contains("DATABASE_DSN")), "{refused}");
    }
}
