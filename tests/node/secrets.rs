//! No key leaves by a side door: not in a log row, not in a header, not by a method that echoes.

use gpt_load_benches::double::Behaviour;
use gpt_load_schema::{channel::Channel, log::OutcomeClass};
use serde_json::json;

use crate::support::{AUTH_KEY, Gateway, Request, code};

const SECRET: &str = "sk-very-secret-key-123456";

#[actix_web::test]
async fn the_key_is_masked_in_the_final_row_when_the_keys_run_out_in_the_middle() {
    let gateway = Gateway::with_keys(&[SECRET]).await;
    gateway.double.on_key(SECRET, Behaviour::invalid_key().message("Incorrect API key provided: {key}"));
    let answer = gateway.send(&Request::chat(false)).await;
    assert_eq!(answer.head.status, 401, "the provider's own answer");
    let logs = gateway.logs().await;
    assert_eq!(logs.len(), 2, "one attempt, one final row");
    for log in logs {
        let told = format!("{} {:?} {}", log.error_message, log.evidence, log.request_path);
        assert!(told.contains("Incorrect API key provided") && !told.contains(SECRET), "{told}");
        assert_eq!(log.class, Some(OutcomeClass::KeyInvalid));
    }
}

#[actix_web::test]
async fn a_key_in_the_headers_of_a_good_answer_is_masked() {
    let gateway = Gateway::start().await;
    gateway.group("gemini", Channel::Gemini, &["AIza/very+secret=key"], json!({})).await;
    let url = "https://files.example/upload?upload_id=7&key=AIza%2Fvery%2Bsecret%3Dkey";
    for behaviour in [
        Behaviour::status(307).header("location", url),
        Behaviour::status(200).header("x-goog-upload-url", url),
        Behaviour::status(200).header("x-echo", "AIza/very+secret=key"),
        Behaviour::raw(format!("HTTP/1.1 204 No Content\r\nlocation: {url}\r\n\r\n")),
    ] {
        gateway.double.on_next(1, behaviour);
        let request = Request::new("POST", "/proxy/gemini/upload/v1beta/files").key(AUTH_KEY).body("{}");
        let answer = gateway.send(&request).await;
        let head = format!("{:?}", answer.head);
        assert!(!head.contains("secret"), "{head}");
        assert!(answer.head.status == 200 || head.contains("upload_id=7") && head.contains("key=AIza****"), "{head}");
    }
}

#[actix_web::test]
async fn methods_that_echo_or_tunnel_are_refused() {
    let gateway = Gateway::with_keys(&[SECRET]).await;
    for method in ["TRACE", "CONNECT"] {
        let answer = gateway.send(&Request::new(method, "/v1/models").key(AUTH_KEY)).await;
        assert_eq!((answer.head.status, code(&answer).as_str()), (405, "METHOD_NOT_ALLOWED"), "{method}");
    }
    assert!(gateway.double.requests().is_empty());
}

#[actix_web::test]
async fn what_the_gateway_says_of_itself_no_upstream_can_say() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let spoofing = Behaviour::ok()
        .header("x-gpt-load-request-id", "spoofed")
        .header("x-gpt-load-attempts", "77")
        .header("x-gpt-load-error-source", "gateway")
        .header("x-gpt-load-future", "spoofed");
    for stream in [false, true] {
        gateway.double.on_next(1, spoofing.clone());
        let answer = gateway.send(&Request::chat(stream)).await;
        assert_eq!(answer.head.status, 200);
        assert_eq!(answer.head.header_values("x-gpt-load-attempts"), ["1"]);
        assert_eq!(answer.head.header_values("x-gpt-load-request-id").len(), 1);
        assert!(!format!("{:?}", answer.head).contains("spoofed"));
        assert_eq!(answer.head.header("x-gpt-load-error-source"), None);
    }
}

#[actix_web::test]
async fn the_proxy_key_reaches_no_upstream_on_any_way_in() {
    let gateway = Gateway::start().await;
    for channel in Channel::ALL {
        gateway.group(channel.as_str(), channel, &["sk-up"], json!({})).await;
        for request in [
            Request::new("POST", &format!("/proxy/{channel}/v1/x?a=1&key={AUTH_KEY}&b=2")),
            Request::new("POST", &format!("/proxy/{channel}/v1/x?k%65y={AUTH_KEY}")).key(AUTH_KEY),
            Request::new("POST", &format!("/proxy/{channel}/v1/x")).header("api-key", AUTH_KEY),
            Request::new("POST", &format!("/proxy/{channel}/v1/x")).header("x-goog-api-key", AUTH_KEY),
            Request::new("POST", &format!("/proxy/{channel}/v1/x")).header("x-api-key", AUTH_KEY),
            Request::new("POST", &format!("/proxy/{channel}/v1/x"))
                .key(AUTH_KEY)
                .header("proxy-authorization", &format!("Bearer {AUTH_KEY}")),
        ] {
            gateway.send(&request).await;
        }
    }
    let requests = gateway.double.requests();
    assert_eq!(requests.len(), 6 * Channel::ALL.len());
    for received in requests {
        let told = format!("{received:?}");
        assert!(!told.contains(AUTH_KEY), "{told}");
    }
    let rows = format!("{:?}", gateway.logs().await);
    assert!(!rows.contains(AUTH_KEY));
}

#[actix_web::test]
async fn googles_sdk_finds_model_stream_and_credential_under_either_version() {
    let gateway = Gateway::start().await;
    gateway.group("gemini", Channel::Gemini, &["AIza-up"], json!({})).await;
    for version in ["v1", "v1beta"] {
        for (action, stream) in [("generateContent", false), ("streamGenerateContent?alt=sse", true)] {
            let target = format!("/proxy/gemini/{version}/models/gemini-2.0-flash:{action}");
            let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
            let request = Request::new("POST", &target).header("x-goog-api-key", AUTH_KEY).json(&body);
            gateway.send(&request).await;
            let received = gateway.double.requests().pop().unwrap();
            let separator = if action.contains('?') { '&' } else { '?' };
            assert_eq!(received.target, format!("{}{separator}key=AIza-up", &target["/proxy/gemini".len()..]));
            assert_eq!(received.header("x-goog-api-key"), None);
            let log = gateway.logs().await.pop().unwrap();
            assert_eq!((log.model.as_str(), log.is_stream), ("gemini-2.0-flash", stream), "{target}");
        }
    }
}
