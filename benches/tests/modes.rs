//! What rules every request of the double: budgets, blocks, and a door that is shut.

use std::io::ErrorKind;

use gpt_load_benches::double::{Asked, Behaviour, Budget, Double, Options};
use gpt_load_benches::raw::{Client, post};

const CHAT: &str = "/v1/chat/completions";
const ASK: &str = r#"{"model":"m","messages":[]}"#;

async fn ask(client: &mut Client, key: &str) -> (u16, Option<String>) {
    let answer = client.exchange(&post(CHAT, key, ASK)).await.expect("an answer");
    let left = answer.head.header("x-ratelimit-remaining-requests").map(str::to_owned);
    (answer.head.status, left)
}

#[tokio::test]
async fn a_budget_is_counted_and_announced_for_each_key() {
    let double = Double::start(Options::default()).unwrap();
    let mut client = Client::connect(double.addr).await.unwrap();
    double.set_budget(Some(Budget { limit: 1, window_ms: 60_000, silent: false }));
    assert_eq!(ask(&mut client, "sk-a").await, (200, Some("0".to_owned())));
    assert_eq!(ask(&mut client, "sk-a").await, (429, Some("0".to_owned())));
    assert_eq!(ask(&mut client, "sk-b").await, (200, Some("0".to_owned())));
    let asked: Vec<_> = double.asked().into_iter().collect();
    let expected = [("sk-a", 1, 1), ("sk-b", 1, 0)];
    assert_eq!(asked, expected.map(|(key, served, refused)| (key.to_owned(), Asked { served, refused })));
    double.reset();
    assert_eq!(ask(&mut client, "sk-a").await, (200, Some("9999".to_owned())));
}

#[tokio::test]
async fn another_process_sets_budgets_and_blocks() {
    let double = Double::start(Options::default()).unwrap();
    let mut client = Client::connect(double.addr).await.unwrap();
    let mut control = async |method: &str, place: &str, body: &str| {
        let length = body.len();
        let request = format!("{method} /__double/{place} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}");
        client.exchange(request.as_bytes()).await.unwrap()
    };
    let mut other = Client::connect(double.addr).await.unwrap();
    assert_eq!(control("PUT", "budget", r#"{"limit": 1, "window-ms": 60000, "silent": true}"#).await.head.status, 200);
    assert_eq!(control("PUT", "budget", r#"{"limit": 1}"#).await.head.status, 400);
    assert_eq!(ask(&mut other, "sk-a").await, (200, None));
    assert_eq!(ask(&mut other, "sk-a").await, (429, None));
    let told = control("GET", "budget", "").await.json();
    assert_eq!(told, serde_json::json!({"keys": {"sk-a": {"served": 1, "refused": 1}}, "refused": 1}));
    control("DELETE", "budget", "").await;
    assert_eq!(control("PUT", "every", r#"{"status": 403}"#).await.head.status, 200);
    assert_eq!(control("PUT", "every", r#"{"statsu": 403}"#).await.head.status, 400);
    assert_eq!(ask(&mut other, "sk-a").await.0, 403);
    control("DELETE", "every", "").await;
    assert_eq!(ask(&mut other, "sk-a").await.0, 200);
}

#[tokio::test]
async fn a_block_hides_what_is_scripted_for_keys() {
    let double = Double::start(Options::default()).unwrap();
    let mut client = Client::connect(double.addr).await.unwrap();
    double.on_key("sk-a", Behaviour::status(500));
    double.on_every(Some(Behaviour::status(403)));
    assert_eq!(ask(&mut client, "sk-a").await.0, 403);
    double.on_every(None);
    assert_eq!(ask(&mut client, "sk-a").await.0, 500);
}

#[tokio::test]
async fn a_shut_door_refuses_and_an_open_one_takes_connections_again() {
    for threads in [1, 3] {
        let double = Double::start(Options { threads, ..Options::default() }).unwrap();
        let mut client = Client::connect(double.addr).await.unwrap();
        assert_eq!(ask(&mut client, "sk-a").await.0, 200);
        for _ in 0..3 {
            double.shut();
            assert!(client.exchange(&post(CHAT, "sk-a", ASK)).await.is_err(), "connections are dropped");
            let refused = Client::connect(double.addr).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            double.open().unwrap();
            client = Client::connect(double.addr).await.unwrap();
            assert_eq!(ask(&mut client, "sk-a").await.0, 200);
        }
    }
}
