//! Groups of older programs.

use serde_json::{Map, Value};

use super::{
    report::Report,
    rows::{LegacyGroup, is_true},
    settings::overrides,
};
use crate::{
    channel::Channel,
    group::{Group, GroupDefinition, GroupType, HeaderRule, Upstream},
    ids::GroupId,
    time::Timestamp,
    validate::{self, HeaderRuleInput, UpstreamPolicy},
};

/// The group of a stored row. What this program would not accept is kept as far as it can be stored, and reported: a
/// person corrects it, and until then the group says what is wrong with it.
pub(crate) fn group(row: LegacyGroup, now: Timestamp, report: &mut Report) -> Group {
    let name = row.name.unwrap_or_default();
    let mut find = |what: &str| report.find(format!("the group `{name}`: {what}"));
    let group_type = match row.group_type.as_deref().map(str::trim) {
        Some("aggregate") => GroupType::Aggregate,
        _ => GroupType::Standard,
    };
    let channel = row.channel_type.as_deref().unwrap_or_default().trim().parse().unwrap_or_else(|error| {
        find(&format!("{error}; it was taken as openai"));
        Channel::OpenAi
    });
    let upstreams = upstreams(row.upstreams.as_deref());
    if upstreams.is_none() {
        find("its upstreams are not readable and were left out");
    }
    let mut object = |column: &str, text: Option<&str>| match json(text) {
        Ok(Value::Object(object)) => Some(object),
        Ok(Value::Null) => None,
        Ok(_) | Err(()) => {
            find(&format!("its {column} is no JSON object and was left out"));
            None
        }
    };
    let param_overrides = object("param_overrides", row.param_overrides.as_deref());
    let config = object("config", row.config.as_deref());
    let redirects = object("model_redirect_rules", row.model_redirect_rules.as_deref()).unwrap_or_default();
    let redirects: Map<_, _> = redirects.into_iter().filter(|(_, target)| target.is_string()).collect();
    let (header_rules, refused) = header_rules(row.header_rules.as_deref());
    for reason in refused {
        find(&format!("a header rule was left out: {reason}"));
    }
    let aggregate = group_type == GroupType::Aggregate;
    if aggregate && !redirects.is_empty() {
        find("its model redirects were left out; an aggregate uses those of its members");
    }
    let definition = GroupDefinition {
        group_type,
        upstreams: upstreams.unwrap_or_default(),
        channel,
        sort: row.sort.unwrap_or(0),
        test_model: row.test_model.unwrap_or_default(),
        validation_endpoint: row.validation_endpoint.unwrap_or_default(),
        param_overrides: param_overrides.filter(|object| !object.is_empty()),
        model_redirect_rules: if aggregate { Map::new() } else { redirects },
        model_redirect_strict: is_true(row.model_redirect_strict.as_deref()),
        config: config.map(|config| overrides(&name, &config, report)),
        header_rules: Some(header_rules),
        proxy_keys: row.proxy_keys.unwrap_or_default().trim().to_owned(),
        display_name: row.display_name.unwrap_or_default(),
        description: row.description.unwrap_or_default(),
        name: name.clone(),
    };
    // Where upstreams may point is the routing table's to decide, at every publication.
    let definition = match validate::group(definition.clone(), UpstreamPolicy { allow_link_local: true }) {
        Ok(checked) => checked,
        Err(errors) => {
            for error in errors {
                report.find(format!("the group `{name}` was taken as it is, but {error}"));
            }
            definition
        }
    };
    let created_at = report.times.read(row.created_at.as_deref()).unwrap_or(now);
    Group {
        id: GroupId(row.id.unwrap_or(0)),
        definition,
        sub_groups: Vec::new(),
        last_validated_at: report.times.read(row.last_validated_at.as_deref()),
        created_at,
        updated_at: report.times.read(row.updated_at.as_deref()).unwrap_or(created_at),
    }
}

/// JSON of a column; SQL null and an empty text are JSON's null.
fn json(text: Option<&str>) -> Result<Value, ()> {
    match text.map(str::trim) {
        None | Some("") => Ok(Value::Null),
        Some(text) => serde_json::from_str(text).map_err(drop),
    }
}

fn upstreams(text: Option<&str>) -> Option<Vec<Upstream>> {
    let upstream = |entry: &Value| {
        let weight = entry["weight"].as_f64().unwrap_or(0.0);
        // The cast takes what is out of range for the nearest that is in range.
        Some(Upstream { url: entry["url"].as_str()?.to_owned(), weight: weight as u32 })
    };
    match json(text).ok()? {
        Value::Null => Some(Vec::new()),
        Value::Array(entries) => entries.iter().map(upstream).collect(),
        _ => None,
    }
}

/// The usable rules, and why the others are not.
fn header_rules(text: Option<&str>) -> (Vec<HeaderRule>, Vec<String>) {
    let entries = match json(text) {
        Ok(Value::Array(entries)) => entries,
        Ok(Value::Null) => return (Vec::new(), Vec::new()),
        Ok(_) | Err(()) => return (Vec::new(), vec!["the column is no JSON array".to_owned()]),
    };
    let mut taken: Vec<HeaderRuleInput> = Vec::new();
    let mut refused = Vec::new();
    for entry in entries {
        let word = |member: &str| entry[member].as_str().unwrap_or_default().to_owned();
        taken.push(HeaderRuleInput { key: word("key"), value: word("value"), action: word("action").to_lowercase() });
        if let Err(errors) = validate::header_rules(&taken) {
            taken.pop();
            refused.extend(errors.first().map(ToString::to_string));
        }
    }
    (validate::header_rules(&taken).unwrap_or_default(), refused)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::group::HeaderAction;

    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn row() -> LegacyGroup {
        LegacyGroup {
            id: Some(3),
            name: text("openai"),
            upstreams: text(r#"[{"url":"https://api.openai.com","weight":2}]"#),
            channel_type: text("openai"),
            test_model: text("gpt-4.1-nano"),
            ..LegacyGroup::default()
        }
    }

    #[test]
    fn the_first_generation_has_few_columns() {
        let mut report = Report::default();
        let taken = group(row(), NOW, &mut report);
        assert_eq!((taken.id, taken.definition.group_type, taken.created_at), (GroupId(3), GroupType::Standard, NOW));
        assert_eq!(taken.definition.upstreams, [Upstream { url: "https://api.openai.com".to_owned(), weight: 2 }]);
        assert_eq!((taken.definition.config, taken.definition.header_rules), (None, Some(Vec::new())));
        assert_eq!(report, Report::default());
    }

    #[test]
    fn every_column_is_read() {
        let mut report = Report::default();
        let row = LegacyGroup {
            sort: Some(7),
            display_name: text("Open"),
            proxy_keys: text(" pk-1,pk-2 "),
            group_type: text("standard"),
            param_overrides: text(r#"{"temperature": 0.70}"#),
            config: text(r#"{"max_retries": 9, "theme": 1}"#),
            header_rules: text(
                r#"[{"key":"x-a","value":"1","action":"SET"},{"key":"Host","value":"h","action":"set"},
                    {"key":"X-A","value":"2","action":"set"},{"key":"x-b","action":"remove"},{"key":"x-c","action":"add"}]"#,
            ),
            model_redirect_rules: text(r#"{"a":"b","c":1}"#),
            model_redirect_strict: text("1"),
            last_validated_at: text("2026-01-01 08:00:00+08:00"),
            created_at: text("2025-06-01 00:00:00"),
            ..row()
        };
        let taken = group(row, NOW, &mut report);
        let definition = &taken.definition;
        assert_eq!((definition.sort, definition.proxy_keys.as_str()), (7, "pk-1,pk-2"));
        assert_eq!(definition.config, json!({"max_retries": 9}).as_object().cloned());
        assert_eq!(Value::Object(definition.param_overrides.clone().unwrap()).to_string(), r#"{"temperature":0.7}"#);
        let rules: Vec<_> =
            definition.header_rules.iter().flatten().map(|rule| (rule.key.as_str(), rule.action)).collect();
        assert_eq!(rules, [("X-A", HeaderAction::Set), ("X-B", HeaderAction::Remove)]);
        assert_eq!(Value::Object(definition.model_redirect_rules.clone()), json!({"a": "b"}));
        assert!(definition.model_redirect_strict);
        assert_eq!(taken.last_validated_at, Some(NOW));
        assert_eq!(report.findings.len(), 4, "{:?}", report.findings);
    }

    #[test]
    fn a_group_that_would_not_be_accepted_is_kept_and_named() {
        let mut report = Report::default();
        let row = LegacyGroup {
            name: text("Open AI"),
            channel_type: text("cohere"),
            upstreams: text(r#"[{"url":"api.openai.com","weight":1}]"#),
            config: text("[1]"),
            header_rules: text("null"),
            param_overrides: text("null"),
            ..row()
        };
        let taken = group(row, NOW, &mut report);
        assert_eq!((taken.definition.name.as_str(), taken.definition.channel), ("Open AI", Channel::OpenAi));
        assert_eq!(taken.definition.upstreams[0].url, "api.openai.com");
        let found = report.findings.join("\n");
        for part in ["cohere", "config is no JSON object", "upstreams[0].url", "`Open AI` was taken as it is, but name"]
        {
            assert!(found.contains(part), "{part}: {found}");
        }
    }

    #[test]
    fn an_aggregate_has_nothing_of_its_own() {
        let mut report = Report::default();
        let row = LegacyGroup {
            group_type: text("aggregate"),
            upstreams: text("[]"),
            model_redirect_rules: text(r#"{"a":"b"}"#),
            ..row()
        };
        let taken = group(row, NOW, &mut report);
        assert_eq!((taken.definition.group_type, taken.definition.upstreams.len()), (GroupType::Aggregate, 0));
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        for upstreams in [r#"{"url":"x"}"#, "[1]", "nonsense"] {
            let mut report = Report::default();
            group(LegacyGroup { upstreams: text(upstreams), ..self::row() }, NOW, &mut report);
            assert!(report.findings[0].contains("not readable"), "{:?}", report.findings);
        }
    }
}
