//! What providers store beside files: batches, responses, threads and the like. Only for doubles whose keys are accounts.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, CREATED, Content};
use super::errors::Dialect;
use super::files::{File, Files};
use super::request::Head;
use super::wire::Body;

/// Collections: their path behind the version, what their ids begin with, the word for one object.
const COLLECTIONS: [(&str, &str, &str); 7] = [
    ("batches", "batch_", "batch"),
    ("threads", "thread_", "thread"),
    ("assistants", "asst_", "assistant"),
    ("vector_stores", "vs_", "vector_store"),
    ("responses", "resp_", "response"),
    ("messages/batches", "msgbatch_", "message_batch"),
    ("cachedContents", "cachedContents/", "cachedContent"),
];
/// Members of a request that name what is stored.
const NAMING: [&str; 7] =
    ["file_id", "file_ids", "input_file_id", "previous_response_id", "vector_store_ids", "fileUri", "cachedContent"];
/// Id in every response, until it is replaced by one of its own.
const RESPONSE: &str = "resp_double";

impl Files {
    /// Answers requests for objects, and refuses those that name what the key's account does not have; `None` for others.
    pub(super) fn objects(&self, dialect: Dialect, resource: &str, head: &Head, body: &Body) -> Option<Answer> {
        if !self.accounts {
            return None;
        }
        let account = self.account(head);
        let asked: Value = serde_json::from_slice(&body.bytes).unwrap_or_default();
        if let Some(id) = named(&asked).into_iter().find(|id| !self.has(&account, id)) {
            return Some(unknown(dialect, &id));
        }
        let (collection, prefix, kind) = COLLECTIONS.into_iter().find(|(collection, ..)| {
            resource.strip_prefix(collection).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })?;
        let id = resource[collection.len()..].trim_start_matches('/').split('/').next().unwrap_or_default();
        let answer = |value: &Value| Answer::json(dialect, value.to_string());
        match (head.method.as_str(), id) {
            // A response is made by the model.
            ("POST", "") if kind == "response" => None,
            ("POST", "") => Some(answer(&self.make(account, prefix, kind))),
            (_, "") => Some(answer(&json!({"object": "list", "data": []}))),
            (_, id) => {
                let key = if dialect == Dialect::Gemini { format!("{prefix}{id}") } else { id.to_owned() };
                let found = self.shelf.lock().objects.get(&key).filter(|(owner, _)| *owner == account).cloned();
                Some(found.map_or_else(|| unknown(dialect, id), |(_, value)| answer(&value)))
            }
        }
    }

    /// Gives a response an id of its own and stores it.
    pub(super) fn keep_response(&self, head: &Head, answer: Answer) -> Answer {
        if !self.accounts || answer.status != 200 {
            return answer;
        }
        let value = json!({"object": "response", "created_at": CREATED, "status": "completed"});
        let id = self.keep(self.account(head), "resp_", value);
        let rename = |bytes: Bytes| Bytes::from(String::from_utf8_lossy(&bytes).replace(RESPONSE, &id));
        let content = match answer.content {
            Content::Whole(body) => Content::Whole(rename(body)),
            Content::Events { events, terminal } => {
                Content::Events { events: events.into_iter().map(rename).collect(), terminal }
            }
        };
        Answer { content, ..answer }
    }

    fn make(&self, account: String, prefix: &str, kind: &str) -> Value {
        let mut value = json!({"object": kind, "created_at": CREATED});
        if kind == "batch" {
            let file = File {
                account: account.clone(),
                name: "output.jsonl".to_owned(),
                purpose: "batch_output".to_owned(),
                mime: "application/jsonl".to_owned(),
                content: Bytes::from_static(b"{}\n"),
            };
            value["output_file_id"] = self.add(file).into();
        }
        let id = self.keep(account, prefix, value);
        self.shelf.lock().objects[&id].1.clone()
    }

    fn keep(&self, account: String, prefix: &str, mut value: Value) -> String {
        let mut shelf = self.shelf.lock();
        shelf.last += 1;
        let id = format!("{prefix}{:06}", shelf.last);
        value[if prefix.ends_with('/') { "name" } else { "id" }] = id.as_str().into();
        shelf.objects.insert(id.clone(), (account, value));
        id
    }

    fn has(&self, account: &str, id: &str) -> bool {
        let file = id.rsplit('/').next().unwrap_or_default();
        let owns = |(owner, _): &(String, Value)| owner == account;
        self.get(account, file).is_some() || self.shelf.lock().objects.get(id).is_some_and(owns)
    }
}

fn unknown(dialect: Dialect, id: &str) -> Answer {
    Answer::error(dialect, 404, None, &format!("No such object: {id}"))
}

/// The ids that a request names, at any depth.
fn named(value: &Value) -> Vec<String> {
    let texts = |value: &Value| match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    match value {
        Value::Object(members) => {
            let of = |(name, value): (&String, &Value)| {
                if NAMING.contains(&name.as_str()) { texts(value) } else { named(value) }
            };
            members.iter().flat_map(of).collect()
        }
        Value::Array(items) => items.iter().flat_map(named).collect(),
        _ => Vec::new(),
    }
}
