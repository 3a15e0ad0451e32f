//! Pools of connections to a database server, which may go away and come back.

use std::{sync::Arc, time::Duration};

use bb8::{ManageConnection, Pool, PooledConnection, RunError};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{SimpleAsyncConnection, pooled_connection::PoolableConnection};
use tokio::{sync::watch, time::timeout};

use super::CONNECTION_WAIT;
use crate::store::{StoreError, StoreResult};

/// Connections that may read at the same time.
const READERS: u32 = 12;
/// Connections that write: one at work, one in case the network lost the other.
const WRITERS: u32 = 2;
/// A connection is replaced at this age, so that a server that was moved is noticed.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Unused connections are closed after this time.
const IDLE: Duration = Duration::from_secs(10 * 60);
/// Longest wait for a new connection, TLS and password included.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for the proof that a connection still answers.
const PROOF_WAIT: Duration = Duration::from_secs(5);

/// How to reach a server, with the settings every connection of the store has.
pub(in crate::store) trait Server: Send + Sync + 'static {
    /// Its connections.
    type Connection: PoolableConnection + Send + 'static;

    /// A new connection.
    fn connect(&self) -> impl Future<Output = ConnectionResult<Self::Connection>> + Send;

    /// Kind and place, without credentials.
    fn place(&self) -> &str;
}

/// The pools of one database.
pub(in crate::store) struct ServerPools<S: Server> {
    pub(in crate::store) readers: ServerPool<S>,
    pub(in crate::store) writers: ServerPool<S>,
    /// The readers once more, or those of a replica.
    pub(in crate::store) replica: ServerPool<S>,
}

impl<S: Server> ServerPools<S> {
    /// Pools of `server`; lists and dashboards read from `replica`, where there is one. Connects to neither.
    pub(in crate::store) fn new(server: &Arc<S>, replica: Option<S>) -> Self {
        let readers = ServerPool::new(Arc::clone(server), READERS);
        let replica = replica.map_or_else(|| readers.clone(), |replica| ServerPool::new(Arc::new(replica), READERS));
        Self { writers: ServerPool::new(Arc::clone(server), WRITERS), readers, replica }
    }
}

/// Connections of one kind.
pub(in crate::store) struct ServerPool<S: Server> {
    pool: Pool<Manager<S>>,
    /// Why the last attempt to connect failed; `None` after one that did not.
    away: watch::Receiver<Option<Arc<str>>>,
}

impl<S: Server> Clone for ServerPool<S> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), away: self.away.clone() }
    }
}

impl<S: Server> ServerPool<S> {
    fn new(server: Arc<S>, size: u32) -> Self {
        let (told, away) = watch::channel(None);
        let pool = Pool::builder()
            .max_size(size)
            .idle_timeout(IDLE)
            .max_lifetime(LIFETIME)
            .connection_timeout(CONNECTION_WAIT)
            // Whoever wants a connection next tries again, so a server that is back is found at once.
            .retry_connection(false)
            .build_unchecked(Manager { server, told });
        Self { pool, away }
    }

    /// A connection that answers. While the server is away the wait is over with the first attempt that fails.
    pub(in crate::store) async fn get(&self) -> StoreResult<PooledConnection<'_, Manager<S>>> {
        let mut away = self.away.clone();
        // What an attempt of the past found is not held against this one.
        away.mark_unchanged();
        let gone = async {
            loop {
                if away.changed().await.is_err() {
                    return std::future::pending::<Arc<str>>().await;
                }
                if let Some(reason) = away.borrow_and_update().clone() {
                    return reason;
                }
            }
        };
        tokio::select! {
            biased;
            pooled = self.pool.get() => pooled.map_err(|error| match error {
                RunError::TimedOut => StoreError::Unavailable("no connection became free in time".to_owned()),
                RunError::User(error) => error,
            }),
            reason = gone => Err(StoreError::Unavailable(reason.to_string())),
        }
    }
}

/// Makes and proves connections for a pool.
pub(in crate::store) struct Manager<S> {
    server: Arc<S>,
    told: watch::Sender<Option<Arc<str>>>,
}

impl<S: Server> ManageConnection for Manager<S> {
    type Connection = S::Connection;
    type Error = StoreError;

    async fn connect(&self) -> StoreResult<S::Connection> {
        let connected = connect(&*self.server).await;
        self.told.send_replace(connected.as_ref().err().map(|error| Arc::from(error.to_string())));
        Ok(connected?)
    }

    async fn is_valid(&self, connection: &mut S::Connection) -> StoreResult<()> {
        match timeout(PROOF_WAIT, connection.batch_execute("SELECT 1")).await {
            Ok(answered) => Ok(answered?),
            Err(_) => Err(StoreError::Unavailable("the connection does not answer any more".to_owned())),
        }
    }

    fn has_broken(&self, connection: &mut S::Connection) -> bool {
        connection.is_broken()
    }
}

/// A new connection, within a bounded time.
///
/// # Errors
/// With the place of the server, and without credentials.
pub(in crate::store) async fn connect<S: Server>(server: &S) -> ConnectionResult<S::Connection> {
    let failed = |reason: &dyn std::fmt::Display| {
        ConnectionError::BadConnection(format!("cannot connect to {}: {reason}", server.place()))
    };
    match timeout(CONNECT_WAIT, server.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(failed(&format!("no answer within {} s", CONNECT_WAIT.as_secs()))),
    }
}
