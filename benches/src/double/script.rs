//! Which behaviour the next request gets.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::behaviour::Behaviour;

/// Queues of behaviours. A behaviour with `times` leaves its queue when used up; one without stays and hides those
/// behind it, until it is replaced.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Whether there is any rule; spares the lock where there is none.
    any: AtomicBool,
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    every: Option<Behaviour>,
    next: Queue,
    keys: HashMap<String, Queue>,
    paths: Vec<(String, Queue)>,
}

#[derive(Debug, Default)]
struct Queue(VecDeque<Behaviour>);

impl Queue {
    /// Adds at the end; takes the place of a last behaviour that would stay forever.
    fn push(&mut self, behaviour: Behaviour) {
        if self.0.back().is_some_and(|last| last.times.is_none()) {
            self.0.pop_back();
        }
        self.0.push_back(behaviour);
    }

    fn take(&mut self) -> Option<Behaviour> {
        loop {
            let front = self.0.front_mut()?;
            match &mut front.times {
                None => return Some(front.clone()),
                Some(0) => {
                    self.0.pop_front();
                }
                Some(left) => {
                    *left -= 1;
                    return Some(front.clone());
                }
            }
        }
    }
}

impl Script {
    /// For every request until another is set; `None` lets the other rules speak again.
    pub(crate) fn on_every(&self, behaviour: Option<Behaviour>) {
        self.change(|rules| rules.every = behaviour);
    }

    /// For whatever requests come next.
    pub(crate) fn on_next(&self, behaviour: Behaviour) {
        self.change(|rules| rules.next.push(behaviour));
    }

    pub(crate) fn on_key(&self, key: &str, behaviour: Behaviour) {
        self.change(|rules| rules.keys.entry(key.to_owned()).or_default().push(behaviour));
    }

    /// For requests whose target contains `part`.
    pub(crate) fn on_path(&self, part: &str, behaviour: Behaviour) {
        self.change(|rules| match rules.paths.iter_mut().find(|(known, _)| known == part) {
            Some((_, queue)) => queue.push(behaviour),
            None => rules.paths.push((part.to_owned(), Queue(VecDeque::from([behaviour])))),
        });
    }

    pub(crate) fn forget_key(&self, key: &str) {
        self.change(|rules| _ = rules.keys.remove(key));
    }

    pub(crate) fn clear(&self) {
        *self.rules.lock() = Rules::default();
        self.any.store(false, Ordering::Release);
    }

    /// Behaviour for a request: the one for every request, which uses up nothing; else, used up by one, next, then by
    /// key, then by path.
    pub(crate) fn take(&self, key: Option<&str>, target: &str) -> Option<Behaviour> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut guard = self.rules.lock();
        let rules = &mut *guard;
        if rules.every.is_some() {
            return rules.every.clone();
        }
        let by_key = |keys: &mut HashMap<String, Queue>| keys.get_mut(key?)?.take();
        let by_path = |paths: &mut Vec<(String, Queue)>| {
            paths.iter_mut().filter(|(part, _)| target.contains(part.as_str())).find_map(|(_, queue)| queue.take())
        };
        rules.next.take().or_else(|| by_key(&mut rules.keys)).or_else(|| by_path(&mut rules.paths))
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock());
        self.any.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_and_order_is_kept() {
        let script = Script::default();
        script.on_key("a", Behaviour::status(500).times(2));
        script.on_key("a", Behaviour::status(401));
        let statuses: Vec<_> = (0..4).map(|_| script.take(Some("a"), "/").unwrap().status.unwrap()).collect();
        assert_eq!(statuses, [500, 500, 401, 401]);
        assert_eq!(script.take(Some("b"), "/"), None);
    }

    #[test]
    fn next_wins_over_key_and_key_over_path() {
        let script = Script::default();
        script.on_path("/v1/chat", Behaviour::status(503));
        script.on_key("a", Behaviour::status(402).times(1));
        script.on_next(Behaviour::status(429).times(1));
        let statuses: Vec<_> = (0..3).map(|_| script.take(Some("a"), "/v1/chat/x").unwrap().status.unwrap()).collect();
        assert_eq!(statuses, [429, 402, 503]);
    }

    #[test]
    fn what_rules_every_request_uses_up_nothing() {
        let script = Script::default();
        script.on_next(Behaviour::status(429).times(1));
        script.on_every(Some(Behaviour::status(403)));
        let statuses: Vec<_> = (0..3).map(|_| script.take(Some("a"), "/").unwrap().status.unwrap()).collect();
        assert_eq!(statuses, [403, 403, 403]);
        script.on_every(None);
        assert_eq!(script.take(Some("a"), "/").unwrap().status, Some(429));
        assert_eq!(script.take(Some("a"), "/"), None);
    }

    #[test]
    fn a_lasting_behaviour_is_replaced() {
        let script = Script::default();
        script.on_key("a", Behaviour::status(500));
        script.on_key("a", Behaviour::ok());
        assert_eq!(script.take(Some("a"), "/"), Some(Behaviour::ok()));
        script.forget_key("a");
        assert_eq!(script.take(Some("a"), "/"), None);
    }
}
