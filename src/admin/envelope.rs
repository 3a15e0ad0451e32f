//! The shape of answers.

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse, Responder,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
};
use gpt_load_schema::redact::redact;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    caller::{Caller, RequestId},
    error::{ApiError, ErrorCode},
    locale::{Text, language_of},
    messages,
};

/// Tells the id of the request, as the audit log has it.
const REQUEST_ID: header::HeaderName = header::HeaderName::from_static("x-gpt-load-request-id");
/// Content type of every JSON answer.
pub(super) const JSON: &str = "application/json; charset=utf-8";

/// Result of a handler of the management API.
pub(super) type ApiResult = Result<Success, ApiError>;

/// `{"code": 0, "message", "data"?}`. Secrets in `data` are masked for those who may not see them.
#[derive(Debug)]
pub struct Success {
    text: Text,
    data: Option<Value>,
}

impl Success {
    /// The generic text and `data`.
    pub fn data(data: &impl Serialize) -> Result<Self, ApiError> {
        let data = serde_json::to_value(data).map_err(|error| {
            tracing::error!(%error, "an answer of the management API does not serialize");
            ApiError::new(ErrorCode::InternalServerError)
        })?;
        Ok(Self { text: messages::SUCCESS, data: Some(data) })
    }

    /// A specific text, no `data`.
    pub fn message(text: Text) -> Self {
        Self { text, data: None }
    }
}

impl Responder for Success {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut body = json!({"code": 0, "message": self.text.get(language_of(request.headers()))});
        if let (Some(mut data), Value::Object(members)) = (self.data, &mut body) {
            if request.extensions().get::<Caller>().is_some_and(Caller::sees_no_secrets) {
                redact(&mut data);
            }
            members.insert("data".to_owned(), data);
        }
        json(StatusCode::OK, &body)
    }
}

/// A JSON answer that no cache keeps: most answers hold something that only the key's owner may see.
pub(super) fn json(status: StatusCode, body: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .content_type(JSON)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body.to_string())
}

/// Middleware that renders errors in the client's language, and gives each request an id, which its answer tells.
///
/// Errors are made where the request is out of reach; here it is at hand again.
pub(super) async fn localise_errors(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let language = language_of(request.headers());
    let id = RequestId::fresh();
    request.extensions_mut().insert(id);
    let response = next.call(request).await?.map_into_boxed_body();
    let error = response.response().error().and_then(|error| error.as_error::<ApiError>()).cloned();
    let mut response = match error {
        Some(error) => response.into_response(error.render(language)),
        None => response,
    };
    // What the leader has answered bears its id, which the audit log has.
    if !response.headers().contains_key(REQUEST_ID) {
        response.headers_mut().insert(REQUEST_ID, id.header());
    }
    Ok(response)
}
