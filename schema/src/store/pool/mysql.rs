//! Connections to MySQL and MariaDB.

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection};
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, SslOpts};

use super::{
    server::Server,
    tls::{ExtraRoots, TlsMode},
};
use crate::store::{
    StoreResult,
    dsn::{MysqlAddress, MysqlDsn},
};

/// What every connection of the store begins with. Messages are in English, because the driver tells most errors by
/// nothing else.
const SETTINGS: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'; \
     SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET SESSION innodb_lock_wait_timeout = 30; \
     SET SESSION autocommit = 1; SET SESSION lc_messages = 'en_US'";
/// Seconds after which a silent connection is tested.
const KEEPALIVE_MS: u32 = 10_000;

/// A MySQL or MariaDB server.
pub(in crate::store) struct Mysql {
    options: Opts,
    /// Without TLS, where the DSN only prefers it.
    plain: Option<Opts>,
    place: String,
}

impl Mysql {
    /// The server that `dsn` names.
    ///
    /// # Errors
    /// `Incompatible` for root certificates that cannot be read.
    pub(in crate::store) fn new(dsn: &MysqlDsn, roots: &ExtraRoots) -> StoreResult<Self> {
        let plain = OptsBuilder::default()
            .user(Some(dsn.user.clone()).filter(|user| !user.is_empty()))
            .pass(Some(dsn.password.expose().to_owned()).filter(|password| !password.is_empty()))
            .db_name(Some(dsn.database.clone()))
            .init(dsn.variables())
            .tcp_keepalive(Some(KEEPALIVE_MS))
            .prefer_socket(false)
            // diesel has a cache of its own, and counts rows as the other databases do.
            .stmt_cache_size(0)
            .client_found_rows(true);
        let plain = match &dsn.address {
            MysqlAddress::Tcp { host, port } => plain.ip_or_hostname(host.clone()).tcp_port(*port),
            MysqlAddress::Socket(path) => plain.socket(Some(path.clone())),
        };
        let place = dsn.to_string();
        let tls = ssl_options(dsn.tls, roots)?;
        Ok(match tls {
            None => Self { options: plain.into(), plain: None, place },
            Some(tls) => Self {
                options: plain.clone().ssl_opts(tls).into(),
                plain: (dsn.tls == TlsMode::Prefer).then(|| plain.into()),
                place,
            },
        })
    }
}

impl Server for Mysql {
    type Connection = AsyncMysqlConnection;

    async fn connect(&self) -> ConnectionResult<AsyncMysqlConnection> {
        let connected = match (Conn::new(self.options.clone()).await, &self.plain) {
            (Err(Error::Driver(DriverError::NoClientSslFlagFromServer)), Some(plain)) => Conn::new(plain.clone()).await,
            (connected, _) => connected,
        };
        let connection = connected.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
        let mut connection = AsyncMysqlConnection::try_from(connection).await?;
        let set = connection.batch_execute(SETTINGS).await;
        set.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }

    fn place(&self) -> &str {
        &self.place
    }
}

fn ssl_options(mode: TlsMode, roots: &ExtraRoots) -> StoreResult<Option<SslOpts>> {
    // The driver asks for the process's provider; the first call wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(match mode {
        TlsMode::Disable => None,
        TlsMode::Prefer | TlsMode::Require => Some(SslOpts::default().with_danger_accept_invalid_certs(true)),
        TlsMode::VerifyCa | TlsMode::VerifyFull => {
            let roots = roots.all()?.into_iter().map(|root| root.to_vec().into()).collect();
            let options = SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true);
            Some(options.with_danger_skip_domain_validation(mode == TlsMode::VerifyCa))
        }
    })
}
