use std::{collections::BTreeSet, fs, path::Path};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::support::Api;
use crate::admin::{endpoint::declared, openapi};

/// Path, method and operation of everything in the document.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(|(method, operation)| (path.clone(), method.clone(), operation.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// A validator of one schema of the document.
fn validator(document: &Value, schema: &Value) -> Validator {
    let mut root = schema.clone();
    root["components"] = document["components"].clone();
    jsonschema::options().with_draft(Draft::Draft202012).build(&root).unwrap()
}

#[actix_web::test]
async fn every_route_is_described_and_every_description_has_its_route() {
    let api = Api::start().await;
    declared::take();
    let document = api.get("/api/openapi.json").await.json();
    let mut registered = BTreeSet::new();
    for (path, allow, _) in declared::take() {
        let outside = ["/health", "/metrics", "/stats", "/blacklist", "/reset-keys", "/proxy/"];
        let path = if outside.iter().any(|known| path.starts_with(known)) { path } else { format!("/api{path}") };
        let methods = if allow.is_empty() { "GET" } else { &allow };
        let methods = methods.split(", ").filter(|method| *method != "HEAD");
        registered.extend(methods.map(|method| format!("{method} {path}")));
    }
    let described: BTreeSet<_> =
        operations(&document).iter().map(|(path, method, _)| format!("{} {path}", method.to_uppercase())).collect();
    let missing: Vec<_> = registered.difference(&described).collect();
    assert!(missing.is_empty(), "not in the OpenAPI document (see src/admin/openapi/mod.rs): {missing:?}");
    let extra: Vec<_> = described.difference(&registered).collect();
    assert!(extra.is_empty(), "in the OpenAPI document, but no route: {extra:?}");
}

#[test]
fn the_written_document_is_that_of_the_code() {
    let written = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(openapi::FILE)).unwrap_or_default();
    assert!(written == openapi::text(), "{} is not what the code says; run `make docs`", openapi::FILE);
}

#[test]
fn operations_have_names_of_their_own_and_examples_that_fit() {
    let document = openapi::document();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap().to_owned();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && name.starts_with(char::is_lowercase), "{name}");
        assert!(names.insert(name.clone()), "two operations are called {name}");
        assert!(operation["responses"]["200"].is_object(), "{method} {path}");
        for (content_type, body) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            if let Some(example) = body.get("example") {
                let problem = validator(&document, &body["schema"]).iter_errors(example).next().map(|e| e.to_string());
                assert_eq!(problem, None, "example of {name} ({content_type})");
            }
        }
    }
}

#[test]
fn schemas_are_sound_and_every_reference_leads_somewhere() {
    let document = openapi::document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        validator(&document, schema);
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "a poor name for a type of a client: {name}");
    }
    let text = document.to_string();
    let mut used = BTreeSet::new();
    for rest in text.split("\"#/components/schemas/").skip(1) {
        let name = rest.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "no schema is called {name}");
        used.insert(name.to_owned());
    }
    let unused: Vec<_> = schemas.keys().filter(|name| !used.contains(*name)).collect();
    assert_eq!(unused, Vec::<&String>::new());
}

#[actix_web::test]
async fn the_document_wants_the_management_key() {
    let api = Api::start().await;
    let answer = api.get("/api/openapi.json").await;
    assert_eq!((answer.status, &answer.json()["openapi"]), (200, &json!("3.1.0")));
    let request = actix_web::test::TestRequest::with_uri("/api/openapi.json");
    api.send(request.peer_addr(([192, 0, 2, 1], 1).into())).await.is_error(401, "UNAUTHORIZED", "", "no key");
}
