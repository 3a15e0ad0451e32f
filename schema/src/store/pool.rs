//! Connections, and the one place where a query body meets its database.
//!
//! [`read!`] and [`write!`] expand a body once per database, with `$conn` of that database's type; statements that
//! differ between databases are methods of [`super::dialect::Dialect`].
//!
//! Every call runs as a task on a runtime that belongs to the store. A caller that goes away (a client hung up, an
//! arbiter ended) therefore never leaves a transaction half done, and no connection depends on the runtime of the thread
//! that happened to open it.

use std::{path::Path, sync::Arc, time::Duration};

use diesel::{Connection, ConnectionError, ConnectionResult, SqliteConnection, connection::SimpleConnection};
use diesel_async::{
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, bb8::Pool},
    sync_connection_wrapper::SyncConnectionWrapper,
};
use tokio::{runtime::Runtime, sync::RwLock};

use super::{
    StoreError, StoreResult,
    unlock::{Opened, Wrapping},
};
use crate::crypto::Vault;

/// SQLite behind an asynchronous face.
pub(super) type AsyncSqlite = SyncConnectionWrapper<SqliteConnection>;

/// Connections that may read at the same time.
const SQLITE_READERS: u32 = 4;
/// Longest wait for a free connection. Deleting a group of a million keys holds the writer for seconds.
const CONNECTION_WAIT: Duration = Duration::from_secs(30);
/// Threads that drive store calls; SQLite itself works on blocking threads.
const RUNTIME_THREADS: usize = 2;

/// The connections of the database in use.
pub(super) enum Pools {
    /// Readers, and the single connection that writes.
    Sqlite { readers: Pool<AsyncSqlite>, writer: Pool<AsyncSqlite> },
}

/// What [`super::Store`] and [`super::Writer`] share.
pub(super) struct Engine {
    pub(super) pools: Pools,
    pub(super) vault: Arc<Vault>,
    /// What wraps data keys; `None` where secrets are plain text.
    pub(super) wrapping: Option<Arc<Wrapping>>,
    /// Shared by whoever encrypts, until that is committed; exclusive for whoever brings another data key.
    pub(super) sealing: RwLock<()>,
    runtime: StoreRuntime,
}

impl Engine {
    pub(super) fn new(pools: Pools, opened: &Opened, runtime: StoreRuntime) -> Self {
        let (vault, wrapping) = (Arc::clone(&opened.vault), opened.wrapping.clone());
        Self { pools, vault, wrapping, sealing: RwLock::default(), runtime }
    }

    /// Runs a store call to its end, also when the caller does not wait for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = StoreResult<T>> + Send + 'static,
    ) -> StoreResult<T> {
        self.runtime.run(call).await
    }
}

/// The store's own threads.
pub(super) struct StoreRuntime(Option<Runtime>);

impl StoreRuntime {
    pub(super) fn start() -> StoreResult<Self> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name("gpt-load-store")
            .enable_time()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| StoreError::Unavailable(format!("cannot start the store's threads: {error}")))
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = StoreResult<T>> + Send + 'static,
    ) -> StoreResult<T> {
        let runtime = self.0.as_ref().expect("taken by Drop only");
        runtime
            .spawn(call)
            .await
            .unwrap_or_else(|error| Err(StoreError::Internal(format!("a store call ended: {error}"))))
    }
}

impl Drop for StoreRuntime {
    fn drop(&mut self) {
        // A plain drop would block, which asynchronous code must not.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs `work` where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> StoreResult<T> + Send + 'static,
) -> StoreResult<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(StoreError::Internal(format!("a store call ended: {error}"))))
}

/// Expands `$body` for a connection that only reads.
macro_rules! read {
    ($engine:expr, |$conn:ident| $body:expr) => {
        match &$engine.pools {
            $crate::store::pool::Pools::Sqlite { readers, .. } => {
                let mut pooled = readers.get().await.map_err($crate::store::StoreError::from)?;
                let $conn = &mut *pooled;
                $body
            }
        }
    };
}

/// Expands `$body` inside a transaction that has claimed `$epoch`. The body answers a `StoreResult`; an `Err` undoes it.
macro_rules! write {
    ($engine:expr, $epoch:expr, |$conn:ident| $body:expr) => {
        match &$engine.pools {
            $crate::store::pool::Pools::Sqlite { writer, .. } => {
                let mut pooled = writer.get().await.map_err($crate::store::StoreError::from)?;
                pooled
                    .immediate_transaction(async |$conn| -> $crate::store::StoreResult<_> {
                        $crate::store::epoch::claim_epoch!($conn, $epoch);
                        $body
                    })
                    .await
            }
        }
    };
}

/// Expands `$body` for the connection that writes, outside of a transaction.
macro_rules! directly {
    ($engine:expr, |$conn:ident| $body:expr) => {
        match &$engine.pools {
            $crate::store::pool::Pools::Sqlite { writer, .. } => {
                let mut pooled = writer.get().await.map_err($crate::store::StoreError::from)?;
                let $conn = &mut *pooled;
                $body
            }
        }
    };
}

pub(super) use {directly, read, write};

/// Opens the pools of a SQLite file that [`super::migrate`] has prepared.
pub(super) async fn sqlite_pools(path: &str) -> StoreResult<Pools> {
    Ok(Pools::Sqlite { readers: sqlite_pool(path, SQLITE_READERS).await?, writer: sqlite_pool(path, 1).await? })
}

async fn sqlite_pool(path: &str, size: u32) -> StoreResult<Pool<AsyncSqlite>> {
    let mut config = ManagerConfig::<AsyncSqlite>::default();
    config.recycling_method = RecyclingMethod::Fast;
    config.custom_setup = Box::new(|path| {
        let path = path.to_owned();
        Box::pin(async move {
            let open = tokio::task::spawn_blocking(move || open_sqlite(&path));
            let connection = open.await.map_err(|error| ConnectionError::BadConnection(error.to_string()))??;
            Ok(SyncConnectionWrapper::new(connection))
        })
    });
    let pool = Pool::builder()
        .max_size(size)
        .min_idle(size)
        .idle_timeout(None)
        .max_lifetime(None)
        .connection_timeout(CONNECTION_WAIT)
        .build(AsyncDieselConnectionManager::new_with_config(path, config))
        .await;
    pool.map_err(|error| bb8::RunError::User(error).into())
}

/// A connection with the settings every SQLite connection of the store has.
///
/// The write-ahead log grows to 32 MiB before it is written back: an import touches the same index pages again and again.
pub(super) fn open_sqlite(path: &str) -> ConnectionResult<SqliteConnection> {
    let mut connection = SqliteConnection::establish(path)?;
    connection
        .batch_execute(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
             PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; \
             PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 67108864;",
        )
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// The text form of a path, which SQLite needs.
pub(super) fn path_text(path: &Path) -> StoreResult<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| StoreError::Incompatible("DATABASE_DSN: the path is not valid UTF-8".to_owned()))
}
