//! Changes of the configuration while the node runs.

use std::{fmt, path::PathBuf, sync::Arc};

use arc_swap::{ArcSwap, Guard};

use super::{
    error::ConfigErrors,
    source::{ENV_FILE, TOML_FILE},
    table::{Config, variable},
    watch::{Watch, watch},
};

/// The configuration in force; cheap to clone, to read on every request, and to hold.
#[derive(Clone, Debug)]
pub struct SharedConfig(Arc<ArcSwap<Config>>);

impl SharedConfig {
    /// `config` is in force.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(config)))
    }

    /// The configuration in force; not to be held across an await.
    pub fn load(&self) -> Guard<Arc<Config>> {
        self.0.load()
    }

    /// The configuration in force, to keep.
    pub fn load_full(&self) -> Arc<Config> {
        self.0.load_full()
    }
}

/// What a reload found different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Variables whose new value is in force.
    pub applied: Vec<&'static str>,
    /// Variables whose new value needs a restart.
    pub restart: Vec<&'static str>,
    /// Whether initial values of dynamic settings changed; they are in force after the actors' next reload.
    pub initial: bool,
}

impl Change {
    /// Notes that `name` changed and says whether its new value may come into force.
    pub(super) fn note(&mut self, name: &'static str) -> bool {
        let hot = variable(name).is_some_and(|variable| variable.hot);
        if hot { &mut self.applied } else { &mut self.restart }.push(name);
        hot
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.applied.is_empty() {
            parts.push(format!("in force: {}", self.applied.join(", ")));
        }
        if self.initial {
            parts.push("in force where nothing is stored: initial values of settings".to_owned());
        }
        if !self.restart.is_empty() {
            parts.push(format!("after a restart: {}", self.restart.join(", ")));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Reads the configuration again and brings into force what may change.
#[derive(Clone)]
pub struct Reloader {
    /// Working directory with `.env` and `gpt-load.toml`.
    pub dir: PathBuf,
    /// The process environment; it rules over the files and does not change.
    pub environment: Vec<(String, String)>,
    /// The configuration in force.
    pub shared: SharedConfig,
}

impl fmt::Debug for Reloader {
    /// Without the environment, which holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").field("dir", &self.dir).field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Reloader {
    /// Reads everything again.
    ///
    /// # Errors
    /// Everything that is wrong; nothing changes then.
    pub fn reload(&self) -> Result<Change, ConfigErrors> {
        let loaded = Config::load(&self.dir, self.environment.iter().cloned())?;
        let mut config = Config::clone(&self.shared.load());
        let change = config.adopt(loaded.config);
        self.shared.0.store(Arc::new(config));
        Ok(change)
    }

    /// Reloads whenever `.env` or `gpt-load.toml` changes, logs what came of it and calls `changed` when something came
    /// into force, until the result is dropped. `changed` runs on the watcher's thread.
    ///
    /// # Errors
    /// The operating system cannot watch the directory.
    pub fn watch(self, mut changed: impl FnMut(&Change) + Send + 'static) -> notify::Result<Watch> {
        let files = [self.dir.join(ENV_FILE), self.dir.join(TOML_FILE)];
        watch(&files, move || match self.reload() {
            Ok(change) if change.is_empty() => {}
            Ok(change) => {
                if change.restart.is_empty() {
                    tracing::info!("configuration changed; {change}");
                } else {
                    tracing::warn!("configuration changed; {change}");
                }
                if !change.applied.is_empty() || change.initial {
                    changed(&change);
                }
            }
            Err(errors) => tracing::warn!("the changed configuration is not used, the former stays in force: {errors}"),
        })
    }
}
