use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

use super::*;

fn rows(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

fn verdict(key: &str, value: &Value) -> Result<String, Rule> {
    check(declaration(key).expect("declared"), value).map_err(|problem| problem.rule)
}

#[test]
fn every_declaration_is_complete() {
    let keys: HashSet<_> = DYNAMIC.iter().map(|declaration| declaration.key).collect();
    assert_eq!(keys.len(), DYNAMIC.len());
    assert!(DYNAMIC.is_sorted_by_key(|declaration| declaration.category), "sections stay together");
    for declaration in DYNAMIC {
        for language in [Language::Chinese, Language::English, Language::Japanese] {
            assert!(!declaration.name.get(language).is_empty(), "{} has a name", declaration.key);
            assert!(!declaration.description.get(language).is_empty(), "{} is described", declaration.key);
        }
    }
}

#[test]
fn defaults_pass_their_own_check() {
    let settings = Settings::defaults();
    // A proxy key has no default: every installation makes its own.
    for declaration in DYNAMIC.iter().filter(|declaration| declaration.key != "proxy_keys") {
        assert_eq!(check_text(declaration, declaration.default).as_deref(), Ok(declaration.default));
        let value = settings.get(declaration.key).expect("declared");
        assert_eq!(check(declaration, &value).as_deref(), Ok(declaration.default));
    }
    assert_eq!(settings.get("proxy_keys"), Some(json!("")));
    assert_eq!(settings.get("no_such_setting"), None);
}

#[test]
fn the_group_form_has_the_contract_order_first() {
    let order: Vec<_> = overridable().into_iter().map(|declaration| declaration.key).collect();
    assert_eq!(order[..3], ["request_timeout", "idle_conn_timeout", "connect_timeout"]);
    assert_eq!(order[13..16], ["enable_request_body_logging", "new_key_state", "key_selection"]);
    for system_only in ["app_url", "proxy_keys", "request_log_retention_days", "resource_ttl_days"] {
        assert!(!order.contains(&system_only));
    }
}

#[test]
fn good_values_are_stored_as_text() {
    for (key, value, stored) in [
        ("max_retries", json!(0), "0"),
        ("max_retries", json!(3.0), "3"),
        ("max_retries", json!(1e6), "1000000"),
        ("key_rpm", json!(9_007_199_254_740_993_i64), "9007199254740993"),
        ("pool_guard", json!(false), "false"),
        ("proxy_keys", json!(" a, b ,,c "), "a,b,c"),
        ("proxy_url", json!(""), ""),
        ("proxy_url", json!("socks5h://user:pass@127.0.0.1:1080"), "socks5h://user:pass@127.0.0.1:1080"),
        ("failover_status_codes", json!(""), ""),
        ("failover_status_codes", json!("401 - 403,\n429,,"), "401 - 403,\n429,,"),
        ("key_selection", json!("sticky"), "sticky"),
        ("sticky_header", json!("X-User-Id"), "X-User-Id"),
        ("max_wait_ms", json!(30_000), "30000"),
    ] {
        assert_eq!(verdict(key, &value).as_deref(), Ok(stored), "{key} = {value}");
    }
}

#[test]
fn bad_values_are_refused_by_rule() {
    for (key, value, rule) in [
        ("max_retries", json!(-1), Rule::TooSmall(0)),
        ("max_retries", json!(1.5), Rule::WrongType(Kind::Int)),
        ("max_retries", json!("3"), Rule::WrongType(Kind::Int)),
        ("max_retries", json!(true), Rule::WrongType(Kind::Int)),
        ("max_retries", json!(null), Rule::WrongType(Kind::Int)),
        ("max_retries", json!(1e300), Rule::WrongType(Kind::Int)),
        ("max_retries", json!(u64::MAX), Rule::TooLarge(i64::MAX)),
        ("request_timeout", json!(0), Rule::TooSmall(1)),
        ("max_wait_ms", json!(30_001), Rule::TooLarge(30_000)),
        ("pool_guard", json!("true"), Rule::WrongType(Kind::Bool)),
        ("app_url", json!("  "), Rule::Required),
        ("proxy_keys", json!(" , "), Rule::Required),
        ("proxy_url", json!("ftp://host"), Rule::ProxyUrl),
        ("proxy_url", json!("127.0.0.1:1080"), Rule::ProxyUrl),
        ("proxy_url", json!("socks5://"), Rule::ProxyUrl),
        ("proxy_url", json!("http://host/path"), Rule::ProxyUrl),
        ("proxy_url", json!("http://host?query"), Rule::ProxyUrl),
        ("proxy_url", json!("http://host:0"), Rule::ProxyUrl),
        ("proxy_url", json!("http://us%3Aer:word@host"), Rule::ProxyUrl),
        ("proxy_url", json!("http://user:%0d%0a@host"), Rule::ProxyUrl),
        ("proxy_url", json!("socks5://user@host"), Rule::ProxyUrl),
        ("proxy_keys", json!("k".repeat(40_001)), Rule::TooLong(40_000)),
        ("failover_status_codes", json!("99"), Rule::StatusCodes),
        ("failover_status_codes", json!("500-400"), Rule::StatusCodes),
        ("failover_status_codes", json!("400-500-600"), Rule::StatusCodes),
        ("failover_status_codes", json!("+500"), Rule::StatusCodes),
        ("key_selection", json!("sometimes"), Rule::NotOneOf(declaration("key_selection").expect("declared").values)),
        ("new_key_state", json!(""), Rule::NotOneOf(&["pending", "active"])),
        ("sticky_header", json!("a header"), Rule::HeaderName),
    ] {
        assert_eq!(verdict(key, &value), Err(rule), "{key} = {value}");
    }
}

#[test]
fn a_problem_names_the_setting_but_not_the_value() {
    let problem = check(declaration("proxy_url").expect("declared"), &json!("ftp://user:hunter2@host")).unwrap_err();
    assert_eq!(problem.rule.as_str(), "proxy_url");
    assert_eq!(problem.to_string(), "proxy_url must be the URL of an http, https, socks5 or socks5h proxy");
    assert_eq!(problem.localized(Language::Chinese), "proxy_url 必须是 http、https、socks5 或 socks5h 代理地址");
    assert_eq!(Problem::new("x", Rule::TooSmall(1)).localized(Language::Japanese), "x は 1 以上でなければなりません");
}

#[test]
fn rows_are_read_with_tolerance() {
    let (settings, problems) = Settings::from_rows(&rows(&[
        ("max_idle_conns", "1e+06"),
        ("request_timeout", "1.5e+06"),
        ("max_retries", "many"),
        ("pool_guard", "False"),
        ("failover_status_codes", "12"),
        ("proxy_keys", "sk-one"),
        ("left_by_another_program", "1"),
    ]));
    assert_eq!((settings.max_idle_conns, settings.request_timeout), (1_000_000, 1_500_000));
    assert_eq!((settings.max_retries, settings.pool_guard), (3, false));
    assert_eq!(settings.failover_status_codes, "401-403,408,425,429,500-599");
    assert_eq!(settings.proxy_keys, "sk-one");
    let broken: Vec<_> = problems.iter().map(|problem| (problem.key.as_str(), problem.rule)).collect();
    assert_eq!(broken, [("max_retries", Rule::WrongType(Kind::Int)), ("failover_status_codes", Rule::StatusCodes)]);
}

#[test]
fn overrides_are_checked_and_applied() {
    let config = object(json!({"max_retries": 5.0, "proxy_url": "", "connect_timeout": null, "pool_guard": false}));
    let stored = check_overrides(&config).expect("all allowed");
    assert_eq!(Value::from(stored.clone()), json!({"max_retries": 5, "proxy_url": "", "pool_guard": false}));

    let system = Settings { proxy_url: "http://proxy:3128".into(), ..Settings::defaults() };
    let group = system.with_overrides(Some(&stored));
    assert_eq!((group.max_retries, group.proxy_url.as_str(), group.pool_guard), (5, "", false));
    assert_eq!(group.connect_timeout, 15);
    assert_eq!(system.with_overrides(None), system);
}

#[test]
fn overrides_that_cannot_be_are_refused_and_never_applied() {
    for (config, key, rule) in [
        (json!({"max_retries": 1, "max_retry": 1}), "max_retry", Rule::Unknown),
        (json!({"app_url": "http://elsewhere"}), "app_url", Rule::NotOverridable),
        (json!({"resource_ttl_days": 3}), "resource_ttl_days", Rule::NotOverridable),
        (json!({"max_retries": "1"}), "max_retries", Rule::WrongType(Kind::Int)),
        (json!({"request_timeout": 0}), "request_timeout", Rule::TooSmall(1)),
    ] {
        let problem = check_overrides(&object(config.clone())).unwrap_err();
        assert_eq!((problem.key.as_str(), problem.rule), (key, rule));
        let system = Settings::defaults();
        let applied = system.with_overrides(Some(&object(config)));
        assert_eq!((applied.app_url, applied.resource_ttl_days), (system.app_url, 30));
        assert_eq!(applied.request_timeout, 600);
    }
}

#[test]
fn debug_output_hides_secrets() {
    let settings = Settings { proxy_keys: "sk-very-secret".into(), ..Settings::defaults() };
    let shown = format!("{settings:?}");
    assert!(!shown.contains("very-secret"), "{shown}");
    assert!(shown.contains("max_retries: Number(3)"), "{shown}");
}

#[test]
fn the_first_language_tag_decides() {
    for (header, language) in [
        ("en-US,zh;q=0.9", Language::English),
        ("ja", Language::Japanese),
        ("zh-TW", Language::Chinese),
        ("fr,en", Language::Chinese),
        ("", Language::Chinese),
    ] {
        assert_eq!(Language::from_accept_language(header), language, "{header}");
    }
}
