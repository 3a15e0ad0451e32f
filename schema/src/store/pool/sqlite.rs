//! Connections to a SQLite file.

use diesel::{Connection, ConnectionError, ConnectionResult, SqliteConnection, connection::SimpleConnection};
use diesel_async::{
    pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, bb8::Pool},
    sync_connection_wrapper::SyncConnectionWrapper,
};

use super::{AsyncSqlite, CONNECTION_WAIT, Pools};
use crate::store::StoreResult;

/// Connections that may read at the same time.
const READERS: u32 = 4;

/// Opens the pools of a SQLite file that [`super::migrate`] has prepared.
pub(in crate::store) async fn sqlite_pools(path: &str) -> StoreResult<Pools> {
    Ok(Pools::Sqlite { readers: sqlite_pool(path, READERS).await?, writer: sqlite_pool(path, 1).await? })
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
pub(in crate::store) fn open_sqlite(path: &str) -> ConnectionResult<SqliteConnection> {
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
