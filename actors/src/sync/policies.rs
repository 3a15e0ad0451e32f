//! What the leader does about policies.

use std::{collections::BTreeMap, sync::Arc};

use gpt_load_schema::{
    ids::{GroupId, PolicyId},
    policy::{Policy, PolicyDefinition, PolicyLink, defaults},
    store::StoreResult,
    time::Timestamp,
};

use super::leader::Leader;
use crate::{
    commands::{CommandError, Reply},
    routing::GroupPolicies,
};

impl Leader {
    /// Makes the built-in policies, unless there ever was a policy: one that a person deleted stays deleted.
    pub(super) async fn make_default_policies(&self) -> StoreResult<()> {
        if self.store.never_had_policies().await? {
            let now = Timestamp::now();
            self.committer.write(|writer| async move { writer.insert_policies(&defaults(), now).await }).await?;
        }
        Ok(())
    }

    /// The policies that are active in each group that has any.
    pub(super) async fn active_policies(&self) -> StoreResult<BTreeMap<GroupId, GroupPolicies>> {
        let (policies, links) = (self.store.policies().await?, self.store.group_policies().await?);
        let active: BTreeMap<PolicyId, Arc<Policy>> = policies
            .into_iter()
            .filter(|policy| policy.definition.is_active)
            .map(|policy| (policy.id, Arc::new(policy)))
            .collect();
        let mut of_groups: BTreeMap<GroupId, Vec<Arc<Policy>>> = BTreeMap::new();
        for linked in links.iter().filter(|linked| linked.link.is_active) {
            if let Some(policy) = active.get(&linked.link.policy_id) {
                of_groups.entry(linked.group_id).or_default().push(Arc::clone(policy));
            }
        }
        Ok(of_groups.into_iter().map(|(group, policies)| (group, policies.into())).collect())
    }

    pub(super) async fn create_policy(&self, definition: &PolicyDefinition) -> Result<Reply, CommandError> {
        let now = Timestamp::now();
        let policy = self.committer.write(|writer| async move { writer.insert_policy(definition, now).await }).await?;
        Ok(Reply::Policy(Box::new(policy)))
    }

    pub(super) async fn update_policy(
        &self,
        id: PolicyId,
        definition: &PolicyDefinition,
    ) -> Result<Reply, CommandError> {
        let now = Timestamp::now();
        let policy =
            self.committer.write(|writer| async move { writer.update_policy(id, definition, now).await }).await?;
        self.show().await;
        Ok(Reply::Policy(Box::new(policy)))
    }

    pub(super) async fn delete_policy(&self, id: PolicyId) -> Result<Reply, CommandError> {
        self.committer.write(|writer| async move { writer.delete_policy(id).await }).await?;
        self.show().await;
        Ok(Reply::Done)
    }

    pub(super) async fn set_group_policies(&self, id: GroupId, links: &[PolicyLink]) -> Result<Reply, CommandError> {
        let now = Timestamp::now();
        self.committer.write(|writer| async move { writer.set_group_policies(id, links, now).await }).await?;
        self.show().await;
        Ok(Reply::Done)
    }
}
