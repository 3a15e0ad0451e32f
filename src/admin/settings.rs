//! `GET/PUT /api/settings` and `GET /api/groups/config-options`.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, web};
use gpt_load_actors::commands::Command;
use gpt_load_schema::settings::{self, Category, DYNAMIC, Declaration, Language, Problem, Rule, Settings};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    AdminState,
    body::JsonBody,
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode, FieldError},
    locale::{Text, language_of},
    messages,
    openapi::types::SettingValue,
};

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SettingCategory")]
pub(super) struct CategoryBody {
    category_name: &'static str,
    settings: Vec<SettingBody>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Setting")]
struct SettingBody {
    key: &'static str,
    name: &'static str,
    #[schemars(with = "SettingValue")]
    value: Value,
    default_value: &'static str,
    description: &'static str,
    category: &'static str,
    required: bool,
    #[serde(flatten)]
    form: FormBody,
}

// What a form has to know of a setting. No doc comment: it would describe whatever this is part of.
#[derive(JsonSchema, Serialize)]
struct FormBody {
    /// `int`, `bool`, `string`.
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_value: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_value: Option<i64>,
    /// The only values there are; absent when others are taken too.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    values: &'static [&'static str],
    /// `s`, `ms`, `min`, `days`, `%`; absent when there is none.
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: &'static str,
    /// Whether the value is or holds a secret, to be hidden on screens.
    is_secret: bool,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "GroupConfigOption")]
pub(super) struct OptionBody {
    key: &'static str,
    name: &'static str,
    description: &'static str,
    #[schemars(with = "SettingValue")]
    default_value: Value,
    #[serde(flatten)]
    form: FormBody,
}

/// Every setting with its value, by category.
pub(super) async fn all(state: web::Data<AdminState>, request: HttpRequest) -> ApiResult {
    let settings = state.system_settings().await?;
    let language = language_of(request.headers());
    let categories = Category::ALL.map(|category| CategoryBody {
        category_name: category.name().get(language),
        settings: DYNAMIC
            .iter()
            .filter(|declaration| declaration.category == category)
            .map(|declaration| setting_body(declaration, &settings, language))
            .collect(),
    });
    Success::data(&categories.as_slice())
}

/// Stores the settings of the body, all or none.
pub(super) async fn save(state: web::Data<AdminState>, caller: Caller, body: JsonBody) -> ApiResult {
    let mut rows = BTreeMap::new();
    let mut problems = Vec::new();
    for (key, value) in body.0.into_members() {
        match check(&key, &value) {
            Ok(text) => {
                rows.insert(key, Some(text));
            }
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(refusal(&problems));
    }
    if !rows.is_empty() {
        state.execute(&caller, Command::PutSettings(rows)).await?;
    }
    Ok(Success::message(messages::SETTINGS_SAVED))
}

/// What a group may override, with the system's values.
pub(super) async fn group_options(state: web::Data<AdminState>, request: HttpRequest) -> ApiResult {
    let settings = state.system_settings().await?;
    let language = language_of(request.headers());
    let options: Vec<_> = settings::overridable()
        .into_iter()
        .map(|declaration| OptionBody {
            key: declaration.key,
            name: declaration.name.get(language),
            description: declaration.description.get(language),
            default_value: settings.get(declaration.key).unwrap_or(Value::Null),
            form: form_body(declaration),
        })
        .collect();
    Success::data(&options)
}

fn setting_body(declaration: &Declaration, settings: &Settings, language: Language) -> SettingBody {
    SettingBody {
        key: declaration.key,
        name: declaration.name.get(language),
        value: settings.get(declaration.key).unwrap_or(Value::Null),
        default_value: declaration.default,
        description: declaration.description.get(language),
        category: declaration.category.name().get(language),
        required: declaration.required,
        form: form_body(declaration),
    }
}

fn form_body(declaration: &Declaration) -> FormBody {
    FormBody {
        kind: declaration.kind.as_str(),
        min_value: declaration.min,
        max_value: declaration.max,
        values: declaration.values,
        unit: declaration.unit,
        is_secret: declaration.secret,
    }
}

fn check(key: &str, value: &Value) -> Result<String, Problem> {
    let declaration = settings::declaration(key).ok_or_else(|| Problem::new(key, Rule::Unknown))?;
    settings::check(declaration, value)
}

/// One error that names every setting at fault; its text is that of the first.
fn refusal(problems: &[Problem]) -> ApiError {
    let details = problems.iter().map(|problem| FieldError { field: problem.key.clone(), text: Text::from(problem) });
    ApiError::fields(ErrorCode::ValidationFailed, details.collect())
}
