//! Errors of the management API: one table of codes, one shape.

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{StatusCode, header},
};
use gpt_load_actors::{commands::CommandError, key_work::KeyWorkError, validation::ValidationError};
use gpt_load_schema::{settings::Language, store::StoreError};
use serde_json::{Value, json};

use super::{envelope, locale::Text, messages, rule_texts};

/// How long a client should wait when the database or the leader is away, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// What went wrong, as clients tell errors apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A path or query value of the wrong form, or an operation on a group of the wrong type.
    BadRequest,
    /// The body does not decode or lacks a required field.
    InvalidJson,
    /// A value breaks a rule.
    ValidationFailed,
    /// The management key is missing or wrong.
    Unauthorized,
    /// The role of the access token does not allow it.
    Forbidden,
    /// No such record or route.
    NotFound,
    /// The route exists, the method does not.
    MethodNotAllowed,
    /// The name is taken.
    DuplicateResource,
    /// Another task is running.
    TaskInProgress,
    /// No task is running.
    NoTaskRunning,
    /// The body is larger than the route takes.
    PayloadTooLarge,
    /// Too many failed authentications from one address.
    TooManyRequests,
    /// A defect.
    InternalServerError,
    /// The database failed.
    DatabaseError,
    /// The database cannot be reached; nothing was changed, trying again helps.
    DatabaseUnavailable,
    /// No node leads at the moment; nothing was changed, trying again helps.
    ServiceUnavailable,
}

impl ErrorCode {
    /// The one table: word in the envelope, HTTP status, text where there is nothing more exact to say.
    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::BadRequest => ("BAD_REQUEST", StatusCode::BAD_REQUEST, "Invalid request"),
            Self::InvalidJson => ("INVALID_JSON", StatusCode::BAD_REQUEST, "Invalid JSON"),
            Self::ValidationFailed => ("VALIDATION_FAILED", StatusCode::BAD_REQUEST, "Validation failed"),
            Self::Unauthorized => ("UNAUTHORIZED", StatusCode::UNAUTHORIZED, "Management key missing or wrong"),
            Self::Forbidden => ("FORBIDDEN", StatusCode::FORBIDDEN, "The role of this access token does not allow it"),
            Self::NotFound => ("NOT_FOUND", StatusCode::NOT_FOUND, "Resource not found"),
            Self::MethodNotAllowed => {
                ("METHOD_NOT_ALLOWED", StatusCode::METHOD_NOT_ALLOWED, "This path does not take this method")
            }
            Self::DuplicateResource => ("DUPLICATE_RESOURCE", StatusCode::CONFLICT, "Resource already exists"),
            Self::TaskInProgress => {
                ("TASK_IN_PROGRESS", StatusCode::CONFLICT, "A task is running; wait for its end or cancel it")
            }
            Self::NoTaskRunning => ("NO_TASK_RUNNING", StatusCode::CONFLICT, "No task is running"),
            Self::PayloadTooLarge => ("PAYLOAD_TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"),
            Self::TooManyRequests => {
                ("TOO_MANY_REQUESTS", StatusCode::TOO_MANY_REQUESTS, "Too many failed attempts; try again later")
            }
            Self::InternalServerError => {
                ("INTERNAL_SERVER_ERROR", StatusCode::INTERNAL_SERVER_ERROR, "Internal error; see the server log")
            }
            Self::DatabaseError => {
                ("DATABASE_ERROR", StatusCode::INTERNAL_SERVER_ERROR, "Database failure; see the server log")
            }
            Self::DatabaseUnavailable => (
                "DATABASE_ERROR",
                StatusCode::SERVICE_UNAVAILABLE,
                "The database cannot be reached at the moment; try again in a few seconds",
            ),
            Self::ServiceUnavailable => (
                "SERVICE_UNAVAILABLE",
                StatusCode::SERVICE_UNAVAILABLE,
                "No node can carry out changes at the moment; try again in a few seconds",
            ),
        }
    }

    /// The word in the envelope.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// The text where there is nothing more exact to say.
    pub const fn text(self) -> &'static str {
        self.row().2
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Name as in the request, with the place inside of it: `upstreams[1].url`.
    pub field: String,
    /// The rule that it breaks.
    pub text: Text,
}

/// The error answer of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    code: ErrorCode,
    text: Text,
    details: Vec<FieldError>,
    retry_after: Option<u64>,
    allow: Option<String>,
    shape: Shape,
}

/// What the error looks like on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Envelope,
    /// The envelope, with the text as `error` too: the shape of unknown paths in earlier programs.
    EnvelopeAndError,
    /// `{"success": false, "message"}`.
    Login,
}

impl ApiError {
    /// An error with the text of its code.
    pub fn new(code: ErrorCode) -> Self {
        Self::saying(code, Text::english(code.text()))
    }

    /// An error with a text of its own.
    pub fn saying(code: ErrorCode, text: Text) -> Self {
        Self(Box::new(Parts {
            code,
            text,
            details: Vec::new(),
            retry_after: None,
            allow: None,
            shape: Shape::Envelope,
        }))
    }

    /// An error about one field; the field's text is the error's text too.
    pub fn field(code: ErrorCode, field: impl Into<String>, text: Text) -> Self {
        Self::fields(code, vec![FieldError { field: field.into(), text }])
    }

    /// An error about some fields; the first one's text is the error's text too.
    pub fn fields(code: ErrorCode, details: Vec<FieldError>) -> Self {
        let text = details.first().map_or_else(|| Text::english(code.text()), |first| first.text.clone());
        let mut error = Self::saying(code, text);
        error.0.details = details;
        error
    }

    /// The body lacks `field` or has it in the wrong form; `rule` is English as all decoder messages are.
    pub fn undecodable(field: impl Into<String>, rule: &str) -> Self {
        let field = field.into();
        let text = Text::english(format!("{field}: {rule}"));
        Self::field(ErrorCode::InvalidJson, field, text)
    }

    /// The value of `field` breaks a rule.
    pub fn invalid(field: impl Into<String>, text: Text) -> Self {
        Self::field(ErrorCode::ValidationFailed, field, text)
    }

    /// An unknown path.
    pub fn unknown_path() -> Self {
        let mut error = Self::saying(ErrorCode::NotFound, Text::english("This path does not exist"));
        error.0.shape = Shape::EnvelopeAndError;
        error
    }

    /// A wrong method; `allow` lists the right ones, comma-separated.
    pub fn wrong_method(allow: &str) -> Self {
        let mut error = Self::new(ErrorCode::MethodNotAllowed);
        error.0.allow = Some(allow.to_owned());
        error.0.shape = Shape::EnvelopeAndError;
        error
    }

    /// Too many failures from the client's address; asks it to wait.
    pub fn throttled(seconds: u64) -> Self {
        let mut error = Self::saying(ErrorCode::TooManyRequests, messages::TOO_MANY_FAILURES.with(seconds));
        error.0.retry_after = Some(seconds);
        error
    }

    /// The node cannot do it now; trying again a little later helps.
    pub fn later(text: Text) -> Self {
        let mut error = Self::saying(ErrorCode::ServiceUnavailable, text);
        error.0.retry_after = Some(RETRY_AFTER_SECONDS);
        error
    }

    /// The same error in the shape of the login route.
    pub fn of_login(mut self) -> Self {
        self.0.shape = Shape::Login;
        self
    }

    /// The same error under another code.
    pub fn with_code(mut self, code: ErrorCode) -> Self {
        self.0.code = code;
        self
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The fields at fault.
    pub fn details(&self) -> &[FieldError] {
        &self.0.details
    }

    /// The answer in `language`.
    pub fn render(&self, language: Language) -> HttpResponse {
        let Parts { code, text, details, retry_after, allow, shape } = &*self.0;
        let message = text.get(language);
        let mut body = match shape {
            Shape::Envelope => json!({"code": code.as_str(), "message": message}),
            Shape::EnvelopeAndError => json!({"code": code.as_str(), "message": message, "error": message}),
            Shape::Login => json!({"success": false, "message": message}),
        };
        if !details.is_empty()
            && *shape != Shape::Login
            && let Value::Object(members) = &mut body
        {
            let details = details.iter().map(|at| json!({"field": at.field, "message": at.text.get(language)}));
            members.insert("details".to_owned(), details.collect());
        }
        let mut response = envelope::json(code.status(), &body);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
        }
        if let Some(allow) = allow.as_deref().and_then(|allow| header::HeaderValue::from_str(allow).ok()) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.text.get(Language::English))
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.code.status()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.render(Language::default())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "the management API cannot reach the database");
                Self::retriable(ErrorCode::DatabaseUnavailable)
            }
            StoreError::StaleEpoch { .. } => Self::retriable(ErrorCode::ServiceUnavailable),
            StoreError::NotFound(_) => Self::new(ErrorCode::NotFound),
            StoreError::Duplicate(_) => Self::new(ErrorCode::DuplicateResource),
            StoreError::Encryption(_) | StoreError::Incompatible(_) | StoreError::Internal(_) => {
                tracing::error!(%error, "the database failed a management request");
                Self::new(ErrorCode::DatabaseError)
            }
        }
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Store(error) => error.into(),
            CommandError::Refused(broken) => {
                Self::fields(ErrorCode::ValidationFailed, broken.iter().map(rule_texts::field_error).collect())
            }
            CommandError::NoLeader => Self::retriable(ErrorCode::ServiceUnavailable),
        }
    }
}

impl From<KeyWorkError> for ApiError {
    fn from(error: KeyWorkError) -> Self {
        match error {
            KeyWorkError::Nothing => Self::saying(ErrorCode::ValidationFailed, messages::NO_KEYS_GIVEN),
            KeyWorkError::NoSuchGroup => Self::saying(ErrorCode::NotFound, messages::GROUP_UNKNOWN),
            KeyWorkError::TaskRunning(_) => Self::saying(ErrorCode::TaskInProgress, messages::TASK_RUNNING),
            KeyWorkError::NotReady => Self::retriable(ErrorCode::ServiceUnavailable),
            KeyWorkError::Store(error) => error.into(),
        }
    }
}

impl From<ValidationError> for ApiError {
    fn from(error: ValidationError) -> Self {
        match error {
            ValidationError::Nothing => Self::saying(ErrorCode::ValidationFailed, messages::NOTHING_TO_VALIDATE),
            ValidationError::NoSuchGroup => Self::saying(ErrorCode::NotFound, messages::GROUP_UNKNOWN),
            ValidationError::TaskRunning(_) => Self::saying(ErrorCode::TaskInProgress, messages::TASK_RUNNING),
            ValidationError::NotReady => Self::retriable(ErrorCode::ServiceUnavailable),
            ValidationError::Store(error) => error.into(),
        }
    }
}

impl ApiError {
    fn retriable(code: ErrorCode) -> Self {
        let mut error = Self::new(code);
        error.0.retry_after = Some(RETRY_AFTER_SECONDS);
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_the_store_keep_their_text_to_themselves() {
        let text = || "SELECT * FROM api_keys".to_owned();
        let cases = [
            (StoreError::Unavailable(text()), 503, "DATABASE_ERROR", true),
            (StoreError::Internal(text()), 500, "DATABASE_ERROR", false),
            (StoreError::Encryption(text()), 500, "DATABASE_ERROR", false),
            (StoreError::Incompatible(text()), 500, "DATABASE_ERROR", false),
            (StoreError::StaleEpoch { claimed: 1, current: 2 }, 503, "SERVICE_UNAVAILABLE", true),
            (StoreError::NotFound("the group"), 404, "NOT_FOUND", false),
            (StoreError::Duplicate("a group of this name"), 409, "DUPLICATE_RESOURCE", false),
        ];
        for (failure, status, code, retriable) in cases {
            let case = failure.to_string();
            let error = ApiError::from(CommandError::Store(failure));
            assert_eq!((error.code().status().as_u16(), error.code().as_str()), (status, code), "{case}");
            assert_eq!(
                error.render(Language::English).headers().contains_key(header::RETRY_AFTER),
                retriable,
                "{case}"
            );
            assert!(!error.to_string().contains("SELECT"), "{error}");
        }
        let error = ApiError::from(CommandError::NoLeader);
        assert_eq!(error.code(), ErrorCode::ServiceUnavailable);
    }
}
