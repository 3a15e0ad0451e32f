//! A node, a double and a client for one test.

use std::{net::SocketAddr, path::Path, time::Duration};

use bytes::Bytes;
use gpt_load::{config::Config, node::Node};
use gpt_load_actors::commands::{Command, Reply};
use gpt_load_benches::{
    double::{Double, Options},
    raw::{Answer, Client},
};
use gpt_load_schema::{
    channel::Channel,
    group::{Group, GroupDefinition, GroupType, Upstream},
    ids::GroupId,
    key::{KeySource, KeyState},
    log::{RequestLog, RequestType},
    secret::Secret,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A part of secrets: no output of any program that a test runs may hold it (see `program`).
pub(crate) const MARKER: &str = "never-printed";
/// Management key and first proxy key of every test node.
pub(crate) const AUTH_KEY: &str = "test-management-key-never-printed-0123456789abcdef";
/// Bound on every wait of a test, far above what any of them needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A node with a double behind it.
pub(crate) struct Gateway {
    pub(crate) node: Node,
    pub(crate) double: Double,
    folder: TempDir,
}

/// Extra environment of a node.
pub(crate) type Env<'a> = &'a [(&'a str, &'a str)];

/// Starts a node on a database of its own in `folder`.
pub(crate) async fn start_node(folder: &Path, env: Env<'_>) -> anyhow::Result<Node> {
    let data = folder.join("data").display().to_string();
    let base = [("HOST", "127.0.0.1"), ("DATA_DIR", &data), ("WORKERS", "2"), ("LOG_LEVEL", "error")];
    let merged = base.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut loaded = Config::load(folder, merged)?;
    if env.iter().all(|(name, _)| *name != "PORT") {
        // Any free port; the configuration itself knows no such thing.
        loaded.config.port = 0;
    }
    Node::start(loaded).await
}

impl Gateway {
    /// A node with the management key and a plain double; no group yet.
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default(), &[]).await
    }

    /// The same with options and environment.
    pub(crate) async fn start_with(options: Options, env: Env<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let double = Double::start(options).unwrap();
        let env: Vec<_> = [("AUTH_KEY", AUTH_KEY)].into_iter().chain(env.iter().copied()).collect();
        let node = start_node(folder.path(), &env).await.unwrap();
        Self { node, double, folder }
    }

    /// Stops the node and starts it again on the same database.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(&[]).await
    }

    /// The same with further environment.
    pub(crate) async fn restart_with(self, env: Env<'_>) -> Self {
        let Self { node, double, folder } = self;
        node.stop().await;
        let env: Vec<_> = [("AUTH_KEY", AUTH_KEY)].into_iter().chain(env.iter().copied()).collect();
        let node = start_node(folder.path(), &env).await.unwrap();
        Self { node, double, folder }
    }

    /// A node with the group `default` on the OpenAI channel and these active keys.
    pub(crate) async fn with_keys(keys: &[&str]) -> Self {
        let gateway = Self::start().await;
        gateway.group("default", Channel::OpenAi, keys, json!({})).await;
        gateway
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.node.address()
    }

    /// Adds a group in front of the double, with settings and active keys.
    pub(crate) async fn group(&self, name: &str, channel: Channel, keys: &[&str], config: Value) -> GroupId {
        let definition = definition(name, channel, &[&self.double.url()], config);
        self.add_group(definition, keys).await
    }

    pub(crate) async fn add_group(&self, definition: GroupDefinition, keys: &[&str]) -> GroupId {
        let command = Command::CreateGroup(Box::new(definition));
        let Reply::Group(group) = self.node.runtime().execute(command).await.unwrap() else { panic!("no group") };
        if !keys.is_empty() {
            self.add_keys(group.id, keys).await;
        }
        group.id
    }

    pub(crate) async fn add_keys(&self, group: GroupId, keys: &[&str]) {
        let values = keys.iter().map(|key| Secret::from(*key)).collect();
        let command = Command::AddKeys { group, values, state: Some(KeyState::Active), source: KeySource::Manual };
        self.node.runtime().execute(command).await.unwrap();
    }

    pub(crate) async fn find_group(&self, name: &str) -> Group {
        let groups = self.node.store().groups().await.unwrap();
        groups.into_iter().find(|group| group.definition.name == name).unwrap()
    }

    /// State of each key of a group, after all outcomes so far.
    pub(crate) async fn key_states(&self, group: GroupId) -> Vec<(String, KeyState)> {
        self.node.runtime().flush().await.unwrap();
        let keys = self.node.store().keys_after(group, &Default::default(), None, 10_000).await.unwrap();
        keys.into_iter().map(|key| (key.value.unwrap().expose().to_owned(), key.health.state)).collect()
    }

    /// All log rows so far, oldest first.
    pub(crate) async fn logs(&self) -> Vec<RequestLog> {
        self.node.runtime().flush().await.unwrap();
        let mut logs = self.node.store().recent_logs(None, 100_000).await.unwrap();
        logs.sort_by_key(|log| log.id);
        logs
    }

    /// The one final row, when there was one request. A client may see the end of its request a moment before the row is
    /// handed over, so this asks until there is one.
    pub(crate) async fn final_log(&self) -> RequestLog {
        let asking = async {
            loop {
                let finals: Vec<_> =
                    self.logs().await.into_iter().filter(|log| log.request_type == RequestType::Final).collect();
                if !finals.is_empty() {
                    return finals;
                }
            }
        };
        let mut finals = tokio::time::timeout(PATIENCE, asking).await.expect("a final row");
        assert_eq!(finals.len(), 1, "{finals:?}");
        finals.remove(0)
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        let mut client = Client::connect(self.address()).await.unwrap();
        tokio::time::timeout(PATIENCE, client.exchange(&request.bytes())).await.expect("an answer").unwrap()
    }

    /// The `data` of a management request that succeeds.
    pub(crate) async fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = Request::new(method, path).key(AUTH_KEY).json(body);
        let answer = self.send(&request).await;
        assert_eq!(answer.head.status, 200, "{method} {path}: {}", String::from_utf8_lossy(&answer.body()));
        answer.json()["data"].take()
    }

    /// The pool of a group as the API shows it.
    pub(crate) async fn pool(&self, group: GroupId) -> Value {
        self.api("GET", &format!("/api/groups/{group}/pool?page_size=1000"), &Value::Null).await
    }

    /// Asks until `holds` for the pool of the group.
    pub(crate) async fn pool_until(&self, group: GroupId, holds: impl Fn(&Value) -> bool) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let mut pool = self.pool(group).await;
            if holds(&pool) {
                return pool;
            }
            // The sums and the episodes say why; the keys would bury them.
            assert!(begun.elapsed() < PATIENCE, "it does not come to pass: {}", {
                pool["keys"].take();
                pool
            });
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The warnings of `/health` for people.
    pub(crate) async fn warnings(&self) -> Vec<String> {
        let health = self.send(&Request::new("GET", "/health").key(AUTH_KEY)).await.json();
        let warnings = health["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().filter_map(|warning| warning.as_str().map(str::to_owned)).collect()
    }

    /// Resolves when no request is in flight: a client, or the double, may see the end of one a moment before its place is
    /// free again.
    pub(crate) async fn idle(&self) {
        let waiting = async {
            while self.node.in_flight() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("requests end");
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address()).await.unwrap()
    }
}

/// A group in front of `upstreams`.
#[allow(clippy::needless_pass_by_value, reason = "callers write the settings in place")]
pub(crate) fn definition(name: &str, channel: Channel, upstreams: &[&str], config: Value) -> GroupDefinition {
    GroupDefinition {
        name: name.to_owned(),
        display_name: String::new(),
        description: String::new(),
        group_type: GroupType::Standard,
        upstreams: upstreams.iter().map(|url| Upstream { url: (*url).to_owned(), weight: 1 }).collect(),
        channel,
        sort: 0,
        test_model: "test-model".to_owned(),
        validation_endpoint: String::new(),
        param_overrides: None,
        model_redirect_rules: Map::new(),
        model_redirect_strict: false,
        config: config.as_object().cloned(),
        header_rules: None,
        proxy_keys: String::new(),
    }
}

/// A client request, as bytes on the wire.
#[derive(Clone)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }

    /// A chat completion at the default group with the test's proxy key.
    pub(crate) fn chat(stream: bool) -> Self {
        Self::chat_at("/v1/chat/completions", stream)
    }

    pub(crate) fn chat_at(target: &str, stream: bool) -> Self {
        let messages = json!([{"role": "user", "content": "hi"}]);
        // Valid for chat completions, responses and messages alike.
        let body =
            json!({"model": "test-model", "stream": stream, "max_tokens": 64, "input": "hi", "messages": messages});
        Self::new("POST", target).key(AUTH_KEY).json(&body)
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: gateway.test\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let chunked = self.headers.iter().any(|(name, _)| name == "transfer-encoding");
        if !chunked && (!self.body.is_empty() || self.method == "POST") {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// The gateway's error code of an answer.
pub(crate) fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().unwrap_or_default().to_owned()
}
