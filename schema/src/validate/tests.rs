use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::{
    channel::Channel,
    group::{GroupDefinition, GroupType, HeaderAction, HeaderRule, Upstream},
};

const STRICT: UpstreamPolicy = UpstreamPolicy { allow_link_local: false };

fn upstream(url: &str, weight: u32) -> Upstream {
    Upstream { url: url.to_owned(), weight }
}

fn definition() -> GroupDefinition {
    GroupDefinition {
        name: "openai".to_owned(),
        display_name: String::new(),
        description: String::new(),
        group_type: GroupType::Standard,
        upstreams: vec![upstream("https://api.openai.com", 1)],
        channel: Channel::OpenAi,
        sort: 0,
        test_model: "gpt-4.1-nano".to_owned(),
        validation_endpoint: String::new(),
        param_overrides: None,
        model_redirect_rules: Map::new(),
        model_redirect_strict: false,
        config: None,
        header_rules: None,
        proxy_keys: String::new(),
    }
}

fn codes<T>(result: Result<T, Vec<FieldError>>) -> Vec<(String, &'static str)> {
    result.err().unwrap_or_default().into_iter().map(|error| (error.field, error.code)).collect()
}

fn input(key: &str, value: &str, action: &str) -> HeaderRuleInput {
    HeaderRuleInput { key: key.to_owned(), value: value.to_owned(), action: action.to_owned() }
}

#[test]
fn names() {
    assert_eq!(group_name(" my-group_2 "), Ok("my-group_2".to_owned()));
    assert!(group_name(&"a".repeat(100)).is_ok());
    for name in ["", " ", "Upper", "a b", "a/b", "ü", &"a".repeat(101)] {
        assert_eq!(group_name(name).err().map(|error| error.code), Some("group_name"), "{name}");
    }
}

#[test]
fn endpoints() {
    for path in ["", "/v1/models", "/v1/x?version=2"] {
        assert_eq!(validation_endpoint(&format!(" {path} ")), Ok(path.to_owned()));
    }
    for path in ["v1", "https://h/v1", "/proxy?to=http://h", "/a b", "/a#b", "/a\r\nX: y"] {
        assert_eq!(validation_endpoint(path).err().map(|error| error.code), Some("validation_endpoint"), "{path}");
    }
}

#[test]
fn base_urls() {
    let accepted = upstreams(&[upstream(" https://h:8443/base/ ", 0), upstream("http://10.0.0.1", 3)], STRICT);
    assert_eq!(accepted, Ok(vec![upstream("https://h:8443/base/", 0), upstream("http://10.0.0.1", 3)]));
    for (url, code) in [
        ("", "upstream_url_empty"),
        ("api.openai.com", "upstream_url_scheme"),
        ("ftp://h", "upstream_url_scheme"),
        ("https://", "upstream_url"),
        ("https://h:99999", "upstream_url"),
        ("https://user:pass@h", "upstream_url_credentials"),
        ("https://h/?a=b", "upstream_url_query"),
        ("https://h/#a", "upstream_url_query"),
        ("http://169.254.169.254/latest", "upstream_link_local"),
        ("http://0xA9FEA9FE/", "upstream_link_local"),
        ("http://[fe80::1]/", "upstream_link_local"),
        ("http://[::ffff:169.254.169.254]/", "upstream_link_local"),
        ("http://[fd00:ec2::254]/", "upstream_link_local"),
    ] {
        assert_eq!(codes(upstreams(&[upstream(url, 1)], STRICT)), [("upstreams[0].url".to_owned(), code)], "{url}");
    }
    let relaxed = UpstreamPolicy { allow_link_local: true };
    assert!(upstreams(&[upstream("http://169.254.1.1", 1)], relaxed).is_ok());
    assert_eq!(codes(upstreams(&[], STRICT)), [("upstreams".to_owned(), "upstreams_empty")]);
    assert_eq!(codes(upstreams(&[upstream("http://h", 0)], STRICT)), [("upstreams".to_owned(), "upstreams_all_off")]);
}

#[test]
fn header_rules_are_canonical() {
    let rules = header_rules(&[
        input(" x-api-KEY ", "Bearer ${API_KEY}", "set"),
        input("", "ignored", "nonsense"),
        input("user-agent", "", "remove"),
    ]);
    let expected = [
        HeaderRule { key: "X-Api-Key".to_owned(), value: "Bearer ${API_KEY}".to_owned(), action: HeaderAction::Set },
        HeaderRule { key: "User-Agent".to_owned(), value: String::new(), action: HeaderAction::Remove },
    ];
    assert_eq!(rules.as_deref(), Ok(&expected[..]));
}

#[test]
fn header_rules_that_would_break_the_message_are_refused() {
    for (rule, field, code) in [
        (input("X Y", "", "set"), "key", "header_name"),
        (input("X\r\nY", "", "set"), "key", "header_name"),
        (input("Transfer-Encoding", "chunked", "set"), "key", "header_connection"),
        (input("host", "h", "remove"), "key", "header_connection"),
        (input("X-A", "a\r\nX-B: c", "set"), "value", "header_value"),
        (input("X-A", "a\0", "set"), "value", "header_value"),
        (input("X-A", "a", "add"), "action", "header_action"),
    ] {
        assert_eq!(codes(header_rules(&[rule])), [(format!("header_rules[0].{field}"), code)]);
    }
    let twice = [input("x-a", "1", "set"), input("X-A", "2", "remove")];
    assert_eq!(codes(header_rules(&twice)), [("header_rules[1].key".to_owned(), "header_duplicate")]);
}

#[test]
fn a_good_group_is_trimmed_and_nothing_else() {
    let entered = GroupDefinition {
        name: " openai ".to_owned(),
        display_name: " 日本 ".to_owned(),
        proxy_keys: " a, b ".to_owned(),
        ..definition()
    };
    let expected = GroupDefinition {
        display_name: "日本".to_owned(),
        proxy_keys: "a, b".to_owned(),
        header_rules: Some(Vec::new()),
        ..definition()
    };
    assert_eq!(group(entered, STRICT), Ok(expected));
}

#[test]
fn every_broken_rule_of_a_group_is_told() {
    let broken = GroupDefinition {
        name: "A".to_owned(),
        display_name: "x".repeat(256),
        description: "日".repeat(513),
        test_model: " ".to_owned(),
        upstreams: Vec::new(),
        validation_endpoint: "x".to_owned(),
        model_redirect_rules: Map::from_iter([("a".to_owned(), Value::Null)]),
        proxy_keys: "a\u{7}".to_owned(),
        ..definition()
    };
    let told: Vec<_> = codes(group(broken, STRICT)).into_iter().map(|(field, _)| field).collect();
    let fields =
        "name display_name description proxy_keys test_model upstreams validation_endpoint model_redirect_rules";
    assert_eq!(told, fields.split(' ').collect::<Vec<_>>());
}

#[test]
fn an_aggregate_keeps_nothing_of_a_standard_group() {
    let entered =
        GroupDefinition { group_type: GroupType::Aggregate, validation_endpoint: "x".to_owned(), ..definition() };
    let stored = group(entered.clone(), STRICT).expect("an aggregate");
    assert_eq!((stored.test_model.as_str(), stored.upstreams.len(), stored.validation_endpoint.as_str()), ("-", 0, ""));
    let redirecting =
        GroupDefinition { model_redirect_rules: Map::from_iter([("a".to_owned(), "b".into())]), ..entered };
    assert_eq!(codes(group(redirecting, STRICT)), [("model_redirect_rules".to_owned(), "redirects_on_aggregate")]);
}

proptest! {
    #[test]
    fn what_is_accepted_is_accepted_again(name in "\\PC{0,12}", url in "\\PC{0,30}|https?://[a-z.:@/?#0-9\\[\\]]{0,30}", key in "\\PC{0,10}|[a-zA-Z-]{1,10}") {
        let entered = GroupDefinition {
            name,
            upstreams: vec![upstream(&url, 1)],
            header_rules: Some(vec![HeaderRule { key, value: String::new(), action: HeaderAction::Set }]),
            ..definition()
        };
        if let Ok(stored) = group(entered, STRICT) {
            prop_assert_eq!(group(stored.clone(), STRICT), Ok(stored));
        }
    }
}
