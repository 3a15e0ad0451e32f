//! `POST /api/groups/{id}/copy`: a group like another, and its keys.

use actix_web::web;
use gpt_load_actors::{
    commands::{Command, CommandError, Reply},
    key_work::KeyWorkError,
};
use gpt_load_schema::{
    audit::Subject,
    group::{Group, GroupDefinition, GroupType},
    ids::GroupId,
    key::KeyState,
    store::StoreError,
    validate,
};
use serde_json::{Value, json};

use super::{
    AdminState,
    body::JsonBody,
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    group_object::{GroupBody, Surroundings},
    groups::PathId,
    messages, rule_texts, tasks,
};

/// Names that are tried for a copy.
const MAX_COPIES: u32 = 1000;
const MAX_NAME_CHARS: usize = 100;
const MAX_DISPLAY_NAME_CHARS: usize = 255;

/// Copies everything that a person decided about a group, its policies too; members of an aggregate are not copied.
///
/// The keys follow in a task. `key_import` says whether it was started; `null` when no keys were asked for.
pub(super) async fn copy(state: web::Data<AdminState>, caller: Caller, id: PathId, body: JsonBody) -> ApiResult {
    let mut body = body.0;
    let which = match body.string("copy_keys")?.as_deref() {
        None | Some("" | "all") => Some(None),
        Some("valid_only") => Some(Some(KeyState::Active)),
        Some("none") => None,
        Some(_) => return Err(ApiError::invalid("copy_keys", messages::COPY_KEYS_UNKNOWN)),
    };
    let source = state.group(id.0).await?;
    let group = create(&state, &caller, &source.definition).await?;
    attach_policies(&state, &caller, source.id, group.id).await?;
    let import = match which.filter(|_| source.definition.group_type == GroupType::Standard) {
        Some(which) => import(&state, &caller, source.id, &group, which).await,
        None => Value::Null,
    };
    let settings = state.system_settings().await?;
    let body = GroupBody::new(&group, &Surroundings { settings: &settings, app: &state.app }, None);
    Success::data(&json!({"group": body, "key_import": import}))
}

/// Adds the copy under the first name that is free.
async fn create(state: &AdminState, caller: &Caller, source: &GroupDefinition) -> Result<Group, ApiError> {
    let groups = state.store.groups().await?;
    for number in 1..=MAX_COPIES {
        let name = copy_name(&source.name, number);
        if groups.iter().any(|group| group.definition.name == name) {
            continue;
        }
        // What was taken over from other programs may have names that break the rules.
        validate::group_name(&name)
            .map_err(|broken| ApiError::fields(ErrorCode::ValidationFailed, vec![rule_texts::field_error(&broken)]))?;
        let definition =
            GroupDefinition { name, display_name: copy_display_name(&source.display_name), ..source.clone() };
        match state.execute(caller, Command::CreateGroup(Box::new(definition))).await {
            Ok(Reply::Group(group)) => return Ok(*group),
            Ok(_) => return Err(ApiError::new(ErrorCode::InternalServerError)),
            // Somebody was faster with this name.
            Err(CommandError::Store(StoreError::Duplicate(_))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::field(ErrorCode::DuplicateResource, "name", messages::COPY_NAMES_TAKEN))
}

/// `{name}_copy`, then `{name}_copy_2` and so on, with so much of the name as fits.
fn copy_name(name: &str, number: u32) -> String {
    let suffix = if number == 1 { "_copy".to_owned() } else { format!("_copy_{number}") };
    let head: String = name.chars().take(MAX_NAME_CHARS - suffix.len()).collect();
    head + &suffix
}

/// Empty stays empty.
fn copy_display_name(name: &str) -> String {
    const SUFFIX: &str = " Copy";
    if name.is_empty() {
        return String::new();
    }
    let head: String = name.chars().take(MAX_DISPLAY_NAME_CHARS - SUFFIX.len()).collect();
    head + SUFFIX
}

/// Gives the copy the policies of its group. A copy without them would let through what the group refuses, so it does
/// not stay.
async fn attach_policies(state: &AdminState, caller: &Caller, from: GroupId, to: GroupId) -> Result<(), ApiError> {
    let links = state.store.group_policies().await?;
    let links: Vec<_> = links.iter().filter(|linked| linked.group_id == from).map(|linked| linked.link).collect();
    if links.is_empty() {
        return Ok(());
    }
    match state.execute(caller, Command::SetGroupPolicies(to, links)).await {
        Ok(_) => Ok(()),
        Err(error) => {
            if let Err(error) = state.execute(caller, Command::DeleteGroup(to)).await {
                tracing::warn!(%error, group.id = %to, "a copy without the policies of its group stays; delete it");
            }
            Err(error.into())
        }
    }
}

/// Starts the task that copies keys; says whether it runs, and why not.
async fn import(state: &AdminState, caller: &Caller, from: GroupId, to: &Group, which: Option<KeyState>) -> Value {
    let subject = Subject::group(to.id, &to.definition.name);
    let start = async { Ok(state.runtime.key_work().copy(from, to.id, which).await) };
    let started = state.audited(caller, "task.start", subject, start, |started| match started {
        Ok(task) => tasks::started(task),
        Err(error) => json!({"error": error.to_string()}),
    });
    let started = match started.await {
        Ok(started) => started,
        Err(error) => return json!({"is_started": false, "code": error.code().as_str(), "error": error.code().text()}),
    };
    match started {
        Ok(task) => json!({"is_started": true, "total": task.total}),
        Err(KeyWorkError::Nothing) => json!({"is_started": false, "total": 0}),
        Err(error) => {
            let code = match &error {
                KeyWorkError::TaskRunning(_) => ErrorCode::TaskInProgress,
                _ => ApiError::from(error).code(),
            };
            json!({"is_started": false, "code": code.as_str(), "error": code.text()})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_names_that_fit() {
        let long = "a".repeat(100);
        let cases = [
            ("team", 1, "team_copy".to_owned()),
            ("team", 2, "team_copy_2".to_owned()),
            ("team_copy", 1, "team_copy_copy".to_owned()),
            (&long, 1, "a".repeat(95) + "_copy"),
            (&long, 1000, "a".repeat(90) + "_copy_1000"),
        ];
        for (name, number, expected) in cases {
            assert_eq!(copy_name(name, number), expected);
        }
        assert_eq!((copy_display_name(""), copy_display_name("Team")), (String::new(), "Team Copy".to_owned()));
        assert_eq!(copy_display_name(&"名".repeat(255)).chars().count(), 255);
    }
}
