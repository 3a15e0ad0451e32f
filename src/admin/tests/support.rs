//! A node's management API over a temporary SQLite database.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{App, http::Method, test, web};
use arc_swap::ArcSwapOption;
use gpt_load_actors::{
    pool::{Asked, Verdict, Want},
    routing::{RoutingSink, RoutingTable, SettingsSource},
    runtime::Runtime,
};
use gpt_load_schema::{
    access::Role,
    group::Group,
    ids::{GroupId, KeyId},
    key::KeyHealth,
    log::OutcomeClass,
    secret::Secret,
    settings::Settings,
    store::{KeyDelta, KeyFilter, Store},
    time::Timestamp,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::admin::{AdminState, AppFacts, configure, security_headers};

/// The management key of every test.
pub(super) const KEY: &str = "sk-management";

struct Rows;

impl SettingsSource for Rows {
    fn system(&self, rows: &BTreeMap<String, String>) -> Settings {
        Settings::from_rows(rows).0
    }

    fn effective(&self, system: &Settings, group: &Group) -> Settings {
        system.with_overrides(group.definition.config.as_ref())
    }
}

#[derive(Default)]
struct Latest(Arc<ArcSwapOption<RoutingTable>>);

impl RoutingSink for Latest {
    fn publish(&self, table: Arc<RoutingTable>) {
        self.0.store(Some(table));
    }
}

/// The API under test.
pub(super) struct Api {
    pub(super) state: web::Data<AdminState>,
    _folder: TempDir,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) text: String,
}

impl Api {
    /// An empty database.
    pub(super) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// An empty database and other facts.
    pub(super) async fn start_with(change: impl FnOnce(&mut AppFacts)) -> Self {
        Self::assembled(change, |state| state).await
    }

    /// An empty database and a state that knows more.
    pub(super) async fn start_as(finish: impl FnOnce(AdminState) -> AdminState) -> Self {
        Self::assembled(|_| (), finish).await
    }

    async fn assembled(change: impl FnOnce(&mut AppFacts), finish: impl FnOnce(AdminState) -> AdminState) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let store = Store::open(path.to_str().unwrap(), None).await.unwrap();
        let sink = Latest::default();
        let routing = Arc::clone(&sink.0);
        let settings: Arc<dyn SettingsSource> = Arc::new(Rows);
        let runtime = Runtime::start(store.clone(), Arc::clone(&settings), Arc::new(sink)).await.unwrap();
        let mut app = AppFacts {
            started_at: Timestamp::now(),
            version: "1.2.3".to_owned(),
            default_group: "default".to_owned(),
            allow_link_local: false,
            upstreams_ruled: false,
            trusted_proxies: Vec::new(),
        };
        change(&mut app);
        let state = AdminState::new(store, runtime, settings, routing, &Secret::from(KEY), app);
        Self { state: web::Data::new(finish(state)), _folder: folder }
    }

    /// Sends `request` as it is.
    pub(super) async fn send(&self, request: test::TestRequest) -> Answer {
        let app = App::new().wrap(security_headers()).app_data(self.state.clone()).configure(configure);
        let app = test::init_service(app).await;
        let response = test::call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let text = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
        Answer { status, headers, text }
    }

    /// A request in English with the management key.
    pub(super) fn request(method: Method, path: &str) -> test::TestRequest {
        test::TestRequest::with_uri(path)
            .method(method)
            .peer_addr(SocketAddr::from(([192, 0, 2, 1], 1234)))
            .insert_header(("Authorization", format!("Bearer {KEY}")))
            .insert_header(("Accept-Language", "en"))
    }

    /// A request in English without a key, from another address than those of [`Api::request`].
    pub(super) fn anonymous(method: Method, path: &str) -> test::TestRequest {
        test::TestRequest::with_uri(path)
            .method(method)
            .peer_addr(SocketAddr::from(([192, 0, 2, 9], 1)))
            .insert_header(("Accept-Language", "en"))
    }

    /// The same with a key.
    pub(super) fn with_key(method: Method, path: &str, key: &str) -> test::TestRequest {
        Self::anonymous(method, path).insert_header(("Authorization", format!("Bearer {key}")))
    }

    /// Makes an access token; answers its id and its value.
    pub(super) async fn token(&self, name: &str, role: Role) -> (i64, String) {
        let made = self.post("/api/tokens", json!({"name": name, "role": role})).await.data();
        (made["id"].as_i64().unwrap(), made["token"].as_str().unwrap().to_owned())
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Self::request(Method::GET, path)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(Self::request(Method::DELETE, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.raw(Method::POST, path, body.to_string()).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Answer {
        self.raw(Method::PUT, path, body.to_string()).await
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.raw(Method::PATCH, path, body.to_string()).await
    }

    /// Id of a key of a group.
    pub(super) async fn key_id(&self, group: i64, key: &str) -> i64 {
        let key = self.state.store.key_by_value(GroupId(group), &key.into()).await.unwrap();
        key.unwrap().id.0
    }

    /// Lets `key` of the first group end an attempt in `class`, with an hour to wait.
    pub(super) async fn settle(&self, key: &str, class: OutcomeClass, message: &str, now: Timestamp) {
        let table = self.state.routing.load_full().unwrap();
        let pool = &table.groups[0].pool;
        let lease = loop {
            let lease = pool.checkout(&Want::default(), now).unwrap();
            if lease.secret().expose() == key {
                break lease;
            }
        };
        let retry_after = Some(Duration::from_secs(3600));
        let verdict = Verdict { message: message.to_owned(), retry_after, ..Verdict::new(class, "test") };
        lease.settle(verdict, Asked { upstream: &Arc::from("https://api.openai.com"), model: "" }, now);
        self.state.runtime.flush().await.unwrap();
    }

    /// Any bytes as the body, without a content type.
    pub(super) async fn raw(&self, method: Method, path: &str, body: impl Into<web::Bytes>) -> Answer {
        self.send(Self::request(method, path).set_payload(body)).await
    }

    /// Makes a group of this name; answers its id.
    pub(super) async fn group(&self, name: &str) -> i64 {
        self.post("/api/groups", group(name)).await.data()["id"].as_i64().unwrap()
    }

    /// Adds active keys to a group.
    pub(super) async fn keys(&self, group: i64, keys: &[&str]) {
        let body = json!({"group_id": group, "keys": keys, "new_key_state": "active"});
        let added = self.post("/api/keys/add-multiple", body).await.data()["added_count"].clone();
        assert_eq!(added, keys.len());
    }

    /// Puts a stored key into `state` as an outcome would.
    pub(super) async fn put_into(&self, group: i64, key: &str, health: KeyHealth) {
        let store = &self.state.store;
        let filter = KeyFilter { value: Some(key.into()), ..KeyFilter::default() };
        let id: KeyId = store.keys_after(GroupId(group), &filter, None, 1).await.unwrap()[0].id;
        let delta = KeyDelta { id, health, failures: 3, reset_failures: false };
        let epoch = store.epoch().await.unwrap();
        store.writer(epoch).commit(&[delta], &[], Timestamp::now()).await.unwrap();
        self.state.runtime.reload().await.unwrap();
    }
}

/// The body that makes a group.
pub(super) fn group(name: &str) -> Value {
    json!({
        "name": name,
        "channel_type": "openai",
        "test_model": "gpt-4.1-nano",
        "upstreams": [{"url": "https://api.openai.com", "weight": 1}],
    })
}

/// `base` with the members of `change`.
pub(super) fn with(mut base: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The `data` of a success.
    pub(super) fn data(&self) -> Value {
        let mut body = self.json();
        assert_eq!((self.status, &body["code"]), (200, &json!(0)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json; charset=utf-8");
        assert!(body["message"].is_string());
        body["data"].take()
    }

    /// The `message` of a success without `data`.
    pub(super) fn message(&self) -> String {
        assert_eq!(self.data(), Value::Null);
        assert!(self.json().get("data").is_none());
        self.json()["message"].as_str().unwrap().to_owned()
    }

    /// Status, code and first field at fault (empty = none) of an error.
    pub(super) fn error(&self) -> (u16, String, String) {
        let body = self.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert!(!text(&body["message"]).is_empty(), "{}", self.text);
        (self.status, text(&body["code"]), text(&body["details"][0]["field"]))
    }

    /// Asserts status, code and first field of an error.
    pub(super) fn is_error(&self, status: u16, code: &str, field: &str, case: &str) {
        assert_eq!(self.error(), (status, code.to_owned(), field.to_owned()), "{case}: {}", self.text);
    }
}
