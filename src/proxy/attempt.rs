//! One attempt: a call to one upstream with one key.

use std::time::Duration;

use actix_http::header::HeaderMap;
use actix_web::http::header;
use bytes::Bytes;
use gpt_load_actors::pool::{KeyLease, Verdict};
use gpt_load_schema::{log::OutcomeClass, secret::Secret, time::Timestamp};
use tokio::time::Instant;

use super::{
    attempted::{Attempted, Call, Failure, transport_failure},
    body::{Body, BodyWatch},
    error::ProxyError,
    exchange::Exchange,
    judge::judge,
    pick::Pick,
    request::{ClientRequest, Shaped},
    retry::Next,
    state::Worker,
};
use crate::{
    channel::{
        credential,
        headers::{self, RuleVars},
    },
    upstream::{OutboundBody, OutboundRequest, send},
};

/// Makes one attempt.
pub async fn make(
    worker: &Worker,
    mut exchange: Box<Exchange>,
    client: &mut ClientRequest<'_>,
    call: Call<'_>,
    lease: KeyLease,
    pick: Pick,
) -> Attempted {
    let upstream = &call.standard.upstreams[pick.index()];
    let key = lease.secret().clone();
    let path = upstream.path(call.route.group.definition.channel, &call.shaped.path);
    let plain = match &client.query {
        Some(query) => format!("{path}?{query}"),
        None => path.clone(),
    };
    let client_ip = exchange.client().ip.to_string();
    exchange.begin_attempt(lease, Some(pick), upstream.url.clone(), upstream.full_url(&plain));
    let (headers, query) = match credentials(client, call, &exchange, &upstream.host, &path, &key, &client_ip) {
        Ok(parts) => parts,
        Err(error) => {
            let verdict =
                Verdict { message: error.to_string(), ..Verdict::new(OutcomeClass::KeyInvalid, "unsendable-key") };
            exchange.upstream_is_untold();
            let failure = Failure::Transport(ProxyError::NoKeys(call.route.group.definition.name.clone()));
            return Attempted::Failed { exchange, failure, verdict, next: Next::Retry };
        }
    };
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let (body, watch) = outbound_body(client, call.shaped);
    let head_time = Duration::from_secs(call.route.settings.response_header_timeout)
        .min(call.deadline.saturating_duration_since(Instant::now()));
    let request =
        OutboundRequest { method: client.method, path_and_query: &target, headers, body, head_timeout: head_time };
    exchange.sent();
    match send(&worker.clients, &upstream.target, request).await {
        Ok(response) => {
            exchange.answered(response.status.as_u16());
            judge(exchange, client.method, client.query.as_deref(), call, response, &key).await
        }
        Err(error) => transport_failure(exchange, call, &error, watch.as_ref(), &key),
    }
}

fn credentials(
    client: &ClientRequest<'_>,
    call: Call<'_>,
    exchange: &Exchange,
    host: &str,
    path: &str,
    key: &Secret,
    client_ip: &str,
) -> Result<(HeaderMap, Option<String>), credential::InvalidKey> {
    let mut headers = headers::forward_request(client.headers);
    exchange.propagate(&mut headers);
    let mut query = client.query.clone();
    let definition = &call.route.group.definition;
    credential::apply(definition.channel, call.standard.auth_scheme, host, path, key, &mut headers, &mut query)?;
    if !call.standard.rules.is_empty() {
        let vars = RuleVars { client_ip, group_name: &definition.name, api_key: key, now_ms: Timestamp::now().0 };
        call.standard.rules.apply(&vars, &mut headers);
    }
    Ok((headers, query))
}

fn outbound_body(client: &mut ClientRequest<'_>, shaped: &Shaped<'_>) -> (OutboundBody, Option<BodyWatch>) {
    if let Some(body) = &shaped.body {
        let is_empty = body.is_empty() && !client.headers.contains_key(header::CONTENT_LENGTH);
        return (if is_empty { OutboundBody::Empty } else { OutboundBody::Full(body.clone()) }, None);
    }
    match std::mem::replace(&mut client.body, Body::Buffered(Bytes::new())) {
        Body::Streaming(body) => {
            let watch = body.watch();
            (body.into_outbound(), Some(watch))
        }
        Body::Buffered(body) => (OutboundBody::Full(body), None),
    }
}
