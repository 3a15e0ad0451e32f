//! What is the same for every operation: the key, the method, ids in the path, bodies that are none.

use super::{Document, Report, World, good_case};
use crate::support::{AUTH_KEY, Request};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

#[actix_web::test]
async fn keys_methods_ids_and_bodies_are_judged_alike_everywhere() {
    let (world, document) = (World::new().await, Document::new());
    let mut report = Report::default();
    for operation in &document.operations {
        let (id, method) = (operation.id.as_str(), operation.method.as_str());
        let (path, body) = good_case(id);
        let (path, body) = (world.filled(path), world.filled(body));
        let is_open = operation.spec["security"].as_array().unwrap().is_empty();
        if !is_open {
            let got = world.send_as(Request::new(method, &path), body.clone()).await;
            report.add(id, "no key", "401 UNAUTHORIZED", &got.told(), document.objection(operation, &got));
        }
        let mut known: Vec<_> = document
            .operations
            .iter()
            .filter(|other| other.path == operation.path)
            .map(|other| &*other.method)
            .collect();
        if id != "getIntegration" {
            let wrong = METHODS.iter().find(|method| !known.contains(method)).unwrap();
            let got = world.send(wrong, &path, "").await;
            report.add(id, &format!("{wrong} {path}"), "405 METHOD_NOT_ALLOWED", &got.told(), None);
            if known.contains(&"GET") {
                known.push("HEAD");
            }
            known.sort_unstable();
            let allow = got.allow.unwrap_or_default();
            let mut allowed: Vec<_> = allow.split(", ").collect();
            allowed.sort_unstable();
            report.add(id, "Allow", &known.join(", "), &allowed.join(", "), None);
        }
        if operation.path.contains("{id}") {
            for spoiled in ["x", "1.0", "9223372036854775808", "%ff", "%00", "-", "1e3"] {
                let path = replaced(&operation.path, spoiled);
                let got = world.send(method, &path, body.clone()).await;
                let case = format!("{method} {path}");
                report.add(id, &case, "400 BAD_REQUEST id", &got.told(), document.objection(operation, &got));
            }
        }
        if !operation.spec["requestBody"].is_null() {
            let malformed = match id {
                "login" => "400",
                "validateNewKeys" | "validateNewKeysOfAll" => "400 BAD_REQUEST",
                _ => "400 INVALID_JSON",
            };
            for spoiled in BODIES {
                let got = world.send(method, &path, spoiled.to_vec()).await;
                let case = String::from_utf8_lossy(spoiled).into_owned();
                report.add(id, &case, malformed, &got.told(), document.objection(operation, &got));
            }
            let deep = [&b"{\"a\":"[..]; 20_000].concat();
            let got = world.send(method, &path, deep).await;
            report.add(id, "20,000 levels", malformed, &got.told(), document.objection(operation, &got));
            let too_large = if id == "login" { "413" } else { "413 PAYLOAD_TOO_LARGE" };
            let got = world.send_bytes(&announcing_too_much(method, &path)).await;
            report.add(id, "65 MiB announced", too_large, &got.told(), document.objection(operation, &got));
        }
    }
    report.conclude("contract-report-general.md");
}

/// Bodies that are no JSON object.
const BODIES: &[&[u8]] = &[
    b" ",
    b"{",
    b"null",
    b"7",
    b"\"text\"",
    b"{'name': 1}",
    b"{\"name\": 1e400}",
    b"\xff\xfe{}",
    b"{\"name\": \"\xc3\x28\"}",
    b"{\"name\": \"\\ud800\"}",
    b"\x00",
    b"a=1&b=2",
];

/// `template` with `id` for its ids.
fn replaced(template: &str, id: &str) -> String {
    let parts = template.split('/').map(|part| if part.starts_with('{') { id } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// No body follows: who refuses by the length does not wait for it.
fn announcing_too_much(method: &str, path: &str) -> Vec<u8> {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: gateway.test\r\nauthorization: Bearer {AUTH_KEY}\r\n");
    (head + "content-length: 68157440\r\n\r\n").into_bytes()
}

#[actix_web::test]
async fn too_many_wrong_keys_are_asked_to_wait() {
    let (world, document) = (World::new().await, Document::new());
    let operation = document.operation("listGroups");
    for round in 0..1000 {
        let got = world.send_as(Request::new("GET", "/api/groups").key("wrong"), "").await;
        assert_eq!(document.objection(operation, &got), None, "{}", got.text);
        if got.told() == "429 TOO_MANY_REQUESTS" {
            assert!(round > 0);
            let login = world.send("POST", "/api/auth/login", r#"{"auth_key": "wrong"}"#).await;
            assert_eq!(login.status, 429);
            assert_eq!(document.objection(document.operation("login"), &login), None, "{}", login.text);
            return;
        }
        assert_eq!(got.told(), "401 UNAUTHORIZED");
    }
    panic!("a thousand wrong keys were judged");
}
