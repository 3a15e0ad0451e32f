//! Connections to PostgreSQL.

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    server::Server,
    tls::{ExtraRoots, client_config},
};
use crate::store::{StoreResult, dsn::PostgresDsn};

/// What every connection of the store begins with. Where a node vanishes from the network in the middle of a
/// transaction, the server gives its locks back after the time named here, so that the next leader can write.
const SETTINGS: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED; \
     SET client_min_messages = warning; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '30s'; \
     SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;";

/// A PostgreSQL server.
pub(in crate::store) struct Postgres {
    config: Config,
    tls: MakeRustlsConnect,
    place: String,
}

impl Postgres {
    /// The server that `dsn` names.
    ///
    /// # Errors
    /// `Incompatible` for root certificates that cannot be read.
    pub(in crate::store) fn new(dsn: &PostgresDsn, mut roots: ExtraRoots) -> StoreResult<Self> {
        roots.0.extend(dsn.root_file.clone());
        let tls = MakeRustlsConnect::new(client_config(dsn.tls, &roots)?);
        Ok(Self { config: dsn.config.clone(), tls, place: dsn.to_string() })
    }
}

impl Server for Postgres {
    type Connection = AsyncPgConnection;

    async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        let connected = self.config.connect(self.tls.clone()).await;
        let (client, connection) = connected.map_err(|error| ConnectionError::BadConnection(cause(&error)))?;
        let mut connection = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
        let set = connection.batch_execute(SETTINGS).await;
        set.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// The driver names the step that failed and keeps the reason as its source.
fn cause(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}
