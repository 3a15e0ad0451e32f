//! The bodies of requests about policies.

use std::collections::BTreeSet;

use gpt_load_schema::{
    ids::PolicyId,
    policy::{PolicyDefinition, PolicyLink, PolicyType},
    validate,
};
use serde_json::{Map, Value};

use super::{
    body::Fields,
    error::{ApiError, ErrorCode, FieldError},
    messages, rule_texts,
};

/// Policies of one group, at most.
const MAX_LINKS: usize = 100;

/// The fields of a policy as they were sent; `None` = absent or `null`.
pub(super) struct PolicyInput {
    name: Option<String>,
    description: Option<String>,
    kind: Option<String>,
    config: Option<Map<String, Value>>,
    /// Rules beside `config`, as some documents show them.
    rules: Option<Value>,
    priority: Option<i64>,
    is_active: Option<bool>,
}

impl PolicyInput {
    /// Reads the body.
    pub(super) fn decode(mut body: Fields) -> Result<Self, ApiError> {
        Ok(Self {
            name: body.string("name")?,
            description: body.string("description")?,
            kind: body.string("type")?,
            config: body.object("config")?,
            priority: body.integer("priority")?,
            is_active: body.boolean("is_active")?,
            rules: body.into_members().remove("rules").filter(|rules| !rules.is_null()),
        })
    }

    /// The definition of a new policy.
    pub(super) fn into_definition(self) -> Result<PolicyDefinition, ApiError> {
        if self.kind.is_none() {
            return Err(unknown_type());
        }
        self.applied_to(PolicyDefinition {
            name: String::new(),
            description: String::new(),
            kind: PolicyType::Retry,
            config: Map::new(),
            priority: 0,
            is_active: true,
        })
    }

    /// The definition of a policy that is tried out, which needs no name.
    pub(super) fn into_draft(self) -> Result<PolicyDefinition, ApiError> {
        let name = self.name.clone().filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "draft".to_owned());
        Self { name: Some(name), ..self }.into_definition()
    }

    /// `policy` after an update.
    pub(super) fn applied_to(self, mut policy: PolicyDefinition) -> Result<PolicyDefinition, ApiError> {
        if let Some(word) = self.kind {
            policy.kind = PolicyType::from_word(word.trim()).ok_or_else(unknown_type)?;
        }
        let beside = self.rules.is_some() && self.config.as_ref().is_none_or(|config| !config.contains_key("rules"));
        policy.config = self.config.unwrap_or(policy.config);
        if let Some(rules) = self.rules.filter(|_| beside) {
            policy.config.insert("rules".to_owned(), rules);
        }
        policy.name = self.name.unwrap_or(policy.name);
        policy.description = self.description.unwrap_or(policy.description);
        policy.priority = self.priority.unwrap_or(policy.priority);
        policy.is_active = self.is_active.unwrap_or(policy.is_active);
        validate::policy(policy).map_err(|broken| {
            let told = |mut broken: validate::FieldError| {
                if beside && let Some(place) = broken.field.strip_prefix("config.").map(str::to_owned) {
                    broken.field = place;
                }
                rule_texts::field_error(&broken)
            };
            ApiError::fields(ErrorCode::ValidationFailed, broken.into_iter().map(told).collect())
        })
    }
}

fn unknown_type() -> ApiError {
    ApiError::invalid("type", messages::POLICY_TYPE_UNKNOWN)
}

/// The links of a group as they were sent. Without a priority the position counts.
pub(super) fn links(mut body: Fields) -> Result<Vec<PolicyLink>, ApiError> {
    let items = body.objects("policies")?.ok_or_else(|| body.missing("policies"))?;
    if items.len() > MAX_LINKS {
        return Err(ApiError::invalid("policies", messages::POLICIES_TOO_MANY.with(MAX_LINKS)));
    }
    let mut seen = BTreeSet::new();
    let mut links = Vec::with_capacity(items.len());
    for (position, mut item) in items.into_iter().enumerate() {
        let policy_id = PolicyId(item.required_integer("policy_id")?);
        if !seen.insert(policy_id) {
            return Err(ApiError::invalid(item.path("policy_id"), messages::POLICY_TWICE.with(policy_id)));
        }
        let priority = item.integer("priority")?.unwrap_or_else(|| i64::try_from(position).unwrap_or(i64::MAX));
        links.push(PolicyLink { policy_id, priority, is_active: item.boolean("is_active")?.unwrap_or(true) });
    }
    Ok(links)
}

/// What is wrong with one link of a group.
pub(super) fn link_error(position: usize, text: super::locale::Text) -> FieldError {
    FieldError { field: format!("policies[{position}].policy_id"), text }
}
