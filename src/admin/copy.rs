//! `POST /api/groups/{id}/copy`: a group like another, and its keys.

use actix_web::{rt, web};
use gpt_load_actors::{
    commands::{Command, CommandError, Reply},
    runtime::Runtime,
};
use gpt_load_schema::{
    group::{Group, GroupDefinition, GroupType},
    ids::GroupId,
    key::{KeySource, KeyState},
    store::{KeyFilter, Store, StoreError},
    validate,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{
    AdminState,
    body::JsonBody,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    group_object::{GroupBody, Surroundings},
    groups::PathId,
    locale::Text,
    messages, rule_texts,
};

/// Names that are tried for a copy.
const MAX_COPIES: u32 = 1000;
const MAX_NAME_CHARS: usize = 100;
const MAX_DISPLAY_NAME_CHARS: usize = 255;
/// Keys read and added at once.
const BATCH: u32 = 10_000;

/// Copies everything that a person decided about a group; members of an aggregate are not copied.
///
/// The keys are copied before the answer comes, in batches between which other changes take their turn, also when the
/// client does not wait for it. `key_import` says what came of it; `null` when no keys were asked for.
pub(super) async fn copy(state: web::Data<AdminState>, id: PathId, body: JsonBody) -> ApiResult {
    let mut body = body.0;
    let which = match body.string("copy_keys")?.as_deref() {
        None | Some("" | "all") => Some(KeyFilter::default()),
        Some("valid_only") => Some(KeyFilter { state: Some(KeyState::Active), ..KeyFilter::default() }),
        Some("none") => None,
        Some(_) => return Err(ApiError::invalid("copy_keys", messages::COPY_KEYS_UNKNOWN)),
    };
    let source = state.group(id.0).await?;
    let group = create(&state, &source.definition).await?;
    let import = match which.filter(|_| source.definition.group_type == GroupType::Standard) {
        Some(filter) => Some(import(&state, source.id, group.id, filter).await?),
        None => None,
    };
    let settings = state.system_settings().await?;
    let body = GroupBody::new(&group, &Surroundings { settings: &settings, app: &state.app }, None);
    Success::data(&json!({"group": body, "key_import": import}))
}

/// Adds the copy under the first name that is free.
async fn create(state: &AdminState, source: &GroupDefinition) -> Result<Group, ApiError> {
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
        match state.runtime.execute(Command::CreateGroup(Box::new(definition))).await {
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

/// What came of copying keys.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "CopiedKeys")]
pub(super) struct Imported {
    /// Whether all keys were gone over.
    is_complete: bool,
    added_count: i64,
    /// Keys whose stored value is not readable.
    unreadable_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Copies keys in a task of its own, which goes on when the client does not wait.
async fn import(state: &AdminState, from: GroupId, to: GroupId, filter: KeyFilter) -> Result<Imported, ApiError> {
    let copy = KeyCopy { store: state.store.clone(), runtime: state.runtime.clone(), from, to, filter };
    rt::spawn(copy.run(|_| ())).await.map_err(|error| {
        tracing::error!(%error, group.id = %to, "copying keys ended unexpectedly");
        ApiError::new(ErrorCode::InternalServerError)
    })
}

/// Copies the keys of one group to another, with first states as of new keys: states, notes and counters stay behind.
struct KeyCopy {
    store: Store,
    runtime: Runtime,
    from: GroupId,
    to: GroupId,
    filter: KeyFilter,
}

impl KeyCopy {
    /// Copies, and tells after each batch how many keys were gone over. A failure leaves what was copied until then.
    async fn run(self, mut progress: impl FnMut(u64)) -> Imported {
        let mut imported = Imported::default();
        match self.copy_all(&mut imported, &mut progress).await {
            Ok(()) => imported.is_complete = true,
            Err(error) => {
                let error = ApiError::from(error);
                imported.error = Some(Text::english(error.code().text()).get(Default::default()).to_owned());
            }
        }
        imported
    }

    async fn copy_all(&self, imported: &mut Imported, progress: &mut impl FnMut(u64)) -> Result<(), CommandError> {
        let (mut after, mut gone_over) = (None, 0);
        loop {
            let keys = self.store.keys_after(self.from, &self.filter, after, BATCH).await?;
            let Some(last) = keys.last() else { return Ok(()) };
            after = Some(last.id);
            gone_over += keys.len() as u64;
            let read = i64::try_from(keys.len()).unwrap_or(i64::MAX);
            let values: Vec<_> = keys.into_iter().filter_map(|key| key.value).collect();
            imported.unreadable_count += read - i64::try_from(values.len()).unwrap_or(i64::MAX);
            let add = Command::AddKeys { group: self.to, values, state: None, source: KeySource::Manual };
            if let Reply::Added { added, .. } = self.runtime.execute(add).await? {
                imported.added_count += added;
            }
            progress(gone_over);
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
