//! The pool as a person sees it: each key as it is at this moment, and sums over all of them.

use gpt_load_schema::{
    ids::KeyId,
    key::{KeyRecord, KeyState},
    store::KeyCounts,
    time::Timestamp,
};

use super::{PoolHandle, slot::Slot};

/// A key at one moment.
#[derive(Clone, Debug)]
pub struct LiveKey {
    /// The key; what only the database knows (hash, notes, dates) is empty.
    pub record: KeyRecord,
    /// Requests that use it now.
    pub in_flight: u32,
    /// Until when it rests, because the provider limited it, announced that nothing is left, or because the group's own
    /// `key_rpm` is used up.
    pub away_until: Option<Timestamp>,
}

/// Sums over a pool and one part of its keys.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Keys per state.
    pub counts: KeyCounts,
    /// Keys that may serve but rest now.
    pub resting: u64,
    /// Requests that use any key now.
    pub in_flight: u64,
    /// When the first key that is out or rests comes back by itself.
    pub next_return: Option<Timestamp>,
    /// The asked part of the keys that match, ascending by id.
    pub keys: Vec<LiveKey>,
    /// Keys that match.
    pub matching: u64,
}

/// Which keys an [`Overview`] shows.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Only those in this state.
    pub state: Option<KeyState>,
    /// Keys left out before the first one shown.
    pub skip: u64,
    /// Keys shown at most.
    pub take: usize,
}

impl PoolHandle {
    /// The key as it is now; `None` when the pool has no such key.
    pub fn key(&self, id: KeyId, now: Timestamp) -> Option<LiveKey> {
        self.shared.snapshot.load().key(id).map(|slot| self.live(slot, now))
    }

    /// The pool as it is now. Looks at every key, so it is not for the hot path.
    pub fn overview(&self, part: Part, now: Timestamp) -> Overview {
        let (snapshot, terms) = (self.shared.snapshot.load(), self.shared.terms());
        let mut overview = Overview {
            counts: KeyCounts::default(),
            resting: 0,
            in_flight: 0,
            next_return: None,
            keys: Vec::new(),
            matching: 0,
        };
        for slot in snapshot.keys() {
            let state = slot.state();
            overview.count(slot, state, slot.away_until(&terms, now), now);
            if part.state.is_none_or(|wanted| wanted == state) {
                if overview.matching >= part.skip && overview.keys.len() < part.take {
                    overview.keys.push(self.live(slot, now));
                }
                overview.matching += 1;
            }
        }
        overview
    }

    fn live(&self, slot: &Slot, now: Timestamp) -> LiveKey {
        LiveKey {
            record: slot.record(self.shared.group),
            in_flight: slot.in_flight(),
            away_until: slot.away_until(&self.shared.terms(), now),
        }
    }
}

impl Overview {
    fn count(&mut self, slot: &Slot, state: KeyState, rest: Option<Timestamp>, now: Timestamp) {
        *self.counts.of_mut(state) += 1;
        self.in_flight += u64::from(slot.in_flight());
        if state.is_selectable() && rest.is_some() {
            self.resting += 1;
        }
        let backoff = if state == KeyState::Disabled { slot.standing().health.disabled_until } else { None };
        let returns = comes_back(state, backoff, rest, now);
        self.next_return = self.next_return.into_iter().chain(returns).min();
    }
}

impl LiveKey {
    /// When the key, which is out or rests, serves again by itself; `None` when it does now, or when only a person or a
    /// validation brings it back.
    pub fn next_return(&self, now: Timestamp) -> Option<Timestamp> {
        let health = &self.record.health;
        comes_back(health.state, health.disabled_until, self.away_until, now)
    }
}

/// A key that has both a backoff and a cooldown serves when both are over.
fn comes_back(
    state: KeyState,
    backoff: Option<Timestamp>,
    rest: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = match state {
        KeyState::Invalid => None,
        KeyState::Disabled => backoff.map(|until| rest.map_or(until, |rest| until.max(rest))),
        KeyState::Pending | KeyState::Active | KeyState::Degraded => rest,
    };
    until.filter(|until| *until > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_when_nothing_holds_it_any_more() {
        let (at, now) = (|seconds: i64| Some(Timestamp(seconds * 1000)), Timestamp(10_000));
        let cases = [
            (KeyState::Active, None, None, None),
            (KeyState::Active, None, at(10), None),
            (KeyState::Active, None, at(11), at(11)),
            (KeyState::Degraded, None, at(12), at(12)),
            (KeyState::Pending, None, at(12), at(12)),
            (KeyState::Disabled, at(20), None, at(20)),
            (KeyState::Disabled, at(20), at(30), at(30)),
            (KeyState::Disabled, at(20), at(15), at(20)),
            (KeyState::Disabled, None, at(30), None),
            (KeyState::Invalid, at(20), at(30), None),
        ];
        for (state, backoff, rest, expected) in cases {
            assert_eq!(comes_back(state, backoff, rest, now), expected, "{state} {backoff:?} {rest:?}");
        }
    }
}
