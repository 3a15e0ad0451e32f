//! The node proves keys at a provider: by itself, by a task, and when it is asked to.

use std::{collections::BTreeMap, path::Path, time::Duration};

use gpt_load_actors::commands::{Command, Reply};
use gpt_load_benches::{
    double::{At, Behaviour, Double, Options},
    raw::Client,
};
use gpt_load_schema::{
    channel::Channel,
    group::{HeaderAction, HeaderRule},
    ids::GroupId,
    key::{KeyHealth, KeySource, KeyState},
    secret::Secret,
    store::{KeyDelta, KeyFilter, Store},
    time::Timestamp,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{AUTH_KEY, Gateway, PATIENCE, Request, definition, start_node};

impl Gateway {
    async fn add_pending(&self, group: GroupId, keys: &[String]) {
        let body = json!({"group_id": group, "keys": keys, "new_key_state": "pending"});
        assert_eq!(self.api("POST", "/api/keys/add-multiple", &body).await["added_count"], keys.len());
    }

    /// Asks until the keys of a group are in these states.
    async fn keys_become(&self, group: GroupId, expected: &[(&str, KeyState)]) {
        let expected: BTreeMap<_, _> = expected.iter().map(|(key, state)| ((*key).to_owned(), *state)).collect();
        let becoming = async {
            loop {
                let states: BTreeMap<_, _> =
                    self.key_states(group).await.into_iter().map(|(key, state)| (key, state.as_str())).collect();
                if expected.iter().all(|(key, state)| states.get(key) == Some(&state.as_str())) {
                    return;
                }
            }
        };
        if timeout(PATIENCE, becoming).await.is_err() {
            panic!("not {expected:?} but {:?}", self.key_states(group).await);
        }
    }

    async fn task_ends(&self) -> Value {
        let ending = async {
            loop {
                let task = self.api("GET", "/api/tasks/status", &json!({})).await;
                if task["is_running"] == false {
                    return task;
                }
            }
        };
        timeout(PATIENCE, ending).await.expect("the task ends")
    }
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("sk-provider-key-{number:04}")).collect()
}

#[actix_web::test]
async fn pending_keys_are_proved_by_the_node_itself_in_every_channel() {
    let gateway = Gateway::start().await;
    gateway.double.on_key("sk-refused", Behaviour::status(401));
    for channel in Channel::ALL {
        let mut group = definition(channel.as_str(), channel, &[&gateway.double.url()], json!({}));
        let rule = |key: &str, value: &str| HeaderRule {
            key: key.to_owned(),
            value: value.to_owned(),
            action: HeaderAction::Set,
        };
        group.header_rules = Some(vec![rule("X-Group", "${GROUP_NAME}"), rule("X-Client", "${CLIENT_IP}")]);
        let group = gateway.add_group(group, &[]).await;
        gateway.double.reset();
        gateway.double.on_key("sk-refused", Behaviour::status(401));
        gateway.add_pending(group, &["sk-good".to_owned(), "sk-refused".to_owned()]).await;
        gateway.keys_become(group, &[("sk-good", KeyState::Active), ("sk-refused", KeyState::Pending)]).await;
        let asked = timeout(PATIENCE, gateway.double.wait_for(2)).await.expect("both are asked about");
        let body = asked[0].json();
        if channel == Channel::Gemini {
            assert!(asked[0].target.starts_with("/v1beta/models/test-model:generateContent"), "{}", asked[0].target);
        } else {
            assert_eq!(body["model"], "test-model");
        }
        let headers = ["x-group", "x-client"].map(|name| asked[0].header(name).unwrap_or_default().to_owned());
        assert_eq!(headers, [channel.as_str(), "127.0.0.1"]);
        let mut values: Vec<_> = asked.iter().filter_map(|request| request.key.clone()).collect();
        values.sort_unstable();
        assert_eq!(values, ["sk-good", "sk-refused"], "each once");
    }
    assert!(gateway.logs().await.is_empty(), "validations are no requests");
}

#[actix_web::test]
async fn whoever_asks_the_provider_never_sees_more_than_the_concurrency() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &[], json!({"key_validation_concurrency": 4})).await;
    gateway.double.on_path("/", Behaviour::ok().delay_head(Duration::from_millis(20)));
    let all = keys(60);
    gateway.add_pending(group, &all).await;
    let order = json!({"group_id": group, "concurrency": 50});
    assert_eq!(gateway.api("POST", "/api/keys/validate-group", &order).await["total"], 60);
    let increment =
        json!({"include_states": ["pending", "active"], "concurrency": 20, "exclude_recently_validated": false});
    let path = format!("/api/validation/groups/{group}");
    let tests = json!({"group_id": group, "keys": all});
    let (tested, ran) =
        tokio::join!(gateway.api("POST", "/api/keys/test-multiple", &tests), gateway.api("POST", &path, &increment));
    let valid = tested["results"].as_array().unwrap().iter().filter(|result| result["is_valid"] == true);
    assert_eq!(valid.count(), 60);
    assert_eq!((&ran["total_keys"], &ran["successful_keys"]), (&json!(60), &json!(60)));
    let result = gateway.task_ends().await["result"].take();
    assert_eq!((&result["valid_keys"], &result["skipped_keys"]), (&json!(60), &json!(0)));
    assert_eq!(gateway.double.take_peak(), 4);
    assert!(gateway.find_group("default").await.last_validated_at.is_some());
}

#[actix_web::test]
async fn clients_are_served_while_validations_hang_and_a_cancelled_task_lets_go_of_them() {
    let gateway = Gateway::with_keys(&["sk-serves"]).await;
    let group = gateway.group("slow", Channel::OpenAi, &[], json!({"key_validation_concurrency": 8})).await;
    let all = keys(30);
    all.iter().for_each(|key| gateway.double.on_key(key, Behaviour::hang(At::Head)));
    gateway.add_keys(group, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    gateway.api("POST", "/api/keys/validate-group", &json!({"group_id": group})).await;
    let asked = timeout(PATIENCE, gateway.double.wait_for(8)).await.expect("the places are taken");
    assert_eq!(asked.len(), 8);
    for _ in 0..5 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    let task = gateway.api("POST", "/api/tasks/cancel", &json!({})).await;
    assert_eq!(task["is_cancelled"], true);
    let task = gateway.task_ends().await;
    assert_eq!((&task["error"], &task["processed"]), (&json!("cancelled"), &json!(0)));
    assert_eq!(task["result"]["skipped_keys"], 30);
    for index in 0..8 {
        timeout(PATIENCE, gateway.double.wait_aborted(index)).await.expect("the call is dropped");
    }
    assert!(gateway.key_states(group).await.iter().all(|(_, state)| *state == KeyState::Active));
}

#[actix_web::test]
async fn what_a_provider_says_of_a_key_is_told_without_the_key() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &["sk-provider-secret-1"], json!({})).await;
    let refusal = Behaviour::status(401).message("Incorrect API key provided: {key}");
    gateway.double.on_key("sk-provider-secret-1", refusal);
    let tests = json!({"group_id": group, "keys": ["sk-provider-secret-1"]});
    let tested = gateway.api("POST", "/api/keys/test-multiple", &tests).await;
    assert_eq!(tested["results"][0]["error"], "[status 401] Incorrect API key provided: sk-p****et-1");
    gateway.keys_become(group, &[("sk-provider-secret-1", KeyState::Invalid)]).await;
    let listed = gateway.api("GET", &format!("/api/keys?group_id={group}"), &json!({})).await;
    assert_eq!(listed["items"][0]["last_error_message"], "Incorrect API key provided: sk-p****et-1");
}

#[actix_web::test]
async fn calls_go_to_the_upstreams_by_weight_and_end_in_time() {
    let gateway = Gateway::start().await;
    let (second, unused) = (Double::start(Options::default()).unwrap(), Double::start(Options::default()).unwrap());
    let urls = [gateway.double.url(), second.url(), unused.url()];
    let settings = json!({"key_validation_timeout_seconds": 1, "key_validation_concurrency": 1});
    let mut group = definition("default", Channel::OpenAi, &urls.each_ref().map(String::as_str), settings);
    (group.upstreams[1].weight, group.upstreams[2].weight) = (2, 0);
    group.validation_endpoint = "/v1/chat/completions?from=validation".to_owned();
    let group = gateway.add_group(group, &[]).await;
    let all = keys(9);
    gateway.add_keys(group, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    gateway.api("POST", "/api/keys/validate-group", &json!({"group_id": group})).await;
    assert_eq!(gateway.task_ends().await["result"]["valid_keys"], 9);
    let counts = [&gateway.double, &second, &unused].map(|double| double.requests().len());
    assert_eq!(counts, [3, 6, 0]);
    assert_eq!(second.requests()[0].target, "/v1/chat/completions?from=validation");

    // A provider that says nothing proves nothing.
    let silent = Behaviour::hang(At::Head);
    [&gateway.double, &second].into_iter().for_each(|double| double.on_key(&all[0], silent.clone()));
    let tests = json!({"group_id": group, "keys": [all[0]]});
    let tested =
        timeout(Duration::from_secs(20), gateway.api("POST", "/api/keys/test-multiple", &tests)).await.unwrap();
    assert_eq!(tested["results"][0]["class"], "upstream_fault", "{tested}");
    assert!(tested["total_duration"].as_u64().unwrap() >= 1_000);
    assert!(gateway.key_states(group).await.iter().all(|(_, state)| *state == KeyState::Active));
}

/// Changes what is stored of the only key of a node that has stopped.
async fn change_key(folder: &Path, change: impl FnOnce(&mut KeyHealth)) -> KeyHealth {
    let store = Store::open(folder.join("data/gpt-load.db").to_str().unwrap(), None).await.unwrap();
    let group = store.groups().await.unwrap().remove(0).id;
    let key = store.keys_after(group, &KeyFilter::default(), None, 1).await.unwrap().remove(0);
    let mut health = key.health.clone();
    change(&mut health);
    let delta = KeyDelta { id: key.id, health, failures: 0, reset_failures: false };
    let epoch = store.epoch().await.unwrap();
    store.writer(epoch).commit(&[delta], &[], Timestamp::now()).await.unwrap();
    key.health
}

#[actix_web::test]
async fn an_invalid_key_is_asked_about_less_and_less_and_returns_when_the_provider_takes_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let double = Double::start(Options::default()).unwrap();
    let env = [("AUTH_KEY", AUTH_KEY)];
    let hours = |health: &KeyHealth| {
        let next = health.next_validation_at.expect("it is asked about again");
        next.since(health.last_failure_at.unwrap().max(health.last_validated_at.unwrap_or_default())).as_secs() / 3600
    };

    let node = start_node(folder.path(), &env).await.unwrap();
    let group = definition("default", Channel::OpenAi, &[&double.url()], json!({}));
    let created = node.runtime().execute(Command::CreateGroup(Box::new(group))).await.unwrap();
    let Reply::Group(group) = created else { panic!("no group") };
    let (values, state) = (vec![Secret::from("sk-1")], Some(KeyState::Active));
    let source = KeySource::Manual;
    node.runtime().execute(Command::AddKeys { group: group.id, values, state, source }).await.unwrap();
    double.on_key("sk-1", Behaviour::status(401));
    let mut client = Client::connect(node.address()).await.unwrap();
    client.exchange(&Request::chat(false).bytes()).await.unwrap();
    node.stop().await;
    assert_eq!(double.requests().len(), 1);

    for wait in [1, 2, 4] {
        let before = change_key(folder.path(), |health| health.next_validation_at = Some(Timestamp::now())).await;
        assert_eq!((before.state, hours(&before)), (KeyState::Invalid, wait));
        double.reset();
        double.on_key("sk-1", if wait == 4 { Behaviour::ok() } else { Behaviour::status(401) });
        let node = start_node(folder.path(), &env).await.unwrap();
        timeout(PATIENCE, double.wait_for(1)).await.expect("the key is asked about");
        timeout(PATIENCE, double.wait_answered(0)).await.expect("the answer is sent");
        let pool_knows = || async {
            node.runtime().flush().await.unwrap();
            let key = node.store().keys_after(group.id, &KeyFilter::default(), None, 1).await.unwrap().remove(0);
            key.health.last_validated_at != before.last_validated_at
        };
        timeout(PATIENCE, async { while !pool_knows().await {} }).await.expect("the node learns of it");
        node.stop().await;
        assert_eq!(double.requests().len(), 1, "once");
    }
    let after = change_key(folder.path(), |_| ()).await;
    assert_eq!((after.state, after.next_validation_at, after.validation_level), (KeyState::Active, None, 0));
}

#[actix_web::test]
async fn a_disabled_key_is_proved_when_its_backoff_ends() {
    let gateway = Gateway::start().await;
    let settings = json!({"blacklist_threshold": 1, "backoff_initial_seconds": 1});
    let group = gateway.group("default", Channel::OpenAi, &["sk-1"], settings).await;
    gateway.double.on_key("sk-1", Behaviour::status(403).times(1));
    gateway.send(&Request::chat(false)).await;
    gateway.keys_become(group, &[("sk-1", KeyState::Disabled)]).await;
    gateway.keys_become(group, &[("sk-1", KeyState::Active)]).await;
    assert_eq!(gateway.double.requests().len(), 2, "one request, one validation");
}

#[actix_web::test]
async fn a_key_that_only_the_test_model_does_not_fit_is_accepted() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &[], json!({})).await;
    gateway.double.on_path("/", Behaviour::status(404).message("no such model"));
    gateway.add_pending(group, &["sk-1".to_owned()]).await;
    gateway.keys_become(group, &[("sk-1", KeyState::Active)]).await;
}

#[actix_web::test]
async fn what_was_validated_lately_is_in_the_history_and_spared() {
    let gateway = Gateway::start().await;
    let all = keys(3);
    let group =
        gateway.group("default", Channel::OpenAi, &all.iter().map(String::as_str).collect::<Vec<_>>(), json!({})).await;
    let path = format!("/api/validation/groups/{group}");
    let increment = json!({"include_states": ["active"]});
    assert_eq!(gateway.api("POST", &path, &increment).await["successful_keys"], 3);
    let history = gateway.api("GET", &format!("{path}/history?hours=1"), &json!({})).await["history"].take();
    assert_eq!((&history["validated_keys"], &history["validation_rate"]), (&json!(3), &json!(1.0)));
    assert_eq!(gateway.api("POST", &path, &increment).await["total_keys"], 0);
    let again = json!({"include_states": ["active"], "exclude_recently_validated": false});
    assert_eq!(gateway.api("POST", &path, &again).await["total_keys"], 3);
}
