use std::{collections::BTreeMap, fs, path::Path, sync::mpsc, time::Duration};

use gpt_load_actors::routing::SettingsSource;
use tracing::level_filters::LevelFilter;

use super::{folder, load_in};
use crate::config::{ConfiguredSettings, Reloader, SharedConfig, watch};

fn reloader(dir: &Path) -> Reloader {
    let shared = SharedConfig::new(load_in(dir, &[]).expect("good").config);
    Reloader { dir: dir.to_owned(), environment: Vec::new(), shared }
}

#[test]
fn what_is_live_comes_into_force_and_the_rest_is_named() {
    let folder = folder(&[(".env", "PORT=1\nLOG_LEVEL=info\n")]);
    let reloader = reloader(folder.path());
    assert!(reloader.reload().expect("good").is_empty());

    fs::write(folder.path().join(".env"), "PORT=2\nLOG_LEVEL=debug\nMAX_RETRIES=7\n").expect("written");
    let change = reloader.reload().expect("good");
    assert_eq!((change.applied.as_slice(), change.restart.as_slice()), (&["LOG_LEVEL"][..], &["PORT"][..]));
    assert!(change.initial);
    let text =
        "in force: LOG_LEVEL; in force where nothing is stored: initial values of settings; after a restart: PORT";
    assert_eq!(change.to_string(), text);
    let config = reloader.shared.load_full();
    assert_eq!((config.port, config.log_level), (1, LevelFilter::DEBUG));
}

#[test]
fn a_broken_file_changes_nothing() {
    let folder = folder(&[(".env", "LOG_LEVEL=info\n")]);
    let reloader = reloader(folder.path());
    fs::write(folder.path().join(".env"), "LOG_LEVEL=debug\nPORT=x\n").expect("written");
    assert!(reloader.reload().is_err());
    assert_eq!(reloader.shared.load().log_level, LevelFilter::INFO);
}

#[test]
fn the_environment_still_rules_after_a_reload() {
    let folder = folder(&[(".env", "LOG_LEVEL=warn\n")]);
    let mut reloader = reloader(folder.path());
    reloader.environment = vec![("LOG_LEVEL".to_owned(), "error".to_owned())];
    assert_eq!(reloader.reload().expect("good").applied, ["LOG_LEVEL"]);
    assert_eq!(reloader.shared.load().log_level, LevelFilter::ERROR);
}

#[test]
fn a_saved_file_is_noticed() {
    let folder = folder(&[]);
    let reloader = reloader(folder.path());
    let shared = reloader.shared.clone();
    let (sender, receiver) = mpsc::channel();
    let watch = reloader.watch(move |change| sender.send(change.clone()).expect("the test listens")).expect("watched");
    fs::write(folder.path().join("gpt-load.toml"), "log_level = \"error\"\n").expect("written");
    let change = receiver.recv_timeout(Duration::from_secs(30)).expect("noticed");
    assert_eq!(change.applied, ["LOG_LEVEL"]);
    assert_eq!(shared.load().log_level, LevelFilter::ERROR);
    drop(watch);
    assert!(receiver.recv().is_err(), "the watching ends with its handle");
}

#[test]
fn a_replaced_file_is_noticed_and_a_neighbour_is_not() {
    let folder = folder(&[("keys.txt", "one\n")]);
    let (sender, receiver) = mpsc::channel();
    let _watch =
        watch(&[folder.path().join("keys.txt")], move || sender.send(()).expect("the test listens")).expect("watched");
    fs::write(folder.path().join("other"), "x").expect("written");
    fs::write(folder.path().join("new"), "two\n").expect("written");
    fs::rename(folder.path().join("new"), folder.path().join("keys.txt")).expect("replaced");
    receiver.recv_timeout(Duration::from_secs(30)).expect("noticed");
    assert!(receiver.try_recv().is_err(), "once");
}

#[test]
fn stored_settings_rule_over_initial_ones_over_defaults() {
    let folder = folder(&[(".env", "MAX_RETRIES=7\nBLACKLIST_THRESHOLD=9\n")]);
    let source = ConfiguredSettings::new(reloader(folder.path()).shared);
    let rows = BTreeMap::from([("max_retries".to_owned(), "1".to_owned())]);
    let settings = source.system(&rows);
    assert_eq!((settings.max_retries, settings.blacklist_threshold, settings.connect_timeout), (1, 9, 15));
}
