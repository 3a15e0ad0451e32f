//! Which successes of keys in good standing are news.
//!
//! While all is well, none: they cost a counter. While the group actor looks for the cause of failures it wants to see
//! successes as well, but a sample of them tells as much as all.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use gpt_load_schema::{log::OutcomeClass, time::Timestamp};

use super::{Consequence, Verdict, state::GuardLimits};

/// What the data path knows of the search for a cause.
#[derive(Default)]
pub(crate) struct Watch {
    /// Failures that have a cause to be looked for, since the start: the time by which the pool tells what was before.
    failures: AtomicU64,
    /// Of these, on their way to the group actor.
    on_their_way: AtomicU64,
    /// Whether the group actor looks for a cause.
    is_open: AtomicBool,
    /// When the last success was sampled.
    last_success: AtomicI64,
    /// Keys marked out by failures that are on their way, and when the first of them was.
    marked: AtomicU64,
    marked_since: AtomicI64,
}

/// Whether a failure may be nobody's fault, or somebody else's: so may a refusal of the request be that a policy holds
/// against the key.
pub(crate) fn has_a_cause(verdict: &Verdict) -> bool {
    let consequence = verdict.ruling.as_ref().and_then(|ruling| ruling.consequence);
    match verdict.class {
        OutcomeClass::KeyInvalid | OutcomeClass::KeyForbidden | OutcomeClass::UpstreamFault => true,
        OutcomeClass::ClientError => {
            matches!(consequence, Some(Consequence::Degrade(_) | Consequence::Disable(_) | Consequence::Invalidate))
        }
        _ => false,
    }
}

impl Watch {
    /// Failures so far. An attempt that began at this count is news of what these failures mean.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// Counts one more, so that attempts that begin from here on are told from those that have begun; answers the number
    /// that none of the later ones began at.
    pub(crate) fn turn(&self) -> u64 {
        self.failures.fetch_add(1, Ordering::AcqRel)
    }

    /// Whether a success of a key in good standing is to be told. At most one per millisecond is.
    pub(crate) fn wants_success(&self, now: Timestamp) -> bool {
        if !self.is_open.load(Ordering::Acquire) && self.on_their_way.load(Ordering::Acquire) == 0 {
            return false;
        }
        let last = self.last_success.load(Ordering::Relaxed);
        last != now.0 && self.last_success.compare_exchange(last, now.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The group actor looks for a cause, or no longer.
    pub(crate) fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Release);
    }

    /// Whether the group actor looks for a cause.
    #[cfg(test)]
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// A failure happened; from here on successes are news.
    pub(crate) fn raise(self: &Arc<Self>) -> Alarm {
        self.on_their_way.fetch_add(1, Ordering::AcqRel);
        let number = self.failures.fetch_add(1, Ordering::AcqRel) + 1;
        Alarm { watch: self.clone(), number, has_marked: false }
    }
}

/// A failure on its way to the group actor.
pub(crate) struct Alarm {
    watch: Arc<Watch>,
    number: u64,
    has_marked: bool,
}

impl Alarm {
    /// Its number among all failures.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Asks to mark the key out ahead of the group actor. Keys enough to trip the guard may go so, more only after a
    /// success: in a sudden block the pool must not look empty until the actor knows.
    pub(crate) fn may_mark(&mut self, guard: Option<&GuardLimits>, selectable: u64, now: Timestamp) -> bool {
        if self.has_marked {
            return true;
        }
        let watch = &self.watch;
        let marked = watch.marked.load(Ordering::Acquire);
        if marked == 0 {
            watch.marked_since.store(now.0, Ordering::Release);
        }
        let is_alone = watch.last_success.load(Ordering::Acquire) < watch.marked_since.load(Ordering::Acquire);
        if is_alone && guard.is_some_and(|guard| guard.are_met(marked, selectable)) {
            return false;
        }
        watch.marked.fetch_add(1, Ordering::AcqRel);
        self.has_marked = true;
        true
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if self.has_marked {
            self.watch.marked.fetch_sub(1, Ordering::AcqRel);
        }
        self.watch.on_their_way.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn successes_are_news_while_a_failure_is_on_its_way_or_looked_into() {
        let watch = Arc::new(Watch::default());
        assert!(!watch.wants_success(NOW));
        let alarm = watch.raise();
        assert!(watch.wants_success(NOW) && !watch.wants_success(NOW), "one per millisecond");
        watch.set_open(true);
        drop(alarm);
        assert!(watch.wants_success(NOW + Duration::from_millis(1)));
        watch.set_open(false);
        assert!(!watch.wants_success(NOW + Duration::from_millis(2)));
        assert_eq!(watch.failures(), 1);
    }

    #[test]
    fn a_block_marks_no_more_keys_than_it_takes_to_trip_the_guard() {
        let watch = Arc::new(Watch::default());
        let guard = GuardLimits { min_keys: 3, percent: 20 };
        let mut alarms: Vec<Alarm> = (0..10).map(|_| watch.raise()).collect();
        let marked = |alarms: &mut Vec<Alarm>, guard: Option<&GuardLimits>, now| {
            alarms.iter_mut().map(|alarm| alarm.may_mark(guard, 20, now)).filter(|may| *may).count()
        };
        assert_eq!(marked(&mut alarms, Some(&guard), NOW), 4);
        assert!(watch.wants_success(NOW));
        assert_eq!(marked(&mut alarms, Some(&guard), NOW), 10, "others are served: these keys are to blame");
        alarms.clear();
        alarms.extend((0..10).map(|_| watch.raise()));
        assert_eq!(marked(&mut alarms, Some(&guard), NOW + Duration::from_secs(1)), 4);
        alarms.clear();
        alarms.extend((0..10).map(|_| watch.raise()));
        assert_eq!(marked(&mut alarms, None, NOW), 10);
    }
}
