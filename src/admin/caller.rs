//! Who makes a request of the management API.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::HeaderValue};
use gpt_load_schema::{access::Role, audit::Actor};
use uuid::Uuid;

use super::error::{ApiError, ErrorCode};

/// The id of a request, in its answer and in the audit log.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestId(Uuid);

impl RequestId {
    pub(super) fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// That of `request`.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().copied().unwrap_or_else(Self::fresh)
    }

    /// As a header has it.
    pub(super) fn header(self) -> HeaderValue {
        // Digits and hyphens are what every header may hold.
        HeaderValue::from_str(&self.0.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    pub(super) fn text(self) -> String {
        self.0.to_string()
    }
}

/// Who makes the request: extracted by handlers of routes that let nobody else in.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// As the audit log names them.
    pub(super) actor: Actor,
    /// What they may do.
    pub(super) role: Role,
}

impl Caller {
    /// Whether secrets are masked for them.
    pub(super) fn sees_no_secrets(&self) -> bool {
        self.role < Role::Admin
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or_else(|| {
            tracing::error!(path = request.path(), "an open route asks who calls");
            ApiError::new(ErrorCode::InternalServerError)
        }))
    }
}
