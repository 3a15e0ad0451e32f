//! Every route, seen by everyone who may come: nobody, a viewer, an admin.

use std::collections::BTreeSet;

use actix_web::http::Method;
use gpt_load_actors::commands::{Command, Reply};
use gpt_load_schema::{
    access::Role,
    group::{GroupDefinition, Upstream},
    ids::{GroupId, KeyId},
    log::{OutcomeClass, RequestLog, RequestType, TokenUsage},
    time::Timestamp,
};
use serde_json::json;
use uuid::Uuid;

use super::support::{Api, group, with};
use crate::admin::{
    auth::Need,
    endpoint::declared::{self, Route},
};

/// Routes outside of `/api`.
const OUTER: [&str; 8] = [
    "/health",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/stats",
    "/blacklist",
    "/reset-keys",
    "/proxy/{group}/api/integration/info",
];
/// Routes that ask nobody for a role; `/metrics` asks for a key by itself, because its own token opens nothing else.
const OPEN: [&str; 7] = [
    "/health",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/proxy/{group}/api/integration/info",
    "/auth/login",
    "/integration/info",
];
/// Recognisable secrets, each planted where its name says.
const SECRETS: [&str; 9] = [
    "sk-planted-provider-key-0001",
    "sk-planted-resting-key-0002",
    "pk-planted-group-key-0003",
    "pk-planted-global-key-0004",
    "planted-global-proxy-password-0005",
    "planted-group-proxy-password-0006",
    "planted-header-value-0007",
    "planted-parameter-0008",
    "planted-upstream-password-0009",
];
const PARAMETERS: &str = "page_size=100";

/// What the tests walk over: an installation with secrets in every place that can hold one.
struct Planted {
    api: Api,
    ids: Vec<(&'static str, String)>,
}

impl Planted {
    async fn new() -> Self {
        let api = Api::start().await;
        let secret = |at: usize| SECRETS[at];
        let rules = json!([{"key": "X-Tenant", "value": secret(6), "action": "set"}]);
        let change = json!({
            "proxy_keys": secret(2), "header_rules": rules, "param_overrides": {"api_key": secret(7)},
            "config": {"proxy_url": format!("http://me:{}@proxy.test:1", secret(5))},
        });
        let created = api.post("/api/groups", with(group("default"), &change)).await.data();
        let id = created["id"].as_i64().unwrap();
        api.keys(id, &[secret(0), secret(1)]).await;
        api.settle(secret(1), OutcomeClass::KeyInvalid, "no such key", Timestamp::now()).await;
        let settings = json!({
            "proxy_keys": secret(3), "proxy_url": format!("http://me:{}@proxy.test:1", secret(4)),
        });
        api.put("/api/settings", settings).await.message();
        // Only a database that was taken over has such an address.
        let stored = api.state.store.group(GroupId(id)).await.unwrap().unwrap().definition;
        let url = format!("https://me:{}@upstream.test", secret(8));
        let taken_over =
            GroupDefinition { name: "old".to_owned(), upstreams: vec![Upstream { url, weight: 1 }], ..stored };
        let reply = api.state.runtime.execute(Command::CreateGroup(Box::new(taken_over))).await.unwrap();
        let Reply::Group(old) = reply else { panic!("no group") };
        let aggregate = with(group("all"), &json!({"group_type": "aggregate", "test_model": "-", "upstreams": []}));
        let aggregate = api.post("/api/groups", aggregate).await.data()["id"].as_i64().unwrap();
        let members = json!({"sub_groups": [{"group_id": id, "weight": 1}, {"group_id": old.id, "weight": 1}]});
        api.post(&format!("/api/groups/{aggregate}/sub-groups"), members).await.message();
        let key = api.key_id(id, secret(0)).await;
        let request = Uuid::now_v7();
        api.state.runtime.record(row(request, GroupId(id), KeyId(key), secret(0)));
        api.state.runtime.flush().await.unwrap();
        let token = api.token("planted", Role::Admin).await.0;
        let ids = vec![
            ("/groups/{id}", id.to_string()),
            ("/validation/groups/{id}", id.to_string()),
            ("/keys/{id}", key.to_string()),
            ("/policies/{id}", "1".to_owned()),
            ("/tokens/{id}", token.to_string()),
            ("{sub_id}", old.id.to_string()),
            ("{request_id}", request.to_string()),
            ("{group}", "default".to_owned()),
            ("aggregate", aggregate.to_string()),
            ("old", old.id.to_string()),
        ];
        Self { api, ids }
    }

    fn id(&self, name: &str) -> &str {
        &self.ids.iter().find(|(known, _)| *known == name).unwrap().1
    }

    /// The paths to ask for: of groups, those of each kind.
    fn paths(&self, template: &str) -> Vec<String> {
        let mut path = if OUTER.contains(&template) { template.to_owned() } else { format!("/api{template}") };
        for name in ["{sub_id}", "{request_id}", "{group}"] {
            path = path.replace(name, self.id(name));
        }
        let Some(start) = template.find("{id}") else { return vec![path] };
        let known = self.ids.iter().find(|(known, _)| *known == &template[..start + "{id}".len()]);
        let (known, id) = known.unwrap_or_else(|| panic!("say in Planted::new what {template} means"));
        let more = if *known == "/groups/{id}" { vec![self.id("aggregate"), self.id("old")] } else { Vec::new() };
        std::iter::once(id.as_str()).chain(more).map(|id| path.replace("{id}", id)).collect()
    }
}

fn row(request: Uuid, group: GroupId, key: KeyId, value: &str) -> RequestLog {
    RequestLog {
        id: Uuid::now_v7(),
        request_id: request,
        attempt: 1,
        timestamp: Timestamp::now(),
        group_id: group,
        group_name: "default".to_owned(),
        parent: None,
        key: Some((key, value.into())),
        model: "m".to_owned(),
        upstream_model: None,
        class: Some(OutcomeClass::UpstreamFault),
        evidence: None,
        is_success: false,
        source_ip: "192.0.2.1".to_owned(),
        status_code: 502,
        request_path: "/v1/chat/completions".to_owned(),
        duration_ms: 1,
        first_byte_ms: None,
        error_message: format!("cannot reach https://me:{}@upstream.test", SECRETS[8]),
        user_agent: String::new(),
        request_type: RequestType::Final,
        upstream_addr: format!("https://me:{}@upstream.test/v1", SECRETS[8]),
        is_stream: false,
        request_body: String::new(),
        usage: TokenUsage::default(),
        finish_reason: None,
    }
}

/// Every route that the program has.
pub(super) async fn routes(api: &Api) -> Vec<Route> {
    declared::take();
    api.get("/health/live").await;
    let routes = declared::take();
    assert!(routes.len() > 50, "{}", routes.len());
    routes
}

/// Each method that a route was declared for.
pub(super) fn methods(route: &Route) -> Vec<Method> {
    let (path, methods, _) = route;
    if methods.is_empty() {
        assert!(OPEN.contains(&path.as_str()), "{path} takes every method");
        return vec![Method::GET];
    }
    methods.split(", ").map(|name| name.parse().unwrap()).collect()
}

#[actix_web::test]
async fn every_route_but_the_open_ones_asks_for_a_key() {
    let planted = Planted::new().await;
    let mut open = Vec::new();
    for route in routes(&planted.api).await {
        if route.2.is_none() {
            open.push(route.0.clone());
            continue;
        }
        for path in planted.paths(&route.0) {
            for method in methods(&route) {
                let head = method == Method::HEAD;
                let answer = planted.api.send(Api::anonymous(method.clone(), &path)).await;
                assert_eq!(answer.status, 401, "{method} {path}");
                if !head {
                    answer.is_error(401, "UNAUTHORIZED", "", &path);
                }
            }
        }
    }
    open.sort_unstable();
    let mut expected = OPEN.to_vec();
    expected.sort_unstable();
    assert_eq!(open, expected, "whatever is open to everyone is listed here");
}

#[actix_web::test]
async fn a_viewer_sees_no_secret_on_any_route_and_changes_nothing() {
    let planted = Planted::new().await;
    let api = &planted.api;
    let (_, viewer) = api.token("viewer", Role::Viewer).await;
    let group = planted.id("/groups/{id}").to_owned();
    let before = api.get("/api/audit?page_size=1").await.data()["items"][0]["id"].clone();
    let mut shown_to_admins = String::new();
    let mut refused = 0;
    for route in routes(api).await {
        let Some(need) = route.2 else { continue };
        if route.0 == "/events" {
            // A stream without an end: tests/node/events.rs.
            continue;
        }
        for method in methods(&route) {
            for path in planted.paths(&route.0) {
                let path = format!("{path}?group_id={group}&{PARAMETERS}");
                let case = format!("{method} {path}");
                let answer = api.send(Api::with_key(method.clone(), &path, &viewer).set_payload("{}")).await;
                if need.role(&method) > Role::Viewer {
                    refused += 1;
                    assert_eq!(answer.status, 403, "{case}");
                    if method != Method::HEAD {
                        answer.is_error(403, "FORBIDDEN", "", &case);
                    }
                } else {
                    assert!(![401, 403].contains(&answer.status) && answer.status < 500, "{case}: {}", answer.text);
                }
                let headers = format!("{:?}", answer.headers);
                for secret in SECRETS {
                    // Masks show the first and last four characters.
                    let core = &secret[4..secret.len() - 4];
                    assert!(!answer.text.contains(core), "{case} shows {secret}: {}", answer.text);
                    assert!(!headers.contains(core), "{case} shows {secret} in a header: {headers}");
                }
                if method == Method::GET && !route.0.starts_with("/reset-keys") {
                    shown_to_admins += &api.get(&path).await.text;
                }
            }
        }
    }
    assert!(refused > 40, "{refused}");
    for secret in SECRETS {
        assert!(shown_to_admins.contains(secret), "{secret} was planted nowhere");
    }
    let after = api.get("/api/audit?page_size=1").await.data()["items"][0]["id"].clone();
    assert_eq!(after, before, "nothing was changed, so nothing was noted");
}

#[actix_web::test]
async fn a_viewer_is_told_why_not() {
    let api = Api::start().await;
    let (_, viewer) = api.token("viewer", Role::Viewer).await;
    for (method, path, part) in [
        (Method::POST, "/api/groups", "may only read"),
        (Method::GET, "/api/tokens", "shows secrets"),
        (Method::GET, "/api/keys/export?group_id=1", "shows secrets"),
        (Method::GET, "/api/logs/export", "shows secrets"),
    ] {
        let answer = api.send(Api::with_key(method, path, &viewer)).await;
        assert_eq!(answer.status, 403, "{path}");
        let text = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(text.contains(part) && text.contains("admin token"), "{path}: {text}");
    }
    let evaluate = json!({"policy": {"name": "p", "type": "retry", "config": {"rules": []}}, "status": 500});
    let request = Api::with_key(Method::POST, "/api/policies/evaluate", &viewer).set_payload(evaluate.to_string());
    assert_ne!(api.send(request).await.status, 403, "a dry run changes nothing");
}

#[test]
fn whatever_is_not_a_reading_needs_an_admin_unless_it_is_said_otherwise() {
    for (need, method, role) in [
        (Need::ViewerToRead, Method::GET, Role::Viewer),
        (Need::ViewerToRead, Method::HEAD, Role::Viewer),
        (Need::ViewerToRead, Method::POST, Role::Admin),
        (Need::ViewerToRead, Method::PUT, Role::Admin),
        (Need::ViewerToRead, Method::PATCH, Role::Admin),
        (Need::ViewerToRead, Method::DELETE, Role::Admin),
        (Need::ViewerToRead, Method::OPTIONS, Role::Admin),
        (Need::Viewer, Method::POST, Role::Viewer),
        (Need::Admin, Method::GET, Role::Admin),
    ] {
        assert_eq!(need.role(&method), role, "{need:?} {method}");
    }
}

#[actix_web::test]
async fn masks_keep_what_people_need() {
    let planted = Planted::new().await;
    let (_, viewer) = planted.api.token("viewer", Role::Viewer).await;
    let get = async |path: &str| planted.api.send(Api::with_key(Method::GET, path, &viewer)).await.data();
    let groups = get("/api/groups").await;
    let of = |name: &str| groups.as_array().unwrap().iter().find(|group| group["name"] == name).unwrap().clone();
    assert_eq!(of("default")["proxy_keys"], "pk-p****0003");
    assert_eq!(of("default")["config"]["proxy_url"], "http://****@proxy.test:1");
    assert_eq!(of("default")["header_rules"], json!([{"key": "X-Tenant", "value": "****", "action": "set"}]));
    assert_eq!(of("old")["upstreams"][0]["url"], "https://****@upstream.test");
    let keys = get(&format!("/api/keys?group_id={}", planted.id("/groups/{id}"))).await;
    let values: BTreeSet<&str> =
        keys["items"].as_array().unwrap().iter().map(|key| key["key_value"].as_str().unwrap()).collect();
    assert_eq!(values, BTreeSet::from(["sk-p****0001", "sk-p****0002"]));
    let me = get("/api/auth/me").await;
    assert_eq!((&me["kind"], &me["name"], &me["role"]), (&json!("token"), &json!("viewer"), &json!("viewer")));
}
