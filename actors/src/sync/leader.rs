//! What the leader does with the database on behalf of management and of the pools.

use std::{sync::Arc, time::Duration};

use gpt_load_schema::{
    group::{Group, GroupDefinition, SubGroup},
    ids::{GroupId, KeyId},
    key::{KeyRecord, KeySource, KeyState, KeyTraits},
    secret::Secret,
    store::{KeyFilter, KeySelector, Store, StoreError, StoreResult},
    time::Timestamp,
    validate,
};

use super::{Job, JobQueue, commit::Committer};
use crate::{
    audit::Audit,
    cluster::{
        Team,
        changes::{Subject, Which},
    },
    commands::{Command, CommandError, Order, Reply},
    events::Events,
    group::{AcceptHeld, Adopt, Direct, Remove, Settle},
    groups::{Arrange, Directory, Groups, Member, Publish},
    pool::core::IdRange,
    respawn::{Gone, Link},
    tasks::Tasks,
    tokens::Tokens,
};

/// Keys read, or added, at a time.
const KEY_BATCH: u32 = 10_000;
/// Log rows, or resources, deleted at a time.
const PRUNE_BATCH: u32 = 1_000;
/// A node that shipped nothing for so long begins anew.
const WATERMARKS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The leader's means.
pub(crate) struct Leader {
    pub(crate) store: Store,
    pub(crate) committer: Arc<Committer>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) groups: Arc<Link<Groups>>,
    pub(crate) jobs: Arc<JobQueue>,
    pub(crate) tasks: Tasks,
    pub(crate) audit: Arc<Audit>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) events: Events,
    pub(crate) team: Arc<Team>,
}

impl From<Gone> for StoreError {
    fn from(_: Gone) -> Self {
        Self::Internal("a group's actor does not answer".to_owned())
    }
}

impl Leader {
    /// Makes the built-in policies in a new database, takes up the record of the task, fills all pools, then publishes.
    ///
    /// A node of several only reads: whoever leads does the rest ([`Leader::take_over`]).
    pub(crate) async fn start(&self) -> StoreResult<()> {
        if self.team.cluster.is_shared {
            return self.join().await;
        }
        self.make_default_policies().await?;
        self.tasks.resume(self.store.task().await?, Timestamp::now());
        self.reload().await?;
        self.resume_rotation().await
    }

    /// Reads settings, groups, policies and access tokens, fills the pools of groups that are new here, then publishes.
    pub(crate) async fn reload(&self) -> StoreResult<()> {
        let (groups, rows) = (self.store.groups().await?, self.store.settings().await?);
        let policies = self.active_policies().await?;
        self.tokens.replace(self.store.access_tokens().await?);
        self.groups.ask(Arrange { groups, rows, policies }).await?;
        for member in self.directory.members().iter().filter(|member| !member.shared.is_filled()) {
            self.fill(member, (None, None)).await?;
            member.shared.filled();
        }
        Ok(self.groups.ask(Publish).await?)
    }

    /// Makes a group's pool what the database says, after it says all that the pool knows.
    pub(crate) async fn resync(&self, group: GroupId) -> StoreResult<()> {
        let Some(member) = self.directory.member(group) else { return Ok(()) };
        self.settle(&member).await?;
        self.fill(&member, (None, None)).await
    }

    /// Makes the whole node what the database says: a writer may have died between a commit and showing it.
    pub(crate) async fn recover(&self) -> StoreResult<()> {
        self.reload().await?;
        for member in self.directory.members().iter() {
            self.resync(member.group.id).await?;
        }
        if self.committer.follows() {
            return Ok(());
        }
        self.keep_task().await?;
        self.resume_rotation().await
    }

    /// Deletes a few log rows past their retention and resources past their time; answers whether there may be more.
    pub(crate) async fn prune(&self) -> StoreResult<bool> {
        let now = Timestamp::now();
        let forgotten =
            self.committer.write(|writer| async move { writer.prune_resources(now, PRUNE_BATCH).await }).await?;
        self.committer.write(|writer| async move { writer.prune_tallies(now).await }).await?;
        if self.team.cluster.is_shared {
            let before = now - WATERMARKS_KEPT;
            self.committer.write(|writer| async move { writer.prune_watermarks(before).await }).await?;
        }
        let is_full = |deleted: u64| deleted >= u64::from(PRUNE_BATCH);
        Ok(self.prune_logs().await? | is_full(self.prune_audit().await?) | is_full(forgotten))
    }

    async fn prune_audit(&self) -> StoreResult<u64> {
        let days = self.directory.system().map_or(0, |settings| settings.audit_log_retention_days);
        let Some(before) = end_of_retention(days) else { return Ok(0) };
        self.committer.write(|writer| async move { writer.prune_audit(before, PRUNE_BATCH).await }).await
    }

    async fn prune_logs(&self) -> StoreResult<bool> {
        let days = self.directory.system().map_or(0, |settings| settings.request_log_retention_days);
        let Some(before) = end_of_retention(days) else { return Ok(false) };
        let deleted =
            self.committer.write(|writer| async move { writer.prune_logs(before, PRUNE_BATCH).await }).await?;
        Ok(deleted >= u64::from(PRUNE_BATCH))
    }

    /// Carries out a management write, without a note in the audit log.
    pub(super) async fn carry_out(&self, command: Command) -> Result<Reply, CommandError> {
        match command {
            Command::CreateGroup(definition) => self.create_group(&definition).await,
            Command::UpdateGroup(id, definition) => self.update_group(id, &definition).await,
            Command::DeleteGroup(id) => self.delete_group(id).await,
            Command::SetSubGroups(id, members) => self.set_sub_groups(id, &members).await,
            Command::ReorderGroups(positions) => {
                let (positions, now) = (&positions, Timestamp::now());
                self.committer.write(|writer| async move { writer.reorder_groups(positions, now).await }).await?;
                self.show().await;
                Ok(Reply::Done)
            }
            Command::AddKeys { group, values, state, source } => {
                self.doubt_on_error(group, self.add_keys(group, &values, state, source).await)
            }
            Command::DeleteKeys(group, which) => self.doubt_on_error(group, self.delete_keys(group, &which).await),
            Command::RestoreKeys(group, which) => self.doubt_on_error(group, self.restore_keys(group, &which).await),
            Command::AddBatch { group, values, state, source } => {
                self.doubt_on_error(group, self.add_batch(group, &values, state, source).await)
            }
            Command::DeleteBatch(group, which) => self.doubt_on_error(group, self.delete_batch(group, &which).await),
            Command::RestoreBatch(group, which) => self.doubt_on_error(group, self.restore_batch(group, &which).await),
            Command::ShowKeys(group) => {
                let total = self.adopt(&self.member(group)?, Vec::new(), None, false).await?;
                Ok(Reply::Changed { count: 0, total })
            }
            Command::OrderKey(group, key, order) => self.order_key(group, key, order).await,
            Command::AcceptHeld(group) => self.accept_held(group).await,
            Command::UpdateKey(group, key, traits) => {
                self.doubt_on_error(group, self.update_key(group, key, &traits).await)
            }
            Command::SetKeyNotes(id, notes) => {
                let (notes, now) = (&notes, Timestamp::now());
                self.committer.write(|writer| async move { writer.set_key_notes(id, notes, now).await }).await?;
                Ok(Reply::Done)
            }
            Command::PutSettings(values) => {
                let (values, now) = (&values, Timestamp::now());
                self.committer.write(|writer| async move { writer.put_settings(values, now).await }).await?;
                self.show().await;
                // A shorter retention holds from now on.
                self.jobs.push_once(Job::Prune);
                Ok(Reply::Done)
            }
            Command::RotateDataKey => self.rotate_data_key().await,
            Command::CreatePolicy(definition) => self.create_policy(&definition).await,
            Command::UpdatePolicy(id, definition) => self.update_policy(id, &definition).await,
            Command::DeletePolicy(id) => self.delete_policy(id).await,
            Command::SetGroupPolicies(group, links) => self.set_group_policies(group, &links).await,
            Command::CreateToken { definition, prefix, hash } => self.create_token(&definition, &prefix, &hash).await,
            Command::UpdateToken(id, definition) => self.update_token(id, &definition).await,
            Command::DeleteToken(id) => self.delete_token(id).await,
        }
    }

    /// Key writes go in batches, of which a failed write may have stored the first: the pool has to look.
    fn doubt_on_error(&self, group: GroupId, result: Result<Reply, CommandError>) -> Result<Reply, CommandError> {
        if result.is_err() {
            self.jobs.push(Job::Resync(group));
        }
        result
    }

    async fn create_group(&self, definition: &GroupDefinition) -> Result<Reply, CommandError> {
        let now = Timestamp::now();
        let group = self.committer.write(|writer| async move { writer.insert_group(definition, now).await }).await?;
        self.show().await;
        Ok(self.as_it_is(group))
    }

    async fn update_group(&self, id: GroupId, definition: &GroupDefinition) -> Result<Reply, CommandError> {
        let now = Timestamp::now();
        let group =
            self.committer.write(|writer| async move { writer.update_group(id, definition, now).await }).await?;
        self.show().await;
        Ok(self.as_it_is(group))
    }

    async fn delete_group(&self, id: GroupId) -> Result<Reply, CommandError> {
        self.committer.write(|writer| async move { writer.delete_group(id).await }).await?;
        self.show().await;
        Ok(Reply::Done)
    }

    async fn set_sub_groups(&self, id: GroupId, members: &[SubGroup]) -> Result<Reply, CommandError> {
        let groups = self.store.groups().await?;
        let group = groups.iter().find(|group| group.id == id).ok_or(StoreError::NotFound("the group"))?;
        validate::sub_groups(group, members, &groups).map_err(CommandError::Refused)?;
        let now = Timestamp::now();
        self.committer.write(|writer| async move { writer.set_sub_groups(id, members, now).await }).await?;
        self.show().await;
        Ok(Reply::Done)
    }

    async fn add_keys(
        &self,
        group: GroupId,
        values: &[Secret],
        state: Option<KeyState>,
        source: KeySource,
    ) -> Result<Reply, CommandError> {
        let member = self.member(group)?;
        let state = first_state(&member, state);
        let (mut added, mut ignored) = (0, 0);
        for values in values.chunks(KEY_BATCH as usize) {
            let now = Timestamp::now();
            let inserted = self
                .committer
                .write(|writer| async move { writer.insert_keys(group, values, state, source, now).await })
                .await?;
            added += count(inserted.keys.len());
            ignored += inserted.ignored;
            self.tell(group, ids(&inserted.keys)).await;
            self.adopt(&member, inserted.keys, None, true).await?;
            // What requests leave behind meanwhile does not wait for the end of a large import. If it cannot be
            // stored now, it waits for the next commit.
            let _ = self.committer.commit_all().await;
        }
        let total = self.adopt(&member, Vec::new(), None, false).await?;
        Ok(Reply::Added { added, ignored, total })
    }

    async fn delete_keys(&self, group: GroupId, which: &KeySelector) -> Result<Reply, CommandError> {
        let member = self.member(group)?;
        self.settle(&member).await?;
        let ids: Vec<KeyId> =
            self.committer.write(|writer| async move { writer.delete_keys(group, which).await }).await?;
        let changed = count(ids.len());
        self.tell(group, ids.iter().copied()).await;
        let total =
            member.link.ask(Remove { ids: Arc::new(ids), more_follow: false }).await.map_err(StoreError::from)?;
        Ok(Reply::Changed { count: changed, total: count(total) })
    }

    async fn restore_keys(&self, group: GroupId, which: &KeySelector) -> Result<Reply, CommandError> {
        let member = self.member(group)?;
        self.settle(&member).await?;
        let now = Timestamp::now();
        let mut keys =
            self.committer.write(|writer| async move { writer.restore_keys(group, which, now).await }).await?;
        keys.sort_unstable_by_key(|key| key.id);
        self.tell(group, ids(&keys)).await;
        let changed = count(keys.len());
        let total = self.adopt(&member, keys, None, false).await?;
        Ok(Reply::Changed { count: changed, total })
    }

    async fn add_batch(
        &self,
        group: GroupId,
        values: &[Secret],
        state: Option<KeyState>,
        source: KeySource,
    ) -> Result<Reply, CommandError> {
        let member = self.member(group)?;
        let (state, now) = (first_state(&member, state), Timestamp::now());
        let inserted = self
            .committer
            .write(|writer| async move { writer.insert_keys(group, values, state, source, now).await })
            .await?;
        let (added, ignored) = (count(inserted.keys.len()), inserted.ignored);
        self.tell(group, ids(&inserted.keys)).await;
        let total = self.adopt(&member, inserted.keys, None, true).await?;
        Ok(Reply::Added { added, ignored, total })
    }

    async fn delete_batch(&self, group: GroupId, which: &KeySelector) -> Result<Reply, CommandError> {
        let member = self.member(group)?;
        self.settle(&member).await?;
        let ids = self.committer.write(|writer| async move { writer.delete_some_keys(group, which).await }).await?;
        let deleted = count(ids.len());
        self.tell(group, ids.iter().copied()).await;
        let remove = Remove { ids: Arc::new(ids), more_follow: true };
        let total = member.link.ask(remove).await.map_err(StoreError::from)?;
        Ok(Reply::Changed { count: deleted, total: count(total) })
    }

    async fn restore_batch(&self, group: GroupId, which: &KeySelector) -> Result<Reply, CommandError> {
        let member = self.member(group)?;
        self.settle(&member).await?;
        let now = Timestamp::now();
        let keys =
            self.committer.write(|writer| async move { writer.restore_some_keys(group, which, now).await }).await?;
        self.tell(group, ids(&keys)).await;
        let restored = count(keys.len());
        let total = self.adopt(&member, keys, None, true).await?;
        Ok(Reply::Changed { count: restored, total })
    }

    /// Brings the record of the task into the database.
    pub(crate) async fn keep_task(&self) -> StoreResult<()> {
        let Some(task) = self.tasks.latest() else { return Ok(()) };
        let (task, now) = (&task, Timestamp::now());
        self.committer.write(|writer| async move { writer.put_task(task, now).await }).await
    }

    /// What the order makes of the key stands at once in the pool; it is stored before the answer.
    async fn order_key(&self, group: GroupId, key: KeyId, order: Order) -> Result<Reply, CommandError> {
        let member = self.member(group)?;
        if order == Order::Restore {
            let restored = self.restore_keys(group, &KeySelector::Ids(vec![key])).await?;
            // Keys that are not out are restored by their actor.
            if matches!(restored, Reply::Changed { count: 1.., .. }) {
                return Ok(Reply::Done);
            }
        }
        self.settle(&member).await?;
        if !member.link.ask(Direct { key, order }).await.map_err(StoreError::from)? {
            return Err(StoreError::NotFound("the key").into());
        }
        self.committer.commit_all().await?;
        self.tell(group, [key]).await;
        Ok(Reply::Done)
    }

    async fn accept_held(&self, group: GroupId) -> Result<Reply, CommandError> {
        let member = self.member(group)?;
        self.settle(&member).await?;
        let accepted = member.link.ask(AcceptHeld).await.map_err(StoreError::from)?;
        self.committer.commit_all().await?;
        let total = self.adopt(&member, Vec::new(), None, false).await?;
        Ok(Reply::Changed { count: count(accepted), total })
    }

    async fn update_key(&self, group: GroupId, id: KeyId, traits: &KeyTraits) -> Result<Reply, CommandError> {
        let member = self.member(group)?;
        self.settle(&member).await?;
        let now = Timestamp::now();
        let key =
            self.committer.write(|writer| async move { writer.set_key_traits(group, id, traits, now).await }).await?;
        self.tell(group, [key.id]).await;
        let total = self.adopt(&member, vec![key], None, false).await?;
        Ok(Reply::Changed { count: 1, total })
    }

    /// Shows a committed change to the node. What was committed stands; when the database fails over the reading, that
    /// is made up for later.
    pub(super) async fn show(&self) {
        if let Err(error) = self.reload().await {
            tracing::warn!(%error, "a change of groups or settings is shown to the node later");
            self.jobs.push(Job::Reload(None));
        }
        self.team.changed(Subject::Everything, Which::All).await;
    }

    /// Other nodes are told which keys changed, came or went.
    async fn tell(&self, group: GroupId, keys: impl IntoIterator<Item = KeyId>) {
        if self.team.cluster.is_shared {
            let ids: Vec<KeyId> = keys.into_iter().collect();
            if let Some(which) = Which::of(&ids) {
                self.team.changed(Subject::Keys(group), which).await;
            }
        }
    }

    fn as_it_is(&self, group: Group) -> Reply {
        let shown = self.directory.member(group.id).map(|member| Group::clone(&member.group));
        Reply::Group(Box::new(shown.unwrap_or(group)))
    }

    fn member(&self, group: GroupId) -> Result<Member, StoreError> {
        self.directory.member(group).ok_or(StoreError::NotFound("group"))
    }

    /// Brings all that a group's pool knows into the database, where it has one.
    pub(super) async fn settle_group(&self, group: GroupId) -> StoreResult<()> {
        match self.directory.member(group) {
            Some(member) => self.settle(&member).await,
            None => Ok(()),
        }
    }

    /// Brings all that the group's pool knows into the database.
    async fn settle(&self, member: &Member) -> StoreResult<()> {
        member.link.ask(Settle).await?;
        self.committer.commit_all().await
    }

    /// Reads a group's keys in a range of ids into its pool; the next keys are read while the pool takes the ones before.
    pub(super) async fn fill(&self, member: &Member, (mut after, end): IdRange) -> StoreResult<()> {
        let everything = KeyFilter::default();
        let read = |after| self.store.keys_after(member.group.id, &everything, after, KEY_BATCH);
        let mut keys = read(after).await?;
        loop {
            let last = keys.last().map(|key| key.id).filter(|_| keys.len() >= KEY_BATCH as usize);
            let last = last.filter(|last| end.is_none_or(|end| *last < end));
            if let (None, Some(end)) = (last, end) {
                keys.retain(|key| key.id <= end);
            }
            let adopt = self.adopt(member, keys, Some((after, last.or(end))), last.is_some());
            if last.is_none() {
                return adopt.await.map(drop);
            }
            let (adopted, next) = tokio::join!(adopt, read(last));
            adopted?;
            (after, keys) = (last, next?);
        }
    }

    pub(super) async fn adopt(
        &self,
        member: &Member,
        keys: Vec<KeyRecord>,
        all_of: Option<IdRange>,
        more_follow: bool,
    ) -> StoreResult<i64> {
        let records = Arc::new(keys);
        Ok(count(member.link.ask(Adopt { records, all_of, more_follow }).await?))
    }
}

/// The moment before which rows are past their retention; `None` when they are kept for ever.
fn end_of_retention(days: u64) -> Option<Timestamp> {
    let days = u32::try_from(days).unwrap_or(u32::MAX);
    (days > 0).then(|| Timestamp::now() - DAY.saturating_mul(days))
}

fn ids(keys: &[KeyRecord]) -> impl Iterator<Item = KeyId> + '_ {
    keys.iter().map(|key| key.id)
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

/// The state in which new keys of a group begin.
fn first_state(member: &Member, wanted: Option<KeyState>) -> KeyState {
    wanted.or_else(|| member.settings.new_key_state.parse().ok()).unwrap_or(KeyState::Pending)
}
