//! Operations on keys.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{
    operation::Operation,
    types::{Count, KeyStateWord, OutcomeClassWord, PlainText},
};
use crate::admin::{
    error::ErrorCode::{BadRequest, NotFound, ServiceUnavailable, ValidationFailed},
    key_detail::DetailBody,
    key_object::KeyBody,
    query::PageBody,
};

pub(super) fn operations() -> Vec<Operation> {
    let mut operations = of_one();
    operations.extend(of_many());
    operations
}

fn group_id() -> Value {
    json!({"type": "integer", "format": "int64", "minimum": 1})
}

fn of_one() -> Vec<Operation> {
    vec![
        Operation::new("get", "/api/keys", "listKeys", "One page of a group's keys, last used first")
            .required_query("group_id", group_id(), "The group.")
            .query("status", KeyStateWord::schema(), "Only keys in this state.")
            .query("key_value", json!({"type": "string"}), "Only this key.")
            .paged()
            .data::<PageBody<KeyBody<'_>>>()
            .errors(&[BadRequest, ValidationFailed, NotFound]),
        Operation::new("get", "/api/keys/{id}", "getKey", "One key, and why it is in its state")
            .data::<DetailBody<'_>>()
            .errors(&[NotFound]),
        Operation::new("patch", "/api/keys/{id}", "changeKey", "Changes state, weight, priority or upstream of a key")
            .text("At least one member is sent; nothing is changed when one is refused.")
            .body::<Change>(json!({"state": "active", "weight": 1}))
            .data::<DetailBody<'_>>()
            .errors(&[ValidationFailed, NotFound, ServiceUnavailable]),
        Operation::new("put", "/api/keys/{id}/notes", "setKeyNotes", "Replaces what a person noted about a key")
            .body::<Notes>(json!({"notes": "from the shared account"}))
            .errors(&[ValidationFailed, NotFound, ServiceUnavailable]),
        Operation::new("get", "/api/keys/export", "exportKeys", "A group's keys as a file, one per line, or as JSON")
            .required_query("group_id", group_id(), "The group.")
            .query("status", states_and_all(), "Only keys in this state; `all` is the default.")
            .query(
                "format",
                json!({"type": "string", "enum": ["txt", "json"], "default": "txt"}),
                "Form of the answer.",
            )
            .content::<PlainText>("text/plain")
            .content::<Export>("application/json")
            .errors(&[BadRequest, ValidationFailed, NotFound]),
    ]
}

fn states_and_all() -> Value {
    let mut schema = KeyStateWord::schema();
    if let Some(words) = schema["enum"].as_array_mut() {
        words.insert(0, json!("all"));
    }
    schema
}

fn of_many() -> Vec<Operation> {
    let post = |path, id, summary| Operation::new("post", path, id, summary);
    let named = |path, id, summary| {
        post(path, id, summary)
            .text(
                "Exactly one of `keys_text` (split at commas, semicolons and white space, or a JSON array), `keys` and \
                 `key_values` is sent, with 1 to 5000 keys.",
            )
            .errors(&[ValidationFailed, NotFound, ServiceUnavailable])
    };
    let whole = |path, id, summary| {
        post(path, id, summary).body::<OfGroup>(json!({"group_id": 1})).errors(&[NotFound, ServiceUnavailable])
    };
    let example = || json!({"group_id": 1, "keys": ["sk-one", "sk-two"]});
    vec![
        named("/api/keys/add-multiple", "addKeys", "Adds keys")
            .body::<KeysAdd>(example())
            .data::<Added>()
            .errors(&[BadRequest]),
        named("/api/keys/delete-multiple", "deleteKeys", "Deletes keys").body::<KeyList>(example()).data::<Deleted>(),
        named("/api/keys/restore-multiple", "restoreKeys", "Makes invalid keys active again")
            .body::<KeyList>(example())
            .data::<Restored>(),
        named("/api/keys/test-multiple", "testKeys", "Asks the provider about keys")
            .body::<KeysTest>(example())
            .data::<Tested>(),
        whole(
            "/api/keys/restore-all-invalid",
            "restoreAllInvalidKeys",
            "Makes every invalid key of a group active again",
        ),
        whole("/api/keys/clear-all-invalid", "clearAllInvalidKeys", "Deletes every invalid key of a group"),
        whole("/api/keys/clear-all", "clearAllKeys", "Deletes every key of a group"),
    ]
}

#[derive(JsonSchema)]
#[schemars(rename = "KeyChange")]
#[expect(dead_code, reason = "describes a body")]
struct Change {
    /// `degraded` switches a disabled key on again, on probation.
    state: Option<WantedState>,
    /// The same as `state`, which comes first.
    status: Option<WantedState>,
    #[schemars(range(min = 1, max = 100))]
    weight: Option<i64>,
    /// Lower serves first.
    #[schemars(range(min = -1000, max = 1000))]
    priority: Option<i64>,
    /// URL of the group's upstream that this key belongs to; `null` lets it go.
    upstream: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
#[expect(dead_code, reason = "describes a body")]
enum WantedState {
    Active,
    Disabled,
    Invalid,
    Degraded,
}

#[derive(JsonSchema)]
#[schemars(rename = "KeyNotes")]
#[expect(dead_code, reason = "describes a body")]
struct Notes {
    /// Absent = nothing.
    #[schemars(length(max = 255))]
    notes: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename = "KeyExport")]
#[expect(dead_code, reason = "describes an answer")]
struct Export {
    group_id: i64,
    group_name: String,
    status: String,
    keys: Vec<String>,
    total: Count,
}

#[derive(JsonSchema)]
#[schemars(rename = "KeyList")]
#[expect(dead_code, reason = "describes a body")]
pub(super) struct KeyList {
    #[schemars(range(min = 1))]
    group_id: i64,
    keys_text: Option<String>,
    keys: Option<Vec<String>>,
    key_values: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct KeysAdd {
    #[schemars(flatten)]
    list: KeyList,
    /// What the keys begin as; absent = as the setting `new_key_state` says.
    new_key_state: Option<FirstState>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
#[expect(dead_code, reason = "describes a body")]
enum FirstState {
    Pending,
    Active,
    #[schemars(rename = "")]
    Default,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes a body")]
struct KeysTest {
    #[schemars(flatten)]
    list: KeyList,
    /// Whether what is found changes the keys; `true` when absent.
    update_state: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename = "KeysOfGroup")]
#[expect(dead_code, reason = "describes a body")]
struct OfGroup {
    #[schemars(range(min = 1))]
    group_id: i64,
}

#[derive(JsonSchema)]
#[schemars(rename = "KeysAdded")]
#[expect(dead_code, reason = "describes an answer")]
struct Added {
    added_count: Count,
    ignored_count: Count,
    total_in_group: Count,
}

#[derive(JsonSchema)]
#[schemars(rename = "KeysDeleted")]
#[expect(dead_code, reason = "describes an answer")]
struct Deleted {
    deleted_count: Count,
    ignored_count: Count,
    total_in_group: Count,
}

#[derive(JsonSchema)]
#[schemars(rename = "KeysRestored")]
#[expect(dead_code, reason = "describes an answer")]
struct Restored {
    restored_count: Count,
    ignored_count: Count,
    total_in_group: Count,
}

#[derive(JsonSchema)]
#[schemars(rename = "KeysTested")]
#[expect(dead_code, reason = "describes an answer")]
struct Tested {
    /// In the order of the request.
    results: Vec<TestedKey>,
    /// In ms.
    total_duration: Count,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes an answer")]
struct TestedKey {
    key_value: String,
    is_valid: bool,
    /// Absent when the provider was not asked.
    #[schemars(skip_serializing_if = "Option::is_none")]
    class: Option<OutcomeClassWord>,
    /// Why it is not valid.
    #[schemars(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What the provider refused though the key is valid.
    #[schemars(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}
