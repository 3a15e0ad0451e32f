//! Clients that hang up, and streams that break.

use std::time::Duration;

use gpt_load_benches::{
    double::{At, Behaviour, Framing, Options},
    raw::End,
};
use gpt_load_schema::{channel::Channel, key::KeyState, log::OutcomeClass};
use serde_json::json;

use crate::support::{Gateway, PATIENCE, Request};

/// How soon the upstream call must be cancelled after the client hung up.
const AT_ONCE: Duration = Duration::from_millis(100);

async fn within_patience<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

async fn assert_abandoned(gateway: &Gateway, hung_up: std::time::Instant) {
    let aborted = within_patience(gateway.double.wait_aborted(0)).await.aborted_at.unwrap();
    let delay = aborted.saturating_duration_since(hung_up);
    assert!(delay < AT_ONCE, "cancelled after {delay:?}");
    let log = gateway.final_log().await;
    assert_eq!((log.class, log.status_code, log.is_success), (Some(OutcomeClass::Abandoned), 499, false));
    let group = gateway.find_group("default").await;
    assert_eq!(gateway.key_states(group.id).await, [("sk-1".to_owned(), KeyState::Active)]);
}

#[actix_web::test]
async fn a_client_that_hangs_up_before_the_answer_cancels_the_call() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    gateway.double.on_next(1, Behaviour::hang(At::Head));
    let mut client = gateway.client().await;
    client.send(&Request::chat(false).bytes()).await.unwrap();
    within_patience(gateway.double.wait_for(1)).await;
    let hung_up = std::time::Instant::now();
    drop(client);
    assert_abandoned(&gateway, hung_up).await;
}

#[actix_web::test]
async fn a_client_that_hangs_up_in_a_stream_cancels_the_call_and_its_tokens_count() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::Anthropic, &["sk-1"], json!({})).await;
    gateway.double.on_next(1, Behaviour::hang(At::After(3)));
    let mut client = gateway.client().await;
    client.send(&Request::chat_at("/v1/messages", true).bytes()).await.unwrap();
    client.head().await.unwrap();
    within_patience(client.piece()).await.unwrap();
    let hung_up = std::time::Instant::now();
    drop(client);
    assert_abandoned(&gateway, hung_up).await;
    assert!(gateway.final_log().await.usage.input.is_some(), "message_start told the input tokens");
}

#[actix_web::test]
async fn a_broken_stream_is_never_a_clean_end() {
    let breaks = [
        Behaviour::reset(At::After(3)),
        Behaviour::cut(At::After(3)),
        Behaviour::cut(At::After(3)).framing(Framing::Chunked),
    ];
    for (stream, broken) in breaks.iter().flat_map(|broken| [(true, broken), (false, broken)]) {
        let gateway = Gateway::start().await;
        gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"max_retries": 0})).await;
        gateway.double.on_next(1, broken.clone());
        let mut client = gateway.client().await;
        client.send(&Request::chat(stream).bytes()).await.unwrap();
        let answer = within_patience(client.answer()).await.unwrap();
        if answer.head.status == 200 {
            assert_ne!(answer.end, End::Complete, "stream {stream} {broken:?}");
        } else {
            assert_eq!((stream, answer.head.status), (false, 502), "{broken:?}");
        }
        let log = gateway.final_log().await;
        assert_eq!((log.is_success, log.class), (false, Some(OutcomeClass::UpstreamFault)), "{stream} {broken:?}");
        assert!(!log.evidence.unwrap_or_default().is_empty());
        let group = gateway.find_group("default").await;
        assert_eq!(gateway.key_states(group.id).await[0].1, KeyState::Active);
    }
}

#[actix_web::test]
async fn a_stream_without_its_terminal_event_is_broken_however_cleanly_it_ends() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::Anthropic, &["sk-1"], json!({})).await;
    gateway.double.on_next(1, Behaviour::no_terminal());
    let answer = gateway.send(&Request::chat_at("/v1/messages", true)).await;
    assert_eq!(answer.head.status, 200);
    assert_ne!(answer.end, End::Complete);
    let log = gateway.final_log().await;
    assert_eq!((log.is_success, log.class), (false, Some(OutcomeClass::UpstreamFault)));
    assert!(log.evidence.unwrap().starts_with("missing-terminal-event"));
}

#[actix_web::test]
async fn a_stream_that_falls_silent_is_cut_off() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"stream_idle_timeout": 1})).await;
    gateway.double.on_next(1, Behaviour::hang(At::After(2)));
    let answer = gateway.send(&Request::chat(true)).await;
    assert_ne!(answer.end, End::Complete);
    assert!(gateway.final_log().await.evidence.unwrap().starts_with("stream-idle"));
}

#[actix_web::test]
async fn what_arrived_before_the_break_reaches_the_client() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let whole = gateway.send(&Request::chat(true)).await.body();
    gateway.double.on_next(1, Behaviour::cut(At::After(4)));
    let cut = gateway.send(&Request::chat(true)).await;
    assert_ne!(cut.end, End::Complete);
    let events = |body: &[u8]| String::from_utf8_lossy(body).matches("\n\n").count();
    assert_eq!(events(&cut.body()), 4, "of {}", events(&whole));
}

#[actix_web::test]
async fn a_stopping_node_lets_requests_in_flight_finish_and_loses_no_row() {
    let gateway = Gateway::start_with(Options::default(), &[]).await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({})).await;
    gateway.double.on_next(1, Behaviour::ok().events(10).delay_event(Duration::from_millis(50)));
    let mut client = gateway.client().await;
    client.send(&Request::chat(true).bytes()).await.unwrap();
    client.head().await.unwrap();
    let store = gateway.node.store().clone();
    let stopping = gateway.node.stop();
    let reading = async {
        let mut pieces = 0;
        while client.piece().await.expect("no break").is_some() {
            pieces += 1;
        }
        pieces
    };
    let ((), pieces) = within_patience(async { tokio::join!(stopping, reading) }).await;
    assert!(pieces > 5, "{pieces}");
    let logs = store.recent_logs(None, 10).await.unwrap();
    assert_eq!(logs.len(), 1);
    assert!(logs[0].is_success);
}
