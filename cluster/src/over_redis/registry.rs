use std::sync::LazyLock;

use async_trait::async_trait;
use redis::Script;
use uuid::Uuid;

use super::server::Server;
use crate::{
    ClusterError, ClusterResult,
    members::{MEMBER_TTL, Member, Registry},
};

/// Takes off who was not seen for so many ms, by the server's clock. KEYS: members, when they were seen.
const PRUNE: &str = r"
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[1]))) do
        redis.call('HDEL', KEYS[1], name)
        redis.call('ZREM', KEYS[2], name)
    end
";
const WRITE: &str = r"
    redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
    redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[2])
    return ''
";

static ENROL: LazyLock<Script> = LazyLock::new(|| {
    let refuse = r"
        local other = redis.call('HGET', KEYS[1], ARGV[2])
        if other and cjson.decode(other).instance ~= ARGV[4] then return other end
    ";
    Script::new(&[PRUNE, refuse, WRITE].concat())
});
static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(&[PRUNE, WRITE].concat()));
static ALL: LazyLock<Script> = LazyLock::new(|| Script::new(&[PRUNE, "return redis.call('HVALS', KEYS[1])"].concat()));
static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local known = redis.call('HGET', KEYS[1], ARGV[1])
        if known and cjson.decode(known).instance == ARGV[2] then
            redis.call('HDEL', KEYS[1], ARGV[1])
            redis.call('ZREM', KEYS[2], ARGV[1])
        end
        return ''",
    )
});

impl Server {
    async fn write(&self, script: &'static Script, member: &Member) -> ClusterResult<String> {
        let text = serde_json::to_string(member).map_err(|error| ClusterError::Refused(error.to_string()))?;
        let (members, seen) = (self.keys.members(), self.keys.seen());
        let (name, instance) = (member.node.name.clone(), member.node.instance.to_string());
        self.ask(move |mut redis| async move {
            let mut call = script.key(members);
            call.key(seen).arg(ttl()).arg(name).arg(text).arg(instance).invoke_async(&mut redis).await
        })
        .await
    }
}

#[async_trait]
impl Registry for Server {
    async fn enrol(&self, member: &Member) -> ClusterResult<Option<Member>> {
        let other = self.write(&ENROL, member).await?;
        Ok((!other.is_empty()).then(|| serde_json::from_str(&other).ok()).flatten())
    }

    async fn put(&self, member: &Member) -> ClusterResult<()> {
        self.write(&PUT, member).await.map(drop)
    }

    async fn all(&self) -> ClusterResult<Vec<Member>> {
        let (members, seen) = (self.keys.members(), self.keys.seen());
        let all: Vec<String> = self
            .ask(move |mut redis| async move { ALL.key(members).key(seen).arg(ttl()).invoke_async(&mut redis).await })
            .await?;
        // One that cannot be read is of a version far away; it is not this one's to judge.
        let mut all: Vec<Member> = all.iter().filter_map(|member| serde_json::from_str(member).ok()).collect();
        all.sort_unstable_by(|a, b| a.node.name.cmp(&b.node.name));
        Ok(all)
    }

    async fn remove(&self, name: &str, instance: Uuid) -> ClusterResult<()> {
        let (members, seen) = (self.keys.members(), self.keys.seen());
        let (name, instance) = (name.to_owned(), instance.to_string());
        self.ask(move |mut redis| async move {
            REMOVE.key(members).key(seen).arg(name).arg(instance).invoke_async::<String>(&mut redis).await.map(drop)
        })
        .await
    }
}

fn ttl() -> u64 {
    u64::try_from(MEMBER_TTL.as_millis()).unwrap_or(u64::MAX)
}
