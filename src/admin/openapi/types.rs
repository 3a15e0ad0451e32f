//! Types that stand for others in the document: words of enums, times, texts that every operation shares.

use std::borrow::Cow;

use gpt_load_actors::{pool::Suspect, tasks::TaskKind};
use gpt_load_schema::{
    channel::Channel,
    group::{GroupType, HeaderAction},
    key::{KeySource, KeyState},
    log::{OutcomeClass, RequestType},
    policy::{Action, ConditionType, FilterType, LimitScope, Operator, PolicyType},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Declares a type that stands for texts out of a list.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $words:expr;)+) => {$(
        $(#[$doc])*
        pub(in crate::admin) struct $name;

        impl $name {
            /// The schema itself, for parameters.
            #[allow(dead_code, reason = "few words are parameters")]
            pub(super) fn schema() -> serde_json::Value {
                let words: Vec<&str> = $words.into_iter().collect();
                serde_json::json!({"type": "string", "enum": words})
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).trim_end_matches("Word").into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let words: Vec<&str> = $words.into_iter().collect();
                json_schema!({"type": "string", "enum": words})
            }
        }
    )+};
}

words! {
    /// `standard`, `aggregate`.
    GroupTypeWord = [GroupType::Standard, GroupType::Aggregate].map(GroupType::as_str);
    /// Formats of providers.
    ChannelWord = Channel::ALL.map(Channel::as_str);
    /// `set`, `remove`.
    HeaderActionWord = [HeaderAction::Set, HeaderAction::Remove].map(header_action);
    /// States of keys.
    KeyStateWord = KeyState::ALL.map(KeyState::as_str);
    /// Who put a key into its group.
    KeySourceWord = [KeySource::Manual, KeySource::File].map(key_source);
    /// Classes of outcomes.
    OutcomeClassWord = OutcomeClass::ALL.map(OutcomeClass::as_str);
    /// `retry`, `final`.
    RequestTypeWord = [RequestType::Retry, RequestType::Final].map(RequestType::as_str);
    /// Kinds of long tasks.
    TaskTypeWord = [TaskKind::KeyValidation, TaskKind::KeyImport, TaskKind::KeyDelete].map(TaskKind::as_str);
    /// What may be behind keys that fail alike.
    SuspectWord = [Suspect::Upstream, Suspect::Egress, Suspect::Account].map(Suspect::as_str);
    /// What policies are about.
    PolicyTypeWord = PolicyType::ALL.iter().map(|word| word.as_str());
    /// What rules do.
    PolicyActionWord = Action::ALL.iter().map(|word| word.as_str());
    /// What conditions look at.
    ConditionTypeWord = ConditionType::ALL.iter().map(|word| word.as_str());
    /// How conditions compare.
    OperatorWord = Operator::ALL.iter().map(|word| word.as_str());
    /// What patterns of a model filter name.
    FilterTypeWord = FilterType::ALL.iter().map(|word| word.as_str());
    /// What a rate limit counts together.
    LimitScopeWord = LimitScope::ALL.iter().map(|word| word.as_str());
}

const fn header_action(action: HeaderAction) -> &'static str {
    match action {
        HeaderAction::Set => "set",
        HeaderAction::Remove => "remove",
    }
}

const fn key_source(source: KeySource) -> &'static str {
    match source {
        KeySource::Manual => "manual",
        KeySource::File => "file",
    }
}

/// Declares a type that stands for a schema written out, without a name of its own in the document.
macro_rules! inlined {
    ($($(#[$doc:meta])* $name:ident = $schema:tt;)+) => {$(
        $(#[$doc])*
        pub(in crate::admin) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+};
}

inlined! {
    /// A moment in UTC.
    Time = {"type": "string", "format": "date-time"};
    /// Any JSON object.
    AnyObject = {"type": "object", "additionalProperties": true};
    /// A whole number, yes or no, or a text.
    SettingValue = {"type": ["integer", "boolean", "string"]};
    /// A share, 0–1.
    Share = {"type": "number", "minimum": 0, "maximum": 1};
    /// A count.
    Count = {"type": "integer", "format": "int64", "minimum": 0};
    /// Text without a structure.
    PlainText = {"type": "string"};
    /// A text, or a number that stands for its text.
    TextOrNumber = {"type": ["string", "number"]};
    /// Any number.
    Number = {"type": "number"};
}
