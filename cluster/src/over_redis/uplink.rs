use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{
    RedisResult,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamReadReply},
};
use tokio::time::Instant;

use super::server::Server;
use crate::{
    ClusterResult,
    uplink::{EntryId, Received, Uplink},
};

/// The consumer group of the leader.
const GROUP: &str = "leader";
/// How long the server waits for an entry in one command.
const BLOCK: Duration = Duration::from_millis(400);

#[async_trait]
impl Uplink for Server {
    async fn send(&self, payload: Bytes) -> ClusterResult<()> {
        let (key, node) = (self.keys.uplink(), self.node.name.clone());
        self.ask(move |mut redis| async move {
            redis::cmd("XADD")
                .arg(key)
                .arg("*")
                .arg("node")
                .arg(node)
                .arg("payload")
                .arg(&payload[..])
                .query_async(&mut redis)
                .await
        })
        .await
    }

    async fn reclaim(&self) -> ClusterResult<()> {
        self.received.lock().clear();
        *self.reclaiming.lock() = Some("0-0".to_owned());
        Ok(())
    }

    async fn receive(&self, max: usize, wait: Duration) -> ClusterResult<Vec<Received>> {
        let deadline = Instant::now() + wait;
        loop {
            {
                let mut received = self.received.lock();
                let count = received.len().min(max);
                if count > 0 {
                    return Ok(received.drain(..count).collect());
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let cursor = self.reclaiming.lock().clone();
            if cursor.is_none() && left.is_zero() && !wait.is_zero() {
                return Ok(vec![]);
            }
            self.fetch(cursor, max, left.min(BLOCK)).await?;
            if wait.is_zero() && self.reclaiming.lock().is_none() {
                return Ok(self.received.lock().drain(..).collect());
            }
        }
    }

    async fn acknowledge(&self, ids: &[EntryId]) -> ClusterResult<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let key = self.keys.uplink();
        let ids: Vec<String> = ids.iter().map(|id| id.0.clone()).collect();
        self.ask(move |mut redis| async move {
            let mut both = redis::pipe();
            both.atomic().cmd("XACK").arg(&key).arg(GROUP).arg(&ids).ignore();
            both.cmd("XDEL").arg(&key).arg(&ids).ignore();
            both.query_async(&mut redis).await
        })
        .await
    }

    async fn backlog(&self) -> ClusterResult<u64> {
        let key = self.keys.uplink();
        self.ask(move |mut redis| async move { redis::cmd("XLEN").arg(key).query_async(&mut redis).await }).await
    }
}

impl Server {
    /// Fetches entries to `received`, where they stay when the caller is gone.
    async fn fetch(&self, cursor: Option<String>, max: usize, wait: Duration) -> ClusterResult<()> {
        let (key, consumer) = (self.keys.uplink(), self.node.name.clone());
        let (received, reclaiming) = (self.received.clone(), self.reclaiming.clone());
        self.ask(move |mut redis| async move {
            let fetched = match &cursor {
                Some(cursor) => claim(&mut redis, &key, &consumer, cursor, max).await,
                None => read(&mut redis, &key, &consumer, max, wait).await.map(|entries| (None, entries)),
            };
            let (next, entries) = match fetched {
                // The stream is new, or Redis has lost its memory.
                Err(error) if error.code() == Some("NOGROUP") => {
                    create_group(&mut redis, &key).await?;
                    return Ok(());
                }
                fetched => fetched?,
            };
            let mut reclaiming = reclaiming.lock();
            // A term may have begun meanwhile, and then everything is handed out again.
            if *reclaiming == cursor {
                *reclaiming = next;
                received.lock().extend(entries.into_iter().filter_map(entry));
            }
            Ok(())
        })
        .await
    }
}

async fn read(
    redis: &mut MultiplexedConnection,
    key: &str,
    consumer: &str,
    max: usize,
    wait: Duration,
) -> RedisResult<Vec<StreamId>> {
    let mut command = redis::cmd("XREADGROUP");
    command.arg("GROUP").arg(GROUP).arg(consumer).arg("COUNT").arg(max);
    if wait >= Duration::from_millis(1) {
        command.arg("BLOCK").arg(wait.as_millis().to_string());
    }
    let reply: Option<StreamReadReply> = command.arg("STREAMS").arg(key).arg(">").query_async(redis).await?;
    Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
}

/// Claims what was handed out to anyone; answers where to go on.
async fn claim(
    redis: &mut MultiplexedConnection,
    key: &str,
    consumer: &str,
    cursor: &str,
    max: usize,
) -> RedisResult<(Option<String>, Vec<StreamId>)> {
    let mut command = redis::cmd("XAUTOCLAIM");
    command.arg(key).arg(GROUP).arg(consumer).arg(0).arg(cursor).arg("COUNT").arg(max);
    let reply: redis::streams::StreamAutoClaimReply = command.query_async(redis).await?;
    Ok(((reply.next_stream_id != "0-0").then_some(reply.next_stream_id), reply.claimed))
}

async fn create_group(redis: &mut MultiplexedConnection, key: &str) -> RedisResult<()> {
    let created: RedisResult<()> =
        redis::cmd("XGROUP").arg("CREATE").arg(key).arg(GROUP).arg("0").arg("MKSTREAM").query_async(redis).await;
    match created {
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
        created => created,
    }
}

fn entry(entry: StreamId) -> Option<Received> {
    let payload: Vec<u8> = entry.get("payload")?;
    Some(Received { node: entry.get("node")?, payload: payload.into(), id: EntryId(entry.id) })
}
