//! The conditions of a rule.

use serde_json::{Map, Value};

use super::json::{Object, plain};
use crate::{
    log::OutcomeClass,
    policy::{Condition, ConditionType, Operator, regex},
    validate::FieldError,
};

const MAX_CONDITIONS: usize = 20;
const MAX_VALUES: usize = 500;
const MAX_VALUE_BYTES: usize = 2_048;

/// The conditions of `rule`; incomplete when there are errors.
pub(super) fn conditions(rule: &Object<'_>, errors: &mut Vec<FieldError>) -> Vec<Condition> {
    let entries = rule.objects("conditions", MAX_CONDITIONS, errors);
    entries.iter().filter_map(|entry| condition(entry, errors)).collect()
}

fn condition(entry: &Object<'_>, errors: &mut Vec<FieldError>) -> Option<Condition> {
    let kind = entry.word("type", ConditionType::ALL, ConditionType::as_str, errors);
    let operator = entry.word("operator", Operator::ALL, Operator::as_str, errors)?;
    let values = if operator.takes_list() {
        let values = entry.texts("values", MAX_VALUES, errors);
        if values.is_empty() {
            errors.push(entry.missing("values"));
        }
        values
    } else {
        match entry.get("value").map(plain) {
            Some(Some(value)) => vec![(entry.path("value"), value)],
            Some(None) => {
                errors.push(entry.wrong("value", "must be a text or a number"));
                return None;
            }
            None => {
                errors.push(entry.missing("value"));
                return None;
            }
        }
    };
    let kind = kind?;
    if operator.is_numeric() && !kind.is_number() {
        let message = "this operator compares numbers, which this type of condition has none of";
        errors.push(FieldError::new(entry.path("operator"), "policy_operator", message));
        return None;
    }
    for (path, value) in &values {
        if let Err((code, message)) = check(kind, operator, value) {
            errors.push(FieldError::new(path.clone(), code, message));
        }
    }
    Some(Condition { kind, operator, values: values.into_iter().map(|(_, value)| value).collect() })
}

fn check(kind: ConditionType, operator: Operator, value: &str) -> Result<(), (&'static str, String)> {
    let compares_whole = matches!(operator, Operator::Equals | Operator::In | Operator::NotIn);
    if value.len() > MAX_VALUE_BYTES {
        return Err(("too_long", format!("at most {MAX_VALUE_BYTES} bytes")));
    }
    if kind.is_number() && (compares_whole || operator.is_numeric()) && value.parse::<i64>().is_err() {
        return Err(("policy_number", "must be a whole number".to_owned()));
    }
    let known = |class: &OutcomeClass| class.as_str() == value;
    if kind == ConditionType::ErrorClass && compares_whole && !OutcomeClass::ALL.iter().any(known) {
        let classes: Vec<&str> = OutcomeClass::ALL.iter().map(|class| class.as_str()).collect();
        return Err(("policy_word", format!("must be one of {}", classes.join(", "))));
    }
    match operator {
        Operator::Regex => regex(value).map(drop).map_err(|error| ("policy_regex", error.to_string())),
        Operator::Contains | Operator::IContains if value.is_empty() => {
            Err(("policy_empty", "every text contains the empty one".to_owned()))
        }
        _ => Ok(()),
    }
}

/// The usual form of a condition.
pub(super) fn written(condition: &Condition) -> Map<String, Value> {
    let values = if condition.operator.takes_list() {
        ("values", condition.values.clone().into())
    } else {
        ("value", condition.values.first().cloned().into())
    };
    super::object(vec![
        ("type", condition.kind.as_str().into()),
        ("operator", condition.operator.as_str().into()),
        values,
    ])
}
