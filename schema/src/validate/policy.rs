//! Policies: reading their `config`, and what may be stored.
//!
//! One reader serves both: a person's policy is refused with every error it finds, while of what another program stored
//! it gives the part that can be used. A rule that cannot be read as a whole never holds.

mod conditions;
mod json;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Map, Value};

use self::json::Object;
use super::FieldError;
use crate::policy::{
    Action, FilterType, LimitScope, ModelFilter, PolicyConfig, PolicyDefinition, PolicyType, REGEX_PREFIX, RateLimit,
    Rule, format_duration, parse_duration, regex,
};

const MAX_NAME_CHARS: usize = 100;
const MAX_DESCRIPTION_CHARS: usize = 512;
const MAX_RULES: usize = 100;
const MAX_PATTERNS: usize = 200;
const MAX_PATTERN_BYTES: usize = 1_000;
const MAX_RETRIES: i64 = 100;
const MAX_BACKOFF_MS: i64 = 600_000;
const MAX_LIMIT: i64 = 1_000_000_000;
const MAX_PRIORITY: i64 = 1_000_000_000;
const MIN_INTERVAL: Duration = Duration::from_millis(100);
const MAX_DURATION: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// The definition as it is stored (trimmed, `config` in its usual form), or every rule it breaks.
///
/// Uniqueness of the name is not visible from here.
pub fn policy(entered: PolicyDefinition) -> Result<PolicyDefinition, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut policy = entered;
    policy.name = policy.name.trim().to_owned();
    policy.description = policy.description.trim().to_owned();
    let length = policy.name.chars().count();
    if length == 0 || length > MAX_NAME_CHARS || policy.name.chars().any(char::is_control) {
        let message = format!("the name has 1 to {MAX_NAME_CHARS} characters and no control characters");
        errors.push(FieldError::new("name", "policy_name", message));
    }
    if policy.description.chars().count() > MAX_DESCRIPTION_CHARS {
        errors.push(FieldError::new("description", "too_long", format!("at most {MAX_DESCRIPTION_CHARS} characters")));
    }
    if policy.description.contains('\0') {
        errors.push(FieldError::new("description", "control_character", "the text holds a NUL character"));
    }
    if !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&policy.priority) {
        errors.push(json::out_of_range("priority".to_owned(), -MAX_PRIORITY, MAX_PRIORITY));
    }
    let (config, broken) = policy_config(policy.kind, &policy.config);
    errors.extend(broken);
    match config {
        Some(config) if errors.is_empty() => {
            policy.config = written(&config);
            Ok(policy)
        }
        _ => Err(errors),
    }
}

/// Reads a `config`: what of it can be used, if anything, and what is wrong with it.
pub fn policy_config(kind: PolicyType, config: &Map<String, Value>) -> (Option<PolicyConfig>, Vec<FieldError>) {
    let mut errors = Vec::new();
    let config = Object::new("config", config);
    let read = match kind {
        PolicyType::Retry => Some(PolicyConfig::Retry(rules(&config, Action::RETRY, &mut errors))),
        PolicyType::Degradation => Some(PolicyConfig::Degradation(rules(&config, Action::DEGRADATION, &mut errors))),
        PolicyType::ModelFilter => model_filter(&config, &mut errors).map(PolicyConfig::ModelFilter),
        PolicyType::RateLimit => rate_limit(&config, &mut errors).map(PolicyConfig::RateLimit),
    };
    (read, errors)
}

/// The rules that can be read, in the order in which they are asked.
fn rules(config: &Object<'_>, actions: &[Action], errors: &mut Vec<FieldError>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for entry in config.objects("rules", MAX_RULES, errors) {
        let mut broken = Vec::new();
        let rule = rule(&entry, actions, &mut broken);
        if broken.is_empty() {
            rules.extend(rule);
        }
        errors.append(&mut broken);
    }
    rules.sort_by_key(|rule| rule.priority);
    rules
}

fn rule(entry: &Object<'_>, actions: &[Action], errors: &mut Vec<FieldError>) -> Option<Rule> {
    let name = entry.text("name", errors).unwrap_or_default().trim().to_owned();
    if name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        let message = format!("the name has at most {MAX_NAME_CHARS} characters and no control characters");
        errors.push(FieldError::new(entry.path("name"), "policy_name", message));
    }
    let priority = entry.integer("priority", -MAX_PRIORITY, MAX_PRIORITY, errors).unwrap_or(0);
    let conditions = conditions::conditions(entry, errors);
    let action = entry.word("action", actions, Action::as_str, errors);
    let is_retry = actions.contains(&Action::Retry);
    let number = |name, max, errors: &mut Vec<FieldError>| {
        if is_retry { entry.integer(name, 0, max, errors) } else { None }
    };
    let max_retries = number("max_retries", MAX_RETRIES, errors).and_then(|number| u32::try_from(number).ok());
    let backoff =
        number("backoff_ms", MAX_BACKOFF_MS, errors).map(|millis| Duration::from_millis(millis.unsigned_abs()));
    let duration = duration(entry, "duration", Duration::from_millis(1), errors);
    if action == Some(Action::Rest) && !entry.contains("duration") {
        errors.push(entry.missing("duration"));
    }
    Some(Rule { name, priority, conditions, action: action?, max_retries, backoff, duration })
}

fn model_filter(config: &Object<'_>, errors: &mut Vec<FieldError>) -> Option<ModelFilter> {
    let kind = config.word("type", FilterType::ALL, FilterType::as_str, errors);
    let entered = config.texts("patterns", MAX_PATTERNS, errors);
    if entered.is_empty() && errors.iter().all(|error| error.field != config.path("patterns")) {
        errors.push(config.missing("patterns"));
    }
    let mut patterns = Vec::with_capacity(entered.len());
    for (path, pattern) in entered {
        match check_pattern(&pattern) {
            Ok(()) => patterns.push(pattern),
            Err((code, message)) => errors.push(FieldError::new(path, code, message)),
        }
    }
    Some(ModelFilter { kind: kind?, patterns })
}

fn check_pattern(pattern: &str) -> Result<(), (&'static str, String)> {
    match pattern.strip_prefix(REGEX_PREFIX) {
        Some(expression) => regex(expression).map(drop).map_err(|error| ("policy_regex", error.to_string())),
        None if pattern.is_empty() => Err(("policy_empty", "the pattern is empty".to_owned())),
        None if pattern.len() > MAX_PATTERN_BYTES => {
            Err(("too_long", format!("a pattern has at most {MAX_PATTERN_BYTES} bytes")))
        }
        None => Ok(()),
    }
}

fn rate_limit(config: &Object<'_>, errors: &mut Vec<FieldError>) -> Option<RateLimit> {
    let scope = match config.contains("scope") {
        true => config.word("scope", LimitScope::ALL, LimitScope::as_str, errors),
        false => Some(LimitScope::Group),
    };
    let limit = config.integer("limit", 1, MAX_LIMIT, errors).and_then(|limit| u32::try_from(limit).ok());
    if !config.contains("limit") {
        errors.push(config.missing("limit"));
    }
    let interval = duration(config, "interval", MIN_INTERVAL, errors);
    if !config.contains("interval") {
        errors.push(config.missing("interval"));
    }
    Some(RateLimit { scope: scope?, limit: limit?, interval: interval? })
}

fn duration(from: &Object<'_>, name: &str, least: Duration, errors: &mut Vec<FieldError>) -> Option<Duration> {
    let text = from.text(name, errors)?;
    let read = parse_duration(text).filter(|duration| (least..=MAX_DURATION).contains(duration));
    if read.is_none() {
        let (least, most) = (format_duration(least), format_duration(MAX_DURATION));
        let message = format!("a duration from {least} to {most} such as `90s`, `5m`, `1h30m`");
        errors.push(FieldError::new(from.path(name), "policy_duration", message));
    }
    read
}

/// The usual form of a `config`.
fn written(config: &PolicyConfig) -> Map<String, Value> {
    let members: Vec<(&str, Value)> = match config {
        PolicyConfig::Retry(rules) | PolicyConfig::Degradation(rules) => {
            vec![("rules", rules.iter().map(|rule| Value::Object(written_rule(rule))).collect())]
        }
        PolicyConfig::ModelFilter(filter) => {
            vec![("type", filter.kind.as_str().into()), ("patterns", filter.patterns.clone().into())]
        }
        PolicyConfig::RateLimit(RateLimit { scope, limit, interval }) => vec![
            ("scope", scope.as_str().into()),
            ("limit", (*limit).into()),
            ("interval", format_duration(*interval).into()),
        ],
    };
    object(members)
}

fn written_rule(rule: &Rule) -> Map<String, Value> {
    let conditions = rule.conditions.iter().map(|condition| Value::Object(conditions::written(condition)));
    let mut members = vec![
        ("name", rule.name.clone().into()),
        ("priority", rule.priority.into()),
        ("conditions", conditions.collect()),
        ("action", rule.action.as_str().into()),
    ];
    let millis = |backoff: Duration| u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX);
    members.extend(rule.max_retries.map(|retries| ("max_retries", retries.into())));
    members.extend(rule.backoff.map(|backoff| ("backoff_ms", millis(backoff).into())));
    members.extend(rule.duration.map(|duration| ("duration", format_duration(duration).into())));
    object(members)
}

fn object(members: Vec<(&str, Value)>) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
