//! Asks a provider about one key, over the connections that the gateway itself would use.

use std::time::Duration;

use actix_http::header::{self, HeaderMap, HeaderValue};
use gpt_load_actors::pool;
use gpt_load_schema::{secret::Secret, time::Timestamp};
use http::Method;
use tokio::time::Instant;

use super::{call::Call, verdict::Verdict};
use crate::{
    channel::{
        classify,
        credential::{self, AuthScheme},
        decode,
        error::redact,
    },
    cli::{exit::CliError, outbound},
    config::Config,
    node::outbound_proxies,
    proxy::base_url::BaseUrl,
    upstream::{Clients, OutboundBody, OutboundRequest, Profile, send},
};

/// Bytes of an answer that are read and judged.
const MAX_ANSWER: usize = 1 << 20;

/// A provider to be asked.
pub(super) struct Probe {
    clients: Clients,
    upstream: BaseUrl,
    call: Call,
    time: Duration,
}

impl Probe {
    /// Will make `call` at `upstream`, each within `time`.
    ///
    /// # Errors
    /// When the URL, the outbound proxy or the TLS settings cannot be used.
    pub(super) fn new(upstream: &str, call: Call, time: Duration, config: &Config) -> Result<Self, CliError> {
        let proxies = outbound_proxies(config).map_err(|error| CliError::usage(format!("{error:#}")))?;
        let upstream = BaseUrl::parse(upstream, |https, host, port| {
            let profile = Profile {
                connect_timeout: time,
                proxy: proxies.proxy_for(https, host, port).cloned(),
                allow_link_local: config.allow_link_local_upstreams,
                ..Profile::default()
            };
            Ok(profile.into())
        })
        .map_err(|reason| CliError::usage(format!("--upstream {upstream:?} cannot be used: {reason}")))?;
        Ok(Self { clients: outbound::clients(Some(config))?, upstream, call, time })
    }

    /// What the provider says of `key`.
    pub(super) async fn ask(&self, key: &Secret) -> Verdict {
        let (mut outcome, status) = self.answer(key).await.unwrap_or_else(|outcome| (outcome, None));
        outcome.message = redact(&outcome.message, key);
        Verdict::from_outcome(outcome, status)
    }

    /// The outcome and the status of the answer; `Err` when there is no answer.
    async fn answer(&self, key: &Secret) -> Result<(pool::Verdict, Option<u16>), pool::Verdict> {
        let Self { clients, upstream, call, time } = self;
        let deadline = Instant::now() + *time;
        let fault = |reason: &dyn std::fmt::Display| classify::transport("transport", reason.to_string());
        let path = upstream.path(call.channel, &call.path);
        let mut query = call.query.clone();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        credential::apply(call.channel, AuthScheme::Auto, &upstream.host, &path, key, &mut headers, &mut query)
            .map_err(|error| fault(&error))?;
        let target = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let request = OutboundRequest {
            method: &Method::POST,
            path_and_query: &target,
            headers,
            body: OutboundBody::Full(call.body.to_string().into()),
            head_timeout: *time,
        };
        let answer = send(clients, &upstream.target, request).await.map_err(|error| fault(&error))?;
        let rest = deadline.saturating_duration_since(Instant::now());
        let body = outbound::collect(answer.body, MAX_ANSWER, rest).await.map_err(|error| fault(&error))?;
        let encoding = answer.headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        let clear = decode::decode(encoding, &body, MAX_ANSWER);
        let status = answer.status.as_u16();
        let outcome = classify::answer(call.channel, status, &answer.headers, &clear, Timestamp::now());
        Ok((outcome, Some(status)))
    }
}
