//! The contract of the management API: every operation of the OpenAPI document, every error that it names, and answers that
//! look as the document says. `target/contract-report.md` tells what was tried.
//!
//! A new operation needs a row of its own here for each answer that the document names.

mod bad_input;
mod cases_groups;
mod cases_keys;
mod document;
mod general;
mod web_client;
mod world;

use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

pub(crate) use self::{
    document::{Document, Operation},
    world::{Got, World},
};
use crate::support::AUTH_KEY;

/// Operation, path, body (empty = none), and what comes of it: status, and for errors code and first field.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// Codes that follow from the key, the path, the body or an outage; other tests bring them about for every operation alike.
const GENERAL: [&str; 7] = [
    "UNAUTHORIZED",
    "TOO_MANY_REQUESTS",
    "INVALID_JSON",
    "PAYLOAD_TOO_LARGE",
    "DATABASE_ERROR",
    "SERVICE_UNAVAILABLE",
    "INTERNAL_SERVER_ERROR",
];

fn rows() -> impl Iterator<Item = &'static Row> {
    cases_groups::CASES.iter().chain(cases_keys::CASES)
}

/// What was tried and what came of it.
#[derive(Default)]
struct Report {
    text: String,
    failures: Vec<String>,
}

impl Report {
    fn add(&mut self, id: &str, case: &str, expected: &str, got: &str, objection: Option<String>) {
        let case: String = case.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(110).collect();
        let is_good = expected == got && objection.is_none();
        let verdict = if is_good { "ok".to_owned() } else { objection.unwrap_or_else(|| format!("got {got}")) };
        let _ = writeln!(self.text, "| {id} | `{}` | {expected} | {verdict} |", case.replace('|', "\\|"));
        if !is_good {
            self.failures.push(format!("{id}: {case}: expected {expected}, got {got}; {verdict}"));
        }
    }

    /// Writes the report and fails with everything that went wrong.
    fn conclude(mut self, name: &str) {
        let head = "| operation | case | expected | verdict |\n| --- | --- | --- | --- |\n";
        self.text.insert_str(0, head);
        let target = Path::new(env!("CARGO_BIN_EXE_gpt-load")).ancestors().nth(2).unwrap().join(name);
        fs::write(&target, &self.text).unwrap();
        let (tried, wrong) = (self.text.lines().count() - 2, self.failures.len());
        assert!(wrong == 0, "{wrong} of {tried} cases, see {}:\n{}", target.display(), self.failures.join("\n"));
    }
}

#[actix_web::test]
async fn every_operation_answers_as_the_document_says() {
    let (world, document) = (World::new().await, Document::new());
    let mut report = Report::default();
    let mut tried = BTreeSet::new();
    for (id, path, body, expected) in rows() {
        let operation = document.operation(id);
        assert!(fits(&operation.path, path), "{path} is no path of {id}");
        if (*id, *expected) == ("validateGroup", "200") {
            world.with_much_to_do().await;
        }
        let body = match *body {
            "$5001keys" => world.filled(r#"{"group_id": $other, "keys_text": ""#) + &"sk-many-1,".repeat(5001) + "\"}",
            body => world.filled(body).replace("$auth", AUTH_KEY),
        };
        let got = world.send(&operation.method, &world.filled(path), body.clone()).await;
        let code = expected.split(' ').nth(1).unwrap_or_default();
        tried.insert((*id, expected[..3].to_owned(), code));
        report.add(id, &format!("{path} {body}"), expected, &got.told(), document.objection(operation, &got));
    }
    world.gateway.double.on_every(None);
    for operation in &document.operations {
        let mut wanted: Vec<(String, String)> = vec![("200".to_owned(), String::new())];
        for (status, codes) in document.codes(operation) {
            wanted.extend(codes.into_iter().map(|code| (status.to_string(), code)));
        }
        for (status, code) in wanted {
            let id = operation.id.as_str();
            // What a bad path or body comes to is tried for all operations alike.
            let is_general =
                GENERAL.contains(&code.as_str()) || (code == "BAD_REQUEST" && operation.path.contains("{id}"));
            let is_out_of_reach = cases_keys::OUT_OF_REACH.iter().any(|(at, word, _)| (*at, *word) == (id, &code));
            if !is_general && !is_out_of_reach && !tried.contains(&(id, status.clone(), code.as_str())) {
                report.add(id, "in the document, but no case", &format!("{status} {code}"), "nothing", None);
            }
        }
    }
    report.conclude("contract-report.md");
}

/// Whether `path` is one of `template`.
fn fits(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(wanted, part)| wanted.starts_with('{') || *wanted == part)
}

/// The body of the first case of an operation that succeeds, and its path.
fn good_case(id: &str) -> (&'static str, &'static str) {
    let row = rows().find(|(operation, _, _, expected)| *operation == id && *expected == "200");
    row.map_or_else(|| panic!("no good case of {id}"), |(_, path, body, _)| (*path, *body))
}
