use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::Script;

use super::server::Server;
use crate::{
    ClusterResult, Epoch,
    lease::{Holder, Lock, LockState},
};

/// Answers {1, epoch} to the holder, {0, holder, epoch, ms left} to others, {} when nobody holds it.
static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local held = redis.call('GET', KEYS[1])
        if held and held ~= ARGV[1] then return {0, held, redis.call('GET', KEYS[2]) or '0', redis.call('PTTL', KEYS[1])} end
        local last = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
        local epoch = string.format('%.0f', math.max(last, tonumber(ARGV[3])) + 1)
        redis.call('SET', KEYS[2], epoch)
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        return {1, epoch}",
    )
});

static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local held = redis.call('GET', KEYS[1])
        if not held then return {} end
        if held ~= ARGV[1] then return {0, held, redis.call('GET', KEYS[2]) or '0', redis.call('PTTL', KEYS[1])} end
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        return {1, redis.call('GET', KEYS[2]) or '0'}",
    )
});

static RAISE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
        local last = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
        local epoch = string.format('%.0f', math.max(last, tonumber(ARGV[2])) + 1)
        redis.call('SET', KEYS[2], epoch)
        return epoch",
    )
});

static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
        redis.call('DEL', KEYS[1])
        return redis.call('PUBLISH', KEYS[2], '')",
    )
});

static LOOK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local held = redis.call('GET', KEYS[1])
        if not held then return {} end
        return {0, held, redis.call('GET', KEYS[2]) or '0', redis.call('PTTL', KEYS[1])}",
    )
});

/// What the key of the lock holds.
fn value(holder: &Holder) -> String {
    format!("{}|{}", holder.instance, holder.name)
}

/// What the scripts answer.
type Answer = (Option<i64>, Option<String>, Option<String>, Option<i64>);

fn state((is_ours, what, epoch, left): Answer) -> LockState {
    let parsed = |epoch: &str| Epoch(epoch.parse().unwrap_or(0));
    match (is_ours, what) {
        (Some(1), Some(epoch)) => LockState::Ours(parsed(&epoch)),
        (Some(_), Some(holder)) => LockState::Theirs {
            name: holder.split_once('|').map_or(holder.as_str(), |(_, name)| name).to_owned(),
            epoch: parsed(&epoch.unwrap_or_default()),
            remaining: Duration::from_millis(left.and_then(|left| u64::try_from(left).ok()).unwrap_or(0)),
        },
        _ => LockState::Free,
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl Server {
    async fn ask_lock(&self, script: &'static Script, args: Vec<String>) -> ClusterResult<LockState> {
        let (lock, epoch) = (self.keys.lock(), self.keys.epoch());
        let answer = self.ask(move |mut redis| async move {
            let mut call = script.prepare_invoke();
            call.key(lock).key(epoch);
            for arg in args {
                call.arg(arg);
            }
            call.invoke_async::<Vec<redis::Value>>(&mut redis).await.and_then(|values| {
                let mut values = values.into_iter();
                let is_ours = values.next().map(redis::from_redis_value).transpose()?;
                let what = values.next().map(redis::from_redis_value).transpose()?;
                let epoch = values.next().map(redis::from_redis_value).transpose()?;
                Ok((is_ours, what, epoch, values.next().map(redis::from_redis_value).transpose()?))
            })
        });
        answer.await.map(state)
    }
}

#[async_trait]
impl Lock for Server {
    async fn acquire(&self, holder: &Holder, above: Epoch, ttl: Duration) -> ClusterResult<LockState> {
        self.ask_lock(&ACQUIRE, vec![value(holder), millis(ttl).to_string(), above.0.to_string()]).await
    }

    async fn renew(&self, holder: &Holder, ttl: Duration) -> ClusterResult<LockState> {
        self.ask_lock(&RENEW, vec![value(holder), millis(ttl).to_string()]).await
    }

    async fn raise(&self, holder: &Holder, above: Epoch) -> ClusterResult<Option<Epoch>> {
        let (lock, epoch, holder) = (self.keys.lock(), self.keys.epoch(), value(holder));
        let raised: Option<String> = self
            .ask(move |mut redis| async move {
                RAISE.key(lock).key(epoch).arg(holder).arg(above.0).invoke_async(&mut redis).await
            })
            .await?;
        Ok(raised.and_then(|epoch| epoch.parse().ok()).map(Epoch))
    }

    async fn release(&self, holder: &Holder) -> ClusterResult<()> {
        let (lock, freed, holder) = (self.keys.lock(), self.keys.freed(), value(holder));
        self.ask(move |mut redis| async move {
            RELEASE.key(lock).key(freed).arg(holder).invoke_async::<i64>(&mut redis).await.map(drop)
        })
        .await
    }

    async fn look(&self) -> ClusterResult<LockState> {
        self.ask_lock(&LOOK, vec![]).await
    }

    async fn changed(&self) {
        self.signals.freed.notified().await;
    }
}
