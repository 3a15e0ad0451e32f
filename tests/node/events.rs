//! What listeners of `/api/events` hear.

use std::collections::VecDeque;

use gpt_load_actors::events::Event as Told;
use gpt_load_benches::{
    double::Behaviour,
    raw::{Client, End},
};
use gpt_load_schema::channel::Channel;
use serde_json::{Value, json};

use crate::{
    clients::Clients,
    support::{AUTH_KEY, Gateway, PATIENCE, Request},
};

/// An event as a browser sees it.
#[derive(Clone, Debug)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

/// A listener.
struct Listener {
    client: Client,
    text: String,
    events: VecDeque<Event>,
}

impl Listener {
    /// Listens, and is greeted.
    async fn greeted(gateway: &Gateway) -> (Self, Event) {
        let mut listener = Self::coming_back(gateway, None).await;
        let hello = listener.next().await.expect("a greeting");
        assert_eq!(hello.name, "hello");
        (listener, hello)
    }

    /// Listens, and says which event was the last.
    async fn coming_back(gateway: &Gateway, last: Option<&str>) -> Self {
        let mut client = gateway.client().await;
        let mut request = Request::new("GET", "/api/events").key(AUTH_KEY);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        client.send(&request.bytes()).await.unwrap();
        let head = client.head().await.unwrap();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        Self { client, text: String::new(), events: VecDeque::new() }
    }

    /// The next event; `None` at the proper end of the stream.
    async fn next(&mut self) -> Option<Event> {
        while self.events.is_empty() {
            let piece = tokio::time::timeout(PATIENCE, self.client.piece()).await.expect("something comes").unwrap()?;
            self.text.push_str(std::str::from_utf8(&piece).expect("events are whole texts"));
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                self.events.extend(parsed(block));
                self.text = rest.to_owned();
            }
        }
        self.events.pop_front()
    }

    /// The next event of a name; those before it are passed over.
    async fn named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }
}

fn parsed(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let data = serde_json::from_str(&field("data: ")?).expect("data is JSON");
    Some(Event { id: field("id: ")?, name: field("event: ")?, data })
}

#[actix_web::test]
async fn a_listener_hears_of_what_people_change() {
    let gateway = Gateway::start().await;
    let (mut listener, hello) = Listener::greeted(&gateway).await;
    assert_eq!(hello.data["version"], env!("CARGO_PKG_VERSION"));
    assert!(hello.data["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{hello:?}");
    let group = gateway.group("default", Channel::OpenAi, &[], json!({})).await;
    assert_eq!(listener.next().await.unwrap().name, "groups");
    gateway.api("PUT", "/api/settings", &json!({"max_retries": 1})).await;
    assert_eq!(listener.next().await.unwrap().name, "settings");
    let policies = gateway.api("GET", "/api/policies", &Value::Null).await;
    let links = json!([{"policy_id": policies[0]["id"], "priority": 1, "is_active": true}]);
    let attach = Request::new("PUT", &format!("/api/groups/{group}/policies")).key(AUTH_KEY);
    let refused = gateway.send(&attach.clone().json(&json!({"nonsense": 1}))).await;
    assert_eq!(refused.head.status, 400, "what is refused is no event");
    assert_eq!(gateway.send(&attach.json(&links)).await.head.status, 200);
    assert_eq!(listener.next().await.unwrap().name, "policies");
    gateway.api("DELETE", &format!("/api/groups/{group}"), &Value::Null).await;
    assert_eq!(listener.next().await.unwrap().name, "groups");
}

#[actix_web::test]
async fn a_key_that_goes_out_is_told_with_its_reason_and_without_its_value() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &["sk-revoked-0123456789"], json!({})).await;
    gateway.add_keys(group, &["sk-good-0123456789"]).await;
    let (mut listener, _) = Listener::greeted(&gateway).await;
    gateway.double.on_key("sk-revoked-0123456789", Behaviour::status(401).message("Incorrect API key provided"));
    for _ in 0..2 {
        assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    }
    let event = loop {
        let event = listener.named("keys").await;
        if event.data["keys"] != json!([]) {
            break event;
        }
    };
    let (data, key) = (&event.data, &event.data["keys"][0]);
    assert_eq!((&data["group_id"], &data["changed"]), (&json!(group.0), &json!(1)));
    let counts = json!({"total": 2, "pending": 0, "active": 1, "degraded": 0, "disabled": 0, "invalid": 1});
    assert_eq!(data["counts"], counts);
    assert_eq!(key["key"], "sk-r****6789");
    assert_eq!([&key["from"], &key["state"], &key["class"]], ["active", "invalid", "key_invalid"]);
    assert!(key["reason"].as_str().unwrap().contains("Incorrect API key provided"), "{key}");
    assert!(!event.data.to_string().contains("sk-revoked-0123456789"));
}

#[actix_web::test]
async fn new_rows_of_the_log_can_be_asked_for() {
    let gateway = Gateway::with_keys(&["sk-1"]).await;
    let (mut listener, _) = Listener::greeted(&gateway).await;
    assert_eq!(gateway.send(&Request::chat(false)).await.head.status, 200);
    let event = listener.named("logs").await;
    assert_eq!(event.data["count"], 1);
    let from = event.data["from"].as_str().unwrap();
    let listed = gateway.api("GET", &format!("/api/logs?start_time={from}"), &Value::Null).await;
    let first = listed["items"][0].clone();
    assert_eq!((&listed["items"].as_array().unwrap().len(), &first["timestamp"]), (&1, &json!(from)));

    for _ in 0..3 {
        gateway.send(&Request::chat(false)).await;
    }
    gateway.node.runtime().flush().await.unwrap();
    let after = format!("/api/logs?after={}", first["id"].as_str().unwrap());
    let newer = gateway.api("GET", &after, &Value::Null).await;
    let list = gateway.api("GET", "/api/logs?page_size=3", &Value::Null).await;
    assert_eq!(newer["items"], list["items"], "the same rows in the same order");
    assert_eq!(newer["pagination"], json!({"page_size": 15, "has_more": false}));
}

#[actix_web::test]
async fn who_comes_back_learns_whether_something_was_missed() {
    let gateway = Gateway::start().await;
    let (listener, hello) = Listener::greeted(&gateway).await;
    drop(listener);
    let mut same = Listener::coming_back(&gateway, Some(&hello.id)).await;
    assert_eq!(same.next().await.unwrap().id, hello.id, "nothing happened meanwhile");
    gateway.group("default", Channel::OpenAi, &[], json!({})).await;
    assert_eq!(same.next().await.unwrap().name, "groups", "and no resync came before");
    for last in [hello.id.as_str(), "0-1", "nonsense"] {
        let mut listener = Listener::coming_back(&gateway, Some(last)).await;
        let (hello, resync) = (listener.next().await.unwrap(), listener.next().await.unwrap());
        assert_eq!((hello.name.as_str(), resync.name.as_str()), ("hello", "resync"), "{last}");
        assert_eq!(hello.id, resync.id);
    }
}

#[actix_web::test]
async fn a_listener_that_does_not_read_is_told_to_start_over() {
    const EVENTS: usize = 400_000;
    let gateway = Gateway::start().await;
    let (mut listener, hello) = Listener::greeted(&gateway).await;
    // More than all buffers on the way hold.
    for _ in 0..EVENTS {
        gateway.node.runtime().events().tell(|| Told::Groups);
    }
    let mut heard = 0;
    let resync = loop {
        let event = listener.next().await.unwrap();
        if event.name == "resync" {
            break event;
        }
        heard += 1;
    };
    assert!(heard < EVENTS, "{heard}");
    assert_ne!(resync.id, hello.id);
}

#[actix_web::test]
async fn a_task_is_told_from_its_begin_to_its_end() {
    let gateway = Gateway::start().await;
    let group = gateway.group("default", Channel::OpenAi, &["sk-1", "sk-2"], json!({})).await;
    let (mut listener, _) = Listener::greeted(&gateway).await;
    gateway.api("POST", "/api/keys/validate-group", &json!({"group_id": group.0})).await;
    let begin = listener.named("task").await.data;
    assert_eq!((&begin["task_type"], &begin["is_running"]), (&json!("KEY_VALIDATION"), &json!(true)));
    let end = loop {
        let task = listener.named("task").await.data;
        if task["is_running"] == false {
            break task;
        }
    };
    assert_eq!((&end["processed"], &end["result"]["valid_keys"]), (&json!(2), &json!(2)));
    assert_eq!(end, gateway.api("GET", "/api/tasks/status", &Value::Null).await);
}

#[actix_web::test]
async fn a_guard_is_told_when_it_trips_and_when_it_lets_go() {
    let gateway = Gateway::start().await;
    let keys: Vec<String> = (0..6).map(|number| format!("sk-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let group = gateway.group("default", Channel::OpenAi, &keys, json!({"max_retries": 2})).await;
    let (mut listener, _) = Listener::greeted(&gateway).await;
    gateway.double.on_every(Some(Behaviour::status(403).message("Not from here")));
    let clients = Clients::start(&gateway, 4);
    let tripped = listener.named("guard").await.data;
    assert_eq!((&tripped["group_id"], &tripped["is_tripped"]), (&json!(group.0), &json!(true)));
    assert_eq!(tripped["episode"]["class"], "key_forbidden");
    gateway.double.on_every(None);
    let lifted = listener.named("guard").await.data;
    assert_eq!((&lifted["group_id"], &lifted["is_tripped"]), (&json!(group.0), &json!(false)));
    clients.stop().await;
}

#[actix_web::test]
async fn listeners_need_the_key_and_are_few() {
    let gateway = Gateway::start().await;
    let answer = gateway.send(&Request::new("GET", "/api/events")).await;
    assert_eq!(answer.head.status, 401);
    let head = gateway.send(&Request::new("HEAD", "/api/events").key(AUTH_KEY)).await;
    assert_eq!((head.head.status, head.body().len()), (200, 0), "a head is not listened to");
    let mut listeners = Vec::new();
    for _ in 0..64 {
        listeners.push(Listener::greeted(&gateway).await);
    }
    let refused = gateway.send(&Request::new("GET", "/api/events").key(AUTH_KEY)).await;
    assert_eq!((refused.head.status, refused.head.header("retry-after")), (503, Some("5")));
    assert_eq!(refused.json()["code"], "SERVICE_UNAVAILABLE");
    drop(listeners);
    // The node learns that they are gone when it has something to tell them.
    let begun = std::time::Instant::now();
    loop {
        gateway.node.runtime().events().tell(|| Told::Groups);
        let mut client = gateway.client().await;
        client.send(&Request::new("GET", "/api/events").key(AUTH_KEY).bytes()).await.unwrap();
        if client.head().await.unwrap().status == 200 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "places are not given back");
    }
}

#[actix_web::test]
async fn a_stream_ends_properly_with_its_node() {
    let gateway = Gateway::start().await;
    let (mut listener, _) = Listener::greeted(&gateway).await;
    tokio::time::timeout(PATIENCE, gateway.node.stop()).await.expect("no listener holds the node up");
    assert!(listener.next().await.is_none());
    assert!(matches!(listener.client.answer().await, Err(_) | Ok(gpt_load_benches::raw::Answer { end: End::Cut, .. })));
}
