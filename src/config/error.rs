//! What is wrong with a configuration.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting, as its source writes it; `None` when a source as a whole cannot be read.
    pub name: Option<String>,
    /// The value, with what is secret masked.
    pub value: Option<String>,
    /// What it must be, or what to do; the end of a sentence that begins with the name.
    pub rule: String,
    /// Where the value stands: `environment`, `.env line 3`, `gpt-load.toml line 7`, `default`.
    pub place: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        match (&self.name, &self.value) {
            (Some(name), Some(value)) => write!(f, "{name} = {value:?} ")?,
            (Some(name), None) => write!(f, "{name} ")?,
            (None, _) => {}
        }
        f.write_str(&self.rule)
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}
