//! The leader's end of the uplink: stores what followers ship.

use std::{collections::HashMap, sync::Arc, time::Duration};

use gpt_load_cluster::{Cluster, ClusterResult, uplink::Received};
use gpt_load_schema::{
    ids::{GroupId, KeyId},
    log::RequestLog,
    store::{KeyDelta, OutcomeProofs, Store, StoreError, StoreResult},
    time::Timestamp,
    watermark::{Mark, Turn},
};

use super::{
    REPLIES,
    knowledge::{Word, time_of},
};
use crate::{
    group::Heed,
    groups::Directory,
    sync::{
        commit::Committer,
        shipment::{Answer, Reply, Shipment},
    },
};

/// Shipments taken from the uplink at a time.
const TAKEN: usize = 8;
/// How long to wait for the next.
const WAIT: Duration = Duration::from_secs(1);
/// Wait after a failure of the uplink or the database.
const AGAIN: Duration = Duration::from_millis(250);

/// What it takes to store shipments.
pub(crate) struct Intake {
    pub(crate) cluster: Cluster,
    pub(crate) store: Store,
    pub(crate) committer: Arc<Committer>,
    pub(crate) directory: Arc<Directory>,
}

impl Intake {
    /// Stores what comes while this node leads, for ever.
    pub(crate) async fn run(self) {
        let mut role = self.cluster.lease.watch();
        loop {
            // An error means that the lease is gone, and the node with it.
            if role.wait_for(|role| role.epoch().is_some()).await.is_err() {
                return;
            }
            if let Err(error) = self.lead().await {
                tracing::warn!(%error, "what other nodes ship waits for the uplink");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn leads(&self) -> bool {
        self.cluster.lease.current().is_some()
    }

    async fn lead(&self) -> ClusterResult<()> {
        let uplink = &self.cluster.uplink;
        uplink.reclaim().await?;
        while self.leads() {
            for entry in uplink.receive(TAKEN, WAIT).await? {
                if !self.take(&entry).await {
                    return Ok(());
                }
                uplink.acknowledge(std::slice::from_ref(&entry.id)).await?;
            }
        }
        Ok(())
    }

    /// Stores a shipment, as soon as the database takes it; false when this node no longer leads.
    async fn take(&self, entry: &Received) -> bool {
        let from = entry.node.as_str();
        loop {
            let shipment = match Shipment::decode(&entry.payload) {
                Ok(shipment) => shipment,
                Err(error) => {
                    // Who sent it keeps it, and sends it again to whoever leads then.
                    tracing::error!(from, %error, "a shipment cannot be read; do the nodes run versions next to each other?");
                    return true;
                }
            };
            let mark = shipment.mark();
            match self.store(shipment).await {
                Ok(answer) => {
                    if let Answer::Refused(error) = &answer {
                        tracing::error!(from, error, "the database refuses a shipment");
                    }
                    self.reply(&mark, answer).await;
                    return true;
                }
                Err(_) if !self.leads() => return false,
                Err(error) => {
                    tracing::warn!(from, %error, "a shipment waits for the database");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    async fn store(&self, mut shipment: Shipment<'_>) -> StoreResult<Answer> {
        let mark = shipment.mark();
        let Ok(deltas) = shipment.deltas() else { return Ok(Answer::Refused("its changes cannot be read".to_owned())) };
        // Nothing that this node knew before is stored after it.
        let _turn = self.committer.turn().await;
        let deltas = self.with_what_is_known(deltas).await?;
        let logs = self.rows(&mut shipment).await?;
        let proofs = OutcomeProofs { node: mark.node.clone(), positions: std::mem::take(&mut shipment.proofs) };
        let (resources, now) = (&shipment.resources, Timestamp::now());
        let (about, changes, rows, proofs) = (&mark, &deltas, &logs, &proofs);
        let stored = self
            .committer
            .write(
                |writer| async move { writer.commit_marked(changes, rows, resources, proofs, Some(about), now).await },
            )
            .await;
        match stored {
            Ok(Turn::Now) => {
                self.committer.note_rows(&logs);
                self.afterwards(&shipment, &mark).await;
                Ok(Answer::Stored)
            }
            Ok(Turn::Past) => Ok(Answer::Stored),
            Ok(Turn::Gap) => Ok(Answer::Gap),
            Ok(Turn::Superseded) => Ok(Answer::Superseded),
            Err(error @ (StoreError::Unavailable(_) | StoreError::StaleEpoch { .. })) => Err(error),
            Err(error) => Ok(Answer::Refused(error.to_string())),
        }
    }

    /// What need not be stored together with the rest, and is not missed when it is not.
    async fn afterwards(&self, shipment: &Shipment<'_>, mark: &Mark) {
        let (uses, node) = (&shipment.token_uses, &mark.node);
        let result = async {
            if !uses.is_empty() {
                self.committer.write(|writer| async move { writer.touch_access_tokens(uses).await }).await?;
            }
            if let Some(before) = shipment.forget_before {
                self.committer.write(|writer| async move { writer.forget_proofs(node, before).await }).await?;
            }
            StoreResult::Ok(())
        };
        if let Err(error) = result.await {
            tracing::debug!(%error, "what a shipment held besides is not stored");
        }
    }

    /// The shipped rows, with the values of their keys.
    async fn rows(&self, shipment: &mut Shipment<'_>) -> StoreResult<Vec<RequestLog>> {
        let mut keys: Vec<KeyId> = shipment.rows.iter().filter_map(|row| row.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        let values = if keys.is_empty() { HashMap::new() } else { self.store.key_values(&keys).await? };
        Ok(shipment.rows.drain(..).map(|row| row.row(&values)).collect())
    }

    /// The shipped changes, in the light of what this node knows: where that is later, it is what is stored; where it is
    /// earlier, the pools learn.
    async fn with_what_is_known(&self, mut deltas: Vec<KeyDelta>) -> StoreResult<Vec<KeyDelta>> {
        let mut places: HashMap<GroupId, Vec<usize>> = HashMap::new();
        let members = self.directory.members();
        for (place, delta) in deltas.iter().enumerate() {
            let owner = members.iter().find(|member| member.shared.snapshot.load().table.find(delta.id).is_some());
            if let Some(member) = owner {
                places.entry(member.group.id).or_default().push(place);
            }
        }
        for (group, places) in places {
            let Some(member) = self.directory.member(group) else { continue };
            let word = |delta: &KeyDelta| Word {
                group,
                key: delta.id,
                at: time_of(&delta.health),
                health: delta.health.clone(),
                failures: 0,
                reset: false,
            };
            let words: Vec<Word> = places.iter().map(|place| word(&deltas[*place])).collect();
            let known = member.link.ask(Heed { words: Arc::new(words) }).await?;
            for (place, health) in places.into_iter().zip(known) {
                if let Some(health) = health {
                    deltas[place].health = health;
                }
            }
        }
        Ok(deltas)
    }

    async fn reply(&self, mark: &Mark, answer: Answer) {
        let reply = Reply::new(mark.clone(), answer);
        let Ok(payload) = serde_json::to_vec(&reply) else { return };
        if let Err(error) = self.cluster.bus.publish(REPLIES, payload.into()).await {
            // Who sent it asks the database.
            tracing::debug!(%error, "a shipment was not confirmed");
        }
    }
}
