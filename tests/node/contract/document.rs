//! The OpenAPI document as a judge of answers.

use std::{cell::RefCell, collections::BTreeMap};

use gpt_load::admin::openapi;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// A method of a path.
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) spec: Value,
}

/// The document, its schemas closed: a member that it does not mention is a mistake of an answer.
pub(crate) struct Document {
    components: Value,
    /// As they are in the document.
    open_components: Value,
    pub(crate) operations: Vec<Operation>,
    /// By operation and status: making one takes longer than the request.
    judges: RefCell<BTreeMap<String, Validator>>,
}

impl Document {
    pub(crate) fn new() -> Self {
        let mut document = openapi::document();
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, spec) in methods.as_object().unwrap() {
                operations.push(Operation {
                    id: spec["operationId"].as_str().unwrap().to_owned(),
                    method: method.to_uppercase(),
                    path: path.clone(),
                    spec: spec.clone(),
                });
            }
        }
        let mut components = document["components"].take();
        let open_components = components.clone();
        close(&mut components);
        for operation in &mut operations {
            close(&mut operation.spec["responses"]);
        }
        Self { components, open_components, operations, judges: RefCell::default() }
    }

    pub(crate) fn operation(&self, id: &str) -> &Operation {
        self.operations.iter().find(|operation| operation.id == id).unwrap_or_else(|| panic!("no operation {id}"))
    }

    /// The value that a reference leads to, or the value itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            None => value,
            Some(reference) => {
                let path = reference.strip_prefix("#/components").unwrap();
                self.components.pointer(path).unwrap_or_else(|| panic!("{reference} leads nowhere"))
            }
        }
    }

    /// What the document says of an operation's JSON body; members that it does not mention are fine.
    pub(crate) fn body_validator(&self, operation: &Operation) -> Validator {
        validator(&operation.spec["requestBody"]["content"]["application/json"]["schema"], &self.open_components)
    }

    /// What the document has against an answer of `operation`, if anything.
    pub(crate) fn objection(&self, operation: &Operation, answer: &super::Got) -> Option<String> {
        let response = &operation.spec["responses"][answer.status.to_string()];
        if response.is_null() {
            return Some(format!("the status {} is not in the document", answer.status));
        }
        let content = &self.resolved(response)["content"];
        let content_type = answer.content_type.split(';').next().unwrap_or_default();
        let schema = &content[content_type]["schema"];
        if schema.is_null() {
            return Some(format!("the content type {content_type:?} is not in the document"));
        }
        if content_type != "application/json" {
            return None;
        }
        let Ok(body) = serde_json::from_str::<Value>(&answer.text) else { return Some("no JSON".to_owned()) };
        let mut judges = self.judges.borrow_mut();
        let judge = judges.entry(format!("{} {}", operation.id, answer.status));
        let judge = judge.or_insert_with(|| validator(schema, &self.components));
        let problem = judge.iter_errors(&body).next().map(|e| format!("{e} at {}", e.instance_path()));
        problem.map(|problem| problem.chars().take(400).collect())
    }

    /// The codes that an operation may answer, by status.
    pub(crate) fn codes(&self, operation: &Operation) -> BTreeMap<u16, Vec<String>> {
        let mut codes = BTreeMap::new();
        for (status, response) in operation.spec["responses"].as_object().unwrap() {
            let schema = &self.resolved(response)["content"]["application/json"]["schema"];
            let words = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
            if let Some(words) = words {
                let words = words.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
                codes.insert(status.parse().unwrap(), words);
            }
        }
        codes
    }

    /// Names of the members of an operation's JSON body, and the schemas of those that are lists of objects.
    pub(crate) fn members(&self, operation: &Operation) -> Vec<(String, Value)> {
        let schema = self.resolved(&operation.spec["requestBody"]["content"]["application/json"]["schema"]);
        let schema = if schema["anyOf"].is_array() { &schema["anyOf"][0] } else { schema };
        let members = schema["properties"].as_object().into_iter().flatten();
        members.map(|(name, member)| (name.clone(), self.resolved(&member["items"]).clone())).collect()
    }
}

fn validator(schema: &Value, components: &Value) -> Validator {
    let mut root = schema.clone();
    root["components"] = components.clone();
    jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true).build(&root).unwrap()
}

/// Refuses members that a schema does not mention.
fn close(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(close),
        Value::Object(members) => {
            if members.contains_key("allOf") {
                // What the parts mention together is not known to any of them.
                return;
            }
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) && !members.contains_key("additionalProperties")
            {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        _ => (),
    }
}
