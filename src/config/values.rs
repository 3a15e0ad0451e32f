//! The merged layers: one text per setting, with its place.

use std::collections::BTreeMap;

use gpt_load_schema::settings::{DYNAMIC, Language, check_text};
use serde_json::{Value, json};

use super::{
    error::ConfigError,
    parse::FromText,
    source::{DEFAULT, Layer, TOML_FILE},
    table::{VARIABLES, variable},
    variable::Variable,
};

/// One text per setting, with its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<String, Found>);

#[derive(Clone, Debug)]
struct Found {
    text: String,
    place: String,
}

impl Values {
    /// Merges `layers`, later over earlier.
    pub(super) fn merge(layers: impl IntoIterator<Item = Layer>) -> Result<Self, config::ConfigError> {
        let builder = layers.into_iter().fold(config::Config::builder(), |builder, layer| builder.add_source(layer));
        let merged = builder.build()?.cache.into_table()?;
        let found = |(key, value): (String, config::Value)| {
            let place = value.origin().unwrap_or(DEFAULT).to_owned();
            Ok((key, Found { text: value.into_string()?, place }))
        };
        merged.into_iter().map(found).collect::<Result<_, _>>().map(Self)
    }

    fn found(&self, key: &str) -> (&str, &str) {
        self.0.get(key).map_or(("", DEFAULT), |found| (&found.text, &found.place))
    }

    /// Where the value of the setting `key` stands, if somebody set it.
    pub(super) fn place(&self, key: &str) -> Option<&str> {
        Some(self.found(key).1).filter(|place| *place != DEFAULT)
    }

    /// Reads the variable `name`; adds to `problems` what is wrong with it.
    pub(super) fn take<T: FromText>(&self, name: &str, problems: &mut Vec<ConfigError>) -> Option<T> {
        let variable = variable(name)?;
        let (text, _) = self.found(&variable.key());
        let checked = if text.is_empty() { Ok(()) } else { (variable.check)(text).map_err(str::to_owned) };
        match checked.and_then(|()| T::from_text(text, variable)) {
            Ok(value) => Some(value),
            Err(rule) => {
                problems.push(self.error(name, rule));
                None
            }
        }
    }

    /// `rule` was broken by the value of the setting with the environment name `name`.
    pub(super) fn error(&self, name: &str, rule: impl Into<String>) -> ConfigError {
        let key = name.to_ascii_lowercase();
        let (text, place) = self.found(&key);
        let secret = || DYNAMIC.iter().any(|declaration| declaration.key == key && declaration.secret);
        let shown = match variable(name) {
            Some(variable) => variable.shown(text),
            None if secret() => "****".to_owned(),
            None => text.to_owned(),
        };
        let name = if place.starts_with(TOML_FILE) { key } else { name.to_owned() };
        ConfigError { name: Some(name), value: Some(shown), rule: rule.into(), place: place.to_owned() }
    }

    /// Initial values of dynamic settings, checked.
    pub(super) fn initial(&self, problems: &mut Vec<ConfigError>) -> BTreeMap<String, String> {
        let mut initial = BTreeMap::new();
        for declaration in DYNAMIC {
            let Some(found) = self.0.get(declaration.key) else { continue };
            match check_text(declaration, &found.text) {
                Ok(text) => drop(initial.insert(declaration.key.to_owned(), text)),
                Err(rule) => {
                    problems.push(self.error(&declaration.environment(), rule.sentence(Language::English)));
                }
            }
        }
        initial
    }

    /// Every static setting, and the dynamic ones that have an initial value.
    pub(super) fn effective(&self) -> Vec<Effective> {
        let of = |variable: &Variable| {
            let (text, place) = self.found(&variable.key());
            Effective { name: variable.name.to_owned(), value: variable.shown(text), origin: place.to_owned() }
        };
        let initial = DYNAMIC.iter().filter_map(|declaration| {
            let found = self.0.get(declaration.key)?;
            let value = if declaration.secret { "****".to_owned() } else { found.text.clone() };
            Some(Effective { name: declaration.environment(), value, origin: found.place.clone() })
        });
        VARIABLES.iter().map(of).chain(initial).collect()
    }
}

/// The value that rules, as it may be shown, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Environment name.
    pub name: String,
    /// Value, with what is secret masked.
    pub value: String,
    /// `environment`, `.env line 3`, `gpt-load.toml line 7` or `default`.
    pub origin: String,
}

/// One line per setting: name, value, origin.
pub fn effective_text(list: &[Effective]) -> String {
    let width = |of: fn(&Effective) -> &str| list.iter().map(|item| of(item).chars().count()).max().unwrap_or(0);
    let (name, value) = (width(|item| &item.name), width(|item| &item.value).min(48));
    let line = |item: &Effective| format!("{:name$}  {:value$}  {}\n", item.name, item.value, item.origin);
    list.iter().map(line).collect()
}

/// `{"NAME": {"value": …, "origin": …}, …}`.
pub fn effective_json(list: &[Effective]) -> Value {
    list.iter().map(|item| (item.name.clone(), json!({ "value": item.value, "origin": item.origin }))).collect()
}
