//! The data path: from a client's request to the bytes of its answer.
//!
//! [`handle`] admits a request (group, proxy key, limits), [`attempts`] makes calls until one answer is committed to,
//! [`relay`] passes it on, and [`exchange`] sees to it that every attempt yields one outcome and every request one final
//! log row.

pub mod affinity;
pub mod answer;
pub mod attempt;
pub mod attempted;
pub mod attempts;
pub mod base_url;
pub mod body;
pub mod budget;
pub mod clock;
pub mod entrance;
pub mod error;
pub mod exchange;
pub mod hang_up;
pub mod judge;
pub mod limit;
pub mod peek;
pub mod pick;
pub mod proxy_keys;
pub mod relay;
pub mod request;
pub mod retry;
pub mod rules;
pub mod scrape;
pub mod state;
pub mod table;
pub mod tried;

use std::{panic::AssertUnwindSafe, rc::Rc, sync::Arc, time::Instant};

use actix_http::header::HeaderMap;
use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, Version, header},
    web,
};
use futures_util::FutureExt;
use gpt_load_schema::{channel::Channel, log::TokenUsage, secret::Secret};
use uuid::Uuid;

use self::{
    body::BodyLimits,
    entrance::{Entrance, entrance, likely_channel},
    error::ProxyError,
    exchange::{Admitted, Exchange},
    request::ClientRequest,
    state::{ProxyState, Worker},
    table::Route,
};
use crate::{
    channel::{credential::extract_proxy_key, query::take_key},
    client_ip::client_ip,
    policy::limits::Client,
    telemetry::{
        access::{self, Access},
        traces::{RequestEnd, RequestTrace, Traces},
    },
};

/// Serves a request at either entrance. Needs an `Rc<Worker>` in the app's data.
pub async fn handle(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(worker) = request.app_data::<Rc<Worker>>().cloned() else {
        return ProxyError::Internal.response(likely_channel(request.path()));
    };
    let channel = likely_channel(request.uri().path());
    let (id, arrived) = (Uuid::now_v7(), Instant::now());
    let mut trace = worker.state.traces.as_ref().map(|traces| begin_trace(traces, &worker.state, &request));
    let served = AssertUnwindSafe(serve(&worker, &request, payload, id, arrived, &mut trace)).catch_unwind().await;
    served.unwrap_or_else(|_| Err((channel, ProxyError::Internal))).unwrap_or_else(|(channel, error)| {
        tell_refusal(&worker.state, &request, id, arrived, &error, trace.as_mut());
        answer::turned_away(&error, channel, id)
    })
}

fn begin_trace(traces: &Arc<Traces>, state: &ProxyState, request: &HttpRequest) -> RequestTrace {
    let path = request.uri().path().strip_prefix(state.base_path.as_str()).unwrap_or_default();
    let route = if path.starts_with("/proxy/") { "/proxy/{group}/{path}" } else { "/{path}" };
    traces.request(request.method().as_str(), route, request.headers())
}

/// Requests that are not admitted have no log row; their access line, metrics and trace say why.
fn tell_refusal(
    state: &ProxyState,
    request: &HttpRequest,
    id: Uuid,
    arrived: Instant,
    error: &ProxyError,
    trace: Option<&mut RequestTrace>,
) {
    let status = error.status().as_u16();
    state.metrics.turned_away(error.code(), status, arrived.elapsed());
    if let Some(trace) = trace {
        let path = request.uri().path();
        let error = Some(error.code());
        trace.ends(&RequestEnd { id, path, group: "", attempts: 0, class: None, status, error });
    }
    access::log(&Access {
        id,
        method: request.method().as_str(),
        path: request.uri().path(),
        group: "",
        model: "",
        key: "",
        attempts: 0,
        class: None,
        status,
        duration: arrived.elapsed(),
        usage: TokenUsage::default(),
    });
}

type Refused = (Channel, ProxyError);

async fn serve(
    worker: &Worker,
    request: &HttpRequest,
    payload: web::Payload,
    request_id: Uuid,
    arrived: Instant,
    trace: &mut Option<RequestTrace>,
) -> Result<HttpResponse, Refused> {
    let state = &worker.state;
    let full_path = request.uri().path();
    let path = full_path.strip_prefix(state.base_path.as_str()).unwrap_or(full_path);
    let refused = |error| (likely_channel(path), error);
    let config = state.config.load_full();

    let headers = request.headers();
    let (query_key, query) = request.uri().query().map(take_key).unwrap_or_default();
    let proxy_key = extract_proxy_key(headers, query_key.as_deref());
    let (route, client_path, proxy_key) = {
        let routes = state.table.load();
        let (route, client_path) = match entrance(request.method(), path) {
            Entrance::Named(group, rest) => {
                let route = routes.get(group).ok_or_else(|| refused(ProxyError::UnknownGroup(group.to_owned())))?;
                (route, rest)
            }
            Entrance::Root(path) => {
                let group = &config.default_group;
                let route = routes.get(group).ok_or_else(|| refused(ProxyError::NoDefaultGroup(group.clone())))?;
                (route, path)
            }
            Entrance::NotProxied => return Err(refused(ProxyError::NoSuchPath)),
        };
        let accepted = authorize(route, &routes.global_keys, proxy_key.as_ref());
        let accepted = match accepted {
            Err(error) if !(state.open_set_up || config.allow_anonymous_proxy) => {
                return Err((route.group.definition.channel, error));
            }
            accepted => accepted.ok(),
        };
        (Arc::clone(route), client_path, accepted)
    };
    let refused = |error| (route.group.definition.channel, error);
    if asks_for_upgrade(headers) {
        return Err(refused(ProxyError::UpgradeUnsupported));
    }
    if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
        return Err(refused(ProxyError::MethodRefused(request.method().to_string())));
    }
    let permit = state.concurrency.admit().ok_or_else(|| refused(ProxyError::Overloaded))?;
    let (body, read_out) = body::read(headers, payload, BodyLimits::of(&config)).await.map_err(refused)?;

    let admitted = Admitted {
        request_id,
        arrived,
        method: request.method().clone(),
        client: Client { ip: client_ip(request, &config.trusted_proxies), proxy_key },
        request_path: match &query {
            Some(query) => format!("{full_path}?{query}"),
            None => full_path.to_owned(),
        },
        user_agent: text(headers, header::USER_AGENT).unwrap_or_default().to_owned(),
        entrance: Arc::clone(&route),
        trace: trace.take(),
    };
    let exchange = Exchange::start(admitted, state.runtime.clone(), permit);
    let client = ClientRequest { method: request.method(), path: client_path, query, headers, body };
    let serving = attempts::serve(worker, exchange, client, config.replay_buffer_bytes);
    match read_out {
        Some(payload) if request.version() == Version::HTTP_2 => {
            Ok(Box::pin(hang_up::cancelled_by_it(payload, serving)).await)
        }
        _ => Ok(serving.await),
    }
}

/// The hash of a proxy key that is accepted.
fn authorize(
    route: &Route,
    global: &proxy_keys::ProxyKeys,
    key: Option<&Secret>,
) -> Result<proxy_keys::Hash, ProxyError> {
    let key = key.ok_or(ProxyError::NoProxyKey)?;
    proxy_keys::accepted([&route.proxy_keys, global], key).ok_or(ProxyError::WrongProxyKey)
}

/// Only WebSocket is refused: other offers to upgrade (h2c) may be ignored, and the request served as it is.
fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    text(headers, header::UPGRADE).is_some_and(|value| value.to_ascii_lowercase().contains("websocket"))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
