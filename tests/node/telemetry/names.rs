//! Dashboards and alert rules ask for metrics that there are.

use std::path::{Path, PathBuf};

use gpt_load::telemetry::metrics::declared;

/// Folders whose files name metrics.
const FOLDERS: [&str; 2] = ["helm/gpt-load/dashboards", "helm/gpt-load/rules"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Every word of `text` that looks like a metric of the node.
fn named(text: &str) -> Vec<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'));
    words.filter(|word| word.starts_with("gpt_load_") || word.starts_with("process_")).collect()
}

#[test]
fn dashboards_and_rules_name_real_metrics() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut problems = Vec::new();
    for folder in FOLDERS.map(|folder| root.join(folder)) {
        for file in files(&folder) {
            let text = std::fs::read_to_string(&file).unwrap();
            let names = named(&text);
            if names.is_empty() {
                problems.push(format!("{} names no metric", file.display()));
            }
            let unknown = names.into_iter().filter(|name| !declared::is_series(name));
            problems.extend(unknown.map(|name| format!("{}: there is no {name}", file.display())));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn words_are_told_from_one_another() {
    let text = r#"{"expr": "sum by (group) (rate(gpt_load_requests_total{class!=\"success\"}[5m])) / gpt_load_keys"}"#;
    assert_eq!(named(text), ["gpt_load_requests_total", "gpt_load_keys"]);
}
