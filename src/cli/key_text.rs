//! Keys as people hand them over: pasted text or files.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use gpt_load_schema::secret::Secret;
use zeroize::Zeroizing;

use super::exit::CliError;

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Keys in the order in which they first appear.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Each once.
    pub keys: Vec<Secret>,
    /// How many repeated an earlier one.
    pub repeated: usize,
}

/// Splits `text`: a JSON array of strings, else anything between white space, commas and semicolons.
pub(super) fn parse(text: &str) -> Keys {
    let array = serde_json::from_str::<Vec<String>>(text).ok().filter(|array| !array.is_empty());
    let mut seen = HashSet::new();
    let mut keys = Keys::default();
    let mut take = |key: &str| {
        if key.is_empty() {
        } else if seen.insert(key.to_owned()) {
            keys.keys.push(Secret::from(key));
        } else {
            keys.repeated += 1;
        }
    };
    match &array {
        Some(array) => array.iter().for_each(|key| take(key.trim())),
        None => text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).for_each(take),
    }
    keys
}

/// Reads the keys of a file; `-` is standard input.
///
/// # Errors
/// When it cannot be read, is not UTF-8, or holds no key.
pub(super) fn read_file(path: &Path) -> Result<Keys, CliError> {
    if path.as_os_str() == STANDARD_INPUT {
        return read_input();
    }
    let shown = path.display();
    let bytes = fs::read(path).map(Zeroizing::new).map_err(|error| {
        CliError::failure(format!("{shown} cannot be read: {error}")).advise("Name a readable text file with keys.")
    })?;
    from_bytes(&bytes, &shown.to_string())
}

/// Reads the keys of standard input; a person at a terminal is told how to end it.
///
/// # Errors
/// As [`read_file`].
pub(super) fn read_input() -> Result<Keys, CliError> {
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        let _ = writeln!(io::stderr(), "Paste keys, one per line; end with Ctrl-D on an empty line.");
    }
    let mut bytes = Zeroizing::new(Vec::new());
    input
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::failure(format!("standard input cannot be read: {error}")))?;
    from_bytes(&bytes, "standard input")
}

fn from_bytes(bytes: &[u8], source: &str) -> Result<Keys, CliError> {
    let text = std::str::from_utf8(bytes).map_err(|_| {
        CliError::failure(format!("{source} is not UTF-8 text"))
            .advise("Save it as a plain text file, one key per line.")
    })?;
    let keys = parse(text.trim_start_matches('\u{feff}'));
    if keys.keys.is_empty() {
        return Err(CliError::failure(format!("{source} holds no key")).advise("Put one key on each line."));
    }
    Ok(keys)
}

/// A file of secrets under way: readable by its owner alone, and at its place only once it is complete.
pub(super) struct SecretFile {
    file: io::BufWriter<File>,
    place: PathBuf,
    partial: PathBuf,
    complete: bool,
}

impl SecretFile {
    /// Begins to write next to `place`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn create(place: &Path) -> Result<Self, CliError> {
        let mut partial = place.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let _ = fs::remove_file(&partial);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&partial).map_err(|error| unwritable(place, &error))?;
        Ok(Self { file: io::BufWriter::new(file), place: place.to_owned(), partial, complete: false })
    }

    /// Puts the complete file in its place.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn finish(mut self) -> Result<(), CliError> {
        let written = self.file.flush().and_then(|()| fs::rename(&self.partial, &self.place));
        written.map_err(|error| unwritable(&self.place, &error))?;
        self.complete = true;
        Ok(())
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.file.write_all(bytes).map_err(|error| unwritable(&self.place, &error))
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if !self.complete {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

fn unwritable(place: &Path, error: &io::Error) -> CliError {
    CliError::failure(format!("{} cannot be written: {error}", place.display()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(keys: &Keys) -> Vec<&str> {
        keys.keys.iter().map(Secret::expose).collect()
    }

    #[test]
    fn pasted_text_is_split_as_the_management_api_splits_it() {
        for (text, expected, repeated) in [
            ("a\nb\r\nc", &["a", "b", "c"][..], 0),
            (" a,b;c\td ", &["a", "b", "c", "d"], 0),
            ("a|b", &["a|b"], 0),
            (r#"["a b", " c ", "", "c"]"#, &["a b", "c"], 1),
            ("[]", &["[]"], 0),
            (r#"["a", 1]"#, &[r#"["a""#, "1]"], 0),
            ("a\na\nb\na", &["a", "b"], 2),
            (" \n,;", &[], 0),
        ] {
            let keys = parse(text);
            assert_eq!((texts(&keys).as_slice(), keys.repeated), (expected, repeated), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_list_of_words_comes_back(words in prop::collection::vec("[a-zA-Z0-9_./+=:|-]{1,40}", 0..40)) {
            let keys = parse(&words.join("\n"));
            prop_assert_eq!(keys.keys.len() + keys.repeated, words.len());
            let mut unique = HashSet::new();
            let first: Vec<&str> = words.iter().map(String::as_str).filter(|word| unique.insert(*word)).collect();
            prop_assert_eq!(texts(&keys), first);
        }
    }

    #[test]
    fn files_are_read_or_refused_with_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.txt");
        fs::write(&path, "\u{feff}sk-1\nsk-2\n").unwrap();
        assert_eq!(texts(&read_file(&path).unwrap()), ["sk-1", "sk-2"]);
        for (content, reason) in [(&b"\n"[..], "holds no key"), (b"sk-\xff", "is not UTF-8 text")] {
            fs::write(&path, content).unwrap();
            assert_eq!(read_file(&path).unwrap_err().message, format!("{} {reason}", path.display()));
        }
        let missing = read_file(&folder.path().join("absent")).unwrap_err();
        assert!(missing.message.contains("absent cannot be read"), "{missing}");
    }

    #[test]
    fn a_secret_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out.txt");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let mut dropped = SecretFile::create(&place).unwrap();
        dropped.write(b"half").unwrap();
        drop(dropped);
        assert_eq!(names(), 0);
        let mut whole = SecretFile::create(&place).unwrap();
        whole.write(b"all").unwrap();
        whole.finish().unwrap();
        assert_eq!((names(), fs::read(&place).unwrap()), (1, b"all".to_vec()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
