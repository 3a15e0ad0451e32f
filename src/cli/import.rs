//! `gpt-load import`: another, older installation's database, brought into this one.

use std::{fs, path::Path};

use gpt_load_schema::{
    secret::Secret,
    store::{Claim, Place, Store, TakeoverOptions},
};
use zeroize::Zeroizing;

use super::{
    args::ImportFromArgs,
    exit::CliError,
    report::Report,
    takeover::{configuration, failed, summary, watch},
};

/// Imports. Run again after an interruption it goes on where it was; run again after its end it brings what came since.
///
/// # Errors
/// When the import did not come to its end.
pub(super) async fn run(args: &ImportFromArgs, quiet: bool) -> Result<Report, CliError> {
    let config = configuration()?;
    let key = match &args.encryption_key_file {
        Some(file) => Some(read_key(file)?),
        None => args.encryption_key.clone(),
    };
    let key = key.filter(|key| !key.expose().is_empty()).or_else(|| config.encryption_key.clone());
    let _claim = Claim::of(config.database(), &config.node_name).await.map_err(failed)?;
    let (current, previous) = (config.encryption_key.as_ref(), config.encryption_key_previous.as_ref());
    let store = Store::open_changing(config.database(), current, previous).await.map_err(failed)?;
    // The node that leads next begins above this one.
    let writer = store.writer(store.epoch().await.map_err(failed)?.saturating_add(1));
    let options = TakeoverOptions { leave_unreadable: args.leave_unreadable };
    // Roots and time zone of this installation are good for the other's server, too.
    let from = Place { dsn: args.from.expose(), read_dsn: None, ..config.database() };
    let taken = writer.import(from, key, options, watch(quiet)).await.map_err(|error| {
        failed(error).advise("What was imported up to here stays; the same command goes on from there.")
    })?;
    Ok(summary("imported", &taken))
}

fn read_key(file: &Path) -> Result<Secret, CliError> {
    let text = fs::read_to_string(file).map(Zeroizing::new).map_err(|error| {
        CliError::usage(format!("--encryption-key-file {} cannot be read: {error}", file.display()))
    })?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(CliError::usage(format!("--encryption-key-file {} is empty", file.display()))),
        key => Ok(Secret::from(key)),
    }
}
