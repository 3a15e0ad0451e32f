//! Loads the configuration of a node.

use std::{fmt, fs, path::Path, thread::available_parallelism};

use gpt_load_schema::{secret::Secret, settings::DYNAMIC, store::Place};

use super::{
    error::{ConfigError, ConfigErrors},
    relations,
    source::{self, DEFAULT, ENV_FILE, Layer, TOML_FILE},
    table::{Config, VARIABLES},
    values::{Effective, Values},
};

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The typed values.
    pub config: Config,
    /// The same for people, with origins, secrets masked.
    pub effective: Vec<Effective>,
    /// What deserves attention although it works.
    pub warnings: Vec<String>,
    /// What was understood, for people who come from an older generation.
    pub notes: Vec<String>,
}

impl Config {
    /// Where the data is.
    pub fn database(&self) -> Place<'_> {
        Place {
            dsn: &self.database_dsn,
            read_dsn: self.database_read_dsn.as_ref().map(Secret::expose),
            extra_ca_file: self.extra_ca_file.as_deref(),
            time_zone: self.tz.as_deref(),
        }
    }

    /// Reads environment, `.env` and `gpt-load.toml` of `dir`; `environment` is the process environment
    /// ([`process_environment`]) or what a test gives.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(dir: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Loaded, ConfigErrors> {
        let mut problems = Vec::new();
        let mut notes = Vec::new();
        let environment: Vec<_> = environment.collect();
        let host_name = host_name(&environment);

        let toml = source::read(dir, TOML_FILE, &mut problems);
        let toml = toml.map(|text| source::toml_file(&text, &mut problems)).unwrap_or_default();
        let env_file = source::read(dir, ENV_FILE, &mut problems);
        let mut env_file = env_file.map(|text| source::env_file(&text, &mut problems)).unwrap_or_default();
        let mut environment = source::environment(environment.into_iter());
        for layer in [&mut env_file, &mut environment] {
            layer.read_former_milliseconds(&mut notes);
        }

        let data_dir = [&environment, &env_file, &toml].iter().find_map(|layer| layer.text("data_dir"));
        let defaults = defaults(dir, data_dir.map(str::to_owned), &host_name);
        let values = Values::merge([defaults, toml, env_file, environment]).map_err(|error| {
            let rule = format!("cannot be merged: {error}");
            ConfigErrors(vec![ConfigError { name: None, value: None, rule, place: "configuration".to_owned() }])
        })?;

        let mut warnings = Vec::new();
        let config = Self::read(&values, &mut problems);
        let config = config.map(|config| relations::settle(config, &values, &mut problems, &mut warnings));
        match config.filter(|_| problems.is_empty()) {
            Some(config) => {
                notes.extend(initial_notes(&values));
                notes.extend(planned_notes(&values));
                Ok(Loaded { config, effective: values.effective(), warnings, notes })
            }
            None => Err(ConfigErrors(problems)),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, data_dir, .. } = self;
        let mut shown = f.debug_struct("Config");
        shown.field("host", host).field("port", port).field("data_dir", data_dir).finish_non_exhaustive()
    }
}

/// The environment of this process, without what is not Unicode.
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn defaults(dir: &Path, data_dir: Option<String>, host_name: &str) -> Layer {
    let data_dir = data_dir.unwrap_or_else(|| "./data".to_owned());
    let cores = available_parallelism().map_or(1, usize::from).to_string();
    let keys_file = Some(dir.join("keys.txt")).filter(|path| path.is_file());
    let keys_file = keys_file.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let mut layer = Layer::default();
    for variable in VARIABLES {
        let text = variable
            .default
            .replace("{data_dir}", data_dir.trim_end_matches('/'))
            .replace("{cores}", &cores)
            .replace("{hostname}", host_name)
            .replace("{keys_file}", &keys_file);
        layer.put(variable.name, &text, DEFAULT);
    }
    layer
}

fn host_name(environment: &[(String, String)]) -> String {
    let file = |path| fs::read_to_string(path).ok();
    let variable = || environment.iter().find(|(name, _)| name == "HOSTNAME").map(|(_, value)| value.clone());
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .into_iter()
        .find_map(file)
        .or_else(variable)
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "gpt-load".to_owned())
}

/// Tells where the values that became settings went.
fn initial_notes(values: &Values) -> Vec<String> {
    let note = |(key, place): (&str, &str)| {
        format!("{place}: the value is the initial one of the setting {key}; one saved in the settings rules over it")
    };
    DYNAMIC.iter().filter(|d| !d.planned).filter_map(|d| Some((d.key, values.place(d.key)?))).map(note).collect()
}

/// Names what somebody set and nothing heeds.
fn planned_notes(values: &Values) -> Vec<String> {
    let variables = VARIABLES.iter().filter(|variable| variable.planned).map(|variable| variable.name.to_owned());
    let settings =
        DYNAMIC.iter().filter(|declaration| declaration.planned).map(|declaration| declaration.environment());
    variables
        .chain(settings)
        .filter_map(|name| {
            let place = values.place(&name.to_ascii_lowercase())?;
            Some(format!("{place}: {name} is accepted, but has no effect in this version"))
        })
        .collect()
}
