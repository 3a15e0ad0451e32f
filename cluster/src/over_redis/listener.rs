use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use redis::RedisResult;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::{connector::Connector, frame, keys::Keys, server::Signals};
use crate::bus::Event;

/// How long a connection may take to come about and to listen.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a silent connection is tried, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(1);
/// How long to wait before connecting again, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Listens to all other nodes, for ever; connects again when the connection is gone.
pub(super) async fn run(connector: Connector, keys: Keys, own: Uuid, signals: Arc<Signals>) {
    let mut backoff = BACKOFF.0;
    loop {
        let ended = listen(&connector, &keys, own, &signals).await;
        if signals.reachable.send_replace(false) {
            backoff = BACKOFF.0;
            tracing::warn!(redis = connector.place(), reason = %reason(ended), "the connection to Redis is gone");
        } else {
            tracing::debug!(redis = connector.place(), reason = %reason(ended), "Redis cannot be reached");
        }
        sleep(backoff.mul_f64(rand::random_range(0.5..1.0))).await;
        backoff = (backoff * 2).min(BACKOFF.1);
    }
}

fn reason(ended: Result<RedisResult<()>, tokio::time::error::Elapsed>) -> String {
    match ended {
        Ok(Ok(())) => "it was closed".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    }
}

async fn listen(
    connector: &Connector,
    keys: &Keys,
    own: Uuid,
    signals: &Signals,
) -> Result<RedisResult<()>, tokio::time::error::Elapsed> {
    let (bus, freed) = (keys.bus(), keys.freed());
    let connect = async {
        let mut connection = connector.client().await?.get_async_pubsub().await?;
        connection.subscribe(&[&bus, &freed]).await?;
        Ok(connection)
    };
    let connection = match timeout(CONNECT, connect).await? {
        Ok(connection) => connection,
        Err(error) => return Ok(Err(error)),
    };
    let (mut sink, mut messages) = connection.split();
    if !signals.reachable.send_replace(true) {
        tracing::info!(redis = connector.place(), "listening to the other nodes");
    }
    // Whatever was said until now was not heard.
    _ = signals.events.send(Event::Missed);
    signals.freed.notify_one();
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let alive = async {
        loop {
            pings.tick().await;
            match timeout(PING_EVERY, sink.ping::<()>()).await? {
                Ok(()) => signals.set_reachable(true),
                Err(error) => return Ok(Err(error)),
            }
        }
    };
    let mut alive = std::pin::pin!(alive);
    loop {
        let message = tokio::select! {
            ended = &mut alive => return ended,
            message = messages.next() => message,
        };
        let Some(message) = message else { return Ok(Ok(())) };
        if message.get_channel_name() == freed {
            signals.freed.notify_one();
        } else if let Some((from, message)) = frame::unpacked(Bytes::copy_from_slice(message.get_payload_bytes()))
            && from != own
        {
            _ = signals.events.send(Event::Message(message));
        }
    }
}
