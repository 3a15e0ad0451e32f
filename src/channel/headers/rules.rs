//! A group's header rules, compiled once when the group changes.

use std::fmt::Write;

use actix_http::header::{HeaderMap, HeaderName, HeaderValue};
use gpt_load_schema::{
    group::{HeaderAction, HeaderRule},
    secret::Secret,
};

use super::is_hop_by_hop;

/// What the variables of header rules stand for in one attempt.
#[derive(Clone, Copy, Debug)]
pub struct RuleVars<'a> {
    /// `${CLIENT_IP}`: the client's address.
    pub client_ip: &'a str,
    /// `${GROUP_NAME}`: name of the group used, the member's for an aggregate.
    pub group_name: &'a str,
    /// `${API_KEY}`: the provider key used.
    pub api_key: &'a Secret,
    /// `${TIMESTAMP_MS}`: milliseconds since the Unix epoch; `${TIMESTAMP_S}` is made of it.
    pub now_ms: i64,
}

/// Header rules ready to be applied, in their order.
#[derive(Clone, Debug, Default)]
pub struct CompiledRules(Vec<(HeaderName, Change)>);

#[derive(Clone, Debug)]
enum Change {
    Remove,
    Fixed(HeaderValue),
    Made(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    ClientIp,
    GroupName,
    ApiKey,
    TimestampMs,
    TimestampS,
}

const VARIABLES: [(&str, Part); 5] = [
    ("${CLIENT_IP}", Part::ClientIp),
    ("${GROUP_NAME}", Part::GroupName),
    ("${API_KEY}", Part::ApiKey),
    ("${TIMESTAMP_MS}", Part::TimestampMs),
    ("${TIMESTAMP_S}", Part::TimestampS),
];

impl CompiledRules {
    /// Compiles rules. A rule whose name or value no header can carry, or which would set the framing of the message
    /// (`Content-Length`, hop-by-hop headers), is left out.
    pub fn compile(rules: &[HeaderRule]) -> Self {
        Self(rules.iter().filter_map(compile).collect())
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes `headers`. A set replaces all values of the name; a value that its variables make invalid is skipped.
    pub fn apply(&self, vars: &RuleVars<'_>, headers: &mut HeaderMap) {
        for (name, change) in &self.0 {
            let value = match change {
                Change::Remove => {
                    headers.remove(name);
                    continue;
                }
                Change::Fixed(value) => value.clone(),
                Change::Made(parts) => match made(parts, vars) {
                    Some(value) => value,
                    None => continue,
                },
            };
            headers.insert(name.clone(), value);
        }
    }
}

fn compile(rule: &HeaderRule) -> Option<(HeaderName, Change)> {
    let name = HeaderName::from_bytes(rule.key.trim().as_bytes()).ok()?;
    if rule.action == HeaderAction::Remove {
        return Some((name, Change::Remove));
    }
    if is_hop_by_hop(&name) || name == "content-length" {
        return None;
    }
    let change = match split(&rule.value) {
        parts if parts.iter().any(|part| !matches!(part, Part::Text(_))) => Change::Made(parts),
        _ => Change::Fixed(HeaderValue::from_bytes(rule.value.as_bytes()).ok()?),
    };
    Some((name, change))
}

/// Cuts a value into text and variables; an unknown variable is text.
fn split(value: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = value;
    let mut from = 0;
    while let Some(dollar) = rest[from..].find("${").map(|at| from + at) {
        let Some((word, part)) = VARIABLES.iter().find(|(word, _)| rest[dollar..].starts_with(word)) else {
            from = dollar + 2;
            continue;
        };
        if dollar > 0 {
            parts.push(Part::Text(rest[..dollar].to_owned()));
        }
        parts.push(part.clone());
        rest = &rest[dollar + word.len()..];
        from = 0;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    parts
}

fn made(parts: &[Part], vars: &RuleVars<'_>) -> Option<HeaderValue> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(fixed) => text.push_str(fixed),
            Part::ClientIp => text.push_str(vars.client_ip),
            Part::GroupName => text.push_str(vars.group_name),
            Part::ApiKey => text.push_str(vars.api_key.expose()),
            Part::TimestampMs => write!(text, "{}", vars.now_ms).ok()?,
            Part::TimestampS => write!(text, "{}", vars.now_ms.div_euclid(1000)).ok()?,
        }
    }
    let mut value = HeaderValue::from_maybe_shared(text.into_bytes()).ok()?;
    value.set_sensitive(parts.contains(&Part::ApiKey));
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(key: &str, value: &str) -> HeaderRule {
        HeaderRule { key: key.to_owned(), value: value.to_owned(), action: HeaderAction::Set }
    }

    fn remove(key: &str) -> HeaderRule {
        HeaderRule { key: key.to_owned(), value: String::new(), action: HeaderAction::Remove }
    }

    fn applied(rules: &[HeaderRule], headers: &mut HeaderMap) {
        let key = Secret::from("sk-1");
        let vars = RuleVars { client_ip: "192.0.2.1", group_name: "g", api_key: &key, now_ms: 1_234_567 };
        CompiledRules::compile(rules).apply(&vars, headers);
    }

    #[test]
    fn values_are_made_of_variables() {
        for (value, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("${API_KEY}", "sk-1"),
            ("${GROUP_NAME}@${CLIENT_IP}!", "g@192.0.2.1!"),
            ("${TIMESTAMP_MS}/${TIMESTAMP_S}", "1234567/1234"),
            ("${UNKNOWN} ${API_KEY", "${UNKNOWN} ${API_KEY"),
            ("${${API_KEY}}", "${sk-1}"),
        ] {
            let mut headers = HeaderMap::new();
            applied(&[set("X-Test", value)], &mut headers);
            let header = headers.get("x-test").unwrap();
            assert_eq!(header, expected, "{value}");
            assert_eq!(header.is_sensitive(), expected.contains("sk-1"), "{value}");
        }
    }

    #[test]
    fn rules_run_in_order_and_replace() {
        let mut headers = HeaderMap::new();
        headers.append(HeaderName::from_static("x-a"), HeaderValue::from_static("1"));
        headers.append(HeaderName::from_static("x-a"), HeaderValue::from_static("2"));
        headers.append(HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer k"));
        applied(&[set("X-A", "3"), remove("Authorization"), set("X-B", "4"), remove("X-B")], &mut headers);
        assert_eq!(headers.get_all("x-a").collect::<Vec<_>>(), ["3"]);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn what_no_header_can_carry_is_left_out() {
        let rules = [set("bad name", "x"), set("", "x"), set("X-Line", "a\nb"), set("Content-Length", "1")];
        assert!(CompiledRules::compile(&rules).is_empty());
        assert!(CompiledRules::compile(&[set("Transfer-Encoding", "chunked")]).is_empty());

        let (mut headers, key) = (HeaderMap::new(), Secret::from("a\nb"));
        let vars = RuleVars { client_ip: "", group_name: "", api_key: &key, now_ms: -1 };
        CompiledRules::compile(&[set("X-A", "${API_KEY}"), set("X-B", "${TIMESTAMP_S}")]).apply(&vars, &mut headers);
        assert!(!headers.contains_key("x-a"));
        assert_eq!(headers.get("x-b").unwrap(), "-1");
    }

    proptest! {
        #[test]
        fn any_rule_can_be_applied(key in ".{0,8}", value in "(.|\\$\\{API_KEY\\}|\\$\\{){0,12}") {
            applied(&[set(&key, &value), remove(&key)], &mut HeaderMap::new());
        }
    }
}
