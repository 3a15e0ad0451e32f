use std::{sync::Arc, time::Duration};

use gpt_load_actors::pool::Consequence;
use gpt_load_schema::{
    ids::PolicyId,
    log::OutcomeClass,
    policy::{Policy, PolicyDefinition, PolicyType},
    time::Timestamp,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{compile::Known, *};

fn policy(id: i64, kind: PolicyType, config: &Value) -> Arc<Policy> {
    Arc::new(Policy {
        id: PolicyId(id),
        definition: PolicyDefinition {
            name: format!("p{id}"),
            description: String::new(),
            kind,
            config: config.as_object().cloned().unwrap(),
            priority: 0,
            is_active: true,
        },
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    })
}

fn compiled(policies: &[Arc<Policy>]) -> Policies {
    Policies::compile(policies, &Known::new(), &mut Known::new())
}

fn rules(kind: PolicyType, rules: &Value) -> Policies {
    compiled(&[policy(1, kind, &json!({"rules": rules}))])
}

const FACTS: Facts<'_> = Facts {
    status: 429,
    class: OutcomeClass::RateLimited,
    message: "Rate Limit reached for gpt-4o",
    error_types: &[],
    model: "gpt-4o",
    failures: 3,
    requests: 1_000,
};

#[test]
fn every_operator_on_every_type() {
    let words = ["requests".to_owned(), "rate_limit_exceeded".to_owned()];
    let facts = Facts { error_types: &words, ..FACTS };
    for (kind, operator, value, expected) in [
        ("status_code", "equals", json!("429"), true),
        ("status_code", "equals", json!(430), false),
        ("status_code", "contains", json!("42"), true),
        ("status_code", "icontains", json!("5"), false),
        ("status_code", "regex", json!("^4..$"), true),
        ("status_code", "in", json!([500, "429"]), true),
        ("status_code", "in", json!([500]), false),
        ("status_code", "not_in", json!([500]), true),
        ("status_code", "not_in", json!([429]), false),
        ("status_code", "gt", json!(428), true),
        ("status_code", "gt", json!(429), false),
        ("status_code", "gte", json!(429), true),
        ("status_code", "lt", json!(429), false),
        ("status_code", "lte", json!(429), true),
        ("failure_count", "gte", json!(3), true),
        ("failure_count", "lt", json!(3), false),
        ("failure_count", "lt", json!(10), true),
        ("request_count", "gt", json!(999), true),
        ("request_count", "equals", json!(1_000), true),
        ("error_message", "contains", json!("Rate Limit"), true),
        ("error_message", "contains", json!("rate limit"), false),
        ("error_message", "icontains", json!("RATE LIMIT"), true),
        ("error_message", "equals", json!("Rate Limit"), false),
        ("error_message", "equals", json!("Rate Limit reached for gpt-4o"), true),
        ("error_message", "regex", json!("(?i)limit reached .* gpt-\\d"), true),
        ("error_message", "regex", json!("^reached"), false),
        ("error_message", "in", json!(["x", "Rate Limit reached for gpt-4o"]), true),
        ("error_message", "not_in", json!(["x"]), true),
        ("error_type", "equals", json!("requests"), true),
        ("error_type", "equals", json!("rate_limit_exceeded"), true),
        ("error_type", "in", json!(["tokens", "rate_limit_exceeded"]), true),
        ("error_type", "not_in", json!(["tokens"]), true),
        ("error_type", "not_in", json!(["requests"]), false),
        ("error_type", "contains", json!("limit"), true),
        ("model", "equals", json!("gpt-4o"), true),
        ("model", "regex", json!("^gpt"), true),
        ("model", "icontains", json!("GPT"), true),
        ("model", "in", json!(["gpt-4"]), false),
        ("error_class", "equals", json!("rate_limited"), true),
        ("error_class", "in", json!(["key_invalid"]), false),
        ("error_class", "not_in", json!(["key_invalid"]), true),
        ("error_class", "contains", json!("limit"), true),
        ("error_class", "icontains", json!("LIMIT"), true),
    ] {
        let member = if value.is_array() { "values" } else { "value" };
        let condition = json!({"type": kind, "operator": operator, member: value});
        let policies = rules(PolicyType::Retry, &json!([{"conditions": [condition], "action": "pass"}]));
        assert!(policies.rule(), "{condition} can be read");
        assert_eq!(decide(&[&policies], &facts).retry.is_some(), expected, "{condition}");
    }
    let none = rules(
        PolicyType::Retry,
        &json!([{"conditions": [{"type": "error_type", "operator": "not_in", "values": ["a"]}], "action": "pass"}]),
    );
    assert!(decide(&[&none], &FACTS).retry.is_some(), "an error without words has none of the list");
}

#[test]
fn what_can_never_hold_never_does() {
    for condition in [
        json!({"type": "weather", "operator": "equals", "value": "x"}),
        json!({"type": "model", "operator": "like", "value": "gpt-4o"}),
        json!({"type": "model", "operator": "regex", "value": "("}),
        json!({"type": "model", "operator": "gt", "value": "1"}),
        json!({"type": "status_code", "operator": "gt", "value": "x"}),
        json!({"type": "status_code", "operator": "equals"}),
    ] {
        let policies = rules(PolicyType::Retry, &json!([{"conditions": [condition], "action": "pass"}]));
        assert!(decide(&[&policies], &FACTS).retry.is_none(), "{condition}");
    }
}

#[test]
fn all_conditions_must_hold_and_the_first_rule_wins() {
    let status = json!({"type": "status_code", "operator": "equals", "value": 429});
    let other = json!({"type": "status_code", "operator": "equals", "value": 500});
    let policies = rules(
        PolicyType::Retry,
        &json!([
            {"name": "any", "priority": 9, "conditions": [], "action": "pass"},
            {"name": "never", "priority": 1, "conditions": [status, other], "action": "disable"},
            {"name": "late", "priority": 3, "conditions": [status], "action": "degrade"},
            {"name": "early", "priority": 2, "conditions": [status], "action": "invalidate"},
        ]),
    );
    let decided = |facts: &Facts<'_>| decide(&[&policies], facts).decided_by().unwrap().to_string();
    assert_eq!(decided(&FACTS), "policy p1: early");
    assert_eq!(decided(&Facts { status: 500, ..FACTS }), "policy p1: any");
}

#[test]
fn actions_and_what_they_do() {
    let minute = Some(Duration::from_secs(60));
    let retry = |max_retries, backoff| Step::Retry { rule: (PolicyId(1), 0), max_retries, backoff };
    let usual = retry(None, Duration::ZERO);
    for (kind, rule, consequence, step) in [
        (PolicyType::Retry, json!({"action": "retry"}), None, usual),
        (
            PolicyType::Retry,
            json!({"action": "retry", "max_retries": 2, "backoff_ms": 50}),
            None,
            retry(Some(2), Duration::from_millis(50)),
        ),
        (PolicyType::Retry, json!({"action": "retry", "max_retries": 0}), None, Step::Pass),
        (PolicyType::Retry, json!({"action": "pass"}), None, Step::Pass),
        (PolicyType::Retry, json!({"action": "degrade"}), Some(Consequence::Degrade(None)), usual),
        (PolicyType::Retry, json!({"action": "disable"}), Some(Consequence::Disable(None)), usual),
        (PolicyType::Retry, json!({"action": "disable", "duration": "1m"}), Some(Consequence::Disable(minute)), usual),
        (PolicyType::Retry, json!({"action": "invalidate"}), Some(Consequence::Invalidate), usual),
        (PolicyType::Degradation, json!({"action": "degrade"}), Some(Consequence::Degrade(None)), Step::AsUsual),
        (
            PolicyType::Degradation,
            json!({"action": "degrade", "duration": "60s"}),
            Some(Consequence::Degrade(minute)),
            Step::AsUsual,
        ),
        (
            PolicyType::Degradation,
            json!({"action": "disable", "duration": "1m"}),
            Some(Consequence::Disable(minute)),
            Step::AsUsual,
        ),
        (
            PolicyType::Degradation,
            json!({"action": "invalidate", "duration": "1h"}),
            Some(Consequence::Invalidate),
            Step::AsUsual,
        ),
        (
            PolicyType::Degradation,
            json!({"action": "rest", "duration": "1m"}),
            Some(Consequence::Rest(Duration::from_secs(60))),
            Step::AsUsual,
        ),
        (PolicyType::Degradation, json!({"action": "spare"}), Some(Consequence::Spare), Step::AsUsual),
    ] {
        let policies = rules(kind, &json!([rule]));
        let decision = decide(&[&policies], &FACTS);
        assert_eq!((decision.consequence, decision.step), (consequence, step), "{rule}");
    }
}

#[test]
fn retry_policies_go_first_and_the_order_of_groups_counts() {
    let any = |action: &str| json!({"rules": [{"name": action, "action": action}]});
    let retry = |id, action| policy(id, PolicyType::Retry, &any(action));
    let degradation = |id, action| policy(id, PolicyType::Degradation, &any(action));
    let decided = |groups: &[&[Arc<Policy>]]| {
        let groups: Vec<Policies> = groups.iter().map(|policies| compiled(policies)).collect();
        let groups: Vec<&Policies> = groups.iter().collect();
        let decision = decide(&groups, &FACTS);
        (decision.decided_by().map(|by| by.to_string()), decision.consequence)
    };
    let by = |text: &str, consequence| (Some(text.to_owned()), consequence);
    let disable = Some(Consequence::Disable(None));
    assert_eq!(decided(&[&[]]), (None, None));
    assert_eq!(
        decided(&[&[degradation(1, "disable"), retry(2, "retry")]]),
        by("policy p1: disable; policy p2: retry", disable),
        "a retry that says nothing of the key leaves it to degradation"
    );
    assert_eq!(
        decided(&[&[degradation(1, "disable"), retry(2, "invalidate")]]),
        by("policy p2: invalidate", Some(Consequence::Invalidate)),
        "the key consequence of the retry policy wins"
    );
    assert_eq!(decided(&[&[retry(1, "pass"), retry(2, "disable")]]), by("policy p1: pass", None));
    assert_eq!(
        decided(&[&[retry(1, "pass")], &[retry(2, "disable"), degradation(3, "disable")]]),
        by("policy p3: disable; policy p1: pass", disable),
        "the aggregate's own policies go first, type by type"
    );
}

#[test]
fn success_and_abandoned_are_nobodys_business() {
    let policies = rules(PolicyType::Retry, &json!([{"action": "disable"}]));
    for class in OutcomeClass::ALL {
        let decides = !matches!(class, OutcomeClass::Success | OutcomeClass::Abandoned);
        assert_eq!(decide(&[&policies], &Facts { class, ..FACTS }).retry.is_some(), decides, "{class}");
    }
}

#[test]
fn filters_allow_and_deny() {
    let filter = |id, kind: &str, patterns: &[&str]| {
        policy(id, PolicyType::ModelFilter, &json!({"type": kind, "patterns": patterns}))
    };
    let include = compiled(&[filter(1, "include", &["gpt-4*", "re:^o[0-9]"])]);
    let exclude = compiled(&[filter(1, "exclude", &["*-preview", "re:mini"])]);
    let both = compiled(&[filter(1, "include", &["gpt-*"]), filter(2, "exclude", &["re:mini"])]);
    for (policies, model, allowed, policy, pattern) in [
        (&include, "gpt-4o", true, Some("p1"), Some("gpt-4*")),
        (&include, "o3", true, Some("p1"), Some("re:^o[0-9]")),
        (&include, "GPT-4o", false, Some("p1"), None),
        (&include, "my-gpt-4", false, Some("p1"), None),
        (&exclude, "o1-preview", false, Some("p1"), Some("*-preview")),
        (&exclude, "gpt-4o-mini", false, Some("p1"), Some("re:mini")),
        (&exclude, "gpt-4o", true, Some("p1"), None),
        (&both, "gpt-4o", true, Some("p2"), None),
        (&both, "gpt-4o-mini", false, Some("p2"), Some("re:mini")),
        (&both, "o3", false, Some("p1"), None),
        (&Policies::default(), "o3", true, None, None),
        (&exclude, "x".repeat(1_025).as_str(), false, Some("p1"), None),
    ] {
        assert_eq!(policies.allowance(model), Allowance { allowed, policy, pattern }, "{model}");
    }
}

#[test]
fn what_did_not_change_is_not_compiled_again() {
    let config = json!({"type": "include", "patterns": ["a"]});
    let first = policy(1, PolicyType::ModelFilter, &config);
    let (mut known, mut next) = (Known::new(), Known::new());
    Policies::compile(std::slice::from_ref(&first), &Known::new(), &mut known);
    let other = policy(2, PolicyType::ModelFilter, &config);
    Policies::compile(&[policy(1, PolicyType::ModelFilter, &config), other], &known, &mut next);
    assert!(Arc::ptr_eq(&known[&PolicyId(1)], &next[&PolicyId(1)]));
    let changed = policy(1, PolicyType::ModelFilter, &json!({"type": "exclude", "patterns": ["a"]}));
    let again = Policies::compile(&[changed], &next, &mut Known::new());
    assert!(!again.allowance("a").allowed);
}

proptest! {
    #[test]
    fn any_failure_is_ruled_on_without_a_panic(
        (kind, operator) in (0..gpt_load_schema::policy::ConditionType::ALL.len(), 0..gpt_load_schema::policy::Operator::ALL.len()),
        value in any::<String>(),
        message in any::<String>(),
        words in proptest::collection::vec(any::<String>(), 0..3),
        model in any::<String>(),
        (status, failures, requests) in (any::<u16>(), any::<i64>(), any::<u64>()),
        class in proptest::sample::select(OutcomeClass::ALL.to_vec()),
    ) {
        let kind = gpt_load_schema::policy::ConditionType::ALL[kind].as_str();
        let operator = gpt_load_schema::policy::Operator::ALL[operator].as_str();
        let condition = json!({"type": kind, "operator": operator, "value": value, "values": [value]});
        let policies = rules(PolicyType::Retry, &json!([{"conditions": [condition], "action": "disable"}]));
        let facts = Facts { status, class, message: &message, error_types: &words, model: &model, failures, requests };
        let decision = decide(&[&policies], &facts);
        prop_assert_eq!(decision.retry.is_some(), decision.consequence.is_some());
        let filter = policy(1, PolicyType::ModelFilter, &json!({"type": "include", "patterns": [value]}));
        let _ = compiled(&[filter]).allowance(&model);
    }
}
