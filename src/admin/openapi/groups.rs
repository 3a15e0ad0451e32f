//! Operations on groups and members of aggregate groups.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::{
    operation::Operation,
    types::{AnyObject, ChannelWord, GroupTypeWord, HeaderActionWord, SettingValue},
};
use crate::admin::{
    error::ErrorCode::{BadRequest, DuplicateResource, NotFound, ServiceUnavailable, ValidationFailed},
    group_object::GroupBody,
    group_stats,
    groups::Name,
};

pub(super) fn operations() -> Vec<Operation> {
    let mut operations = of_groups();
    operations.extend(of_members());
    operations
}

fn of_groups() -> Vec<Operation> {
    let group = json!({
        "name": "team", "display_name": "Team", "channel_type": "openai", "test_model": "gpt-4o-mini",
        "upstreams": [{"url": "https://api.openai.com", "weight": 1}], "config": {"max_retries": 2},
    });
    vec![
        Operation::new("get", "/api/channel-types", "listChannelTypes", "Formats of providers that groups may have")
            .data::<Vec<ChannelWord>>(),
        Operation::new("get", "/api/groups", "listGroups", "Every group, by sort")
            .text("For scripts of earlier programs: with `wrap=1`, `data` is `{\"groups\": […]}`.")
            .data::<GroupList>(),
        Operation::new("post", "/api/groups", "createGroup", "Makes a group")
            .body::<GroupCreate>(group)
            .data::<GroupBody<'_>>()
            .errors(&[ValidationFailed, DuplicateResource, ServiceUnavailable]),
        Operation::new("get", "/api/groups/list", "listGroupNames", "Names of all groups").data::<Vec<Name<'_>>>(),
        Operation::new("put", "/api/groups/reorder", "reorderGroups", "Gives groups their positions, all or none")
            .body::<Reorder>(json!({"items": [{"id": 1, "sort": 10}]}))
            .errors(&[ValidationFailed, ServiceUnavailable]),
        Operation::new("put", "/api/groups/{id}", "updateGroup", "Changes a group; what is not sent stays")
            .text("The type of a group never changes; `group_type` is ignored here, and so is `channel_type` for aggregates.")
            .body::<GroupUpdate>(json!({"display_name": "Team", "config": {}}))
            .data::<GroupBody<'_>>()
            .errors(&[ValidationFailed, NotFound, DuplicateResource, ServiceUnavailable]),
        Operation::new("delete", "/api/groups/{id}", "deleteGroup", "Deletes a group and its keys")
            .errors(&[NotFound, ServiceUnavailable]),
        Operation::new("get", "/api/groups/{id}/stats", "getGroupStats", "Keys and requests of a group")
            .data::<group_stats::Body>()
            .errors(&[NotFound]),
        Operation::new("post", "/api/groups/{id}/copy", "copyGroup", "Makes a group like another, with its keys if wanted")
            .body::<Copy>(json!({"copy_keys": "none"}))
            .data::<Copied>()
            .errors(&[ValidationFailed, NotFound, DuplicateResource, ServiceUnavailable]),
    ]
}

fn of_members() -> Vec<Operation> {
    vec![
        Operation::new("get", "/api/groups/{id}/sub-groups", "listSubGroups", "Members of an aggregate group")
            .data::<Vec<SubGroup>>()
            .errors(&[BadRequest, NotFound]),
        Operation::new("post", "/api/groups/{id}/sub-groups", "addSubGroups", "Adds members, all or none")
            .body::<SubGroupsAdd>(json!({"sub_groups": [{"group_id": 1, "weight": 10}]}))
            .errors(&[BadRequest, ValidationFailed, NotFound, ServiceUnavailable]),
        Operation::new("delete", "/api/groups/{id}/sub-groups/{sub_id}", "removeSubGroup", "Takes a member out")
            .errors(&[BadRequest, NotFound, ServiceUnavailable]),
        Operation::new("put", "/api/groups/{id}/sub-groups/{sub_id}/weight", "setSubGroupWeight", "Weighs a member")
            .body::<Weight>(json!({"weight": 10}))
            .errors(&[BadRequest, ValidationFailed, NotFound, ServiceUnavailable]),
        Operation::new(
            "get",
            "/api/groups/{id}/parent-aggregate-groups",
            "listParentGroups",
            "Aggregate groups that a group is a member of; none for an unknown group",
        )
        .data::<Vec<Parent>>(),
    ]
}

/// The array; with `wrap=1` the object around it.
struct GroupList;

impl JsonSchema for GroupList {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "GroupList".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<GroupBody<'_>>::json_schema(generator)
    }
}

/// An upstream as it is sent.
#[derive(JsonSchema)]
#[schemars(rename = "UpstreamInput")]
#[expect(dead_code, reason = "describes a body")]
struct UpstreamInput {
    /// Base URL, `http` or `https`, at most 400 bytes.
    #[schemars(length(min = 1, max = 400))]
    url: String,
    /// Share of the traffic; 0 = switched off.
    #[schemars(range(min = 0, max = 1_000_000))]
    weight: i64,
}

/// A change to the headers of upstream calls.
#[derive(JsonSchema)]
#[schemars(rename = "HeaderRuleInput")]
#[expect(dead_code, reason = "describes a body")]
struct HeaderRuleInput {
    key: String,
    /// May hold `${CLIENT_IP}`, `${GROUP_NAME}`, `${API_KEY}`, `${TIMESTAMP_MS}`, `${TIMESTAMP_S}`.
    value: Option<String>,
    action: HeaderActionWord,
}

type Config = std::collections::BTreeMap<String, SettingValue>;
type Redirects = std::collections::BTreeMap<String, String>;

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct GroupCreate {
    /// Unique.
    #[schemars(regex(pattern = r"^\s*[a-z0-9_-]{1,100}\s*$"))]
    name: String,
    #[schemars(length(max = 255))]
    display_name: Option<String>,
    #[schemars(length(max = 512))]
    description: Option<String>,
    group_type: Option<GroupTypeWord>,
    channel_type: ChannelWord,
    /// At least one for a standard group; ignored for an aggregate one.
    upstreams: Option<Vec<UpstreamInput>>,
    sort: Option<i64>,
    /// What keys are validated with; required for a standard group, ignored for an aggregate one.
    #[schemars(length(max = 255))]
    test_model: Option<String>,
    /// Path of validation calls; empty = the channel's own.
    #[schemars(length(max = 255))]
    validation_endpoint: Option<String>,
    /// Members that replace those of the request's body.
    param_overrides: Option<AnyObject>,
    model_redirect_rules: Option<Redirects>,
    /// Whether models without a redirect are refused.
    model_redirect_strict: Option<bool>,
    /// Settings that this group has values of its own for; see `listGroupConfigOptions`.
    config: Option<Config>,
    header_rules: Option<Vec<HeaderRuleInput>>,
    /// Proxy keys, comma-separated.
    proxy_keys: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct GroupUpdate {
    #[schemars(regex(pattern = r"^\s*[a-z0-9_-]{1,100}\s*$"))]
    name: Option<String>,
    #[schemars(length(max = 255))]
    display_name: Option<String>,
    #[schemars(length(max = 512))]
    description: Option<String>,
    channel_type: Option<ChannelWord>,
    /// May be absent, but not `null`.
    #[schemars(default)]
    upstreams: Vec<UpstreamInput>,
    sort: Option<i64>,
    #[schemars(length(max = 255))]
    test_model: Option<String>,
    #[schemars(length(max = 255))]
    validation_endpoint: Option<String>,
    /// `{}` clears.
    param_overrides: Option<AnyObject>,
    /// `{}` clears.
    model_redirect_rules: Option<Redirects>,
    model_redirect_strict: Option<bool>,
    /// Replaced as a whole; `{}` clears.
    config: Option<Config>,
    /// `[]` clears.
    header_rules: Option<Vec<HeaderRuleInput>>,
    proxy_keys: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename = "GroupsReorder")]
#[expect(dead_code, reason = "describes a body")]
struct Reorder {
    #[schemars(length(min = 1))]
    items: Vec<Position>,
}

#[derive(JsonSchema)]
#[schemars(rename = "GroupPosition")]
#[expect(dead_code, reason = "describes a body")]
struct Position {
    /// Each group once.
    id: i64,
    #[schemars(range(min = 0))]
    sort: i64,
}

#[derive(JsonSchema)]
#[schemars(rename = "GroupCopy")]
#[expect(dead_code, reason = "describes a body")]
struct Copy {
    /// `all` when absent or empty.
    copy_keys: Option<CopyKeys>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "describes a body")]
enum CopyKeys {
    None,
    ValidOnly,
    All,
    #[schemars(rename = "")]
    Default,
}

#[derive(JsonSchema)]
#[schemars(rename = "GroupCopied")]
#[expect(dead_code, reason = "describes an answer")]
struct Copied {
    group: GroupBody<'static>,
    /// The task that copies the keys; `null` when none were asked for.
    key_import: Option<KeyImport>,
}

/// Whether the task that copies keys was started.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct KeyImport {
    is_started: bool,
    /// Keys to copy, when it was.
    total: Option<u64>,
    /// Why it was not, as a code.
    code: Option<String>,
    /// Why it was not, in words.
    error: Option<String>,
}

/// A member of an aggregate group.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct SubGroup {
    group: MemberGroup,
    weight: u32,
    total_keys: i64,
    active_keys: i64,
    /// All that are not active.
    invalid_keys: i64,
}

/// A group without its proxy keys.
struct MemberGroup;

impl JsonSchema for MemberGroup {
    fn schema_name() -> Cow<'static, str> {
        "MemberGroup".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = GroupBody::json_schema(generator);
        schema.insert("description".to_owned(), json!("A group without its proxy keys; its endpoint is empty."));
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.shift_remove("proxy_keys");
        }
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.retain(|name| name != "proxy_keys");
        }
        schema
    }
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct SubGroupsAdd {
    #[schemars(length(min = 1))]
    sub_groups: Vec<SubGroupAdd>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct SubGroupAdd {
    /// A standard group of the same channel and validation endpoint.
    group_id: i64,
    /// Share of the traffic; 0, the default, = a member that is switched off.
    #[schemars(range(min = 0, max = 1000))]
    weight: Option<i64>,
}

#[derive(JsonSchema)]
#[schemars(rename = "SubGroupWeight")]
#[expect(dead_code, reason = "describes a body")]
struct Weight {
    #[schemars(range(min = 0, max = 1000))]
    weight: i64,
}

#[derive(JsonSchema)]
#[schemars(rename = "ParentGroup")]
#[expect(dead_code, reason = "describes an answer")]
struct Parent {
    group_id: i64,
    name: String,
    display_name: String,
    weight: u32,
}
