//! Aggregate groups: whose limits count, and what a client hears when members fail.

use gpt_load_actors::commands::Command;
use gpt_load_benches::double::Behaviour;
use gpt_load_schema::{
    channel::Channel,
    group::{GroupType, SubGroup},
    ids::GroupId,
    log::RequestType,
};
use serde_json::{Value, json};

use crate::support::{Gateway, Request, code, definition};

async fn aggregate(gateway: &Gateway, config: Value, members: &[GroupId]) {
    let mut both = definition("both", Channel::OpenAi, &[], config);
    both.group_type = GroupType::Aggregate;
    both.test_model = "-".to_owned();
    let both = gateway.add_group(both, &[]).await;
    let members = members.iter().map(|&group_id| SubGroup { group_id, weight: 1 }).collect();
    gateway.node.runtime().execute(Command::SetSubGroups(both, members)).await.unwrap();
}

fn chat() -> Request {
    Request::chat_at("/proxy/both/v1/chat/completions", false)
}

#[actix_web::test]
async fn members_that_all_rest_are_a_429_with_the_nearest_return() {
    let gateway = Gateway::start().await;
    let one = gateway.group("one", Channel::OpenAi, &["sk-one"], json!({})).await;
    let two = gateway.group("two", Channel::OpenAi, &["sk-two"], json!({})).await;
    aggregate(&gateway, json!({"max_retries": 1}), &[one, two]).await;
    gateway.double.on_key("sk-one", Behaviour::rate_limited(40));
    gateway.double.on_key("sk-two", Behaviour::rate_limited(300));
    assert_eq!(gateway.send(&chat()).await.head.status, 429);
    for _ in 0..2 {
        let answer = gateway.send(&chat()).await;
        assert_eq!((answer.head.status, code(&answer).as_str()), (429, "ALL_KEYS_RESTING"));
        let seconds: u64 = answer.head.header("retry-after").unwrap().parse().unwrap();
        assert!((30..=40).contains(&seconds), "{seconds}");
        assert!(answer.json()["message"].as_str().unwrap().contains("`both`"), "{}", answer.json());
    }
    assert_eq!(gateway.double.requests().len(), 2);
}

#[actix_web::test]
async fn a_patient_aggregate_waits_for_the_member_that_returns_first() {
    let gateway = Gateway::start().await;
    let one = gateway.group("one", Channel::OpenAi, &["sk-one"], json!({})).await;
    let two = gateway.group("two", Channel::OpenAi, &["sk-two"], json!({})).await;
    aggregate(&gateway, json!({"max_retries": 1, "max_wait_ms": 5000}), &[one, two]).await;
    gateway.double.on_key("sk-one", Behaviour::rate_limited(300).times(1));
    gateway.double.on_key("sk-two", Behaviour::rate_limited(1).times(1));
    // The last attempt's own answer, or the wait's: either way both keys rest afterwards.
    gateway.send(&chat()).await;
    let answer = gateway.send(&chat()).await;
    assert_eq!(answer.head.status, 200);
    assert_eq!(gateway.double.requests().pop().unwrap().key.as_deref(), Some("sk-two"));
}

#[actix_web::test]
async fn a_member_that_cannot_be_used_as_stored_is_passed_over() {
    let gateway = Gateway::start().await;
    let one = gateway.group("one", Channel::OpenAi, &["sk-one"], json!({})).await;
    let broken = definition("broken", Channel::OpenAi, &["http://user:password@upstream.example"], json!({}));
    let broken = gateway.add_group(broken, &["sk-two"]).await;
    aggregate(&gateway, json!({}), &[broken, one]).await;
    for _ in 0..4 {
        assert_eq!(gateway.send(&chat()).await.head.status, 200);
    }
}

#[actix_web::test]
async fn attempts_are_bounded_by_the_aggregate_over_all_members() {
    let gateway = Gateway::start().await;
    let keys: Vec<String> = (0..10).map(|number| format!("sk-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let one = gateway.group("one", Channel::OpenAi, &keys, json!({"max_retries": 9})).await;
    let two = gateway.group("two", Channel::OpenAi, &keys, json!({"max_retries": 9})).await;
    aggregate(&gateway, json!({"max_retries": 2}), &[one, two]).await;
    gateway.double.on_path("/chat", Behaviour::status(503));
    let begun = std::time::Instant::now();
    let answer = gateway.send(&chat()).await;
    assert_eq!((answer.head.status, answer.head.header("x-gpt-load-attempts")), (503, Some("3")));
    assert_eq!(gateway.double.requests().len(), 3);
    let logs = gateway.logs().await;
    assert_eq!(logs.iter().filter(|log| log.request_type == RequestType::Final).count(), 1);
    assert_eq!(logs.len(), 3);
    let members: Vec<_> = logs.iter().map(|log| log.group_name.as_str()).collect();
    assert_ne!(members[0], members[1], "untried members come first");
    assert!(begun.elapsed().as_secs() < 5);
}

#[actix_web::test]
async fn members_that_rename_a_model_are_asked_for_their_own_name_of_it() {
    let gateway = Gateway::start().await;
    let mut ids = Vec::new();
    for (name, key) in [("one", "sk-one"), ("two", "sk-two")] {
        let mut member = definition(name, Channel::OpenAi, &[&gateway.double.url()], json!({}));
        member.model_redirect_rules.insert("gpt-test".to_owned(), json!(format!("{name}-model")));
        ids.push(gateway.add_group(member, &[key]).await);
        let limit = format!("Rate limit reached for {name}-model in organization org-1 on requests per min");
        gateway.double.on_key(key, Behaviour::rate_limited(40).message(&limit));
    }
    aggregate(&gateway, json!({"max_retries": 1, "max_wait_ms": 2000}), &ids).await;
    let ask = || chat().body(r#"{"model":"gpt-test","messages":[]}"#);
    assert_eq!(gateway.send(&ask()).await.head.status, 429);
    let begun = std::time::Instant::now();
    let answer = gateway.send(&ask()).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (429, "ALL_KEYS_RESTING"));
    assert!(begun.elapsed() < std::time::Duration::from_secs(1), "nobody waits for what returns in 40 seconds");
    let seconds: u64 = answer.head.header("retry-after").unwrap().parse().unwrap();
    assert!((30..=40).contains(&seconds), "{seconds}");
}
