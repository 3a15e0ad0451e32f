//! Take-overs in place on servers.

use std::sync::Arc;

use super::{
    old::Generation,
    old_server::{MADE, OldServer, troubled},
    *,
};
use crate::{
    group::{GroupType, HeaderAction},
    ids::KeyId,
    store::testing::{Database, Kind},
    time::Timestamp,
};

const ALL: [Generation; 4] = [Generation::First, Generation::Two, Generation::Five, Generation::Both];

/// Makes two tests of each function, one for each kind of server.
macro_rules! on_every_server {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use crate::store::testing::Kind;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(Kind::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                super::$name(Kind::Mysql).await;
            }
        })*
    };
}

on_every_server!(
    an_encrypted_database_with_every_trouble_is_taken_over,
    a_wrong_or_missing_passphrase_changes_nothing,
    every_generation_is_understood,
    the_tables_are_those_of_a_fresh_database,
    undone_it_leaves_the_old_tables_as_they_were,
    killed_at_any_moment_it_goes_on_where_it_was,
    killed_while_tables_are_made_it_begins_again,
    an_old_program_that_goes_on_writing_is_noticed,
    old_tables_are_dropped_when_told,
    ids_that_mean_nothing_here_are_given_anew,
);

async fn take_over_at(dsn: &str, passphrase: Option<&str>, options: Options, mut watch: Watch) -> StoreResult<Report> {
    let passphrase = passphrase.map(Secret::from);
    let fresh = Derivation::with_rounds(2);
    anywhere!(Place::from(dsn).try_into()?, |_path| panic!("no server"), |server, zone| Ok(server::take_over(
        &server, zone, passphrase, fresh, options, &mut watch
    )
    .await?
    .0))
}

fn whole(table: &str) -> Option<String> {
    Some(table.to_owned())
}

async fn an_encrypted_database_with_every_trouble_is_taken_over(kind: Kind) {
    let old = troubled(kind, PASSPHRASE, 10_000);
    let before = old.rows_of(whole);
    let store = open(&old.dsn(), Some(PASSPHRASE)).await.expect("it is taken over");
    assert!(store.encrypts());

    let taken = Store::taken_over(old.dsn().as_str()).await.expect("reads").expect("it was taken over");
    assert!(taken.old_tables && taken.backup.is_none());
    let report = taken.report;
    let counts = &report.keys;
    assert_eq!((counts.read, counts.taken, counts.duplicates, counts.orphans), (10_000, 9_800, 100, 100));
    assert_eq!((counts.without_hash, counts.in_clear_text, counts.returning), (100, 100, 1_000));
    assert_eq!((report.groups_taken, report.members_read, report.members_taken), (3, 3, 1));
    assert_eq!((report.hours.read, report.hours.merged, report.hours.left), (4, 0, 0));
    assert_eq!((report.logs.read, report.logs.left, report.logs.taken + report.logs.old), (600, 0, 600));
    assert!((332..=340).contains(&report.logs.taken), "seven days of two rows an hour: {report}");
    assert_eq!((report.policies_left, report.times.unreadable), (1, 0));
    assert!(report.findings.iter().any(|finding| finding.contains("`theme` is unknown")), "{report}");

    let all = [keys(&store, 1).await, keys(&store, 2).await].concat();
    assert_eq!(all.len(), 9_800);
    for key in &all {
        assert_eq!(value(key), format!("sk-{}", key.id), "every key decrypts");
        assert_eq!((key.notes.clone(), key.request_count), (format!("note {}", key.id), key.id.0));
        let state = if key.id.0 % 10 == 7 { KeyState::Disabled } else { KeyState::Active };
        assert_eq!((key.health.state, key.health.disabled_until.is_some()), (state, state == KeyState::Disabled));
        assert_eq!((key.created_at, key.last_used_at), (Timestamp(MADE), Some(Timestamp(MADE))));
    }
    let settings = store.settings().await.expect("settings");
    assert_eq!(settings["request_timeout"], "1000000");
    assert_eq!(settings["proxy_keys"], "pk-old-1,pk-old-2");
    assert!(!settings.contains_key("failover_status_codes") && !settings.contains_key("theme"));
    assert_eq!(store.request_totals().await.expect("totals"), (19, 3));
    let logs = store.recent_logs(None, 1_000).await.expect("logs");
    assert_eq!(logs.len(), usize::try_from(report.logs.taken).expect("a count"));
    for log in &logs {
        let (key, text) = log.key.clone().expect("a key");
        assert!(key == KeyId(0) || text.expose() == format!("sk-{key}"), "{key}");
        assert_eq!(log.parent, Some((GroupId(3), "all".to_owned())));
        assert!(log.is_success && !log.is_stream);
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

    assert_eq!(old.rows_of(|table| table.strip_prefix("legacy_").map(str::to_owned)), before, "the old tables stay");
    assert!(!old.tables().iter().any(|table| table.starts_with("new_")));

    let after = old.rows_of(whole);
    let store = open(&old.dsn(), Some(PASSPHRASE)).await.expect("a second start");
    assert_eq!(keys(&store, 1).await.len() + keys(&store, 2).await.len(), 9_801);
    drop(store);
    assert_eq!(old.rows_of(whole), after, "and does nothing");
    assert_eq!(Store::take_over(old.dsn().as_str(), None, Options::default(), quiet()).await.expect("looks"), None);
}

async fn a_wrong_or_missing_passphrase_changes_nothing(kind: Kind) {
    let old = troubled(kind, PASSPHRASE, 200);
    let before = old.dump(whole);
    for (passphrase, words) in [
        (Some("wrong"), "does not open the keys"),
        (None, "there is no encryption key"),
        (Some(""), "there is no encryption key"),
    ] {
        let refused = open(&old.dsn(), passphrase).await.err().expect("refused");
        assert!(matches!(&refused, StoreError::Encryption(text) if text.contains(words)), "{refused}");
        assert!(refused.to_string().contains("Nothing was changed"), "{refused}");
        assert_eq!(old.dump(whole), before);
    }
    open(&old.dsn(), Some(PASSPHRASE)).await.expect("the right one opens it");
}

async fn every_generation_is_understood(kind: Kind) {
    for generation in ALL {
        let old = OldServer::new(kind, generation);
        old.run("INSERT INTO api_keys (id,key_value,group_id,status,failure_count) VALUES (5,'sk-5',1,'active',2),(9,'sk-9',1,'invalid',3)");
        let hash = if generation == Generation::First { "" } else { ", key_hash = NULL" };
        old.run(&format!("UPDATE api_keys SET request_count = 4{hash}"));
        let five = matches!(generation, Generation::Five | Generation::Both);
        if five {
            let far = old.time(4_000_000_000_000);
            old.run(&format!(
                "UPDATE api_keys SET last_failure_at = {}, last_error_message = 'no' WHERE id = 9; \
                 UPDATE api_keys SET status = 'disabled', disabled_until = {far} WHERE id = 5",
                old.time(MADE)
            ));
        }
        let store = open(&old.dsn(), Some(PASSPHRASE)).await.unwrap_or_else(|error| panic!("{generation:?}: {error}"));
        let groups = store.groups().await.expect("groups");
        let openai = &groups.iter().find(|group| group.id == GroupId(1)).expect("is there").definition;
        assert_eq!((openai.name.as_str(), openai.sort, openai.proxy_keys.as_str()), ("openai", 3, "pk-1"));
        assert_eq!((openai.description.as_str(), openai.test_model.as_str()), ("模型 🚀 é", "gpt-4.1-nano"));
        assert_eq!(openai.config.as_ref().expect("overrides")["max_retries"], 7);
        assert_eq!(openai.upstreams[0].url, "https://api.openai.com");
        let stored = keys(&store, 1).await;
        assert_eq!(stored.iter().map(value).collect::<Vec<_>>(), ["sk-5", "sk-9"], "{generation:?}");
        let expected = if five { KeyState::Invalid } else { KeyState::Disabled };
        assert_eq!((stored[1].health.state, stored[1].request_count), (expected, 4), "{generation:?}");
        if five {
            let until = stored[0].health.disabled_until.expect("it returns");
            let soon = Timestamp::now().0 + 1_800_000;
            assert!((soon - 60_000..=soon).contains(&until.0), "not beyond the longest backoff: {until:?}");
            assert_eq!(stored[1].health.last_failure_at, Some(Timestamp(MADE)));
        }
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

async fn the_tables_are_those_of_a_fresh_database(kind: Kind) {
    let fresh = OldServer { kind, database: Database::new(kind) };
    drop(open(&fresh.dsn(), None).await.expect("opens"));
    let schema = |of: &OldServer| {
        let ours = |table: &str| (!table.starts_with("legacy_")).then(|| table.to_owned());
        let mut lines = of.dump(ours);
        let kinds = ["column", "index", "constraint", "reference"];
        lines.retain(|line| line.split(' ').nth(1).is_some_and(|word| kinds.contains(&word)) && !line.contains(": "));
        lines
    };
    for generation in ALL {
        let old = OldServer::new(kind, generation);
        drop(open(&old.dsn(), None).await.expect("is taken over"));
        assert_eq!(schema(&old), schema(&fresh), "{generation:?}");
    }
    assert!(schema(&fresh).len() > 100, "{:?}", schema(&fresh));
}

async fn undone_it_leaves_the_old_tables_as_they_were(kind: Kind) {
    for generation in ALL {
        let old = OldServer::new(kind, generation);
        old.run("INSERT INTO api_keys (id,key_value,group_id) VALUES (5,'sk-5',1),(9,'sk-9',42)");
        let before = old.dump(whole);
        for _ in 1..=2 {
            let store = open(&old.dsn(), None).await.expect("is taken over");
            let added = store
                .writer(1)
                .insert_keys(GroupId(1), &["sk-new".into()], KeyState::Active, Default::default(), Timestamp::now())
                .await
                .expect("adds");
            assert_eq!(added.keys.len(), 1);
            drop(store);
            assert_eq!(Store::undo_take_over(old.dsn().as_str()).await.expect("is undone"), None);
            assert_eq!(old.dump(whole), before, "{generation:?}");
        }
        let refused = Store::undo_take_over(old.dsn().as_str()).await.expect_err("nothing to undo").to_string();
        assert!(refused.contains("was not taken over"), "{refused}");
    }
}

/// More than one batch of everything.
fn several_batches(kind: Kind) -> OldServer {
    let old = troubled(kind, PASSPHRASE, 2_300);
    let hours: Vec<String> =
        (0..2_100).map(|hour| format!("({},2,1)", old.time((1_700_002_800 + hour * 3_600) * 1_000))).collect();
    old.run(&format!("INSERT INTO group_hourly_stats (time,group_id,success_count) VALUES {}", hours.join(",")));
    old
}

async fn killed_at_any_moment_it_goes_on_where_it_was(kind: Kind) {
    let old = several_batches(kind);
    let before = old.dump(whole);
    let mut died = 0;
    let report = loop {
        // Every attempt gets a batch or two further, and dies; some die while they check.
        let watch = if died % 5 == 4 { dying_in(1, |stage| stage == "check") } else { dying(1 + died % 2) };
        match take_over_at(&old.dsn(), Some(PASSPHRASE), Options::default(), watch).await {
            Ok(report) => break report,
            Err(StoreError::Internal(text)) => assert!(text.contains("panic"), "{text}"),
            Err(error) => panic!("{error}"),
        }
        died += 1;
        assert!(died < 100, "it gets on");
        let old_tables = |table: &str| (!table.starts_with("new_")).then(|| table.to_owned());
        assert_eq!(old.dump(old_tables), before, "the old tables are not touched");
    };
    assert!(died >= 5, "it died {died} times");
    let counts = &report.keys;
    assert_eq!((counts.read, counts.taken, counts.duplicates, counts.orphans), (2_300, 2_254, 23, 23));
    assert_eq!((report.logs.read, report.logs.taken + report.logs.old, report.hours.read), (600, 600, 2_104));
    let store = open(&old.dsn(), Some(PASSPHRASE)).await.expect("opens");
    assert_eq!(store.request_totals().await.expect("totals"), (19 + 2_100, 3));
    let all = [keys(&store, 1).await, keys(&store, 2).await].concat();
    assert_eq!(all.len(), 2_254);
    assert!(all.iter().all(|key| value(key) == format!("sk-{}", key.id)));
}

async fn killed_while_tables_are_made_it_begins_again(kind: Kind) {
    let old = troubled(kind, PASSPHRASE, 300);
    assert!(take_over_at(&old.dsn(), Some(PASSPHRASE), Options::default(), dying(1)).await.is_err());
    // As if the last statements had not run yet, and then as if another version had made the tables.
    old.run("DELETE FROM new_takeovers; DROP TABLE new_policies CASCADE");
    assert!(take_over_at(&old.dsn(), Some(PASSPHRASE), Options::default(), dying(1)).await.is_err());
    old.run("DELETE FROM new___diesel_schema_migrations WHERE version > '20260104000000'");
    let report = take_over_at(&old.dsn(), Some(PASSPHRASE), Options::default(), quiet()).await.expect("afresh");
    assert_eq!((report.keys.read, report.keys.taken), (300, 294));
    let store = open(&old.dsn(), Some(PASSPHRASE)).await.expect("opens");
    assert_eq!(keys(&store, 1).await.len() + keys(&store, 2).await.len(), 294);
    let refused = open(&old.dsn(), Some("another")).await.err().expect("refused");
    assert!(matches!(refused, StoreError::Encryption(_)), "{refused}");
}

async fn an_old_program_that_goes_on_writing_is_noticed(kind: Kind) {
    let old = Arc::new(troubled(kind, PASSPHRASE, 300));
    let writer = Arc::clone(&old);
    let mut wrote = false;
    let writes: Watch = Box::new(move |moment: Moment| {
        if moment.stage == "request log" && !wrote {
            wrote = true;
            writer.run("INSERT INTO api_keys (id,key_value,group_id,status) VALUES (9000,'sk-late',1,'active')");
        }
    });
    let refused = take_over_at(&old.dsn(), Some(PASSPHRASE), Options::default(), writes).await.expect_err("refused");
    assert!(matches!(&refused, StoreError::Unavailable(text) if text.contains("Stop that program")), "{refused}");
    assert!(!old.tables().iter().any(|table| table.starts_with("new_")), "cleared away");
    let store = open(&old.dsn(), Some(PASSPHRASE)).await.expect("the next start takes it over");
    assert!(keys(&store, 1).await.iter().any(|key| value(key) == "sk-late"));
}

async fn old_tables_are_dropped_when_told(kind: Kind) {
    let old = troubled(kind, PASSPHRASE, 100);
    let own = Database::new(kind);
    drop(open(own.dsn(), None).await.expect("a database of this program"));
    let refused = Store::drop_taken_over(own.dsn()).await.expect_err("nothing to drop").to_string();
    assert!(refused.contains("was not taken over"), "{refused}");

    drop(open(&old.dsn(), Some(PASSPHRASE)).await.expect("is taken over"));
    let dropped = Store::drop_taken_over(old.dsn().as_str()).await.expect("drops");
    assert!(dropped.contains(&"legacy_api_keys".to_owned()) && dropped.contains(&"legacy_temp_migration".to_owned()));
    assert!(!old.tables().iter().any(|table| table.starts_with("legacy_")), "{:?}", old.tables());
    let taken = Store::taken_over(old.dsn().as_str()).await.expect("reads").expect("it is known still");
    assert!(!taken.old_tables);
    assert_eq!(Store::drop_taken_over(old.dsn().as_str()).await.expect("once more"), Vec::<String>::new());
    let refused = Store::undo_take_over(old.dsn().as_str()).await.expect_err("they are gone").to_string();
    assert!(refused.contains("were dropped") && refused.contains("Nothing was changed"), "{refused}");
    let store = open(&old.dsn(), Some(PASSPHRASE)).await.expect("opens");
    assert_eq!(keys(&store, 1).await.len() + keys(&store, 2).await.len(), 98);
}

async fn ids_that_mean_nothing_here_are_given_anew(kind: Kind) {
    let old = OldServer::new(kind, Generation::Two);
    let below = if kind == Kind::Postgres { "-7" } else { "0" };
    old.run(&format!(
        "INSERT INTO api_keys (id,key_value,group_id,status) VALUES ({below},'sk-below',1,'active'),(12,'sk-12',1,'active')"
    ));
    let store = open(&old.dsn(), None).await.expect("is taken over");
    let stored = keys(&store, 1).await;
    assert_eq!(stored.iter().map(|key| (key.id.0, value(key))).collect::<Vec<_>>(), [(12, "sk-12"), (13, "sk-below")]);
    let added = store
        .writer(1)
        .insert_keys(GroupId(1), &["sk-new".into()], KeyState::Active, Default::default(), Timestamp::now())
        .await
        .expect("adds");
    assert_eq!(added.keys[0].id, KeyId(14));
}
