//! A changed setting rules on the running node at once: every dynamic setting has an effect here, or a reason.

use std::time::Duration;

use gpt_load_benches::double::{At, Behaviour, Options};
use gpt_load_schema::{
    channel::Channel,
    ids::GroupId,
    key::{KeyHealth, KeyState},
    log::RequestLog,
    settings::DYNAMIC,
    store::KeyFilter,
    time::Timestamp,
};
use serde_json::{Value, json};

use crate::support::{AUTH_KEY, Gateway, Request};

/// Settings whose effect is seen elsewhere, and where.
const ELSEWHERE: [(&str, &str); 3] = [
    ("request_log_write_interval_minutes", "an upper bound of minutes that commits every 250 ms keep by far"),
    ("retry_budget_percent", "ten retries a second are always allowed; budgets.rs goes beyond"),
    ("resource_ttl_days", "the shortest time is a day; resources.rs looks at what is stored"),
];

/// What is seen of a setting: with the default, and with this value.
type Case = (&'static str, Value, &'static str, &'static str);

fn cases() -> Vec<Case> {
    vec![
        ("app_url", json!("https://gateway.example"), "http", "https"),
        ("proxy_keys", json!("pk-new"), "401", "200"),
        ("enable_request_body_logging", json!(true), "", "test-model"),
        ("request_timeout", json!(1), "200", "504"),
        ("response_header_timeout", json!(1), "200", "504"),
        ("stream_idle_timeout", json!(1), "Complete", "Cut"),
        // Connections of another kind are other connections.
        ("connect_timeout", json!(14), "1", "2"),
        ("idle_conn_timeout", json!(100), "1", "2"),
        ("max_idle_conns", json!(50), "1", "2"),
        ("max_idle_conns_per_host", json!(20), "1", "2"),
        ("upstream_http2", json!(true), "1", "2"),
        ("proxy_url", json!("http://127.0.0.1:9"), "200", "502"),
        ("max_retries", json!(0), "200", "500"),
        ("blacklist_threshold", json!(1), "degraded", "disabled"),
        ("failover_status_codes", json!("418"), "418", "200"),
        ("key_validation_interval_minutes", json!(5), "60", "5"),
        ("key_validation_concurrency", json!(1), "4", "1"),
        ("key_validation_timeout_seconds", json!(1), "true", "false"),
        ("new_key_state", json!("active"), "pending", "active"),
        ("key_selection", json!("sticky"), "2 keys", "1 keys"),
        ("sticky_header", json!("x-session"), "2 keys", "1 keys"),
        ("backoff_initial_seconds", json!(7), "60", "7"),
        ("backoff_max_seconds", json!(5), "60", "5"),
        ("cooldown_max_seconds", json!(5), "100", "5"),
        ("key_max_concurrency", json!(1), "200 200", "200 503"),
        ("key_rpm", json!(1), "200 200", "200 429"),
        ("pool_guard", json!(false), "0 out", "3 out"),
        ("pool_guard_min_keys", json!(4), "0 out", "3 out"),
        ("pool_guard_percent", json!(100), "0 out", "3 out"),
        ("retry_after_send", json!(false), "200", "502"),
        ("retry_empty_response", json!(true), "1", "2"),
        ("max_wait_ms", json!(5_000), "429", "200"),
        ("breaker_threshold", json!(1), "closed", "open"),
        ("auth_scheme", json!("api-key"), "true", "false"),
        ("include_stream_usage", json!(true), "false", "true"),
    ]
}

/// One look at a setting, with a group of its own that inherits it.
struct Look<'a> {
    gateway: &'a Gateway,
    round: usize,
}

impl Look<'_> {
    async fn group(&self, keys: usize, config: Value) -> GroupId {
        let keys: Vec<String> = (0..keys).map(|key| format!("sk-{}-{key}", self.round)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.gateway.group(&format!("look-{}", self.round), Channel::OpenAi, &keys, config).await
    }

    fn chat(&self, stream: bool) -> Request {
        Request::chat_at(&format!("/proxy/look-{}/v1/chat/completions", self.round), stream)
    }

    async fn status(&self) -> String {
        self.gateway.send(&self.chat(false)).await.head.status.to_string()
    }

    async fn health(&self, group: GroupId) -> KeyHealth {
        self.gateway.node.runtime().flush().await.unwrap();
        let keys = self.gateway.node.store().keys_after(group, &KeyFilter::default(), None, 1).await.unwrap();
        keys[0].health.clone()
    }

    /// How many keys requests for these users of one session go to.
    async fn keys_used(&self, users: &[&str]) -> String {
        self.gateway.double.reset();
        for user in users {
            let messages = json!([{"role": "user", "content": "hi"}]);
            let body = json!({"model": "test-model", "user": user, "messages": messages});
            let target = format!("/proxy/look-{}/v1/chat/completions", self.round);
            let request = Request::new("POST", &target).key(AUTH_KEY).header("x-session", "one").json(&body);
            assert_eq!(self.gateway.send(&request).await.head.status, 200);
        }
        let used: std::collections::BTreeSet<_> =
            self.gateway.double.requests().into_iter().filter_map(|request| request.key).collect();
        format!("{} keys", used.len())
    }

    /// Keys that are out after each of three has failed.
    async fn out_of(&self, keys: usize) -> String {
        let group = self.group(keys, json!({"max_retries": 0, "blacklist_threshold": 1})).await;
        self.gateway.double.on_every(Some(Behaviour::status(403)));
        for _ in 0..3 {
            assert_eq!(self.status().await, "403");
        }
        let states = self.gateway.key_states(group).await;
        let out = states.iter().filter(|(_, state)| !state.is_selectable()).count();
        format!("{out} out")
    }

    async fn tested(&self, keys: usize) -> Value {
        let group = self.group(keys, json!({})).await;
        let keys: Vec<String> = (0..keys).map(|key| format!("sk-{}-{key}", self.round)).collect();
        let body = json!({"group_id": group.0, "keys_text": keys.join(" ")});
        self.gateway.api("POST", "/api/keys/test-multiple", &body).await["results"].take()
    }

    async fn out_for(&self) -> String {
        let group = self.group(1, json!({"max_retries": 0, "blacklist_threshold": 1})).await;
        self.gateway.double.on_every(Some(Behaviour::status(403)));
        self.status().await;
        let health = self.health(group).await;
        health.disabled_until.unwrap().since(health.last_failure_at.unwrap()).as_secs().to_string()
    }

    /// What is seen of `key` now.
    async fn at(&self, key: &str) -> String {
        let (gateway, double) = (self.gateway, &self.gateway.double);
        let slowly = |millis| Behaviour::ok().delay_head(Duration::from_millis(millis));
        double.on_every(None);
        match key {
            "app_url" => {
                self.group(0, json!({})).await;
                let groups = gateway.api("GET", "/api/groups", &Value::Null).await;
                groups[0]["endpoint"].as_str().unwrap().split(':').next().unwrap().to_owned()
            }
            "proxy_keys" => {
                self.group(1, json!({})).await;
                let target = format!("/proxy/look-{}/v1/models", self.round);
                gateway.send(&Request::new("GET", &target).key("pk-new")).await.head.status.to_string()
            }
            "enable_request_body_logging" => {
                self.group(1, json!({})).await;
                self.status().await;
                let logged = gateway.logs().await.pop().unwrap().request_body;
                if logged.contains("test-model") { "test-model".to_owned() } else { logged }
            }
            "request_timeout" | "response_header_timeout" => {
                self.group(1, json!({"max_retries": 0})).await;
                double.on_next(1, slowly(1_500));
                self.status().await
            }
            "stream_idle_timeout" => {
                self.group(1, json!({})).await;
                double.on_next(1, Behaviour::ok().events(2).delay_event(Duration::from_millis(1_500)));
                format!("{:?}", gateway.send(&self.chat(true)).await.end)
            }
            "connect_timeout"
            | "idle_conn_timeout"
            | "max_idle_conns"
            | "max_idle_conns_per_host"
            | "upstream_http2" => {
                self.group(1, json!({})).await;
                assert_eq!([self.status().await, self.status().await], ["200", "200"]);
                double.connections().to_string()
            }
            "proxy_url" => {
                self.group(1, json!({"max_retries": 0})).await;
                self.status().await
            }
            "max_retries" => {
                self.group(2, json!({})).await;
                double.on_next(1, Behaviour::status(500));
                self.status().await
            }
            "blacklist_threshold" => {
                let group = self.group(1, json!({"max_retries": 0})).await;
                double.on_next(1, Behaviour::status(403));
                self.status().await;
                self.health(group).await.state.to_string()
            }
            "failover_status_codes" => {
                self.group(2, json!({})).await;
                double.on_next(1, Behaviour::status(418));
                self.status().await
            }
            "key_validation_interval_minutes" => {
                let group = self.group(1, json!({"max_retries": 0})).await;
                double.on_next(1, Behaviour::invalid_key());
                self.status().await;
                let health = self.health(group).await;
                let wait = health.next_validation_at.unwrap().since(health.last_failure_at.unwrap());
                ((wait.as_secs_f64() / 60.0).round() as u64).to_string()
            }
            "key_validation_concurrency" => {
                double.on_every(Some(slowly(300)));
                double.take_peak();
                self.tested(4).await;
                double.take_peak().to_string()
            }
            "key_validation_timeout_seconds" => {
                double.on_every(Some(slowly(1_500)));
                self.tested(1).await[0]["is_valid"].to_string()
            }
            "new_key_state" => {
                // Nothing proves the key meanwhile.
                double.on_every(Some(Behaviour::status(500)));
                let group = self.group(0, json!({})).await;
                let body = json!({"group_id": group.0, "keys_text": format!("sk-new-{}", self.round)});
                gateway.api("POST", "/api/keys/add-multiple", &body).await;
                self.health(group).await.state.to_string()
            }
            "key_selection" => {
                self.group(2, json!({})).await;
                self.keys_used(&["one"; 4]).await
            }
            "sticky_header" => {
                self.group(2, json!({"key_selection": "sticky"})).await;
                let users: Vec<String> = (0..32).map(|user| format!("user-{user}")).collect();
                self.keys_used(&users.iter().map(String::as_str).collect::<Vec<_>>()).await
            }
            "backoff_initial_seconds" | "backoff_max_seconds" => self.out_for().await,
            "cooldown_max_seconds" => {
                let group = self.group(1, json!({"max_retries": 0})).await;
                double.on_next(1, Behaviour::rate_limited(100));
                let asked = Timestamp::now();
                self.status().await;
                let rests = self.health(group).await.resting_until.unwrap().since(asked).as_secs_f64();
                // The wait may be spread a little.
                if rests > 50.0 { "100".to_owned() } else { (rests.round() as u64).to_string() }
            }
            "key_max_concurrency" => {
                self.group(1, json!({"max_retries": 0})).await;
                double.on_next(1, Behaviour::ok().delay_head(Duration::from_secs(2)));
                let first = self.status();
                let second = async {
                    while double.requests().iter().filter(|request| request.answered_at.is_none()).count() == 0 {
                        tokio::task::yield_now().await;
                    }
                    self.status().await
                };
                let (first, second) = tokio::join!(first, second);
                format!("{first} {second}")
            }
            "key_rpm" => {
                self.group(1, json!({"max_retries": 0})).await;
                format!("{} {}", self.status().await, self.status().await)
            }
            "pool_guard" | "pool_guard_min_keys" => self.out_of(3).await,
            "pool_guard_percent" => self.out_of(5).await,
            "retry_after_send" => {
                self.group(2, json!({})).await;
                double.on_next(1, Behaviour::reset(At::Head));
                self.status().await
            }
            "retry_empty_response" => {
                self.group(2, json!({})).await;
                double.reset();
                double.on_next(1, Behaviour::empty());
                self.status().await;
                double.requests().len().to_string()
            }
            "max_wait_ms" => {
                self.group(1, json!({"max_retries": 0})).await;
                double.on_next(1, Behaviour::rate_limited(1));
                assert_eq!(self.status().await, "429");
                self.status().await
            }
            "breaker_threshold" => {
                let group = self.group(1, json!({"max_retries": 0})).await;
                double.on_next(1, Behaviour::status(500));
                assert_eq!(self.status().await, "500");
                gateway.pool(group).await["upstreams"][0]["circuit"].as_str().unwrap().to_owned()
            }
            "auth_scheme" => {
                self.group(1, json!({})).await;
                double.reset();
                self.status().await;
                double.requests()[0].header("authorization").is_some().to_string()
            }
            "include_stream_usage" => {
                self.group(1, json!({})).await;
                double.reset();
                gateway.send(&self.chat(true)).await;
                double.requests()[0].json().get("stream_options").is_some().to_string()
            }
            other => panic!("{other} has no look"),
        }
    }
}

#[actix_web::test]
async fn every_setting_takes_effect_without_a_restart() {
    let mut wrong = Vec::new();
    for (key, value, before, after) in cases() {
        // One worker: what is seen of connections is seen of all.
        let gateway = Gateway::start_with(Options::default(), &[("WORKERS", "1")]).await;
        let seen = Look { gateway: &gateway, round: 1 }.at(key).await;
        // The management key stays a proxy key where the test does not look at those.
        gateway.api("PUT", "/api/settings", &json!({key: value})).await;
        let then = Look { gateway: &gateway, round: 2 }.at(key).await;
        if (seen.as_str(), then.as_str()) != (before, after) {
            wrong.push(format!("{key}: {seen:?} and then {then:?}, not {before:?} and then {after:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_setting_has_an_effect_or_a_reason() {
    let mut told: Vec<&str> = cases().iter().map(|case| case.0).chain(ELSEWHERE.map(|(key, _)| key)).collect();
    told.push("request_log_retention_days");
    told.sort_unstable();
    let mut declared: Vec<&str> = DYNAMIC.iter().map(|declaration| declaration.key).collect();
    declared.sort_unstable();
    assert_eq!(told, declared);
    assert!(DYNAMIC.iter().all(|declaration| declaration.hot && !declaration.planned));
}

#[actix_web::test]
async fn a_shorter_retention_deletes_at_once_and_none_deletes_nothing() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    gateway.send(&Request::chat(false)).await;
    let recent = gateway.final_log().await;
    let old = |days: u64| RequestLog {
        id: uuid::Uuid::now_v7(),
        timestamp: Timestamp::now() - Duration::from_secs(days * 24 * 3600 + 60),
        ..recent.clone()
    };
    let (store, runtime) = (gateway.node.store(), gateway.node.runtime());
    let rows = [old(1), old(2), old(4), old(400)];
    let epoch = store.epoch().await.unwrap();
    store.writer(epoch).commit(&[], &rows, Timestamp::now()).await.unwrap();
    let left = async |days: u64| {
        gateway.api("PUT", "/api/settings", &json!({"request_log_retention_days": days})).await;
        // What was asked for before is done before.
        runtime.flush().await.unwrap();
        store.recent_logs(None, 10).await.unwrap().len()
    };
    assert_eq!(left(0).await, 5, "0 keeps everything");
    assert_eq!(left(3).await, 3);
    assert_eq!(left(1).await, 1);
    let state = gateway.key_states(recent.group_id).await;
    assert_eq!(state, [("sk-1".to_owned(), KeyState::Active)], "and nothing else changes");
}
