//! Carries out management writes between two notes in the audit log: who is about to do what, and what came of it.

use gpt_load_schema::{
    audit::{Actor, Deed, Ending, Subject},
    group::Group,
    ids::{GroupId, KeyId, PolicyId, TokenId},
    key::{KeyRecord, KeySource, KeyState},
    policy::{Policy, PolicyDefinition},
    redact::redact_text,
    store::{KeySelector, StoreResult},
    time::Timestamp,
};
use serde_json::{Map, Value, json};

use super::leader::Leader;
use crate::commands::{Command, CommandError, Reply};

/// Keys named in a row, at most.
const NAMED: usize = 20;

/// What of the database a command changes, in so far as the audit log tells.
enum Watched {
    NewGroup,
    Group(GroupId),
    Members(GroupId),
    Positions(Vec<GroupId>),
    /// Keys by the dozen; how they were named.
    Keys(GroupId, Value),
    Key(GroupId, KeyId),
    Notes(KeyId),
    Held(GroupId),
    NewPolicy,
    Policy(PolicyId),
    Attached(GroupId),
    Settings(Vec<String>),
    NewToken,
    Token(TokenId),
    DataKey,
}

impl Command {
    /// The stable word of the audit log, and what to look at before and after.
    fn watched(&self) -> (&'static str, Watched) {
        match self {
            Self::CreateGroup(_) => ("group.create", Watched::NewGroup),
            Self::UpdateGroup(id, _) => ("group.update", Watched::Group(*id)),
            Self::DeleteGroup(id) => ("group.delete", Watched::Group(*id)),
            Self::SetSubGroups(id, _) => ("group.members", Watched::Members(*id)),
            Self::ReorderGroups(positions) => {
                ("group.reorder", Watched::Positions(positions.iter().map(|(id, _)| *id).collect()))
            }
            Self::AddKeys { group, values, state, source } => {
                let source = match source {
                    KeySource::Manual => "manual",
                    KeySource::File => "file",
                };
                let state = state.map(KeyState::as_str);
                let first: Vec<_> = values.iter().take(NAMED).map(|value| value.masked()).collect();
                let given = json!({"keys": first, "given": values.len(), "state": state, "source": source});
                ("key.add", Watched::Keys(*group, given))
            }
            Self::RotateDataKey => ("encryption.rotate", Watched::DataKey),
            Self::AddBatch { group, values, .. } => ("key.add", Watched::Keys(*group, json!({"given": values.len()}))),
            Self::DeleteBatch(group, which) => ("key.delete", Watched::Keys(*group, selected(which))),
            Self::RestoreBatch(group, which) => ("key.restore", Watched::Keys(*group, selected(which))),
            Self::ShowKeys(group) => ("key.show", Watched::Keys(*group, Value::Null)),
            Self::DeleteKeys(group, which) => ("key.delete", Watched::Keys(*group, selected(which))),
            Self::RestoreKeys(group, which) => ("key.restore", Watched::Keys(*group, selected(which))),
            Self::OrderKey(group, key, _) => ("key.state", Watched::Key(*group, *key)),
            Self::UpdateKey(group, key, _) => ("key.update", Watched::Key(*group, *key)),
            Self::SetKeyNotes(key, _) => ("key.notes", Watched::Notes(*key)),
            Self::AcceptHeld(group) => ("pool.accept", Watched::Held(*group)),
            Self::CreatePolicy(_) => ("policy.create", Watched::NewPolicy),
            Self::UpdatePolicy(id, _) => ("policy.update", Watched::Policy(*id)),
            Self::DeletePolicy(id) => ("policy.delete", Watched::Policy(*id)),
            Self::SetGroupPolicies(group, _) => ("policy.attach", Watched::Attached(*group)),
            Self::PutSettings(values) => ("settings.update", Watched::Settings(values.keys().cloned().collect())),
            Self::CreateToken { .. } => ("token.create", Watched::NewToken),
            Self::UpdateToken(id, _) => ("token.update", Watched::Token(*id)),
            Self::DeleteToken(id) => ("token.delete", Watched::Token(*id)),
        }
    }
}

impl Leader {
    /// Carries out a management write for `actor`. What cannot be noted is not done.
    pub(crate) async fn execute(&self, command: Command, actor: Actor) -> Result<Reply, CommandError> {
        let (action, watched) = command.watched();
        let (subject, before) = self.look(&watched).await?;
        let open = self.audit.begin(Deed { actor, action, subject, at: Timestamp::now() }).await?;
        let result = self.carry_out(command).await;
        let ending = match &result {
            Err(error) => Ending::failed(redact_text(&error.to_string())),
            Ok(reply) => self.ending(&watched, before, reply).await,
        };
        self.audit.end(open, ending).await;
        result
    }

    async fn ending(&self, watched: &Watched, before: Value, reply: &Reply) -> Ending {
        let created =
            |subject: Subject, after: Value| Ending { subject: Some(subject), ..Ending::changed(Value::Null, after) };
        match (watched, reply) {
            (_, Reply::Group(group)) if before.is_null() => {
                created(Subject::group(group.id, &group.definition.name), group_values(group))
            }
            (_, Reply::Policy(policy)) if before.is_null() => {
                created(Subject::policy(policy.id, &policy.definition.name), policy_values(policy))
            }
            (_, Reply::Token(token)) if before.is_null() => {
                let mut after = json!(token.definition);
                after["prefix"] = json!(token.prefix);
                created(Subject::token(token.id, &token.definition.name), after)
            }
            (Watched::Keys(_, which), Reply::Added { added, ignored, .. }) => {
                Ending::done(with(which, json!({"added": added, "ignored": ignored})))
            }
            (Watched::Keys(_, which), Reply::Changed { count, .. }) => {
                Ending::done(with(which, json!({"count": count})))
            }
            (Watched::Held(_), Reply::Changed { count, .. }) => Ending::done(json!({"count": count})),
            _ => match self.look(watched).await {
                Ok((_, after)) => Ending::changed(before, after),
                Err(error) => {
                    tracing::warn!(%error, "the audit log cannot tell what a change came to");
                    Ending::changed(before, json!({"unknown": "the database could not be read after the change"}))
                }
            },
        }
    }

    /// What is watched as it is now; `null` when it does not exist.
    async fn look(&self, watched: &Watched) -> StoreResult<(Subject, Value)> {
        Ok(match watched {
            Watched::NewGroup => (Subject::of_kind("group"), Value::Null),
            Watched::NewPolicy => (Subject::of_kind("policy"), Value::Null),
            Watched::NewToken => (Subject::of_kind("token"), Value::Null),
            Watched::DataKey => (Subject::of_kind("encryption"), Value::Null),
            Watched::Keys(id, _) | Watched::Held(id) => (self.group_subject(*id), Value::Null),
            Watched::Group(id) => match self.store.group(*id).await? {
                Some(group) => (Subject::group(*id, &group.definition.name), group_values(&group)),
                None => (self.group_subject(*id), Value::Null),
            },
            Watched::Members(id) => {
                let groups = self.store.groups().await?;
                let name = |id: GroupId| groups.iter().find(|group| group.id == id).map(|group| &group.definition.name);
                let members = groups.iter().find(|group| group.id == *id).map(|group| {
                    let member = |member: &gpt_load_schema::group::SubGroup| {
                        json!({"id": member.group_id, "name": name(member.group_id), "weight": member.weight})
                    };
                    group.sub_groups.iter().map(member).collect::<Vec<_>>()
                });
                (Subject::group(*id, name(*id).cloned().unwrap_or_default()), json!({"members": members}))
            }
            Watched::Positions(ids) => {
                let groups = self.store.groups().await?;
                let moved = groups.iter().filter(|group| ids.contains(&group.id));
                let positions: Map<String, Value> =
                    moved.map(|group| (group.definition.name.clone(), json!(group.definition.sort))).collect();
                (Subject::of_kind("group"), Value::Object(positions))
            }
            Watched::Key(group, id) => {
                // What the pool knows and the database does not, belongs to before.
                self.settle_group(*group).await?;
                let key = self.store.key(*id).await?;
                (key_subject(*id, key.as_ref()), key.as_ref().map_or(Value::Null, key_values))
            }
            Watched::Notes(id) => {
                let key = self.store.key(*id).await?;
                // People note all sorts of things, passwords among them.
                let notes = key.as_ref().map_or(0, |key| key.notes.chars().count());
                (key_subject(*id, key.as_ref()), json!({"notes_characters": notes}))
            }
            Watched::Policy(id) => match self.store.policy(*id).await? {
                Some(policy) => (Subject::policy(*id, &policy.definition.name), policy_values(&policy)),
                None => (Subject::policy(*id, ""), Value::Null),
            },
            Watched::Attached(id) => {
                let policies: Vec<Policy> = self.store.policies().await?;
                let links = self.store.group_policies().await?;
                let own = links.iter().filter(|linked| linked.group_id == *id).map(|linked| {
                    let policy = policies.iter().find(|policy| policy.id == linked.link.policy_id);
                    let name = policy.map(|policy| &policy.definition.name);
                    let link = linked.link;
                    json!({"id": link.policy_id, "name": name, "priority": link.priority, "is_active": link.is_active})
                });
                (self.group_subject(*id), json!({"policies": own.collect::<Vec<_>>()}))
            }
            Watched::Settings(keys) => {
                let rows = self.store.settings().await?;
                let values = keys.iter().map(|key| (key.clone(), json!(rows.get(key)))).collect();
                (Subject::of_kind("settings"), Value::Object(values))
            }
            Watched::Token(id) => match self.store.access_token(*id).await? {
                Some(token) => (Subject::token(*id, &token.definition.name), json!(token.definition)),
                None => (Subject::token(*id, ""), Value::Null),
            },
        })
    }

    fn group_subject(&self, id: GroupId) -> Subject {
        let member = self.directory.member(id);
        Subject::group(id, member.map(|member| member.group.definition.name.clone()).unwrap_or_default())
    }
}

fn group_values(group: &Group) -> Value {
    let mut values = json!(group.definition);
    if !group.sub_groups.is_empty() {
        values["members"] = json!(group.sub_groups);
    }
    values
}

fn policy_values(policy: &Policy) -> Value {
    let PolicyDefinition { name, description, kind, config, priority, is_active } = &policy.definition;
    let kind = kind.as_str();
    json!({
        "name": name, "description": description, "type": kind, "config": config, "priority": priority,
        "is_active": is_active,
    })
}

fn key_subject(id: KeyId, key: Option<&KeyRecord>) -> Subject {
    Subject::key(id, key.and_then(|key| key.value.as_ref()).map(|value| value.masked()).unwrap_or_default())
}

fn key_values(key: &KeyRecord) -> Value {
    let state = key.health.state.as_str();
    json!({"state": state, "weight": key.weight, "priority": key.priority, "upstream": key.upstream})
}

/// Which keys a person meant.
fn selected(which: &KeySelector) -> Value {
    match which {
        KeySelector::Ids(ids) => json!({"ids": ids.iter().take(NAMED).collect::<Vec<_>>(), "given": ids.len()}),
        KeySelector::Values(values) => {
            let first: Vec<_> = values.iter().take(NAMED).map(|value| value.masked()).collect();
            json!({"keys": first, "given": values.len()})
        }
        KeySelector::State(state) => json!({"state": state.as_str()}),
        KeySelector::All => json!({"all": true}),
    }
}

fn with(which: &Value, result: Value) -> Value {
    let mut told = which.as_object().cloned().unwrap_or_default();
    told.extend(result.as_object().cloned().unwrap_or_default());
    Value::Object(told)
}
