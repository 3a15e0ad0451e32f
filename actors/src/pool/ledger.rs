//! What is known of the limits that a provider applies to a key, or to the account of several keys.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use gpt_load_schema::time::Timestamp;

use super::{Announced, budget::Budget, model::ModelHash, slot::Refusal};

/// Models of one ledger that are told apart; whatever is announced of further ones is not remembered.
const MODELS: usize = 64;

/// One request in both halves of [`Scope::traffic`].
const ENTERED: u64 = (1 << 32) | 1;
const AWAITED: u64 = u32::MAX as u64;

/// The limits of one key, or of an account whose keys share them.
#[derive(Default)]
pub(crate) struct Ledger {
    account: Option<u64>,
    whole: Scope,
    models: OnceLock<Box<Node>>,
}

impl Ledger {
    /// The ledger of an account.
    pub(crate) fn of_account(account: u64) -> Self {
        Self { account: Some(account), ..Self::default() }
    }

    /// Hash of the account's name; `None` for the ledger of a single key.
    pub(crate) fn account(&self) -> Option<u64> {
        self.account
    }

    /// Counts a request in, unless the limits are used up. Only models that answers told limits of are counted by
    /// themselves: clients can make up as many names as they like.
    pub(crate) fn enter(self: Arc<Self>, model: ModelHash, now: Timestamp) -> Result<Seat, Refusal> {
        let order = self.whole.enter(now)?;
        let model = match self.models_known().find(model).map(|scope| scope.enter(now)) {
            None => None,
            Some(Ok(order)) => Some((model, order)),
            Some(Err(refusal)) => {
                self.whole.leave();
                return Err(match refusal {
                    Refusal::Rests(until) => Refusal::RestsForModel(until),
                    refusal => refusal,
                });
            }
        };
        Ok(Seat { ledger: self, order, model })
    }

    /// Takes note of what an answer tells; answers whether that took the key, or the model with it, out or in.
    pub(crate) fn learn(&self, seat: Option<&Seat>, announced: &Announced, model: ModelHash, now: Timestamp) -> bool {
        let seat = seat.filter(|seat| std::ptr::eq(&*seat.ledger, self));
        let (scope, order) = if announced.per_model {
            let order = seat.and_then(|seat| seat.model).filter(|(known, _)| *known == model).map(|(_, order)| order);
            (self.scope_of(model), order)
        } else {
            (Some(&self.whole), seat.map(|seat| seat.order))
        };
        let Some(scope) = scope else { return false };
        let before = scope.used_up_until(now);
        scope.learn(order.unwrap_or(0), announced, now);
        before != scope.used_up_until(now)
    }

    /// Until when no request may be sent, whatever the model.
    pub(crate) fn used_up_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.whole.used_up_until(now)
    }

    /// Models that may not be asked for, and until when.
    pub(crate) fn used_up_models(&self, now: Timestamp) -> impl Iterator<Item = (ModelHash, Timestamp)> + '_ {
        self.models_known().filter_map(move |node| Some((node.model, node.scope.used_up_until(now)?)))
    }

    fn models_known(&self) -> Nodes<'_> {
        Nodes(self.models.get().map(|node| &**node))
    }

    /// The model's scope, made when it is met for the first time; `None` when there are too many models.
    fn scope_of(&self, model: ModelHash) -> Option<&Scope> {
        let mut link = &self.models;
        for _ in 0..MODELS {
            let node = link.get_or_init(|| Box::new(Node { model, scope: Scope::default(), next: OnceLock::new() }));
            if node.model == model {
                return Some(&node.scope);
            }
            link = &node.next;
        }
        None
    }
}

struct Node {
    model: ModelHash,
    scope: Scope,
    next: OnceLock<Box<Self>>,
}

struct Nodes<'a>(Option<&'a Node>);

impl<'a> Nodes<'a> {
    fn find(mut self, model: ModelHash) -> Option<&'a Scope> {
        Iterator::find(&mut self, |node| node.model == model).map(|node| &node.scope)
    }
}

impl<'a> Iterator for Nodes<'a> {
    type Item = &'a Node;

    fn next(&mut self) -> Option<&'a Node> {
        let node = self.0?;
        self.0 = node.next.get().map(|next| &**next);
        Some(node)
    }
}

/// Whatever a limit counts together.
#[derive(Default)]
struct Scope {
    /// Requests that ever entered, in the upper half: their order. Those that still await an answer, in the lower.
    traffic: AtomicU64,
    requests: Budget,
    tokens: Budget,
    /// Requests that are allowed after a reset; 0 = not told.
    limit: AtomicU64,
}

impl Scope {
    /// Counts a request in and answers its order, at least 1, while the limit has a place for it beside those that await
    /// their answers: whether the provider has counted these already is not known.
    fn enter(&self, now: Timestamp) -> Result<u32, Refusal> {
        let traffic = self.traffic.fetch_add(ENTERED, Ordering::AcqRel);
        let awaited = traffic & AWAITED;
        let refusal = match (self.tokens.used_up_until(now), self.requests.left(now)) {
            (Some(until), _) | (_, Some((0, until))) => Some(Refusal::Rests(until)),
            (None, Some((left, _))) => (awaited >= left).then_some(Refusal::Busy),
            (None, None) => {
                let limit = self.limit.load(Ordering::Relaxed);
                (limit > 0 && awaited >= limit).then_some(Refusal::Busy)
            }
        };
        match refusal {
            None => Ok(u32::try_from(traffic >> 32).unwrap_or(0).wrapping_add(1).max(1)),
            Some(refusal) => {
                self.leave();
                Err(refusal)
            }
        }
    }

    fn leave(&self) {
        self.traffic.fetch_sub(1, Ordering::AcqRel);
    }

    fn learn(&self, order: u32, announced: &Announced, now: Timestamp) {
        if let Some(requests) = &announced.requests {
            self.requests.learn(order, requests, now);
            if let Some(limit) = requests.limit.filter(|limit| *limit > 0) {
                self.limit.store(limit, Ordering::Relaxed);
            }
        }
        if let Some(tokens) = &announced.tokens {
            self.tokens.learn(order, tokens, now);
        }
    }

    fn used_up_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.requests.used_up_until(now).max(self.tokens.used_up_until(now))
    }
}

/// A request's place in a ledger until its answer comes.
pub(crate) struct Seat {
    ledger: Arc<Ledger>,
    order: u32,
    model: Option<(ModelHash, u32)>,
}

impl Seat {
    /// The request is answered, or will never be; once per seat.
    pub(crate) fn leave(&self) {
        if let Some((model, _)) = self.model
            && let Some(scope) = self.ledger.models_known().find(model)
        {
            scope.leave();
        }
        self.ledger.whole.leave();
    }
}
