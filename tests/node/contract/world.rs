//! A node that has one of everything, and requests to it.

use std::collections::BTreeMap;

use gpt_load_benches::double::{At, Behaviour};
use gpt_load_schema::{channel::Channel, ids::GroupId, key::KeyState};
use serde_json::{Value, json};

use crate::support::{AUTH_KEY, Gateway, PATIENCE, Request};

/// An answer, read.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) allow: Option<String>,
    pub(crate) text: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Status and, for an error, code and first field: `200`, `400 VALIDATION_FAILED name`.
    pub(crate) fn told(&self) -> String {
        let body: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let parts = [self.status.to_string(), text(&body["code"]), text(&body["details"][0]["field"])];
        parts.join(" ").trim_end().to_owned()
    }
}

/// One of everything. `$name` in paths and bodies of cases stands for an id.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    ids: BTreeMap<&'static str, String>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let gateway = Gateway::start().await;
        let mut ids = BTreeMap::new();
        let keys = ["sk-one", "sk-two", "sk-three", "sk-bad"];
        let default = gateway.group("default", Channel::OpenAi, &keys, json!({})).await;
        ids.insert("group", default.to_string());
        for (name, keys) in [("other", &["sk-other"][..]), ("member", &["sk-member"]), ("gone", &["sk-gone"])] {
            ids.insert(name, gateway.group(name, Channel::OpenAi, keys, json!({})).await.to_string());
        }
        ids.insert("gemini", gateway.group("gemini", Channel::Gemini, &[], json!({})).await.to_string());
        ids.insert("many", gateway.group("many", Channel::OpenAi, &[], json!({})).await.to_string());
        ids.insert("empty", gateway.group("empty", Channel::OpenAi, &[], json!({})).await.to_string());
        for (name, body) in [
            ("aggregate", json!({"name": "aggregate", "channel_type": "openai", "group_type": "aggregate"})),
            ("lone", json!({"name": "lone", "channel_type": "openai", "group_type": "aggregate"})),
        ] {
            ids.insert(name, gateway.api("POST", "/api/groups", &body).await["id"].to_string());
        }
        let mut world = Self { gateway, ids };
        world
            .api("POST", "/api/groups/$aggregate/sub-groups", r#"{"sub_groups": [{"group_id": $member, "weight": 1}]}"#)
            .await;
        for (name, policy) in [
            (
                "policy",
                json!({"name": "models", "type": "model_filter", "config": {"type": "exclude", "patterns": ["x-*"]}}),
            ),
            (
                "key_limit",
                json!({"name": "limit", "type": "rate_limit", "config": {"scope": "key", "limit": 9, "interval": "1m"}}),
            ),
            ("unused", json!({"name": "unused", "type": "retry", "config": {"rules": [{"action": "pass"}]}})),
        ] {
            let id = world.gateway.api("POST", "/api/policies", &policy).await["id"].to_string();
            world.ids.insert(name, id);
        }
        let path = world.filled("/api/keys?group_id=$group&page_size=100");
        let listed = world.gateway.api("GET", &path, &Value::Null).await;
        for item in listed["items"].as_array().unwrap() {
            let name = match item["key_value"].as_str().unwrap() {
                "sk-one" => "key",
                "sk-bad" => "bad_key",
                _ => continue,
            };
            world.ids.insert(name, item["id"].to_string());
        }
        world.api("PATCH", "/api/keys/$bad_key", r#"{"state": "invalid"}"#).await;
        assert_eq!(world.gateway.send(&Request::chat(false)).await.head.status, 200);
        let request = world.gateway.final_log().await.request_id;
        world.ids.insert("request", request.to_string());
        let states = world.gateway.key_states(default).await;
        assert!(states.contains(&("sk-bad".to_owned(), KeyState::Invalid)), "{states:?}");
        world
    }

    /// `text` with ids for names.
    pub(crate) fn filled(&self, text: &str) -> String {
        // Longest first, so that `$group` does not spoil `$group_x`.
        let mut names: Vec<_> = self.ids.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.into_iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("${name}"), id))
    }

    /// A request with the management key; an empty body is none.
    pub(crate) async fn send(&self, method: &str, path: &str, body: impl Into<bytes::Bytes>) -> Got {
        self.send_as(Request::new(method, path).key(AUTH_KEY).header("accept-language", "en"), body).await
    }

    /// The same with other headers.
    pub(crate) async fn send_as(&self, request: Request, body: impl Into<bytes::Bytes>) -> Got {
        let body: bytes::Bytes = body.into();
        let request = if body.is_empty() { request } else { request.body(body) };
        self.send_bytes(&request.bytes()).await
    }

    /// Bytes on a connection of their own.
    pub(crate) async fn send_bytes(&self, bytes: &[u8]) -> Got {
        let mut client = self.gateway.client().await;
        let answer = tokio::time::timeout(PATIENCE, client.exchange(bytes)).await.expect("an answer").unwrap();
        Got {
            status: answer.head.status,
            content_type: answer.head.header("content-type").unwrap_or_default().to_owned(),
            allow: answer.head.header("allow").map(str::to_owned),
            text: String::from_utf8(answer.body().to_vec()).expect("an answer in UTF-8"),
        }
    }

    /// From now on providers do not answer, and the group `many` has more keys than are validated without a task.
    pub(crate) async fn with_much_to_do(&self) {
        self.gateway.double.on_every(Some(Behaviour::hang(At::Head)));
        let keys: Vec<String> = (0..1001).map(|number| format!("sk-many-{number}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.gateway.add_keys(GroupId(self.ids["many"].parse().unwrap()), &keys).await;
    }

    /// A request that succeeds, with names filled in.
    pub(crate) async fn api(&self, method: &str, path: &str, body: &str) -> Value {
        let got = self.send(method, &self.filled(path), self.filled(body)).await;
        assert_eq!(got.status, 200, "{method} {path} {body}: {}", got.text);
        got.json()["data"].clone()
    }
}
