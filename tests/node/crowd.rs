//! Many streams at once: no outcome lost, the rows equal the requests.

use std::time::Duration;

use gpt_load_benches::{
    double::{Behaviour, Options},
    raw::End,
};
use gpt_load_schema::{channel::Channel, log::RequestType};
use serde_json::json;

use crate::support::{Gateway, Request};

const STREAMS: usize = 1_000;

#[actix_web::test]
async fn a_thousand_streams_at_once_lose_nothing() {
    let slow = Behaviour::ok().events(10).delay_event(Duration::from_millis(100));
    let env = [("MAX_CONCURRENT_REQUESTS", "2000")];
    let gateway = Gateway::start_with(Options { base: slow, record: 0, ..Options::default() }, &env).await;
    let keys: Vec<String> = (0..50).map(|number| format!("sk-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let group = gateway.group("default", Channel::OpenAi, &keys, json!({})).await;
    let request = Request::chat(true);
    let answers = futures_util::future::join_all((0..STREAMS).map(|_| gateway.send(&request))).await;
    assert!(answers.iter().all(|answer| answer.head.status == 200 && answer.end == End::Complete));
    let logs = gateway.logs().await;
    assert_eq!(logs.len(), STREAMS);
    assert!(logs.iter().all(|log| log.is_success && log.request_type == RequestType::Final));
    let keys = gateway.node.store().keys_after(group, &Default::default(), None, 100).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.request_count).sum::<i64>(), STREAMS as i64);
    assert!(keys.iter().all(|key| key.request_count == 20), "rotation is exact");
    let stats = gateway.node.runtime().stats();
    assert_eq!((stats.logs_dropped, stats.logs_waiting, stats.outcomes_waiting), (0, 0, 0));
}
