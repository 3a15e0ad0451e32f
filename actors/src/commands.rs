//! Management writes: what the leader's SyncActor carries out, one at a time, in order.

use std::{collections::BTreeMap, fmt};

use gpt_load_schema::{
    access::{AccessToken, TokenDefinition},
    group::{Group, GroupDefinition, SubGroup},
    ids::{GroupId, KeyId, PolicyId, TokenId},
    key::{KeySource, KeyState},
    policy::{Policy, PolicyDefinition, PolicyLink},
    secret::Secret,
    store::{KeySelector, StoreError},
    validate::FieldError,
};

pub use gpt_load_schema::{key::KeyTraits, store::KEY_BATCH};

/// A management write. `Debug` shows no secret that it carries.
#[derive(Clone)]
pub enum Command {
    /// Add a group (validated).
    CreateGroup(Box<GroupDefinition>),
    /// Replace a group's definition (validated).
    UpdateGroup(GroupId, Box<GroupDefinition>),
    /// Remove a group with its keys.
    DeleteGroup(GroupId),
    /// Replace an aggregate's members, which are checked against the groups as they are.
    SetSubGroups(GroupId, Vec<SubGroup>),
    /// Give groups their positions in lists, all or none.
    ReorderGroups(Vec<(GroupId, i64)>),
    /// Add keys; known values are ignored.
    AddKeys {
        /// Target.
        group: GroupId,
        /// Clear-text values.
        values: Vec<Secret>,
        /// First state; `None` = the group's `new_key_state`.
        state: Option<KeyState>,
        /// Where they come from.
        source: KeySource,
    },
    /// Remove keys.
    DeleteKeys(GroupId, KeySelector),
    /// Make keys active again.
    RestoreKeys(GroupId, KeySelector),
    /// Add at most [`KEY_BATCH`] keys, all or none; known values are ignored. They rotate soon, at the latest after
    /// [`Command::ShowKeys`].
    AddBatch {
        /// Target.
        group: GroupId,
        /// Clear-text values.
        values: Vec<Secret>,
        /// First state; `None` = the group's `new_key_state`.
        state: Option<KeyState>,
        /// Where they come from.
        source: KeySource,
    },
    /// Remove the first [`KEY_BATCH`] of the keys meant, all or none.
    DeleteBatch(GroupId, KeySelector),
    /// Make the first [`KEY_BATCH`] of the keys meant active again, all or none. They rotate as in [`Command::AddBatch`].
    RestoreBatch(GroupId, KeySelector),
    /// Let the group's rotation be what the batches until now have made of it.
    ShowKeys(GroupId),
    /// Change a key's state.
    OrderKey(GroupId, KeyId, Order),
    /// Change what a person decides about a key.
    UpdateKey(GroupId, KeyId, KeyTraits),
    /// Replace what a person noted about a key.
    SetKeyNotes(KeyId, String),
    /// Let the failures that the pool guard holds back take effect.
    AcceptHeld(GroupId),
    /// Add a policy (validated).
    CreatePolicy(Box<PolicyDefinition>),
    /// Replace a policy's definition (validated).
    UpdatePolicy(PolicyId, Box<PolicyDefinition>),
    /// Remove a policy, also from the groups it is attached to.
    DeletePolicy(PolicyId),
    /// Replace the policies of a group.
    SetGroupPolicies(GroupId, Vec<PolicyLink>),
    /// Make a fresh data key and bring stored secrets under it, in the background.
    RotateDataKey,
    /// Store settings (validated), raw text by key; `None` = back to the default.
    PutSettings(BTreeMap<String, Option<String>>),
    /// Add an access token (validated).
    CreateToken {
        /// What a person decided.
        definition: TokenDefinition,
        /// Beginning of its value.
        prefix: String,
        /// Lookup hash of its value.
        hash: String,
    },
    /// Replace what a person decided about an access token (validated).
    UpdateToken(TokenId, TokenDefinition),
    /// Remove an access token.
    DeleteToken(TokenId),
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateGroup(definition) => write!(f, "CreateGroup({definition:?})"),
            Self::UpdateGroup(id, definition) => write!(f, "UpdateGroup({id}, {definition:?})"),
            Self::DeleteGroup(id) => write!(f, "DeleteGroup({id})"),
            Self::SetSubGroups(id, members) => write!(f, "SetSubGroups({id}, {members:?})"),
            Self::ReorderGroups(positions) => write!(f, "ReorderGroups({positions:?})"),
            Self::AddKeys { group, values, state, source } => {
                write!(f, "AddKeys({} to {group}, {state:?}, {source:?})", values.len())
            }
            Self::DeleteKeys(group, which) => write!(f, "DeleteKeys({group}, {which:?})"),
            Self::RestoreKeys(group, which) => write!(f, "RestoreKeys({group}, {which:?})"),
            Self::AddBatch { group, values, state, source } => {
                write!(f, "AddBatch({} to {group}, {state:?}, {source:?})", values.len())
            }
            Self::DeleteBatch(group, which) => write!(f, "DeleteBatch({group}, {which:?})"),
            Self::RestoreBatch(group, which) => write!(f, "RestoreBatch({group}, {which:?})"),
            Self::ShowKeys(group) => write!(f, "ShowKeys({group})"),
            Self::OrderKey(group, key, order) => write!(f, "OrderKey({group}, {key}, {order:?})"),
            Self::UpdateKey(group, key, traits) => write!(f, "UpdateKey({group}, {key}, {traits:?})"),
            // People note all sorts of things, passwords among them.
            Self::SetKeyNotes(key, _) => write!(f, "SetKeyNotes({key})"),
            Self::AcceptHeld(group) => write!(f, "AcceptHeld({group})"),
            Self::RotateDataKey => f.write_str("RotateDataKey"),
            Self::CreatePolicy(definition) => write!(f, "CreatePolicy({definition:?})"),
            Self::UpdatePolicy(id, definition) => write!(f, "UpdatePolicy({id}, {definition:?})"),
            Self::DeletePolicy(id) => write!(f, "DeletePolicy({id})"),
            Self::SetGroupPolicies(group, links) => write!(f, "SetGroupPolicies({group}, {links:?})"),
            // Some settings are secrets; which ones were stored says enough.
            Self::PutSettings(values) => write!(f, "PutSettings({:?})", values.keys()),
            Self::CreateToken { definition, .. } => write!(f, "CreateToken({definition:?})"),
            Self::UpdateToken(id, definition) => write!(f, "UpdateToken({id}, {definition:?})"),
            Self::DeleteToken(id) => write!(f, "DeleteToken({id})"),
        }
    }
}

/// A person's order about a key's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Out until it is enabled.
    Disable,
    /// A disabled key back on probation.
    Enable,
    /// Out until it is restored or a validation succeeds.
    Invalidate,
    /// Active, with counters at zero.
    Restore,
}

/// What a management write did. It is answered after the pools and the routing table know of the change.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Done, nothing to tell.
    Done,
    /// The group as it is now.
    Group(Box<Group>),
    /// The policy as it is now.
    Policy(Box<Policy>),
    /// The access token as it is now.
    Token(Box<AccessToken>),
    /// A rotation of the data key is under way.
    Rotation {
        /// Whether this command began it.
        begun: bool,
    },
    /// Keys added.
    Added {
        /// New keys.
        added: i64,
        /// Known values.
        ignored: i64,
        /// Keys of the group now.
        total: i64,
    },
    /// Keys removed or restored, or whose held failures took effect.
    Changed {
        /// How many.
        count: i64,
        /// Keys of the group now.
        total: i64,
    },
}

/// Why a management write did not happen; nothing was changed unless the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was asked for breaks rules.
    #[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Refused(Vec<FieldError>),
    /// There is no leader, or the node is stopping; try again.
    #[error("no node leads at the moment; try again in a few seconds")]
    NoLeader,
}
