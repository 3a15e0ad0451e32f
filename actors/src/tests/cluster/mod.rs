//! Several nodes in one process, on one database and one cluster in memory.

mod changes;
mod knowledge;
mod roles;
mod shipments;
mod trouble;

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use gpt_load_cluster::{
    Cluster, ClusterResult, NodeIdentity,
    bus::{Bus, Subscription},
    lease::Role,
    memory::{InMemoryCluster, MemoryNode},
    uplink::{EntryId, Received, Uplink},
};
use gpt_load_schema::store::Store;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::fixture::{Node, log_row};

/// How long what must come may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `test` is true.
async fn until(what: &str, mut test: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !test().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

/// A database, and what its nodes share.
struct Team {
    hub: InMemoryCluster,
    store: Store,
    _dir: TempDir,
}

/// A node, and what can go wrong between it and the others.
struct Mate {
    node: Node,
    cluster: Cluster,
    line: MemoryNode,
    faults: Arc<Faults>,
}

impl Deref for Mate {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Team {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("gpt-load.db");
        let store = Store::open(path.to_str().expect("a UTF-8 path"), None).await.expect("the store opens");
        Self { hub: InMemoryCluster::default(), store, _dir: dir }
    }

    /// A node joins; it stands for election.
    async fn mate(&self, name: &str) -> Mate {
        self.mate_in(name, false, tempfile::tempdir().expect("a temporary directory")).await
    }

    /// A node joins that never leads.
    async fn slave(&self, name: &str) -> Mate {
        self.mate_in(name, true, tempfile::tempdir().expect("a temporary directory")).await
    }

    async fn mate_in(&self, name: &str, is_slave: bool, dir: TempDir) -> Mate {
        let identity = NodeIdentity { is_slave, ..NodeIdentity::new(name) };
        let (mut cluster, line) = self.hub.join(identity).await.expect("the name is free");
        let faults = Arc::<Faults>::default();
        cluster.uplink = Arc::new(Lossy { inner: cluster.uplink.clone(), faults: faults.clone() });
        cluster.bus = Arc::new(Forgetful { inner: cluster.bus.clone(), faults: faults.clone() });
        let node = Node::start_among(cluster.clone(), self.store.clone(), dir).await;
        Mate { node, cluster, line, faults }
    }

    /// A leader and a follower who know each other.
    async fn pair(&self) -> (Mate, Mate) {
        let leader = self.mate("a").await;
        leader.leads().await;
        let follower = self.slave("b").await;
        follower.follows("a").await;
        (leader, follower)
    }

    async fn rows(&self) -> i64 {
        let (rows, failures) = self.store.log_counts().await.expect("the rows are counted");
        assert_eq!(failures, 0);
        rows
    }

    async fn rows_are(&self, rows: i64) {
        until("the rows are stored", async || self.rows().await >= rows).await;
        assert_eq!(self.rows().await, rows);
    }
}

impl Mate {
    async fn leads(&self) {
        let mut role = self.runtime.role_changes();
        let led = role.wait_for(|role| matches!(role, Role::Leader(_)));
        tokio::time::timeout(PATIENCE, led).await.expect("it leads in time").expect("the lease is there");
    }

    async fn follows(&self, leader: &str) {
        let mut role = self.runtime.role_changes();
        let is_so = |role: &Role| matches!(role, Role::Follower { leader: Some(name) } if name == leader);
        let followed = role.wait_for(is_so);
        tokio::time::timeout(PATIENCE, followed).await.expect("it follows in time").expect("the lease is there");
    }

    /// Waits until all that was handed over is stored, whatever is lost on its way.
    async fn flush(&self) {
        until("all is stored", async || self.runtime.flush().await.is_ok()).await;
    }

    fn record(&self, rows: i64) {
        (0..rows).for_each(|number| self.runtime.record(log_row(number)));
    }

    /// Ends like a process that is killed; what is left is its folder.
    async fn kill(self) -> TempDir {
        let Self { node, cluster, line, .. } = self;
        line.cut();
        node.runtime.kill().await;
        // Its lock and its name go when their time is over.
        drop((cluster, line));
        let Node { dir, .. } = node;
        dir
    }
}

/// What goes wrong between a node and the others.
#[derive(Default)]
struct Faults {
    /// Shipments that will be lost.
    lose: AtomicU64,
    /// Every shipment arrives twice, and once more at the end.
    doubles: AtomicBool,
    sent: Mutex<Vec<Bytes>>,
    /// Topics on which nothing that the node says is heard.
    mute: Mutex<Vec<&'static str>>,
    /// What was said, by topic.
    said: Mutex<BTreeMap<String, u64>>,
}

impl Faults {
    fn said(&self, topic: &str) -> u64 {
        self.said.lock().get(topic).copied().unwrap_or(0)
    }

    fn sent(&self) -> usize {
        self.sent.lock().len()
    }
}

struct Lossy {
    inner: Arc<dyn Uplink>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Uplink for Lossy {
    async fn send(&self, payload: Bytes) -> ClusterResult<()> {
        self.faults.sent.lock().push(payload.clone());
        let is_lost = self.faults.lose.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        if is_lost.is_ok() {
            return Ok(());
        }
        if self.faults.doubles.load(Ordering::Acquire) {
            self.inner.send(payload.clone()).await?;
        }
        self.inner.send(payload).await
    }

    async fn reclaim(&self) -> ClusterResult<()> {
        self.inner.reclaim().await
    }

    async fn receive(&self, max: usize, wait: Duration) -> ClusterResult<Vec<Received>> {
        self.inner.receive(max, wait).await
    }

    async fn acknowledge(&self, ids: &[EntryId]) -> ClusterResult<()> {
        self.inner.acknowledge(ids).await
    }

    async fn backlog(&self) -> ClusterResult<u64> {
        self.inner.backlog().await
    }
}

struct Forgetful {
    inner: Arc<dyn Bus>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Bus for Forgetful {
    async fn publish(&self, topic: &str, payload: Bytes) -> ClusterResult<()> {
        *self.faults.said.lock().entry(topic.to_owned()).or_default() += 1;
        if self.faults.mute.lock().contains(&topic) {
            return Ok(());
        }
        self.inner.publish(topic, payload).await
    }

    fn subscribe(&self) -> Subscription {
        self.inner.subscribe()
    }
}
