//! Connections, and the one place where a query body meets its database.
//!
//! [`read!`] and [`write!`] expand a body once per database, with `$conn` of that database's type; statements that
//! differ between databases are methods of [`super::dialect::Dialect`].
//!
//! Every call runs as a task on a runtime that belongs to the store. A caller that goes away (a client hung up, an
//! arbiter ended) therefore never leaves a transaction half done, and no connection depends on the runtime of the thread
//! that happened to open it.

mod mysql;
mod postgres;
mod server;
mod sqlite;
pub(super) mod tls;

use std::{path::Path, sync::Arc, time::Duration};

use diesel::SqliteConnection;
use diesel_async::{pooled_connection::bb8::Pool, sync_connection_wrapper::SyncConnectionWrapper};
use tokio::{runtime::Runtime, sync::RwLock};

pub(super) use self::{
    mysql::Mysql,
    postgres::Postgres,
    server::{Server, ServerPools, connect},
    sqlite::{open_sqlite, sqlite_pools},
};
use super::{
    StoreError, StoreResult,
    unlock::{Opened, Wrapping},
};
use crate::crypto::Vault;

/// SQLite behind an asynchronous face.
pub(super) type AsyncSqlite = SyncConnectionWrapper<SqliteConnection>;

/// Longest wait for a free connection. Deleting a group of a million keys holds the writer for seconds.
const CONNECTION_WAIT: Duration = Duration::from_secs(30);
/// Threads that drive store calls; SQLite itself works on blocking threads.
const RUNTIME_THREADS: usize = 2;

/// The connections of the database in use.
pub(super) enum Pools {
    /// Readers, and the single connection that writes.
    Sqlite {
        readers: Pool<AsyncSqlite>,
        writer: Pool<AsyncSqlite>,
    },
    Postgres(ServerPools<Postgres>),
    Mysql(ServerPools<Mysql>),
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
            .enable_all()
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

impl StoreRuntime {
    /// Runs `work` until the runtime is dropped.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.as_ref().expect("taken by Drop only").spawn(work);
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
        $crate::store::pool::reading!(&$engine.pools, |$conn| $body)
    };
}

/// [`read!`] for what lists of log rows and dashboards show, which may come from a replica a moment behind.
macro_rules! read_replica {
    ($engine:expr, |$conn:ident| $body:expr) => {
        $crate::store::pool::reading!(&$engine.pools, replica, |$conn| $body)
    };
}

/// [`read!`] without an engine.
macro_rules! reading {
    ($pools:expr, |$conn:ident| $body:expr) => {
        $crate::store::pool::reading!($pools, readers, |$conn| $body)
    };
    ($pools:expr, $kind:ident, |$conn:ident| $body:expr) => {
        match $pools {
            $crate::store::pool::Pools::Sqlite { readers, .. } => {
                let mut pooled = readers.get().await.map_err($crate::store::StoreError::from)?;
                let $conn = &mut *pooled;
                $body
            }
            $crate::store::pool::Pools::Postgres(pools) => {
                let mut pooled = pools.$kind.get().await?;
                let $conn = &mut *pooled;
                $body
            }
            $crate::store::pool::Pools::Mysql(pools) => {
                let mut pooled = pools.$kind.get().await?;
                let $conn = &mut *pooled;
                $body
            }
        }
    };
}

/// Expands `$body` inside a transaction that has claimed `$epoch`. The body answers a `StoreResult`; an `Err` undoes it.
///
/// Whoever writes waits here for whoever writes already, since both claim the same row first. So no two writers of this
/// program ever deadlock or fail to serialise, and a body need not be fit to run twice. When somebody else's statement
/// gets in the way all the same, the error says that the write may be tried again.
macro_rules! write {
    ($engine:expr, $epoch:expr, |$conn:ident| $body:expr) => {
        $crate::store::pool::transact!(&$engine.pools, |$conn| {
            $crate::store::epoch::claim_epoch!($conn, $epoch);
            $body
        })
    };
}

/// A transaction without a claim.
macro_rules! transact {
    ($pools:expr, |$conn:ident| $body:expr) => {
        match $pools {
            $crate::store::pool::Pools::Sqlite { writer, .. } => {
                let mut pooled = writer.get().await.map_err($crate::store::StoreError::from)?;
                pooled.immediate_transaction(async |$conn| -> $crate::store::StoreResult<_> { $body }).await
            }
            $crate::store::pool::Pools::Postgres(pools) => {
                use diesel_async::AsyncConnection;
                let mut pooled = pools.writers.get().await?;
                (*pooled).transaction(async |$conn| -> $crate::store::StoreResult<_> { $body }).await
            }
            $crate::store::pool::Pools::Mysql(pools) => {
                use diesel_async::AsyncConnection;
                let mut pooled = pools.writers.get().await?;
                (*pooled).transaction(async |$conn| -> $crate::store::StoreResult<_> { $body }).await
            }
        }
    };
}

/// Expands `$body` for a connection that writes, outside of a transaction.
macro_rules! directly {
    ($engine:expr, |$conn:ident| $body:expr) => {
        match &$engine.pools {
            $crate::store::pool::Pools::Sqlite { writer, .. } => {
                let mut pooled = writer.get().await.map_err($crate::store::StoreError::from)?;
                let $conn = &mut *pooled;
                $body
            }
            $crate::store::pool::Pools::Postgres(pools) => {
                let mut pooled = pools.writers.get().await?;
                let $conn = &mut *pooled;
                $body
            }
            $crate::store::pool::Pools::Mysql(pools) => {
                let mut pooled = pools.writers.get().await?;
                let $conn = &mut *pooled;
                $body
            }
        }
    };
}

pub(super) use {directly, read, read_replica, reading, transact, write};

/// The text form of a path, which SQLite needs.
pub(super) fn path_text(path: &Path) -> StoreResult<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| StoreError::Incompatible("DATABASE_DSN: the path is not valid UTF-8".to_owned()))
}
