//! When the background validation of a group looks for due keys, and which of them it leaves alone. Pure.
//!
//! When a key is due, the key itself knows (`KeyHealth::next_validation_at`). But an answer that proves nothing changes
//! nothing there, so without this memory a key whose provider is down would be asked again and again without a pause.

use std::{collections::BTreeMap, time::Duration};

use gpt_load_schema::{ids::KeyId, time::Timestamp};

use super::prober::Proof;

/// Time between two looks at a pool, at least.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A look at a large pool is paid for by this many times its own duration of rest.
const LOOK_REST: u32 = 50;
/// Wait before a key of which nothing was proved is asked again, when the provider names no time.
const UNPROVED_WAIT: Duration = Duration::from_secs(60);
/// A key of which something was proved is left alone for so long, even when it is due again at once: whoever decides
/// when keys are due must not be able to make the node ask without a pause.
const PROVED_WAIT: Duration = Duration::from_secs(5);
/// Longest wait that a provider may name.
const UNPROVED_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// So many keys in a row of which nothing was proved: the provider is down, and the others need not be asked.
const UNPROVED_LIMIT: u32 = 10;
/// Pause of the whole group then, doubled each time nothing was proved again, and its limit.
const PAUSE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5 * 60));
/// Time between two keys that are asked while the pool guard holds failures back.
const GUARD_EVERY: Duration = Duration::from_secs(5);
/// Every place of a group begins at most one background validation in this time.
const PACE: Duration = Duration::from_millis(200);
/// A round takes at most as many keys as it can begin in this time, so that keys due meanwhile do not wait for long.
const ROUND: Duration = Duration::from_secs(10);
/// The group's row is told of background validations at most so often.
const NOTED_EVERY: Duration = Duration::from_secs(10);

/// Time between two beginnings with `places` places: a burst of due keys is spread evenly.
pub(crate) fn gap(places: usize) -> Duration {
    PACE / u32::try_from(places.max(1)).unwrap_or(u32::MAX)
}

/// Keys of one round with `places` places.
pub(crate) fn round_size(places: usize) -> usize {
    let turns = usize::try_from(ROUND.as_millis() / PACE.as_millis()).unwrap_or(usize::MAX);
    places.max(1).saturating_mul(turns)
}

/// The background validation of one group.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    look_after: Timestamp,
    guard_after: Timestamp,
    guard_asked: Option<KeyId>,
    paused_until: Timestamp,
    pauses: u32,
    unproved_in_a_row: u32,
    /// Keys that are left alone, and until when.
    waits: BTreeMap<KeyId, Timestamp>,
    noted_at: Option<Timestamp>,
    is_busy: bool,
}

impl Schedule {
    /// Whether it is time to look for due keys.
    pub(crate) fn wants_a_look(&self, now: Timestamp) -> bool {
        !self.is_busy && now >= self.look_after && now >= self.paused_until
    }

    /// The pool was looked at, which took `cost`.
    pub(crate) fn looked(&mut self, now: Timestamp, cost: Duration) {
        self.look_after = now + LOOK_EVERY.max(cost.saturating_mul(LOOK_REST));
        self.waits.retain(|_, until| *until > now);
    }

    /// Whether a due key may be asked.
    pub(crate) fn may_ask(&self, key: KeyId, now: Timestamp) -> bool {
        self.waits.get(&key).is_none_or(|until| *until <= now)
    }

    /// A round begins; there is one at a time.
    pub(crate) fn begin(&mut self) {
        self.is_busy = true;
    }

    /// The round is over.
    pub(crate) fn end(&mut self) {
        self.is_busy = false;
    }

    /// A key was asked; `retry_after` is what the provider said.
    pub(crate) fn note(&mut self, key: KeyId, proof: Proof, retry_after: Option<Duration>, now: Timestamp) {
        if proof != Proof::Nothing {
            self.waits.insert(key, now + PROVED_WAIT);
            (self.unproved_in_a_row, self.pauses, self.paused_until) = (0, 0, Timestamp::default());
            return;
        }
        let wait = retry_after.filter(|wait| !wait.is_zero()).unwrap_or(UNPROVED_WAIT).min(UNPROVED_WAIT_MAX);
        self.waits.insert(key, now + wait);
        self.unproved_in_a_row += 1;
        if self.unproved_in_a_row >= UNPROVED_LIMIT {
            let (first, longest) = PAUSE;
            let pause = first.saturating_mul(2_u32.saturating_pow(self.pauses)).min(longest);
            self.paused_until = now + pause;
            self.pauses = self.pauses.saturating_add(1);
            self.unproved_in_a_row = 0;
        }
    }

    /// Whether the round under way is to go on.
    pub(crate) fn goes_on(&self, now: Timestamp) -> bool {
        now >= self.paused_until
    }

    /// Whether another key of a pool whose guard has tripped is to be asked now; after which one, when there was one.
    pub(crate) fn guard_turn(&mut self, now: Timestamp) -> Option<Option<KeyId>> {
        (now >= self.guard_after).then(|| {
            self.guard_after = now + GUARD_EVERY;
            self.guard_asked
        })
    }

    /// This key is asked because the guard has tripped.
    pub(crate) fn guard_asks(&mut self, key: KeyId) {
        self.guard_asked = Some(key);
    }

    /// Whether the group's row is to be told that its keys were validated.
    pub(crate) fn is_to_be_noted(&mut self, now: Timestamp) -> bool {
        let is_due = self.noted_at.is_none_or(|at| now.since(at) >= NOTED_EVERY);
        if is_due {
            self.noted_at = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp(1_000_000 + millis)
    }

    #[test]
    fn a_look_is_paid_for_by_its_own_duration() {
        for (cost_ms, next) in [(0, 250), (1, 250), (5, 250), (6, 300), (50, 2_500)] {
            let mut schedule = Schedule::default();
            assert!(schedule.wants_a_look(at(0)));
            schedule.looked(at(0), Duration::from_millis(cost_ms));
            assert!(!schedule.wants_a_look(at(next - 1)), "{cost_ms} ms");
            assert!(schedule.wants_a_look(at(next)), "{cost_ms} ms");
        }
    }

    #[test]
    fn there_is_one_round_at_a_time() {
        let mut schedule = Schedule::default();
        schedule.begin();
        assert!(!schedule.wants_a_look(at(0)));
        schedule.end();
        assert!(schedule.wants_a_look(at(0)));
    }

    #[test]
    fn a_key_of_which_nothing_was_proved_is_left_alone_for_a_while() {
        let hour = 60 * 60 * 1_000;
        for (retry_after, wait) in [
            (None, 60_000),
            (Some(Duration::ZERO), 60_000),
            (Some(Duration::from_secs(7)), 7_000),
            (Some(Duration::from_secs(86_400)), hour),
        ] {
            let mut schedule = Schedule::default();
            schedule.note(KeyId(1), Proof::Nothing, retry_after, at(0));
            assert!(!schedule.may_ask(KeyId(1), at(wait - 1)), "{retry_after:?}");
            assert!(schedule.may_ask(KeyId(1), at(wait)), "{retry_after:?}");
            assert!(schedule.may_ask(KeyId(2), at(0)));
        }
        let mut schedule = Schedule::default();
        schedule.note(KeyId(1), Proof::Nothing, None, at(0));
        schedule.note(KeyId(1), Proof::Refused, None, at(1));
        assert!(!schedule.may_ask(KeyId(1), at(5_000)));
        assert!(schedule.may_ask(KeyId(1), at(5_001)), "when it is due again, the key itself knows");
    }

    #[test]
    fn a_provider_that_is_down_is_left_alone_longer_and_longer() {
        let mut schedule = Schedule::default();
        let mut now = at(0);
        for pause in [10, 20, 40, 80, 160, 300, 300] {
            for key in 0..10 {
                assert!(schedule.goes_on(now));
                schedule.note(KeyId(key), Proof::Nothing, None, now);
            }
            let end = now + Duration::from_secs(pause);
            assert!(!schedule.goes_on(Timestamp(end.0 - 1)) && !schedule.wants_a_look(Timestamp(end.0 - 1)));
            assert!(schedule.goes_on(end) && schedule.wants_a_look(end), "{pause} s");
            now = end;
        }
        schedule.note(KeyId(1), Proof::Accepted, None, now);
        for key in 0..10 {
            schedule.note(KeyId(key), Proof::Nothing, None, now);
        }
        assert!(schedule.goes_on(now + Duration::from_secs(10)), "after a proof it begins anew");
    }

    #[test]
    fn single_faults_among_proofs_pause_nobody() {
        let mut schedule = Schedule::default();
        for round in 0..100 {
            let proof = if round % 10 == 9 { Proof::Refused } else { Proof::Nothing };
            schedule.note(KeyId(round), proof, None, at(0));
            assert!(schedule.goes_on(at(0)));
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut schedule = Schedule::default();
        for key in 0..9 {
            schedule.note(KeyId(key), Proof::Nothing, None, at(0));
        }
        schedule.looked(at(60_000), Duration::ZERO);
        assert!(schedule.waits.is_empty());
    }

    #[test]
    fn while_the_guard_holds_keys_are_asked_one_by_one() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.guard_turn(at(0)), Some(None));
        schedule.guard_asks(KeyId(7));
        assert_eq!(schedule.guard_turn(at(4_999)), None);
        assert_eq!(schedule.guard_turn(at(5_000)), Some(Some(KeyId(7))));
    }

    #[test]
    fn a_burst_is_spread() {
        assert_eq!([1, 10, 100, 0].map(gap).map(|gap| gap.as_millis()), [200, 20, 2, 200]);
        assert_eq!([1, 10, 100, 0].map(round_size), [50, 500, 5_000, 50]);
    }

    #[test]
    fn the_groups_row_is_told_now_and_then() {
        let mut schedule = Schedule::default();
        let told: Vec<i64> = (0..30).filter(|second| schedule.is_to_be_noted(at(second * 1_000))).collect();
        assert_eq!(told, [0, 10, 20]);
    }
}
