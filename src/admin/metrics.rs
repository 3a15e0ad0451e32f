//! `GET /metrics`: the node's numbers for Prometheus.

use std::{sync::Arc, time::Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use gpt_load_schema::secret::Secret;

use super::{
    AdminState,
    auth::{AuthKey, presented_key},
    error::{ApiError, ErrorCode},
};
use crate::telemetry::metrics::CONTENT_TYPE;

/// What the route shows, and to whom.
pub struct MetricsPage {
    /// Makes the page; takes as long as there are groups.
    pub text: Arc<dyn Fn() -> String + Send + Sync>,
    /// Who may see it now.
    pub access: Box<dyn Fn() -> MetricsAccess + Send + Sync>,
}

impl Default for MetricsPage {
    fn default() -> Self {
        Self { text: Arc::new(String::new), access: Box::new(MetricsAccess::default) }
    }
}

/// Who may see metrics, besides those who may read the management API.
#[derive(Clone, Debug, Default)]
pub struct MetricsAccess {
    /// Everyone.
    pub is_public: bool,
    /// Who has this token.
    pub token: Option<Secret>,
}

/// `GET /metrics`.
pub(super) async fn show(state: web::Data<AdminState>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let page = state.metrics();
    let access = (page.access)();
    if !access.is_public {
        authenticate(&state, &request, access.token.as_ref())?;
    }
    let text = Arc::clone(&page.text);
    let text = web::block(move || text()).await.map_err(|_| ApiError::new(ErrorCode::InternalServerError))?;
    Ok(HttpResponse::Ok().insert_header(("content-type", CONTENT_TYPE)).body(text))
}

/// Lets those in who have the token, the management key or an access token. A guess at the token is one at the others.
fn authenticate(state: &AdminState, request: &HttpRequest, token: Option<&Secret>) -> Result<(), ApiError> {
    let unauthorized = || ApiError::new(ErrorCode::Unauthorized);
    let guess = presented_key(request.query_string(), request.headers()).ok_or_else(unauthorized)?;
    let now = Instant::now();
    if let Some(seconds) = state.refused_for(request, now) {
        return Err(ApiError::throttled(seconds));
    }
    if token.is_some_and(|token| AuthKey::new(token).matches(&guess)) {
        return Ok(());
    }
    state.identify(&guess, request, now)?.map(|_| ()).ok_or_else(unauthorized)
}
