//! Policies in the data path: whether a request is let in, whether a key may be used once more, and what becomes of a
//! failed attempt.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc, time::Duration};

use gpt_load_actors::pool::{Asked, Consequence, KeyLease, Reach, Ruling, Verdict};
use gpt_load_schema::{channel::Channel, log::OutcomeClass, policy::format_duration, time::Timestamp};

use super::{
    attempted::Call,
    body::Body,
    error::ProxyError,
    exchange::Exchange,
    pick::since_epoch,
    request::ClientRequest,
    retry::Next,
    state::ProxyState,
    table::{Route, Standard},
};
use crate::{
    channel::{
        asked,
        inspect::inspect,
        model, models,
        words::{error_words, event_error_words},
    },
    policy::{
        Facts, Policies, Step, bare_model, decide,
        evaluate::RuleId,
        limiter::Ask,
        limits::{Exceeded, Limit, Subject},
    },
};

/// Lets a request into a group, or says why not: model filters first, so that a refused model uses up no limit.
///
/// # Errors
///
/// [`ProxyError::ModelNotAllowed`], [`ProxyError::LimitExceeded`]; [`ProxyError::BodyNotInspectable`] and
/// [`ProxyError::BadRequest`] where there is a filter and the model cannot be read.
pub async fn admit(
    state: &ProxyState,
    route: &Route,
    exchange: &mut Exchange,
    client: &ClientRequest<'_>,
    replay: usize,
) -> Result<(), ProxyError> {
    if route.policies.filter_models() {
        let (model, all) = asked_models(client, route.group.definition.channel, replay)?;
        exchange.model = model;
        all.iter().try_for_each(|asked| allow(route, asked))?;
    }
    let limits = route.policies.limits().filter_map(|limit| Some((limit, limit.subject(exchange.client())?)));
    take(state, route, limits).await.map_err(|exceeded| ProxyError::LimitExceeded {
        group: route.group.definition.name.clone(),
        policy: exceeded.label,
        retry_after: whole_seconds(exceeded.wait),
    })
}

/// Of two refusals by members of an aggregate the one that ends first.
pub fn milder(one: Option<ProxyError>, other: ProxyError) -> ProxyError {
    let rank = |error: &ProxyError| match error {
        ProxyError::LimitExceeded { retry_after, .. } => *retry_after,
        _ => Duration::MAX,
    };
    match one {
        Some(one) if rank(&one) <= rank(&other) => one,
        _ => other,
    }
}

/// Counts a call with a key.
///
/// # Errors
///
/// The key has used up a limit.
pub async fn take_key(state: &ProxyState, route: &Route, lease: &KeyLease) -> Result<(), Exceeded> {
    let limits = route.policies.limits().filter(|limit| limit.is_of_keys());
    take(state, route, limits.map(|limit| (limit, Subject::Key(lease.id())))).await
}

/// Lets a key rest that has used up a limit, so that nobody selects it before it may be used again.
pub fn rest(lease: KeyLease, exceeded: Exceeded, standard: &Standard, model: &str) {
    // None is asked; the pool wants to know which one it was about.
    let upstream = standard.upstreams.first().map(|upstream| Arc::clone(&upstream.url)).unwrap_or_default();
    let verdict = Verdict {
        class: OutcomeClass::RateLimited,
        rule: "policy-rate-limit",
        message: format!("used up the limit of {}", exceeded.label),
        retry_after: Some(exceeded.wait),
        reach: Reach::KEY,
        ruling: Some(Ruling { policy: exceeded.label, consequence: Some(Consequence::Rest(exceeded.wait)) }),
    };
    lease.settle(verdict, Asked { upstream: &upstream, model }, Timestamp::now());
}

async fn take<'a>(
    state: &ProxyState,
    route: &Route,
    limits: impl Iterator<Item = (&'a Limit, Subject)>,
) -> Result<(), Exceeded> {
    let limits: Vec<_> = limits.collect();
    if limits.is_empty() {
        return Ok(());
    }
    let ask = |(limit, subject): &(&Limit, Subject)| Ask {
        counter: limit.counter(route.group.id, *subject),
        limit: limit.rule.limit,
        interval: limit.rule.interval,
    };
    let asks: Vec<_> = limits.iter().map(ask).collect();
    let taken = state.limiter.take_all(&asks, since_epoch(Timestamp::now())).await;
    taken.map_err(|(index, wait)| {
        // There is at least one.
        let limit = limits[index.min(limits.len() - 1)].0;
        let rule = limit.rule;
        let label = format!("{} ({} in {})", limit.label, rule.limit, format_duration(rule.interval)).into();
        Exceeded { label, wait }
    })
}

/// A wait as `Retry-After` tells it: never too short.
pub fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX))
}

fn allow(route: &Route, asked: &str) -> Result<(), ProxyError> {
    const SHOWN: usize = 100;
    let asked = bare_model(route.group.definition.channel, asked);
    if asked.is_empty() {
        return Ok(());
    }
    let allowance = route.policies.allowance(asked);
    if allowance.allowed {
        return Ok(());
    }
    Err(ProxyError::ModelNotAllowed {
        model: asked[..asked.floor_char_boundary(SHOWN)].to_owned(),
        group: route.group.definition.name.clone(),
        policy: allowance.policy.unwrap_or_default().to_owned(),
    })
}

/// What filters judge: the model asked for, empty when the request names none, and every one that a provider might take
/// it to ask for.
fn asked_models(
    client: &ClientRequest<'_>,
    channel: Channel,
    replay: usize,
) -> Result<(String, BTreeSet<String>), ProxyError> {
    let unclear = |what: &str| ProxyError::BadRequest(format!("this group allows only some models, and {what}"));
    if asked::is_relative(client.path) {
        return Err(unclear("the path holds `.` or `..`, so that it may mean another one"));
    }
    let only = |model: String| (model.clone(), BTreeSet::from([model]));
    if let Some(model) = model::deployment(client.path) {
        return Ok(only(model));
    }
    let in_path = model::in_path(client.path);
    if model::place(channel, client.path) == model::Place::Path {
        return Ok(only(in_path.unwrap_or_default()));
    }
    let named = |model: Option<String>, mut all: BTreeSet<String>| {
        all.extend(in_path.clone());
        (model.or_else(|| in_path.clone()).unwrap_or_default(), all)
    };
    match &client.body {
        Body::Buffered(body) if body.is_empty() => Ok(named(None, BTreeSet::new())),
        Body::Buffered(body) => match (inspect(body), asked::in_json(body)) {
            (Some(members), Some(all)) => Ok(named(members.model.map(Cow::into_owned), all)),
            _ if model::is_upload(client.path) && !client.is_json() => Ok(named(None, BTreeSet::new())),
            // What cannot be read for certain here might be read by a more lenient provider.
            _ => match client.form_models(body) {
                Some(all) => Ok(named(client.multipart_model(body), all)),
                None => Err(unclear("the request body is neither JSON nor a plain form that names one")),
            },
        },
        Body::Streaming(streaming) => match client.multipart_model(streaming.prefix()) {
            Some(model) => Ok(only(model)),
            None if model::is_upload(client.path) => Ok(only(String::new())),
            None => Err(ProxyError::BodyNotInspectable(replay)),
        },
    }
}

/// Whether the answer is a model list from which models are hidden.
pub fn hides_models(exchange: &Exchange, route: &Route, client: &ClientRequest<'_>) -> bool {
    policies(exchange, route).iter().any(|policies| policies.filter_models())
        && models::is_list(client.method.as_str(), client.path)
}

/// Whether a model may be shown in a list.
pub fn shows(exchange: &Exchange, route: &Route, model: &str) -> bool {
    let model = bare_model(route.group.definition.channel, model);
    policies(exchange, route).iter().all(|policies| policies.allowance(model).allowed)
}

/// The policies that a request meets: those of the aggregate that the client named, then those of the member.
fn policies<'a>(exchange: &'a Exchange, route: &'a Route) -> Vec<&'a Policies> {
    let entrance = exchange.entrance();
    let own = (entrance.group.id != route.group.id).then_some(&entrance.policies);
    own.into_iter().chain([&route.policies]).collect()
}

/// How an attempt failed, beyond its verdict.
pub enum Failed<'a> {
    /// An answer with this status and this body in clear.
    Answer(u16, &'a [u8]),
    /// An answer whose first event is an error: status and events in clear.
    Event(u16, &'a [u8]),
    /// An answer without content.
    Empty(u16),
    /// No answer; whether the group's settings allow another attempt.
    Transport {
        /// What failed, in one word.
        kind: &'static str,
        /// Whether another attempt does no harm, as the group's settings have it.
        may_repeat: bool,
    },
}

impl Failed<'_> {
    fn status(&self) -> u16 {
        match self {
            Self::Answer(status, _) | Self::Event(status, _) | Self::Empty(status) => *status,
            Self::Transport { .. } => 0,
        }
    }

    fn words(&self) -> Vec<String> {
        match self {
            Self::Answer(_, body) => error_words(body),
            Self::Event(_, events) => event_error_words(events),
            Self::Empty(_) => Vec::new(),
            Self::Transport { kind, .. } => vec![(*kind).to_owned()],
        }
    }
}

/// Retries that rules have added to one request.
#[derive(Debug, Default)]
pub struct Uses(Vec<(RuleId, u32)>);

impl Uses {
    /// Counts one more, unless the rule has added `max` already.
    fn one_more(&mut self, rule: RuleId, max: Option<u32>) -> bool {
        let index = self.0.iter().position(|(known, _)| *known == rule).unwrap_or_else(|| {
            self.0.push((rule, 0));
            self.0.len() - 1
        });
        let used = &mut self.0[index].1;
        let is_left = max.is_none_or(|max| *used < max);
        *used += u32::from(is_left);
        is_left
    }
}

/// Lets the policies rule on a failed attempt: the verdict with their ruling, and what follows.
pub fn rule(
    exchange: &mut Exchange,
    call: &Call<'_>,
    failed: &Failed<'_>,
    mut verdict: Verdict,
    next: Next,
) -> (Verdict, Next) {
    let asked = policies(exchange, call.route);
    if !asked.iter().any(|policies| policies.rule()) {
        return (verdict, next);
    }
    let words = if asked.iter().any(|policies| policies.read_error_types()) { failed.words() } else { Vec::new() };
    let (requests, failures) = exchange.key_counters();
    let facts = Facts {
        status: failed.status(),
        class: verdict.class,
        message: &verdict.message,
        error_types: &words,
        model: &exchange.model,
        failures,
        requests,
    };
    let decision = decide(&asked, &facts);
    let (step, consequence) = (decision.step, decision.consequence);
    verdict.ruling = decision.decided_by().map(|policy| Ruling { policy, consequence });
    let next = match step {
        Step::AsUsual => next,
        Step::Pass => Next::Stop,
        Step::Retry { .. } if matches!(failed, Failed::Transport { may_repeat: false, .. }) => next,
        Step::Retry { rule, max_retries, backoff } => {
            if !exchange.uses.one_more(rule, max_retries) {
                Next::Stop
            } else if !backoff.is_zero() {
                Next::RetryAfter(backoff)
            } else if next == Next::AlwaysRetry {
                next
            } else {
                Next::Retry
            }
        }
    };
    (verdict, next)
}

#[cfg(test)]
mod tests {
    use gpt_load_schema::ids::PolicyId;

    use super::*;

    #[test]
    fn a_rule_adds_as_many_retries_as_it_says() {
        let mut uses = Uses::default();
        let rule = (PolicyId(1), 0);
        let granted: Vec<bool> = (0..4).map(|_| uses.one_more(rule, Some(2))).collect();
        assert_eq!(granted, [true, true, false, false]);
        assert!(uses.one_more((PolicyId(1), 1), Some(1)), "each rule counts by itself");
        assert!((0..50).all(|_| uses.one_more((PolicyId(2), 0), None)));
    }

    #[test]
    fn the_refusal_that_ends_first_is_told() {
        let limited = |seconds| ProxyError::LimitExceeded {
            group: String::new(),
            policy: "p".into(),
            retry_after: Duration::from_secs(seconds),
        };
        let denied =
            || ProxyError::ModelNotAllowed { model: String::new(), group: String::new(), policy: String::new() };
        let told = |one, other| milder(one, other).retry_after();
        assert_eq!(told(None, limited(5)), Some(5));
        assert_eq!(told(Some(denied()), limited(5)), Some(5));
        assert_eq!(told(Some(limited(5)), denied()), Some(5));
        assert_eq!(told(Some(limited(9)), limited(3)), Some(3));
        assert_eq!(told(None, denied()), None);
    }
}
