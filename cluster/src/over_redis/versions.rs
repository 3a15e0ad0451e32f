use std::{collections::BTreeMap, sync::LazyLock};

use async_trait::async_trait;
use redis::Script;

use super::server::Server;
use crate::{
    ClusterResult,
    versions::{Version, Versions},
};

/// Versions are texts of 20 digits: numbers of the script are not exact beyond 2^53.
static PUBLISH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local known = redis.call('HGET', KEYS[1], ARGV[1])
        if not known or known < ARGV[2] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
        return 1",
    )
});

#[async_trait]
impl Versions for Server {
    async fn publish(&self, name: &str, version: Version) -> ClusterResult<()> {
        let (key, name, version) = (self.keys.versions(), name.to_owned(), format!("{:020}", version.0));
        self.ask(move |mut redis| async move {
            PUBLISH.key(key).arg(name).arg(version).invoke_async::<i64>(&mut redis).await.map(drop)
        })
        .await
    }

    async fn forget(&self, name: &str) -> ClusterResult<()> {
        let (key, name) = (self.keys.versions(), name.to_owned());
        self.ask(move |mut redis| async move { redis::cmd("HDEL").arg(key).arg(name).query_async(&mut redis).await })
            .await
    }

    async fn all(&self) -> ClusterResult<BTreeMap<String, Version>> {
        let key = self.keys.versions();
        let all: BTreeMap<String, String> = self
            .ask(move |mut redis| async move { redis::cmd("HGETALL").arg(key).query_async(&mut redis).await })
            .await?;
        Ok(all.into_iter().filter_map(|(name, version)| Some((name, Version(version.parse().ok()?)))).collect())
    }
}
