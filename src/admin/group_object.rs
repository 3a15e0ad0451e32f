//! A group as the API shows it.

use gpt_load_schema::{
    group::{Group, GroupDefinition, GroupType, HeaderRule, Upstream},
    settings::Settings,
    store::KeyCounts,
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::{
    AppFacts,
    key_object::time,
    openapi::types::{ChannelWord, GroupTypeWord, HeaderActionWord, Time},
};

/// What every group object takes from around the group.
pub(super) struct Surroundings<'a> {
    /// System settings.
    pub(super) settings: &'a Settings,
    /// What the environment rules.
    pub(super) app: &'a AppFacts,
}

/// A group, complete, its proxy keys in clear text.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Group")]
pub(super) struct GroupBody<'a> {
    id: i64,
    name: &'a str,
    endpoint: String,
    display_name: &'a str,
    description: &'a str,
    #[schemars(with = "GroupTypeWord")]
    group_type: GroupType,
    #[schemars(with = "Vec<UpstreamBody>")]
    upstreams: &'a [Upstream],
    #[schemars(with = "ChannelWord")]
    channel_type: &'static str,
    sort: i64,
    test_model: &'a str,
    validation_endpoint: &'a str,
    param_overrides: Option<&'a Map<String, Value>>,
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    model_redirect_rules: &'a Map<String, Value>,
    model_redirect_strict: bool,
    config: Option<&'a Map<String, Value>>,
    #[schemars(with = "Option<Vec<HeaderRuleBody>>")]
    header_rules: Option<&'a [HeaderRule]>,
    proxy_keys: &'a str,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Option<Time>")]
    last_validated_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Time")]
    created_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    #[schemars(with = "Time")]
    updated_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ruled_by_environment: &'static [&'static str],
    #[serde(flatten)]
    counts: Option<Counts>,
}

#[derive(JsonSchema, Serialize)]
struct Counts {
    key_count: i64,
    active_key_count: i64,
}

/// Describes an [`Upstream`].
#[derive(JsonSchema)]
#[schemars(rename = "Upstream")]
#[expect(dead_code, reason = "describes an answer")]
struct UpstreamBody {
    url: String,
    /// Share of the traffic; 0 = switched off.
    weight: u32,
}

/// Describes a [`HeaderRule`].
#[derive(JsonSchema)]
#[schemars(rename = "HeaderRule")]
#[expect(dead_code, reason = "describes an answer")]
struct HeaderRuleBody {
    key: String,
    value: String,
    action: HeaderActionWord,
}

impl<'a> GroupBody<'a> {
    /// `counts` are shown in lists only.
    pub(super) fn new(group: &'a Group, around: &Surroundings<'_>, counts: Option<KeyCounts>) -> Self {
        let definition = &group.definition;
        Self {
            id: group.id.0,
            name: &definition.name,
            endpoint: endpoint(&around.settings.app_url, &definition.name),
            display_name: &definition.display_name,
            description: &definition.description,
            group_type: definition.group_type,
            upstreams: &definition.upstreams,
            channel_type: definition.channel.as_str(),
            sort: definition.sort,
            test_model: &definition.test_model,
            validation_endpoint: &definition.validation_endpoint,
            param_overrides: definition.param_overrides.as_ref(),
            model_redirect_rules: &definition.model_redirect_rules,
            model_redirect_strict: definition.model_redirect_strict,
            config: definition.config.as_ref(),
            header_rules: definition.header_rules.as_deref(),
            proxy_keys: &definition.proxy_keys,
            last_validated_at: group.last_validated_at,
            created_at: Some(group.created_at),
            updated_at: Some(group.updated_at),
            ruled_by_environment: if upstreams_ruled(definition, around.app) { &["upstreams"] } else { &[] },
            counts: counts.map(|counts| Counts { key_count: counts.total(), active_key_count: counts.active }),
        }
    }
}

/// Whether the environment rules the group's upstreams.
pub(super) fn upstreams_ruled(definition: &GroupDefinition, app: &AppFacts) -> bool {
    app.upstreams_ruled && definition.name == app.default_group
}

/// Address of the group's proxy; empty when `app_url` is no URL.
fn endpoint(app_url: &str, name: &str) -> String {
    let Ok(mut url) = Url::parse(app_url) else { return String::new() };
    let path = format!("{}/proxy/{name}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_follows_the_application_url() {
        let cases = [
            ("http://localhost:3001", "http://localhost:3001/proxy/g"),
            ("https://example.com/base//", "https://example.com/base/proxy/g"),
            ("https://example.com:8443/a/b", "https://example.com:8443/a/b/proxy/g"),
            ("no url", ""),
            ("", ""),
        ];
        for (app_url, expected) in cases {
            assert_eq!(endpoint(app_url, "g"), expected, "{app_url}");
        }
    }
}
