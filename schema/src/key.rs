//! A provider key: its state and its stored record.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{GroupId, KeyId},
    secret::Secret,
    time::Timestamp,
};

/// What the pool thinks of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Added, not yet proved.
    Pending,
    /// Good.
    Active,
    /// Failed lately; serves on probation.
    Degraded,
    /// Out until its backoff ends.
    Disabled,
    /// Refused by the provider; out until restored or validated.
    Invalid,
}

impl KeyState {
    /// Every state, in the order in which lists show them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Active, Self::Degraded, Self::Disabled, Self::Invalid];

    /// The word used in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Degraded => "degraded",
            Self::Disabled => "disabled",
            Self::Invalid => "invalid",
        }
    }

    /// Whether a key in this state may serve requests.
    pub const fn is_selectable(self) -> bool {
        matches!(self, Self::Pending | Self::Active | Self::Degraded)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text named no known key state.
#[derive(Debug, thiserror::Error)]
#[error("unknown key state `{0}`; known are pending, active, degraded, disabled, invalid")]
pub struct UnknownKeyState(pub String);

impl FromStr for KeyState {
    type Err = UnknownKeyState;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| UnknownKeyState(text.to_owned()))
    }
}

/// A stored key, decrypted.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// Row id.
    pub id: KeyId,
    /// Its group.
    pub group_id: GroupId,
    /// The provider key; `None` when the stored value does not decrypt.
    pub value: Option<Secret>,
    /// Lookup hash of the value, lower-case hex.
    pub hash: String,
    /// What a person noted about it, at most 255 characters.
    pub notes: String,
    /// Everything the state machine remembers.
    pub health: KeyHealth,
    /// Successful requests served.
    pub request_count: i64,
    /// Counted failures since the last reset.
    pub failure_count: i64,
    /// Last request served.
    pub last_used_at: Option<Timestamp>,
    /// Row made.
    pub created_at: Timestamp,
    /// Row last changed.
    pub updated_at: Timestamp,
    /// Share of the traffic under weighted selection, 1–100.
    pub weight: i32,
    /// Lower is asked first.
    pub priority: i32,
    /// Base URL of the upstream the key is bound to, if any.
    pub upstream: Option<String>,
    /// Where the key came from; keys of the keys file leave with their line.
    pub source: KeySource,
}

/// What a person decides about a key; `None` = as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyTraits {
    /// Share of the traffic under weighted selection, 1–100.
    pub weight: Option<i32>,
    /// Lower is asked first.
    pub priority: Option<i32>,
    /// Base URL of the upstream the key is bound to; the inner `None` = any.
    pub upstream: Option<Option<String>>,
}

/// Who put a key into the group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// A person or script.
    #[default]
    Manual,
    /// The watched `KEYS_FILE`.
    File,
}

/// What the state machine remembers of a key; survives restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHealth {
    /// Current state.
    pub state: KeyState,
    /// Raised by every change that makes outcomes of earlier uses meaningless (restore, re-add).
    pub generation: i64,
    /// Counted failures in a row.
    pub consecutive_failures: i32,
    /// How often in a row the backoff was doubled.
    pub backoff_level: i32,
    /// End of the backoff while disabled; `None` = until enabled by hand.
    pub disabled_until: Option<Timestamp>,
    /// End of the cooldown, whatever the state.
    pub resting_until: Option<Timestamp>,
    /// Last counted failure.
    pub last_failure_at: Option<Timestamp>,
    /// Last success.
    pub last_success_at: Option<Timestamp>,
    /// Last validation that proved something.
    pub last_validated_at: Option<Timestamp>,
    /// Redacted text of the last failure, at most 2048 bytes.
    pub last_error: Option<String>,
    /// Outcome class of the last failure, as [`crate::log::OutcomeClass`] spells it.
    pub last_class: Option<String>,
    /// The classifier's rule, or the policy, that decided over the last failure, at most 255 bytes.
    pub last_rule: Option<String>,
    /// Cooldowns of unstated length in a row; the next one is doubled so often.
    pub cooldown_level: i32,
    /// When the key is to be validated next; `None` = not.
    pub next_validation_at: Option<Timestamp>,
    /// Validations in a row that left the key invalid; each doubles the wait for the next.
    pub validation_level: i32,
    /// Models of which the provider thinks otherwise than of the key as a whole, few; ascending by name.
    pub models: Vec<ModelHealth>,
}

/// What the state machine remembers of a key for one model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelHealth {
    /// The model as it was asked for upstream.
    pub model: String,
    /// Counted failures in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub consecutive_failures: i32,
    /// How often in a row the backoff was doubled.
    #[serde(skip_serializing_if = "is_zero")]
    pub backoff_level: i32,
    /// End of the backoff: the model is not asked for with this key before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_until: Option<Timestamp>,
    /// End of the cooldown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resting_until: Option<Timestamp>,
    /// Cooldowns of unstated length in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub cooldown_level: i32,
}

impl ModelHealth {
    /// Until when the key does not serve this model; `None` = it does.
    pub fn out_until(&self) -> Option<Timestamp> {
        self.disabled_until.max(self.resting_until)
    }
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl KeyHealth {
    /// A key that has done nothing yet.
    pub fn new(state: KeyState) -> Self {
        Self {
            state,
            generation: 0,
            consecutive_failures: 0,
            backoff_level: 0,
            disabled_until: None,
            resting_until: None,
            last_failure_at: None,
            last_success_at: None,
            last_validated_at: None,
            last_error: None,
            last_class: None,
            last_rule: None,
            cooldown_level: 0,
            next_validation_at: None,
            validation_level: 0,
            models: Vec::new(),
        }
    }
}
