//! Policies: rule sets that people attach to groups.
//!
//! A [`PolicyDefinition`] keeps its `config` as JSON, so that what another program stored can be shown and repaired;
//! [`crate::validate::policy_config`] reads it into a [`PolicyConfig`].

mod defaults;
mod duration;
mod pattern;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    defaults::defaults,
    duration::{format_duration, parse_duration},
    pattern::{MAX_REGEX_BYTES, PatternError, REGEX_PREFIX, regex},
};
use crate::{
    ids::{GroupId, PolicyId},
    time::Timestamp,
};

/// Words of an enum, as they stand in JSON, in the database and in answers.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$of])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in JSON and in the database.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The one that `word` stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    };
}

words! {
    /// What a policy is about.
    PolicyType {
        /// Whether a failed attempt is followed by another, and what becomes of its key.
        Retry = "retry",
        /// What becomes of the key of a failed attempt.
        Degradation = "degradation",
        /// Which models clients may ask for.
        ModelFilter = "model_filter",
        /// How many requests are let through in a time.
        RateLimit = "rate_limit",
    }
}

words! {
    /// What a rule does when all its conditions hold.
    Action {
        /// Another attempt.
        Retry = "retry",
        /// No further attempt: the client gets this answer.
        Pass = "pass",
        /// A counted failure of the key.
        Degrade = "degrade",
        /// The key is out.
        Disable = "disable",
        /// The key is invalid.
        Invalidate = "invalidate",
        /// The key rests.
        Rest = "rest",
        /// Nothing becomes of the key.
        Spare = "spare",
    }
}

impl Action {
    /// The actions of a retry policy.
    pub const RETRY: &[Self] = &[Self::Retry, Self::Pass, Self::Degrade, Self::Disable, Self::Invalidate];
    /// The actions of a degradation policy.
    pub const DEGRADATION: &[Self] = &[Self::Degrade, Self::Disable, Self::Invalidate, Self::Rest, Self::Spare];
}

words! {
    /// What a condition looks at.
    ConditionType {
        /// Status of the upstream's answer; 0 when there was no answer.
        StatusCode = "status_code",
        /// Counted failures of the key.
        FailureCount = "failure_count",
        /// Successful requests of the key.
        RequestCount = "request_count",
        /// The provider's text.
        ErrorMessage = "error_message",
        /// The provider's words for the error: type, code, status word. An answer may have several.
        ErrorType = "error_type",
        /// The model the client asked for.
        Model = "model",
        /// Class of the outcome.
        ErrorClass = "error_class",
    }
}

impl ConditionType {
    /// Whether it looks at a number.
    pub const fn is_number(self) -> bool {
        matches!(self, Self::StatusCode | Self::FailureCount | Self::RequestCount)
    }
}

words! {
    /// How a condition compares.
    Operator {
        /// The same text.
        Equals = "equals",
        /// The text occurs, case as it is.
        Contains = "contains",
        /// The text occurs in any case.
        IContains = "icontains",
        /// The regular expression matches somewhere.
        Regex = "regex",
        /// The text is one of a list.
        In = "in",
        /// The text is none of a list.
        NotIn = "not_in",
        /// Greater.
        Gt = "gt",
        /// Less.
        Lt = "lt",
        /// Greater or the same.
        Gte = "gte",
        /// Less or the same.
        Lte = "lte",
    }
}

impl Operator {
    /// Whether it takes `values` rather than `value`.
    pub const fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
    }

    /// Whether it compares numbers.
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Gt | Self::Lt | Self::Gte | Self::Lte)
    }
}

words! {
    /// What a model filter's patterns name.
    FilterType {
        /// The models that are allowed; all others are not.
        Include = "include",
        /// The models that are not allowed; all others are.
        Exclude = "exclude",
    }
}

words! {
    /// What a rate limit counts together.
    LimitScope {
        /// All requests of the group.
        Group = "group",
        /// Calls with one key.
        Key = "key",
        /// Requests with one proxy key.
        ProxyKey = "proxy_key",
        /// Requests from one address; from one /64 where it is IPv6.
        Ip = "ip",
    }
}

/// One comparison of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it looks at.
    pub kind: ConditionType,
    /// How it compares.
    pub operator: Operator,
    /// With what; exactly one text unless the operator takes a list.
    pub values: Vec<String>,
}

/// A rule of a retry or degradation policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// For people; empty when it has none.
    pub name: String,
    /// Lower is asked first; equal ones in the order of the list.
    pub priority: i64,
    /// All must hold; none = always.
    pub conditions: Vec<Condition>,
    /// What follows.
    pub action: Action,
    /// Retry: attempts that this rule may add to one request; `None` = as many as the group allows.
    pub max_retries: Option<u32>,
    /// Retry: pause before the next attempt.
    pub backoff: Option<Duration>,
    /// How long the key is out or rests.
    pub duration: Option<Duration>,
}

/// Which models clients may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFilter {
    /// What the patterns name.
    pub kind: FilterType,
    /// `re:` and a regular expression, else a text with `*` (any characters) and `?` (one character).
    pub patterns: Vec<String>,
}

/// How many requests are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// What is counted together.
    pub scope: LimitScope,
    /// Requests within any span of `interval`; at least 1.
    pub limit: u32,
    /// 100 ms to 31 days.
    pub interval: Duration,
}

/// A policy's `config`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyConfig {
    /// Rules of a retry policy, in the order in which they are asked.
    Retry(Vec<Rule>),
    /// Rules of a degradation policy, in the order in which they are asked.
    Degradation(Vec<Rule>),
    /// A model filter.
    ModelFilter(ModelFilter),
    /// A rate limit.
    RateLimit(RateLimit),
}

/// What a person decides about a policy; validated by [`crate::validate::policy`] before it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyDefinition {
    /// Unique.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it is about.
    pub kind: PolicyType,
    /// JSON as entered.
    pub config: Map<String, Value>,
    /// Position in lists; which policy of a group is asked first is the link's to say.
    pub priority: i64,
    /// Whether it has any effect.
    pub is_active: bool,
}

/// A stored policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Row id.
    pub id: PolicyId,
    /// What a person decided.
    pub definition: PolicyDefinition,
    /// Row made.
    pub created_at: Timestamp,
    /// Row last changed.
    pub updated_at: Timestamp,
}

/// A policy's place in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyLink {
    /// The policy.
    pub policy_id: PolicyId,
    /// Lower is asked first.
    pub priority: i64,
    /// Whether it has any effect in this group.
    pub is_active: bool,
}

/// A group's link to a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupPolicy {
    /// The group.
    pub group_id: GroupId,
    /// The policy and its place.
    pub link: PolicyLink,
}
