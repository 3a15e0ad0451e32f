//! A node without its data path: a store in a temporary directory and the actors over it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use gpt_load_cluster::Cluster;
use gpt_load_schema::{
    channel::Channel,
    group::{Group, GroupDefinition, GroupType, Upstream},
    ids::{GroupId, KeyId},
    key::{KeyRecord, KeySource, KeyState},
    log::{OutcomeClass, RequestLog, RequestType, TokenUsage},
    secret::Secret,
    settings::Settings,
    store::{KeyFilter, Store},
    time::Timestamp,
};
use serde_json::Map;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    commands::{Command, Reply},
    journal::{Fsync, Journal, JournalOptions},
    pool::{KeyLease, PoolHandle, Verdict, Want},
    routing::{RoutingSink, RoutingTable, SettingsSource},
    runtime::Runtime,
};

/// The actors, their database, and the routing table they published last.
pub(crate) struct Node {
    pub(crate) runtime: Runtime,
    pub(crate) store: Store,
    pub(crate) sink: Arc<Sink>,
    pub(crate) dir: TempDir,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary directory")).await
    }

    /// A node with its database and its journal in `dir`.
    pub(crate) async fn start_in(dir: TempDir) -> Self {
        let path = dir.path().join("gpt-load.db");
        let store = Store::open(path.to_str().expect("a UTF-8 path"), None).await.expect("the store opens");
        let sink = Arc::new(Sink::default());
        let options = JournalOptions { folder: dir.path().join("journal"), fsync: Fsync::Never, max_bytes: 256 << 20 };
        let journal = Journal::open(options).expect("the journal opens");
        let runtime = Runtime::start_journaled(store.clone(), Arc::new(Fixed), sink.clone(), journal);
        let runtime = runtime.await.expect("the actors start");
        Self { runtime, store, sink, dir }
    }

    /// A node of a cluster, with its journal in `dir`.
    pub(crate) async fn start_among(cluster: Cluster, store: Store, dir: TempDir) -> Self {
        let sink = Arc::new(Sink::default());
        let options = JournalOptions { folder: dir.path().join("journal"), fsync: Fsync::Never, max_bytes: 256 << 20 };
        let journal = Journal::open(options).expect("the journal opens");
        let runtime = Runtime::start_with(store.clone(), Arc::new(Fixed), sink.clone(), cluster, journal);
        let runtime = runtime.await.expect("the actors start");
        Self { runtime, store, sink, dir }
    }

    /// Stops everything and starts it again over the same database.
    pub(crate) async fn restart(self) -> Self {
        self.runtime.stop().await;
        let Self { dir, .. } = self;
        Self::start_in(dir).await
    }

    pub(crate) async fn execute(&self, command: Command) -> Reply {
        self.runtime.execute(command).await.expect("the command is carried out")
    }

    /// A group with `keys` active keys `sk-test-1` and so on.
    pub(crate) async fn group(&self, name: &str, keys: usize) -> GroupId {
        let created = self.execute(Command::CreateGroup(Box::new(definition(name)))).await;
        let Reply::Group(group) = created else { panic!("not a group: {created:?}") };
        let added = self.execute(add(group.id, 1..=keys)).await;
        let Reply::Added { added, total, .. } = added else { panic!("not an addition: {added:?}") };
        assert_eq!((added, total), (i64::try_from(keys).expect("small"), i64::try_from(keys).expect("small")));
        group.id
    }

    pub(crate) fn pool(&self, group: GroupId) -> PoolHandle {
        let table = self.sink.0.load_full().expect("a table was published");
        table.groups.iter().find(|route| route.group.id == group).expect("the group is routed").pool.clone()
    }

    /// Checks keys out until it is the turn of the `number`th key of the database.
    pub(crate) async fn lease(&self, group: GroupId, number: usize) -> KeyLease {
        let id = self.keys(group).await[number - 1].id;
        let pool = self.pool(group);
        (0..1_000)
            .map(|_| pool.checkout(&FIRST, Timestamp::now()).expect("a key is usable"))
            .find(|lease| lease.id() == id)
            .expect("the key has its turn")
    }

    /// Settles one use of the `number`th key.
    pub(crate) async fn use_key(
        &self,
        group: GroupId,
        number: usize,
        class: OutcomeClass,
        wait: Option<Duration>,
    ) -> KeyId {
        let lease = self.lease(group, number).await;
        let id = lease.id();
        lease.settle(
            verdict(class, wait),
            crate::pool::Asked { upstream: &"http://up".into(), model: "" },
            Timestamp::now(),
        );
        id
    }

    pub(crate) async fn keys(&self, group: GroupId) -> Vec<KeyRecord> {
        self.store.keys_after(group, &KeyFilter::default(), None, 1_000).await.expect("the keys are read")
    }

    /// Stores one setting.
    pub(crate) async fn set(&self, key: &str, value: &str) {
        self.execute(Command::PutSettings(BTreeMap::from([(key.to_owned(), Some(value.to_owned()))]))).await;
    }

    pub(crate) async fn flush(&self) {
        self.runtime.flush().await.expect("all is stored");
    }
}

/// What a first attempt wants.
pub(crate) const FIRST: Want<'static> =
    Want { tried: &[], first_attempt: true, sticky: None, model: "", is_open: None };

pub(crate) fn verdict(class: OutcomeClass, retry_after: Option<Duration>) -> Verdict {
    Verdict { message: "said no".to_owned(), retry_after, ..Verdict::new(class, "test") }
}

pub(crate) fn add(group: GroupId, numbers: impl IntoIterator<Item = usize>) -> Command {
    let values = numbers.into_iter().map(|number| Secret::from(format!("sk-test-{number}"))).collect();
    Command::AddKeys { group, values, state: Some(KeyState::Active), source: KeySource::Manual }
}

pub(crate) fn definition(name: &str) -> GroupDefinition {
    GroupDefinition {
        name: name.to_owned(),
        display_name: String::new(),
        description: String::new(),
        group_type: GroupType::Standard,
        upstreams: vec![Upstream { url: "http://up".to_owned(), weight: 1 }],
        channel: Channel::OpenAi,
        sort: 0,
        test_model: "gpt-4o-mini".to_owned(),
        validation_endpoint: String::new(),
        param_overrides: None,
        model_redirect_rules: Map::new(),
        model_redirect_strict: false,
        config: None,
        header_rules: None,
        proxy_keys: String::new(),
    }
}

/// Keeps the table published last.
#[derive(Default)]
pub(crate) struct Sink(pub(crate) ArcSwapOption<RoutingTable>);

impl RoutingSink for Sink {
    fn publish(&self, table: Arc<RoutingTable>) {
        self.0.store(Some(table));
    }
}

/// Settings as stored, the same for every group.
pub(crate) struct Fixed;

impl SettingsSource for Fixed {
    fn system(&self, rows: &BTreeMap<String, String>) -> Settings {
        Settings::from_rows(rows).0
    }

    fn effective(&self, system: &Settings, _: &Group) -> Settings {
        system.clone()
    }
}

/// A log row that its duration tells apart.
pub(crate) fn log_row(number: i64) -> RequestLog {
    RequestLog {
        id: Uuid::now_v7(),
        request_id: Uuid::now_v7(),
        attempt: 1,
        timestamp: Timestamp::now(),
        group_id: GroupId(1),
        group_name: "default".to_owned(),
        parent: None,
        key: None,
        model: "gpt-4o".to_owned(),
        upstream_model: None,
        class: Some(OutcomeClass::Success),
        evidence: None,
        is_success: true,
        source_ip: "127.0.0.1".to_owned(),
        status_code: 200,
        request_path: "/v1/chat/completions".to_owned(),
        duration_ms: number,
        first_byte_ms: None,
        error_message: String::new(),
        user_agent: String::new(),
        request_type: RequestType::Final,
        upstream_addr: String::new(),
        is_stream: false,
        request_body: String::new(),
        usage: TokenUsage::default(),
        finish_reason: None,
    }
}
