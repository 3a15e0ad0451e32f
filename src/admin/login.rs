//! `POST /api/auth/login` tells whether a key opens the management API, and issues nothing; `GET /api/auth/me` tells whose
//! it is.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde_json::json;

use super::{
    AdminState,
    body::JsonBody,
    caller::Caller,
    envelope::{self, ApiResult, Success},
    error::{ApiError, ErrorCode},
    locale::language_of,
    messages,
};

/// 200 for the management key or an access token, with its role; 401 for a wrong one, 400 for none.
pub(super) async fn login(
    state: web::Data<AdminState>,
    request: HttpRequest,
    body: Result<JsonBody, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let refused = |code, text| Err(ApiError::saying(code, text).of_login());
    let key = match body.and_then(|mut body| body.0.required_string("auth_key")) {
        Ok(key) => key,
        Err(error) if error.code() == ErrorCode::InvalidJson => {
            return refused(ErrorCode::InvalidJson, messages::LOGIN_MALFORMED);
        }
        Err(error) => return Err(error.of_login()),
    };
    let Some(caller) = state.identify(&key, &request, Instant::now()).map_err(ApiError::of_login)? else {
        return refused(ErrorCode::Unauthorized, messages::LOGIN_WRONG);
    };
    let message = messages::LOGIN_OK;
    let message = message.get(language_of(request.headers()));
    Ok(envelope::json(StatusCode::OK, &json!({"success": true, "message": message, "role": caller.role})))
}

/// Who the caller is: `kind` is `management_key` or `token`.
pub(super) async fn me(caller: Caller) -> ApiResult {
    let Caller { actor, role } = caller;
    Success::data(&json!({"kind": actor.kind, "id": actor.token, "name": actor.name, "role": role}))
}
