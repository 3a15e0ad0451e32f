//! Which key a request gets, by what is known of keys, requests and limits before it is sent.

use std::collections::BTreeSet;

use gpt_load_actors::commands::{Command, KeyTraits};
use gpt_load_benches::double::{Behaviour, Double, Options};
use gpt_load_schema::{channel::Channel, group::GroupDefinition, ids::KeyId, key::KeyState, log::OutcomeClass};
use serde_json::{Value, json};

use crate::support::{AUTH_KEY, Gateway, Request, code, definition};

fn keys_of(double: &Double) -> Vec<String> {
    double.requests().into_iter().filter_map(|request| request.key).collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("sk-{number}")).collect()
}

/// Sends a chat completion with these further members.
async fn chat(gateway: &Gateway, members: Value, headers: &[(&str, &str)]) -> u16 {
    let mut body = json!({"model": "test-model", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let plain = Request::new("POST", "/v1/chat/completions").key(AUTH_KEY);
    let request = headers.iter().fold(plain, |request, (name, value)| request.header(name, value)).json(&body);
    gateway.send(&request).await.head.status
}

/// Binds a key to an upstream.
async fn bind(gateway: &Gateway, group: &str, key: &str, upstream: &str) {
    let group = gateway.find_group(group).await.id;
    let keys = gateway.node.store().keys_after(group, &Default::default(), None, 100).await.unwrap();
    let is_it = |value: &gpt_load_schema::secret::Secret| value.expose() == key;
    let id: KeyId = keys.iter().find(|stored| stored.value.as_ref().is_some_and(is_it)).unwrap().id;
    let traits = KeyTraits { upstream: Some(Some(upstream.to_owned())), ..KeyTraits::default() };
    gateway.node.runtime().execute(Command::UpdateKey(group, id, traits)).await.unwrap();
}

#[actix_web::test]
async fn a_session_stays_with_its_key() {
    let gateway = Gateway::start().await;
    let keys = names(20);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let config = json!({"key_selection": "sticky", "sticky_header": "X-Session"});
    gateway.group("default", Channel::OpenAi, &keys, config).await;
    let mut owners = BTreeSet::new();
    for number in 0..10 {
        let session = format!("session-{number}");
        let members = [
            (json!({"prompt_cache_key": session}), None),
            (json!({"user": session}), None),
            (json!({"metadata": {"user_id": session}}), None),
            (json!({"previous_response_id": session}), None),
            (json!({"user": "another"}), Some(("x-session", session.as_str()))),
        ];
        let before = gateway.double.requests().len();
        for (members, header) in members {
            assert_eq!(chat(&gateway, members, header.as_slice()).await, 200);
        }
        let used: BTreeSet<_> = keys_of(&gateway.double).split_off(before).into_iter().collect();
        assert_eq!(used.len(), 1, "{session}: {used:?}");
        owners.extend(used);
    }
    assert!(owners.len() > 3, "{owners:?}");
}

#[actix_web::test]
async fn a_session_moves_on_while_its_key_rests() {
    let gateway = Gateway::start().await;
    let config = json!({"key_selection": "sticky"});
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2", "sk-3"], config).await;
    let session = json!({"user": "u"});
    assert_eq!(chat(&gateway, session.clone(), &[]).await, 200);
    let owner = keys_of(&gateway.double).remove(0);
    gateway.double.on_key(&owner, Behaviour::rate_limited(60));
    for _ in 0..4 {
        assert_eq!(chat(&gateway, session.clone(), &[]).await, 200);
    }
    let used = keys_of(&gateway.double);
    assert_eq!(used.iter().filter(|key| **key == owner).count(), 2, "{used:?}");
    let heirs: BTreeSet<_> = used.iter().filter(|key| **key != owner).collect();
    assert_eq!(heirs.len(), 1, "{used:?}");
}

fn two_upstreams(first: &Double, second: &Double) -> GroupDefinition {
    definition("default", Channel::OpenAi, &[&first.url(), &second.url()], json!({}))
}

#[actix_web::test]
async fn a_bound_key_meets_its_upstream_only() {
    let gateway = Gateway::start().await;
    let other = Double::start(Options::default()).unwrap();
    gateway.add_group(two_upstreams(&gateway.double, &other), &["sk-1", "sk-2", "sk-3"]).await;
    bind(&gateway, "default", "sk-1", &gateway.double.url()).await;
    bind(&gateway, "default", "sk-2", &format!("{}/", other.url())).await;
    for _ in 0..24 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    let (here, there) = (keys_of(&gateway.double), keys_of(&other));
    assert!(here.iter().any(|key| key == "sk-1") && !there.iter().any(|key| key == "sk-1"), "{here:?} {there:?}");
    assert!(there.iter().any(|key| key == "sk-2") && !here.iter().any(|key| key == "sk-2"), "{here:?} {there:?}");
    assert!(here.iter().any(|key| key == "sk-3") && there.iter().any(|key| key == "sk-3"), "{here:?} {there:?}");
}

#[actix_web::test]
async fn a_key_bound_to_an_upstream_that_is_gone_is_sent_nowhere() {
    let gateway = Gateway::start().await;
    let gone = Double::start(Options::default()).unwrap();
    let group = gateway.add_group(two_upstreams(&gateway.double, &gone), &["sk-1", "sk-2"]).await;
    bind(&gateway, "default", "sk-1", &gone.url()).await;
    let left = definition("default", Channel::OpenAi, &[&gateway.double.url()], json!({}));
    gateway.node.runtime().execute(Command::UpdateGroup(group, Box::new(left))).await.unwrap();
    for _ in 0..4 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    assert!(keys_of(&gateway.double).iter().all(|key| key == "sk-2"));
    // Where it is the only key, the log row says what is wrong, and nothing is held against the key.
    let other = definition("other", Channel::OpenAi, &[&gateway.double.url(), &gone.url()], json!({}));
    let group = gateway.add_group(other, &["sk-9"]).await;
    bind(&gateway, "other", "sk-9", &gone.url()).await;
    let left = definition("other", Channel::OpenAi, &[&gateway.double.url()], json!({"max_retries": 1}));
    gateway.node.runtime().execute(Command::UpdateGroup(group, Box::new(left))).await.unwrap();
    let answer = gateway.send(&Request::chat_at("/proxy/other/v1/chat/completions", false)).await;
    assert_eq!(answer.head.status, 503);
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    assert!(!text.contains(&gone.url()) && !text.contains("sk-9"), "{text}");
    assert_eq!(gateway.key_states(group).await, [("sk-9".to_owned(), KeyState::Active)]);
    let log = gateway.logs().await.pop().unwrap();
    assert_eq!(log.class, Some(OutcomeClass::ClientError));
    assert!(log.evidence.is_some_and(|evidence| evidence.contains(&gone.url())));
    assert_eq!(gone.requests().len(), 0);
}

#[actix_web::test]
async fn a_key_with_nothing_left_is_not_asked_before_its_reset() {
    let gateway = Gateway::with_keys(&["sk-1", "sk-2"]).await;
    let told = |left: &str| {
        Behaviour::ok()
            .header("x-ratelimit-limit-requests", "10")
            .header("x-ratelimit-remaining-requests", left)
            .header("x-ratelimit-reset-requests", "40s")
    };
    gateway.double.on_key("sk-1", told("0"));
    gateway.double.on_key("sk-2", told("3").times(1));
    gateway.double.on_key("sk-2", told("2").times(1));
    gateway.double.on_key("sk-2", told("1").times(1));
    gateway.double.on_key("sk-2", told("0"));
    for _ in 0..5 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    let used = keys_of(&gateway.double);
    assert_eq!(used.iter().filter(|key| *key == "sk-1").count(), 1, "{used:?}");
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (429, "ALL_KEYS_RESTING"));
    let seconds: u64 = answer.head.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=40).contains(&seconds), "{seconds}");
    assert_eq!(gateway.double.requests().len(), 5);
    // The limit is one per model.
    assert_eq!(chat(&gateway, json!({"model": "another-model"}), &[]).await, 200);
}

#[actix_web::test]
async fn a_model_that_a_key_may_not_use_costs_it_nothing_else() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"max_retries": 0})).await;
    let message = "The model `test-model` does not exist or you do not have access to it.";
    let refused = Behaviour { code: Some("model_not_found".to_owned()), ..Behaviour::status(404).message(message) };
    gateway.double.on_next(1, refused);
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 404);
    let group = gateway.find_group("default").await;
    assert_eq!(gateway.key_states(group.id).await, [("sk-1".to_owned(), KeyState::Active)]);
    assert_eq!(chat(&gateway, json!({"model": "another-model"}), &[]).await, 200);
}
