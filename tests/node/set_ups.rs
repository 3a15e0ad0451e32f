//! First set-ups: nothing configured, and the one-file set-up.

use std::time::Duration;

use gpt_load_benches::{
    double::{Behaviour, Double, Options},
    raw::Client,
};
use serde_json::json;

use crate::support::{AUTH_KEY, PATIENCE, Request, start_node};

async fn send(node: &gpt_load::node::Node, request: Request) -> gpt_load_benches::raw::Answer {
    let mut client = Client::connect(node.address()).await.unwrap();
    tokio::time::timeout(PATIENCE, client.exchange(&request.bytes())).await.unwrap().unwrap()
}

fn chat() -> Request {
    Request::new("POST", "/v1/chat/completions").json(&json!({"model": "m", "messages": []}))
}

#[actix_web::test]
async fn a_node_without_any_configuration_generates_its_keys_and_tells_them_once() {
    let folder = tempfile::tempdir().unwrap();
    let node = start_node(folder.path(), &[]).await.unwrap();
    let key = std::fs::read_to_string(folder.path().join("data/auth_key")).unwrap().trim().to_owned();
    assert!(node.greeting().contains(&key));
    assert!(node.greeting().contains("There is no group `default` yet"));
    let proxy_key = node.store().settings().await.unwrap()["proxy_keys"].clone();
    assert!(node.greeting().contains(&proxy_key));
    assert_ne!(proxy_key, key);
    assert_eq!(send(&node, Request::new("GET", "/api/groups").key(&key)).await.head.status, 200);
    assert_eq!(send(&node, Request::new("GET", "/api/groups").key("wrong")).await.head.status, 401);
    let health = send(&node, Request::new("GET", "/health")).await;
    assert_eq!((health.head.status, health.json()["status"].as_str()), (200, Some("healthy")));
    node.stop().await;
    let node = start_node(folder.path(), &[]).await.unwrap();
    assert_eq!(node.management_key().expose(), key);
    assert!(!node.greeting().contains(&key) && !node.greeting().contains(&proxy_key));
    node.stop().await;
}

#[actix_web::test]
async fn keys_file_and_base_url_make_a_working_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.txt");
    std::fs::write(&keys, "sk-1\n\n# spare\nsk-2\nsk-3\n").unwrap();
    let (one, two) = (Double::start(Options::default()).unwrap(), Double::start(Options::default()).unwrap());
    let urls = format!("{},{}", one.url(), two.url());
    let keys = keys.display().to_string();
    let env = [("KEYS_FILE", &*keys), ("OPENAI_BASE_URL", &urls), ("AUTH_KEY", AUTH_KEY), ("START_INDEX", "1")];
    let node = start_node(folder.path(), &env).await.unwrap();
    for _ in 0..6 {
        assert_eq!(send(&node, chat().key(AUTH_KEY)).await.head.status, 200);
    }
    assert_eq!(send(&node, chat()).await.head.status, 401);
    assert_eq!((one.requests().len(), two.requests().len()), (3, 3));
    let mut first: Vec<_> = one.requests().into_iter().chain(two.requests()).collect();
    first.sort_by_key(|request| request.at);
    assert_eq!(first[0].key.as_deref(), Some("sk-2"), "START_INDEX");
    let mut used: Vec<_> =
        one.requests().into_iter().chain(two.requests()).map(|request| request.key.unwrap()).collect();
    used.sort();
    assert_eq!(used, ["sk-1", "sk-1", "sk-2", "sk-2", "sk-3", "sk-3"]);

    node.runtime().flush().await.unwrap();
    let stats = send(&node, Request::new("GET", "/stats").key(AUTH_KEY)).await.json();
    assert_eq!((&stats["total_keys"], &stats["total_requests"]), (&json!(3), &json!(6)), "{stats}");
    assert_eq!(send(&node, Request::new("GET", "/stats")).await.head.status, 401);

    one.on_key("sk-2", Behaviour::invalid_key());
    two.on_key("sk-2", Behaviour::invalid_key());
    for _ in 0..3 {
        assert_eq!(send(&node, chat().key(AUTH_KEY)).await.head.status, 200);
    }
    node.runtime().flush().await.unwrap();
    let blacklist = send(&node, Request::new("GET", "/blacklist").key(AUTH_KEY)).await;
    assert_eq!(blacklist.json()["total_blacklisted"], 1, "{}", blacklist.json());
    assert!(!String::from_utf8_lossy(&blacklist.body()).contains("sk-2"), "masked");
    let reset = send(&node, Request::new("GET", "/reset-keys").key(AUTH_KEY)).await.json();
    assert_eq!(reset["reset_count"], 1, "{reset}");
    node.stop().await;
}

#[actix_web::test]
async fn without_auth_key_the_one_file_set_up_is_open_on_the_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.txt");
    std::fs::write(&keys, "sk-1\n").unwrap();
    let double = Double::start(Options::default()).unwrap();
    let env = [("KEYS_FILE", &*keys.display().to_string()), ("OPENAI_BASE_URL", &*double.url())];
    let node = start_node(folder.path(), &env).await.unwrap();
    assert_eq!(send(&node, chat()).await.head.status, 200);
    assert_eq!(send(&node, Request::new("GET", "/stats")).await.head.status, 401, "management always wants its key");
    node.stop().await;
}

#[actix_web::test]
async fn the_group_follows_the_keys_file() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.txt");
    std::fs::write(&keys, "sk-1\nsk-2\n").unwrap();
    let double = Double::start(Options::default()).unwrap();
    let env = [("KEYS_FILE", &*keys.display().to_string()), ("OPENAI_BASE_URL", &*double.url())];
    let node = start_node(folder.path(), &env).await.unwrap();
    std::fs::write(&keys, "sk-2\nsk-3\nsk-4\n").unwrap();
    let group = node.store().groups().await.unwrap()[0].id;
    let followed = async {
        loop {
            let keys = node.store().keys_after(group, &Default::default(), None, 10).await.unwrap();
            let mut keys: Vec<_> = keys.into_iter().map(|key| key.value.unwrap().expose().to_owned()).collect();
            keys.sort();
            if keys == ["sk-2", "sk-3", "sk-4"] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, followed).await.expect("the group follows its file");
    node.stop().await;
}

#[actix_web::test]
async fn configured_proxy_keys_are_the_first_ones() {
    let folder = tempfile::tempdir().unwrap();
    let node = start_node(folder.path(), &[("PROXY_KEYS", "pk-of-mine"), ("AUTH_KEY", AUTH_KEY)]).await.unwrap();
    assert_eq!(send(&node, chat().key("pk-of-mine")).await.head.status, 404, "let in; there is no group");
    assert_eq!(node.store().settings().await.unwrap().get("proxy_keys"), None);
    node.stop().await;
}
