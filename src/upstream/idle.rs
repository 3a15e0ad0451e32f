//! Bookkeeping of idle connections, which awc's pool neither limits nor watches.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// A pooled connection as the sweep sees it.
pub(super) trait Pooled {
    /// Closes the connection if it is idle and either ended or idle for longer than `timeout`.
    fn sweep(&self, now: Instant, timeout: Duration);
}

/// The connections of one client.
#[derive(Default)]
pub(super) struct IdleConnections {
    hosts: RefCell<HashMap<Box<str>, Weak<Cell<usize>>>>,
    connections: RefCell<Vec<Weak<dyn Pooled>>>,
}

impl IdleConnections {
    /// A place for a connection to `authority`, of which at most `limit` stay open idle.
    pub(super) fn place(&self, authority: &str, limit: usize) -> IdlePlace {
        let mut hosts = self.hosts.borrow_mut();
        let count = hosts.get(authority).and_then(Weak::upgrade).unwrap_or_else(|| {
            let count = Rc::new(Cell::new(0));
            hosts.insert(authority.into(), Rc::downgrade(&count));
            count
        });
        IdlePlace { count, limit, taken: false }
    }

    pub(super) fn watch(&self, connection: Weak<dyn Pooled>) {
        self.connections.borrow_mut().push(connection);
    }

    pub(super) fn sweep(&self, now: Instant, timeout: Duration) {
        self.connections.borrow_mut().retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            connection.sweep(now, timeout);
            true
        });
        self.hosts.borrow_mut().retain(|_, count| count.strong_count() > 0);
    }
}

/// One connection's place among the idle ones of its host.
pub(super) struct IdlePlace {
    count: Rc<Cell<usize>>,
    limit: usize,
    taken: bool,
}

impl IdlePlace {
    /// Whether the connection may stay open idle.
    pub(super) fn take(&mut self) -> bool {
        if !self.taken && self.count.get() < self.limit {
            self.count.set(self.count.get() + 1);
            self.taken = true;
        }
        self.taken
    }

    pub(super) fn leave(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.count.set(self.count.get() - 1);
        }
    }
}

impl Drop for IdlePlace {
    fn drop(&mut self) {
        self.leave();
    }
}
