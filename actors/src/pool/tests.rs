mod attack;
mod guard;
mod limits;
mod selection;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use gpt_load_schema::key::{KeyHealth, KeySource, KeyState};

use super::{
    core::PoolCore,
    state::{GuardLimits, Limits},
    *,
};
use crate::{deltas::DeltaQueue, journal::Journal};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const FIRST: Want<'static> = Want { first_attempt: true, ..RETRY };
const RETRY: Want<'static> = Want { tried: &[], first_attempt: false, sticky: None, model: "", is_open: None };

/// A pool without actors: the test says when outcomes are applied.
struct Pool {
    shared: Arc<Shared>,
    deltas: Arc<DeltaQueue>,
    core: PoolCore,
    handle: PoolHandle,
    upstream: Arc<str>,
}

impl Pool {
    fn new(states: &[KeyState]) -> Self {
        let records: Vec<KeyRecord> = (1..).zip(states).map(|(id, state)| record(id, *state)).collect();
        Self::of(&records, select::SelectionRules::default())
    }

    fn of(records: &[KeyRecord], rules: select::SelectionRules) -> Self {
        let limits = Limits {
            blacklist_threshold: 3,
            backoff_initial: Duration::from_secs(60),
            backoff_max: Duration::from_secs(1800),
            cooldown_max: Duration::from_secs(3600),
            validation_interval: Duration::from_secs(3600),
            guard: None,
        };
        let shared = Arc::new(Shared::new(GroupId(1), limits, rules, Journal::disabled()));
        let deltas = Arc::new(DeltaQueue::default());
        let mut core = PoolCore::resume(shared.clone(), deltas.clone());
        core.adopt(records, None);
        core.publish(NOW);
        let handle = PoolHandle::new(shared.clone());
        Self { shared, deltas, core, handle, upstream: "http://up".into() }
    }

    fn active(count: usize) -> Self {
        Self::new(&vec![KeyState::Active; count])
    }

    /// With the pool guard.
    fn guarded(count: usize) -> Self {
        let pool = Self::active(count);
        let guard = Some(GuardLimits { min_keys: 3, percent: 20 });
        pool.shared.limits.store(Arc::new(Limits { guard, ..**pool.shared.limits.load() }));
        pool
    }

    fn checkout(&self, want: &Want<'_>, now: Timestamp) -> Result<KeyLease, NoKey> {
        self.handle.checkout(want, now)
    }

    fn next(&self) -> i64 {
        self.checkout(&FIRST, NOW).expect("a key is usable").id().0
    }

    fn settle(&self, lease: KeyLease, class: OutcomeClass, wait: Option<u64>, now: Timestamp) {
        lease.settle(verdict(class, wait), Asked { upstream: &self.upstream, model: "" }, now);
    }

    /// Fails the key once and applies it.
    fn fail(&mut self, id: i64, class: OutcomeClass, wait: Option<u64>, now: Timestamp) {
        let lease = (0..self.handle.counts().total())
            .map(|_| self.checkout(&FIRST, now).expect("a key is usable"))
            .find(|lease| lease.id().0 == id)
            .expect("the key has its turn");
        self.settle(lease, class, wait, now);
        self.apply(now);
    }

    fn apply(&mut self, now: Timestamp) {
        self.core.heed_limits();
        self.shared.inbox.take_arrived();
        while let Some(mut outcome) = self.shared.inbox.next() {
            self.core.apply(&mut outcome);
        }
        self.core.advance(now);
        self.core.publish(now);
    }
}

pub(super) fn record(id: i64, state: KeyState) -> KeyRecord {
    KeyRecord {
        id: KeyId(id),
        group_id: GroupId(1),
        value: Some(format!("sk-{id}").into()),
        hash: String::new(),
        notes: String::new(),
        health: KeyHealth::new(state),
        request_count: 0,
        failure_count: 0,
        last_used_at: None,
        created_at: NOW,
        updated_at: NOW,
        weight: 1,
        priority: 0,
        upstream: None,
        source: KeySource::Manual,
    }
}

fn verdict(class: OutcomeClass, wait: Option<u64>) -> Verdict {
    Verdict { message: "no".to_owned(), retry_after: wait.map(Duration::from_secs), ..Verdict::new(class, "test") }
}

fn seconds(count: u64) -> Timestamp {
    NOW + Duration::from_secs(count)
}

#[test]
fn keys_take_turns() {
    let pool = Pool::active(3);
    let order: Vec<i64> = (0..7).map(|_| pool.next()).collect();
    assert_eq!(order, [1, 2, 3, 1, 2, 3, 1]);
    assert_eq!(pool.handle.current_index(), 1);
    pool.handle.seek(5);
    assert_eq!((pool.next(), pool.next()), (3, 1));
}

#[test]
fn the_rotation_is_exact_over_threads() {
    const THREADS: u64 = 8;
    const EACH: u64 = 7_000;
    let pool = Pool::active(100);
    let served: Vec<AtomicU64> = (0..=100).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let lease = pool.checkout(&FIRST, NOW).expect("a key is usable");
                    served[usize::try_from(lease.id().0).expect("small")].fetch_add(1, Ordering::Relaxed);
                    pool.settle(lease, OutcomeClass::Success, None, NOW);
                }
            });
        }
    });
    assert!(served[1..].iter().all(|count| count.load(Ordering::Relaxed) == THREADS * EACH / 100));
    assert_eq!(pool.shared.applied(), THREADS * EACH);
    assert_eq!(pool.shared.inbox.waiting(), 0, "a success of a clean key wakes nobody");
}

#[test]
fn every_lease_yields_one_outcome_whatever_happens_to_it() {
    const THREADS: u64 = 6;
    const EACH: u64 = 3_000;
    let mut pool = Pool::active(50);
    pool.shared.limits.store(Arc::new(Limits { blacklist_threshold: 0, ..**pool.shared.limits.load() }));
    let nudges = Arc::new(AtomicU64::new(0));
    let nudged = nudges.clone();
    pool.shared.on_outcome(Box::new(move || {
        nudged.fetch_add(1, Ordering::Relaxed);
    }));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..EACH {
                    let lease = pool.checkout(&RETRY, NOW).expect("a key is usable");
                    match (round + thread) % 4 {
                        0 => pool.settle(lease, OutcomeClass::Success, None, NOW),
                        1 => pool.settle(lease, OutcomeClass::KeyForbidden, None, NOW),
                        2 => drop(lease),
                        _ => {
                            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                                let _lease = lease;
                                std::panic::resume_unwind(Box::new("quietly"));
                            }));
                            assert!(panicked.is_err());
                        }
                    }
                }
            });
        }
    });
    assert_eq!(nudges.load(Ordering::Relaxed), 1, "one wake-up per drain");
    pool.apply(NOW);
    assert_eq!(pool.shared.applied(), THREADS * EACH);
    assert_eq!(pool.shared.inbox.waiting(), 0);
    let failures: i64 = pool.deltas.take(usize::MAX).deltas.iter().map(|delta| delta.failures).sum();
    assert_eq!(failures.unsigned_abs(), THREADS * EACH / 4);
    let snapshot = pool.shared.snapshot.load();
    assert!(snapshot.table.iter().all(|slot| slot.in_flight() == 0));
}

#[test]
fn a_refused_key_is_out_before_its_actor_knows() {
    let mut pool = Pool::active(2);
    let refused = pool.checkout(&FIRST, NOW).expect("a key is usable");
    pool.settle(refused, OutcomeClass::KeyInvalid, None, NOW);
    assert_eq!((0..4).map(|_| pool.next()).collect::<Vec<_>>(), [2; 4]);
    pool.apply(NOW);
    assert_eq!((0..4).map(|_| pool.next()).collect::<Vec<_>>(), [2; 4]);
    assert_eq!((pool.handle.counts().active, pool.handle.counts().invalid), (1, 1));
    let out = pool.handle.out_of_rotation(10, NOW);
    assert_eq!(out.iter().map(|key| key.id.0).collect::<Vec<_>>(), [1]);
    assert_eq!(out[0].health.last_class.as_deref(), Some("key_invalid"));
    let [delta] = &pool.deltas.take(9).deltas[..] else { panic!("one change") };
    assert_eq!((delta.id, delta.health.state, delta.failures), (KeyId(1), KeyState::Invalid, 1));
}

#[test]
fn the_third_failure_takes_the_key_out_at_once() {
    let mut pool = Pool::active(1);
    for _ in 0..2 {
        pool.fail(1, OutcomeClass::KeyForbidden, None, NOW);
    }
    let lease = pool.checkout(&FIRST, NOW).expect("a key is usable");
    pool.settle(lease, OutcomeClass::KeyForbidden, None, NOW);
    assert_eq!(pool.checkout(&FIRST, NOW).map(|lease| lease.id()).err(), Some(NoKey::NoneUsable));
    pool.apply(NOW);
    assert_eq!(pool.core.next_due(), Some(seconds(60)));
    pool.apply(seconds(60));
    assert_eq!(pool.handle.counts().degraded, 1);
    assert!(pool.handle.is_usable(seconds(60)));
}

#[test]
fn resting_keys_name_the_nearest_return_and_come_back_to_the_millisecond() {
    let mut pool = Pool::active(2);
    pool.fail(1, OutcomeClass::RateLimited, Some(20), NOW);
    let lease = pool.checkout(&FIRST, NOW).expect("a key is usable");
    assert_eq!(lease.id(), KeyId(2));
    pool.settle(lease, OutcomeClass::RateLimited, Some(9), NOW);
    let resting = |pool: &Pool, now| pool.checkout(&FIRST, now).map(|lease| lease.id().0);
    assert_eq!(resting(&pool, NOW), Err(NoKey::AllResting(seconds(9))), "before its actor knows");
    pool.apply(NOW);
    assert_eq!(resting(&pool, NOW), Err(NoKey::AllResting(seconds(9))));
    assert!(!pool.handle.is_usable(NOW));
    assert_eq!(pool.handle.out_of_rotation(10, NOW).len(), 2);
    assert_eq!(pool.handle.counts().active, 2, "a resting key keeps its state");

    let due = pool.core.next_due().expect("a return is on the clock");
    assert!(due < seconds(9) && due > seconds(8));
    pool.apply(due);
    assert_eq!(resting(&pool, seconds(9) - Duration::from_millis(1)), Err(NoKey::AllResting(seconds(9))));
    assert_eq!(resting(&pool, seconds(9)), Ok(2));
}

#[test]
fn keys_on_probation_serve_one_first_attempt_at_a_time() {
    let pool = Pool::new(&[KeyState::Active, KeyState::Active, KeyState::Degraded, KeyState::Pending]);
    let leases: Vec<KeyLease> = (0..40).map(|_| pool.checkout(&FIRST, NOW).expect("a key is usable")).collect();
    let mut served = BTreeMap::<i64, usize>::new();
    leases.iter().for_each(|lease| *served.entry(lease.id().0).or_default() += 1);
    assert_eq!(served, BTreeMap::from([(1, 19), (2, 19), (3, 1), (4, 1)]));
    drop(leases);
    let retries: Vec<i64> = (0..40).map(|_| pool.checkout(&RETRY, NOW).expect("a key is usable").id().0).collect();
    assert!(retries.iter().all(|id| *id <= 2), "retries prefer active keys");
    let shared: Vec<i64> = (0..40).map(|_| pool.next()).collect();
    assert_eq!(shared.iter().filter(|id| **id > 2).count(), 20, "idle keys on probation have their share");
}

#[test]
fn with_no_active_key_the_least_busy_on_probation_serves() {
    let pool = Pool::new(&[KeyState::Pending, KeyState::Degraded, KeyState::Disabled]);
    let leases: Vec<KeyLease> = (0..6).map(|_| pool.checkout(&FIRST, NOW).expect("nobody is refused")).collect();
    let on_first = leases.iter().filter(|lease| lease.id().0 == 1).count();
    assert_eq!((leases.len(), on_first), (6, 3));
    let (first, second): (Vec<_>, Vec<_>) = leases.into_iter().partition(|lease| lease.id().0 == 1);
    drop(first);
    assert_eq!(pool.checkout(&RETRY, NOW).expect("nobody is refused").id(), KeyId(1));
    drop(second);
}

#[test]
fn a_key_that_was_just_degraded_still_serves() {
    let mut pool = Pool::active(1);
    let lease = pool.checkout(&FIRST, NOW).expect("a key is usable");
    pool.settle(lease, OutcomeClass::KeyForbidden, None, NOW);
    pool.shared.inbox.take_arrived();
    let mut outcome = pool.shared.inbox.next().expect("the failure waits");
    pool.core.apply(&mut outcome);
    assert_eq!(pool.handle.counts().degraded, 1);
    let leases: Vec<_> =
        [FIRST, FIRST, RETRY].iter().map(|want| pool.checkout(want, NOW).map(|key| key.id())).collect();
    assert_eq!(leases, [Ok(KeyId(1)); 3], "before the rotation is rebuilt");
}

#[test]
fn tried_keys_are_avoided_while_there_is_another() {
    let pool = Pool::new(&[KeyState::Active, KeyState::Active, KeyState::Degraded]);
    let retry = |tried: &[i64]| {
        let tried: Vec<KeyId> = tried.iter().copied().map(KeyId).collect();
        pool.checkout(&Want { tried: &tried, ..RETRY }, NOW).expect("a key is usable").id().0
    };
    assert!((0..5).all(|_| retry(&[1]) == 2));
    assert!((0..5).all(|_| retry(&[1, 2]) == 3), "an untried key on probation comes before a tried one");
    assert!((0..5).all(|_| retry(&[1, 2, 3]) <= 2), "a tried key comes before none");
}

#[test]
fn outcomes_of_an_earlier_generation_count_for_nothing() {
    let mut pool = Pool::active(1);
    let lease = pool.checkout(&FIRST, NOW).expect("a key is usable");
    let mut restored = record(1, KeyState::Active);
    restored.health.generation = 1;
    pool.core.adopt(&[restored], None);
    pool.settle(lease, OutcomeClass::KeyInvalid, None, NOW);
    pool.apply(NOW);
    assert_eq!(pool.handle.counts().active, 1);
    assert_eq!(pool.next(), 1);
    assert_eq!(pool.deltas.take(9).deltas, []);
}

#[test]
fn a_restored_key_forgets_the_change_that_was_on_its_way() {
    let mut pool = Pool::active(1);
    pool.fail(1, OutcomeClass::KeyInvalid, None, NOW);
    pool.core.adopt(&[record(1, KeyState::Active)], None);
    assert_eq!(pool.handle.counts().invalid, 1, "what the database does not know yet is later");
    let mut restored = record(1, KeyState::Active);
    restored.health.generation = 1;
    pool.core.adopt(&[restored], None);
    pool.core.publish(NOW);
    assert_eq!((pool.handle.counts().active, pool.next()), (1, 1));
    assert_eq!(pool.deltas.take(9).deltas, []);
}

#[test]
fn a_success_behind_a_failure_keeps_its_place() {
    let mut pool = Pool::active(1);
    let (first, second) = (pool.checkout(&FIRST, NOW), pool.checkout(&FIRST, NOW));
    pool.settle(first.expect("usable"), OutcomeClass::KeyForbidden, None, NOW);
    pool.settle(second.expect("usable"), OutcomeClass::Success, None, NOW);
    pool.apply(NOW);
    let [delta] = &pool.deltas.take(9).deltas[..] else { panic!("one change") };
    assert_eq!((delta.health.state, delta.health.consecutive_failures, delta.failures), (KeyState::Active, 0, 1));
}

#[test]
fn deleted_keys_leave_and_their_leases_end_quietly() {
    let mut pool = Pool::active(3);
    let lease = pool.checkout(&FIRST, NOW).expect("a key is usable");
    pool.core.remove(&[KeyId(1), KeyId(9)]);
    pool.core.publish(NOW);
    assert_eq!(lease.secret().expose(), "sk-1");
    pool.settle(lease, OutcomeClass::KeyInvalid, None, NOW);
    pool.apply(NOW);
    assert_eq!((pool.core.total(), pool.handle.counts().total()), (2, 2));
    assert_eq!(pool.deltas.take(9).deltas, []);
    assert_eq!((0..4).map(|_| pool.next()).collect::<Vec<_>>(), [2, 3, 2, 3]);
}

#[test]
fn a_full_load_drops_what_the_database_no_longer_has() {
    let mut pool = Pool::active(5);
    let mut unreadable = record(4, KeyState::Active);
    unreadable.value = None;
    pool.core
        .adopt(&[record(2, KeyState::Active), record(3, KeyState::Active)], Some((Some(KeyId(1)), Some(KeyId(4)))));
    assert_eq!(pool.core.total(), 4);
    pool.core.adopt(&[unreadable, record(7, KeyState::Pending)], Some((Some(KeyId(3)), None)));
    pool.core.publish(NOW);
    assert_eq!((pool.core.total(), pool.core.unreadable()), (5, 1));
    assert_eq!((pool.handle.counts().active, pool.handle.counts().pending), (3, 1));
}

#[test]
fn a_successor_takes_the_pool_over_as_it_is() {
    let mut pool = Pool::active(3);
    pool.fail(2, OutcomeClass::RateLimited, Some(30), NOW);
    pool.core = PoolCore::resume(pool.shared.clone(), pool.deltas.clone());
    assert_eq!(pool.handle.counts().active, 3);
    assert!(pool.core.next_due().is_some_and(|due| due < seconds(30)));
    pool.apply(NOW);
    assert!((0..6).all(|_| pool.next() != 2));
}

#[test]
fn keys_added_out_of_order_are_all_found() {
    let mut pool = Pool::active(2);
    let ids = (3..9_000).filter(|id| id % 7 != 0);
    pool.core.adopt(&ids.map(|id| record(id, KeyState::Active)).collect::<Vec<_>>(), None);
    let late: Vec<KeyRecord> = (1..1_000).map(|step| record(step * 7, KeyState::Active)).collect();
    pool.core.adopt(&late, None);
    pool.core.publish(NOW);
    let all = i64::try_from(pool.core.total()).expect("small");
    assert_eq!((all, pool.handle.counts().total()), (pool.handle.counts().total(), all));
    let ids: Vec<i64> = pool.shared.snapshot.load().table.iter().map(|slot| slot.id().0).collect();
    assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]));
    pool.core.remove(&[KeyId(7), KeyId(4_095), KeyId(8_998)]);
    assert_eq!(pool.core.total() + 3, ids.len());
}
