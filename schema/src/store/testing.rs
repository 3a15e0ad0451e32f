//! Databases for tests: fresh, on real servers, and gone afterwards.
//!
//! Servers are named by `GPT_LOAD_TEST_POSTGRES` and `GPT_LOAD_TEST_MYSQL`, DSNs with the right to create databases.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{env, fmt::Write as _, thread};

use mysql_async::prelude::Queryable;
use tempfile::TempDir;
use tokio_postgres::{NoTls, SimpleQueryMessage};
use uuid::Uuid;

use super::{
    dsn::{Dsn, MysqlAddress, MysqlDsn, PostgresDsn},
    pool::open_sqlite,
};

/// The kinds of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file in a temporary folder.
    Sqlite,
    /// A database on the server that `GPT_LOAD_TEST_POSTGRES` names.
    Postgres,
    /// A database on the server that `GPT_LOAD_TEST_MYSQL` names.
    Mysql,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Mysql];

    /// The DSN of the server.
    fn server(self) -> String {
        let variable = match self {
            Self::Sqlite => unreachable!("SQLite has no server"),
            Self::Postgres => "GPT_LOAD_TEST_POSTGRES",
            Self::Mysql => "GPT_LOAD_TEST_MYSQL",
        };
        env::var(variable).unwrap_or_else(|_| {
            panic!(
                "{variable} is not set: start the databases with tests/with-servers.sh, e.g. tests/with-servers.sh cargo \
                 test"
            )
        })
    }
}

/// A database that no other test uses; dropped with this.
#[derive(Debug)]
pub struct Database {
    kind: Kind,
    name: String,
    dsn: String,
    /// Of SQLite.
    _folder: Option<TempDir>,
}

impl Database {
    /// A fresh, empty one. For SQLite the file is still to be made.
    pub fn new(kind: Kind) -> Self {
        let name = format!("gpt_load_test_{}", Uuid::new_v4().simple());
        if kind == Kind::Sqlite {
            let folder = tempfile::tempdir().expect("a temporary directory");
            let dsn = folder.path().join("data/gpt-load.db").to_str().expect("UTF-8").to_owned();
            return Self { kind, name, dsn, _folder: Some(folder) };
        }
        let server = kind.server();
        execute(&server, &format!("CREATE DATABASE {name}"));
        Self { kind, dsn: on_database(&server, &name), name, _folder: None }
    }

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What `DATABASE_DSN` names it by.
    pub fn dsn(&self) -> &str {
        &self.dsn
    }

    /// The DSN by which it is reached at another address of this machine; for proxies.
    pub fn dsn_at(&self, port: u16) -> String {
        match self.dsn.parse::<Dsn>().expect("a DSN") {
            Dsn::Sqlite(_) => panic!("SQLite has no port"),
            Dsn::Postgres(dsn) => {
                let (user, password) = (dsn.config.get_user(), dsn.config.get_password().unwrap_or_default());
                let password = String::from_utf8_lossy(password).into_owned();
                let (user, name) = (user.unwrap_or_default(), &self.name);
                format!("host=127.0.0.1 port={port} user='{user}' password='{password}' dbname={name} sslmode=disable")
            }
            Dsn::Mysql(dsn) => {
                format!("{}:{}@tcp(127.0.0.1:{port})/{}", dsn.user, dsn.password.expose(), self.name)
            }
        }
    }

    /// Where the server listens.
    pub fn server_address(&self) -> (String, u16) {
        match self.dsn.parse::<Dsn>().expect("a DSN") {
            Dsn::Sqlite(_) => panic!("SQLite has no server"),
            Dsn::Postgres(dsn) => match &dsn.config.get_hosts()[0] {
                tokio_postgres::config::Host::Tcp(host) => {
                    (host.clone(), dsn.config.get_ports().first().copied().unwrap_or(5432))
                }
                _ => panic!("the server is to be reached by TCP"),
            },
            Dsn::Mysql(dsn) => match dsn.address {
                MysqlAddress::Tcp { host, port } => (host, port),
                MysqlAddress::Socket(_) => panic!("the server is to be reached by TCP"),
            },
        }
    }

    /// Runs statements on a connection of its own.
    pub fn run(&self, sql: &str) {
        execute(&self.dsn, sql);
    }

    /// The first column of the rows of a query, as text.
    pub fn column(&self, sql: &str) -> Vec<String> {
        query(&self.dsn, sql).into_iter().map(|row| row.into_iter().next().expect("a column")).collect()
    }

    /// Every value of every table, as one searchable text; of a file also what the write-ahead log holds.
    pub fn everything(&self) -> String {
        let tables = match self.kind {
            Kind::Sqlite => {
                let read = |path: String| std::fs::read(path).unwrap_or_default();
                let bytes = [read(self.dsn.clone()), read(format!("{}-wal", self.dsn))].concat();
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            Kind::Postgres => "SELECT '\"' || tablename || '\"' FROM pg_tables WHERE schemaname = 'public'",
            Kind::Mysql => {
                "SELECT CONCAT('`', table_name, '`') FROM information_schema.tables WHERE table_schema = DATABASE()"
            }
        };
        let mut all = String::new();
        for table in self.column(tables) {
            for row in query(&self.dsn, &format!("SELECT * FROM {table}")) {
                writeln!(all, "{table} {}", row.join(" ")).expect("memory");
            }
        }
        all
    }

    /// Ends all connections to it, as a server does that is stopped.
    pub fn cut_connections(&self) {
        match self.kind {
            Kind::Sqlite => panic!("SQLite has no server"),
            Kind::Postgres => {
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ";
                execute(&Kind::Postgres.server(), &format!("{sql}'{}'", self.name));
            }
            Kind::Mysql => {
                let server = Kind::Mysql.server();
                let sql = format!("SELECT id FROM information_schema.processlist WHERE db = '{}'", self.name);
                for row in query(&server, &sql) {
                    // It may have ended by itself.
                    let _ = on_own_thread(async_mysql(&server, format!("KILL {}", row[0])));
                }
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let force = match self.kind {
            Kind::Sqlite => return,
            Kind::Postgres => " WITH (FORCE)",
            Kind::Mysql => "",
        };
        execute(&self.kind.server(), &format!("DROP DATABASE {}{force}", self.name));
    }
}

/// The DSN of the server at `dsn`, for its database `name`.
fn on_database(dsn: &str, name: &str) -> String {
    match dsn.parse::<Dsn>().expect("a DSN") {
        Dsn::Mysql(_) => {
            let (server, rest) = dsn.rsplit_once(")/").expect("a MySQL DSN");
            let query = rest.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
            format!("{server})/{name}{query}")
        }
        // The last word rules.
        _ if !dsn.contains("://") => format!("{dsn} dbname={name}"),
        _ => format!("{dsn}{}dbname={name}", if dsn.contains('?') { '&' } else { '?' }),
    }
}

type Rows = Vec<Vec<String>>;

fn execute(dsn: &str, sql: &str) {
    query(dsn, sql);
}

/// Blocks, on a thread of its own, so that it may be called from anywhere.
fn query(dsn: &str, sql: &str) -> Rows {
    let rows = match dsn.parse::<Dsn>().expect("a DSN") {
        Dsn::Sqlite(path) => return sqlite(path.to_str().expect("UTF-8"), sql),
        Dsn::Postgres(dsn) => on_own_thread(async_postgres(*dsn, sql.to_owned())),
        Dsn::Mysql(_) => on_own_thread(async_mysql(dsn, sql.to_owned())),
    };
    rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn on_own_thread<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work);
    thread::spawn(run).join().expect("it does not panic")
}

fn sqlite(path: &str, sql: &str) -> Rows {
    use diesel::connection::SimpleConnection;
    let mut connection = open_sqlite(path).expect("the file opens");
    connection.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    Vec::new()
}

async fn async_postgres(dsn: PostgresDsn, sql: String) -> Result<Rows, String> {
    let (client, connection) = dsn.config.connect(NoTls).await.map_err(|error| format!("{error:?}"))?;
    let driven = tokio::spawn(connection);
    let messages = client.simple_query(&sql).await.map_err(|error| format!("{error:?}"))?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    });
    let rows = rows.collect();
    drop(client);
    let _ = driven.await;
    Ok(rows)
}

fn async_mysql(dsn: &str, sql: String) -> impl Future<Output = Result<Rows, String>> + Send + 'static {
    let Dsn::Mysql(dsn) = dsn.parse().expect("a DSN") else { unreachable!("asked for MySQL") };
    async move {
        let MysqlDsn { user, password, address, database, .. } = *dsn;
        let MysqlAddress::Tcp { host, port } = address else { panic!("the server is to be reached by TCP") };
        let options = mysql_async::OptsBuilder::default()
            .user(Some(user))
            .pass(Some(password.expose().to_owned()))
            .ip_or_hostname(host)
            .tcp_port(port)
            .prefer_socket(false)
            .db_name(Some(database));
        let mut connection = mysql_async::Conn::new(options).await.map_err(|error| error.to_string())?;
        let rows: Vec<mysql_async::Row> = connection.query(sql).await.map_err(|error| error.to_string())?;
        let text = |row: mysql_async::Row| {
            row.unwrap().into_iter().map(|value| mysql_async::from_value::<Option<String>>(value).unwrap_or_default())
        };
        let rows = rows.into_iter().map(|row| text(row).collect()).collect();
        let _ = connection.disconnect().await;
        Ok(rows)
    }
}
