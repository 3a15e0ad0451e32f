//! Whole configurations: sources, precedence, errors, reload, documents.

mod documents;
mod loading;
mod refusing;
mod reloading;

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{Config, ConfigErrors, Loaded};

/// A working directory with the given files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn load_in(folder: &Path, environment: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    Config::load(folder, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// Loads from an environment alone.
fn load(environment: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    load_in(folder(&[]).path(), environment)
}

fn config(environment: &[(&str, &str)]) -> Config {
    load(environment).expect("a good configuration").config
}

/// The lines of the refusal, without its heading.
fn refusal(result: Result<Loaded, ConfigErrors>) -> Vec<String> {
    let errors = result.expect_err("a refusal");
    errors.0.iter().map(ToString::to_string).collect()
}
