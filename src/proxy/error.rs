//! Refusals that the gateway itself makes on the data path, each with its status, code and advice.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use gpt_load_schema::{channel::Channel, key::KeyState};

use crate::channel::error::native;

/// Response header that says whose error it is.
pub const ERROR_SOURCE: header::HeaderName = header::HeaderName::from_static("x-gpt-load-error-source");

/// A refusal made by the gateway; its text carries no secret.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No proxy key was sent.
    #[error("no proxy key: send it as `Authorization: Bearer …`, `x-api-key`, `x-goog-api-key`, `api-key` or `?key=`")]
    NoProxyKey,
    /// The proxy key is not one of this group's or the installation's.
    #[error("the proxy key is not accepted here; check `proxy_keys` in the settings or of the group")]
    WrongProxyKey,
    /// No such group.
    #[error("there is no group `{0}`; GET /api/groups lists the groups of this gateway")]
    UnknownGroup(String),
    /// The root entrance has no group behind it.
    #[error(
        "there is no default group `{0}` behind this path: create it, set DEFAULT_GROUP, or use the base URL /proxy/{{group}}"
    )]
    NoDefaultGroup(String),
    /// The path is none of the gateway's.
    #[error("nothing is served at this path; requests for a provider go to /proxy/{{group}}/… or /v1/…")]
    NoSuchPath,
    /// The request's bytes cannot be understood.
    #[error("{0}")]
    BadRequest(String),
    /// Strict redirects know nothing of the model.
    #[error("model `{0}` is not configured in this group, which accepts only models with a redirect")]
    ModelNotRedirected(String),
    /// A model filter denies the model.
    #[error("model `{model}` is not allowed in group `{group}` (policy `{policy}`)")]
    ModelNotAllowed {
        /// The model asked for, cut.
        model: String,
        /// The group.
        group: String,
        /// The policy that denies it.
        policy: String,
    },
    /// A rate limit of the group is used up.
    #[error("the rate limit of group `{group}` is used up: {policy}; try again in {} s", .retry_after.as_secs())]
    LimitExceeded {
        /// The group.
        group: String,
        /// The policy and its limit.
        policy: Arc<str>,
        /// Until the next request fits, rounded up to whole seconds.
        retry_after: Duration,
    },
    /// The body is over `MAX_REQUEST_BYTES`.
    #[error("the request body is larger than {0} bytes (MAX_REQUEST_BYTES)")]
    BodyTooLarge(u64),
    /// The group must read the body, which is over `REPLAY_BUFFER_BYTES`.
    #[error(
        "this group reads request bodies (redirects, overrides or model filters), which works up to {0} bytes \
         (REPLAY_BUFFER_BYTES)"
    )]
    BodyNotInspectable(usize),
    /// The body did not arrive in time.
    #[error("the request body did not arrive within {} s (SERVER_READ_TIMEOUT)", .0.as_secs())]
    BodyTimeout(Duration),
    /// `TRACE` would show the provider's key to the client, `CONNECT` would open a tunnel.
    #[error("the method {0} is not carried to providers")]
    MethodRefused(String),
    /// WebSocket and the like.
    #[error("this gateway does not carry protocol upgrades (WebSocket) yet")]
    UpgradeUnsupported,
    /// More requests at once than `MAX_CONCURRENT_REQUESTS`.
    #[error("the gateway serves as many requests at once as MAX_CONCURRENT_REQUESTS allows; try again in a second")]
    Overloaded,
    /// The group has no key that may serve.
    #[error(
        "group `{0}` has no usable key; whoever runs the gateway sees why in the group's pool (GET /api/groups/{{id}}/pool), or adds keys"
    )]
    NoKeys(String),
    /// Every key of the group rests.
    #[error("no key of group `{group}` is free: they rest because of limits, or have as many requests as they may; try again in {} s", .retry_after.as_secs())]
    AllResting {
        /// The group.
        group: String,
        /// Until the first key returns, rounded up to whole seconds.
        retry_after: Duration,
    },
    /// The provider stores this in the account of a key that is not in the group any more.
    #[error(
        "the key that `{0}` belongs to is no longer in this group, and no other key reaches it at the provider: make it anew"
    )]
    ResourceKeyGone(String),
    /// The provider stores this in the account of a key that is out.
    #[error("`{id}` belongs to a key that is {state}, and no other key reaches it at the provider{}", returning(*.retry_after))]
    ResourceKeyUnavailable {
        /// The resource.
        id: String,
        /// The key's state.
        state: KeyState,
        /// Until it returns by itself, rounded up to whole seconds, where that is known.
        retry_after: Option<Duration>,
    },
    /// The provider stores this in the account of a key that rests.
    #[error(
        "`{id}` belongs to a key that rests because of the provider's rate limits, and no other key reaches it; the key returns in {} s",
        .retry_after.as_secs()
    )]
    ResourceKeyResting {
        /// The resource.
        id: String,
        /// Until it returns, rounded up to whole seconds.
        retry_after: Duration,
    },
    /// The way to the provider failed.
    #[error("the provider could not be reached: {0}")]
    Unreachable(String),
    /// The provider did not answer in time.
    #[error("the provider did not answer in time: {0}")]
    UpstreamTimeout(String),
    /// The group is stored with a configuration that cannot be used.
    #[error("group `{group}` cannot be used: {reason}")]
    Misconfigured {
        /// The group.
        group: String,
        /// Which field and why.
        reason: String,
    },
    /// A defect of the gateway.
    #[error("the gateway failed to handle this request; the log has the details under the request id")]
    Internal,
}

impl ProxyError {
    /// HTTP status.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NoProxyKey | Self::WrongProxyKey => StatusCode::UNAUTHORIZED,
            Self::UnknownGroup(_) | Self::NoDefaultGroup(_) | Self::NoSuchPath | Self::ResourceKeyGone(_) => {
                StatusCode::NOT_FOUND
            }
            Self::BadRequest(_) | Self::ModelNotRedirected(_) => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge(_) | Self::BodyNotInspectable(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::MethodRefused(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::UpgradeUnsupported => StatusCode::NOT_IMPLEMENTED,
            Self::Overloaded | Self::NoKeys(_) | Self::ResourceKeyUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::ModelNotAllowed { .. } => StatusCode::FORBIDDEN,
            Self::AllResting { .. } | Self::LimitExceeded { .. } | Self::ResourceKeyResting { .. } => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Unreachable(_) => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Misconfigured { .. } | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The contract's code word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoProxyKey | Self::WrongProxyKey => "UNAUTHORIZED",
            Self::UnknownGroup(_) | Self::NoDefaultGroup(_) | Self::NoSuchPath => "NOT_FOUND",
            Self::BadRequest(_) | Self::ModelNotRedirected(_) => "BAD_REQUEST",
            Self::BodyTooLarge(_) | Self::BodyNotInspectable(_) => "PAYLOAD_TOO_LARGE",
            Self::BodyTimeout(_) => "REQUEST_TIMEOUT",
            Self::MethodRefused(_) => "METHOD_NOT_ALLOWED",
            Self::UpgradeUnsupported => "NOT_IMPLEMENTED",
            Self::Overloaded => "TOO_MANY_CONCURRENT_REQUESTS",
            Self::NoKeys(_) => "NO_KEYS_AVAILABLE",
            Self::AllResting { .. } => "ALL_KEYS_RESTING",
            Self::ResourceKeyGone(_) => "RESOURCE_KEY_GONE",
            Self::ResourceKeyUnavailable { .. } => "RESOURCE_KEY_UNAVAILABLE",
            Self::ResourceKeyResting { .. } => "RESOURCE_KEY_RESTING",
            Self::ModelNotAllowed { .. } => "MODEL_NOT_ALLOWED",
            Self::LimitExceeded { .. } => "RATE_LIMIT_EXCEEDED",
            Self::Unreachable(_) => "BAD_GATEWAY",
            Self::UpstreamTimeout(_) => "GATEWAY_TIMEOUT",
            Self::Misconfigured { .. } | Self::Internal => "INTERNAL_SERVER_ERROR",
        }
    }

    /// Seconds after which trying again makes sense, where that is known.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Overloaded => Some(1),
            Self::AllResting { retry_after, .. }
            | Self::LimitExceeded { retry_after, .. }
            | Self::ResourceKeyResting { retry_after, .. }
            | Self::ResourceKeyUnavailable { retry_after: Some(retry_after), .. } => Some(retry_after.as_secs().max(1)),
            _ => None,
        }
    }

    /// The answer, in the channel's native error shape so that official SDKs raise their typed exception.
    pub fn response(&self, channel: Channel) -> HttpResponse {
        let status = self.status();
        let mut response = HttpResponse::build(status);
        response
            .insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"))
            .insert_header((ERROR_SOURCE, "gateway"));
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response.body(native(channel, status.as_u16(), self.code(), &self.to_string()))
    }
}

fn returning(retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(wait) => format!("; the key returns in {} s", wait.as_secs()),
        None => ": let a person look at the key".to_owned(),
    }
}
