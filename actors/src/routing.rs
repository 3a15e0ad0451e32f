//! What the data path needs to know of all groups, and who is told of it.

use std::{collections::BTreeMap, sync::Arc};

use gpt_load_schema::{group::Group, policy::Policy, settings::Settings};

use crate::pool::PoolHandle;

/// One group as the data path needs it.
#[derive(Clone)]
pub struct GroupRoute {
    /// The stored group.
    pub group: Arc<Group>,
    /// Effective settings: the system's with the group's overrides.
    pub settings: Arc<Settings>,
    /// Its keys.
    pub pool: PoolHandle,
    /// The policies that are active in it, in the order in which they are asked.
    pub policies: GroupPolicies,
}

/// The policies that are active in a group, in the order in which they are asked.
pub type GroupPolicies = Arc<[Arc<Policy>]>;

/// All groups and the system settings at one version.
#[derive(Clone)]
pub struct RoutingTable {
    /// Grows with every publication of this node.
    pub version: u64,
    /// System settings.
    pub settings: Arc<Settings>,
    /// Every group.
    pub groups: Vec<GroupRoute>,
}

/// Who wants to know of every new routing table; called on the actors' thread, must be quick.
pub trait RoutingSink: Send + Sync + 'static {
    /// `table` rules from now on.
    fn publish(&self, table: Arc<RoutingTable>);
}

/// Turns stored settings into typed ones: (system rows, environment, group overrides).
/// Given by the node so that this crate knows nothing of the environment.
pub trait SettingsSource: Send + Sync + 'static {
    /// System settings from stored rows.
    fn system(&self, rows: &BTreeMap<String, String>) -> Settings;
    /// A group's effective settings.
    fn effective(&self, system: &Settings, group: &Group) -> Settings;
}
