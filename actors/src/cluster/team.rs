//! What a node of several does beside its work: listens, ships, compares, says how it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use gpt_load_cluster::{
    Cluster, Epoch,
    bus::{Event as Heard, Message},
    lease::Role,
    members::Report,
};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    changes::{self, Changes, Notice, Subject, Which},
    knowledge::{self, Knowledge, UsedUp, Word},
    view::{ClusterView, UplinkView},
};
use crate::{
    audit::{self, Audit, Noted},
    group::Hear,
    groups::Directory,
    journal::Journal,
    sync::{Job, Orders, commit::Committer, shipment::Reply},
    tasks::Tasks,
};

/// The topic of replies to shipments.
pub(crate) const REPLIES: &str = "reply";
/// How often what waits is shipped when it is little.
const SHIP_EVERY: Duration = Duration::from_millis(250);
/// Wait after a shipment in vain.
const SHIP_AGAIN: Duration = Duration::from_secs(1);
/// How often versions are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(3);
/// How often the node says how it is.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The node among others.
pub(crate) struct Team {
    pub(crate) cluster: Cluster,
    pub(crate) committer: Arc<Committer>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) changes: Changes,
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) orders: Orders,
    pub(crate) tasks: Tasks,
    pub(crate) versions_behind: Arc<AtomicU64>,
    pub(crate) audit: Arc<Audit>,
}

impl Team {
    /// Follows who leads: a new leader takes over, a former one lets go of what only a leader does.
    pub(crate) async fn follow_roles(self: Arc<Self>) {
        let mut role = self.cluster.lease.watch();
        let mut led: Option<Epoch> = None;
        loop {
            let now = role.borrow_and_update().epoch();
            match (led, now) {
                (None, Some(_)) => self.orders.queue(Job::Lead),
                (Some(_), None) => {
                    self.tasks.cancel(gpt_load_schema::time::Timestamp::now());
                    self.committer.hurry();
                }
                _ => {}
            }
            led = now;
            if role.changed().await.is_err() {
                return;
            }
        }
    }

    /// Hears what other nodes say.
    pub(crate) async fn listen(self: Arc<Self>, mut bus: gpt_load_cluster::bus::Subscription) {
        while let Some(event) = bus.next().await {
            match event {
                Heard::Message(message) => self.hear(&message),
                Heard::Missed => self.orders.queue_once(Job::Compare),
            }
        }
    }

    fn hear(&self, message: &Message) {
        let from = &*message.from;
        match &*message.topic {
            REPLIES => {
                if let (Some(reply), Some(shipping)) = (read::<Reply>(message), self.committer.shipping()) {
                    shipping.hear(reply);
                }
            }
            changes::TOPIC => {
                if let Some(notice) = read::<Notice>(message) {
                    tracing::debug!(from, ?notice, "another node has changed something");
                    self.orders.queue(Job::Apply(Box::new(notice)));
                }
            }
            knowledge::TOPIC => {
                let Some(words) = read::<Vec<Word>>(message) else { return };
                let mut words = words;
                words.sort_by_key(|word| word.group);
                for words in words.chunk_by(|one, other| one.group == other.group) {
                    if let Some(member) = words.first().and_then(|word| self.directory.member(word.group)) {
                        member.link.nudge(Hear { words: Arc::new(words.to_vec()) });
                    }
                }
            }
            knowledge::LIMITS => {
                for limit in read::<Vec<UsedUp>>(message).unwrap_or_default() {
                    if let Some(member) = self.directory.member(limit.group) {
                        member.shared.hear_used_up(&limit);
                    }
                }
            }
            audit::TOPIC if !self.committer.follows() => {
                if let Some(noted) = read::<Vec<Noted>>(message) {
                    self.audit.record_for_another(noted);
                }
            }
            // A topic of a later version, or one for others.
            _ => {}
        }
    }

    /// Ships what waits while another node leads, and lets the node introduce itself when it leads.
    pub(crate) async fn ship(self: Arc<Self>) {
        let mut ticks = interval(SHIP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.committer.hurried() => {}
            }
            let result = match self.committer.follows() {
                true => self.committer.ship().await,
                false if self.committer.is_owed_an_introduction() => self.committer.commit_batch().await.map(drop),
                false => Ok(()),
            };
            if let Err(error) = result {
                let waiting = self.committer.waiting();
                tracing::warn!(%error, waiting, "outcomes and log rows wait for the leader");
                tokio::time::sleep(SHIP_AGAIN).await;
            }
        }
    }

    /// Tells what became of keys here.
    pub(crate) async fn tell(self: Arc<Self>) {
        loop {
            for (topic, message) in self.knowledge.messages().await {
                if let Err(error) = self.cluster.bus.publish(topic, message).await {
                    tracing::debug!(%error, "other nodes do not hear what became of keys");
                }
            }
        }
    }

    /// Compares versions now and then, and says how the node is.
    pub(crate) async fn keep_house(self: Arc<Self>) {
        let (mut compare, mut report) = (interval(COMPARE_EVERY), interval(REPORT_EVERY));
        compare.set_missed_tick_behavior(MissedTickBehavior::Delay);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = compare.tick() => self.orders.queue_once(Job::Compare),
                _ = report.tick() => self.cluster.members.report(self.report()),
            }
        }
    }

    fn report(&self) -> Report {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Report {
            journal_bytes: self.journal.stats().bytes,
            journal_records: self.committer.waiting() as u64,
            lag_ms: millis(self.committer.lag()),
            versions_behind: self.versions_behind.load(Ordering::Relaxed),
        }
    }

    /// The node's place as it is now.
    pub(crate) fn view(&self) -> ClusterView {
        let role = self.cluster.lease.watch().borrow().clone();
        let name = self.cluster.node.name.clone();
        let leader = match &role {
            Role::Leader(_) => Some(name.clone()),
            Role::Follower { leader } => leader.clone(),
        };
        let uplink = match role {
            Role::Leader(_) => UplinkView::Leads,
            Role::Follower { .. } if self.committer.is_owed_an_introduction() => UplinkView::Introducing,
            Role::Follower { .. } => UplinkView::Ships,
        };
        ClusterView {
            is_shared: self.cluster.is_shared,
            name,
            role,
            leader,
            lag: self.committer.lag(),
            waiting: self.committer.waiting(),
            uplink,
            versions_behind: self.versions_behind.load(Ordering::Relaxed),
        }
    }

    /// The leader has changed something: all others are told.
    pub(crate) async fn changed(&self, subject: Subject, which: Which) {
        if !self.cluster.is_shared {
            return;
        }
        let epoch = self.cluster.lease.current().unwrap_or_default();
        let (name, notice) = self.changes.changed(subject, which, epoch);
        // What fails here is made up for when versions are compared.
        if let Err(error) = self.cluster.versions.publish(&name, notice.version).await {
            tracing::warn!(%error, "other nodes learn of a change later");
        }
        if let Ok(payload) = serde_json::to_vec(&notice)
            && let Err(error) = self.cluster.bus.publish(changes::TOPIC, payload.into()).await
        {
            tracing::debug!(%error, "other nodes learn of a change by its version");
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(message: &Message) -> Option<T> {
    let read = serde_json::from_slice(&message.payload);
    read.inspect_err(|error| tracing::warn!(from = &*message.from, %error, "a message of another node cannot be read"))
        .ok()
}
