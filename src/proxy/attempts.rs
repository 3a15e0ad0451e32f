//! The attempts of one request: a key and an upstream each, until one answer is committed to or none is left to try.

use std::{sync::Arc, time::Duration};

use actix_web::HttpResponse;
use arrayvec::ArrayVec;
use gpt_load_actors::pool::{NoKey, PoolHandle, Verdict, Want};
use gpt_load_schema::{ids::KeyId, log::OutcomeClass, time::Timestamp};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    answer, attempt,
    attempted::{Attempted, Call, Failure},
    body::Body,
    error::ProxyError,
    exchange::{Ending, Exchange},
    pick::{Pick, since_epoch},
    request::{ClientRequest, Shaped},
    retry::{self, Next},
    rules,
    state::Worker,
    table::{Route, Serving, Standard},
};

/// Keys remembered as tried; beyond, a request may meet a key again.
const TRIED_KEYS: usize = 32;

#[derive(Default)]
struct Tried {
    keys: ArrayVec<KeyId, TRIED_KEYS>,
    upstreams: Vec<usize>,
    members: Vec<usize>,
    faults: u32,
    /// Members whose limits this request was counted by.
    admitted: Vec<usize>,
    /// Members whose policies refuse this request, and the refusal that is told when no other member is left.
    refused: Vec<usize>,
    refusal: Option<ProxyError>,
    last: Option<(Failure, Verdict)>,
    /// Until when a resting key is waited for, once there was none.
    patience: Option<Instant>,
}

/// Serves one admitted request.
pub async fn serve(
    worker: &Worker,
    mut exchange: Box<Exchange>,
    mut client: ClientRequest<'_>,
    replay: usize,
) -> HttpResponse {
    let entrance = Arc::clone(&exchange.used);
    let settings = &entrance.settings;
    let attempts = match client.body {
        Body::Buffered(_) => u32::try_from(settings.max_retries).unwrap_or(u32::MAX).saturating_add(1),
        Body::Streaming(_) => 1,
    };
    let deadline = Instant::from_std(exchange.arrived()) + Duration::from_secs(settings.request_timeout);
    let mut tried = Tried::default();
    if let Err(refused) = rules::admit(&worker.state, &entrance, &mut exchange, &client, replay).await {
        return give_up(exchange, &entrance, tried, &refused);
    }
    entrance.retry_budget.request(since_epoch(Timestamp::now()));
    loop {
        let Some(route) = choose(&entrance, &mut tried) else {
            match wait_for_key(&entrance, exchange.asked_model(), &mut tried, deadline).await {
                Ok(()) => continue,
                Err(error) => {
                    let error = match error {
                        ProxyError::NoKeys(_) => tried.refusal.take().unwrap_or(error),
                        error => error,
                    };
                    return give_up(exchange, &entrance, tried, &error);
                }
            }
        };
        if let Some(member) = tried.members.last().copied().filter(|member| !tried.admitted.contains(member)) {
            if let Err(refused) = rules::admit(&worker.state, &route, &mut exchange, &client, replay).await {
                tried.refused.push(member);
                tried.refusal = Some(rules::milder(tried.refusal.take(), refused));
                continue;
            }
            tried.admitted.push(member);
        }
        let standard = match &route.serving {
            Serving::Standard(standard) => standard,
            Serving::Broken(reason) => {
                let group = route.group.definition.name.clone();
                let error = ProxyError::Misconfigured { group, reason: reason.clone() };
                return give_up(exchange, &route, tried, &error);
            }
            Serving::Aggregate(_) => return give_up(exchange, &entrance, tried, &ProxyError::Internal),
        };
        let mut shaped = match client.shape(&route, standard, replay) {
            Ok(shaped) => shaped,
            Err(refused) => return give_up(exchange, &route, tried, &refused),
        };
        shaped.rewrites_model_list |= rules::hides_models(&exchange, &route, &client);
        prepare(&mut exchange, &route, &shaped, &client);
        let model = shaped.asked_model();
        let want = Want { tried: &tried.keys, first_attempt: tried.keys.is_empty(), model, ..Want::default() };
        let lease = match route.pool.checkout(&want, Timestamp::now()) {
            Ok(lease) => lease,
            // Its key went out or to rest since the member was chosen; another may have one.
            Err(_) if has_untried_member(&entrance, &tried) => continue,
            Err(_) => match wait_for_key(&entrance, exchange.asked_model(), &mut tried, deadline).await {
                Ok(()) => continue,
                Err(error) => return give_up(exchange, &route, tried, &error),
            },
        };
        if let Err(exceeded) = rules::take_key(&worker.state, &route, &lease).await {
            rules::rest(lease, exceeded, standard, model);
            continue;
        }
        tried.patience = None;
        remember(&mut tried, lease.id());
        let pick = Pick::next(&standard.balancer, &tried.upstreams, Timestamp::now());
        let index = pick.index();
        let is_last = exchange.attempts() + 1 >= attempts;
        let call = Call { route: &route, standard, shaped: &shaped, deadline, is_last };
        match attempt::make(worker, exchange, &mut client, call, lease, pick).await {
            Attempted::Answered(response) => return response,
            Attempted::Failed { exchange: back, failure, verdict, next } => {
                exchange = back;
                let mut backoff = Duration::ZERO;
                if is_last || Instant::now() >= deadline || !may_follow(&entrance, next) {
                    return finish(exchange, &route, &failure, verdict);
                }
                if let Next::RetryAfter(pause) = next {
                    if Instant::now() + pause >= deadline {
                        return finish(exchange, &route, &failure, verdict);
                    }
                    backoff = pause;
                }
                let verdict = exchange.attempt_failed(failure.status(), verdict);
                let is_fault = verdict.class == OutcomeClass::UpstreamFault;
                tried.last = Some((failure, verdict));
                if is_fault && !has_untried_member(&entrance, &tried) {
                    pause_after_fault(&mut tried, standard, index, deadline).await;
                }
                if !backoff.is_zero() {
                    sleep(backoff).await;
                }
            }
        }
    }
}

/// The group that serves the next attempt: the entrance itself, or a member not tried yet while there is one.
fn choose(entrance: &Arc<Route>, tried: &mut Tried) -> Option<Arc<Route>> {
    let Serving::Aggregate(aggregate) = &entrance.serving else { return Some(Arc::clone(entrance)) };
    let now = Timestamp::now();
    let is_usable = |index: &usize| aggregate.members[*index].pool.is_usable(now) && !tried.refused.contains(index);
    let all = 0..aggregate.members.len();
    let mut passed: Vec<usize> =
        all.clone().filter(|index| tried.members.contains(index) || !is_usable(index)).collect();
    if passed.len() == aggregate.members.len() {
        passed = all.filter(|index| !is_usable(index)).collect();
    }
    if passed.len() == aggregate.members.len() {
        return None;
    }
    let index = aggregate.balancer.pick(since_epoch(now), &passed);
    tried.members.push(index);
    tried.upstreams.clear();
    aggregate.members.get(index).cloned()
}

fn prepare(exchange: &mut Exchange, route: &Arc<Route>, shaped: &Shaped<'_>, client: &ClientRequest<'_>) {
    exchange.used = Arc::clone(route);
    exchange.model.clone_from(&shaped.model);
    exchange.redirected_to.clone_from(&shaped.redirected_to);
    exchange.is_stream = shaped.is_stream;
    if route.settings.enable_request_body_logging && exchange.request_body.is_empty() {
        exchange.request_body = client.logged_body();
    }
}

/// Whether another attempt follows, which then counts against the retry budget of the group that the client named.
fn may_follow(entrance: &Route, next: Next) -> bool {
    match next {
        Next::Stop => false,
        Next::AlwaysRetry => true,
        Next::Retry | Next::RetryAfter(_) => {
            entrance.retry_budget.retry(entrance.settings.retry_budget_percent, since_epoch(Timestamp::now()))
        }
    }
}

/// Whether a member of an aggregate that has keys was not tried yet.
fn has_untried_member(entrance: &Route, tried: &Tried) -> bool {
    let Serving::Aggregate(aggregate) = &entrance.serving else { return false };
    let now = Timestamp::now();
    let is_untried = |(index, member): (usize, &Arc<Route>)| {
        !tried.members.contains(&index) && !tried.refused.contains(&index) && member.pool.is_usable(now)
    };
    aggregate.members.iter().enumerate().any(is_untried)
}

/// Waits until a key of the group, or of an aggregate's members, returns, when that is soon enough.
async fn wait_for_key(entrance: &Route, model: &str, tried: &mut Tried, deadline: Instant) -> Result<(), ProxyError> {
    let group = || entrance.group.definition.name.clone();
    let now = Timestamp::now();
    let want = Want { tried: &tried.keys, first_attempt: tried.keys.is_empty(), model, ..Want::default() };
    let pools = match &entrance.serving {
        Serving::Aggregate(aggregate) => {
            let members = aggregate.members.iter().enumerate();
            members.filter(|(index, _)| !tried.refused.contains(index)).map(|(_, member)| &member.pool).collect()
        }
        _ => vec![&entrance.pool],
    };
    let resting = |pool: &&PoolHandle| match pool.checkout(&want, now) {
        // One came back in this moment; unused leases say nothing of their keys.
        Ok(_) => Some(now),
        Err(NoKey::AllResting(until)) => Some(until),
        Err(NoKey::NoneUsable) => None,
    };
    let until = pools.iter().filter_map(resting).min().ok_or_else(|| ProxyError::NoKeys(group()))?;
    let wait = until.since(now);
    let wake = Instant::now() + wait;
    let max_wait = Duration::from_millis(entrance.settings.max_wait_ms);
    let patience = *tried.patience.get_or_insert_with(|| Instant::now() + max_wait);
    if wake > patience.min(deadline) {
        let retry_after = Duration::from_secs(wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        return Err(ProxyError::AllResting { group: group(), retry_after });
    }
    tried.members.clear();
    sleep_until(wake).await;
    Ok(())
}

fn remember(tried: &mut Tried, key: KeyId) {
    if tried.keys.is_full() {
        tried.keys.remove(0);
    }
    tried.keys.push(key);
}

/// An untried upstream is asked at once; the same one only after a pause.
async fn pause_after_fault(tried: &mut Tried, standard: &Standard, index: usize, deadline: Instant) {
    tried.faults += 1;
    if !tried.upstreams.contains(&index) {
        tried.upstreams.push(index);
    }
    let has_other = standard.has_other(&tried.upstreams);
    if has_other {
        return;
    }
    tried.upstreams.clear();
    let pause = retry::pause(tried.faults, rand::random());
    if Instant::now() + pause < deadline {
        sleep(pause).await;
    }
}

/// Ends a request whose last attempt failed.
fn finish(mut exchange: Box<Exchange>, route: &Route, failure: &Failure, verdict: Verdict) -> HttpResponse {
    let response = failure.response(route, &exchange);
    exchange.conclude(Ending { status: failure.status(), verdict, is_success: false, report: None });
    response
}

/// Ends a request for which no (further) attempt is possible: with the last upstream failure, else with `error`.
fn give_up(mut exchange: Box<Exchange>, route: &Route, tried: Tried, error: &ProxyError) -> HttpResponse {
    if let Some((failure, verdict)) = tried.last {
        return finish(exchange, route, &failure, verdict);
    }
    let response = answer::refusal(error, route, &exchange);
    exchange.refuse(error);
    response
}
