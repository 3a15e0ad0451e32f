//! The store's behaviour, the same on every database; [`Fixture`] alone knows which one it is.

/// Makes three tests of each function, one for each kind of database.
macro_rules! on_every_database {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use super::super::Kind;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(Kind::Sqlite).await;
            }

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

mod access;
mod commit;
mod encryption;
mod groups;
mod keys;
pub(super) mod log_queries;
mod opening;
pub(super) mod plans;
mod policies;
mod resources;
mod servers;
mod statistics;
mod tasks;
mod tls;
mod trouble;
mod validation;
mod watermarks;

use serde_json::Map;
use uuid::Uuid;

use super::{
    testing::{Database, Kind},
    *,
};
use crate::{
    channel::Channel,
    crypto::envelope::Derivation,
    group::{Group, GroupDefinition, GroupType, Upstream},
    ids::GroupId,
    log::{OutcomeClass, RequestLog, RequestType, TokenUsage},
    time::Timestamp,
};

pub(super) const NOW: Timestamp = Timestamp(1_767_225_600_000);

/// A store on a fresh database with encryption on, and what keeps the database alive.
pub(super) struct Fixture {
    pub(super) store: Store,
    pub(super) writer: Writer,
    pub(super) database: Database,
}

impl Fixture {
    pub(super) async fn new(kind: Kind) -> Self {
        let database = Database::new(kind);
        let store = open(database.dsn(), Some("passphrase")).await.expect("a fresh database opens");
        Self { writer: store.writer(1), store, database }
    }

    pub(super) async fn group(&self, name: &str) -> Group {
        self.writer.insert_group(&definition(name), NOW).await.expect("the group is added")
    }

    async fn keys(&self, group: GroupId, values: &[&str]) -> Vec<KeyRecord> {
        let values: Vec<Secret> = values.iter().copied().map(Secret::from).collect();
        let inserted = self.writer.insert_keys(group, &values, KeyState::Active, KeySource::Manual, NOW).await;
        inserted.expect("the keys are added").keys
    }
}

/// Opens with a cheap key derivation.
async fn open(dsn: &str, passphrase: Option<&str>) -> StoreResult<Store> {
    Store::open_with(dsn.into(), passphrase.map(Secret::from).as_ref(), Derivation::with_rounds(2)).await
}

fn definition(name: &str) -> GroupDefinition {
    GroupDefinition {
        name: name.to_owned(),
        display_name: "Display".to_owned(),
        description: String::new(),
        group_type: GroupType::Standard,
        upstreams: vec![Upstream { url: "https://api.openai.com".to_owned(), weight: 1 }],
        channel: Channel::OpenAi,
        sort: 0,
        test_model: "gpt-4.1-nano".to_owned(),
        validation_endpoint: String::new(),
        param_overrides: None,
        model_redirect_rules: Map::new(),
        model_redirect_strict: false,
        config: None,
        header_rules: None,
        proxy_keys: "pk-one,pk-two".to_owned(),
    }
}

fn log(group: GroupId, key: Option<&KeyRecord>) -> RequestLog {
    RequestLog {
        id: Uuid::now_v7(),
        request_id: Uuid::now_v7(),
        attempt: 1,
        timestamp: NOW,
        group_id: group,
        group_name: "openai".to_owned(),
        parent: None,
        key: key.and_then(|key| Some((key.id, key.value.clone()?))),
        model: "gpt-4.1".to_owned(),
        upstream_model: None,
        class: Some(OutcomeClass::Success),
        evidence: None,
        is_success: true,
        source_ip: "10.0.0.1".to_owned(),
        status_code: 200,
        request_path: "/v1/chat/completions".to_owned(),
        duration_ms: 12,
        first_byte_ms: Some(7),
        error_message: String::new(),
        user_agent: String::new(),
        request_type: RequestType::Final,
        upstream_addr: "https://api.openai.com/v1/chat/completions".to_owned(),
        is_stream: false,
        request_body: String::new(),
        usage: TokenUsage { input: Some(3), output: Some(4), cached: None, reasoning: Some(0) },
        finish_reason: Some("stop".to_owned()),
    }
}
