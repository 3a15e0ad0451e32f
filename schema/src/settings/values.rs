//! Settings from rows and overrides.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use super::{
    DYNAMIC, Settings,
    check::{Problem, check, check_text},
};

impl Settings {
    /// Reads stored rows. A missing row is the default; so is one with a value that cannot be used, which is reported.
    /// Rows of unknown settings are ignored.
    pub fn from_rows(rows: &BTreeMap<String, String>) -> (Self, Vec<Problem>) {
        let mut settings = Self::defaults();
        let mut problems = Vec::new();
        for declaration in DYNAMIC {
            let Some(text) = rows.get(declaration.key) else { continue };
            match check_text(declaration, text) {
                Ok(text) => settings.set(declaration.key, &text),
                Err(rule) => problems.push(Problem::new(declaration.key, rule)),
            }
        }
        (settings, problems)
    }

    /// These settings with a group's overrides. An override that cannot be used (only a database that another program
    /// wrote can hold one) is passed over.
    pub fn with_overrides(&self, config: Option<&Map<String, Value>>) -> Self {
        let mut settings = self.clone();
        for (key, value) in config.into_iter().flatten() {
            let declaration = super::declaration(key).filter(|declaration| declaration.group_override);
            if let Some(text) = declaration.and_then(|declaration| check(declaration, value).ok()) {
                settings.set(key, &text);
            }
        }
        settings
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_struct("Settings");
        for declaration in DYNAMIC {
            let shown = match self.get(declaration.key) {
                Some(Value::String(text)) if declaration.secret && !text.is_empty() => Value::from("****"),
                value => value.unwrap_or_default(),
            };
            list.field(declaration.key, &shown);
        }
        list.finish()
    }
}

/// A Rust type that holds the value of a setting.
pub(super) trait Held: Default {
    /// Reads a text that passed the check of its declaration.
    fn from_text(text: &str) -> Self;
    /// As JSON.
    fn to_json(&self) -> Value;
}

impl Held for u64 {
    fn from_text(text: &str) -> Self {
        text.parse().unwrap_or_default()
    }
    fn to_json(&self) -> Value {
        Value::from(*self)
    }
}

impl Held for bool {
    fn from_text(text: &str) -> Self {
        text == "true"
    }
    fn to_json(&self) -> Value {
        Value::from(*self)
    }
}

impl Held for String {
    fn from_text(text: &str) -> Self {
        text.to_owned()
    }
    fn to_json(&self) -> Value {
        Value::from(self.as_str())
    }
}
