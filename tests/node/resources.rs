//! What a provider stores is found again with the key that made it, where every key is an account of its own.

use std::{path::Path, time::Duration};

use gpt_load::node::Node;
use gpt_load_actors::commands::Command;
use gpt_load_benches::{
    double::{At, Behaviour, Double, Options},
    raw::{Answer, Client},
};
use gpt_load_schema::{
    channel::Channel,
    group::{GroupType, SubGroup},
    ids::GroupId,
    secret::Secret,
    store::KeySelector,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{AUTH_KEY, Gateway, PATIENCE, Request, code, definition, start_node};

const KEYS: usize = 20;
const FORM: &str = "multipart/form-data; boundary=XX";

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("sk-account-{number:02}")).collect()
}

async fn gateway() -> Gateway {
    Gateway::start_with(Options { accounts: true, ..Options::default() }, &[]).await
}

/// A gateway with one group of many accounts at the root entrance.
async fn many(channel: Channel) -> (Gateway, GroupId) {
    let gateway = gateway().await;
    let keys = keys(KEYS);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let group = gateway.group("default", channel, &keys, json!({"max_retries": 3})).await;
    (gateway, group)
}

fn upload(target: &str) -> Request {
    let part =
        |name: &str, value: &str| format!("--XX\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n");
    let body = part("\"purpose\"", "batch") + &part("\"file\"; filename=\"a\"", "hello") + "--XX--\r\n";
    Request::new("POST", target).key(AUTH_KEY).header("content-type", FORM).body(body)
}

fn get(target: &str) -> Request {
    Request::new("GET", target).key(AUTH_KEY)
}

#[allow(clippy::needless_pass_by_value, reason = "callers write the body in place")]
fn post(target: &str, body: Value) -> Request {
    Request::new("POST", target).key(AUTH_KEY).json(&body)
}

fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.head.status, 200, "{}", answer.json());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// The id that a stream of a response names first.
fn id_in_stream(answer: &Answer) -> String {
    let body = String::from_utf8(answer.body().to_vec()).unwrap();
    let from = body.find("\"id\":\"resp_").expect("an id") + 6;
    body[from..].split('"').next().unwrap().to_owned()
}

#[actix_web::test]
async fn files_batches_and_responses_are_found_again_among_many_accounts() {
    let (gateway, _) = many(Channel::OpenAi).await;
    for _ in 0..KEYS + 5 {
        let file = id_of(&gateway.send(&upload("/v1/files")).await);
        assert_eq!(id_of(&gateway.send(&get(&format!("/v1/files/{file}"))).await), file);
        assert_eq!(&*gateway.send(&get(&format!("/v1/files/{file}/content"))).await.body(), b"hello");
        let batch = post("/v1/batches", json!({"input_file_id": file, "endpoint": "/v1/x"}));
        let batch = gateway.send(&batch).await.json();
        let id = batch["id"].as_str().unwrap();
        assert_eq!(id_of(&gateway.send(&post(&format!("/v1/batches/{id}/cancel"), json!({}))).await), id);
        let output = batch["output_file_id"].as_str().unwrap();
        assert_eq!(gateway.send(&get(&format!("/v1/files/{output}/content"))).await.head.status, 200);

        let input = json!([{"role": "user", "content": [{"type": "input_file", "file_id": file}]}]);
        let first = id_of(&gateway.send(&post("/v1/responses", json!({"model": "m", "input": input}))).await);
        let next = json!({"model": "m", "input": "hi", "previous_response_id": first, "stream": true});
        let streamed = gateway.send(&post("/v1/responses", next)).await;
        assert_eq!(streamed.head.status, 200);
        let second = id_in_stream(&streamed);
        assert_ne!(first, second);
        assert_eq!(id_of(&gateway.send(&get(&format!("/v1/responses/{second}"))).await), second);
        let thread = id_of(&gateway.send(&post("/v1/threads", json!({}))).await);
        assert_eq!(id_of(&gateway.send(&get(&format!("/v1/threads/{thread}"))).await), thread);
    }
    assert!(gateway.logs().await.iter().all(|log| log.attempt == 1), "nobody needed a second attempt");
    let used: std::collections::BTreeSet<_> = gateway.double.requests().into_iter().map(|seen| seen.key).collect();
    assert_eq!(used.len(), KEYS, "what names nothing is spread over all keys");
}

#[actix_web::test]
async fn anthropics_and_geminis_things_are_found_again() {
    let gateway = gateway().await;
    let keys = keys(KEYS);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    gateway.group("claude", Channel::Anthropic, &keys, json!({})).await;
    gateway.group("gemini", Channel::Gemini, &keys, json!({})).await;
    for _ in 0..KEYS {
        let file = id_of(&gateway.send(&upload("/proxy/claude/v1/files")).await);
        let source = json!({"type": "file", "file_id": file});
        let messages = json!([{"role": "user", "content": [{"type": "document", "source": source}]}]);
        let ask = json!({"model": "m", "max_tokens": 9, "messages": messages});
        assert_eq!(gateway.send(&post("/proxy/claude/v1/messages", ask.clone())).await.head.status, 200);
        let batch = post("/proxy/claude/v1/messages/batches", json!({"requests": [{"custom_id": "1", "params": ask}]}));
        let batch = id_of(&gateway.send(&batch).await);
        let results = get(&format!("/proxy/claude/v1/messages/batches/{batch}/results"));
        assert_eq!(gateway.send(&results).await.head.status, 200);

        let cached = gateway.send(&post("/proxy/gemini/v1beta/cachedContents", json!({"model": "models/m"}))).await;
        let name = cached.json()["name"].as_str().unwrap().to_owned();
        assert_eq!(gateway.send(&get(&format!("/proxy/gemini/v1beta/{name}"))).await.head.status, 200);
        let ask = json!({"contents": [], "cachedContent": name});
        let generate = post("/proxy/gemini/v1beta/models/m:generateContent", ask);
        assert_eq!(gateway.send(&generate).await.head.status, 200);
    }
}

#[actix_web::test]
async fn a_streamed_response_is_found_while_it_is_still_coming() {
    let (gateway, _) = many(Channel::OpenAiResponse).await;
    gateway.double.on_next(1, Behaviour::hang(At::After(4)));
    let mut client = Client::connect(gateway.address()).await.unwrap();
    let ask = post("/v1/responses", json!({"model": "m", "input": "hi", "stream": true}));
    client.send(&ask.bytes()).await.unwrap();
    client.head().await.unwrap();
    let first = tokio::time::timeout(PATIENCE, client.piece()).await.expect("an event").unwrap().expect("bytes");
    let text = String::from_utf8(first.to_vec()).unwrap();
    let id = &text[text.find("resp_").unwrap()..][..11];
    for _ in 0..3 {
        assert_eq!(id_of(&gateway.send(&get(&format!("/v1/responses/{id}"))).await), id);
    }
}

async fn ask(node: &Node, request: &Request) -> Answer {
    let mut client = Client::connect(node.address()).await.unwrap();
    tokio::time::timeout(PATIENCE, client.exchange(&request.bytes())).await.expect("an answer").unwrap()
}

async fn node(folder: &Path) -> Node {
    start_node(folder, &[("AUTH_KEY", AUTH_KEY)]).await.unwrap()
}

#[actix_web::test]
async fn owners_are_remembered_across_a_restart() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let double = Double::start(Options { accounts: true, ..Options::default() }).unwrap();
    let before = node(folder.path()).await;
    let group = definition("default", Channel::OpenAi, &[&double.url()], json!({}));
    let command = Command::CreateGroup(Box::new(group));
    let reply = before.runtime().execute(command).await.unwrap();
    let gpt_load_actors::commands::Reply::Group(group) = reply else { panic!("no group") };
    let values: Vec<Secret> = keys(KEYS).into_iter().map(Secret::from).collect();
    let command = Command::AddKeys {
        group: group.id,
        values,
        state: Some(gpt_load_schema::key::KeyState::Active),
        source: gpt_load_schema::key::KeySource::Manual,
    };
    before.runtime().execute(command).await.unwrap();
    let mut made = Vec::new();
    for _ in 0..KEYS {
        let file = id_of(&ask(&before, &upload("/v1/files")).await);
        let batch = id_of(&ask(&before, &post("/v1/batches", json!({"input_file_id": file}))).await);
        let response = id_of(&ask(&before, &post("/v1/responses", json!({"model": "m", "input": "hi"}))).await);
        made.push((file, batch, response));
    }
    before.stop().await;
    let after = node(folder.path()).await;
    for (file, batch, response) in made {
        assert_eq!(id_of(&ask(&after, &get(&format!("/v1/files/{file}"))).await), file);
        assert_eq!(id_of(&ask(&after, &get(&format!("/v1/batches/{batch}"))).await), batch);
        let next = json!({"model": "m", "input": "hi", "previous_response_id": response});
        assert_eq!(ask(&after, &post("/v1/responses", next)).await.head.status, 200);
    }
    after.stop().await;
}

/// Makes a file and answers its id and the key that it belongs to.
async fn file(gateway: &Gateway) -> (String, String) {
    let id = id_of(&gateway.send(&upload("/v1/files")).await);
    (id, gateway.double.requests().pop().unwrap().key.unwrap())
}

#[actix_web::test]
async fn a_key_that_cannot_serve_is_told_truthfully_and_no_other_is_asked() {
    let (gateway, group) = many(Channel::OpenAi).await;
    let (gone, resting, out) = (file(&gateway).await, file(&gateway).await, file(&gateway).await);
    let values = vec![Secret::from(gone.1.as_str())];
    let delete = Command::DeleteKeys(group, KeySelector::Values(values));
    gateway.node.runtime().execute(delete).await.unwrap();
    let of = |id: &str| get(&format!("/v1/files/{id}"));

    gateway.double.on_key(&resting.1, Behaviour::rate_limited(40).times(1));
    gateway.double.on_key(&out.1, Behaviour::status(402).times(1));
    let asked = gateway.double.requests().len();
    assert_eq!(gateway.send(&of(&resting.0)).await.head.status, 429, "the provider's own word");
    assert_eq!(gateway.send(&of(&out.0)).await.head.status, 402, "the provider's own word");
    assert_eq!(gateway.double.requests().len() - asked, 2, "no other key can help");
    gateway.node.runtime().flush().await.unwrap();

    let asked = gateway.double.requests().len();
    let refused = async |id: &str| {
        let answer = gateway.send(&of(id)).await;
        let text = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(text.contains(&format!("`{id}`")), "{text}");
        assert_eq!(answer.head.header("x-gpt-load-error-source"), Some("gateway"));
        assert!(answer.json()["error"]["message"].is_string(), "in the provider's shape");
        let wait = answer.head.header("retry-after").map(|seconds| seconds.parse::<u64>().unwrap());
        (answer.head.status, code(&answer), wait)
    };
    let (status, word, wait) = refused(&gone.0).await;
    assert_eq!((status, word.as_str(), wait), (404, "RESOURCE_KEY_GONE", None));
    let (status, word, wait) = refused(&resting.0).await;
    assert_eq!((status, word.as_str()), (429, "RESOURCE_KEY_RESTING"));
    assert!((30..=40).contains(&wait.unwrap()), "{wait:?}");
    let (status, word, wait) = refused(&out.0).await;
    assert_eq!((status, word.as_str()), (503, "RESOURCE_KEY_UNAVAILABLE"));
    assert!(wait.unwrap() > 60, "{wait:?}");
    assert_eq!(gateway.double.requests().len(), asked, "the provider was not asked");
    let log = gateway.logs().await.pop().unwrap();
    assert_eq!((log.status_code, log.class, log.attempt), (503, None, 0));
}

#[actix_web::test]
async fn faults_of_the_upstream_are_retried_with_the_same_key() {
    let (gateway, _) = many(Channel::OpenAi).await;
    let (id, key) = file(&gateway).await;
    gateway.double.on_key(&key, Behaviour::status(503).times(2));
    let asked = gateway.double.requests().len();
    let answer = gateway.send(&get(&format!("/v1/files/{id}"))).await;
    assert_eq!((answer.head.status, answer.head.header("x-gpt-load-attempts")), (200, Some("3")));
    let used = gateway.double.requests().split_off(asked);
    assert!(used.iter().all(|seen| seen.key.as_deref() == Some(key.as_str())), "{used:?}");
}

#[actix_web::test]
async fn a_patient_group_waits_for_the_one_key() {
    let gateway = gateway().await;
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({"max_wait_ms": 5000})).await;
    let (id, key) = file(&gateway).await;
    gateway.double.on_key(&key, Behaviour::rate_limited(1).times(1));
    assert_eq!(gateway.send(&get(&format!("/v1/files/{id}"))).await.head.status, 429);
    let begun = std::time::Instant::now();
    assert_eq!(gateway.send(&get(&format!("/v1/files/{id}"))).await.head.status, 200);
    assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[actix_web::test]
async fn of_things_of_two_keys_the_provider_judges() {
    let gateway = gateway().await;
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({})).await;
    let (one, two) = (file(&gateway).await, file(&gateway).await);
    assert_ne!(one.1, two.1);
    let store = |ids: Value| post("/v1/vector_stores", json!({"file_ids": ids}));
    gateway.send(&store(json!([one.0, two.0]))).await;
    assert_eq!(gateway.double.requests().last().and_then(|asked| asked.key.clone()).as_deref(), Some(one.1.as_str()));
    assert_eq!(gateway.send(&store(json!([two.0]))).await.head.status, 200);
}

#[actix_web::test]
async fn unknown_ids_go_to_any_key_and_are_learnt_when_one_finds_them() {
    let (gateway, _) = many(Channel::OpenAi).await;
    let (id, key) = file(&gateway).await;
    let direct = Request::new("POST", "/v1/batches").key(&key).json(&json!({"input_file_id": id}));
    let mut client = Client::connect(gateway.double.addr).await.unwrap();
    let batch = id_of(&client.exchange(&direct.bytes()).await.unwrap());
    let target = format!("/v1/batches/{batch}");
    let mut found = 0;
    for _ in 0..KEYS + 4 {
        found += usize::from(gateway.send(&get(&target)).await.head.status == 200);
    }
    assert!((4..=KEYS + 4).contains(&found), "{found}");
    assert_eq!(gateway.send(&get(&target)).await.head.status, 200);
}

#[actix_web::test]
async fn an_aggregate_leads_to_the_member_also_without_a_weight() {
    let gateway = gateway().await;
    let one = gateway.group("one", Channel::OpenAi, &["sk-one-1", "sk-one-2"], json!({})).await;
    let two = gateway.group("two", Channel::OpenAi, &["sk-two-1", "sk-two-2"], json!({})).await;
    let mut both = definition("both", Channel::OpenAi, &[], json!({}));
    both.group_type = GroupType::Aggregate;
    both.test_model = "-".to_owned();
    let both = gateway.add_group(both, &[]).await;
    let weigh = async |first: u32, second: u32| {
        let members = vec![SubGroup { group_id: one, weight: first }, SubGroup { group_id: two, weight: second }];
        gateway.node.runtime().execute(Command::SetSubGroups(both, members)).await.unwrap();
    };
    weigh(1, 1).await;
    let mut files = Vec::new();
    for _ in 0..8 {
        files.push(id_of(&gateway.send(&upload("/proxy/both/v1/files")).await));
    }
    for (first, second) in [(1, 1), (1, 0), (0, 1)] {
        weigh(first, second).await;
        for file in &files {
            assert_eq!(gateway.send(&get(&format!("/proxy/both/v1/files/{file}"))).await.head.status, 200);
        }
    }
    weigh(1, 0).await;
    let asked = gateway.double.requests().len();
    for _ in 0..6 {
        gateway.send(&upload("/proxy/both/v1/files")).await;
    }
    let used = gateway.double.requests().split_off(asked);
    assert!(used.iter().all(|seen| seen.key.as_deref().unwrap().starts_with("sk-one")), "nothing new goes to it");
}
