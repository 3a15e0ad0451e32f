//! `GET /api/encryption` and `POST /api/encryption/rotate`: how secrets are stored, and a fresh data key for them.

use actix_web::web;
use gpt_load_actors::commands::{Command, Reply};
use gpt_load_schema::store::{EncryptionState, Recast};
use serde_json::{Value, json};

use super::{
    AdminState,
    caller::Caller,
    envelope::{ApiResult, Success},
    error::{ApiError, ErrorCode},
    messages,
};

/// How secrets are stored, and how far a rotation is.
pub(super) async fn show(state: web::Data<AdminState>) -> ApiResult {
    Success::data(&body(&state.store.encryption_state().await?))
}

/// Begins a rotation of the data key; answers what [`show`] does.
pub(super) async fn rotate(state: web::Data<AdminState>, caller: Caller) -> ApiResult {
    if !state.store.encrypts() {
        return Err(ApiError::saying(ErrorCode::BadRequest, messages::NOT_ENCRYPTING));
    }
    match state.execute(&caller, Command::RotateDataKey).await? {
        Reply::Rotation { begun: false } => {
            Err(ApiError::saying(ErrorCode::TaskInProgress, messages::ROTATION_RUNNING))
        }
        _ => show(state).await,
    }
}

fn body(state: &EncryptionState) -> Value {
    json!({
        "is_encrypted": state.encrypts,
        "data_keys": state.data_keys,
        "rotation": state.rotation.as_ref().map(rotation),
    })
}

fn rotation(recast: &Recast) -> Value {
    json!({
        "is_running": recast.finished_at.is_none(),
        "stage": recast.stage,
        "is_check": recast.is_check,
        "processed": recast.processed,
        "total": recast.total,
        "unreadable": recast.unreadable,
        "started_at": recast.started_at.to_rfc3339(),
        "finished_at": recast.finished_at.map(|at| at.to_rfc3339()),
    })
}
