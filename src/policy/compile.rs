//! Policies made ready once, when they change.

use std::{collections::HashMap, sync::Arc, time::Duration};

use gpt_load_schema::{
    ids::PolicyId,
    policy::{Action, Policy, PolicyConfig, PolicyType},
    validate::policy_config,
};

use super::{conditions::Test, limits::Limit, models::Filter};

/// A policy, ready to decide. What of its `config` cannot be read has no effect.
pub struct Compiled {
    /// The stored policy.
    pub source: Arc<Policy>,
    body: Body,
}

enum Body {
    Rules(Vec<Rule>),
    Filter(Filter),
    Limit(Limit),
    Nothing,
}

/// A rule, ready to be tested.
pub struct Rule {
    /// The policy and the rule, as a person should read them.
    pub label: Arc<str>,
    /// Name, or `rule 2` where it has none.
    pub name: String,
    /// All must hold.
    pub tests: Vec<Test>,
    /// What follows.
    pub action: Action,
    /// Attempts that it may add to one request.
    pub max_retries: Option<u32>,
    /// Pause before the next attempt.
    pub backoff: Option<Duration>,
    /// How long the key is out or rests.
    pub duration: Option<Duration>,
}

impl Compiled {
    /// Compiles a stored policy.
    pub fn new(source: &Arc<Policy>) -> Self {
        let definition = &source.definition;
        let body = match policy_config(definition.kind, &definition.config).0 {
            Some(PolicyConfig::Retry(rules) | PolicyConfig::Degradation(rules)) => {
                let rules = rules.into_iter().enumerate();
                Body::Rules(rules.filter_map(|(index, rule)| compile_rule(source, index, rule)).collect())
            }
            Some(PolicyConfig::ModelFilter(filter)) => Body::Filter(Filter::new(source, &filter)),
            Some(PolicyConfig::RateLimit(limit)) => Body::Limit(Limit::new(source, limit)),
            None => Body::Nothing,
        };
        Self { source: Arc::clone(source), body }
    }

    /// Its rules; none for other types.
    pub fn rules(&self) -> &[Rule] {
        match &self.body {
            Body::Rules(rules) => rules,
            _ => &[],
        }
    }

    fn filter(&self) -> Option<&Filter> {
        match &self.body {
            Body::Filter(filter) => Some(filter),
            _ => None,
        }
    }

    fn limit(&self) -> Option<&Limit> {
        match &self.body {
            Body::Limit(limit) => Some(limit),
            _ => None,
        }
    }
}

fn compile_rule(source: &Policy, index: usize, rule: gpt_load_schema::policy::Rule) -> Option<Rule> {
    let name = if rule.name.is_empty() { format!("rule {}", index + 1) } else { rule.name };
    Some(Rule {
        label: format!("policy {}: {name}", source.definition.name).into(),
        name,
        tests: rule.conditions.iter().map(Test::new).collect::<Option<_>>()?,
        action: rule.action,
        max_retries: rule.max_retries,
        backoff: rule.backoff,
        duration: rule.duration,
    })
}

/// Policies compiled so far, by id: those that did not change are not compiled again.
pub type Known = HashMap<PolicyId, Arc<Compiled>>;

/// The active policies of one group, in the order in which they are asked.
#[derive(Clone, Default)]
pub struct Policies(Vec<Arc<Compiled>>);

impl Policies {
    /// Compiles `policies`, or takes them from `old` where they are the same; what is used is put into `known`.
    pub fn compile(policies: &[Arc<Policy>], old: &Known, known: &mut Known) -> Self {
        let compiled = |policy: &Arc<Policy>| {
            let made = known.entry(policy.id).or_insert_with(|| match old.get(&policy.id) {
                Some(before) if before.source == *policy => Arc::clone(before),
                _ => Arc::new(Compiled::new(policy)),
            });
            Arc::clone(made)
        };
        Self(policies.iter().map(compiled).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of one type.
    pub fn of(&self, kind: PolicyType) -> impl Iterator<Item = &Arc<Compiled>> {
        self.0.iter().filter(move |policy| policy.source.definition.kind == kind)
    }

    /// Model filters.
    pub fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.0.iter().filter_map(|policy| policy.filter())
    }

    /// Rate limits.
    pub fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.0.iter().filter_map(|policy| policy.limit())
    }

    /// Whether a rule asks for the provider's words for an error.
    pub fn read_error_types(&self) -> bool {
        self.0.iter().flat_map(|policy| policy.rules()).flat_map(|rule| &rule.tests).any(Test::reads_error_type)
    }

    /// Whether a rule may decide about failed attempts.
    pub fn rule(&self) -> bool {
        self.0.iter().any(|policy| !policy.rules().is_empty())
    }
}
