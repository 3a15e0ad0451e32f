//! Who did what: rows of the audit log.
//!
//! A [`Deed`] says who does what to what; it is stored before it is done, so that no change is without its row. Its
//! [`Ending`] says afterwards how it ended and what differs.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    access::Role,
    ids::{GroupId, KeyId, PolicyId, TokenId},
    redact::redact,
    time::Timestamp,
};

/// Bytes of the JSON of what was before, or after, at most.
const MAX_VALUES: usize = 16 << 10;
/// Characters of one text in it, at most.
const MAX_TEXT: usize = 1000;

/// On whose behalf something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// The holder of `AUTH_KEY`.
    ManagementKey,
    /// The holder of an access token.
    Token,
    /// The node itself: its configuration, its keys file.
    Node,
    /// Someone whom nobody knows: a failed login.
    Unknown,
}

impl ActorKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::ManagementKey, Self::Token, Self::Node, Self::Unknown];

    /// The word in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ManagementKey => "management_key",
            Self::Token => "token",
            Self::Node => "node",
            Self::Unknown => "unknown",
        }
    }
}

/// Who does something, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// On whose behalf.
    pub kind: ActorKind,
    /// The access token; `None` for other kinds.
    pub token: Option<TokenId>,
    /// Name of the token or of the node; the word of the kind otherwise.
    pub name: String,
    /// What they may do; `None` for those whom nobody knows.
    pub role: Option<Role>,
    /// Address of the client; empty for the node itself.
    pub address: String,
    /// The request of the management API; empty without one.
    pub request_id: String,
}

impl Actor {
    /// The node itself.
    pub fn node(name: &str) -> Self {
        Self { role: Some(Role::Admin), name: name.to_owned(), ..Self::of_kind(ActorKind::Node) }
    }

    /// Someone of `kind`, of whom nothing else is said yet.
    pub fn of_kind(kind: ActorKind) -> Self {
        Self {
            kind,
            token: None,
            name: kind.as_str().to_owned(),
            role: None,
            address: String::new(),
            request_id: String::new(),
        }
    }
}

/// What something is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// A word such as `group`, `key`, `settings`.
    pub kind: &'static str,
    /// Its id, where it has one.
    pub id: Option<i64>,
    /// Its name, where it has one.
    pub name: String,
}

impl Subject {
    /// Something without id and name.
    pub const fn of_kind(kind: &'static str) -> Self {
        Self { kind, id: None, name: String::new() }
    }

    /// A group.
    pub fn group(id: GroupId, name: impl Into<String>) -> Self {
        Self { kind: "group", id: Some(id.0), name: name.into() }
    }

    /// A provider key.
    pub fn key(id: KeyId, name: impl Into<String>) -> Self {
        Self { kind: "key", id: Some(id.0), name: name.into() }
    }

    /// A policy.
    pub fn policy(id: PolicyId, name: impl Into<String>) -> Self {
        Self { kind: "policy", id: Some(id.0), name: name.into() }
    }

    /// An access token.
    pub fn token(id: TokenId, name: impl Into<String>) -> Self {
        Self { kind: "token", id: Some(id.0), name: name.into() }
    }
}

/// Who does what to what.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Who.
    pub actor: Actor,
    /// A stable word: `group.update`, `key.delete`, `token.create`.
    pub action: &'static str,
    /// To what.
    pub subject: Subject,
    /// When.
    pub at: Timestamp,
}

/// How a deed ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It began; how it ended is not known, or not known yet.
    Started,
    /// It was done.
    Done,
    /// It was not done, or not all of it.
    Failed,
    /// It was not allowed.
    Refused,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Started, Self::Done, Self::Failed, Self::Refused];

    /// The word in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known after a deed.
#[derive(Clone, Debug)]
pub struct Ending {
    /// How it ended.
    pub outcome: Outcome,
    /// What it was done to, when that became known by doing it.
    pub subject: Option<Subject>,
    /// What differs, as it was; `null` = nothing to tell.
    pub before: Value,
    /// What differs, as it is; `null` = nothing to tell.
    pub after: Value,
    /// Why it was not done; empty otherwise.
    pub error: String,
}

impl Ending {
    /// Something was done, with a result that is worth telling (`null` = none).
    pub fn done(after: Value) -> Self {
        Self { outcome: Outcome::Done, subject: None, before: Value::Null, after: told(after), error: String::new() }
    }

    /// Something changed from `before` to `after`: what differs is told, secrets masked.
    pub fn changed(before: Value, after: Value) -> Self {
        let (before, after) = differences(before, after);
        Self { before: told(before), after: told(after), ..Self::done(Value::Null) }
    }

    /// It was not done.
    pub fn failed(error: impl fmt::Display) -> Self {
        Self { outcome: Outcome::Failed, error: error.to_string(), ..Self::done(Value::Null) }
    }
}

/// A stored row.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// Row id; a later row has a greater one.
    pub id: i64,
    /// When it began.
    pub time: Timestamp,
    /// Who: kind.
    pub actor_kind: String,
    /// Who: access token.
    pub actor_id: Option<i64>,
    /// Who: name.
    pub actor_name: String,
    /// What they might do.
    pub role: String,
    /// From where.
    pub address: String,
    /// By which request.
    pub request_id: String,
    /// What was done.
    pub action: String,
    /// To what: kind.
    pub subject_type: String,
    /// To what: id.
    pub subject_id: Option<i64>,
    /// To what: name at that time.
    pub subject_name: String,
    /// What differs, as it was.
    pub before: Value,
    /// What differs, as it is.
    pub after: Value,
    /// How it ended.
    pub outcome: String,
    /// Why it was not done.
    pub error: String,
}

/// The members of two objects that differ; what is no object differs as a whole.
///
/// Compared before anything is masked, so that a secret that was replaced by one with the same mask shows as changed.
pub fn differences(before: Value, after: Value) -> (Value, Value) {
    match (before, after) {
        (Value::Object(mut before), Value::Object(mut after)) => {
            let same: Vec<String> = before
                .iter()
                .filter(|(name, value)| after.get(*name) == Some(value))
                .map(|(name, _)| name.clone())
                .collect();
            for name in same {
                before.remove(&name);
                after.remove(&name);
            }
            (Value::Object(before), Value::Object(after))
        }
        (before, after) if before == after => (Value::Null, Value::Null),
        differing => differing,
    }
}

/// What may be stored of `value`: secrets masked, sizes bounded.
fn told(mut value: Value) -> Value {
    redact(&mut value);
    shorten(&mut value);
    let size = value.to_string().len();
    if size <= MAX_VALUES {
        return value;
    }
    let Value::Object(members) = value else { return json!({"omitted_bytes": size}) };
    let mut left = MAX_VALUES / 2;
    let mut kept = Map::new();
    for (name, value) in members {
        let size = name.len() + value.to_string().len();
        let value = if size <= left { value } else { json!({"omitted_bytes": size}) };
        left = left.saturating_sub(size);
        if kept.len() < 100 {
            kept.insert(name.chars().take(100).collect(), value);
        }
    }
    Value::Object(kept)
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
                let more = text.chars().count() - MAX_TEXT;
                text.truncate(end);
                text.push_str(&format!("… ({more} more characters)"));
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(shorten),
        Value::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told_and_no_secret_of_it() {
        let ending = Ending::changed(
            json!({"name": "a", "sort": 1, "proxy_keys": "pk-secret-secret-aaaa"}),
            json!({"name": "b", "sort": 1, "proxy_keys": "pk-secret-changed-aaaa", "config": {"proxy_url": "http://u:p@h"}}),
        );
        assert_eq!(ending.before, json!({"name": "a", "proxy_keys": "pk-s****aaaa"}));
        assert_eq!(
            ending.after,
            json!({"name": "b", "proxy_keys": "pk-s****aaaa", "config": {"proxy_url": "http://****@h"}})
        );
        let ending = Ending::changed(Value::Null, json!({"name": "a"}));
        assert_eq!((ending.before, ending.after), (Value::Null, json!({"name": "a"})));
        let same = Ending::changed(json!({"a": 1}), json!({"a": 1}));
        assert_eq!((same.before, same.after), (json!({}), json!({})));
    }

    #[test]
    fn sizes_are_bounded_whatever_comes() {
        let many: Map<String, Value> =
            (0..10_000).map(|at| (format!("member-{at}"), json!("日".repeat(5000)))).collect();
        let lists = [json!(many), json!({"one": vec!["x".repeat(2000); 100]}), json!(vec![1; 100_000])];
        for value in lists {
            let told = Ending::done(value).after.to_string();
            assert!(told.len() <= MAX_VALUES + 8000, "{}", told.len());
        }
        let long = Ending::done(json!({"description": "日".repeat(1001)})).after;
        assert!(long["description"].as_str().is_some_and(|text| text.ends_with("… (1 more characters)")), "{long}");
    }
}
