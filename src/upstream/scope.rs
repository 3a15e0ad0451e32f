//! Facts about one call, handed to the connection that happens to serve it.
//!
//! awc chooses the connection and does not say which. A call's future is polled inside a [`Scope`]; the guard takes the facts
//! of the call in whose scope the first bytes of a request are written.

use std::cell::Cell;
use std::rc::Rc;

use super::guard::GuardError;

/// What the guard learned about one call.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The connection had served another request before.
    pub(super) reused: Cell<bool>,
    /// Some byte of the request was given to the connection.
    pub(super) sent: Cell<bool>,
    /// Some byte arrived since the request began.
    pub(super) answered: Cell<bool>,
    /// The upstream refused (status 400 or above) while the request was still being sent.
    pub(super) refused_early: Cell<bool>,
    /// Why the guard ended the connection.
    pub(super) failure: Cell<Option<GuardError>>,
}

/// The call that is being polled on this worker.
#[derive(Default)]
pub(super) struct Scope {
    current: Cell<Option<Rc<Facts>>>,
    fresh_only: Cell<bool>,
}

impl Scope {
    /// Runs `poll` for the call with these facts; with `fresh_only` no pooled connection will serve it.
    pub(super) fn enter<R>(&self, facts: &Rc<Facts>, fresh_only: bool, poll: impl FnOnce() -> R) -> R {
        self.current.set(Some(Rc::clone(facts)));
        self.fresh_only.set(fresh_only);
        let result = poll();
        self.current.set(None);
        self.fresh_only.set(false);
        result
    }

    /// Facts of the call being polled; unread ones outside of any.
    pub(super) fn facts(&self) -> Rc<Facts> {
        let facts = self.current.take().unwrap_or_default();
        self.current.set(Some(Rc::clone(&facts)));
        facts
    }

    /// Whether the call being polled wants a connection of its own.
    pub(super) fn fresh_only(&self) -> bool {
        self.fresh_only.get()
    }
}
