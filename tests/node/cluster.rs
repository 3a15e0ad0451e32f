//! Two nodes and one leader, over real servers: whichever node is asked, the leader carries it out.

use std::{env, net::SocketAddr};

use gpt_load::{
    cluster::{Forwarded, Seal},
    node::Node,
};
use gpt_load_benches::raw::{Answer, Client};
use gpt_load_cluster::lease::Role;
use gpt_load_schema::{
    secret::Secret,
    store::testing::{Database, Kind},
    time::Timestamp,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::{AUTH_KEY, PATIENCE, Request, code, start_node};

/// Nodes on one database and one Redis, which no other test uses.
struct Nodes {
    database: Database,
    redis: String,
    name: String,
    folders: Vec<TempDir>,
}

impl Nodes {
    fn new() -> Self {
        let redis = env::var("GPT_LOAD_TEST_REDIS").expect("start the databases with tests/with-servers.sh");
        let name = uuid_of_a_test();
        Self { database: Database::new(Kind::Postgres), redis, name, folders: Vec::new() }
    }

    async fn try_start(&mut self, name: &str, more: &[(&str, &str)]) -> anyhow::Result<Node> {
        let folder = tempfile::tempdir().unwrap();
        let dsn = self.database.dsn().to_owned();
        let env = [
            ("AUTH_KEY", AUTH_KEY),
            ("DATABASE_DSN", dsn.as_str()),
            ("REDIS_DSN", self.redis.as_str()),
            ("CLUSTER_NAME", self.name.as_str()),
            ("NODE_NAME", name),
        ];
        let node = start_node(folder.path(), &[env.as_slice(), more].concat()).await;
        self.folders.push(folder);
        node
    }

    async fn start(&mut self, name: &str, more: &[(&str, &str)]) -> Node {
        self.try_start(name, more).await.unwrap()
    }

    /// A leader, and a follower that may never lead and believes proxies of this machine.
    async fn pair(&mut self) -> (Node, Node) {
        let leader = self.start("leader", &[]).await;
        role(&leader, |role| role.epoch().is_some()).await;
        let follower = self.start("follower", &[("IS_SLAVE", "true"), ("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
        role(&follower, |role| *role == Role::Follower { leader: Some("leader".into()) }).await;
        (leader, follower)
    }
}

fn uuid_of_a_test() -> String {
    format!("test-{}-{:016x}", std::process::id(), rand::random::<u64>())
}

async fn role(node: &Node, is_it: impl Fn(&Role) -> bool) {
    let mut role = node.runtime().role_changes();
    timeout(PATIENCE, role.wait_for(|role| is_it(role))).await.expect("the role stays another").unwrap();
}

async fn send(to: SocketAddr, request: &Request) -> Answer {
    let mut client = Client::connect(to).await.unwrap();
    client.exchange(&request.bytes()).await.unwrap()
}

async fn api(node: &Node, method: &str, path: &str, body: &Value) -> Value {
    let request = Request::new(method, path).key(AUTH_KEY);
    let request = if body.is_null() { request } else { request.json(body) };
    let answer = send(node.address(), &request).await;
    assert_eq!(answer.head.status, 200, "{method} {path}: {}", answer.json());
    answer.json()["data"].clone()
}

fn group(name: &str) -> Value {
    json!({
        "name": name,
        "channel_type": "openai",
        "upstreams": [{"url": "http://127.0.0.1:9", "weight": 1}],
        "test_model": "m",
    })
}

#[actix_web::test]
async fn what_a_follower_is_asked_the_leader_carries_out() {
    let mut nodes = Nodes::new();
    let (leader, follower) = nodes.pair().await;
    let asked = Request::new("POST", "/api/groups")
        .key(AUTH_KEY)
        .header("x-forwarded-for", "203.0.113.9")
        .json(&group("from-the-follower"));
    let answer = send(follower.address(), &asked).await;
    assert_eq!(answer.head.status, 200, "{}", answer.json());
    let id = answer.json()["data"]["id"].clone();
    let request_id = answer.head.header("x-gpt-load-request-id").unwrap().to_owned();
    let groups = api(&leader, "GET", "/api/groups", &Value::Null).await;
    assert_eq!((&groups[0]["id"], &groups[0]["name"]), (&id, &json!("from-the-follower")));
    let audit = api(&leader, "GET", "/api/audit?action=group.create", &Value::Null).await;
    let row = &audit["items"][0];
    assert_eq!((&row["address"], &row["request_id"]), (&json!("203.0.113.9"), &json!(request_id)), "{row}");

    // Errors come through as the leader says them, in the client's language.
    let again = send(follower.address(), &asked.clone().header("accept-language", "zh-CN")).await;
    assert_eq!((again.head.status, code(&again).as_str()), (409, "DUPLICATE_RESOURCE"), "{}", again.json());
    assert_eq!(again.json()["message"], "分组名称已存在");
    let unknown = Request::new("POST", "/api/groups").key("wrong").json(&group("never"));
    assert_eq!(send(follower.address(), &unknown).await.head.status, 401);

    let large: String = (0..60_000).map(|number| format!("sk-{number:0>100}\n")).collect();
    let body = json!({"group_id": id, "keys_text": large});
    assert!(body.to_string().len() > 6 << 20);
    let added = Request::new("POST", "/api/keys/add-async").key(AUTH_KEY).json(&body);
    let added = send(follower.address(), &added).await;
    assert_eq!(added.head.status, 200, "{}", added.json());
    let begun = std::time::Instant::now();
    loop {
        let task = api(&follower, "GET", "/api/tasks/status", &Value::Null).await;
        assert_eq!(task["total"], 60_000, "the leader's task, not that of the follower: {task}");
        if task["is_running"] == false {
            assert_eq!(task["processed"], 60_000, "{task}");
            break;
        }
        assert!(begun.elapsed() < PATIENCE * 4, "{task}");
    }
    let keys = api(&follower, "GET", &format!("/api/keys?group_id={id}"), &Value::Null).await;
    assert_eq!(keys["pagination"]["total_items"], 60_000);
    follower.stop().await;
    leader.stop().await;
}

#[actix_web::test]
async fn without_a_leader_a_change_is_refused_for_now() {
    let mut nodes = Nodes::new();
    let (leader, follower) = nodes.pair().await;
    let ready = send(follower.address(), &Request::new("GET", "/health/ready")).await;
    assert_eq!((ready.head.status, &ready.json()["checks"]["leader"]), (200, &json!("ok")));

    // What was forwarded to a node that does not lead either is not forwarded again.
    let said = Forwarded { node: "other".into(), client: "203.0.113.9".parse().unwrap() };
    let seal = Seal::new(&Secret::from(AUTH_KEY)).close(&said, "POST", "/api/groups", Timestamp::now());
    let forwarded = Request::new("POST", "/api/groups").key(AUTH_KEY).json(&group("in-circles"));
    let refused = send(follower.address(), &forwarded.header("x-gpt-load-forwarded", &seal)).await;
    assert_eq!((refused.head.status, code(&refused).as_str()), (503, "SERVICE_UNAVAILABLE"));

    leader.stop().await;
    role(&follower, |role| *role == Role::Follower { leader: None }).await;
    let asked = Request::new("POST", "/api/groups").key(AUTH_KEY).json(&group("later"));
    let refused = send(follower.address(), &asked).await;
    assert_eq!((refused.head.status, code(&refused).as_str()), (503, "SERVICE_UNAVAILABLE"));
    let seconds: u64 = refused.head.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&seconds), "{seconds}");
    let ready = send(follower.address(), &Request::new("GET", "/health/ready")).await;
    assert_eq!((ready.head.status, &ready.json()["checks"]["leader"]), (503, &json!("unknown")));
    assert_eq!(api(&follower, "GET", "/api/groups", &Value::Null).await, json!([]), "reads go on");

    // Another leads, and the same request is carried out.
    let second = nodes.start("second", &[]).await;
    role(&follower, |role| *role == Role::Follower { leader: Some("second".into()) }).await;
    let begun = std::time::Instant::now();
    while send(follower.address(), &asked).await.head.status == 503 {
        assert!(begun.elapsed() < PATIENCE, "nobody carries it out");
    }
    assert_eq!(api(&second, "GET", "/api/groups", &Value::Null).await[0]["name"], "later");
    follower.stop().await;
    second.stop().await;
}

#[actix_web::test]
async fn each_node_lists_all() {
    let mut nodes = Nodes::new();
    let (leader, follower) = nodes.pair().await;
    let begun = std::time::Instant::now();
    let of_leader = loop {
        let listed = api(&leader, "GET", "/api/cluster", &Value::Null).await;
        if listed["nodes"][0]["role"] == "follower" {
            break listed;
        }
        assert!(begun.elapsed() < PATIENCE, "{listed}");
    };
    let of_follower = api(&follower, "GET", "/api/cluster", &Value::Null).await;
    for (listed, this, epoch) in [(&of_leader, "leader", json!(1)), (&of_follower, "follower", Value::Null)] {
        assert_eq!((&listed["mode"], &listed["leader"]), (&json!("cluster"), &json!("leader")), "{listed}");
        assert_eq!((&listed["self"], listed["epoch"].is_null()), (&json!(this), epoch.is_null()), "{listed}");
        assert_eq!(listed["redis"], json!({"ok": true}));
        let nodes = listed["nodes"].as_array().unwrap();
        let told: Vec<_> = nodes.iter().map(|node| [&node["name"], &node["role"], &node["is_slave"]]).collect();
        assert_eq!(json!(told), json!([["follower", "follower", true], ["leader", "leader", false]]), "{listed}");
        for node in nodes {
            assert_eq!(node["is_self"], json!(node["name"] == this), "{node}");
        }
        assert_eq!(nodes[1]["address"], leader.address().to_string());
    }
    let health = send(follower.address(), &Request::new("GET", "/health")).await.json();
    assert_eq!(health["role"], "follower");

    let refused = nodes.try_start("leader", &[]).await.err().expect("the name is taken");
    let refused = format!("{refused:#}");
    assert!(refused.contains("NODE_NAME") && refused.contains(&leader.address().to_string()), "{refused}");
    follower.stop().await;
    leader.stop().await;
}
