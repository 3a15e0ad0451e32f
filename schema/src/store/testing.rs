//! Databases for tests: fresh, on real servers, and gone afterwards.
//!
//! Servers are named by `GPT_LOAD_TEST_POSTGRES` and `GPT_LOAD_TEST_MYSQL`, DSNs with the right to create databases.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{env, fmt::Write as _, path::PathBuf, sync::Arc, thread};

use mysql_async::prelude::Queryable;
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
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

    /// The DSN of the server, for its database `name`.
    fn server(self, name: &str) -> String {
        match self {
            Self::Sqlite => panic!("SQLite has no server"),
            Self::Postgres => {
                let server = variable("GPT_LOAD_TEST_POSTGRES");
                // The last word rules.
                match server.contains("://") {
                    true => format!("{server}{}dbname={name}", if server.contains('?') { '&' } else { '?' }),
                    false => format!("{server} dbname={name}"),
                }
            }
            Self::Mysql => {
                let server = variable("GPT_LOAD_TEST_MYSQL");
                let (server, rest) = server.rsplit_once(")/").expect("a MySQL DSN");
                let query = rest.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
                format!("{server})/{name}{query}")
            }
        }
    }

    /// The DSN of the server, for a database that is always there.
    fn any(self) -> String {
        self.server(if self == Self::Postgres { "postgres" } else { "information_schema" })
    }
}

/// What the environment says of the test servers.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: start the databases with tests/with-servers.sh, e.g. tests/with-servers.sh cargo test"
        )
    })
}

/// File with the certificate (PEM) that those of the servers come from.
pub fn authority() -> PathBuf {
    variable("GPT_LOAD_TEST_CA").into()
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
        execute(&kind.any(), &format!("CREATE DATABASE {name}"));
        Self { kind, dsn: kind.server(&name), name, _folder: None }
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
                execute(&Kind::Postgres.any(), &format!("{sql}'{}'", self.name));
            }
            Kind::Mysql => {
                let server = Kind::Mysql.any();
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
        execute(&self.kind.any(), &format!("DROP DATABASE {}{force}", self.name));
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

/// Stands between a store and its server; shut, it refuses and has cut everything.
#[derive(Debug)]
pub struct Gate {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    is_open: watch::Sender<bool>,
}

impl Gate {
    /// An open one.
    pub async fn before(database: &Database) -> Self {
        let server = Arc::new(database.server_address());
        let (is_open, mut seen) = watch::channel(true);
        let first = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = first.local_addr().expect("an address").port();
        tokio::spawn(async move {
            let mut listener = Some(first);
            loop {
                if !*seen.borrow_and_update() {
                    listener = None;
                    if seen.wait_for(|is_open| *is_open).await.is_err() {
                        return;
                    }
                }
                let listening = match listener.take() {
                    Some(listener) => listener,
                    None => TcpListener::bind(("127.0.0.1", port)).await.expect("the port is still free"),
                };
                let mut ways = JoinSet::new();
                loop {
                    tokio::select! {
                        changed = seen.changed() => {
                            if changed.is_err() {
                                return;
                            }
                            break;
                        }
                        Ok((mut client, _)) = listening.accept() => {
                            let server = Arc::clone(&server);
                            ways.spawn(async move {
                                let mut server = TcpStream::connect((server.0.as_str(), server.1)).await.expect("it listens");
                                let _ = copy_bidirectional(&mut client, &mut server).await;
                            });
                        }
                    }
                }
            }
        });
        Self { port, is_open }
    }

    /// Refuses connections from now on, and has cut those that there were.
    pub fn shut(&self) {
        self.is_open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn open(&self) {
        self.is_open.send_replace(true);
    }
}
