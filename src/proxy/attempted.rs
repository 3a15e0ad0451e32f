//! What an attempt needs, and what comes of it.

use std::sync::Arc;

use actix_web::HttpResponse;
use gpt_load_actors::pool::{KeyLease, Verdict};
use gpt_load_schema::{log::OutcomeClass, secret::Secret};
use tokio::time::Instant;

use super::{
    answer::{self, FailedAnswer},
    body::BodyWatch,
    error::ProxyError,
    exchange::Exchange,
    request::Shaped,
    retry::Next,
    rules::{self, Failed},
    table::{Route, Standard},
};
use crate::{
    channel::{classify, error::redact},
    upstream::{TransportError, TransportKind},
};

/// What one attempt needs to know.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Group that serves.
    pub route: &'a Route,
    /// Its upstreams.
    pub standard: &'a Standard,
    /// The request as the group sends it.
    pub shaped: &'a Shaped<'a>,
    /// End of all attempts.
    pub deadline: Instant,
    /// Whether no attempt can follow.
    pub is_last: bool,
}

/// What came of an attempt.
pub enum Attempted {
    /// It was committed to.
    Answered(HttpResponse),
    /// It failed.
    Failed {
        /// The request goes on.
        exchange: Box<Exchange>,
        /// What the client gets when nothing follows.
        failure: Failure,
        /// What it says of the key and the upstream.
        verdict: Verdict,
        /// Whether another attempt may follow.
        next: Next,
    },
}

/// How the last attempt failed, should no further one be possible.
pub enum Failure {
    /// An answer of the upstream, redacted.
    Answer(Box<FailedAnswer>),
    /// No answer.
    Transport(ProxyError),
}

impl Failure {
    /// Status of that answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Answer(answer) => answer.status.as_u16(),
            Self::Transport(error) => error.status().as_u16(),
        }
    }

    /// The answer to the client.
    pub fn response(&self, route: &Route, exchange: &Exchange) -> HttpResponse {
        match self {
            Self::Answer(answer) => answer.response(exchange),
            Self::Transport(error) => answer::refusal(error, route, exchange),
        }
    }
}

/// The attempt with a key that is bound to an upstream which the group has no longer: the key is sent nowhere else.
pub fn misbound(mut exchange: Box<Exchange>, call: Call<'_>, lease: KeyLease) -> Attempted {
    let url = lease.bound_to().unwrap_or_default();
    let reason = format!(
        "key {} is bound to the upstream {url}, which is none of the group's: bind it to another or to none, or add the upstream",
        lease.id()
    );
    let url: Arc<str> = url.into();
    exchange.begin_attempt(lease, None, url.clone(), url.to_string());
    // Where upstreams are is not for clients to know: the reason goes to the log row.
    let error = ProxyError::NoKeys(call.route.group.definition.name.clone());
    let verdict = Verdict { message: reason, ..Verdict::new(OutcomeClass::ClientError, "bound-upstream-gone") };
    Attempted::Failed { exchange, failure: Failure::Transport(error), verdict, next: Next::AlwaysRetry }
}

/// An attempt without an answer, or with one that cannot be used.
pub fn transport_failure(
    mut exchange: Box<Exchange>,
    call: Call<'_>,
    error: &TransportError,
    watch: Option<&BodyWatch>,
    key: &Secret,
) -> Attempted {
    let unsendable = || (error.kind == TransportKind::Unsendable).then(|| ProxyError::BadRequest(error.to_string()));
    if let Some(refused) = watch.and_then(BodyWatch::error).or_else(unsendable) {
        exchange.upstream_is_untold();
        let rule = if error.kind == TransportKind::Unsendable { error.kind.as_str() } else { "request-body" };
        let verdict = Verdict { message: refused.to_string(), ..Verdict::new(OutcomeClass::ClientError, rule) };
        return Attempted::Failed { exchange, failure: Failure::Transport(refused), verdict, next: Next::Stop };
    }
    let message = redact(&error.to_string(), key);
    let failure = if error.kind == TransportKind::Timeout {
        ProxyError::UpstreamTimeout(message.clone())
    } else {
        ProxyError::Unreachable(message.clone())
    };
    let next =
        if error.request_sent { Next::retry_if(call.route.settings.retry_after_send) } else { Next::AlwaysRetry };
    let verdict = classify::transport(error.kind.as_str(), message);
    let failed = Failed::Transport { kind: error.kind.as_str(), may_repeat: next != Next::Stop };
    let (verdict, next) = rules::rule(&mut exchange, &call, &failed, verdict, next);
    Attempted::Failed { exchange, failure: Failure::Transport(failure), verdict, next }
}
