//! Groups and their members: reading and writing.

use std::{collections::BTreeMap, sync::Arc};

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;

use super::{
    Store, StoreError, StoreResult, Writer,
    epoch::reserve_ids,
    group_rows::{DefinitionRow, GroupRow, MemberRow, sub_group},
    pool::{read, write},
    tables::{api_keys, group_policies, group_sub_groups, groups, resources},
};
use crate::{
    group::{Group, GroupDefinition, SubGroup},
    ids::GroupId,
    time::Timestamp,
};

const GROUP: &str = "the group";
const GROUP_NAME: &str = "a group of this name";
/// The members of every aggregate, or of one.
macro_rules! members {
    () => {{
        use group_sub_groups::{group_id, sub_group_id, table, weight};
        table.order((group_id, sub_group_id)).select((group_id, sub_group_id, weight))
    }};
    ($id:expr) => {
        members!().filter(group_sub_groups::group_id.eq($id.0))
    };
}

impl Store {
    /// Every group with its members, by `sort` ascending, then id descending.
    pub async fn groups(&self) -> StoreResult<Vec<Group>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let (rows, members): (Vec<GroupRow>, Vec<MemberRow>) = read!(engine, |conn| {
                    let rows = groups::table
                        .order((groups::sort.asc(), groups::id.desc()))
                        .select(GroupRow::as_select())
                        .load(conn)
                        .await?;
                    (rows, members!().load(conn).await?)
                });
                let mut members_of: BTreeMap<i64, Vec<SubGroup>> = BTreeMap::new();
                for member in members {
                    members_of.entry(member.0).or_default().push(sub_group(member));
                }
                rows.into_iter()
                    .map(|row| {
                        let members = members_of.remove(&row.id).unwrap_or_default();
                        row.into_group(&engine.vault, members)
                    })
                    .collect()
            })
            .await
    }

    /// One group.
    pub async fn group(&self, id: GroupId) -> StoreResult<Option<Group>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let found: Option<(GroupRow, Vec<MemberRow>)> = read!(engine, |conn| {
                    let row = groups::table.find(id.0).select(GroupRow::as_select()).first(conn).await.optional()?;
                    match row {
                        Some(row) => Some((row, members!(id).load(conn).await?)),
                        None => None,
                    }
                });
                found.map(|(row, members)| row.with_members(&engine.vault, members)).transpose()
            })
            .await
    }
}

impl Writer {
    /// Adds a group. `Duplicate` when the name is taken.
    pub async fn insert_group(&self, definition: &GroupDefinition, now: Timestamp) -> StoreResult<Group> {
        let (engine, epoch, definition) = (Arc::clone(&self.engine), self.epoch, definition.clone());
        self.engine
            .run(async move {
                let _sealing = engine.sealing.read().await;
                let inserted = write!(engine, epoch, |conn| {
                    let id = reserve_ids!(conn, "groups", 1);
                    let row = GroupRow {
                        id,
                        definition: DefinitionRow::new(&engine.vault, id, &definition)?,
                        last_validated_at: None,
                        created_at: now.0,
                        updated_at: now.0,
                    };
                    diesel::insert_into(groups::table).values(&row).execute(conn).await?;
                    Ok(row)
                });
                inserted.map_err(|error| error.or_duplicate(GROUP_NAME))?.into_group(&engine.vault, Vec::new())
            })
            .await
    }

    /// Replaces a group's definition, except for its type, which never changes. `NotFound`, `Duplicate`.
    pub async fn update_group(&self, id: GroupId, definition: &GroupDefinition, now: Timestamp) -> StoreResult<Group> {
        let (engine, epoch, definition) = (Arc::clone(&self.engine), self.epoch, definition.clone());
        self.engine
            .run(async move {
                let _sealing = engine.sealing.read().await;
                let updated = write!(engine, epoch, |conn| {
                    let stored: Option<String> =
                        groups::table.find(id.0).select(groups::group_type).first(conn).await.optional()?;
                    let mut row = DefinitionRow::new(&engine.vault, id.0, &definition)?;
                    row.group_type = stored.ok_or(StoreError::NotFound(GROUP))?;
                    let target = groups::table.find(id.0);
                    diesel::update(target).set((row, groups::updated_at.eq(now.0))).execute(conn).await?;
                    let row: GroupRow = target.select(GroupRow::as_select()).first(conn).await?;
                    Ok((row, members!(id).load(conn).await?))
                });
                let (row, members) = updated.map_err(|error: StoreError| error.or_duplicate(GROUP_NAME))?;
                row.with_members(&engine.vault, members)
            })
            .await
    }

    /// Removes a group, its relations, its keys and what it remembers of resources. Request logs and statistics stay. `NotFound`.
    pub async fn delete_group(&self, id: GroupId) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    use group_sub_groups::{group_id, sub_group_id};
                    diesel::delete(group_sub_groups::table.filter(group_id.eq(id.0))).execute(conn).await?;
                    diesel::delete(group_sub_groups::table.filter(sub_group_id.eq(id.0))).execute(conn).await?;
                    diesel::delete(group_policies::table.filter(group_policies::group_id.eq(id.0)))
                        .execute(conn)
                        .await?;
                    diesel::delete(api_keys::table.filter(api_keys::group_id.eq(id.0))).execute(conn).await?;
                    diesel::delete(resources::table.filter(resources::group_id.eq(id.0))).execute(conn).await?;
                    match diesel::delete(groups::table.find(id.0)).execute(conn).await? {
                        0 => Err(StoreError::NotFound(GROUP)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    /// Replaces an aggregate's members. `NotFound` when the aggregate or a member does not exist.
    pub async fn set_sub_groups(&self, id: GroupId, members: &[SubGroup], now: Timestamp) -> StoreResult<()> {
        let (engine, epoch, members) = (Arc::clone(&self.engine), self.epoch, members.to_vec());
        self.engine
            .run(async move {
                use group_sub_groups::{created_at, group_id, sub_group_id, table, updated_at, weight};
                write!(engine, epoch, |conn| {
                    if diesel::update(groups::table.find(id.0)).set(groups::updated_at.eq(now.0)).execute(conn).await?
                        == 0
                    {
                        return Err(StoreError::NotFound(GROUP));
                    }
                    diesel::delete(table.filter(group_id.eq(id.0))).execute(conn).await?;
                    for member in members {
                        let row = (
                            group_id.eq(id.0),
                            sub_group_id.eq(member.group_id.0),
                            weight.eq(i64::from(member.weight)),
                            created_at.eq(now.0),
                            updated_at.eq(now.0),
                        );
                        diesel::insert_into(table).values(row).execute(conn).await?;
                    }
                    Ok(())
                })
                .map_err(|error| error.or_missing("the sub-group").or_duplicate("the sub-group"))
            })
            .await
    }

    /// Sets positions in lists, all or none. `NotFound` when a group does not exist.
    pub async fn reorder_groups(&self, positions: &[(GroupId, i64)], now: Timestamp) -> StoreResult<()> {
        let (engine, epoch, positions) = (Arc::clone(&self.engine), self.epoch, positions.to_vec());
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    for (id, sort) in positions {
                        let change = (groups::sort.eq(sort), groups::updated_at.eq(now.0));
                        if diesel::update(groups::table.find(id.0)).set(change).execute(conn).await? == 0 {
                            return Err(StoreError::NotFound(GROUP));
                        }
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Notes that the background validation went over a group.
    pub async fn set_group_validated(&self, id: GroupId, at: Timestamp) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let change = groups::last_validated_at.eq(at.0);
                    match diesel::update(groups::table.find(id.0)).set(change).execute(conn).await? {
                        0 => Err(StoreError::NotFound(GROUP)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }
}
