//! The OpenAPI document of the management API, made from the code: answers derive their schemas where they are defined,
//! words of enums come from the enums, and one [`Operation`] per method of a path says the rest.
//!
//! To describe a new route:
//!
//! 1. derive `schemars::JsonSchema` on what it answers, beside `Serialize` (`#[schemars(with = "Time")]` and the like of
//!    `types.rs` where a field is of a type that knows no schema); for a body that is read field by field write a type
//!    beside the operation, as `groups.rs` here does;
//! 2. add an `Operation::new("get", "/api/…", "operationId", "What it does")` to the file of its subject, or a file of its
//!    own to `SUBJECTS` below; errors of the key, the path and the body come by themselves, all others are named;
//! 3. `make docs` writes `docs/openapi.json`; a case in `tests/node/contract/` shows that the description is true.
//!
//! Tests fail when a registered route has no operation, an operation no route, or the written document is an older one.

mod dashboard;
mod groups;
mod keys;
mod logs;
mod operation;
pub(super) mod policies;
mod pool;
mod settings;
mod system;
pub(super) mod types;
mod validation;

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use schemars::{
    SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Map, Value, json};

use self::operation::Operation;
use super::{envelope, error::ErrorCode};

/// What operations are about: tag, what it means, the operations.
type Subject = (&'static str, &'static str, fn() -> Vec<Operation>);

const SUBJECTS: &[Subject] = &[
    ("Groups", "Groups of keys, aggregate groups and their members.", groups::operations),
    ("Keys", "Keys of groups.", keys::operations),
    ("Pools", "Keys as the node sees them at the moment.", pool::operations),
    ("Validation", "Asking providers about keys, and the one long task of the installation.", validation::operations),
    ("Policies", "Rules for failed attempts, models and rates.", policies::operations),
    ("Dashboard", "Sums over everything.", dashboard::operations),
    ("Logs", "Requests that were proxied.", logs::operations),
    ("Settings", "Settings that hold for all groups.", settings::operations),
    ("System", "Login, health, this document, and the routes of the one-file set-up.", system::operations),
];

const ABOUT: &str = "Every answer under `/api` is an envelope: `{\"code\": 0, \"message\", \"data\"?}` when all is well, \
`{\"code\": \"WORD\", \"message\", \"details\"?}` when not; the few others say so. `message` is for people and comes in the \
language of `Accept-Language` (zh-CN, en-US, ja-JP); programs look at `code`.\n\n\
The management key is `AUTH_KEY`, or the one that the node made at its first start (`data/auth_key`).\n\n\
Request bodies are the first JSON value of the body, whatever its content type; members that an operation does not know are \
ignored, and `null` is as good as absent where nothing else is said. A query parameter that is empty counts as absent. A \
method that a path does not take is answered with 405 and `Allow`, an unknown path with 404. `HEAD` is taken wherever `GET` is.";

/// Where the document stands in the repository.
pub const FILE: &str = "docs/openapi.json";

/// The document as it is written to [`FILE`].
pub fn text() -> String {
    format!("{:#}\n", document())
}

/// The document.
pub fn document() -> Value {
    let (mut answers, mut bodies) = (generator(Contract::Serialize), generator(Contract::Deserialize));
    let (mut paths, mut responses) = (Map::new(), Map::new());
    let mut codes = BTreeSet::from([ErrorCode::MethodNotAllowed.as_str(), ErrorCode::NotFound.as_str()]);
    for (tag, _, operations) in SUBJECTS {
        for operation in operations() {
            codes.extend(operation.all_errors().into_iter().map(ErrorCode::as_str));
            let path = paths.entry(operation.path).or_insert_with(|| json!({}));
            path[operation.method] = operation.render(tag, &mut answers, &mut bodies, &mut responses);
        }
    }
    let mut schemas = bodies.take_definitions(true);
    schemas.extend(answers.take_definitions(true).into_iter().map(|(name, schema)| (name, without_null(schema))));
    schemas.insert("Error".to_owned(), error_schema(&codes));
    schemas.sort_keys();
    responses.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "GPT-Load management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The node itself; with BASE_PATH, that path"}],
        "tags": SUBJECTS.iter().map(|(name, text, _)| json!({"name": name, "description": text})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {"schemas": schemas, "responses": responses, "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
            "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            "googleApiKey": {"type": "apiKey", "in": "header", "name": "X-Goog-Api-Key"},
            "queryKey": {
                "type": "apiKey", "in": "query", "name": "key",
                "description": "For downloads that a browser navigates to. It comes before all headers.",
            },
        }},
    })
}

/// `GET /api/openapi.json`.
pub(super) async fn show() -> HttpResponse {
    envelope::json(actix_web::http::StatusCode::OK, &document())
}

/// Schemas of bodies (`Deserialize`: what may be absent is optional) or of answers (`Serialize`: it is there or `null`).
fn generator(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.contract = contract;
    settings.into_generator()
}

/// Members of an answer that may be absent are left out where others would be `null`, so they never are.
fn without_null(mut schema: Value) -> Value {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, member) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let Value::Object(member) = member else { continue };
        if required.contains(&json!(name)) {
            continue;
        }
        if let Some(Value::Array(types)) = member.get_mut("type") {
            types.retain(|word| word != "null");
            if let [only] = &types[..] {
                let only = only.clone();
                member.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(choices)) = member.shift_remove("anyOf") {
            let mut left: Vec<_> = choices.into_iter().filter(|choice| choice["type"] != "null").collect();
            match (left.len(), left.pop()) {
                (1, Some(Value::Object(only))) => member.extend(only),
                (_, last) => {
                    left.extend(last);
                    member.insert("anyOf".to_owned(), left.into());
                }
            }
        }
    }
    schema
}

fn error_schema(codes: &BTreeSet<&str>) -> Value {
    json!({
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "string", "enum": codes},
            "message": {"type": "string", "description": "For people."},
            "details": {
                "type": "array",
                "description": "What is wrong with which field.",
                "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {
                        "field": {
                            "type": "string",
                            "description": "As in the request, with the place inside of it: `upstreams[1].url`.",
                        },
                        "message": {"type": "string"},
                    },
                },
            },
            "error": {"type": "string", "description": "The message again, for unknown paths and wrong methods."},
        },
    })
}
