//! Policies from the management API to the wire: what people decide rules the very next request.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use gpt_load_benches::{double::Behaviour, raw::Answer};
use gpt_load_schema::{
    channel::Channel,
    ids::GroupId,
    log::{OutcomeClass, RequestType},
};
use serde_json::{Value, json};

use crate::support::{AUTH_KEY, Gateway, Request, code, definition};

impl Gateway {
    /// Makes policies and attaches them to a group, in this order; answers their ids.
    pub(crate) async fn policies(&self, group: GroupId, policies: &[(&str, Value)]) -> Vec<i64> {
        let mut ids = Vec::new();
        for (number, (kind, config)) in policies.iter().enumerate() {
            let body = json!({"name": format!("{kind}-{number}-of-{group}"), "type": kind, "config": config});
            ids.push(self.api("POST", "/api/policies", &body).await["id"].as_i64().unwrap());
        }
        let links: Vec<Value> = ids.iter().map(|id| json!({"policy_id": id})).collect();
        self.api("PUT", &format!("/api/groups/{group}/policies"), &json!(links)).await;
        ids
    }

    async fn configure(&self, policy: i64, config: Value) {
        self.api("PUT", &format!("/api/policies/{policy}"), &json!({"config": config})).await;
    }

    async fn attempts(&self, request: &Request) -> (u16, String) {
        let answer = self.send(request).await;
        (answer.head.status, answer.head.header("x-gpt-load-attempts").unwrap().to_owned())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "callers write the rules in place")]
fn rules(rules: Value) -> Value {
    json!({"rules": rules})
}

fn on_status(status: u16, rule: &Value) -> Value {
    let mut rule = rule.clone();
    rule["conditions"] = json!([{"type": "status_code", "operator": "equals", "value": status}]);
    rules(json!([rule]))
}

fn chat(model: &str) -> Request {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    Request::new("POST", "/v1/chat/completions").key(AUTH_KEY).json(&body)
}

fn retry_after(answer: &Answer) -> u64 {
    answer.head.header("retry-after").expect("a time").parse().unwrap()
}

#[actix_web::test]
async fn a_retry_rule_repeats_what_would_be_final_and_stops_what_would_be_repeated() {
    let gateway = Gateway::start().await;
    let group =
        gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2", "sk-3", "sk-4"], json!({"max_retries": 3})).await;
    gateway.double.on_path("/v1/chat", Behaviour::status(409));
    assert_eq!(gateway.attempts(&Request::chat(false)).await, (409, "1".to_owned()));

    let ids = gateway.policies(group, &[("retry", on_status(409, &json!({"name": "again", "action": "retry"})))]).await;
    assert_eq!(gateway.attempts(&Request::chat(false)).await, (409, "4".to_owned()));
    gateway.configure(ids[0], on_status(409, &json!({"name": "again", "action": "retry", "max_retries": 1}))).await;
    assert_eq!(gateway.attempts(&Request::chat(false)).await, (409, "2".to_owned()));
    gateway.configure(ids[0], on_status(503, &json!({"name": "enough", "action": "pass"}))).await;
    gateway.double.reset();
    gateway.double.on_path("/v1/chat", Behaviour::status(503));
    assert_eq!(gateway.attempts(&Request::chat(false)).await, (503, "1".to_owned()));

    let logs = gateway.logs().await;
    let last = logs.iter().rfind(|log| log.request_type == RequestType::Final).unwrap();
    assert_eq!(last.class, Some(OutcomeClass::UpstreamFault), "the class stays the classifier's");
    let evidence = last.evidence.as_deref().unwrap();
    assert!(evidence.starts_with(&format!("policy retry-0-of-{group}: enough: ")), "{evidence}");
}

#[actix_web::test]
async fn a_retry_waits_as_long_as_its_rule_says_but_not_beyond_the_deadline() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({"max_retries": 1})).await;
    let config = |millis: u32| on_status(429, &json!({"action": "retry", "backoff_ms": millis}));
    let ids = gateway.policies(group, &[("retry", config(400))]).await;
    gateway.double.on_next(1, Behaviour::status(429));
    let start = Instant::now();
    assert_eq!(gateway.attempts(&Request::chat(false)).await, (200, "2".to_owned()));
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());

    gateway.configure(ids[0], config(600_000)).await;
    gateway.double.on_next(1, Behaviour::status(429));
    gateway.api("PUT", &format!("/api/groups/{group}"), &json!({"config": {"request_timeout": 5}})).await;
    let start = Instant::now();
    let (status, attempts) = gateway.attempts(&Request::chat(false)).await;
    assert!(start.elapsed() < Duration::from_secs(5), "no wait for an attempt that would come too late");
    assert_eq!((status, attempts), (429, "1".to_owned()));
}

#[actix_web::test]
async fn rules_see_words_classes_models_and_the_first_event_of_a_stream() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({"max_retries": 1})).await;
    let rule = |kind: &str, value: &str, action: &str| {
        rules(json!([{"conditions": [{"type": kind, "operator": "equals", "value": value}], "action": action}]))
    };
    let ids = gateway.policies(group, &[("retry", rule("error_type", "odd_word", "retry"))]).await;
    let mut odd = Behaviour::status(400);
    odd.code = Some("odd_word".to_owned());
    gateway.double.on_next(1, odd.clone());
    assert_eq!(gateway.attempts(&Request::chat(false)).await, (200, "2".to_owned()));

    gateway.configure(ids[0], rule("error_class", "client_error", "retry")).await;
    gateway.double.on_next(1, Behaviour::status(422));
    assert_eq!(gateway.attempts(&Request::chat(false)).await, (200, "2".to_owned()));

    gateway.configure(ids[0], rule("model", "test-model", "retry")).await;
    gateway.double.on_next(1, Behaviour::status(422));
    assert_eq!(gateway.attempts(&Request::chat(false)).await, (200, "2".to_owned()));
    gateway.double.on_next(1, Behaviour::status(422));
    assert_eq!(gateway.attempts(&chat("other")).await, (422, "1".to_owned()));

    // An error before any content would be retried; the rule says to give it to the client.
    gateway.double.on_next(1, Behaviour::error_event(0));
    let before = gateway.attempts(&Request::chat(true)).await;
    gateway.configure(ids[0], rule("status_code", "200", "pass")).await;
    gateway.double.on_next(1, Behaviour::error_event(0));
    let after = gateway.attempts(&Request::chat(true)).await;
    assert_eq!((before.1.as_str(), after.1.as_str()), ("2", "1"));
    gateway.idle().await;
    let logs = gateway.logs().await;
    let evidence = logs.last().unwrap().evidence.as_deref().unwrap();
    assert!(evidence.starts_with("policy retry-0"), "the rule is named for the stream too: {evidence}");
}

#[actix_web::test]
async fn no_rule_repeats_what_the_settings_forbid_to_repeat() {
    let gateway = Gateway::start().await;
    let config = json!({"max_retries": 3, "retry_after_send": false});
    let group = gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], config).await;
    gateway.policies(group, &[("retry", rules(json!([{"action": "retry"}])))]).await;
    gateway.double.on_path("/v1/chat", Behaviour::reset(gpt_load_benches::double::At::Head));
    assert_eq!(gateway.attempts(&Request::chat(false)).await.1, "1");
}

#[actix_web::test]
async fn denied_models_get_a_403_in_the_channels_shape_and_no_attempt() {
    let gateway = Gateway::start().await;
    let filter = json!({"type": "exclude", "patterns": ["*-preview", "re:^secret"]});
    for (channel, name) in [(Channel::OpenAi, "default"), (Channel::Anthropic, "claude"), (Channel::Gemini, "gemini")] {
        let group = gateway.group(name, channel, &["sk-1"], json!({})).await;
        gateway.policies(group, &[("model_filter", filter.clone())]).await;
    }
    let refused = async |request: Request| {
        let answer = gateway.send(&request).await;
        assert_eq!((answer.head.status, code(&answer).as_str()), (403, "MODEL_NOT_ALLOWED"), "{}", answer.json());
        assert_eq!(answer.head.header("x-gpt-load-attempts"), Some("0"));
        answer.json()
    };
    let openai = refused(chat("o1-preview")).await;
    assert_eq!(openai["error"]["code"], "MODEL_NOT_ALLOWED");
    assert!(openai["message"].as_str().unwrap().contains("`o1-preview`"), "{openai}");
    let body = json!({"model": "secret-1", "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]});
    let claude = refused(Request::new("POST", "/proxy/claude/v1/messages").key(AUTH_KEY).json(&body)).await;
    assert_eq!(claude["error"]["type"], "permission_error");
    let target = "/proxy/gemini/v1beta/models/gemini-preview:generateContent";
    let gemini = refused(Request::new("POST", target).key(AUTH_KEY).json(&json!({"contents": []}))).await;
    assert_eq!(gemini["error"]["status"], "PERMISSION_DENIED");
    let body = json!({"model": "models/gemini-preview", "messages": []});
    refused(Request::new("POST", "/proxy/gemini/v1beta/openai/chat/completions").key(AUTH_KEY).json(&body)).await;
    refused(Request::new("GET", "/v1/models/secret-1").key(AUTH_KEY)).await;
    refused(Request::new("POST", "/openai/deployments/secret-1/chat/completions").key(AUTH_KEY).json(&json!({}))).await;
    let form = "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nsecret-1\r\n--XX--\r\n";
    let form = Request::new("POST", "/v1/audio/transcriptions").key(AUTH_KEY).body(form);
    refused(form.header("content-type", "multipart/form-data; boundary=XX")).await;
    assert!(gateway.double.requests().is_empty());

    assert_eq!(gateway.send(&chat("gpt-4o")).await.head.status, 200);
    let files = gateway.send(&Request::new("GET", "/v1/files").key(AUTH_KEY)).await;
    assert_eq!(files.head.status, 200, "a request without a model passes");
    let log = gateway.logs().await.remove(0);
    assert_eq!((log.status_code, log.class, log.model.as_str()), (403, None, "o1-preview"));
}

#[actix_web::test]
async fn a_model_that_cannot_be_read_is_refused() {
    let gateway = Gateway::start_with(Default::default(), &[("REPLAY_BUFFER_BYTES", "65536")]).await;
    let group = gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    gateway.policies(group, &[("model_filter", json!({"type": "include", "patterns": ["gpt-*"]}))]).await;
    let long = "x".repeat(100_000);
    let body = json!({"messages": [{"role": "user", "content": long}], "model": "gpt-4o"});
    let answer = gateway.send(&Request::new("POST", "/v1/chat/completions").key(AUTH_KEY).json(&body)).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (413, "PAYLOAD_TOO_LARGE"));
    let broken = Request::new("POST", "/v1/chat/completions").key(AUTH_KEY).header("content-type", "application/json");
    let answer = gateway.send(&broken.body(r#"{"model":"o3","x":NaN"#)).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (400, "BAD_REQUEST"));
    assert!(gateway.double.requests().is_empty());
    let form =
        format!("--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{long}\r\n--XX--\r\n");
    let upload = |path: &str| {
        let request = Request::new("POST", path).key(AUTH_KEY).body(form.clone());
        request.header("content-type", "multipart/form-data; boundary=XX")
    };
    assert_eq!(gateway.send(&upload("/v1/audio/transcriptions")).await.head.status, 413);
    gateway.send(&upload("/v1/files")).await;
    assert_eq!(gateway.double.requests().len(), 1, "a file has no model");
}

#[actix_web::test]
async fn a_filter_cannot_be_talked_round() {
    let gateway = Gateway::start().await;
    let filter = json!({"type": "include", "patterns": ["good*"]});
    for (channel, name) in [(Channel::OpenAi, "default"), (Channel::Anthropic, "claude"), (Channel::Gemini, "gemini")] {
        let group = gateway.group(name, channel, &["sk-1"], json!({})).await;
        gateway.policies(group, &[("model_filter", filter.clone())]).await;
    }
    let json = |path: &str, body: &str| {
        Request::new("POST", path).key(AUTH_KEY).header("content-type", "application/json").body(body.to_owned())
    };
    let of_kind = |kind: &str, body: &str| {
        Request::new("POST", "/v1/audio/transcriptions")
            .key(AUTH_KEY)
            .header("content-type", kind)
            .body(body.to_owned())
    };
    let form = |parts: &[&str]| {
        let part = |value: &&str| format!("--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{value}\r\n");
        parts.iter().map(part).collect::<String>() + "--XX--\r\n"
    };
    const FORM: &str = "multipart/form-data; boundary=XX";
    let chat = "/v1/chat/completions";
    let batch = r#"{"requests":[{"params":{"model":"good"}},{"params":{"model":"bad"}}]}"#;
    for (case, (request, status)) in [
        (json(chat, r#"{"model":"bad","model":"good"}"#), 403),
        (json(chat, r#"{"Model":"bad","model":"good"}"#), 403),
        (json(chat, r#"{"model":"good","models":["good","bad"]}"#), 403),
        (json("/proxy/claude/v1/messages/batches", batch), 403),
        (of_kind("text/plain", "\u{feff}{\"model\":\"bad\"}"), 400),
        (of_kind(FORM, &form(&["good", "bad"])), 403),
        (of_kind(FORM, &form(&["bad"]).replace("\r\n", "\n")), 400),
        (json("/proxy/gemini/v1beta/models/good/../bad:generateContent", "{}"), 400),
        (json("/proxy/gemini/v1beta/models/good%2F..%2Fbad:generateContent", "{}"), 400),
        (json("/proxy/gemini/v1beta/models/bad:generateContent/v1beta/openai", "{}"), 403),
        (json("/openai/deployments/good/../bad/chat/completions", "{}"), 400),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(gateway.send(&request).await.head.status, status, "case {case}");
    }
    assert!(gateway.double.requests().is_empty());
    for request in [
        of_kind(FORM, &form(&["good-1"])),
        json("/proxy/claude/v1/messages/batches", &batch.replace("bad", "good-2")),
        json("/proxy/gemini/v1beta/models/good-2.5:generateContent", "{}"),
    ] {
        assert_ne!(gateway.send(&request).await.head.header("x-gpt-load-attempts"), Some("0"));
    }
}

#[actix_web::test]
async fn model_lists_show_only_what_is_allowed() {
    let gateway = Gateway::start().await;
    let names = |list: &Value, of: &str, name: &str| -> BTreeSet<String> {
        list[of].as_array().unwrap().iter().map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
    };
    for (channel, group, path, of, name) in [
        (Channel::OpenAi, "openai", "/v1/models", "data", "id"),
        (Channel::Anthropic, "claude", "/v1/models", "data", "id"),
        (Channel::Gemini, "gemini", "/v1beta/models", "models", "name"),
    ] {
        let id = gateway.group(group, channel, &["sk-1"], json!({})).await;
        let request = Request::new("GET", &format!("/proxy/{group}{path}")).key(AUTH_KEY);
        let all = names(&gateway.send(&request).await.json(), of, name);
        assert!(all.len() > 1, "{all:?}");
        let hidden = all.first().unwrap().trim_start_matches("models/");
        let ids = gateway.policies(id, &[("model_filter", json!({"type": "exclude", "patterns": [hidden]}))]).await;
        let shown = names(&gateway.send(&request).await.json(), of, name);
        assert_eq!(shown, all.iter().skip(1).cloned().collect(), "{channel}");
        gateway.configure(ids[0], json!({"type": "include", "patterns": [hidden]})).await;
        let shown = names(&gateway.send(&request).await.json(), of, name);
        assert_eq!(shown, all.iter().take(1).cloned().collect(), "{channel}");
    }
}

#[actix_web::test]
async fn filters_name_what_clients_ask_for_not_what_it_is_redirected_to() {
    let gateway = Gateway::start().await;
    let mut group = definition("default", Channel::OpenAi, &[&gateway.double.url()], json!({}));
    group.model_redirect_rules = json!({"fast": "gpt-4o-mini", "other": "gpt-4.1"}).as_object().cloned().unwrap();
    let id = gateway.add_group(group, &["sk-1"]).await;
    gateway.policies(id, &[("model_filter", json!({"type": "include", "patterns": ["fast"]}))]).await;
    assert_eq!(gateway.send(&chat("fast")).await.head.status, 200);
    assert_eq!(gateway.send(&chat("gpt-4o-mini")).await.head.status, 403);
    assert_eq!(gateway.send(&chat("other")).await.head.status, 403);
    let list = gateway.send(&Request::new("GET", "/v1/models").key(AUTH_KEY)).await.json();
    let shown: Vec<_> = list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(shown, ["fast"]);
}

#[actix_web::test]
async fn a_rate_limit_is_exact_under_concurrency_and_survives_changes() {
    let gateway = Gateway::with_keys(&["sk-1", "sk-2"]).await;
    let group = gateway.find_group("default").await.id;
    let limit = |limit: u32| json!({"scope": "group", "limit": limit, "interval": "1h"});
    let ids = gateway.policies(group, &[("rate_limit", limit(20))]).await;
    let request = Request::chat(false);
    let answers = futures_util::future::join_all((0..100).map(|_| gateway.send(&request))).await;
    let served = answers.iter().filter(|answer| answer.head.status == 200).count();
    assert_eq!((served, gateway.double.requests().len()), (20, 20));
    for answer in answers.iter().filter(|answer| answer.head.status != 200) {
        assert_eq!((answer.head.status, code(answer).as_str()), (429, "RATE_LIMIT_EXCEEDED"));
        assert!((3_500..=3_601).contains(&retry_after(answer)), "{}", retry_after(answer));
        assert_eq!(answer.head.header("x-gpt-load-error-source"), Some("gateway"));
    }
    // The same policy with another limit goes on counting where it was.
    gateway.configure(ids[0], limit(23)).await;
    let mut served = 0;
    for _ in 0..10 {
        served += usize::from(gateway.send(&Request::chat(false)).await.head.status == 200);
    }
    assert_eq!(served, 3);
    gateway.api("PUT", &format!("/api/policies/{}", ids[0]), &json!({"is_active": false})).await;
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200, "switched off at once");
}

#[actix_web::test]
async fn after_the_time_it_names_a_limit_lets_the_next_request_through() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let group = gateway.find_group("default").await.id;
    let config = json!({"limit": 2, "interval": "1s500ms"});
    gateway.policies(group, &[("rate_limit", config)]).await;
    for _ in 0..2 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    let refused = gateway.send(&Request::chat(false)).await;
    assert_eq!(refused.head.status, 429);
    let seconds = retry_after(&refused);
    assert!((1..=2).contains(&seconds), "{seconds}");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
}

#[actix_web::test]
async fn proxy_keys_and_addresses_count_apart() {
    let gateway = Gateway::start_with(Default::default(), &[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    for (name, scope) in [("keys", "proxy_key"), ("addresses", "ip")] {
        let mut group = definition(name, Channel::OpenAi, &[&gateway.double.url()], json!({}));
        group.proxy_keys = "pk-1,pk-2".to_owned();
        let group = gateway.add_group(group, &["sk-1"]).await;
        gateway.policies(group, &[("rate_limit", json!({"scope": scope, "limit": 1, "interval": "1h"}))]).await;
    }
    let ask = async |group: &str, key: &str, ip: &str| {
        let body = json!({"model": "m", "messages": []});
        let request = Request::new("POST", &format!("/proxy/{group}/v1/chat/completions")).key(key).json(&body);
        gateway.send(&request.header("x-forwarded-for", ip)).await.head.status
    };
    assert_eq!((ask("keys", "pk-1", "1.1.1.1").await, ask("keys", "pk-1", "2.2.2.2").await), (200, 429));
    assert_eq!((ask("keys", "pk-2", "1.1.1.1").await, ask("keys", "pk-2", "1.1.1.1").await), (200, 429));
    assert_eq!((ask("addresses", "pk-1", "1.1.1.1").await, ask("addresses", "pk-2", "1.1.1.1").await), (200, 429));
    assert_eq!(ask("addresses", "pk-1", "2.2.2.2").await, 200);
    assert_eq!(
        (ask("addresses", "pk-1", "2001:db8::1").await, ask("addresses", "pk-1", "2001:db8::2").await),
        (200, 429)
    );
}

#[actix_web::test]
async fn a_key_over_its_limit_is_passed_over_like_a_resting_one() {
    let gateway = Gateway::with_keys(&["sk-1", "sk-2", "sk-3"]).await;
    let group = gateway.find_group("default").await.id;
    gateway.policies(group, &[("rate_limit", json!({"scope": "key", "limit": 2, "interval": "30m"}))]).await;
    let request = Request::chat(false);
    let answers = futures_util::future::join_all((0..30).map(|_| gateway.send(&request))).await;
    assert_eq!(answers.iter().filter(|answer| answer.head.status == 200).count(), 6);
    for answer in answers.iter().filter(|answer| answer.head.status != 200) {
        assert_eq!((answer.head.status, code(answer).as_str()), (429, "ALL_KEYS_RESTING"));
        assert!((1_700..=1_801).contains(&retry_after(answer)), "{}", retry_after(answer));
    }
    for key in ["sk-1", "sk-2", "sk-3"] {
        let used = gateway.double.requests();
        assert_eq!(used.iter().filter(|request| request.key.as_deref() == Some(key)).count(), 2, "{key}");
    }
}

#[actix_web::test]
async fn a_large_body_is_not_read_once_per_key_that_is_over_its_limit() {
    let keys: Vec<String> = (0..300).map(|number| format!("sk-{number}")).collect();
    let gateway = Gateway::with_keys(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let group = gateway.find_group("default").await.id;
    gateway.policies(group, &[("rate_limit", json!({"scope": "key", "limit": 1, "interval": "30m"}))]).await;
    for _ in 0..keys.len() {
        assert_eq!(gateway.send(&chat("m")).await.head.status, 200);
    }
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x".repeat(12 << 20)}]});
    let large = Request::new("POST", "/v1/chat/completions").key(AUTH_KEY).json(&body);
    let start = Instant::now();
    assert_eq!(gateway.send(&large).await.head.status, 429);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[actix_web::test]
async fn the_dry_run_tells_what_then_happens() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2", "sk-3"], json!({"max_retries": 2})).await;
    let policy = json!([
        {"name": "late", "priority": 5, "conditions": [
            {"type": "status_code", "operator": "gte", "value": 500},
            {"type": "error_message", "operator": "icontains", "value": "MAINTENANCE"}], "action": "pass"},
        {"name": "busy", "priority": 1, "conditions": [
            {"type": "error_message", "operator": "regex", "value": "^busy \\d+$"}],
         "action": "retry", "max_retries": 1},
    ]);
    gateway.policies(group, &[("retry", rules(policy))]).await;
    for (status, message, passes, attempts) in [
        (503, "Maintenance until noon", "pass", "1"),
        (404, "busy 17", "retry", "2"),
        (404, "busy", "as_class", "1"),
        (503, "down", "as_class", "3"),
    ] {
        let asked = json!({"group_id": group, "status": status, "message": message, "model": "test-model"});
        let told = gateway.api("POST", "/api/policies/evaluate", &asked).await;
        assert_eq!(told["request"]["action"], passes, "{told}");
        gateway.double.reset();
        gateway.double.on_path("/v1/chat", Behaviour::status(status).message(message));
        assert_eq!(gateway.attempts(&Request::chat(false)).await, (status, attempts.to_owned()), "{message}");
        let logs = gateway.logs().await;
        let last = logs.iter().rfind(|log| log.request_type == RequestType::Final).unwrap();
        assert_eq!(last.class.unwrap().as_str(), told["class"].as_str().unwrap());
        if let Some(by) = told["decided_by"].as_str() {
            assert!(last.evidence.as_deref().unwrap().starts_with(by), "{:?} {by}", last.evidence);
        }
    }
}

#[actix_web::test]
async fn a_hostile_expression_neither_passes_the_door_nor_holds_up_a_request() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"max_retries": 0})).await;
    let condition = |value: &str| {
        rules(
            json!([{"conditions": [{"type": "error_message", "operator": "regex", "value": value}], "action": "pass"}]),
        )
    };
    let body = json!({"name": "x", "type": "retry", "config": condition("a{1000000}")});
    let answer = gateway.send(&Request::new("POST", "/api/policies").key(AUTH_KEY).json(&body)).await;
    assert_eq!(answer.head.status, 400);
    assert_eq!(answer.json()["details"][0]["field"], "config.rules[0].conditions[0].value");
    gateway.policies(group, &[("retry", condition("(a+)+$"))]).await;
    gateway.double.on_path("/v1/chat", Behaviour::status(500).message(&("a".repeat(4_000) + "!")));
    let start = Instant::now();
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 500);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
