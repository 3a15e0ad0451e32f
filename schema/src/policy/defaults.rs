//! The policies that every database starts with; ordinary ones, attached to nothing.

use serde_json::{Map, Value, json};

use super::{PolicyDefinition, PolicyType};

/// What a database gets at its first start.
pub fn defaults() -> Vec<PolicyDefinition> {
    let contains = |text: &str| json!([{"type": "error_message", "operator": "icontains", "value": text}]);
    let status = |codes: &[&str]| json!([{"type": "status_code", "operator": "in", "values": codes}]);
    vec![
        PolicyDefinition {
            name: "default-retry".to_owned(),
            description: "Tries again after a rate limit, and takes keys out that are unknown or out of quota"
                .to_owned(),
            kind: PolicyType::Retry,
            config: rules(json!([
                {"name": "rate limit", "priority": 1, "conditions": contains("rate limit"),
                 "action": "retry", "max_retries": 3, "backoff_ms": 2000},
                {"name": "invalid key", "priority": 2, "conditions": contains("invalid api key"), "action": "invalidate"},
                {"name": "quota", "priority": 3, "conditions": contains("insufficient quota"), "action": "disable"},
            ])),
            priority: 0,
            is_active: true,
        },
        PolicyDefinition {
            name: "default-degradation".to_owned(),
            description: "Takes a key out for a while after a server error, and for good after a refusal".to_owned(),
            kind: PolicyType::Degradation,
            config: rules(json!([
                {"name": "server error", "priority": 1, "conditions": status(&["500", "502", "503", "504"]),
                 "action": "disable", "duration": "5m"},
                {"name": "refused", "priority": 2, "conditions": status(&["401", "403"]),
                 "action": "invalidate", "duration": "1h"},
            ])),
            priority: 0,
            is_active: true,
        },
    ]
}

fn rules(rules: Value) -> Map<String, Value> {
    Map::from_iter([("rules".to_owned(), rules)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate;

    #[test]
    fn the_defaults_are_stored_as_they_are() {
        for definition in defaults() {
            assert_eq!(validate::policy(definition.clone()), Ok(definition));
        }
    }
}
