//! The node among others.

use gpt_load_cluster::{Cluster, bus::Subscription, lease::Role};
use tokio::sync::watch;

use super::{Inner, Runtime};
use crate::cluster::{ClusterView, Intake};

impl Runtime {
    /// The node's place in the cluster now.
    pub fn cluster_view(&self) -> ClusterView {
        self.inner.team.view()
    }

    /// What the node is in the cluster, as it changes.
    pub fn role_changes(&self) -> watch::Receiver<Role> {
        self.inner.team.cluster.lease.watch()
    }

    /// What the node shares with others.
    pub fn cluster(&self) -> &Cluster {
        &self.inner.team.cluster
    }
}

impl Inner {
    /// Begins what a node of several does beside its work.
    pub(super) fn work_with_others(&self, bus: Subscription) {
        let (team, threads) = (&self.team, &self.threads);
        let intake = Intake {
            cluster: team.cluster.clone(),
            store: self.store.clone(),
            committer: team.committer.clone(),
            directory: self.directory.clone(),
        };
        threads.sync.spawn(team.clone().listen(bus));
        threads.sync.spawn(team.clone().ship());
        threads.sync.spawn(team.clone().tell());
        threads.sync.spawn(team.clone().keep_house());
        threads.sync.spawn(team.clone().follow_roles());
        threads.sync.spawn(intake.run());
    }
}
