//! `gpt-load config`: what the node would run with.

use std::path::Path;

use serde_json::json;

use super::{args::ConfigArgs, exit::CliError, report::Report};
use crate::{
    admin::openapi,
    config::{Config, Loaded, docs, effective_json, effective_text, process_environment},
    telemetry::metrics,
};

/// Shows the effective configuration, or writes the documents made from the declarations.
///
/// # Errors
/// When the configuration cannot be used, or a document cannot be written.
pub(super) fn run(args: &ConfigArgs) -> Result<Report, CliError> {
    if args.write_docs {
        return write_docs(Path::new("."));
    }
    let loaded =
        Config::load(Path::new("."), process_environment()).map_err(|errors| CliError::usage(errors.to_string()))?;
    Ok(show(&loaded))
}

fn show(loaded: &Loaded) -> Report {
    let mut text = effective_text(&loaded.effective);
    for (word, lines) in [("warning", &loaded.warnings), ("note", &loaded.notes)] {
        for line in lines {
            text.push_str(&format!("{word}: {line}\n"));
        }
    }
    let json = json!({
        "settings": effective_json(&loaded.effective),
        "warnings": loaded.warnings,
        "notes": loaded.notes,
    });
    Report::success(text.trim_end(), json)
}

fn write_docs(root: &Path) -> Result<Report, CliError> {
    if !root.join("Cargo.toml").is_file() {
        return Err(
            CliError::usage("this folder is no checkout of the source").advise("Run it at the root of the repository.")
        );
    }
    let failed = |error| CliError::failure(format!("a document cannot be written: {error}"));
    docs::write(root).map_err(failed)?;
    std::fs::write(root.join(openapi::FILE), openapi::text()).map_err(failed)?;
    std::fs::write(root.join(metrics::docs::FILE), metrics::docs::text()).map_err(failed)?;
    let configuration = docs::files();
    let paths: Vec<&str> =
        configuration.iter().map(|(path, _)| *path).chain([openapi::FILE, metrics::docs::FILE]).collect();
    Ok(Report::success(format!("written: {}", paths.join(", ")), json!({ "written": paths })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn values_come_with_their_origin_and_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), "AUTH_KEY=sk-0123456789abcdef\n").unwrap();
        let environment = [("PORT".to_owned(), "4000".to_owned())];
        let report = show(&Config::load(folder.path(), environment.into_iter()).unwrap());
        let settings = &report.json["settings"];
        assert_eq!(settings["PORT"], json!({"value": "4000", "origin": "environment"}));
        assert_eq!(settings["AUTH_KEY"], json!({"value": "****", "origin": ".env line 1"}));
        assert!(!report.text.contains("0123456789"), "{}", report.text);
        assert_eq!(report.exit, Exit::Success);
    }

    #[test]
    fn documents_are_written_into_a_checkout_only() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write_docs(folder.path()).unwrap_err().exit, Exit::Usage);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert_eq!(write_docs(folder.path()).unwrap().exit, Exit::Success);
        assert!(folder.path().join(".env.example").is_file());
        assert!(folder.path().join(openapi::FILE).is_file());
    }
}
