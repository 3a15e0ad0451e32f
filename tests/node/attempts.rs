//! Retries: which failures are followed by another key, and what the client gets at the end.

use gpt_load_benches::{
    double::{At, Behaviour},
    raw::End,
};
use gpt_load_schema::{
    channel::Channel,
    key::KeyState,
    log::{OutcomeClass, RequestType},
};
use serde_json::json;

use crate::support::{AUTH_KEY, Gateway, Request, code, definition};

#[actix_web::test]
async fn an_invalid_key_is_replaced_and_the_client_notices_nothing() {
    let gateway = Gateway::with_keys(&["sk-bad", "sk-good"]).await;
    gateway.double.on_key("sk-bad", Behaviour::invalid_key());
    for _ in 0..4 {
        let answer = gateway.send(&Request::chat(false)).await;
        assert_eq!((answer.head.status, answer.end), (200, End::Complete));
    }
    let used = gateway.double.requests();
    assert_eq!(used.iter().filter(|request| request.key.as_deref() == Some("sk-bad")).count(), 1);
    let group = gateway.find_group("default").await;
    let states = gateway.key_states(group.id).await;
    assert_eq!(states, [("sk-bad".to_owned(), KeyState::Invalid), ("sk-good".to_owned(), KeyState::Active)]);
    let logs = gateway.logs().await;
    let retries: Vec<_> = logs.iter().filter(|log| log.request_type == RequestType::Retry).collect();
    assert_eq!(retries.len(), 1);
    assert_eq!((retries[0].class, retries[0].status_code), (Some(OutcomeClass::KeyInvalid), 401));
    assert_eq!(logs.len(), 5);
}

#[actix_web::test]
async fn the_last_failure_reaches_the_client_as_the_provider_sent_it() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({"max_retries": 1})).await;
    let limited = Behaviour::rate_limited(20).header("x-ratelimit-limit-requests", "60");
    gateway.double.on_key("sk-1", limited.clone());
    gateway.double.on_key("sk-2", limited);
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!(answer.head.status, 429);
    assert_eq!(answer.head.header("retry-after"), Some("20"));
    assert_eq!(answer.head.header("x-ratelimit-limit-requests"), Some("60"));
    assert_eq!(answer.head.header("x-gpt-load-error-source"), Some("upstream"));
    assert_eq!(answer.head.header("x-gpt-load-attempts"), Some("2"));
    // Both keys rest: the next request is answered without asking the provider.
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (429, "ALL_KEYS_RESTING"));
    let seconds: u64 = answer.head.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(gateway.double.requests().len(), 2);
}

#[actix_web::test]
async fn the_key_that_a_provider_repeats_is_masked() {
    let gateway = Gateway::with_keys(&["sk-very-secret-key-123456"]).await;
    let telling =
        Behaviour::status(400).message("Incorrect request by {key}").header("x-echo", "sk-very-secret-key-123456");
    gateway.double.on_next(1, telling);
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!(answer.head.status, 400);
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    assert!(text.contains("Incorrect request by") && !text.contains("sk-very-secret-key-123456"), "{text}");
    assert_eq!(answer.head.header("x-echo"), None);
    let log = gateway.final_log().await;
    assert_eq!(log.class, Some(OutcomeClass::ClientError));
    assert!(!format!("{}{:?}", log.error_message, log.evidence).contains("sk-very-secret-key-123456"));
}

#[actix_web::test]
async fn a_client_error_is_not_retried_and_touches_no_key() {
    let gateway = Gateway::with_keys(&["sk-1", "sk-2"]).await;
    for status in [400, 404, 409, 413, 422] {
        gateway.double.on_next(1, Behaviour::status(status));
        let answer = gateway.send(&Request::chat(false)).await;
        assert_eq!((answer.head.status, answer.head.header("x-gpt-load-attempts")), (status, Some("1")));
    }
    let group = gateway.find_group("default").await;
    assert!(gateway.key_states(group.id).await.iter().all(|(_, state)| *state == KeyState::Active));
}

#[actix_web::test]
async fn an_upstream_fault_moves_on_to_the_other_upstream_and_punishes_no_key() {
    let gateway = Gateway::start().await;
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstreams = [&*format!("http://{down}"), &gateway.double.url()];
    let group =
        gateway.add_group(definition("default", Channel::OpenAi, &upstreams, json!({})), &["sk-1", "sk-2"]).await;
    for _ in 0..6 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    assert!(gateway.key_states(group).await.iter().all(|(_, state)| *state == KeyState::Active));
    let faults = gateway.logs().await;
    assert!(faults.iter().any(|log| log.class == Some(OutcomeClass::UpstreamFault)));
}

#[actix_web::test]
async fn an_unreachable_provider_is_a_502_in_the_channels_shape() {
    let gateway = Gateway::start().await;
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = json!({"max_retries": 1});
    let definition = definition("claude", Channel::Anthropic, &[&format!("http://{down}")], config);
    gateway.add_group(definition, &["sk-1"]).await;
    let answer = gateway.send(&Request::chat_at("/proxy/claude/v1/messages", false)).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (502, "BAD_GATEWAY"));
    assert_eq!(answer.head.header("x-gpt-load-error-source"), Some("gateway"));
    assert_eq!(answer.json()["type"], "error");
    assert!(answer.json()["error"]["type"].is_string());
}

#[actix_web::test]
async fn an_error_event_first_in_a_stream_is_retried_with_another_key() {
    let gateway = Gateway::with_keys(&["sk-1", "sk-2"]).await;
    gateway.double.on_next(1, Behaviour::error_event(0));
    let answer = gateway.send(&Request::chat(true)).await;
    assert_eq!((answer.head.status, answer.end), (200, End::Complete));
    assert_eq!(answer.head.header("x-gpt-load-attempts"), Some("2"));
    assert!(!String::from_utf8_lossy(&answer.body()).contains("\"error\""));
    let keys: Vec<_> = gateway.double.requests().into_iter().map(|request| request.key).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
}

#[actix_web::test]
async fn nothing_is_retried_after_the_first_event() {
    for fault in [Behaviour::error_event(2), Behaviour::reset(At::After(2)), Behaviour::cut(At::After(2))] {
        let gateway = Gateway::with_keys(&["sk-1", "sk-2"]).await;
        gateway.double.on_next(1, fault.clone());
        let answer = gateway.send(&Request::chat(true)).await;
        assert_eq!(answer.head.status, 200, "{fault:?}");
        assert!(!answer.body().is_empty(), "{fault:?}");
        assert_eq!(gateway.double.requests().len(), 1, "{fault:?}");
        let log = gateway.final_log().await;
        assert!(!log.is_success, "{fault:?}");
        assert_ne!(log.class, Some(OutcomeClass::Success), "{fault:?}");
    }
}

#[actix_web::test]
async fn an_empty_answer_is_retried_where_the_group_asks_for_it() {
    let gateway = Gateway::start().await;
    gateway.group("plain", Channel::OpenAi, &["sk-1"], json!({})).await;
    gateway.group("eager", Channel::OpenAi, &["sk-1"], json!({"retry_empty_response": true})).await;
    gateway.double.on_next(1, Behaviour::empty());
    let answer = gateway.send(&Request::chat_at("/proxy/plain/v1/chat/completions", false)).await;
    assert_eq!((answer.head.status, answer.body().len()), (200, 0));
    gateway.double.on_next(1, Behaviour::empty());
    let answer = gateway.send(&Request::chat_at("/proxy/eager/v1/chat/completions", false)).await;
    assert_eq!((answer.head.status, answer.head.header("x-gpt-load-attempts")), (200, Some("2")));
    assert!(!answer.body().is_empty());
}

#[actix_web::test]
async fn a_group_without_usable_keys_says_so() {
    let gateway = Gateway::with_keys(&[]).await;
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (503, "NO_KEYS_AVAILABLE"));
    let log = gateway.final_log().await;
    assert_eq!((log.status_code, log.class, log.key.is_none()), (503, None, true));
}

#[actix_web::test]
async fn the_request_timeout_bounds_all_attempts() {
    let gateway = Gateway::start().await;
    let config = json!({"request_timeout": 1, "max_retries": 10});
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], config).await;
    gateway.double.on_path("/chat", Behaviour::hang(At::Head));
    let begun = std::time::Instant::now();
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!((answer.head.status, code(&answer).as_str()), (504, "GATEWAY_TIMEOUT"));
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[actix_web::test]
async fn a_resting_key_is_waited_for_when_the_group_is_patient() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::OpenAi, &["sk-1"], json!({"max_wait_ms": 5000, "max_retries": 0})).await;
    gateway.double.on_next(1, Behaviour::rate_limited(1));
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 429);
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
}

#[actix_web::test]
async fn a_failing_provider_is_not_met_with_a_multiple_of_the_traffic() {
    const REQUESTS: usize = 60;
    let gateway = Gateway::start().await;
    let keys: Vec<String> = (0..200).map(|number| format!("sk-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let config = json!({"max_retries": 3, "retry_budget_percent": 0});
    gateway.group("default", Channel::OpenAi, &keys, config).await;
    gateway.double.on_path("/chat", Behaviour::rate_limited(60));
    let begun = std::time::Instant::now();
    let request = Request::chat(false);
    let answers = futures_util::future::join_all((0..REQUESTS).map(|_| gateway.send(&request))).await;
    assert!(answers.iter().all(|answer| answer.head.status == 429));
    // Ten retries in every second that was touched, and no share of the requests.
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap() + 2;
    let retries = gateway.double.requests().len() - REQUESTS;
    assert!((10..=10 * seconds).contains(&retries), "{retries} retries in {seconds} s");
    let finals = gateway.logs().await.into_iter().filter(|log| log.request_type == RequestType::Final).count();
    assert_eq!(finals, REQUESTS);
}

#[actix_web::test]
async fn a_group_can_narrow_what_is_retried() {
    let gateway = Gateway::start().await;
    for (name, codes) in [("narrow", "500-599"), ("nothing", "")] {
        gateway.group(name, Channel::OpenAi, &["sk-1", "sk-2"], json!({"failover_status_codes": codes})).await;
        gateway.double.on_next(1, Behaviour::rate_limited(1));
        let answer = gateway.send(&Request::chat_at(&format!("/proxy/{name}/v1/chat/completions"), false)).await;
        assert_eq!((answer.head.status, answer.head.header("x-gpt-load-attempts")), (429, Some("1")), "{name}");
    }
}

#[actix_web::test]
async fn a_model_that_one_key_may_not_use_is_asked_for_with_another() {
    let gateway = Gateway::with_keys(&["sk-1", "sk-2"]).await;
    let message = "The model `test-model` does not exist or you do not have access to it.";
    let refused = Behaviour { code: Some("model_not_found".to_owned()), ..Behaviour::status(404).message(message) };
    gateway.double.on_key("sk-1", refused.clone());
    for _ in 0..4 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    // A model that nobody has is answered as the provider does, and no key is to blame.
    gateway.double.on_next(1, refused);
    let answer = gateway.send(&Request::new("GET", "/v1/models/nonesuch").key(AUTH_KEY)).await;
    assert_eq!((answer.head.status, answer.head.header("x-gpt-load-attempts")), (404, Some("1")));
    let last = gateway.logs().await.pop().unwrap();
    assert_eq!(last.class, Some(OutcomeClass::ClientError));
}

#[actix_web::test]
async fn a_request_that_fits_no_limit_rests_no_key() {
    let gateway = Gateway::start().await;
    gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({"max_retries": 1})).await;
    let message = "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 3, Requested 4.";
    gateway.double.on_next(
        2,
        Behaviour { code: Some("rate_limit_exceeded".to_owned()), ..Behaviour::status(429).message(message) },
    );
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 429);
    for _ in 0..2 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
}

#[actix_web::test]
async fn one_request_pays_once_for_a_key_that_is_refused() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({"max_retries": 5})).await;
    gateway.double.on_every(Some(Behaviour::status(403)));
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 403);
    assert_eq!(gateway.double.requests().len(), 2, "each key was asked once");
    gateway.pool_until(group, |pool| pool["counts"]["degraded"] == 2 && pool["counts"]["disabled"] == 0).await;
}
