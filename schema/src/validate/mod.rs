//! Rules for what people enter about groups and policies; pure.
//!
//! Every broken rule is a [`FieldError`] with a stable `code`, so that the message can be put into other languages.
//! Overrides in a group's `config` are the settings' own business and not looked at here.

mod group;
mod headers;
mod members;
mod policy;
mod status;
mod upstreams;

pub use self::{
    group::{group, group_name, validation_endpoint},
    headers::{HeaderRuleInput, header_rules},
    members::sub_groups,
    policy::{policy, policy_config},
    status::{StatusSet, StatusSetError},
    upstreams::{UpstreamPolicy, upstreams},
};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Field of the request, with the element where it is a list: `upstreams[0].url`.
    pub field: String,
    /// The rule in one stable word.
    pub code: &'static str,
    /// What is wrong and what would be right, in English.
    pub message: String,
}

impl FieldError {
    fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

#[cfg(test)]
mod tests;
