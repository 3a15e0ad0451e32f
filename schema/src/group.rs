//! A group as it is stored and as the API shows it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{channel::Channel, ids::GroupId, time::Timestamp};

/// Whether a group owns keys or is made of other groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupType {
    /// Owns keys and upstreams.
    #[default]
    Standard,
    /// Owns weighted sub-groups.
    Aggregate,
}

impl GroupType {
    /// The word used in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Aggregate => "aggregate",
        }
    }
}

/// A provider base URL and its share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Upstream {
    /// `http://` or `https://`, host, optional port and base path.
    pub url: String,
    /// Share of the traffic; 0 = switched off.
    #[serde(default)]
    pub weight: u32,
}

/// What a header rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderAction {
    /// Replace or add.
    Set,
    /// Take out.
    Remove,
}

/// A change to the headers of upstream calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderRule {
    /// Header name in canonical form.
    pub key: String,
    /// New value; may hold `${CLIENT_IP}`, `${GROUP_NAME}`, `${API_KEY}`, `${TIMESTAMP_MS}`, `${TIMESTAMP_S}`.
    #[serde(default)]
    pub value: String,
    /// Set or remove.
    pub action: HeaderAction,
}

/// A member of an aggregate group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubGroup {
    /// The member, a standard group.
    pub group_id: GroupId,
    /// Share of the traffic, 0–1000; 0 = switched off.
    pub weight: u32,
}

/// What a person decides about a group; validated by [`crate::validate::group`] before it is stored. `Debug` shows only
/// what can hold no secret.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupDefinition {
    /// Unique; the path segment of the proxy URL; `^[a-z0-9_-]{1,100}$`.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// For people.
    pub description: String,
    /// Never changes once stored.
    pub group_type: GroupType,
    /// Provider base URLs; empty for an aggregate.
    pub upstreams: Vec<Upstream>,
    /// Wire format.
    pub channel: Channel,
    /// Position in lists.
    pub sort: i64,
    /// Model of validation calls; `-` for an aggregate.
    pub test_model: String,
    /// Path of validation calls; empty = the channel's default.
    pub validation_endpoint: String,
    /// Top-level members put into every JSON request body.
    pub param_overrides: Option<Map<String, Value>>,
    /// Model the client asks for → model sent upstream.
    pub model_redirect_rules: Map<String, Value>,
    /// Refuse models without a redirect.
    pub model_redirect_strict: bool,
    /// Settings that differ from the system's; only known keys, each valid.
    pub config: Option<Map<String, Value>>,
    /// Header changes, in order.
    pub header_rules: Option<Vec<HeaderRule>>,
    /// Comma-separated proxy keys, as entered.
    pub proxy_keys: String,
}

impl fmt::Debug for GroupDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, group_type, channel, upstreams, .. } = self;
        let mut shown = f.debug_struct("GroupDefinition");
        shown.field("name", name).field("group_type", group_type).field("channel", channel);
        // A taken-over database may hold base URLs with a password.
        shown.field("upstreams", &upstreams.len()).finish_non_exhaustive()
    }
}

/// A stored group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Row id.
    pub id: GroupId,
    /// What a person decided.
    pub definition: GroupDefinition,
    /// Members of an aggregate group, by id; empty otherwise.
    pub sub_groups: Vec<SubGroup>,
    /// Last run of the background validation.
    pub last_validated_at: Option<Timestamp>,
    /// Row made.
    pub created_at: Timestamp,
    /// Row last changed.
    pub updated_at: Timestamp,
}
