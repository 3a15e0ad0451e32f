//! Where the nodes of a test meet.

use std::{env, time::Duration};

use gpt_load_cluster::{
    Cluster, ClusterError, ClusterResult, Epoch, NodeIdentity,
    lease::Role,
    memory::InMemoryCluster,
    over_redis::{self, RedisOptions},
};
use tokio::time::timeout;

/// A cluster that no other test knows.
pub(crate) enum Place {
    Memory(InMemoryCluster),
    Redis(Box<RedisOptions>),
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self::Memory(InMemoryCluster::default())
    }

    pub(crate) fn redis() -> Self {
        let dsn = env::var("GPT_LOAD_TEST_REDIS").expect("start the databases with tests/with-servers.sh");
        Self::at(&dsn)
    }

    pub(crate) fn at(dsn: &str) -> Self {
        let cluster = uuid::Uuid::now_v7().to_string();
        Self::Redis(Box::new(RedisOptions { dsn: dsn.parse().unwrap(), cluster, extra_ca: None, patience: LONG }))
    }

    pub(crate) async fn try_join(&self, node: NodeIdentity) -> ClusterResult<Cluster> {
        match self {
            Self::Memory(cluster) => cluster.join(node).await.map(|(cluster, _)| cluster),
            Self::Redis(options) => over_redis::join(options, node).await,
        }
    }

    pub(crate) async fn join(&self, name: &str) -> Cluster {
        self.try_join(NodeIdentity::new(name)).await.unwrap()
    }

    pub(crate) async fn join_slave(&self, name: &str) -> Cluster {
        self.try_join(NodeIdentity { is_slave: true, ..NodeIdentity::new(name) }).await.unwrap()
    }
}

/// What is awaited and does not come within this is a failure.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Waits until the role of `node` is one that `is_it` takes.
pub(crate) async fn role(node: &Cluster, is_it: impl Fn(&Role) -> bool) -> Role {
    let mut role = node.lease.watch();
    let role = timeout(LONG, role.wait_for(|role| is_it(role))).await.expect("the role stays another");
    role.unwrap().clone()
}

pub(crate) async fn leads(node: &Cluster) -> Epoch {
    role(node, |role| role.epoch().is_some()).await.epoch().unwrap()
}

pub(crate) async fn follows(node: &Cluster, leader: &str) {
    role(node, |role| *role == Role::Follower { leader: Some(leader.to_owned()) }).await;
}

#[allow(clippy::needless_pass_by_value, reason = "callers ask in place")]
pub(crate) fn is_away<T: std::fmt::Debug>(answer: ClusterResult<T>) {
    assert!(matches!(answer, Err(ClusterError::Unavailable(_))), "{answer:?}");
}
