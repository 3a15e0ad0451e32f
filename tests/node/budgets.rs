//! Limits that the provider announces are kept before it has to refuse.

use std::collections::BTreeMap;

use gpt_load_benches::{
    double::{Asked, Budget},
    raw::{Client, post},
};
use gpt_load_schema::channel::Channel;
use serde_json::json;

use crate::support::{Gateway, Request, code};

const KEYS: usize = 20;
const PER_KEY: u64 = 5;
/// 120 % of what the pool may ask for in a window.
const REQUESTS: u64 = KEYS as u64 * PER_KEY * 6 / 5;
/// Requests at the same time.
const AT_ONCE: usize = 8;

fn refused(asked: &BTreeMap<String, Asked>) -> u64 {
    asked.values().map(|asked| asked.refused).sum()
}

#[actix_web::test]
async fn a_budget_that_is_announced_is_never_overdrawn() {
    let gateway = Gateway::start().await;
    let keys: Vec<String> = (0..KEYS).map(|number| format!("sk-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    gateway.group("default", Channel::OpenAi, &keys, json!({})).await;
    // A window that does not end within the test.
    let budget = Budget { limit: PER_KEY, window_ms: 600_000, silent: false };

    // What plain rotation over the keys costs, without anybody in between.
    gateway.double.set_budget(Some(Budget { silent: true, ..budget }));
    let mut client = Client::connect(gateway.double.addr).await.unwrap();
    for key in keys.iter().cycle().take(usize::try_from(REQUESTS).unwrap()) {
        client.exchange(&post("/v1/chat/completions", key, r#"{"model":"m","messages":[]}"#)).await.unwrap();
    }
    let plain = refused(&gateway.double.asked());
    assert_eq!(plain, REQUESTS - KEYS as u64 * PER_KEY);

    gateway.double.set_budget(Some(budget));
    let (mut served, mut told_to_wait) = (0, 0);
    let request = Request::chat(false);
    for _ in 0..REQUESTS / AT_ONCE as u64 {
        let answers = futures_util::future::join_all((0..AT_ONCE).map(|_| gateway.send(&request))).await;
        for answer in answers {
            match (answer.head.status, code(&answer).as_str()) {
                (200, _) => served += 1,
                (429, "ALL_KEYS_RESTING") => told_to_wait += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    let asked = gateway.double.asked();
    assert_eq!(refused(&asked), 0, "{asked:?}");
    assert_eq!((served, told_to_wait), (KEYS as u64 * PER_KEY, plain), "and the budget is used to its end");
    assert!(asked.values().all(|asked| asked.served == PER_KEY), "{asked:?}");
}
