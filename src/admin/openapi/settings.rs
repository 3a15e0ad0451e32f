//! Operations on settings.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::operation::Operation;
use crate::admin::{
    error::ErrorCode::ValidationFailed,
    settings::{CategoryBody, OptionBody},
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("get", "/api/settings", "getSettings", "Every setting with its value, by category")
            .data::<Vec<CategoryBody>>(),
        Operation::new("put", "/api/settings", "saveSettings", "Stores settings, all or none")
            .text(
                "Settings that are not sent stay as they are. Names and values are checked; unknown names are refused.",
            )
            .body::<SettingsBody>(json!({"max_retries": 3, "app_url": "http://localhost:3001"}))
            .errors(&[ValidationFailed]),
        Operation::new("get", "/api/groups/config-options", "listGroupConfigOptions", "What a group may override")
            .text("`default_value` is what holds for all groups now; its JSON type is the type of the setting.")
            .data::<Vec<OptionBody>>(),
    ]
}

/// Every dynamic setting, each optional.
struct SettingsBody;

impl JsonSchema for SettingsBody {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SettingsUpdate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        use gpt_load_schema::settings::{DYNAMIC, Kind, Language};
        let property = |declaration: &gpt_load_schema::settings::Declaration| {
            let mut schema = match declaration.kind {
                Kind::Int => json!({"type": "integer", "format": "int64"}),
                Kind::Bool => json!({"type": "boolean"}),
                Kind::Text => json!({"type": "string"}),
            };
            if let Some(min) = declaration.min {
                schema["minimum"] = json!(min);
            }
            if let Some(max) = declaration.max {
                schema["maximum"] = json!(max);
            }
            if !declaration.values.is_empty() {
                schema["enum"] = json!(declaration.values);
            }
            if declaration.kind == Kind::Text && declaration.required {
                schema["minLength"] = json!(1);
            }
            schema["description"] = json!(declaration.description.get(Language::English));
            (declaration.key.to_owned(), schema)
        };
        let properties: Map<String, Value> = DYNAMIC.iter().map(property).collect();
        json_schema!({"type": "object", "properties": properties, "additionalProperties": false})
    }
}
