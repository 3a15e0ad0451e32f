//! The keys file of the one-file set-up: one key a line. Pure.

use std::collections::HashSet;

use gpt_load_schema::{ids::KeyId, key::KeyRecord, secret::Secret};

/// The keys of a file: lines trimmed, empty lines and lines that begin with `#` left out, each key once.
pub fn parse(text: &str) -> Vec<Secret> {
    let mut seen = HashSet::new();
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#') && is_sendable(line))
        .filter(|line| seen.insert((*line).to_owned()))
        .map(Secret::from)
        .collect()
}

/// Only what a header can carry is a key.
fn is_sendable(line: &str) -> bool {
    line.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What has to change so that the group's keys of the file are those in the file.
#[derive(Debug, Default)]
pub struct Changes {
    /// Lines that are no keys yet.
    pub add: Vec<Secret>,
    /// Keys whose line is gone.
    pub remove: Vec<KeyId>,
}

/// Compares the file's keys with the stored keys that came from the file.
pub fn changes(file: Vec<Secret>, stored: &[KeyRecord]) -> Changes {
    let wanted: HashSet<&str> = file.iter().map(Secret::expose).collect();
    let remove = stored
        .iter()
        .filter(|key| key.value.as_ref().is_some_and(|value| !wanted.contains(value.expose())))
        .map(|key| key.id)
        .collect();
    let known: HashSet<&str> = stored.iter().filter_map(|key| key.value.as_ref()).map(Secret::expose).collect();
    let add = file.into_iter().filter(|key| !known.contains(key.expose())).collect();
    Changes { add, remove }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_keys() {
        let keys = parse("\u{feff}sk-a\r\n\n  sk-b  \n# a note\nsk-a\nnot a key\nclé\n");
        assert_eq!(keys.iter().map(Secret::expose).collect::<Vec<_>>(), ["sk-a", "sk-b"]);
        assert!(parse("# nothing\n\n").is_empty());
    }
}
