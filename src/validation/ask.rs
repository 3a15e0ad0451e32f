//! One validation call.

use std::{fmt::Display, time::Duration};

use actix_http::header::{self, HeaderMap, HeaderValue};
use gpt_load_actors::pool::Verdict;
use gpt_load_schema::{log::OutcomeClass, secret::Secret, time::Timestamp};
use http::Method;
use tokio::time::Instant;

use crate::{
    channel::{
        classify,
        credential::{self, AuthScheme},
        decode,
        error::redact,
        headers::{CompiledRules, RuleVars},
        validation::Call,
    },
    proxy::{base_url::BaseUrl, peek::collect},
    upstream::{Clients, OutboundBody, OutboundRequest, send},
};

/// Bytes of an answer that are read and judged.
const MAX_ANSWER: usize = 1 << 20;
/// `${CLIENT_IP}` in header rules: no client asked for the call.
const CLIENT_IP: &str = "127.0.0.1";

/// Whom to ask, and how.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The upstream.
    pub upstream: &'a BaseUrl,
    /// The call.
    pub call: &'a Call,
    /// How the key is sent.
    pub auth_scheme: AuthScheme,
    /// Header changes of the group, and its name; `None` outside of groups.
    pub rules: Option<(&'a CompiledRules, &'a str)>,
    /// Time for all of it.
    pub time: Duration,
}

/// What the provider says of `key`, and the status of its answer when there is one. The text holds no key.
pub async fn ask(clients: &Clients, question: Question<'_>, key: &Secret) -> (Verdict, Option<u16>) {
    let (mut verdict, status) = answer(clients, question, key).await.unwrap_or_else(|verdict| (verdict, None));
    verdict.message = redact(&verdict.message, key);
    (verdict, status)
}

/// `Err` when there is no answer.
async fn answer(
    clients: &Clients,
    Question { upstream, call, auth_scheme, rules, time }: Question<'_>,
    key: &Secret,
) -> Result<(Verdict, Option<u16>), Verdict> {
    let deadline = Instant::now() + time;
    let fault = |reason: &dyn Display| classify::transport("transport", reason.to_string());
    let path = upstream.path(call.channel, &call.path);
    let mut query = call.query.clone();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let applied = credential::apply(call.channel, auth_scheme, &upstream.host, &path, key, &mut headers, &mut query);
    if let Err(error) = applied {
        // As in the data path: the key itself is what no request can carry.
        return Err(Verdict { message: error.to_string(), ..Verdict::new(OutcomeClass::KeyInvalid, "unsendable-key") });
    }
    if let Some((rules, group_name)) = rules {
        let vars = RuleVars { client_ip: CLIENT_IP, group_name, api_key: key, now_ms: Timestamp::now().0 };
        rules.apply(&vars, &mut headers);
    }
    let target = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let request = OutboundRequest {
        method: &Method::POST,
        path_and_query: &target,
        headers,
        body: OutboundBody::Full(call.body.to_string().into()),
        head_timeout: time,
    };
    let answer = send(clients, &upstream.target, request).await.map_err(|error| fault(&error))?;
    let (body, _) = collect(answer.body, MAX_ANSWER, deadline).await.map_err(|error| fault(&error))?;
    let encoding = answer.headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let clear = decode::decode(encoding, &body, MAX_ANSWER);
    let status = answer.status.as_u16();
    Ok((classify::answer(call.channel, status, &answer.headers, &clear, Timestamp::now()), Some(status)))
}
