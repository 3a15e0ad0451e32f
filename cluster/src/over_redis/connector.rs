use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bb8_redis::bb8::ManageConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, RedisError, RedisResult, TlsCertificates, TlsMode,
    aio::MultiplexedConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::{sync::Mutex, time::timeout};

use super::dsn::{Place, RedisDsn, Sentinels};
use crate::{ClusterError, ClusterResult};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);

/// Makes connections to the server, wherever it is at the moment.
#[derive(Clone)]
pub(super) struct Connector {
    target: Target,
    /// As people should read it.
    place: String,
}

#[derive(Clone)]
enum Target {
    Server(Box<Client>),
    /// Asked for the master whenever a connection is made.
    Sentinels(Arc<Mutex<SentinelClient>>),
}

/// A connection of the pool.
pub(super) struct Connection {
    pub(super) redis: MultiplexedConnection,
    /// It failed, or an answer is outstanding that nobody waits for.
    pub(super) is_broken: bool,
}

impl Connector {
    pub(super) fn new(dsn: &RedisDsn, extra_ca: Option<&[u8]>) -> ClusterResult<Self> {
        let refused = |error: RedisError| ClusterError::Refused(error.to_string());
        // The library would take the process's provider, which a program may have forgotten to choose.
        _ = rustls::crypto::ring::default_provider().install_default();
        let is_tls = match &dsn.0 {
            Place::Server(info) => matches!(info.addr(), ConnectionAddr::TcpTls { .. }),
            Place::Sentinels(sentinels) => sentinels.is_tls,
        };
        let certificates = is_tls.then(|| with_system_roots(extra_ca.unwrap_or_default()));
        let target = match &dsn.0 {
            Place::Server(info) => Target::Server(Box::new(match certificates {
                Some(certificates) => Client::build_with_tls(info.clone(), certificates).map_err(refused)?,
                None => Client::open(info.clone()).map_err(refused)?,
            })),
            Place::Sentinels(sentinels) => {
                Target::Sentinels(Arc::new(Mutex::new(sentinel_client(sentinels, certificates).map_err(refused)?)))
            }
        };
        Ok(Self { target, place: dsn.to_string() })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The server as it is now.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        let find = async {
            match &self.target {
                Target::Server(client) => Ok(Client::clone(client)),
                Target::Sentinels(sentinels) => sentinels.lock().await.async_get_client().await,
            }
        };
        timeout(CONNECT, find).await.unwrap_or_else(|_| Err(too_late("the sentinels")))
    }
}

impl ManageConnection for Connector {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&self) -> RedisResult<Connection> {
        let client = self.client().await?;
        // Commands have time limits of their own.
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        let redis = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Connection { redis, is_broken: false })
    }

    async fn is_valid(&self, connection: &mut Connection) -> RedisResult<()> {
        redis::cmd("PING").query_async(&mut connection.redis).await
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_broken
    }
}

fn too_late(who: &'static str) -> RedisError {
    (ErrorKind::Io, "no answer in time", who.to_owned()).into()
}

fn sentinel_client(sentinels: &Sentinels, certificates: Option<TlsCertificates>) -> RedisResult<SentinelClient> {
    let hosts = sentinels.hosts.iter().map(|(host, port)| match sentinels.is_tls {
        true => ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host.clone(), *port),
    });
    let mut builder = SentinelClientBuilder::new(hosts, &sentinels.service, SentinelServerType::Master)?
        .set_client_to_redis_db(sentinels.database);
    if sentinels.is_tls {
        builder =
            builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
        if let Some(certificates) = certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
    }
    if let Some(user) = &sentinels.server.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &sentinels.server.password {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(user) = &sentinels.sentinel.user {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = &sentinels.sentinel.password {
        builder = builder.set_client_to_sentinel_password(password);
    }
    builder.build()
}

/// The system's roots, as far as they can be read, and `extra`. Left to itself, the library would read the roots for each
/// connection, and refuse all for one that cannot be read.
fn with_system_roots(extra: &[u8]) -> TlsCertificates {
    let mut pem = Vec::new();
    for root in rustls_native_certs::load_native_certs().certs {
        pem.extend_from_slice(b"-----BEGIN CERTIFICATE-----\n");
        for line in BASE64_STANDARD.encode(&root).as_bytes().chunks(64) {
            pem.extend_from_slice(line);
            pem.push(b'\n');
        }
        pem.extend_from_slice(b"-----END CERTIFICATE-----\n");
    }
    pem.extend_from_slice(extra);
    TlsCertificates { client_tls: None, root_cert: Some(pem) }
}
