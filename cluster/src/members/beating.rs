use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use gpt_load_schema::time::Timestamp;
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use uuid::Uuid;

use super::{HEARTBEAT_EVERY, Member, MemberRole, Members, Report};
use crate::{ClusterError, ClusterResult, NodeIdentity, lease::Role};

/// How long one heartbeat may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// A node of the same name that is silent for so long has died; a living one speaks every second.
const SILENCE: Duration = Duration::from_secs(3);
/// How often a node of the same name is listened for.
const LISTEN_EVERY: Duration = Duration::from_millis(250);

/// Where nodes write that they live.
#[async_trait]
pub(crate) trait Registry: Send + Sync + 'static {
    /// Writes `member`, for [`MEMBER_TTL`](super::MEMBER_TTL), unless another run of a node has this name: then it answers that.
    async fn enrol(&self, member: &Member) -> ClusterResult<Option<Member>>;

    /// Writes `member`, for [`MEMBER_TTL`](super::MEMBER_TTL), whoever has its name.
    async fn put(&self, member: &Member) -> ClusterResult<()>;

    /// The living nodes, by name.
    async fn all(&self) -> ClusterResult<Vec<Member>>;

    /// Takes a node off, if it is still this run of it.
    async fn remove(&self, name: &str, instance: Uuid) -> ClusterResult<()>;
}

/// Members that say every second that they live.
pub(crate) struct Beating {
    inner: Arc<Inner>,
    task: AbortHandle,
}

struct Inner {
    registry: Arc<dyn Registry>,
    node: Arc<NodeIdentity>,
    role: watch::Receiver<Role>,
    report: Mutex<Report>,
    known: Mutex<Arc<Vec<Member>>>,
}

impl Beating {
    /// Takes the name of `node`. One that a node had which died a moment ago is free after a few seconds: this waits.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NameTaken`] when its owner speaks meanwhile.
    pub(crate) async fn enrol(registry: &dyn Registry, node: &NodeIdentity) -> ClusterResult<()> {
        let own = || member(node, &Role::default(), Report::default());
        let Some(first) = registry.enrol(&own()).await? else { return Ok(()) };
        let since = Instant::now();
        while since.elapsed() < SILENCE {
            sleep(LISTEN_EVERY).await;
            let Some(owner) = registry.enrol(&own()).await? else { return Ok(()) };
            if (owner.node.instance, owner.seen_at) != (first.node.instance, first.seen_at) {
                return Err(ClusterError::NameTaken { name: owner.node.name, address: owner.node.address });
            }
        }
        registry.put(&own()).await
    }

    /// Says that `node` lives, with a task on `runtime`.
    pub(crate) fn start(
        registry: Arc<dyn Registry>,
        node: Arc<NodeIdentity>,
        role: watch::Receiver<Role>,
        runtime: &Handle,
    ) -> Self {
        let own = member(&node, &role.borrow(), Report::default());
        let known = Mutex::new(Arc::new(vec![own]));
        let inner = Arc::new(Inner { registry, node, role, report: Mutex::default(), known });
        let task = runtime.spawn(Arc::clone(&inner).beat()).abort_handle();
        Self { inner, task }
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Members for Beating {
    fn report(&self, report: Report) {
        *self.inner.report.lock() = report;
    }

    async fn list(&self) -> ClusterResult<Vec<Member>> {
        self.inner.list().await
    }

    fn known(&self) -> Arc<Vec<Member>> {
        Arc::clone(&self.inner.known.lock())
    }

    async fn leave(&self) {
        self.task.abort();
        let gone = timeout(PATIENCE, self.inner.registry.remove(&self.inner.node.name, self.inner.node.instance)).await;
        if let Ok(Err(error)) = gone {
            tracing::debug!(%error, "other nodes list this one for some seconds more");
        }
    }
}

impl Inner {
    async fn beat(self: Arc<Self>) {
        let mut ticks = interval(HEARTBEAT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut role = self.role.clone();
        loop {
            // A change of the role is told at once.
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = role.changed() => {}
            }
            let beat = async {
                self.registry.put(&self.own()).await?;
                self.list().await
            };
            if let Ok(Err(error)) = timeout(PATIENCE, beat).await {
                tracing::debug!(%error, "this node could not say that it lives");
            }
        }
    }

    async fn list(&self) -> ClusterResult<Vec<Member>> {
        let mut members = self.registry.all().await?;
        // What is known of oneself needs no heartbeat.
        members.retain(|member| member.node.name != self.node.name);
        members.push(self.own());
        members.sort_unstable_by(|a, b| a.node.name.cmp(&b.node.name));
        *self.known.lock() = Arc::new(members.clone());
        Ok(members)
    }

    fn own(&self) -> Member {
        member(&self.node, &self.role.borrow(), *self.report.lock())
    }
}

fn member(node: &NodeIdentity, role: &Role, report: Report) -> Member {
    Member { node: node.clone(), role: MemberRole::of(node, role), seen_at: Timestamp::now(), report }
}
