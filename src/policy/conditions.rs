//! The conditions of rules, and what they are asked about.

use gpt_load_schema::{
    log::OutcomeClass,
    policy::{Condition, ConditionType, Operator, regex},
};
use regex::Regex;

/// Bytes of a provider's text that conditions look at.
const MAX_TEXT: usize = 2048;

/// A failed attempt, as conditions see it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Status of the upstream's answer; 0 when there was none.
    pub status: u16,
    /// Class of the outcome.
    pub class: OutcomeClass,
    /// The provider's text.
    pub message: &'a str,
    /// The provider's words for the error; for a failed connection the kind of failure.
    pub error_types: &'a [String],
    /// The model the client asked for; empty when the request names none.
    pub model: &'a str,
    /// Counted failures of the key.
    pub failures: i64,
    /// Successful requests of the key.
    pub requests: u64,
}

/// A condition, ready to be tested.
pub struct Test {
    kind: ConditionType,
    compare: Compare,
}

enum Compare {
    Equals(String),
    Contains(String),
    /// In lower case.
    IContains(String),
    Regex(Box<Regex>),
    In(Vec<String>),
    NotIn(Vec<String>),
    Number(fn(&i64, &i64) -> bool, i64),
    NumberIn(Vec<i64>),
    NumberNotIn(Vec<i64>),
}

impl Test {
    /// `None` for a condition that can never hold: a pattern or a number that is none.
    pub(super) fn new(condition: &Condition) -> Option<Self> {
        let Condition { kind, operator, values } = condition;
        let first = || values.first().cloned();
        let numbers = || values.iter().map(|value| value.parse().ok()).collect::<Option<Vec<i64>>>();
        let number = || first()?.parse::<i64>().ok();
        let compare = match operator {
            Operator::Equals if kind.is_number() => Compare::Number(i64::eq, number()?),
            Operator::In if kind.is_number() => Compare::NumberIn(numbers()?),
            Operator::NotIn if kind.is_number() => Compare::NumberNotIn(numbers()?),
            Operator::Equals => Compare::Equals(first()?),
            Operator::Contains => Compare::Contains(first()?),
            Operator::IContains => Compare::IContains(first()?.to_lowercase()),
            Operator::Regex => Compare::Regex(Box::new(regex(&first()?).ok()?)),
            Operator::In => Compare::In(values.clone()),
            Operator::NotIn => Compare::NotIn(values.clone()),
            Operator::Gt => Compare::Number(i64::gt, number()?),
            Operator::Lt => Compare::Number(i64::lt, number()?),
            Operator::Gte => Compare::Number(i64::ge, number()?),
            Operator::Lte => Compare::Number(i64::le, number()?),
        };
        Some(Self { kind: *kind, compare })
    }

    /// Whether it asks for [`Facts::error_types`].
    pub(super) fn reads_error_type(&self) -> bool {
        self.kind == ConditionType::ErrorType
    }

    /// Whether the condition holds.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        match self.kind {
            ConditionType::StatusCode => self.number(i64::from(facts.status)),
            ConditionType::FailureCount => self.number(facts.failures),
            ConditionType::RequestCount => self.number(i64::try_from(facts.requests).unwrap_or(i64::MAX)),
            ConditionType::ErrorMessage => self.text(&facts.message[..facts.message.floor_char_boundary(MAX_TEXT)]),
            ConditionType::Model => self.text(&facts.model[..facts.model.floor_char_boundary(MAX_TEXT)]),
            ConditionType::ErrorClass => self.text(facts.class.as_str()),
            // An error has several words: one has to fit, or for `not_in` all.
            ConditionType::ErrorType => match &self.compare {
                Compare::NotIn(_) => facts.error_types.iter().all(|word| self.text(word)),
                _ => facts.error_types.iter().any(|word| self.text(word)),
            },
        }
    }

    fn number(&self, actual: i64) -> bool {
        match &self.compare {
            Compare::Number(compare, with) => compare(&actual, with),
            Compare::NumberIn(list) => list.contains(&actual),
            Compare::NumberNotIn(list) => !list.contains(&actual),
            _ => self.text(&actual.to_string()),
        }
    }

    fn text(&self, actual: &str) -> bool {
        match &self.compare {
            Compare::Equals(value) => actual == value,
            Compare::Contains(value) => actual.contains(value.as_str()),
            Compare::IContains(value) => actual.to_lowercase().contains(value.as_str()),
            Compare::Regex(regex) => regex.is_match(actual),
            Compare::In(list) => list.iter().any(|value| value == actual),
            Compare::NotIn(list) => list.iter().all(|value| value != actual),
            Compare::Number(compare, with) => actual.parse().is_ok_and(|actual: i64| compare(&actual, with)),
            Compare::NumberIn(list) => actual.parse().is_ok_and(|actual| list.contains(&actual)),
            Compare::NumberNotIn(list) => actual.parse().is_ok_and(|actual| !list.contains(&actual)),
        }
    }
}
