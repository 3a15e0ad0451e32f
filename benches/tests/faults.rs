//! Every fault of the double, seen from the other end of the socket.

use std::io::ErrorKind;
use std::time::Duration;

use gpt_load_benches::double::{At, Behaviour, Double, Framing, Options};
use gpt_load_benches::raw::{Answer, Client, End, post, post_with};

const CHAT: &str = "/v1/chat/completions";
const ASK: &str = r#"{"model":"m","messages":[]}"#;
const STREAM: &str = r#"{"model":"m","messages":[],"stream":true}"#;

fn double() -> Double {
    Double::start(Options::default()).expect("the double starts")
}

/// One request to a fresh double with this behaviour.
async fn seen(behaviour: Behaviour, body: &str) -> (Double, Client, std::io::Result<Answer>) {
    let double = double();
    double.on_key("sk-a", behaviour);
    let mut client = Client::connect(double.addr).await.expect("the double accepts");
    let answer = client.exchange(&post(CHAT, "sk-a", body)).await;
    (double, client, answer)
}

async fn answer(behaviour: Behaviour, body: &str) -> Answer {
    seen(behaviour, body).await.2.expect("a head comes")
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body().to_vec()).expect("the body is text")
}

#[tokio::test]
async fn statuses_carry_the_providers_words() {
    for (behaviour, status, code) in [
        (Behaviour::invalid_key(), 401, "invalid_api_key"),
        (Behaviour::status(402), 402, "insufficient_quota"),
        (Behaviour::insufficient_quota(), 429, "insufficient_quota"),
        (Behaviour::rate_limited(20), 429, "rate_limit_exceeded"),
    ] {
        let answer = answer(behaviour, ASK).await;
        assert_eq!((answer.head.status, answer.json()["error"]["code"].as_str()), (status, Some(code)));
    }
    for status in [403, 500, 502, 503, 504, 529] {
        assert_eq!(answer(Behaviour::status(status), ASK).await.head.status, status);
    }
}

#[tokio::test]
async fn errors_speak_the_dialect_of_the_path() {
    let double = double();
    let mut client = Client::connect(double.addr).await.unwrap();
    double.on_key("sk-a", Behaviour::rate_limited(7));
    let anthropic = client.exchange(&post("/v1/messages", "sk-a", ASK)).await.unwrap().json();
    assert_eq!(anthropic["error"]["type"], "rate_limit_error");
    let path = "/v1beta/models/m:generateContent";
    let gemini = client.exchange(&post(path, "sk-a", r#"{"contents":[]}"#)).await.unwrap().json();
    assert_eq!(
        (&gemini["error"]["status"], &gemini["error"]["details"][0]["retryDelay"]),
        (&"RESOURCE_EXHAUSTED".into(), &"7s".into())
    );
    double.on_key("sk-a", Behaviour::invalid_key());
    let gemini = client.exchange(&post(path, "sk-a", r#"{"contents":[]}"#)).await.unwrap();
    assert_eq!((gemini.head.status, &gemini.json()["error"]["details"][0]["reason"]), (400, &"API_KEY_INVALID".into()));
}

#[tokio::test]
async fn headers_are_sent_as_scripted() {
    let behaviour = Behaviour { set_cookies: 3, huge_headers: 2500, ..Behaviour::rate_limited(20) };
    let answer = answer(behaviour.header("x-a", "1").header("x-a", "2"), ASK).await;
    assert_eq!(answer.head.header("retry-after"), Some("20"));
    assert_eq!(answer.head.header_values("x-a"), ["1", "2"]);
    assert_eq!(answer.head.header_values("set-cookie").len(), 3);
    let padding = (0..3).map(|n| answer.head.header(&format!("x-double-padding-{n}")).unwrap().len()).sum::<usize>();
    assert_eq!(padding, 2500);
}

#[tokio::test]
async fn redirects_point_elsewhere() {
    let behaviour = Behaviour { redirect: Some("http://elsewhere/".to_owned()), ..Behaviour::ok() };
    let answer = answer(behaviour, ASK).await;
    assert_eq!((answer.head.status, answer.head.header("location")), (307, Some("http://elsewhere/")));
}

#[tokio::test]
async fn the_key_can_be_echoed() {
    let answer = answer(Behaviour::invalid_key().message("bad key {key}!"), ASK).await;
    assert_eq!(answer.json()["error"]["message"], "bad key sk-a!");
}

#[tokio::test]
async fn a_connection_breaks_before_the_head() {
    let (_double, _client, answer) = seen(Behaviour::reset(At::Head), ASK).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let (_double, _client, answer) = seen(Behaviour::cut(At::Head), ASK).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn bodies_are_cut_where_scripted() {
    let plain = answer(Behaviour::cut(At::After(10)), ASK).await;
    assert_eq!((plain.body().len(), plain.end), (10, End::Cut));
    assert!(plain.head.header("content-length").unwrap().parse::<usize>().unwrap() > 10);
    let stream = answer(Behaviour::cut(At::After(3)), STREAM).await;
    assert_eq!((stream.pieces.len(), stream.end), (3, End::Cut));
    let chunked = answer(Behaviour::cut(At::After(10)).framing(Framing::Chunked), ASK).await;
    assert_eq!((chunked.body().len(), chunked.end), (10, End::Cut));
    let nothing = answer(Behaviour::cut(At::After(0)), STREAM).await;
    assert_eq!((nothing.head.status, nothing.pieces.len(), nothing.end), (200, 0, End::Cut));
}

#[tokio::test]
async fn streams_are_reset_where_scripted() {
    let behaviour = Behaviour::reset(At::After(3)).delay_event(Duration::from_millis(5));
    let answer = answer(behaviour, STREAM).await;
    assert_eq!((answer.pieces.len(), answer.end), (3, End::Reset));
}

#[tokio::test]
async fn close_delimited_answers_end_with_the_connection() {
    let answer = answer(Behaviour::ok().framing(Framing::Close), ASK).await;
    assert_eq!(answer.head.header("content-length"), None);
    assert_eq!(answer.head.header("connection"), Some("close"));
    assert_eq!((answer.json()["object"].as_str(), answer.end), (Some("chat.completion"), End::Complete));
}

#[tokio::test]
async fn interim_answers_come_before_and_after() {
    let behaviour = Behaviour { unsolicited_continue: true, trailing_hints: true, ..Behaviour::early_hints() };
    let (_double, mut client, first) = seen(behaviour.times(1), ASK).await;
    assert_eq!(first.unwrap().interim, [100, 103]);
    let second = client.exchange(&post(CHAT, "sk-a", ASK)).await.unwrap();
    assert_eq!((second.interim, second.head.status), (vec![103], 200));
}

#[tokio::test]
async fn error_events_come_first_or_later() {
    let first = text(&answer(Behaviour::error_event(0), STREAM).await);
    assert!(first.starts_with("data: {\"error\""), "{first}");
    let later = answer(Behaviour { status: Some(429), ..Behaviour::error_event(2) }, STREAM).await;
    assert_eq!((later.head.status, later.pieces.len(), later.end), (200, 3, End::Complete));
    assert!(text(&later).contains("rate_limit_exceeded"));
}

#[tokio::test]
async fn success_can_be_empty() {
    let plain = answer(Behaviour::empty(), ASK).await;
    assert_eq!((plain.head.status, plain.head.header("content-length"), plain.body().len()), (200, Some("0"), 0));
    let stream = answer(Behaviour::empty(), STREAM).await;
    assert_eq!((stream.pieces.len(), stream.end), (0, End::Complete));
}

#[tokio::test]
async fn the_terminal_event_can_be_missing() {
    assert!(text(&answer(Behaviour::ok(), STREAM).await).ends_with("data: [DONE]\n\n"));
    let answer = answer(Behaviour::no_terminal(), STREAM).await;
    assert!(!text(&answer).contains("[DONE]"));
    assert_eq!(answer.end, End::Complete);
}

#[tokio::test]
async fn gzip_unpacks_to_the_plain_answer() {
    use std::io::Read as _;
    for body in [ASK, STREAM] {
        let packed = answer(Behaviour::ok().gzip(), body).await;
        assert_eq!(packed.head.header("content-encoding"), Some("gzip"));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.body().as_ref()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, answer(Behaviour::ok(), body).await.body());
    }
}

#[tokio::test]
async fn chunks_cut_characters_and_events() {
    let whole = answer(Behaviour::ok(), STREAM).await;
    let cut = answer(Behaviour::ok().chunk(7), STREAM).await;
    assert_eq!(cut.body(), whole.body());
    assert!(cut.pieces.iter().rev().skip(1).all(|piece| piece.len() == 7));
    assert!(cut.pieces.iter().any(|piece| std::str::from_utf8(piece).is_err()), "no character was cut");
}

#[tokio::test]
async fn golden_bytes_are_sent_unchanged() {
    let golden: Vec<u8> = (0..=255).collect();
    let body = answer(Behaviour::golden(golden.clone()).chunk(100).framing(Framing::Chunked), ASK).await;
    assert_eq!(body.pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [100, 100, 56]);
    assert_eq!(body.body(), golden);
    let raw = answer(Behaviour::raw("HTTP/1.1 299 Odd\r\nX-Odd: 1\r\ncontent-length: 2\r\n\r\nok"), ASK).await;
    assert_eq!((raw.head.status, raw.head.header("x-odd"), raw.body().as_ref()), (299, Some("1"), b"ok".as_ref()));
}

#[tokio::test]
async fn a_connection_closes_silently_after_the_answer() {
    let behaviour = Behaviour { close_silently: true, ..Behaviour::ok() };
    let (_double, mut client, answer) = seen(behaviour, ASK).await;
    assert_eq!(answer.unwrap().head.header("connection"), None);
    assert!(client.closed().await.unwrap());
}

#[tokio::test]
async fn an_early_answer_leaves_the_body_unread() {
    let double = double();
    double.on_key("sk-a", Behaviour { early: true, ..Behaviour::status(413) });
    let mut client = Client::connect(double.addr).await.unwrap();
    let head = format!("POST {CHAT} HTTP/1.1\r\nAuthorization: Bearer sk-a\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(client.exchange(head.as_bytes()).await.unwrap().head.status, 413);
}

#[tokio::test]
async fn a_client_that_leaves_is_seen_at_once() {
    for behaviour in [
        Behaviour::hang(At::Head),
        Behaviour::hang(At::After(2)),
        Behaviour::ok().delay_head(Duration::from_secs(600)),
        Behaviour::ok().delay_event(Duration::from_secs(600)),
    ] {
        let double = double();
        double.on_key("sk-a", behaviour.clone());
        let mut client = Client::connect(double.addr).await.unwrap();
        client.send(&post(CHAT, "sk-a", STREAM)).await.unwrap();
        double.wait_for(1).await;
        let left = std::time::Instant::now();
        drop(client);
        let aborted = double.wait_aborted(0).await.aborted_at.unwrap();
        assert!(aborted.duration_since(left) < Duration::from_millis(100), "{behaviour:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_blocked_write_is_seen() {
    let double = double();
    double.on_key("sk-a", Behaviour::golden(vec![b'x'; 64 << 20]));
    let mut client = Client::connect(double.addr).await.unwrap();
    client.send(&post(CHAT, "sk-a", ASK)).await.unwrap();
    client.head().await.unwrap();
    drop(client);
    assert_eq!(double.wait_aborted(0).await.answered_at, None);
}

#[tokio::test]
async fn behaviours_come_by_header_model_and_control_route() {
    let double = double();
    let mut client = Client::connect(double.addr).await.unwrap();
    let by_header = post_with(CHAT, "sk-a", "x-double: status=503;retry-after=4\r\n", ASK);
    let answer = client.exchange(&by_header).await.unwrap();
    assert_eq!((answer.head.status, answer.head.header("retry-after")), (503, Some("4")));
    let by_model = post(CHAT, "sk-a", r#"{"model":"double;status=429","messages":[]}"#);
    assert_eq!(client.exchange(&by_model).await.unwrap().head.status, 429);
    let by_path = post("/v1beta/models/double;status=500:generateContent", "sk-a", r#"{"contents":[]}"#);
    assert_eq!(client.exchange(&by_path).await.unwrap().head.status, 500);

    let script = r#"[{"status":402,"times":1},{"status":403}]"#;
    let put = format!("PUT /__double/keys/sk-b HTTP/1.1\r\nContent-Length: {}\r\n\r\n{script}", script.len());
    assert_eq!(client.exchange(put.as_bytes()).await.unwrap().head.status, 200);
    for status in [402, 403, 403] {
        assert_eq!(client.exchange(&post(CHAT, "sk-b", ASK)).await.unwrap().head.status, status);
    }
    let listed = client.exchange(b"GET /__double/requests?wait=6 HTTP/1.1\r\n\r\n").await.unwrap().json();
    assert_eq!(listed["requests"][3]["key"], "sk-b");
    client.exchange(b"DELETE /__double HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(client.exchange(&post(CHAT, "sk-b", ASK)).await.unwrap().head.status, 200);
    assert_eq!(double.requests().len(), 1);
}

#[tokio::test]
async fn a_script_that_cannot_be_read_is_refused() {
    let double = double();
    let mut client = Client::connect(double.addr).await.unwrap();
    let answer = client.exchange(&post_with(CHAT, "sk-a", "x-double: statsu=1\r\n", ASK)).await.unwrap();
    assert_eq!((answer.head.status, answer.json()["error"]["code"].as_str()), (400, Some("provider_double")));
}
