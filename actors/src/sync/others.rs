//! What a node does because of others: joins them, takes over from a leader, follows one.

use std::sync::{Arc, atomic::Ordering};

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    store::{StoreError, StoreResult},
    time::Timestamp,
};

use super::leader::Leader;
use crate::{
    audit::TOPIC,
    cluster::changes::{Notice, Subject, Which},
    events::Event,
    group::Remove,
};

/// Rows of the audit log in one message.
const NOTED: usize = 100;

impl Leader {
    /// Fills all pools and publishes. Without Redis the node begins with what the database has.
    pub(super) async fn join(&self) -> StoreResult<()> {
        // What changes from here on has a later version.
        let versions = self.team.cluster.versions.all().await.unwrap_or_default();
        self.reload().await?;
        for (name, version) in versions {
            if let Some(subject) = Subject::parse(&name) {
                self.team.changes.apply(subject, version);
            }
        }
        Ok(())
    }

    /// Does what only a leader does, and makes up for what the former one may have left: it may have died between a commit
    /// and telling of it.
    pub(super) async fn take_over(&self) -> StoreResult<()> {
        if self.committer.follows() {
            return Ok(());
        }
        for (name, version) in self.team.cluster.versions.all().await.unwrap_or_default() {
            if let Some(subject) = Subject::parse(&name) {
                self.team.changes.apply(subject, version);
            }
        }
        self.store.learn_data_keys().await?;
        self.make_default_policies().await?;
        self.tasks.resume(self.store.task().await?, Timestamp::now());
        self.recover().await?;
        self.team.changed(Subject::Everything, Which::All).await;
        for member in self.directory.members().iter() {
            self.team.changed(Subject::Keys(member.group.id), Which::All).await;
        }
        Ok(())
    }

    /// Makes a change of the leader true here. When one before it was missed, everything that it may be about is read again.
    pub(super) async fn apply(&self, notice: &Notice) -> StoreResult<()> {
        let Some(subject) = notice.subject() else { return Ok(()) };
        let known = self.team.changes.applied(subject);
        if !self.committer.follows() || notice.version <= known {
            return Ok(());
        }
        let which = if known == notice.before { &notice.which } else { &Which::All };
        self.bring_up(subject, which).await?;
        self.team.changes.apply(subject, notice.version);
        Ok(())
    }

    /// The leader notes what this node has to note, unless it goes at this very moment.
    pub(super) async fn tell_what_is_to_be_noted(&self) {
        if self.team.view().leader.is_none() {
            return;
        }
        for noted in self.audit.take_new().chunks(NOTED) {
            let Ok(payload) = serde_json::to_vec(noted) else { continue };
            if let Err(error) = self.team.cluster.bus.publish(TOPIC, payload.into()).await {
                tracing::warn!(%error, rows = noted.len(), "rows of the audit log may be lost");
            }
        }
    }

    /// Finds out what was missed.
    pub(super) async fn compare(&self) {
        let versions = match self.team.cluster.versions.all().await {
            Ok(versions) => versions,
            Err(error) => return tracing::debug!(%error, "versions are compared later"),
        };
        let (behind, ahead) = self.team.changes.compare(&versions);
        if self.committer.follows() {
            self.team.versions_behind.store(behind.len() as u64, Ordering::Relaxed);
            for (subject, version) in behind {
                match self.bring_up(subject, &Which::All).await {
                    Ok(()) => {
                        self.team.changes.apply(subject, version);
                        self.team.versions_behind.fetch_sub(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        tracing::warn!(?subject, %error, "what the leader has changed is in force here later");
                    }
                }
            }
        } else {
            self.team.versions_behind.store(0, Ordering::Relaxed);
            let members = self.directory.members();
            let gone = self.team.changes.retain(|group| members.iter().any(|member| member.group.id == group));
            for (name, version) in ahead.iter().filter(|(name, _)| !gone.contains(name)) {
                // Redis has lost it, or was away.
                let _ = self.team.cluster.versions.publish(name, *version).await;
            }
            for name in gone {
                let _ = self.team.cluster.versions.forget(&name).await;
            }
        }
    }

    /// Makes this node what the database says.
    async fn bring_up(&self, subject: Subject, which: &Which) -> StoreResult<()> {
        match (subject, which) {
            (Subject::Everything, _) => {
                self.store.learn_data_keys().await?;
                self.reload().await?;
                for event in [Event::Groups, Event::Settings, Event::Policies] {
                    self.events.tell(|| event);
                }
                Ok(())
            }
            (Subject::Keys(group), Which::All) => self.resync(group).await,
            (Subject::Keys(group), Which::Between(after, last)) => match self.directory.member(group) {
                Some(member) => self.fill(&member, (Some(*after), Some(*last))).await,
                None => Ok(()),
            },
            (Subject::Keys(group), Which::Ids(ids)) => self.read_again(group, ids).await,
        }
    }

    /// Makes these keys of a pool what the database says.
    async fn read_again(&self, group: GroupId, ids: &[KeyId]) -> StoreResult<()> {
        let Some(member) = self.directory.member(group) else { return Ok(()) };
        let keys = self.store.keys_of(group, ids).await?;
        let is_there = |id: &KeyId| keys.binary_search_by_key(id, |key| key.id).is_ok();
        let gone: Vec<KeyId> = ids.iter().copied().filter(|id| !is_there(id)).collect();
        if !gone.is_empty() {
            let remove = Remove { ids: Arc::new(gone), more_follow: false };
            member.link.ask(remove).await.map_err(StoreError::from)?;
        }
        self.adopt(&member, keys, None, false).await.map(drop)
    }
}
