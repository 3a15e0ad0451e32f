//! What retry and degradation policies make of a failed attempt.
//!
//! Retry policies are asked first: the first rule that fits decides about the request, and about the key when its action
//! names the key. Otherwise the first fitting rule of the degradation policies decides about the key. An aggregate group's
//! policies are asked before those of the member that was used.

use std::{sync::Arc, time::Duration};

use gpt_load_actors::pool::Consequence;
use gpt_load_schema::{
    ids::PolicyId,
    log::OutcomeClass,
    policy::{Action, PolicyType},
};

use super::{
    compile::{Compiled, Policies, Rule},
    conditions::Facts,
};

/// What the policies decided.
pub struct Decision<'a> {
    /// The rule of a retry policy.
    pub retry: Option<Matched<'a>>,
    /// The rule of a degradation policy.
    pub degradation: Option<Matched<'a>>,
    /// What becomes of the key instead of what the class says.
    pub consequence: Option<Consequence>,
    /// What becomes of the request.
    pub step: Step,
}

/// A rule that fits.
#[derive(Clone, Copy)]
pub struct Matched<'a> {
    /// Its policy.
    pub policy: &'a Compiled,
    /// Position among the policy's rules, from 0.
    pub index: usize,
    /// The rule.
    pub rule: &'a Rule,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What the class and the group's settings say.
    AsUsual,
    /// Another attempt.
    Retry {
        /// Whose retries are counted against `max_retries`.
        rule: RuleId,
        /// Attempts that the rule may add to one request; `None` = as many as the group allows.
        max_retries: Option<u32>,
        /// Pause before.
        backoff: Duration,
    },
    /// No further attempt.
    Pass,
}

/// A rule: its policy, and its position there.
pub type RuleId = (PolicyId, usize);

impl Decision<'_> {
    /// Who decided, as a person should read it: the rule that decides about the key first. `None` when nobody did.
    pub fn decided_by(&self) -> Option<Arc<str>> {
        let label = |matched: Matched<'_>| Arc::clone(&matched.rule.label);
        match (self.degradation, self.retry) {
            (Some(degradation), Some(retry)) => {
                Some(format!("{}; {}", degradation.rule.label, retry.rule.label).into())
            }
            (degradation, retry) => degradation.or(retry).map(label),
        }
    }
}

/// Asks the policies of `groups`, in that order, about a failed attempt. Success and abandoned are not theirs to rule on.
pub fn decide<'a>(groups: &[&'a Policies], facts: &Facts<'_>) -> Decision<'a> {
    let is_failure = !matches!(facts.class, OutcomeClass::Success | OutcomeClass::Abandoned);
    let first = |kind| groups.iter().filter(|_| is_failure).find_map(|policies| first_match(policies, kind, facts));
    let retry = first(PolicyType::Retry);
    let by_retry = retry.and_then(|matched| consequence(matched.rule));
    let degradation = if by_retry.is_some() { None } else { first(PolicyType::Degradation) };
    Decision {
        retry,
        degradation,
        consequence: by_retry.or_else(|| degradation.and_then(|matched| consequence(matched.rule))),
        step: retry.map_or(Step::AsUsual, step),
    }
}

fn first_match<'a>(policies: &'a Policies, kind: PolicyType, facts: &Facts<'_>) -> Option<Matched<'a>> {
    let fits = |rule: &Rule| rule.tests.iter().all(|test| test.holds(facts));
    policies.of(kind).find_map(|policy| {
        let (index, rule) = policy.rules().iter().enumerate().find(|(_, rule)| fits(rule))?;
        Some(Matched { policy, index, rule })
    })
}

fn consequence(rule: &Rule) -> Option<Consequence> {
    match rule.action {
        Action::Retry | Action::Pass => None,
        Action::Degrade => Some(Consequence::Degrade(rule.duration)),
        Action::Disable => Some(Consequence::Disable(rule.duration)),
        Action::Invalidate => Some(Consequence::Invalidate),
        Action::Rest => rule.duration.map(Consequence::Rest),
        Action::Spare => Some(Consequence::Spare),
    }
}

/// A rule that blames the key has the request go on with another one, as the classes do that blame it.
fn step(matched: Matched<'_>) -> Step {
    let rule = matched.rule;
    match rule.action {
        Action::Pass => Step::Pass,
        _ if rule.max_retries == Some(0) => Step::Pass,
        _ => Step::Retry {
            rule: (matched.policy.source.id, matched.index),
            max_retries: rule.max_retries,
            backoff: rule.backoff.unwrap_or_default(),
        },
    }
}
