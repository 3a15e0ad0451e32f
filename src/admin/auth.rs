//! Who may use the management API.

use std::{borrow::Cow, time::Instant};

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{AUTHORIZATION, HeaderMap, HeaderName},
    },
    middleware::Next,
    web,
};
use gpt_load_schema::{access::Role, secret::Secret};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    AdminState,
    caller::Caller,
    error::{ApiError, ErrorCode},
    forward::{Leader, forward},
    messages,
};

/// Headers that hold a key as it is, in the order of looking.
const KEY_HEADERS: [HeaderName; 2] = [HeaderName::from_static("x-api-key"), HeaderName::from_static("x-goog-api-key")];

/// The key that a request presents: of the query, of `Authorization: Bearer `, of `X-Api-Key`, of `X-Goog-Api-Key`; the
/// first place that has one decides, even when what it has is an empty bearer.
pub fn presented_key<'a>(query: &'a str, headers: &'a HeaderMap) -> Option<Cow<'a, str>> {
    let in_query = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "key");
    if let Some((_, key)) = in_query.filter(|(_, key)| !key.is_empty()) {
        return Some(key);
    }
    let text = |name: &HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if let Some(key) = text(&AUTHORIZATION).as_deref().and_then(|value| value.strip_prefix("Bearer ")) {
        return Some(Cow::Owned(key.to_owned()));
    }
    KEY_HEADERS.iter().find_map(|name| text(name).filter(|key| !key.is_empty()))
}

/// The management key, kept as a hash so that comparing takes the same time for every guess of every length.
#[derive(Clone)]
pub struct AuthKey([u8; 32]);

impl AuthKey {
    /// The key to compare with.
    pub fn new(key: &Secret) -> Self {
        Self(Sha256::digest(key.expose()).into())
    }

    /// Whether `guess` is the key.
    pub fn matches(&self, guess: &str) -> bool {
        self.0.ct_eq(&<[u8; 32]>::from(Sha256::digest(guess))).into()
    }
}

/// What a route asks of those who use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A viewer for `GET` and `HEAD`, an admin for everything else.
    ViewerToRead,
    /// A viewer.
    Viewer,
    /// An admin.
    Admin,
}

impl Need {
    /// The least role that may use `method`.
    pub(super) fn role(self, method: &Method) -> Role {
        match self {
            Self::Viewer => Role::Viewer,
            Self::ViewerToRead if *method == Method::GET || *method == Method::HEAD => Role::Viewer,
            Self::ViewerToRead | Self::Admin => Role::Admin,
        }
    }
}

/// Middleware that lets only those through who have the role that is needed; the handler finds them as [`Caller`].
///
/// What only the leader can do is then asked of the leader: every change, and, where `is_led`, reads too.
pub(super) async fn authenticate(
    need: Need,
    is_led: bool,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match check(need, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            match leader(need, is_led, &request) {
                Leader::Own => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
                Leader::Nobody => Ok(request.error_response(ApiError::later(messages::NO_LEADER))),
                Leader::At(target) => forward(&target, request).await,
            }
        }
        Err(error) => Ok(request.error_response(error)),
    }
}

/// Who is to carry out a request.
fn leader(need: Need, is_led: bool, request: &ServiceRequest) -> Leader {
    let is_change =
        need.role(request.method()) == Role::Admin && !matches!(*request.method(), Method::GET | Method::HEAD);
    let state = request.app_data::<web::Data<AdminState>>();
    let Some(state) = state.filter(|_| is_led || is_change) else { return Leader::Own };
    let peers = state.peers();
    match peers.leader() {
        // Leadership has changed hands since another node looked: going on might go round in circles.
        Leader::At(_) if peers.said(request.request()).is_some() => Leader::Nobody,
        leader => leader,
    }
}

fn check(need: Need, request: &ServiceRequest) -> Result<Caller, ApiError> {
    let state =
        request.app_data::<web::Data<AdminState>>().ok_or_else(|| ApiError::new(ErrorCode::InternalServerError))?;
    let guess = presented_key(request.query_string(), request.headers())
        .ok_or_else(|| ApiError::new(ErrorCode::Unauthorized))?;
    let caller = state.identify(&guess, request.request(), Instant::now())?;
    let caller = caller.ok_or_else(|| ApiError::new(ErrorCode::Unauthorized))?;
    if caller.role >= need.role(request.method()) {
        return Ok(caller);
    }
    let is_reading = Need::ViewerToRead.role(request.method()) == Role::Viewer;
    let text = if is_reading { messages::VIEWER_SECRETS } else { messages::VIEWER_READS };
    Err(ApiError::saying(ErrorCode::Forbidden, text))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_first_place_that_has_a_key_decides() {
        const BEARER: (&str, &str) = ("Authorization", "Bearer b");
        const X: (&str, &str) = ("X-Api-Key", "x");
        const GOOG: (&str, &str) = ("X-Goog-Api-Key", "g");
        type Case = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);
        let cases: [Case; 12] = [
            ("", &[], None),
            ("key=q%2B+1", &[BEARER, X, GOOG], Some("q+ 1")),
            ("key=", &[BEARER, X], Some("b")),
            ("monkey=q", &[X], Some("x")),
            ("a=1&key=q&key=r", &[], Some("q")),
            ("", &[GOOG, X, BEARER], Some("b")),
            ("", &[GOOG, X], Some("x")),
            ("", &[GOOG, ("X-Api-Key", "")], Some("g")),
            ("", &[("Authorization", "Bearer "), X], Some("")),
            ("", &[("Authorization", "bearer b"), X], Some("x")),
            ("", &[("Authorization", "Basic b")], None),
            ("", &[("Authorization", "Bearer  b ")], Some(" b ")),
        ];
        for (query, headers, expected) in cases {
            let request = headers.iter().fold(TestRequest::default(), |request, header| request.insert_header(*header));
            let request = request.to_http_request();
            assert_eq!(presented_key(query, request.headers()).as_deref(), expected, "{query} {headers:?}");
        }
    }

    #[test]
    fn only_the_key_matches() {
        let key = AuthKey::new(&Secret::from("sk-right"));
        assert!(key.matches("sk-right"));
        for guess in ["", "sk-righ", "sk-right ", "SK-RIGHT"] {
            assert!(!key.matches(guess));
        }
    }
}
