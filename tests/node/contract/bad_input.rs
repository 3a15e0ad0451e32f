//! Bad values in every member of every body and every parameter of every query: refused with a code and the member's name, or
//! taken; never the server's fault.

use serde_json::{Value, json};

use super::{Document, Operation, Report, World, good_case};

/// Values that no member expects, or expects differently.
fn hostile() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(1e308),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}"),
        json!("a\u{0}b"),
        json!("🗝️\u{202e}"),
        json!("a".repeat(70_000)),
        json!([]),
        json!([null]),
        json!([[], {}]),
        json!([1, "a"]),
        json!({}),
        json!({"": ""}),
        json!({"a": {"b": [1, {"c": null}]}}),
    ]
}

const QUERIES: [&str; 12] = [
    "",
    "-1",
    "0",
    "9223372036854775808",
    "1e400",
    "%00",
    "%ff%fe",
    "%zz",
    "'%20OR%201=1--",
    "a%0d%0ab",
    "%F0%9F%97%9D",
    "true",
];

/// Members that take what the document does not allow.
const LENIENT: &[(&str, &str)] = &[
    // A rule without a header does nothing and is dropped, by contract.
    ("createGroup", "/header_rules/0/key"),
    ("updateGroup", "/header_rules/0/key"),
];

/// What is wrong with an answer to bad input, if anything. `about` is the member at fault.
fn objection(document: &Document, operation: &Operation, got: &super::Got, about: &str) -> Option<String> {
    if let Some(objection) = document.objection(operation, got) {
        return Some(objection);
    }
    if got.status >= 500 {
        return Some("the server's fault".to_owned());
    }
    let is_silent = operation.id == "login" || matches!(got.status, 200 | 404 | 409);
    let body: Value = serde_json::from_str(&got.text).unwrap_or_default();
    let details = body["details"].as_array();
    if !is_silent && !about.is_empty() && details.is_none_or(Vec::is_empty) {
        return Some(format!("no field is named, for {about}"));
    }
    None
}

#[actix_web::test]
async fn no_member_of_any_body_takes_everything() {
    let (world, document) = (World::new().await, Document::new());
    let mut report = Report::default();
    for operation in document.operations.iter().filter(|operation| !operation.spec["requestBody"].is_null()) {
        let (path, body) = good_case(&operation.id);
        let (path, body) = (world.filled(path), world.filled(body));
        let good: Value = serde_json::from_str(&body).unwrap();
        let judge = document.body_validator(operation);
        let mut places = Vec::new();
        for (member, items) in document.members(operation) {
            places.push(format!("/{member}"));
            let nested = items["properties"].as_object().into_iter().flatten();
            places.extend(nested.map(|(name, _)| format!("/{member}/0/{name}")));
        }
        for place in places {
            for value in hostile() {
                let mut spoiled = good.clone();
                put(&mut spoiled, &place, value.clone());
                let got = world.send(&operation.method, &path, spoiled.to_string()).await;
                let case = format!("{place}: {value}");
                let is_lenient = LENIENT.iter().any(|(id, at)| *id == operation.id && *at == place);
                let objection = objection(&document, operation, &got, &place).or_else(|| {
                    let is_taken = got.status == 200 && !is_lenient && !judge.is_valid(&spoiled);
                    is_taken.then(|| "taken, though the document says otherwise".to_owned())
                });
                let told = got.told();
                report.add(&operation.id, &case, &told, &told, objection);
            }
        }
        let twice = format!("{},{}", &body[..body.len() - 1], body.trim_start().trim_start_matches(['{', '[']));
        let got = world.send(&operation.method, &path, twice).await;
        let told = got.told();
        report.add(&operation.id, "members twice", &told, &told, objection(&document, operation, &got, ""));
    }
    report.conclude("contract-report-bodies.md");
}

/// Sets the member at `place`, making what leads there.
fn put(body: &mut Value, place: &str, value: Value) {
    let parts: Vec<&str> = place.split('/').skip(1).collect();
    match parts[..] {
        [member] => body[member] = value,
        [member, _, name] => {
            if !body[member][0].is_object() {
                body[member] = match member {
                    "header_rules" => json!([{"key": "X-A", "value": "1", "action": "set"}]),
                    "upstreams" => json!([{"url": "https://a.example", "weight": 1}]),
                    _ => json!([{}]),
                };
            }
            body[member][0][name] = value;
        }
        _ => panic!("{place}"),
    }
}

#[actix_web::test]
async fn no_query_is_the_servers_fault() {
    let (world, document) = (World::new().await, Document::new());
    let mut report = Report::default();
    for operation in &document.operations {
        let (path, body) = good_case(&operation.id);
        let path = path.split('?').next().unwrap();
        let parameters = operation.spec["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            for value in QUERIES.iter().map(|value| (*value).to_owned()).chain(["x".repeat(20_000)]) {
                let query = world.filled(&format!("{path}?{name}={value}&group_id=$group&key=pk-none"));
                let query =
                    if operation.spec["security"][0].is_null() { query } else { query.replace("&key=pk-none", "") };
                let got = world.send(&operation.method, &query, world.filled(body)).await;
                let told = got.told();
                let case: String = format!("{name}={value}").chars().take(60).collect();
                report.add(&operation.id, &case, &told, &told, objection(&document, operation, &got, name));
            }
        }
    }
    report.conclude("contract-report-queries.md");
}
