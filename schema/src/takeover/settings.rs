//! Settings and overrides of older programs.

use serde_json::{Map, Value};

use super::{report::Report, rows::LegacySetting};
use crate::settings::{DYNAMIC, Declaration, check, check_text, declaration};

/// The default of `failover_status_codes` of the old programs. They stored it at their first start without being asked,
/// so it says nothing about what anybody wants.
const OLD_FAILOVER: &str = "400-403,405-999";

/// The settings to store, checked. What cannot be used is reported.
pub(crate) fn settings(rows: Vec<LegacySetting>, report: &mut Report) -> Vec<(&'static str, String)> {
    let mut taken = Vec::new();
    for row in rows {
        report.settings_read += 1;
        let (key, text) = (row.setting_key.unwrap_or_default(), row.setting_value.unwrap_or_default());
        let Some(declaration) = find(&key) else {
            report.find(format!("the setting `{}` is unknown here and was left out", shown(&key)));
            continue;
        };
        if is_old_default(declaration, &text) {
            continue;
        }
        match check_text(declaration, &text) {
            Ok(text) => taken.push((declaration.key, text)),
            Err(rule) => {
                let rule = rule.sentence(crate::settings::Language::English);
                report.find(format!("the setting `{}` {rule}; its default is in force", declaration.key));
            }
        }
    }
    taken
}

/// A group's overrides, checked. What cannot be used is reported with `group`, the group's name.
pub(crate) fn overrides(group: &str, config: &Map<String, Value>, report: &mut Report) -> Map<String, Value> {
    let mut taken = Map::new();
    for (key, value) in config.iter().filter(|(_, value)| !value.is_null()) {
        let mut refuse = |why: &str| report.find(format!("the group `{group}`: its `{}` {why}", shown(key)));
        let Some(declaration) = find(key) else {
            refuse("is unknown here and was left out");
            continue;
        };
        if !declaration.group_override {
            refuse("belongs to the whole system and was left out");
            continue;
        }
        if value.as_str().is_some_and(|text| is_old_default(declaration, text)) {
            continue;
        }
        // Scripts wrote numbers and switches as texts, too.
        let text = match (value, declaration.kind) {
            (Value::String(text), _) => check_text(declaration, text).ok(),
            _ => check(declaration, value).ok(),
        };
        match text {
            Some(text) => _ = taken.insert(declaration.key.to_owned(), typed(declaration, text)),
            None => refuse("has a value that is not allowed; the system's is in force"),
        }
    }
    taken
}

/// The setting of this name, or the one that took over from it.
fn find(key: &str) -> Option<&'static Declaration> {
    let former = |declaration: &&Declaration| declaration.former.iter().any(|name| name.eq_ignore_ascii_case(key));
    declaration(key).or_else(|| DYNAMIC.iter().find(former))
}

fn is_old_default(declaration: &Declaration, text: &str) -> bool {
    let plain = |text: &str| text.split([',', '\n']).map(str::trim).collect::<Vec<_>>().join(",");
    declaration.key == "failover_status_codes" && plain(text) == OLD_FAILOVER
}

fn typed(declaration: &Declaration, text: String) -> Value {
    use crate::settings::Kind;
    let json = match declaration.kind {
        Kind::Int | Kind::Bool => serde_json::from_str(&text).ok(),
        Kind::Text => None,
    };
    json.unwrap_or(Value::String(text))
}

/// A name from outside, fit for a sentence.
fn shown(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(key: &str, value: &str) -> LegacySetting {
        LegacySetting { setting_key: Some(key.to_owned()), setting_value: Some(value.to_owned()) }
    }

    #[test]
    fn known_settings_are_taken_and_the_others_named() {
        let mut report = Report::default();
        let rows = vec![
            row("request_timeout", "1.5e+06"),
            row("max_retries", "5"),
            row("enable_request_body_logging", "true"),
            row("failover_status_codes", "400-403, 405-999"),
            row("response_timeout", "30"),
            row("proxy_keys", " a , b,"),
            row("blacklist_threshold", "-1"),
            row("proxy_url", "hunter2"),
            row("theme", "dark"),
        ];
        let taken = settings(rows, &mut report);
        let expected = [
            ("request_timeout", "1500000"),
            ("max_retries", "5"),
            ("enable_request_body_logging", "true"),
            ("response_header_timeout", "30"),
            ("proxy_keys", "a,b"),
        ];
        assert_eq!(taken, expected.map(|(key, text)| (key, text.to_owned())));
        let found = report.findings.join("\n");
        assert_eq!(report.findings.len(), 3, "{found}");
        assert!(found.contains("`theme` is unknown") && found.contains("blacklist_threshold"), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
        let kept = settings(vec![row("failover_status_codes", "400-499")], &mut report);
        assert_eq!(kept, [("failover_status_codes", "400-499".to_owned())]);
    }

    #[test]
    fn overrides_are_typed_and_the_rest_is_named() {
        let mut report = Report::default();
        let config = json!({
            "request_timeout": 30, "max_retries": "2", "connect_timeout": 1e1, "enable_request_body_logging": true,
            "max_sockets": 7, "proxy_url": "", "failover_status_codes": "400-403,405-999", "idle_conn_timeout": null,
            "app_url": "x", "max_idle_conns": 0, "theme": 1,
        });
        let taken = overrides("one", config.as_object().unwrap(), &mut report);
        let expected = json!({
            "request_timeout": 30, "max_retries": 2, "connect_timeout": 10, "enable_request_body_logging": true,
            "max_idle_conns_per_host": 7, "proxy_url": "",
        });
        assert_eq!(Value::Object(taken), expected);
        assert_eq!(report.findings.len(), 3, "{:?}", report.findings);
    }
}
