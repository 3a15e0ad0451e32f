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
    /// Connections to any host that are idle.
    all: Rc<Cell<usize>>,
    hosts: RefCell<HashMap<Box<str>, Weak<Cell<usize>>>>,
    connections: RefCell<Vec<Weak<dyn Pooled>>>,
}

impl IdleConnections {
    /// A place for a connection to `authority`, of which at most `of_host` stay open idle, and at most `of_all` of the
    /// connections to all hosts.
    pub(super) fn place(&self, authority: &str, of_host: usize, of_all: usize) -> IdlePlace {
        let mut hosts = self.hosts.borrow_mut();
        let count = hosts.get(authority).and_then(Weak::upgrade).unwrap_or_else(|| {
            let count = Rc::new(Cell::new(0));
            hosts.insert(authority.into(), Rc::downgrade(&count));
            count
        });
        IdlePlace { counts: [(count, of_host), (Rc::clone(&self.all), of_all)], taken: false }
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

/// One connection's place among the idle ones of its host and of all hosts.
pub(super) struct IdlePlace {
    /// How many are idle, and how many may be.
    counts: [(Rc<Cell<usize>>, usize); 2],
    taken: bool,
}

impl IdlePlace {
    /// Whether the connection may stay open idle.
    pub(super) fn take(&mut self) -> bool {
        if !self.taken && self.counts.iter().all(|(count, most)| count.get() < *most) {
            self.counts.iter().for_each(|(count, _)| count.set(count.get() + 1));
            self.taken = true;
        }
        self.taken
    }

    pub(super) fn leave(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.counts.iter().for_each(|(count, _)| count.set(count.get() - 1));
        }
    }
}

impl Drop for IdlePlace {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_by_host_and_over_all_hosts() {
        let idle = IdleConnections::default();
        let mut places: Vec<_> = ["a", "a", "a", "b", "b", "c"].map(|host| idle.place(host, 2, 3)).into();
        let taken: Vec<bool> = places.iter_mut().map(IdlePlace::take).collect();
        assert_eq!(taken, [true, true, false, true, false, false]);
        places[0].leave();
        assert!(places[5].take(), "there is room again");
        assert!(!places[2].take(), "not over all hosts");
        drop(places.remove(1));
        assert!(places[1].take(), "a connection that is gone leaves its place");
    }
}
