//! `gpt-load migrate-keys`: encryption at rest enabled, disabled, or under another passphrase.

use std::{
    fs,
    io::{self, BufRead, Write},
    path::Path,
};

use gpt_load_schema::{
    secret::Secret,
    store::{Claim, Migrated, MigratedKeys, Store, TakeoverOptions},
};
use serde_json::json;
use zeroize::Zeroizing;

use super::rotate::existing;
use crate::cli::{
    args::MigrateKeysArgs,
    exit::{CliError, Exit},
    report::Report,
    takeover::{configuration, failed, summary, watch},
};

/// Variables that hold the keys where no argument does.
const FROM_VARIABLE: &str = "MIGRATE_KEYS_FROM";
const TO_VARIABLE: &str = "MIGRATE_KEYS_TO";

/// Migrates the configured database, which no node may use meanwhile.
///
/// # Errors
/// When nothing could be done; or when it was broken off, and the same command goes on from there.
pub(in crate::cli) async fn run(args: &MigrateKeysArgs, quiet: bool) -> Result<Report, CliError> {
    let config = configuration()?;
    let (from, to) = passphrases(args, &mut io::stdin().lock(), |name| std::env::var(name).ok().map(Zeroizing::new))?;
    if from.is_none() && to.is_none() {
        return Err(CliError::usage("neither the key in force nor a new one was given").advise(
            "--to-file or MIGRATE_KEYS_TO enables encryption, --from-file or MIGRATE_KEYS_FROM disables it, both change the \
             key; `-` as a file is standard input.",
        ));
    }
    existing(&config.database_dsn)?;
    let _claim = Claim::of(config.database(), &config.node_name).await.map_err(|error| {
        failed(error).advise(
            "migrate-keys works while no node runs. To change the key of a running installation, restart it \
                              with the new ENCRYPTION_KEY and the former one in ENCRYPTION_KEY_PREVIOUS.",
        )
    })?;
    if let Some(taken) = Store::take_over(config.database(), from.as_ref(), TakeoverOptions::default(), watch(quiet))
        .await
        .map_err(failed)?
    {
        let said =
            summary("the database of an older GPT-Load was taken over first; its tables are there as legacy_*", &taken);
        let _ = writeln!(io::stderr(), "{}", said.text);
    }
    let migrated = Store::migrate_keys(config.database(), from.as_ref(), to.as_ref(), watch(quiet)).await;
    Ok(report(migrated.map_err(failed)?))
}

fn report(migrated: MigratedKeys) -> Report {
    let MigratedKeys { done, keys, unreadable_logs, has_legacy_tables } = migrated;
    let (word, next) = match done {
        Migrated::Enabled => ("encrypted", "start the node with the new key in ENCRYPTION_KEY"),
        Migrated::Disabled => ("decrypted", "start the node without ENCRYPTION_KEY"),
        Migrated::Changed => ("under another key", "start the node with the new key in ENCRYPTION_KEY"),
    };
    let mut text = format!("the database is {word} now ({keys} provider keys checked)\n{next}");
    if unreadable_logs > 0 {
        text.push_str(&format!(
            "\nthe keys of {unreadable_logs} log rows did not decrypt: they read failed-to-decrypt"
        ));
    }
    if has_legacy_tables && done == Migrated::Enabled {
        text.push_str(
            "\nthe tables legacy_* and the copies of the file beside it hold what the older GPT-Load stored, some of it in clear \
             text: delete them when the older program will not come back",
        );
    }
    let json =
        json!({"database": word, "keys": keys, "unreadable_logs": unreadable_logs, "legacy_tables": has_legacy_tables});
    Report::success(text, json).ending(if unreadable_logs > 0 { Exit::Partial } else { Exit::Success })
}

/// The keys: from arguments, which are warned of, else from files or standard input, else from variables. Empty ones are
/// none.
fn passphrases(
    args: &MigrateKeysArgs,
    input: &mut dyn BufRead,
    variable: impl Fn(&str) -> Option<Zeroizing<String>>,
) -> Result<(Option<Secret>, Option<Secret>), CliError> {
    if args.from.is_some() || args.to.is_some() {
        let _ = writeln!(
            io::stderr(),
            "warning: a key given as an argument can be seen by other users of this machine and stays in the shell's history; \
             prefer --from-file and --to-file, or {FROM_VARIABLE} and {TO_VARIABLE}"
        );
    }
    let mut one = |argument: &Option<Secret>, file: Option<&Path>, name: &str| -> Result<Option<Secret>, CliError> {
        let text = match (argument, file) {
            (Some(key), _) => return Ok(Some(key.clone())),
            (None, Some(file)) if file == Path::new("-") => {
                let mut line = Zeroizing::new(String::new());
                input
                    .read_line(&mut line)
                    .map_err(|error| CliError::usage(format!("standard input cannot be read: {error}")))?;
                Some(line)
            }
            (None, Some(file)) => Some(read(file)?),
            (None, None) => variable(name),
        };
        Ok(text.map(|text| Secret::from(text.trim_end_matches(['\r', '\n']))))
    };
    let from = one(&args.from, args.from_file.as_deref(), FROM_VARIABLE)?;
    let to = one(&args.to, args.to_file.as_deref(), TO_VARIABLE)?;
    let given = |key: Option<Secret>| key.filter(|key| !key.expose().is_empty());
    Ok((given(from), given(to)))
}

fn read(file: &Path) -> Result<Zeroizing<String>, CliError> {
    let text = fs::read_to_string(file).map(Zeroizing::new);
    text.map_err(|error| CliError::usage(format!("{} cannot be read: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(args: &MigrateKeysArgs, input: &str) -> (Option<String>, Option<String>) {
        let variable = |name: &str| Some(Zeroizing::new(format!("of {name}")));
        let (from, to) = passphrases(args, &mut input.as_bytes(), variable).unwrap();
        let text = |key: Option<Secret>| key.map(|key| key.expose().to_owned());
        (text(from), text(to))
    }

    #[test]
    fn keys_come_from_arguments_files_standard_input_and_variables_in_this_order() {
        let some = |text: &str| Some(text.to_owned());
        let none = MigrateKeysArgs::default();
        assert_eq!(keys(&none, ""), (some("of MIGRATE_KEYS_FROM"), some("of MIGRATE_KEYS_TO")));
        let both = MigrateKeysArgs { from_file: Some("-".into()), to_file: Some("-".into()), ..none };
        assert_eq!(keys(&both, "one\r\ntwo\n"), (some("one"), some("two")));
        assert_eq!(keys(&both, "one\n"), (some("one"), None), "an empty line is no key");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "of a file\n").unwrap();
        let args = MigrateKeysArgs { to_file: Some(file), from: Some("".into()), ..MigrateKeysArgs::default() };
        assert_eq!(keys(&args, ""), (None, some("of a file")));
        let missing = MigrateKeysArgs { to_file: Some(folder.path().join("none")), ..MigrateKeysArgs::default() };
        let refused = passphrases(&missing, &mut "".as_bytes(), |_| None).unwrap_err();
        assert!(refused.exit == Exit::Usage && refused.message.contains("cannot be read"), "{refused}");
    }
}
