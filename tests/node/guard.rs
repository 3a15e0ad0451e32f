//! The defects of the HTTP client library that would hand one user another's answer, seen from outside the node.

use gpt_load_benches::{
    double::{Behaviour, Framing, Options},
    raw::End,
};
use gpt_load_schema::channel::Channel;
use serde_json::json;

use crate::support::{Gateway, Request};

/// One worker, so that all requests share one pool of connections.
async fn one_worker() -> Gateway {
    let gateway = Gateway::start_with(Options::default(), &[("WORKERS", "1")]).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"max_retries": 0})).await;
    gateway
}

/// Sends numbered requests in a row; each must get its own answer.
async fn each_gets_its_own(gateway: &Gateway, behaviour: Behaviour) {
    for number in 0..10 {
        let own = format!("{{\"answer\": {number}}}");
        let mut behaviour = behaviour.clone();
        behaviour.body = Behaviour::golden(own.clone()).body;
        gateway.double.on_next(1, behaviour);
        let answer = gateway.send(&Request::chat(false)).await;
        assert_eq!((answer.head.status, answer.end), (200, End::Complete), "request {number}");
        assert_eq!(answer.body(), own, "request {number}");
    }
    let logs = gateway.logs().await;
    assert!(logs.iter().all(|log| log.is_success), "{logs:?}");
}

#[actix_web::test]
async fn early_hints_never_reach_another_request() {
    each_gets_its_own(&one_worker().await, Behaviour::early_hints()).await;
}

#[actix_web::test]
async fn an_unsolicited_continue_never_reaches_another_request() {
    let behaviour = Behaviour { unsolicited_continue: true, ..Behaviour::ok() };
    each_gets_its_own(&one_worker().await, behaviour).await;
}

#[actix_web::test]
async fn an_interim_answer_after_the_end_never_reaches_another_request() {
    let behaviour = Behaviour { trailing_hints: true, ..Behaviour::ok() };
    each_gets_its_own(&one_worker().await, behaviour).await;
}

#[actix_web::test]
async fn a_closed_pooled_connection_is_replaced_without_a_word() {
    let behaviour = Behaviour { close_silently: true, ..Behaviour::ok() };
    each_gets_its_own(&one_worker().await, behaviour).await;
}

#[actix_web::test]
async fn an_answer_delimited_by_close_is_whole() {
    each_gets_its_own(&one_worker().await, Behaviour::ok().framing(Framing::Close)).await;
}
