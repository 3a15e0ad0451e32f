//! Dynamic settings as the actors ask for them.

use std::collections::BTreeMap;

use gpt_load_actors::routing::SettingsSource;
use gpt_load_schema::{group::Group, settings::Settings};

use super::reload::SharedConfig;

/// Stored settings over the initial values of the configuration over defaults.
#[derive(Clone, Debug)]
pub struct ConfiguredSettings {
    config: SharedConfig,
}

impl ConfiguredSettings {
    /// Takes initial values from `config`, as it is at each call.
    pub fn new(config: SharedConfig) -> Self {
        Self { config }
    }
}

impl SettingsSource for ConfiguredSettings {
    fn system(&self, rows: &BTreeMap<String, String>) -> Settings {
        let (settings, problems) = Settings::from_rows(&self.initial_under(rows));
        for problem in problems {
            tracing::warn!(setting = problem.key, "a stored setting cannot be used, its default is: {problem}");
        }
        settings
    }

    fn effective(&self, system: &Settings, group: &Group) -> Settings {
        system.with_overrides(group.definition.config.as_ref())
    }
}

impl ConfiguredSettings {
    fn initial_under(&self, rows: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut merged = self.config.load().initial.clone();
        merged.extend(rows.iter().map(|(key, value)| (key.clone(), value.clone())));
        merged
    }
}
