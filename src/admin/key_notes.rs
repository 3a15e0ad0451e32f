//! `PUT /api/keys/{id}/notes`.

use actix_web::web;
use gpt_load_actors::commands::{Command, CommandError};
use gpt_load_schema::{ids::KeyId, store::StoreError};

use super::{
    AdminState,
    body::JsonBody,
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    groups::PathId,
    locale::Text,
    messages,
};

/// Characters of a note.
const MAX_CHARS: usize = 255;

/// Replaces what a person noted about a key; absent = nothing.
pub(super) async fn save(state: web::Data<AdminState>, caller: Caller, id: PathId<KeyId>, body: JsonBody) -> ApiResult {
    let mut body = body.0;
    if id.0.0 <= 0 {
        let text = Text::english("The id in the path must be a positive whole number");
        return Err(ApiError::field(ErrorCode::BadRequest, "id", text));
    }
    let notes = body.string("notes")?.unwrap_or_default().trim().to_owned();
    if notes.chars().count() > MAX_CHARS {
        return Err(ApiError::invalid("notes", messages::KEY_NOTES_TOO_LONG.with(MAX_CHARS)));
    }
    match state.execute(&caller, Command::SetKeyNotes(id.0, notes)).await {
        Ok(_) => Ok(Success::message(messages::KEY_NOTES_SAVED)),
        Err(CommandError::Store(StoreError::NotFound(_))) => Err(ApiError::new(ErrorCode::NotFound)),
        Err(error) => Err(error.into()),
    }
}
