//! Policies and their places in groups: reading and writing.

use std::sync::Arc;

use diesel::{
    AsChangeset, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use super::{
    Store, StoreError, StoreResult, Writer,
    epoch::reserve_ids,
    pool::{read, write},
    tables::{group_policies, groups, policies, row_ids},
    text::fit_chars,
};
use crate::{
    ids::{GroupId, PolicyId},
    policy::{GroupPolicy, Policy, PolicyDefinition, PolicyLink, PolicyType},
    time::Timestamp,
};

const POLICY: &str = "the policy";
const POLICY_NAME: &str = "a policy of this name";
/// Name of the policies' ids in `row_ids`.
const IDS: &str = "policies";

/// A row of `policies`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = policies)]
struct PolicyRow {
    id: i64,
    #[diesel(embed)]
    definition: DefinitionRow,
    created_at: i64,
    updated_at: i64,
}

/// The columns that a person decides about.
#[derive(AsChangeset, Queryable, Selectable, Insertable)]
#[diesel(table_name = policies)]
struct DefinitionRow {
    name: String,
    description: String,
    kind: String,
    config: String,
    priority: i64,
    is_active: bool,
}

impl DefinitionRow {
    fn new(definition: &PolicyDefinition) -> Self {
        Self {
            name: fit_chars(definition.name.clone(), 255),
            description: fit_chars(definition.description.clone(), 512),
            kind: definition.kind.as_str().to_owned(),
            config: Value::Object(definition.config.clone()).to_string(),
            priority: definition.priority,
            is_active: definition.is_active,
        }
    }
}

impl PolicyRow {
    fn new(id: i64, definition: &PolicyDefinition, now: Timestamp) -> Self {
        Self { id, definition: DefinitionRow::new(definition), created_at: now.0, updated_at: now.0 }
    }

    /// `None` for a type that this program does not know, which no person can have chosen here. A config that is no
    /// object counts as an empty one.
    fn into_policy(self) -> Option<Policy> {
        let DefinitionRow { name, description, kind, config, priority, is_active } = self.definition;
        let Some(kind) = PolicyType::from_word(&kind) else {
            tracing::warn!(policy = name, kind, "a stored policy has an unknown type and no effect");
            return None;
        };
        let config = serde_json::from_str(&config).unwrap_or_default();
        Some(Policy {
            id: PolicyId(self.id),
            definition: PolicyDefinition { name, description, kind, config, priority, is_active },
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

/// Group, policy, priority, whether it is active.
type LinkRow = (i64, i64, i64, bool);

fn group_policy((group, policy, priority, is_active): LinkRow) -> GroupPolicy {
    let link = PolicyLink { policy_id: PolicyId(policy), priority, is_active };
    GroupPolicy { group_id: GroupId(group), link }
}

/// Every link in the order in which a group asks its policies.
macro_rules! links {
    () => {{
        use group_policies::{group_id, is_active, policy_id, priority, table};
        table.order((group_id, priority, policy_id)).select((group_id, policy_id, priority, is_active))
    }};
}

impl Store {
    /// Every policy, by priority, then id.
    pub async fn policies(&self) -> StoreResult<Vec<Policy>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let rows: Vec<PolicyRow> = read!(engine, |conn| {
                    let rows = policies::table.order((policies::priority, policies::id));
                    rows.select(PolicyRow::as_select()).load(conn).await?
                });
                Ok(rows.into_iter().filter_map(PolicyRow::into_policy).collect())
            })
            .await
    }

    /// One policy.
    pub async fn policy(&self, id: PolicyId) -> StoreResult<Option<Policy>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let row: Option<PolicyRow> = read!(engine, |conn| {
                    policies::table.find(id.0).select(PolicyRow::as_select()).first(conn).await.optional()?
                });
                Ok(row.and_then(PolicyRow::into_policy))
            })
            .await
    }

    /// Every group's links, each group's in the order in which it asks its policies.
    pub async fn group_policies(&self) -> StoreResult<Vec<GroupPolicy>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let rows: Vec<LinkRow> = read!(engine, |conn| links!().load(conn).await?);
                Ok(rows.into_iter().map(group_policy).collect())
            })
            .await
    }

    /// Whether no policy was ever stored, a deleted one included.
    pub async fn never_had_policies(&self) -> StoreResult<bool> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let last: i64 =
                    read!(engine, |conn| row_ids::table.find(IDS).select(row_ids::last_id).first(conn).await?);
                Ok(last == 0)
            })
            .await
    }
}

impl Writer {
    /// Adds a policy. `Duplicate` when the name is taken.
    pub async fn insert_policy(&self, definition: &PolicyDefinition, now: Timestamp) -> StoreResult<Policy> {
        let added = self.insert_policies(std::slice::from_ref(definition), now).await?;
        added.into_iter().next().ok_or_else(|| StoreError::Internal("an added policy is not there".to_owned()))
    }

    /// Adds policies, all or none. `Duplicate` when a name is taken.
    pub async fn insert_policies(&self, definitions: &[PolicyDefinition], now: Timestamp) -> StoreResult<Vec<Policy>> {
        let (engine, epoch, definitions) = (Arc::clone(&self.engine), self.epoch, definitions.to_vec());
        self.engine
            .run(async move {
                let inserted = write!(engine, epoch, |conn| {
                    let first = reserve_ids!(conn, IDS, i64::try_from(definitions.len()).unwrap_or(i64::MAX));
                    let rows: Vec<PolicyRow> = (first..)
                        .zip(&definitions)
                        .map(|(id, definition)| PolicyRow::new(id, definition, now))
                        .collect();
                    for row in &rows {
                        diesel::insert_into(policies::table).values(row).execute(conn).await?;
                    }
                    Ok(rows)
                });
                let rows = inserted.map_err(|error: StoreError| error.or_duplicate(POLICY_NAME))?;
                Ok(rows.into_iter().filter_map(PolicyRow::into_policy).collect())
            })
            .await
    }

    /// Replaces a policy's definition. `NotFound`, `Duplicate`.
    pub async fn update_policy(
        &self,
        id: PolicyId,
        definition: &PolicyDefinition,
        now: Timestamp,
    ) -> StoreResult<Policy> {
        let (engine, epoch, definition) = (Arc::clone(&self.engine), self.epoch, definition.clone());
        self.engine
            .run(async move {
                let updated = write!(engine, epoch, |conn| {
                    let target = policies::table.find(id.0);
                    let change = (DefinitionRow::new(&definition), policies::updated_at.eq(now.0));
                    if diesel::update(target).set(change).execute(conn).await? == 0 {
                        return Err(StoreError::NotFound(POLICY));
                    }
                    let row: PolicyRow = target.select(PolicyRow::as_select()).first(conn).await?;
                    Ok(row)
                });
                let row = updated.map_err(|error: StoreError| error.or_duplicate(POLICY_NAME))?;
                row.into_policy().ok_or(StoreError::NotFound(POLICY))
            })
            .await
    }

    /// Takes a policy out of all groups and removes it. `NotFound`.
    pub async fn delete_policy(&self, id: PolicyId) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let links = group_policies::table.filter(group_policies::policy_id.eq(id.0));
                    diesel::delete(links).execute(conn).await?;
                    match diesel::delete(policies::table.find(id.0)).execute(conn).await? {
                        0 => Err(StoreError::NotFound(POLICY)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    /// Replaces the policies of a group. `NotFound` when the group or a policy does not exist, `Duplicate` when one is
    /// named twice.
    pub async fn set_group_policies(&self, id: GroupId, links: &[PolicyLink], now: Timestamp) -> StoreResult<()> {
        let (engine, epoch, links) = (Arc::clone(&self.engine), self.epoch, links.to_vec());
        self.engine
            .run(async move {
                use group_policies::{created_at, group_id, is_active, policy_id, priority, table, updated_at};
                write!(engine, epoch, |conn| {
                    let known = groups::table.find(id.0).select(groups::id).first::<i64>(conn).await.optional()?;
                    if known.is_none() {
                        return Err(StoreError::NotFound("the group"));
                    }
                    diesel::delete(table.filter(group_id.eq(id.0))).execute(conn).await?;
                    for link in links {
                        let row = (
                            group_id.eq(id.0),
                            policy_id.eq(link.policy_id.0),
                            priority.eq(link.priority),
                            is_active.eq(link.is_active),
                            created_at.eq(now.0),
                            updated_at.eq(now.0),
                        );
                        diesel::insert_into(table).values(row).execute(conn).await?;
                    }
                    Ok(())
                })
                .map_err(|error: StoreError| error.or_missing(POLICY).or_duplicate("the policy in this group"))
            })
            .await
    }
}
