//! Endpoints and framings that no SDK test reaches.

use gpt_load_benches::double::{Double, Options};
use gpt_load_benches::raw::{Answer, Client, End, post, request};

const ASK: &str = r#"{"model":"m","messages":[]}"#;

async fn answer(bytes: &[u8]) -> Answer {
    let double = Double::start(Options::default()).expect("the double starts");
    let mut client = Client::connect(double.addr).await.expect("the double accepts");
    client.exchange(bytes).await.expect("a head comes")
}

#[tokio::test]
async fn chat_completions_are_at_every_address_of_openais_api() {
    for path in [
        "/v1/chat/completions",
        "/base/path/v1/chat/completions",
        "/openai/v1/chat/completions",
        "/v1beta/openai/chat/completions",
        "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
    ] {
        let answer = answer(&post(path, "k", ASK)).await;
        assert_eq!((answer.head.status, answer.json()["object"].as_str()), (200, Some("chat.completion")), "{path}");
    }
    for path in ["/chat/completions", "/v1/chat/completion", "/v2/chat/completions"] {
        assert_eq!(answer(&post(path, "k", ASK)).await.head.status, 404, "{path}");
    }
}

#[tokio::test]
async fn gemini_streams_a_json_array_or_events() {
    let ask = r#"{"contents":[]}"#;
    let array = answer(&post("/v1beta/models/m:streamGenerateContent", "k", ask)).await;
    assert!(array.pieces.len() > 2);
    assert_eq!(array.json()[8]["candidates"][0]["finishReason"], "STOP");
    let events = answer(&post("/v1beta/models/m:streamGenerateContent?alt=sse", "k", ask)).await;
    assert_eq!((events.head.header("content-type"), events.pieces.len()), (Some("text/event-stream"), 9));
}

#[tokio::test]
async fn model_lists_speak_the_dialect_of_the_client() {
    let openai = answer(&request("GET", "/v1/models", "k")).await.json();
    assert_eq!(openai["object"], "list");
    let anthropic = answer(b"GET /v1/models HTTP/1.1\r\nX-Api-Key: k\r\nanthropic-version: 2023-06-01\r\n\r\n").await;
    assert_eq!(anthropic.json()["has_more"], false);
    for target in ["/v1beta/models?key=k", "/v1/models?key=k"] {
        let gemini = answer(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()).await.json();
        assert_eq!(gemini["models"][0]["name"], "models/gemini-2.5-flash", "{target}");
    }
}

#[tokio::test]
async fn http_1_0_gets_a_body_that_ends_with_the_connection() {
    let body = r#"{"model":"m","messages":[],"stream":true}"#;
    let head = "POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer k\r\n";
    let answer = answer(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
    assert_eq!((answer.head.header("transfer-encoding"), answer.end), (None, End::Complete));
    assert!(answer.body().ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn head_has_a_length_and_no_body() {
    let double = Double::start(Options::default()).unwrap();
    let mut client = Client::connect(double.addr).await.unwrap();
    client.send(&request("HEAD", "/v1/unknown", "k")).await.unwrap();
    let head = client.head().await.unwrap();
    assert_ne!(head.header("content-length"), Some("0"));
    // The next bytes are the next answer.
    assert_eq!(client.exchange(&request("GET", "/v1/models", "k")).await.unwrap().head.status, 200);
}
