//! The attempts of one request: a key and an upstream each, until one answer is committed to or none is left to try.

use std::{sync::Arc, time::Duration};

use actix_web::HttpResponse;
use gpt_load_actors::pool::{KeyLease, Verdict, Want};
use gpt_load_schema::{log::OutcomeClass, time::Timestamp};
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};

use super::{
    affinity::{self, Owner},
    answer, attempt,
    attempted::{Attempted, Call, Failure, misbound},
    body::Body,
    error::ProxyError,
    exchange::{Ending, Exchange},
    pick::{Pick, since_epoch},
    request::{ClientRequest, Shaped},
    retry::Next,
    rules,
    state::Worker,
    table::{Route, Standard},
    tried::Tried,
};

/// In the evidence of a request that was not retried for this reason.
const BUDGET_USED_UP: &str = "not retried: retry_budget_percent is used up";

/// Serves one admitted request.
pub async fn serve(
    worker: &Worker,
    mut exchange: Box<Exchange>,
    client: ClientRequest<'_>,
    replay: usize,
) -> HttpResponse {
    let entrance = Arc::clone(&exchange.used);
    let settings = &entrance.settings;
    let limit = match client.body {
        Body::Buffered(_) => u32::try_from(settings.max_retries).unwrap_or(u32::MAX).saturating_add(1),
        Body::Streaming(_) => 1,
    };
    let deadline = Instant::from_std(exchange.arrived()) + Duration::from_secs(settings.request_timeout);
    let tried = Tried::new(Arc::clone(&entrance), deadline);
    let mut attempts = Attempts { worker, client, replay, entrance, owner: None, tried, deadline, limit };
    if let Err(refused) = attempts.admit(&mut exchange).await {
        return attempts.give_up(exchange, &refused);
    }
    loop {
        let ready = match attempts.prepare(&mut exchange).await {
            Ok(Some(ready)) => ready,
            Ok(None) => continue,
            Err(error) => return attempts.give_up(exchange, &error),
        };
        match attempts.attempt(exchange, ready).await {
            Ok(response) => return response,
            Err(back) => exchange = back,
        }
    }
}

/// One request on its way through its attempts.
struct Attempts<'a> {
    worker: &'a Worker,
    client: ClientRequest<'a>,
    replay: usize,
    /// The group that the client named.
    entrance: Arc<Route>,
    /// Whose account holds what the request names.
    owner: Option<Owner>,
    tried: Tried,
    /// End of all attempts.
    deadline: Instant,
    /// Most attempts.
    limit: u32,
}

/// What the next attempt is made with.
struct Ready<'a> {
    route: Arc<Route>,
    shaped: Shaped<'a>,
    lease: KeyLease,
    /// `None` when the key is bound to an upstream that the group does not have.
    pick: Option<Pick>,
}

impl<'a> Attempts<'a> {
    /// Lets the request in by the rules of the group it names, and finds out whether it needs a certain key.
    async fn admit(&mut self, exchange: &mut Exchange) -> Result<(), ProxyError> {
        let Self { worker, entrance, client, replay, .. } = self;
        rules::admit(&worker.state, entrance, exchange, client, *replay).await?;
        entrance.retry_budget.request(since_epoch(Timestamp::now()));
        self.owner = affinity::owner(&worker.state.runtime, entrance, client, exchange).await;
        if let Some(owner) = self.owner.as_ref().filter(|owner| owner.route().group.id != entrance.group.id) {
            rules::admit(&worker.state, &owner.route(), exchange, client, *replay).await?;
        }
        Ok(())
    }

    /// Group, key and upstream of the next attempt; `None` when what was chosen fell through and another choice is due.
    async fn prepare(&mut self, exchange: &mut Exchange) -> Result<Option<Ready<'a>>, ProxyError> {
        let Some(route) = self.route(exchange).await? else { return Ok(None) };
        let standard = route.standard()?;
        let mut shaped = self.client.shape(&route, standard, self.replay)?;
        shaped.rewrites_model_list |= rules::hides_models(exchange, &route, &self.client);
        exchange.serves(&route, &shaped, &self.client);
        let lease = loop {
            let Some(lease) = self.key(exchange, &route, standard, &shaped).await? else { return Ok(None) };
            match rules::take_key(&self.worker.state, &route, &lease).await {
                Ok(()) => break lease,
                Err(exceeded) if Instant::now() >= self.deadline => {
                    let group = self.entrance.group.definition.name.clone();
                    return Err(ProxyError::AllResting { group, retry_after: rules::whole_seconds(exceeded.wait) });
                }
                Err(exceeded) => rules::rest(lease, exceeded, standard, shaped.asked_model()),
            }
            // A large pool may have many keys that have used up their limit; others are served between them.
            yield_now().await;
        };
        self.tried.key(lease.id());
        let pick = Pick::of(standard, lease.bound_to(), &self.tried.upstreams, Timestamp::now());
        if pick.as_ref().is_some_and(|pick| self.tried.upstreams.contains(&pick.index())) {
            self.tried.pause().await;
        }
        Ok(Some(Ready { route, shaped, lease, pick }))
    }

    /// The group that serves the next attempt: that of the owner, the entrance itself, or a member of it.
    async fn route(&mut self, exchange: &mut Exchange) -> Result<Option<Arc<Route>>, ProxyError> {
        if let Some(owner) = &self.owner {
            return Ok(Some(owner.route()));
        }
        let Some((route, member)) = self.tried.choose() else {
            self.tried.wait_for_key(&exchange.model).await?;
            return Ok(None);
        };
        let Some(member) = member.filter(|member| !self.tried.is_admitted(*member)) else { return Ok(Some(route)) };
        let admitted = rules::admit(&self.worker.state, &route, exchange, &self.client, self.replay).await;
        Ok(self.tried.admitted(member, admitted).then_some(route))
    }

    async fn key(
        &mut self,
        exchange: &Exchange,
        route: &Route,
        standard: &Standard,
        shaped: &Shaped<'_>,
    ) -> Result<Option<KeyLease>, ProxyError> {
        if let Some(owner) = &mut self.owner {
            return owner
                .checkout(shaped.asked_model(), self.entrance.settings.max_wait_ms, self.deadline)
                .await
                .map(Some);
        }
        let now = Timestamp::now();
        let is_open = |url: &str| standard.is_open(url, &self.tried.upstreams, now);
        let want = Want {
            tried: self.tried.keys(),
            first_attempt: self.tried.keys().is_empty(),
            sticky: shaped.sticky,
            model: shaped.asked_model(),
            is_open: Some(&is_open),
        };
        match route.pool.checkout(&want, now) {
            // A key that was refused is refused again, and would pay for one request several times.
            Ok(lease) if self.tried.is_refused(lease.id()) => {
                if self.tried.has_untried_member() {
                    Ok(None)
                } else {
                    Err(ProxyError::NoKeys(route.group.definition.name.clone()))
                }
            }
            Ok(lease) => Ok(Some(lease)),
            // Its key went out or to rest since the member was chosen; another may have one.
            Err(_) if self.tried.has_untried_member() => Ok(None),
            Err(_) => self.tried.wait_for_key(&exchange.model).await.map(|()| None),
        }
    }

    /// Makes one attempt. Gives the exchange back when it failed and another follows, after the pause that is due.
    async fn attempt(&mut self, exchange: Box<Exchange>, ready: Ready<'_>) -> Result<HttpResponse, Box<Exchange>> {
        let Ready { route, shaped, lease, pick } = ready;
        let standard = match route.standard() {
            Ok(standard) => standard,
            Err(error) => return Ok(self.give_up(exchange, &error)),
        };
        let index = pick.as_ref().map(Pick::index);
        let is_last = exchange.attempts() + 1 >= self.limit;
        let call = Call { route: &route, standard, shaped: &shaped, deadline: self.deadline, is_last };
        let attempted = match pick {
            Some(pick) => attempt::make(self.worker, exchange, &mut self.client, call, lease, pick).await,
            None => misbound(exchange, call, lease),
        };
        let (mut exchange, failure, verdict, next) = match attempted {
            Attempted::Answered(response) => return Ok(response),
            Attempted::Failed { exchange, failure, verdict, next } => (exchange, failure, verdict, next),
        };
        let no_key_helps = self.owner.is_some() && affinity::is_of_the_key(verdict.class);
        if is_last || no_key_helps || !self.has_time(next) {
            return Ok(finish(exchange, &route, &failure, verdict));
        }
        if !self.may_follow(next, verdict.class) {
            exchange.note = Some(BUDGET_USED_UP);
            return Ok(finish(exchange, &route, &failure, verdict));
        }
        let verdict = exchange.attempt_failed(failure.status(), verdict);
        let is_fault = verdict.class == OutcomeClass::UpstreamFault;
        self.tried.last = Some((failure, verdict));
        if let Some(index) = index.filter(|_| is_fault)
            && (self.owner.is_some() || !self.tried.has_untried_member())
        {
            self.tried.pause_after_fault(standard, index).await;
        }
        if let Next::RetryAfter(backoff) = next {
            sleep(backoff).await;
        }
        Err(exchange)
    }

    /// Whether another attempt is wanted and may still begin.
    fn has_time(&self, next: Next) -> bool {
        let backoff = match next {
            Next::Stop => return false,
            Next::RetryAfter(backoff) => backoff,
            Next::Retry | Next::AlwaysRetry => Duration::ZERO,
        };
        Instant::now() + backoff < self.deadline
    }

    /// Whether the retry budget of the group that the client named allows another attempt, which then counts against it.
    ///
    /// Failures that take their key out for long cannot go on without end, so they need no budget.
    fn may_follow(&self, next: Next, class: OutcomeClass) -> bool {
        let leaves = matches!(class, OutcomeClass::KeyInvalid | OutcomeClass::QuotaExhausted);
        let Route { retry_budget, settings, .. } = &*self.entrance;
        leaves
            || next == Next::AlwaysRetry
            || retry_budget.retry(settings.retry_budget_percent, since_epoch(Timestamp::now()))
    }

    /// Ends a request for which no (further) attempt is possible: with the last upstream failure, else with `error`.
    fn give_up(&mut self, mut exchange: Box<Exchange>, error: &ProxyError) -> HttpResponse {
        let route = Arc::clone(&exchange.used);
        if let Some((failure, verdict)) = self.tried.last.take() {
            return finish(exchange, &route, &failure, verdict);
        }
        let response = answer::refusal(error, &route, &exchange);
        exchange.refuse(error);
        response
    }
}

/// Ends a request whose last attempt failed.
fn finish(mut exchange: Box<Exchange>, route: &Route, failure: &Failure, verdict: Verdict) -> HttpResponse {
    let response = failure.response(route, &exchange);
    exchange.conclude(Ending { status: failure.status(), verdict, is_success: false, report: None });
    response
}
