//! A database on a server is claimed by a lock of a session of its own. The server gives the lock back when the session
//! ends, however it ends; when it was the server that ended it, the lock is taken again.

use std::{sync::Arc, time::Duration};

use diesel::{
    OptionalExtension, QueryableByName, sql_query,
    sql_types::{BigInt, Nullable, Text},
};
use diesel_async::{AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::store::{
    StoreError, StoreResult,
    pool::{Server, StoreRuntime, connect},
};

/// A node that was killed is gone from the server within this time.
const PATIENCE: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_millis(100);
/// How often the session is looked after; a server ends one that it has not heard of for half a minute.
const LOOK: Duration = Duration::from_secs(5);

/// Looks after the session that holds a claim; ends with the runtime.
pub(super) struct Holding {
    /// How often the lock was taken.
    #[cfg(test)]
    taken: watch::Receiver<u64>,
    _runtime: StoreRuntime,
}

impl std::fmt::Debug for Holding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Holding")
    }
}

/// The words of a server about locks of sessions.
pub(super) trait SessionLock: SimpleAsyncConnection + Send + Sized {
    /// Tells the server whose session this is.
    fn introduce(&mut self, node: &str) -> impl Future<Output = StoreResult<()>> + Send;

    /// Takes the lock; `false` while another session holds it.
    fn try_lock(&mut self) -> impl Future<Output = StoreResult<bool>> + Send;

    /// Says who holds the lock, as far as the server knows.
    fn holder(&mut self) -> impl Future<Output = StoreResult<Option<String>>> + Send;
}

impl Holding {
    pub(super) async fn of<S: Server<Connection: SessionLock>>(server: S, node: &str) -> StoreResult<Self> {
        let runtime = StoreRuntime::start()?;
        let (server, node) = (Arc::new(server), node.to_owned());
        let told = watch::Sender::new(0_u64);
        #[cfg(test)]
        let taken = told.subscribe();
        let first = {
            let (server, node) = (Arc::clone(&server), node.clone());
            runtime.run(async move { take(&*server, &node).await }).await?
        };
        told.send_replace(1);
        runtime.spawn(async move {
            let mut session = first;
            loop {
                while lives(&mut session).await {
                    sleep(LOOK).await;
                }
                tracing::warn!("the session that keeps other nodes off {} was lost", server.place());
                session = loop {
                    match take(&*server, &node).await {
                        Ok(session) => break session,
                        Err(error) => tracing::warn!(%error, "the database cannot be claimed again"),
                    }
                    sleep(EVERY).await;
                };
                tracing::info!("{} is claimed again", server.place());
                told.send_modify(|times| *times += 1);
            }
        });
        Ok(Self {
            #[cfg(test)]
            taken,
            _runtime: runtime,
        })
    }

    #[cfg(test)]
    pub(super) async fn taken_again(&self) {
        self.taken.clone().wait_for(|times| *times > 1).await.expect("it is looked after");
    }
}

async fn lives<C: SimpleAsyncConnection>(session: &mut C) -> bool {
    timeout(LOOK, session.batch_execute("SELECT 1")).await.is_ok_and(|answer| answer.is_ok())
}

/// A session that holds the lock.
async fn take<S: Server<Connection: SessionLock>>(server: &S, node: &str) -> StoreResult<S::Connection> {
    let mut session = connect(server).await?;
    session.introduce(node).await?;
    let asked = timeout(PATIENCE, async {
        while !session.try_lock().await? {
            sleep(EVERY).await;
        }
        Ok::<_, StoreError>(())
    });
    match asked.await {
        Ok(taken) => taken.map(|()| session),
        Err(_) => {
            let holder = session.holder().await?.unwrap_or_else(|| "another node".to_owned());
            Err(StoreError::Unavailable(format!(
                "{} is in use by {holder}. Stop that node, or let DATABASE_DSN name another database; only nodes that are \
                 joined by REDIS_DSN share a database",
                server.place()
            )))
        }
    }
}

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = BigInt)]
    taken: i64,
}

#[derive(QueryableByName)]
struct Holder {
    #[diesel(sql_type = Nullable<Text>)]
    holder: Option<String>,
}

// The lock's number is 7453585392372114434, which `pg_locks` shows in halves.
impl SessionLock for AsyncPgConnection {
    async fn introduce(&mut self, node: &str) -> StoreResult<()> {
        let name = sql_query("SELECT set_config('application_name', $1, false)");
        name.bind::<Text, _>(format!("gpt-load node {node}")).execute(self).await?;
        Ok(())
    }

    async fn try_lock(&mut self) -> StoreResult<bool> {
        let query = sql_query("SELECT pg_try_advisory_lock(7453585392372114434)::int::bigint AS taken");
        Ok(query.get_result::<Taken>(self).await?.taken == 1)
    }

    async fn holder(&mut self) -> StoreResult<Option<String>> {
        let query = sql_query(
            "SELECT a.application_name || COALESCE(' at ' || host(a.client_addr), '') AS holder \
             FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_database d ON d.oid = l.database \
             WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database() \
             AND l.classid = 1735423084 AND l.objid = 1868653570 AND l.objsubid = 1",
        );
        let holder: Option<Holder> = query.get_result(self).await.optional()?;
        Ok(holder.and_then(|holder| holder.holder))
    }
}

// Locks of MySQL belong to the whole server, so the name holds that of the database. A session cannot be given a name.
impl SessionLock for AsyncMysqlConnection {
    async fn introduce(&mut self, _: &str) -> StoreResult<()> {
        Ok(self.batch_execute("SET SESSION wait_timeout = 30").await?)
    }

    async fn try_lock(&mut self) -> StoreResult<bool> {
        let query = sql_query(
            "SELECT CAST(COALESCE(GET_LOCK(CONCAT('gpt-load node ', LEFT(SHA2(DATABASE(), 256), 40)), 0), 0) AS SIGNED) \
             AS taken",
        );
        Ok(query.get_result::<Taken>(self).await?.taken == 1)
    }

    async fn holder(&mut self) -> StoreResult<Option<String>> {
        let query = sql_query(
            "SELECT CONCAT('a node at ', host) AS holder FROM information_schema.processlist \
             WHERE id = IS_USED_LOCK(CONCAT('gpt-load node ', LEFT(SHA2(DATABASE(), 256), 40)))",
        );
        let holder: Option<Holder> = query.get_result(self).await.optional()?;
        Ok(holder.and_then(|holder| holder.holder))
    }
}
