//! Requests that name keys: a pasted text or an array.

use gpt_load_schema::{ids::GroupId, key::KeyState, key_text, secret::Secret};

use super::{body::Fields, error::ApiError, locale::Text, messages};

/// Keys that one request may name.
const MAX_KEYS: usize = 5000;
/// The fields that may hold the keys; a request uses exactly one.
pub(super) const FORMS: [&str; 3] = ["keys_text", "keys", "key_values"];

/// Keys as a request gives them, decoded but not yet parsed.
pub(super) enum KeyList {
    /// Pasted text.
    Text(String),
    /// One key per element; the name of the field.
    Array(&'static str, Vec<String>),
}

/// The required, positive `group_id`.
pub(super) fn group_id(fields: &mut Fields) -> Result<GroupId, ApiError> {
    match fields.required_integer("group_id")? {
        id if id > 0 => Ok(GroupId(id)),
        _ => Err(ApiError::undecodable("group_id", "must be positive")),
    }
}

/// The state in which new keys are to begin; `None` = as the group says.
pub(super) fn first_state(word: Option<&str>) -> Result<Option<KeyState>, ApiError> {
    match word {
        None | Some("") => Ok(None),
        Some("pending") => Ok(Some(KeyState::Pending)),
        Some("active") => Ok(Some(KeyState::Active)),
        Some(_) => Err(ApiError::invalid("new_key_state", messages::NEW_KEY_STATE_UNKNOWN)),
    }
}

/// The one of `keys_text`, `keys` and `key_values` that the request uses.
pub(super) fn key_list(fields: &mut Fields) -> Result<KeyList, ApiError> {
    let used: Vec<_> = FORMS.into_iter().filter(|form| fields.contains(form) && !fields.is_null(form)).collect();
    match used[..] {
        [] | ["keys_text"] => fields.required_string("keys_text").map(KeyList::Text),
        [form] => Ok(KeyList::Array(form, fields.strings(form)?.unwrap_or_default())),
        [_, second, ..] => Err(ApiError::invalid(second, messages::KEYS_TWO_FORMS)),
    }
}

impl KeyList {
    /// The keys, in order, repeated ones included: 1 to 5000.
    pub(super) fn parse(self) -> Result<Vec<Secret>, ApiError> {
        let (field, keys) = match self {
            Self::Text(text) => ("keys_text", key_text::parse(&text)),
            Self::Array(field, elements) => (field, key_text::from_list(&elements)),
        };
        let keys = keys.map_err(|error| ApiError::invalid(field, Text::english(error.to_string())))?;
        if keys.len() > MAX_KEYS {
            return Err(ApiError::invalid(field, messages::KEYS_TOO_MANY.with(MAX_KEYS)));
        }
        Ok(keys)
    }
}
