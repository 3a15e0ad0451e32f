use std::{collections::VecDeque, future::Future, sync::Arc, time::Duration};

use bb8_redis::bb8::{ErrorSink, Pool, RunError};
use parking_lot::Mutex;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, aio::MultiplexedConnection};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{Notify, broadcast, watch},
    time::timeout,
};

use super::{connector::Connector, keys::Keys, listener};
use crate::{
    ClusterError, ClusterResult, NodeIdentity,
    bus::{self, Event},
    uplink::Received,
};

/// How long a command may take, a connection included.
const COMMAND: Duration = Duration::from_secs(1);
/// How long one may wait for a connection.
const GET: Duration = Duration::from_millis(900);
/// Connections for commands, at most; one of them may wait for entries of the uplink.
const CONNECTIONS: u32 = 8;

/// A Redis that several nodes share, as one of them sees it.
pub(super) struct Server {
    pub(super) keys: Keys,
    pub(super) node: Arc<NodeIdentity>,
    /// How long a request waits.
    pub(super) patience: Duration,
    pub(super) signals: Arc<Signals>,
    /// Where the hand-out of what a predecessor left goes on; `None` = all was handed out.
    pub(super) reclaiming: Arc<Mutex<Option<String>>>,
    /// Received for a caller who has gone.
    pub(super) received: Arc<Mutex<VecDeque<Received>>>,
    pool: Pool<Connector>,
    last_error: LastError,
    place: String,
    handle: Handle,
    /// `Some` until it is dropped.
    runtime: Option<Runtime>,
}

/// Why there is no connection: the pool itself only says that there was none in time.
#[derive(Clone, Debug, Default)]
struct LastError(Arc<Mutex<Option<RedisError>>>);

impl ErrorSink<RedisError> for LastError {
    fn sink(&self, error: RedisError) {
        *self.0.lock() = Some(error);
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<RedisError>> {
        Box::new(self.clone())
    }
}

/// What the listener tells.
pub(super) struct Signals {
    pub(super) events: broadcast::Sender<Event>,
    pub(super) freed: Notify,
    pub(super) reachable: watch::Sender<bool>,
}

impl Signals {
    pub(super) fn set_reachable(&self, reachable: bool) {
        self.reachable.send_if_modified(|known| std::mem::replace(known, reachable) != reachable);
    }
}

impl Server {
    /// Does not connect yet.
    pub(super) fn start(
        connector: Connector,
        keys: Keys,
        node: Arc<NodeIdentity>,
        patience: Duration,
    ) -> ClusterResult<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("gpt-load-cluster")
            .enable_all()
            .build()
            .map_err(|error| ClusterError::Refused(format!("no thread for it: {error}")))?;
        let place = connector.place().to_owned();
        let signals = Arc::new(Signals {
            events: broadcast::Sender::new(bus::BACKLOG),
            freed: Notify::new(),
            reachable: watch::Sender::new(false),
        });
        runtime.spawn(listener::run(connector.clone(), keys.clone(), node.instance, Arc::clone(&signals)));
        let last_error = LastError::default();
        let pool = {
            let _entered = runtime.enter();
            let builder = Pool::builder().max_size(CONNECTIONS).connection_timeout(GET);
            builder.error_sink(Box::new(last_error.clone())).build_unchecked(connector)
        };
        let (reclaiming, received) = Default::default();
        let handle = runtime.handle().clone();
        Ok(Self {
            keys,
            node,
            patience,
            signals,
            reclaiming,
            received,
            pool,
            last_error,
            place,
            handle,
            runtime: Some(runtime),
        })
    }

    pub(super) const fn runtime(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn reachable(&self) -> watch::Receiver<bool> {
        self.signals.reachable.subscribe()
    }

    pub(super) async fn ping(&self) -> ClusterResult<()> {
        self.ask(|mut redis| async move { redis::cmd("PING").query_async(&mut redis).await }).await
    }

    /// Asks the server something, for a second at most. Goes on when the caller does not wait for it.
    pub(super) async fn ask<T, F>(
        &self,
        question: impl FnOnce(MultiplexedConnection) -> F + Send + 'static,
    ) -> ClusterResult<T>
    where
        T: Send + 'static,
        F: Future<Output = RedisResult<T>> + Send + 'static,
    {
        let (pool, place, last_error) = (self.pool.clone(), self.place.clone(), self.last_error.clone());
        let asked = self.handle.spawn(async move {
            let answered = timeout(COMMAND, async {
                let mut connection = pool.get().await.map_err(|error| match error {
                    RunError::User(error) => error,
                    RunError::TimedOut => last_error.0.lock().take().unwrap_or_else(too_late),
                })?;
                let asked = connection.redis.clone();
                // Stays so when the time is over and this is dropped: a late answer is nobody's.
                connection.is_broken = true;
                let answer = question(asked).await;
                connection.is_broken = answer.as_ref().is_err_and(RedisError::is_unrecoverable_error);
                answer
            });
            answered.await.unwrap_or_else(|_| Err(too_late())).map_err(|error| said(&place, &error))
        });
        asked.await.unwrap_or_else(|error| Err(ClusterError::Unavailable(format!("the command ended: {error}"))))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // May be dropped on a thread of its own.
            runtime.shutdown_background();
        }
    }
}

fn too_late() -> RedisError {
    (ErrorKind::Io, "no answer in time").into()
}

fn said(place: &str, error: &RedisError) -> ClusterError {
    let text = format!("{place}: {error}");
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::TryAgain,
        )
        | ErrorKind::MasterNameNotFoundBySentinel => ClusterError::Unavailable(text),
        _ => ClusterError::Refused(text),
    }
}
