use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::policy::{Condition, ConditionType, Operator};

fn definition(kind: PolicyType, config: Value) -> PolicyDefinition {
    let Value::Object(config) = config else { panic!("no object") };
    PolicyDefinition { name: "p".to_owned(), description: String::new(), kind, config, priority: 0, is_active: true }
}

/// Fields and codes of what is wrong.
fn errors(kind: PolicyType, config: Value) -> Vec<(String, &'static str)> {
    let broken = policy(definition(kind, config)).err().unwrap_or_default();
    broken.into_iter().map(|error| (error.field, error.code)).collect()
}

fn with_condition(condition: &Value) -> Value {
    json!({"rules": [{"conditions": [condition], "action": "retry"}]})
}

#[test]
fn a_policy_gets_its_usual_form() {
    let entered = json!({"rules": [
        {"name": " late ", "priority": 9, "conditions": [], "action": "pass", "unknown": 1},
        {"priority": 1, "action": "retry", "max_retries": 2, "backoff_ms": 500, "duration": null, "conditions": [
            {"type": "status_code", "operator": "in", "values": [500, "502"]},
            {"type": "failure_count", "operator": "gte", "value": 3},
        ]},
    ]});
    let stored = policy(definition(PolicyType::Retry, entered)).unwrap();
    let expected = json!({"rules": [
        {"name": "", "priority": 1, "conditions": [
            {"type": "status_code", "operator": "in", "values": ["500", "502"]},
            {"type": "failure_count", "operator": "gte", "value": "3"},
        ], "action": "retry", "max_retries": 2, "backoff_ms": 500},
        {"name": "late", "priority": 9, "conditions": [], "action": "pass"},
    ]});
    assert_eq!(Value::Object(stored.config.clone()), expected);
    assert_eq!(policy(stored.clone()), Ok(stored), "the usual form stays");

    let limit = policy(definition(PolicyType::RateLimit, json!({"limit": 5, "interval": "90s"}))).unwrap();
    assert_eq!(Value::Object(limit.config), json!({"scope": "group", "limit": 5, "interval": "1m30s"}));
}

#[test]
fn names_and_numbers_have_bounds() {
    let fields = |change: fn(&mut PolicyDefinition)| {
        let mut entered = definition(PolicyType::Retry, json!({"rules": []}));
        change(&mut entered);
        policy(entered).err().unwrap_or_default().into_iter().map(|error| error.field).collect::<Vec<_>>()
    };
    assert_eq!(fields(|_| ()), [""; 0]);
    assert_eq!(fields(|policy| policy.name = "  ".to_owned()), ["name"]);
    assert_eq!(fields(|policy| policy.name = "x".repeat(101)), ["name"]);
    assert_eq!(fields(|policy| policy.name = "a\nb".to_owned()), ["name"]);
    assert_eq!(fields(|policy| policy.description = "x".repeat(513)), ["description"]);
    assert_eq!(fields(|policy| policy.priority = i64::MAX), ["priority"]);
}

#[test]
fn what_is_wrong_is_named() {
    use PolicyType::{Degradation, ModelFilter, RateLimit, Retry};
    let hostile = "a{1000000}";
    for (kind, config, field, code) in [
        (Retry, json!({"rules": {}}), "config.rules", "policy_type"),
        (Retry, json!({"rules": [1]}), "config.rules[0]", "policy_type"),
        (Retry, json!({"rules": [{"action": "fly"}]}), "config.rules[0].action", "policy_word"),
        (Retry, json!({"rules": [{}]}), "config.rules[0].action", "policy_word"),
        (Retry, json!({"rules": [{"action": "rest", "duration": "1m"}]}), "config.rules[0].action", "policy_word"),
        (Degradation, json!({"rules": [{"action": "pass"}]}), "config.rules[0].action", "policy_word"),
        (Degradation, json!({"rules": [{"action": "rest"}]}), "config.rules[0].duration", "policy_missing"),
        (
            Degradation,
            json!({"rules": [{"action": "disable", "duration": "x"}]}),
            "config.rules[0].duration",
            "policy_duration",
        ),
        (
            Degradation,
            json!({"rules": [{"action": "disable", "duration": "0s"}]}),
            "config.rules[0].duration",
            "policy_duration",
        ),
        (
            Degradation,
            json!({"rules": [{"action": "disable", "duration": 5}]}),
            "config.rules[0].duration",
            "policy_type",
        ),
        (
            Retry,
            json!({"rules": [{"action": "retry", "max_retries": -1}]}),
            "config.rules[0].max_retries",
            "policy_range",
        ),
        (
            Retry,
            json!({"rules": [{"action": "retry", "backoff_ms": 600_001}]}),
            "config.rules[0].backoff_ms",
            "policy_range",
        ),
        (Retry, json!({"rules": [{"action": "retry", "priority": 1.5}]}), "config.rules[0].priority", "policy_range"),
        (Retry, json!({"rules": [{"action": "retry", "name": 1}]}), "config.rules[0].name", "policy_type"),
        (ModelFilter, json!({"patterns": ["a"]}), "config.type", "policy_word"),
        (ModelFilter, json!({"type": "only", "patterns": ["a"]}), "config.type", "policy_word"),
        (ModelFilter, json!({"type": "include"}), "config.patterns", "policy_missing"),
        (ModelFilter, json!({"type": "include", "patterns": "a"}), "config.patterns", "policy_type"),
        (ModelFilter, json!({"type": "include", "patterns": ["a", "re:("]}), "config.patterns[1]", "policy_regex"),
        (
            ModelFilter,
            json!({"type": "include", "patterns": [format!("re:{hostile}")]}),
            "config.patterns[0]",
            "policy_regex",
        ),
        (ModelFilter, json!({"type": "include", "patterns": [""]}), "config.patterns[0]", "policy_empty"),
        (RateLimit, json!({"interval": "1m"}), "config.limit", "policy_missing"),
        (RateLimit, json!({"limit": 1}), "config.interval", "policy_missing"),
        (RateLimit, json!({"limit": -5, "interval": "1m"}), "config.limit", "policy_range"),
        (RateLimit, json!({"limit": 0, "interval": "1m"}), "config.limit", "policy_range"),
        (RateLimit, json!({"limit": "5", "interval": "1m"}), "config.limit", "policy_range"),
        (RateLimit, json!({"limit": 5, "interval": "1ms"}), "config.interval", "policy_duration"),
        (RateLimit, json!({"limit": 5, "interval": "1m", "scope": "world"}), "config.scope", "policy_word"),
    ] {
        assert_eq!(errors(kind, config.clone()), [(field.to_owned(), code)], "{config}");
    }
}

#[test]
fn conditions_are_checked() {
    for (condition, field, code) in [
        (json!({"type": "weather", "operator": "equals", "value": "x"}), "type", "policy_word"),
        (json!({"type": "model", "operator": "like", "value": "x"}), "operator", "policy_word"),
        (json!({"type": "model", "operator": "equals"}), "value", "policy_missing"),
        (json!({"type": "model", "operator": "equals", "value": ["x"]}), "value", "policy_type"),
        (json!({"type": "model", "operator": "in", "value": "x"}), "values", "policy_missing"),
        (json!({"type": "model", "operator": "in", "values": ["x", {}]}), "values[1]", "policy_type"),
        (json!({"type": "model", "operator": "gt", "value": "1"}), "operator", "policy_operator"),
        (json!({"type": "status_code", "operator": "gt", "value": "many"}), "value", "policy_number"),
        (json!({"type": "status_code", "operator": "equals", "value": "5xx"}), "value", "policy_number"),
        (json!({"type": "status_code", "operator": "in", "values": [500, "x"]}), "values[1]", "policy_number"),
        (json!({"type": "error_class", "operator": "equals", "value": "rate limit"}), "value", "policy_word"),
        (json!({"type": "error_message", "operator": "regex", "value": "a{1000000}"}), "value", "policy_regex"),
        (json!({"type": "error_message", "operator": "regex", "value": "(?=x)"}), "value", "policy_regex"),
        (json!({"type": "error_message", "operator": "contains", "value": ""}), "value", "policy_empty"),
    ] {
        let field = format!("config.rules[0].conditions[0].{field}");
        assert_eq!(errors(PolicyType::Retry, with_condition(&condition)), [(field, code)], "{condition}");
    }
    for condition in [
        json!({"type": "status_code", "operator": "contains", "value": "50"}),
        json!({"type": "status_code", "operator": "equals", "value": 500}),
        json!({"type": "error_class", "operator": "in", "values": ["rate_limited", "upstream_fault"]}),
        json!({"type": "model", "operator": "equals", "value": ""}),
    ] {
        assert_eq!(errors(PolicyType::Retry, with_condition(&condition)), [], "{condition}");
    }
}

#[test]
fn what_another_program_stored_is_used_as_far_as_it_goes() {
    let config = json!({"rules": [
        {"action": "retry", "priority": 2, "conditions": []},
        {"action": "retry", "priority": 1, "conditions": [{"type": "moon", "operator": "equals", "value": "full"}]},
        {"action": "disable", "priority": 0, "conditions": [{"type": "model", "operator": "equals", "value": "m"}]},
    ]});
    let (read, errors) = policy_config(PolicyType::Retry, config.as_object().unwrap());
    assert_eq!(errors.len(), 1);
    let Some(PolicyConfig::Retry(rules)) = read else { panic!("no rules") };
    let actions: Vec<Action> = rules.iter().map(|rule| rule.action).collect();
    assert_eq!(actions, [Action::Disable, Action::Retry]);
    let condition = Condition { kind: ConditionType::Model, operator: Operator::Equals, values: vec!["m".to_owned()] };
    assert_eq!(rules[0].conditions, [condition]);

    let config = json!({"type": "include", "patterns": ["re:(", "gpt-*", 7]});
    let (read, errors) = policy_config(PolicyType::ModelFilter, config.as_object().unwrap());
    let filter = ModelFilter { kind: FilterType::Include, patterns: vec!["gpt-*".to_owned(), "7".to_owned()] };
    assert_eq!((read, errors.len()), (Some(PolicyConfig::ModelFilter(filter)), 1));
    assert_eq!(policy_config(PolicyType::RateLimit, &Map::new()).0, None);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z_{}()*+\\\\]{0,12}".prop_map(Value::from),
        proptest::sample::select(vec!["retry", "equals", "in", "status_code", "5m", "include", "re:a", "group"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let names = vec![
            "rules",
            "conditions",
            "type",
            "operator",
            "value",
            "values",
            "action",
            "limit",
            "interval",
            "scope",
            "patterns",
            "duration",
            "priority",
            "name",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(names), inner), 0..8)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_config_is_read_and_what_is_stored_reads_the_same(config in any_json(), kind in proptest::sample::select(PolicyType::ALL)) {
        let Value::Object(config) = config else { return Ok(()) };
        let entered = definition(kind, Value::Object(config.clone()));
        let (read, errors) = policy_config(kind, &config);
        match policy(entered) {
            Ok(stored) => {
                prop_assert!(errors.is_empty());
                prop_assert_eq!(policy_config(kind, &stored.config), (read, Vec::new()));
            }
            Err(told) => prop_assert_eq!(told, errors),
        }
    }
}
