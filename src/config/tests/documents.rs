use std::{collections::HashSet, fs, path::Path};

use gpt_load_schema::settings::DYNAMIC;

use super::{folder, load_in};
use crate::config::{VARIABLES, docs};

#[test]
fn the_generated_files_are_those_of_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in docs::files() {
        let stored = fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(stored == text, "{path} is not what the declarations say; run `cargo run -- config --write-docs`");
    }
}

#[test]
fn every_name_exists_once() {
    let variables = VARIABLES.iter().flat_map(|v| v.former.iter().map(|n| (*n).to_owned()).chain([v.name.to_owned()]));
    let settings = DYNAMIC.iter().flat_map(|d| d.former.iter().map(|n| (*n).to_owned()).chain([d.environment()]));
    let names: Vec<_> = variables.chain(settings).collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
}

/// What a user gets who takes the comment signs away.
#[test]
fn the_examples_say_the_defaults() {
    let uncommented = |text: String| -> String {
        let assignments = text.lines().filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')));
        assignments.map(|line| format!("{line}\n")).collect()
    };
    let plain = load_in(folder(&[]).path(), &[]).expect("good").config;
    for (name, text) in [(".env", docs::render_env_example()), ("gpt-load.toml", docs::render_toml_example())] {
        let text = uncommented(text);
        assert_eq!(text.lines().count(), VARIABLES.len() + DYNAMIC.len(), "{text}");
        let mut config = load_in(folder(&[(name, &text)]).path(), &[]).expect("the example is good").config;
        assert!(config.initial.contains_key("max_retries"));
        config.initial.clear();
        assert!(config == plain, "{name} changes a default");
    }
}
