use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use gpt_load_schema::time::Timestamp;
use tokio::{
    sync::{Notify, broadcast, watch},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use super::hub::{Entry, Hub};
use crate::{
    ClusterError, ClusterResult, Epoch, NodeIdentity,
    bus::{self, Bus, Event, Message, Subscription},
    counters::{Counters, Limit, Taken, UsedUp},
    lease::{Holder, Lock, LockState},
    members::{MEMBER_TTL, Member, Registry},
    uplink::{EntryId, Received, Uplink},
    versions::{Version, Versions},
};

/// A node's connection to an [`InMemoryCluster`](super::InMemoryCluster), which can be cut.
#[derive(Clone)]
pub struct MemoryNode {
    hub: Arc<Hub>,
    line: Arc<Line>,
}

pub(super) struct Line {
    node: Arc<NodeIdentity>,
    /// Whether the node reaches the others.
    reachable: watch::Sender<bool>,
    freed: Notify,
    events: broadcast::Sender<Event>,
}

impl MemoryNode {
    pub(super) fn new(hub: Arc<Hub>, node: Arc<NodeIdentity>) -> Self {
        let line = Arc::new(Line {
            node,
            reachable: watch::Sender::new(true),
            freed: Notify::new(),
            events: broadcast::Sender::new(bus::BACKLOG),
        });
        hub.lines.lock().push(Arc::downgrade(&line));
        Self { hub, line }
    }

    /// From now on the node cannot reach the others, nor they it.
    pub fn cut(&self) {
        self.line.reachable.send_replace(false);
    }

    /// The node can reach the others again; its listeners are told that they missed something.
    pub fn mend(&self) {
        if !self.line.reachable.send_replace(true) {
            _ = self.line.events.send(Event::Missed);
            self.line.freed.notify_one();
        }
    }

    pub(super) fn reachable(&self) -> watch::Receiver<bool> {
        self.line.reachable.subscribe()
    }

    fn hub(&self) -> ClusterResult<&Hub> {
        match *self.line.reachable.borrow() {
            true => Ok(&self.hub),
            false => Err(ClusterError::Unavailable("the connection is cut".to_owned())),
        }
    }
}

#[async_trait]
impl Bus for MemoryNode {
    async fn publish(&self, topic: &str, payload: Bytes) -> ClusterResult<()> {
        let message = Message { from: self.line.node.name.as_str().into(), topic: topic.into(), payload };
        for line in self.hub()?.lines() {
            if !Arc::ptr_eq(&line, &self.line) && *line.reachable.borrow() {
                _ = line.events.send(Event::Message(message.clone()));
            }
        }
        Ok(())
    }

    fn subscribe(&self) -> Subscription {
        Subscription::new(self.line.events.subscribe())
    }
}

#[async_trait]
impl Uplink for MemoryNode {
    async fn send(&self, payload: Bytes) -> ClusterResult<()> {
        let hub = self.hub()?;
        let mut entries = hub.uplink.lock();
        entries.last_id += 1;
        let entry = Entry { id: entries.last_id, node: self.line.node.name.clone(), payload };
        entries.new.push_back(entry);
        hub.sent.notify_waiters();
        Ok(())
    }

    async fn reclaim(&self) -> ClusterResult<()> {
        let mut entries = self.hub()?.uplink.lock();
        entries.again = entries.handed_out.keys().copied().collect();
        Ok(())
    }

    async fn receive(&self, max: usize, wait: Duration) -> ClusterResult<Vec<Received>> {
        let deadline = Instant::now() + wait;
        loop {
            let sent = self.hub.sent.notified();
            let mut sent = std::pin::pin!(sent);
            sent.as_mut().enable();
            let received = self.hub()?.uplink.lock().hand_out(max);
            if !received.is_empty() || timeout_at(deadline, sent).await.is_err() {
                return Ok(received);
            }
        }
    }

    async fn acknowledge(&self, ids: &[EntryId]) -> ClusterResult<()> {
        let mut entries = self.hub()?.uplink.lock();
        for id in ids {
            if let Ok(id) = id.0.parse() {
                entries.handed_out.remove(&id);
            }
        }
        Ok(())
    }

    async fn backlog(&self) -> ClusterResult<u64> {
        let entries = self.hub()?.uplink.lock();
        Ok((entries.new.len() + entries.handed_out.len()) as u64)
    }
}

impl super::hub::Entries {
    fn hand_out(&mut self, max: usize) -> Vec<Received> {
        let mut entries = Vec::new();
        while entries.len() < max {
            let entry = match self.again.pop_front() {
                // It may have been acknowledged meanwhile.
                Some(id) => self.handed_out.get(&id).cloned(),
                None => match self.new.pop_front() {
                    Some(entry) => Some(entry),
                    None => break,
                },
            };
            if let Some(entry) = entry {
                self.handed_out.insert(entry.id, entry.clone());
                entries.push(Received { id: EntryId(entry.id.to_string()), node: entry.node, payload: entry.payload });
            }
        }
        entries
    }
}

#[async_trait]
impl Versions for MemoryNode {
    async fn publish(&self, name: &str, version: Version) -> ClusterResult<()> {
        let mut versions = self.hub()?.versions.lock();
        let known = versions.entry(name.to_owned()).or_default();
        *known = version.max(*known);
        Ok(())
    }

    async fn forget(&self, name: &str) -> ClusterResult<()> {
        self.hub()?.versions.lock().remove(name);
        Ok(())
    }

    async fn all(&self) -> ClusterResult<BTreeMap<String, Version>> {
        Ok(self.hub()?.versions.lock().clone())
    }
}

#[async_trait]
impl Registry for MemoryNode {
    async fn enrol(&self, member: &Member) -> ClusterResult<Option<Member>> {
        let mut members = self.hub()?.members.lock();
        match members.get(&member.node.name) {
            Some((other, until)) if *until > Instant::now() && other.node.instance != member.node.instance => {
                Ok(Some(other.clone()))
            }
            _ => {
                members.insert(member.node.name.clone(), (member.clone(), Instant::now() + MEMBER_TTL));
                Ok(None)
            }
        }
    }

    async fn put(&self, member: &Member) -> ClusterResult<()> {
        let entry = (member.clone(), Instant::now() + MEMBER_TTL);
        self.hub()?.members.lock().insert(member.node.name.clone(), entry);
        Ok(())
    }

    async fn all(&self) -> ClusterResult<Vec<Member>> {
        let mut members = self.hub()?.members.lock();
        members.retain(|_, (_, until)| *until > Instant::now());
        Ok(members.values().map(|(member, _)| member.clone()).collect())
    }

    async fn remove(&self, name: &str, instance: Uuid) -> ClusterResult<()> {
        let mut members = self.hub()?.members.lock();
        if members.get(name).is_some_and(|(member, _)| member.node.instance == instance) {
            members.remove(name);
        }
        Ok(())
    }
}

#[async_trait]
impl Counters for MemoryNode {
    async fn take(&self, limits: &[Limit]) -> ClusterResult<Result<Taken, UsedUp>> {
        let now = now();
        let mut windows = self.hub()?.windows.lock();
        for (index, limit) in limits.iter().enumerate() {
            let window = windows.entry(limit.counter.clone()).or_default();
            if let Some(wait) = window.wait(limit.limit, millis(limit.interval), now) {
                return Ok(Err(UsedUp { index, wait: Duration::from_millis(wait) }));
            }
        }
        let add = |limit: &Limit| {
            let window = windows.entry(limit.counter.clone()).or_default();
            window.add(limit.limit, millis(limit.interval), now)
        };
        Ok(Ok(Taken(limits.iter().map(add).collect())))
    }

    async fn give_back(&self, limits: &[Limit], taken: &Taken) -> ClusterResult<()> {
        let mut windows = self.hub()?.windows.lock();
        for (limit, at) in limits.iter().zip(&taken.0) {
            if let Some(window) = windows.get_mut(&limit.counter) {
                window.give_back(*at);
            }
        }
        windows.retain(|_, window| window.until() >= now());
        Ok(())
    }
}

#[async_trait]
impl Lock for MemoryNode {
    async fn acquire(&self, holder: &Holder, above: Epoch, ttl: Duration) -> ClusterResult<LockState> {
        let mut lock = self.hub()?.lock.lock();
        if let Some((name, instance, until)) = lock.holder()
            && *instance != holder.instance
        {
            return Ok(LockState::Theirs { name: name.clone(), epoch: lock.epoch, remaining: *until - Instant::now() });
        }
        lock.holder = Some((holder.name.clone(), holder.instance, Instant::now() + ttl));
        lock.epoch = Epoch(lock.epoch.max(above).0 + 1);
        Ok(LockState::Ours(lock.epoch))
    }

    async fn renew(&self, holder: &Holder, ttl: Duration) -> ClusterResult<LockState> {
        let mut lock = self.hub()?.lock.lock();
        let Some((name, instance, until)) = lock.holder() else { return Ok(LockState::Free) };
        if *instance != holder.instance {
            return Ok(LockState::Theirs { name: name.clone(), epoch: lock.epoch, remaining: *until - Instant::now() });
        }
        lock.holder = Some((holder.name.clone(), holder.instance, Instant::now() + ttl));
        Ok(LockState::Ours(lock.epoch))
    }

    async fn raise(&self, holder: &Holder, above: Epoch) -> ClusterResult<Option<Epoch>> {
        let mut lock = self.hub()?.lock.lock();
        if lock.holder().is_none_or(|(_, instance, _)| *instance != holder.instance) {
            return Ok(None);
        }
        lock.epoch = Epoch(lock.epoch.max(above).0 + 1);
        Ok(Some(lock.epoch))
    }

    async fn release(&self, holder: &Holder) -> ClusterResult<()> {
        let hub = self.hub()?;
        let mut lock = hub.lock.lock();
        if lock.holder().is_some_and(|(_, instance, _)| *instance == holder.instance) {
            lock.holder = None;
            for line in hub.lines() {
                line.freed.notify_one();
            }
        }
        Ok(())
    }

    async fn look(&self) -> ClusterResult<LockState> {
        let lock = self.hub()?.lock.lock();
        Ok(match lock.holder() {
            Some((name, _, until)) => {
                LockState::Theirs { name: name.clone(), epoch: lock.epoch, remaining: *until - Instant::now() }
            }
            None => LockState::Free,
        })
    }

    async fn changed(&self) {
        self.line.freed.notified().await;
    }
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().0).unwrap_or(0)
}

fn millis(interval: Duration) -> u64 {
    u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1)
}
