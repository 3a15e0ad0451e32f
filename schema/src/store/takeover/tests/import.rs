use std::collections::BTreeMap;

use super::{
    old::{Generation, Old, troubled},
    *,
};
use crate::{
    channel::Channel,
    group::{GroupDefinition, GroupType, Upstream},
    time::Timestamp,
};

struct Here {
    store: Store,
    _dir: tempfile::TempDir,
}

impl Here {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("here.db").to_str().expect("UTF-8").to_owned();
        Self { store: open(&path, Some("here")).await.expect("opens"), _dir: dir }
    }

    async fn import(&self, old: &Old, watch: Watch) -> StoreResult<Report> {
        self.store.writer(1).import(old.path.as_str(), Some(PASSPHRASE.into()), Options::default(), watch).await
    }

    async fn group(&self, name: &str, channel: Channel) -> GroupId {
        let definition = GroupDefinition {
            name: name.to_owned(),
            display_name: String::new(),
            description: String::new(),
            group_type: GroupType::Standard,
            upstreams: vec![Upstream { url: "https://here.example".to_owned(), weight: 1 }],
            channel,
            sort: 0,
            test_model: "m".to_owned(),
            validation_endpoint: String::new(),
            param_overrides: None,
            model_redirect_rules: serde_json::Map::new(),
            model_redirect_strict: false,
            config: None,
            header_rules: None,
            proxy_keys: String::new(),
        };
        self.store.writer(1).insert_group(&definition, Timestamp::now()).await.expect("a group").id
    }
}

#[tokio::test]
async fn another_installation_is_brought_in_and_left_as_it_was() {
    let (here, old) = (Here::new().await, troubled(PASSPHRASE, 1_200));
    let kept = here.group("openai", Channel::OpenAi).await;
    here.group("claude", Channel::Gemini).await;
    let values = ["sk-2".into(), "sk-mine".into()];
    here.store
        .writer(1)
        .insert_keys(kept, &values, KeyState::Active, Default::default(), Timestamp::now())
        .await
        .expect("keys");
    let settings = BTreeMap::from([
        ("proxy_keys".to_owned(), Some("pk-here,pk-old-1".to_owned())),
        ("blacklist_threshold".to_owned(), Some("9".to_owned())),
    ]);
    here.store.writer(1).put_settings(&settings, Timestamp::now()).await.expect("settings");
    let before = old.bytes();

    let report = here.import(&old, quiet()).await.expect("is brought in");
    assert_eq!(old.bytes(), before);
    assert_eq!(old.beside("gpt-load.db"), ["gpt-load.db"]);
    assert_eq!(
        (report.keys.read, report.keys.taken, report.keys.duplicates, report.keys.orphans),
        (1_200, 1_175, 13, 12)
    );
    assert_eq!((report.groups_read, report.groups_taken, report.groups_merged), (3, 2, 1));
    assert_eq!(report.hours.left, 2, "{report}");

    let groups = here.store.groups().await.expect("groups");
    let named = |name: &str| groups.iter().find(|group| group.definition.name == name).expect("a group");
    assert_eq!(named("openai").definition.upstreams[0].url, "https://here.example", "what is here stays");
    assert_eq!(named("claude").definition.channel, Channel::Gemini);
    assert_eq!(named("claude-2").definition.channel, Channel::Anthropic);
    assert_eq!(named("all").sub_groups[0].group_id, kept);
    let mine = keys(&here.store, kept.0).await;
    assert!(mine.iter().any(|key| value(key) == "sk-mine") && mine.iter().all(|key| value(key).starts_with("sk-")));
    assert_eq!(mine.iter().filter(|key| value(key) == "sk-2").count(), 1);
    let settings = here.store.settings().await.expect("settings");
    assert_eq!(settings["proxy_keys"], "pk-here,pk-old-1,pk-old-2");
    assert_eq!((settings["blacklist_threshold"].as_str(), settings["request_timeout"].as_str()), ("9", "1000000"));
    assert_eq!(here.store.request_totals().await.expect("totals"), (16, 3));
    let logs = here.store.recent_logs(None, 1_000).await.expect("logs");
    assert_eq!(logs.len(), usize::try_from(report.logs.taken).expect("a count"));
    assert!(logs.iter().all(|log| log.key.is_some() && groups.iter().any(|group| group.id == log.group_id)));

    old.run("UPDATE api_keys SET status = 'active'; DELETE FROM api_keys WHERE id = 1");
    old.plain_keys(1, 90_000..90_003);
    let again = here.import(&old, quiet()).await.expect("once more");
    assert_eq!((again.keys.taken, again.groups_taken, again.groups_merged, again.hours.read), (3, 0, 3, 0));
    assert_eq!((again.logs.taken, here.store.request_totals().await.expect("totals")), (0, (16, 3)));
}

#[tokio::test]
async fn killed_it_goes_on_and_counts_nothing_twice() {
    let (here, old) = (Here::new().await, troubled(PASSPHRASE, 3_300));
    let mut died = 0;
    let report = loop {
        match here.import(&old, dying(1 + died % 2)).await {
            Ok(report) => break report,
            Err(StoreError::Internal(text)) => assert!(text.contains("panic"), "{text}"),
            Err(error) => panic!("{error}"),
        }
        died += 1;
        assert!(died < 100, "it gets on");
    };
    assert!(died > 2, "it died {died} times");
    assert_eq!((report.keys.read, report.keys.taken), (3_300, 3_234));
    let stored = keys(&here.store, 1).await.len() + keys(&here.store, 2).await.len();
    assert_eq!(stored, 3_234);
    assert_eq!(here.store.request_totals().await.expect("totals"), (16, 3));
    assert_eq!(here.store.groups().await.expect("groups").len(), 3);
}

#[tokio::test]
async fn what_cannot_be_imported_is_refused_with_a_sentence() {
    let here = Here::new().await;
    let old = troubled(PASSPHRASE, 100);
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    drop(open(&path("own.db"), None).await.expect("opens"));
    std::fs::write(path("empty.db"), "").expect("writable");
    std::fs::write(path("text.db"), "not a database at all, but long enough to be looked at by SQLite. ".repeat(20))
        .expect("writable");
    let import = async |from: &str, passphrase: &str| {
        let passphrase = (!passphrase.is_empty()).then(|| passphrase.into());
        here.store.writer(1).import(from, passphrase, Options::default(), quiet()).await.expect_err(from).to_string()
    };
    for (from, passphrase, word) in [
        (path("absent.db"), "", "there is no file"),
        (path("own.db"), "", "one of this program"),
        (path("empty.db"), "", "not one of an older GPT-Load"),
        (path("text.db"), "", "not a database"),
        ("postgres://u:hunter2@127.0.0.1:1/db".to_owned(), "", "cannot connect to PostgreSQL at 127.0.0.1:1/db"),
        ("u:hunter2@tcp(127.0.0.1:1)/db".to_owned(), "", "cannot connect to MySQL at 127.0.0.1:1/db"),
        (old.path.clone(), "wrong", "does not open"),
        (old.path.clone(), "", "there is no encryption key"),
    ] {
        let refused = import(&from, passphrase).await;
        assert!(refused.contains(word) && !refused.contains("hunter2"), "{from}: {refused}");
    }
    assert_eq!(here.store.groups().await.expect("groups"), []);
}

#[tokio::test]
async fn a_stale_writer_imports_nothing() {
    let (here, old) = (Here::new().await, Old::new(Generation::Two));
    here.store.writer(5).put_settings(&BTreeMap::new(), Timestamp::now()).await.expect("epoch 5");
    let refused = here.import(&old, quiet()).await.expect_err("epoch 1 is over");
    assert!(matches!(refused, StoreError::StaleEpoch { .. }), "{refused}");
    assert_eq!(here.store.groups().await.expect("groups"), []);
}
