use std::collections::BTreeSet;

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

use super::{
    old::{Generation, Old, dump, troubled},
    *,
};
use crate::{
    group::{GroupType, HeaderAction},
    ids::KeyId,
    time::Timestamp,
};

const ALL: [Generation; 4] = [Generation::First, Generation::Two, Generation::Five, Generation::Both];

#[tokio::test]
async fn an_encrypted_database_with_every_trouble_is_taken_over() {
    let old = troubled(PASSPHRASE, 10_000);
    let before = dump(&old.path, |table| Some(table.to_owned()));
    let store = open(&old.path, Some(PASSPHRASE)).await.expect("it is taken over");
    assert!(store.encrypts());

    let taken = Store::taken_over(old.path.as_str()).await.expect("reads").expect("it was taken over");
    let report = taken.report;
    let counts = &report.keys;
    assert_eq!((counts.read, counts.taken, counts.duplicates, counts.orphans), (10_000, 9_800, 100, 100));
    assert_eq!((counts.without_hash, counts.in_clear_text, counts.returning), (100, 100, 1_000));
    assert_eq!((report.groups_taken, report.members_read, report.members_taken), (3, 3, 1));
    assert_eq!((report.hours.read, report.hours.merged, report.hours.left), (5, 1, 1));
    assert_eq!((report.logs.read, report.logs.taken + report.logs.old), (600, 600));
    assert!((330..=340).contains(&report.logs.taken), "seven days of two rows an hour: {report}");
    assert_eq!((report.policies_left, report.times.offsets.len()), (1, 3));
    assert!(report.findings.iter().any(|finding| finding.contains("`theme` is unknown")), "{report}");

    let all = [keys(&store, 1).await, keys(&store, 2).await].concat();
    assert_eq!(all.len(), 9_800);
    for key in &all {
        assert_eq!(value(key), format!("sk-{}", key.id), "every key decrypts");
        assert_eq!((key.notes.clone(), key.request_count), (format!("note {}", key.id), key.id.0));
        let state = if key.id.0 % 10 == 7 { KeyState::Disabled } else { KeyState::Active };
        assert_eq!((key.health.state, key.health.disabled_until.is_some()), (state, state == KeyState::Disabled));
        assert!((key.created_at.0 - 1_764_547_200_000).abs() <= 500, "{:?}", key.created_at);
    }
    let settings = store.settings().await.expect("settings");
    assert_eq!(settings["request_timeout"], "1000000");
    assert_eq!(settings["proxy_keys"], "pk-old-1,pk-old-2");
    assert!(!settings.contains_key("failover_status_codes") && !settings.contains_key("theme"));
    assert_eq!(store.request_totals().await.expect("totals"), (19, 3));
    let logs = store.recent_logs(None, 1_000).await.expect("logs");
    for log in &logs {
        let (key, text) = log.key.clone().expect("a key");
        assert!(key == KeyId(0) || text.expose() == format!("sk-{key}"), "{key}");
        assert_eq!(log.parent, Some((GroupId(3), "all".to_owned())));
    }
    assert!(logs.iter().any(|log| log.key.as_ref().is_some_and(|(_, key)| key.expose() == "failed-to-encryption")));

    // A new key gets an id above all that ever were.
    let added = store
        .writer(1)
        .insert_keys(GroupId(1), &["sk-new".into()], KeyState::Active, Default::default(), Timestamp::now())
        .await
        .expect("adds");
    assert_eq!(added.keys[0].id, KeyId(10_001));
    drop(store);

    let aside = dump(&old.path, |table| table.strip_prefix("legacy_").map(str::to_owned));
    let rows = |dump: &[String]| dump.iter().filter(|line| line.contains(": ")).cloned().collect::<Vec<_>>();
    let without_sequence: Vec<_> =
        rows(&before).into_iter().filter(|line| !line.starts_with("sqlite_sequence")).collect();
    assert_eq!(rows(&aside), without_sequence, "the old tables stay");
    let copy = taken.backup.expect("a copy");
    assert_eq!(rows(&dump(&copy, |table| Some(table.to_owned()))), rows(&before), "the copy is whole");

    let finished = std::fs::metadata(&copy).expect("there").modified().expect("a time");
    let store = open(&old.path, Some(PASSPHRASE)).await.expect("a second start");
    assert_eq!(keys(&store, 1).await.len() + keys(&store, 2).await.len(), 9_801);
    assert_eq!(Store::taken_over(old.path.as_str()).await.expect("reads").expect("taken").report, report);
    assert_eq!(std::fs::metadata(&copy).expect("there").modified().expect("a time"), finished);
    assert_eq!(old.beside("before-takeover").len(), 1);
}

#[tokio::test]
async fn a_wrong_or_missing_passphrase_changes_nothing() {
    let old = troubled(PASSPHRASE, 200);
    let before = old.bytes();
    for (passphrase, words) in [
        (Some("wrong"), "does not open the keys"),
        (None, "there is no encryption key"),
        (Some(""), "there is no encryption key"),
    ] {
        let refused = open(&old.path, passphrase).await.err().expect("refused");
        assert!(matches!(&refused, StoreError::Encryption(text) if text.contains(words)), "{refused}");
        assert!(refused.to_string().contains("Nothing was changed"), "{refused}");
        assert_eq!(old.bytes(), before);
        assert_eq!(old.beside("gpt-load.db"), ["gpt-load.db"]);
    }
    open(&old.path, Some(PASSPHRASE)).await.expect("the right one opens it");
}

#[tokio::test]
async fn every_generation_is_understood() {
    for generation in ALL {
        let old = Old::new(generation);
        let hash = if generation == Generation::First { "" } else { ", key_hash = NULL" };
        old.run("INSERT INTO api_keys (id,key_value,group_id,status,failure_count) VALUES (5,'sk-5',1,'active',2),(9,'sk-9',1,'invalid',3)");
        old.run(&format!("UPDATE api_keys SET request_count = 4{hash}"));
        if matches!(generation, Generation::Five | Generation::Both) {
            old.run(
                "UPDATE api_keys SET last_failure_at = '2026-01-01 00:00:00Z', last_error_message = 'no' WHERE id = 9",
            );
        }
        let store = open(&old.path, Some(PASSPHRASE)).await.unwrap_or_else(|error| panic!("{generation:?}: {error}"));
        let groups = store.groups().await.expect("groups");
        let openai = &groups.iter().find(|group| group.id == GroupId(1)).expect("is there").definition;
        assert_eq!((openai.name.as_str(), openai.sort, openai.proxy_keys.as_str()), ("openai", 3, "pk-1"));
        assert_eq!(openai.config.as_ref().expect("overrides")["max_retries"], 7);
        assert_eq!(openai.upstreams[0].url, "https://api.openai.com");
        let stored = keys(&store, 1).await;
        assert_eq!(stored.iter().map(value).collect::<Vec<_>>(), ["sk-5", "sk-9"], "{generation:?}");
        let expected = match generation {
            Generation::First | Generation::Two => KeyState::Disabled,
            Generation::Five | Generation::Both => KeyState::Invalid,
        };
        assert_eq!((stored[1].health.state, stored[1].request_count), (expected, 4), "{generation:?}");
        let aggregates: Vec<_> =
            groups.iter().filter(|group| group.definition.group_type == GroupType::Aggregate).collect();
        if matches!(generation, Generation::Two | Generation::Both) {
            assert_eq!(aggregates[0].sub_groups.len(), 1);
            assert_eq!((aggregates[0].sub_groups[0].group_id, aggregates[0].sub_groups[0].weight), (GroupId(1), 70));
            let rule = &openai.header_rules.as_ref().expect("rules")[0];
            assert_eq!((rule.key.as_str(), rule.action), ("X-Team", HeaderAction::Set));
            assert_eq!((&openai.model_redirect_rules["a"], openai.model_redirect_strict), (&"b".into(), true));
        } else {
            assert!(aggregates.is_empty());
        }
    }
}

#[tokio::test]
async fn the_tables_are_those_of_a_fresh_database() {
    let dir = tempfile::tempdir().expect("a directory");
    let fresh = dir.path().join("fresh.db").to_str().expect("UTF-8").to_owned();
    drop(open(&fresh, None).await.expect("opens"));
    for generation in ALL {
        let old = Old::new(generation);
        drop(open(&old.path, None).await.expect("is taken over"));
        let ours =
            |table: &str| (!table.starts_with("legacy_") && !table.starts_with("sqlite_")).then(|| table.to_owned());
        let schema = |path: &str| {
            let mut lines = dump(path, ours);
            lines.retain(|line| line.starts_with("CREATE"));
            lines.sort();
            lines
        };
        assert_eq!(schema(&old.path), schema(&fresh), "{generation:?}");
        let mut connection = SqliteConnection::establish(&old.path).expect("the file");
        connection.batch_execute("PRAGMA foreign_key_check; PRAGMA integrity_check").expect("sound");
    }
}

#[tokio::test]
async fn copies_fill_every_column_that_they_must() {
    use crate::store::{group_rows::GROUP_COLUMNS, key_rows::KEY_COLUMNS, logs::LOG_COLUMNS};
    let dir = tempfile::tempdir().expect("a directory");
    let fresh = dir.path().join("fresh.db").to_str().expect("UTF-8").to_owned();
    drop(open(&fresh, None).await.expect("opens"));
    let tables = inventory(&mut SqliteConnection::establish(&fresh).expect("the file")).expect("reads").0;
    let set = |columns: &[&str]| columns.iter().map(|column| (*column).to_owned()).collect();
    assert_eq!(tables["groups"], set(GROUP_COLUMNS));
    assert_eq!(tables["request_logs"], set(LOG_COLUMNS));
    // What only this program knows of a key has its default.
    let unknown: BTreeSet<String> = &tables["api_keys"] - &set(KEY_COLUMNS);
    let ours = [
        "cooldown_level",
        "generation",
        "last_class",
        "last_rule",
        "model_health",
        "priority",
        "resting_until",
        "upstream",
        "validation_level",
        "weight",
    ];
    assert_eq!(unknown, set(&ours));
}

#[tokio::test]
async fn undone_it_leaves_the_old_tables_as_they_were() {
    for generation in ALL {
        let old = Old::new(generation);
        old.run("INSERT INTO api_keys (id,key_value,group_id) VALUES (5,'sk-5',1),(9,'sk-9',42)");
        let before = dump(&old.path, |table| Some(table.to_owned()));
        for round in 1..=2 {
            let store = open(&old.path, None).await.expect("is taken over");
            let group = GroupId(1);
            let added = store
                .writer(1)
                .insert_keys(group, &["sk-new".into()], KeyState::Active, Default::default(), Timestamp::now())
                .await
                .expect("adds");
            assert_eq!(added.keys.len(), 1);
            drop(store);
            let copy = Store::undo_take_over(old.path.as_str()).await.expect("is undone").expect("a copy");
            assert_eq!(dump(&old.path, |table| Some(table.to_owned())), before, "{generation:?}");
            let kept = open(&copy, None).await.expect("the copy has what was added");
            assert_eq!(keys(&kept, 1).await.len(), 2, "{generation:?}");
            assert_eq!(
                old.beside("before-rollback")
                    .iter()
                    .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
                    .count(),
                round
            );
        }
        let refused = Store::undo_take_over(old.path.as_str()).await.expect_err("nothing to undo").to_string();
        assert!(refused.contains("was not taken over"), "{refused}");
    }
}

#[tokio::test]
async fn what_is_gone_cannot_be_brought_back() {
    let old = Old::new(Generation::Two);
    drop(open(&old.path, None).await.expect("is taken over"));
    old.run("DROP TABLE legacy_api_keys");
    let before = dump(&old.path, |table| Some(table.to_owned()));
    let refused = Store::undo_take_over(old.path.as_str()).await.expect_err("refused").to_string();
    assert!(refused.contains("legacy_api_keys is gone"), "{refused}");
    assert_eq!(dump(&old.path, |table| Some(table.to_owned())), before);
}

#[tokio::test]
async fn other_programs_are_told_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("own.db").to_str().expect("UTF-8").to_owned();
    drop(open(&path, None).await.expect("a database of this program"));
    assert!(Store::taken_over(path.as_str()).await.expect("reads").is_none());
    let nothing = Store::take_over(path.as_str(), None, Options::default(), quiet()).await.expect("reads");
    assert_eq!(nothing, None);
    let foreign = dir.path().join("foreign.db").to_str().expect("UTF-8").to_owned();
    let sql = "CREATE TABLE groups (id integer, name text); CREATE TABLE api_keys (id integer, secret text)";
    SqliteConnection::establish(&foreign).expect("a file").batch_execute(sql).expect("tables");
    let refused = open(&foreign, None).await.err().expect("refused").to_string();
    assert!(refused.contains("another program"), "{refused}");
}

#[tokio::test]
async fn ids_that_mean_nothing_here_are_given_anew() {
    let old = Old::new(Generation::Two);
    old.run(
        "INSERT INTO groups (id,name,upstreams,channel_type,test_model) VALUES (0,'null','[]','openai','m');
         INSERT INTO api_keys (id,key_value,group_id,status) VALUES
           (-7,'sk-below',1,'active'),(0,'sk-null',0,'active'),(3,'sk-below',1,'active'),(12,'sk-12',1,'active')",
    );
    let store = open(&old.path, None).await.expect("is taken over");
    let stored = keys(&store, 1).await;
    assert_eq!(stored.iter().map(|key| (key.id.0, value(key))).collect::<Vec<_>>(), [(12, "sk-12"), (13, "sk-below")]);
    let groups = store.groups().await.expect("groups");
    let group = groups.iter().find(|group| group.definition.name == "null").expect("it is taken").id;
    assert_eq!((group, value(&keys(&store, group.0).await[0])), (GroupId(4), "sk-null"));
    drop(store);
    let store = open(&old.path, None).await.expect("a second start");
    assert_eq!(keys(&store, 1).await.len(), 2);
}

#[tokio::test]
async fn old_tables_are_dropped_when_told() {
    let old = Old::new(Generation::Both);
    old.plain_keys(1, 0..50);
    drop(open(&old.path, None).await.expect("is taken over"));
    let dropped = Store::drop_taken_over(old.path.as_str()).await.expect("drops");
    assert!(dropped.contains(&"legacy_api_keys".to_owned()), "{dropped:?}");
    assert!(dump(&old.path, |table| table.strip_prefix("legacy_").map(str::to_owned)).is_empty());
    let text = String::from_utf8_lossy(&old.bytes()).into_owned();
    assert!(!text.contains("idx_group_time"), "nor are they in pages that are free");
    assert!(!Store::taken_over(old.path.as_str()).await.expect("reads").expect("it is known still").old_tables);
    assert_eq!(Store::drop_taken_over(old.path.as_str()).await.expect("once more"), Vec::<String>::new());
    let refused = Store::undo_take_over(old.path.as_str()).await.expect_err("they are gone").to_string();
    assert!(refused.contains("were dropped"), "{refused}");
    assert!(old.beside("before-rollback").is_empty());
    assert_eq!(keys(&open(&old.path, None).await.expect("opens"), 1).await.len(), 50);
}
