use std::sync::Arc;

use async_trait::async_trait;
use gpt_load_schema::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Member, MemberRole, Members, Report};
use crate::{ClusterResult, NodeIdentity, lease::Role};

/// The members of a cluster of one.
pub(crate) struct Lonely {
    node: Arc<NodeIdentity>,
    role: watch::Receiver<Role>,
    report: Mutex<Report>,
}

impl Lonely {
    pub(crate) fn new(node: Arc<NodeIdentity>, role: watch::Receiver<Role>) -> Self {
        Self { node, role, report: Mutex::default() }
    }
}

#[async_trait]
impl Members for Lonely {
    fn report(&self, report: Report) {
        *self.report.lock() = report;
    }

    async fn list(&self) -> ClusterResult<Vec<Member>> {
        Ok(self.known().to_vec())
    }

    fn known(&self) -> Arc<Vec<Member>> {
        Arc::new(vec![Member {
            node: NodeIdentity::clone(&self.node),
            role: MemberRole::of(&self.node, &self.role.borrow()),
            seen_at: Timestamp::now(),
            report: *self.report.lock(),
        }])
    }

    async fn leave(&self) {}
}
