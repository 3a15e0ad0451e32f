//! Documents made from the declarations; a test compares them with the files of the repository.

use std::{fmt::Write, fs, io, path::Path};

use gpt_load_schema::settings::{Category, DYNAMIC, Declaration};

use super::{
    table::VARIABLES,
    variable::{Secrecy, Section, Unit, Variable},
};

/// The generated files: path in the repository and text.
pub fn files() -> [(&'static str, String); 3] {
    [
        (".env.example", render_env_example()),
        ("gpt-load.toml.example", render_toml_example()),
        ("docs/CONFIGURATION.md", render_configuration()),
    ]
}

/// Writes the generated files under `root`.
///
/// # Errors
/// A file or its folder cannot be written.
pub fn write(root: &Path) -> io::Result<()> {
    for (path, text) in files() {
        let path = root.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)?;
    }
    Ok(())
}

/// `.env.example`: every variable, commented out, with its default.
pub fn render_env_example() -> String {
    let head = "# Configuration of GPT-Load. Copy to .env and take the # away from what shall differ from the default.\n\
                # The process environment rules over this file, this file over gpt-load.toml.\n\
                # A value with spaces, quotes or $ stands between single quotes.\n";
    example(head, |name, default| format!("{name}={default}"))
}

/// `gpt-load.toml.example`: the same as TOML.
pub fn render_toml_example() -> String {
    let head = "# Configuration of GPT-Load. Copy to gpt-load.toml and take the # away from what shall differ from the default.\n\
                # The process environment and .env rule over this file. Lists may be written as arrays of texts.\n";
    example(head, |name, default| {
        let bare = default.parse::<u64>().is_ok() || matches!(default, "true" | "false");
        let quote = if bare { "" } else { "\"" };
        format!("{} = {quote}{default}{quote}", name.to_ascii_lowercase())
    })
}

fn example(head: &str, assignment: impl Fn(&str, &str) -> String) -> String {
    let mut text = head.to_owned();
    for section in Section::ALL {
        let _ = write!(text, "\n# --- {} ---\n", section.title());
        for variable in VARIABLES.iter().filter(|variable| variable.section == section) {
            comment(&mut text, &meaning(variable.description.en, variable.planned), &rules(variable));
            let _ = writeln!(text, "#{}", assignment(variable.name, &plain_default(variable)));
        }
    }
    text.push_str("\n# --- Initial values of settings; one saved in the settings or in a group rules over them ---\n");
    for declaration in DYNAMIC {
        let description = meaning(declaration.description.en, declaration.planned);
        comment(&mut text, &description, &setting_rules(declaration));
        let _ = writeln!(text, "#{}", assignment(&declaration.environment(), declaration.default));
    }
    text
}

fn comment(text: &mut String, description: &str, rules: &str) {
    let rules = if rules.is_empty() { String::new() } else { format!(" ({rules})") };
    let _ = writeln!(text, "\n# {description}{rules}");
}

/// The default as a person would write it; empty when it depends on the machine.
fn plain_default(variable: &Variable) -> String {
    match variable.default {
        "{cores}" | "{hostname}" | "{keys_file}" => String::new(),
        default => default.replace("{data_dir}", "./data"),
    }
}

/// Values, range and unit in a few words.
fn rules(variable: &Variable) -> String {
    let range = (variable.min, variable.max) != (Variable::BLANK.min, Variable::BLANK.max);
    let unit = variable.unit.as_str();
    let bounds = match variable.max {
        u64::MAX => format!("{} or more", variable.min),
        max => format!("{}–{max}", variable.min),
    };
    match (variable.values, range) {
        ([], true) => with_unit(&bounds, unit),
        ([], false) => unit.to_owned(),
        (values, _) => values.join(", "),
    }
}

fn setting_rules(declaration: &Declaration) -> String {
    let bounds = match (declaration.min, declaration.max) {
        (Some(min), Some(max)) => format!("{min}–{max}"),
        (Some(min), None) => format!("{min} or more"),
        _ => declaration.values.join(", "),
    };
    with_unit(&bounds, declaration.unit)
}

fn with_unit(bounds: &str, unit: &str) -> String {
    format!("{bounds} {unit}").trim().to_owned()
}

/// What a setting does, and whether it does so already.
fn meaning(description: &str, planned: bool) -> String {
    let note = if planned { " Accepted, without effect in this version." } else { "" };
    format!("{description}{note}")
}

/// `docs/CONFIGURATION.md`: how the sources play together, and a table per section.
pub fn render_configuration() -> String {
    let mut text = INTRODUCTION.to_owned();
    for section in Section::ALL {
        let _ = write!(text, "\n### {}\n\n", section.title());
        text.push_str("| variable | default | allowed | live | meaning |\n| --- | --- | --- | --- | --- |\n");
        for variable in VARIABLES.iter().filter(|variable| variable.section == section) {
            let default = default_cell(variable);
            let live = if variable.hot { "yes" } else { "" };
            let meaning = meaning(variable.description.en, variable.planned);
            let _ = writeln!(text, "| `{}` | {default} | {} | {live} | {meaning} |", variable.name, rules(variable));
        }
    }
    text.push_str(SETTINGS);
    for category in Category::ALL {
        let _ = write!(text, "\n### {}\n\n", category.name().en);
        text.push_str(
            "| setting | type | default | allowed | group | meaning |\n| --- | --- | --- | --- | --- | --- |\n",
        );
        for declaration in DYNAMIC.iter().filter(|declaration| declaration.category == category) {
            let (kind, allowed) = (declaration.kind.as_str(), setting_rules(declaration));
            let default = code(declaration.default);
            let group = if declaration.group_override { "yes" } else { "" };
            let description = meaning(declaration.description.en, declaration.planned);
            let meaning = format!("{}. {description}", declaration.name.en);
            let _ = writeln!(text, "| `{}` | {kind} | {default} | {allowed} | {group} | {meaning} |", declaration.key);
        }
    }
    text.push_str(FORMER_NAMES);
    for declaration in DYNAMIC {
        for former in declaration.former {
            let _ = writeln!(text, "| `{former}` | initial value of the setting `{}` |", declaration.key);
        }
    }
    text
}

fn default_cell(variable: &Variable) -> String {
    match (variable.default, variable.secrecy, variable.unit) {
        ("{cores}", ..) => "number of cores".to_owned(),
        ("{hostname}", ..) => "host name".to_owned(),
        ("{keys_file}", ..) => "`keys.txt` if it exists".to_owned(),
        ("", Secrecy::Secret | Secrecy::Credentials, _) => "–".to_owned(),
        (default, _, Unit::None | Unit::Seconds | Unit::Bytes) => code(&default.replace("{data_dir}", "DATA_DIR")),
    }
}

fn code(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { format!("`{text}`") }
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from the declarations by `cargo run -- config --write-docs`; do not edit. -->

GPT-Load starts without any configuration. What shall differ from the defaults comes, in this order, from

1. the process environment,
2. `.env` in the working directory,
3. `gpt-load.toml` in the working directory (the names in small letters, all at the top level),
4. the default.

An empty value counts as not set. A value that cannot be used stops the start; all such values are named at once, with
the value, the rule and the place. Unknown names in `gpt-load.toml` are refused, in the environment and in `.env` they
are ignored. `gpt-load config` prints every effective value with its origin, secrets masked.

Both files are watched. A change of a variable marked *live* works at once; of the others the log says by name that they
need a restart. A file that cannot be used changes nothing.

A value that is *accepted, without effect in this version* is checked and, for settings, kept; the log says at the start
that it was set for nothing yet.

Switches are `true`, `1`, `yes`, `on` or `false`, `0`, `no`, `off` in any case. Lists are separated by commas. Sizes are
plain bytes or `16MiB`, `1GiB` and the like.

## Variables
";

const SETTINGS: &str = "
## Settings

Settings live in the database, are changed in the UI or by `PUT /api/settings`, and work at once. A variable with the
setting's name in capitals (or its name in `gpt-load.toml`) gives the initial value, which rules until one is saved.
Groups may override those marked *group*.
";

const FORMER_NAMES: &str = "
## Former names

| name | meaning |
| --- | --- |
| `REQUEST_TIMEOUT` of 1000 or more | milliseconds; initial value of the setting `request_timeout` |
| `http_proxy`, `https_proxy`, `all_proxy`, `no_proxy` | the same in capitals |
";
