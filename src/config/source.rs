//! The layers of the configuration: environment over `.env` over `gpt-load.toml` over defaults.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::Path,
    sync::LazyLock,
};

use config::{Map, Source, Value};
use gpt_load_schema::settings::DYNAMIC;
use toml::de::{DeTable, DeValue};

use super::{error::ConfigError, table::VARIABLES};

/// The file of variables in the working directory.
pub const ENV_FILE: &str = ".env";
/// The configuration file in the working directory.
pub const TOML_FILE: &str = "gpt-load.toml";
/// Place of a value that came from the process environment.
pub(super) const ENVIRONMENT: &str = "environment";
/// Place of a value that nobody set.
pub(super) const DEFAULT: &str = "default";

/// Texts of one source by key, each with its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer(BTreeMap<String, Entry>);

#[derive(Clone, Debug)]
struct Entry {
    text: String,
    place: String,
    former: bool,
}

impl Layer {
    /// Takes a value under `name` if the name is known and the value not empty; a current name rules over a former one.
    pub(super) fn put(&mut self, name: &str, text: &str, place: &str) {
        let Some(known) = NAMES.get(name).filter(|_| !text.trim().is_empty()) else { return };
        if known.former && self.0.get(&known.key).is_some_and(|entry| !entry.former) {
            return;
        }
        let place = if known.former { format!("{place} as {name}") } else { place.to_owned() };
        self.0.insert(known.key.clone(), Entry { text: text.trim().to_owned(), place, former: known.former });
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|entry| entry.text.as_str())
    }

    /// Reads a `REQUEST_TIMEOUT` of 1000 or more as milliseconds, as the first generation meant it, and says so.
    pub(super) fn read_former_milliseconds(&mut self, notes: &mut Vec<String>) {
        const KEY: &str = "request_timeout";
        let Some(entry) = self.0.get_mut(KEY) else { return };
        let Some(milliseconds) = entry.text.parse::<u64>().ok().filter(|number| *number >= 1_000) else { return };
        let seconds = milliseconds.div_ceil(1_000);
        notes.push(format!("REQUEST_TIMEOUT = {milliseconds} ({}) is read as milliseconds: {seconds} s", entry.place));
        entry.text = seconds.to_string();
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let value = |entry: &Entry| Value::new(Some(&entry.place), entry.text.as_str());
        Ok(self.0.iter().map(|(key, entry)| (key.clone(), value(entry))).collect())
    }
}

struct Known {
    key: String,
    former: bool,
}

/// Every name that an environment variable can have.
static NAMES: LazyLock<HashMap<String, Known>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    let mut add = |name: &str, former: &[&str]| {
        let key = name.to_ascii_lowercase();
        for other in former {
            names.insert((*other).to_owned(), Known { key: key.clone(), former: true });
        }
        names.insert(name.to_owned(), Known { key, former: false });
    };
    VARIABLES.iter().for_each(|variable| add(variable.name, variable.former));
    DYNAMIC.iter().for_each(|declaration| add(&declaration.environment(), declaration.former));
    names
});

/// The process environment; unknown names belong to others and are ignored.
pub(super) fn environment(variables: impl Iterator<Item = (String, String)>) -> Layer {
    let mut layer = Layer::default();
    for (name, text) in variables {
        layer.put(&name, &text, ENVIRONMENT);
    }
    layer
}

/// The text of a file, `None` when there is none.
pub(super) fn read(dir: &Path, name: &str, problems: &mut Vec<ConfigError>) -> Option<String> {
    match fs::read_to_string(dir.join(name)) {
        Ok(text) => Some(text.trim_start_matches('\u{feff}').to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            problems.push(ConfigError {
                name: None,
                value: None,
                rule: format!("cannot be read: {error}"),
                place: name.to_owned(),
            });
            None
        }
    }
}

/// The variables of `.env`; unknown names belong to others and are ignored.
pub(super) fn env_file(text: &str, problems: &mut Vec<ConfigError>) -> Layer {
    let mut layer = Layer::default();
    let mut searched = 0;
    for item in dotenvy::from_read_iter(text.as_bytes()) {
        let line = match item {
            Ok((name, value)) => {
                let line = text.lines().enumerate().filter(|(_, line)| assigned(line) == Some(&name)).last();
                layer.put(&name, &value, &env_place(line));
                continue;
            }
            Err(dotenvy::Error::LineParse(rest, _)) => broken_line(text, &rest, &mut searched),
            Err(_) => None,
        };
        match line.and_then(|(_, line)| plain_assignment(line)) {
            Some((name, value)) => layer.put(name, value, &env_place(line)),
            None => problems.push(unreadable_line(env_place(line))),
        }
    }
    layer
}

fn env_place(line: Option<(usize, &str)>) -> String {
    line.map_or_else(|| ENV_FILE.to_owned(), |(index, _)| format!("{ENV_FILE} line {}", index + 1))
}

/// The line that, or whose value, begins with `rest`, which is what the parser could not read; from line `searched` on.
fn broken_line<'a>(text: &'a str, rest: &str, searched: &mut usize) -> Option<(usize, &'a str)> {
    let rest = rest.trim_end();
    let value = |line: &'a str| line.split_once('=').map_or("", |(_, value)| value.trim_start());
    let is_it = |line: &'a str| !rest.is_empty() && (line.starts_with(rest) || value(line).starts_with(rest));
    let found = text.lines().enumerate().skip(*searched).find(|(_, line)| is_it(line));
    *searched = found.map_or(*searched, |(index, _)| index + 1);
    found
}

/// The name that a line gives a value to.
fn assigned(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    line.split_once('=').map(|(name, _)| name.trim())
}

/// `NAME=a value with spaces`, which older generations read without quotes.
fn plain_assignment(line: &str) -> Option<(&str, &str)> {
    let (_, value) = line.split_once('=')?;
    let plain = !value.contains(['"', '\'', '\\', '$', '\n']);
    let value = value.split(" #").next().unwrap_or_default();
    assigned(line).filter(|_| plain).map(|name| (name, value))
}

fn unreadable_line(place: String) -> ConfigError {
    let rule =
        "cannot be read: write NAME=value, and put a value with quotes, $ or \\ between single quotes".to_owned();
    ConfigError { name: None, value: None, rule, place }
}

/// The keys of `gpt-load.toml`: all at the top level, all known.
pub(super) fn toml_file(text: &str, problems: &mut Vec<ConfigError>) -> Layer {
    let mut layer = Layer::default();
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let place = error.span().map_or_else(|| TOML_FILE.to_owned(), |span| toml_place(text, span.start));
        let rule = format!("is not TOML: {}", error.message());
        problems.push(ConfigError { name: None, value: None, rule, place });
    }
    for (key, value) in table.get_ref() {
        let (name, place) = (key.get_ref().as_ref(), toml_place(text, key.span().start));
        let mut refuse =
            |rule| problems.push(ConfigError { name: Some(name.to_owned()), value: None, rule, place: place.clone() });
        let environment = name.to_ascii_uppercase();
        if name != name.to_ascii_lowercase() || NAMES.get(&environment).is_none_or(|known| known.former) {
            refuse(unknown(name));
            continue;
        }
        match toml_text(value.get_ref()) {
            Some(text) => layer.put(&environment, &text, &place),
            None => refuse("must be a text, a number, true, false, or a list of texts".to_owned()),
        }
    }
    layer
}

fn toml_place(text: &str, offset: usize) -> String {
    let line = text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
    format!("{TOML_FILE} line {line}")
}

/// What to say of a name that does not exist: the nearest one that does.
fn unknown(name: &str) -> String {
    let wanted = name.to_ascii_lowercase();
    let keys = NAMES.values().map(|known| known.key.as_str());
    let nearest = keys.map(|key| (strsim::damerau_levenshtein(&wanted, key), key)).min();
    match nearest.filter(|(distance, _)| *distance <= wanted.len() / 3 + 1) {
        Some((_, key)) => format!("is not a known setting; did you mean {key}?"),
        None => "is not a known setting".to_owned(),
    }
}

/// A scalar as text, a list of scalars separated by commas.
fn toml_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| toml_text(item.get_ref())).collect();
            items.map(|items| items.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
