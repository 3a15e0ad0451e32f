use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;

use super::*;
use crate::pool::select::SelectionRules;

fn left(left: u64, seconds: u64) -> Announced {
    let requests = Remaining { left, limit: Some(5), reset_in: Duration::from_secs(seconds) };
    Announced { requests: Some(requests), ..Announced::default() }
}

fn limited(max_in_flight: u64, rpm: u64) -> SelectionRules {
    SelectionRules { max_in_flight, rpm, ..SelectionRules::default() }
}

fn keys(count: i64, rules: SelectionRules) -> Pool {
    Pool::of(&(1..=count).map(|id| record(id, KeyState::Active)).collect::<Vec<_>>(), rules)
}

impl Pool {
    fn take(&self, now: Timestamp) -> Result<i64, NoKey> {
        self.checkout(&FIRST, now).map(|lease| lease.id().0)
    }

    /// As many leases as there are, at most 100, all held.
    fn take_all(&self, want: &Want<'_>, now: Timestamp) -> Vec<KeyLease> {
        (0..100).map_while(|_| self.checkout(want, now).ok()).collect()
    }

    /// Serves one request, the answer to which announces something.
    fn learn(&self, announced: &Announced, model: &str, now: Timestamp) -> i64 {
        let lease = self.checkout(&Want { model, ..FIRST }, now).expect("a key is usable");
        lease.learn(announced, model, now);
        lease.id().0
    }
}

#[test]
fn requests_in_flight_count_against_what_is_left() {
    let pool = keys(1, limited(0, 0));
    pool.learn(&left(3, 20), "", NOW);
    let leases = pool.take_all(&FIRST, NOW);
    assert_eq!((leases.len(), pool.take(NOW)), (3, Err(NoKey::AllResting(seconds(1)))));
    leases[0].learn(&left(2, 20), "", NOW);
    assert!(pool.take(NOW).is_err(), "two are left, and two of the three have no answer yet");
    leases[1].learn(&left(1, 20), "", NOW);
    leases[2].learn(&left(1, 20), "", NOW);
    assert_eq!(pool.take_all(&FIRST, NOW).len(), 1, "those that stream their answers were counted by the provider");
    assert!(pool.take_all(&FIRST, seconds(20)).len() == 5, "after the reset the limit is whole");
}

#[test]
fn a_used_up_key_is_not_selected_before_its_reset() {
    let mut pool = keys(2, limited(0, 0));
    assert_eq!(pool.learn(&left(0, 20), "", NOW), 1);
    assert_eq!((0..3).map(|_| pool.next()).collect::<Vec<_>>(), [2; 3]);
    assert!(pool.core.is_outdated(), "the group actor is told");
    assert_eq!(pool.learn(&left(0, 9), "", NOW), 2);
    for _ in 0..2 {
        assert_eq!(pool.take(NOW), Err(NoKey::AllResting(seconds(9))), "before the rebuild and after");
        assert!(!pool.handle.is_usable(NOW));
        pool.apply(NOW);
    }
    let snapshot = pool.shared.snapshot.load_full();
    assert!(snapshot.rotating().next().is_none() && !pool.core.is_outdated());
    let due = pool.core.next_due().expect("the reset is on the clock");
    assert!(due < seconds(9) && due > seconds(8));
    pool.apply(due);
    assert_eq!(pool.take(seconds(9) - Duration::from_millis(1)), Err(NoKey::AllResting(seconds(9))));
    assert_eq!(pool.take(seconds(9)), Ok(2));
    assert!(pool.handle.is_usable(seconds(9)));
}

#[test]
fn tokens_count_too() {
    let pool = keys(1, limited(0, 0));
    let tokens = Remaining { left: 0, limit: Some(90_000), reset_in: Duration::from_secs(7) };
    pool.learn(&Announced { tokens: Some(tokens), ..left(3, 20) }, "", NOW);
    assert_eq!(pool.take(NOW), Err(NoKey::AllResting(seconds(7))));
    assert_eq!(pool.take_all(&FIRST, seconds(7)).len(), 3);
}

#[test]
fn an_older_answer_does_not_overwrite_what_a_newer_one_said() {
    let pool = keys(1, limited(0, 0));
    pool.learn(&left(5, 20), "", NOW);
    let (older, newer) = (pool.checkout(&FIRST, NOW).expect("usable"), pool.checkout(&FIRST, NOW).expect("usable"));
    newer.learn(&left(0, 20), "", NOW);
    older.learn(&left(1, 20), "", NOW);
    assert_eq!(pool.take(NOW), Err(NoKey::AllResting(seconds(20))));
}

#[test]
fn of_answers_whose_order_nobody_knows_the_worse_counts() {
    let pool = keys(1, limited(0, 0));
    let leases = pool.take_all(&FIRST, NOW);
    for (lease, count) in leases.iter().zip([2, 1, 4]) {
        lease.learn(&left(count, 20), "", NOW);
    }
    assert_eq!(pool.take_all(&FIRST, NOW).len(), 1, "they were checked out before anything was announced");
}

#[test]
fn limits_per_model_concern_that_model() {
    let mut pool = keys(2, limited(0, 0));
    let per_model = Announced { per_model: true, ..left(0, 20) };
    assert_eq!(pool.learn(&per_model, "gpt", NOW), 1);
    let gpt = Want { model: "gpt", ..FIRST };
    for _ in 0..2 {
        assert_eq!((0..4).filter(|_| pool.checkout(&gpt, NOW).expect("usable").id().0 == 1).count(), 0);
        assert_eq!((0..4).filter(|_| pool.next() == 1).count(), 2);
        pool.apply(NOW);
    }
    assert_eq!(pool.learn(&Announced { per_model: true, ..left(2, 9) }, "gpt", NOW), 2);
    let leases = pool.take_all(&gpt, NOW);
    assert_eq!(leases.len(), 2);
    assert_eq!(pool.take_all(&FIRST, NOW).len(), 100, "other models are not limited");
    leases[1].learn(&Announced { per_model: true, ..left(0, 9) }, "gpt", NOW);
    drop(leases);
    for _ in 0..2 {
        assert_eq!(pool.checkout(&gpt, NOW).map(|key| key.id()).err(), Some(NoKey::AllResting(seconds(9))));
        pool.apply(NOW);
    }
    pool.apply(seconds(9));
    assert_eq!(pool.take_all(&gpt, seconds(9)).len(), 5);
}

#[test]
fn the_limits_of_an_account_are_those_of_all_its_keys() {
    let mut pool = keys(3, limited(0, 0));
    let of = |account, announced| Announced { account: Some(account), ..announced };
    assert_eq!((pool.learn(&of(7, left(5, 20)), "", NOW), pool.learn(&of(7, left(3, 20)), "", NOW)), (1, 2));
    assert_eq!(pool.learn(&of(8, left(2, 20)), "", NOW), 3);
    let leases = pool.take_all(&FIRST, NOW);
    let of_seven = leases.iter().filter(|lease| lease.id().0 <= 2).count();
    assert_eq!((of_seven, leases.len()), (3, 5), "three are left for both keys together");
    drop(leases);
    let siblings = |pool: &Pool, account| -> Vec<i64> {
        pool.shared.accounts.siblings(account).iter().map(|slot| slot.id().0).collect()
    };
    assert_eq!((siblings(&pool, 7), siblings(&pool, 8), siblings(&pool, 9)), (vec![1, 2], vec![3], vec![]));
    let lease = (0..3).map(|_| pool.checkout(&FIRST, NOW).expect("usable")).find(|lease| lease.id().0 == 1);
    lease.expect("the key has its turn").learn(&of(7, left(0, 20)), "", NOW);
    assert_eq!((0..3).map(|_| pool.next()).collect::<Vec<_>>(), [3; 3], "one answer speaks for both keys");
    pool.core.remove(&[KeyId(1)]);
    assert_eq!(siblings(&pool, 7), [2]);
    let lease = pool.checkout(&FIRST, NOW).expect("usable");
    lease.learn(&of(7, left(9, 20)), "", NOW);
    assert_eq!((siblings(&pool, 7), siblings(&pool, 8)), (vec![2, 3], vec![]), "a key may change its account");
}

#[test]
fn what_is_left_is_never_overdrawn() {
    let pool = keys(4, limited(0, 0));
    (0..4).for_each(|_| {
        pool.learn(&left(6, 20), "", NOW);
    });
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let leases = pool.take_all(&FIRST, NOW);
                taken.fetch_add(leases.len(), Ordering::Relaxed);
                leases.into_iter().for_each(std::mem::forget);
            });
        }
    });
    assert!(taken.load(Ordering::Relaxed) <= 24, "{taken:?}");
    pool.take_all(&FIRST, NOW).into_iter().for_each(|_| _ = taken.fetch_add(1, Ordering::Relaxed));
    assert_eq!(taken.load(Ordering::Relaxed), 24);
}

#[test]
fn no_key_has_more_requests_in_flight_than_it_may() {
    let pool = keys(3, limited(2, 0));
    let leases = pool.take_all(&FIRST, NOW);
    assert_eq!((leases.len(), pool.take(NOW)), (6, Err(NoKey::AllResting(seconds(1)))));
    assert!(!pool.handle.is_usable(NOW));
    drop(leases);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3_000 {
                    let _leases = pool.take_all(&FIRST, NOW);
                    let most = pool.shared.snapshot.load().table.iter().map(|slot| slot.in_flight()).max();
                    // A request that is being refused is counted for a moment.
                    assert!(most.is_some_and(|most| most <= 2 + 4));
                }
            });
        }
    });
    assert!(pool.shared.snapshot.load().table.iter().all(|slot| slot.in_flight() == 0));
    assert_eq!(pool.take_all(&FIRST, NOW).len(), 6);
}

#[test]
fn no_key_starts_more_requests_in_a_minute_than_it_may() {
    let mut pool = keys(20, limited(0, 3));
    let started = AtomicUsize::new(0);
    let take = |now| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        started.fetch_add(usize::from(pool.take(now).is_ok()), Ordering::Relaxed);
                    }
                });
            }
        });
    };
    take(NOW);
    assert_eq!(started.swap(0, Ordering::Relaxed), 60);
    take(seconds(59));
    assert_eq!(started.load(Ordering::Relaxed), 0);
    assert_eq!(pool.take(seconds(1)), Err(NoKey::AllResting(seconds(60))));
    assert!(pool.core.is_outdated(), "whoever looked in vain at many keys asks for a rebuild");
    pool.core.publish(seconds(1));
    assert!(pool.shared.snapshot.load().rotating().next().is_none());
    assert_eq!(pool.take(seconds(1)), Err(NoKey::AllResting(seconds(60))));
    pool.apply(pool.core.next_due().expect("a return is on the clock"));
    assert_eq!(pool.take_all(&FIRST, seconds(60)).len(), 60);
}

#[test]
fn changed_rules_hold_at_once() {
    let mut pool = keys(2, limited(0, 0));
    pool.shared.select_by(limited(1, 0));
    assert_eq!(pool.take_all(&FIRST, NOW).len(), 2);
    let strategy = select::Strategy::Random;
    pool.shared.select_by(SelectionRules { strategy, ..limited(1, 0) });
    assert!(pool.core.is_outdated());
    pool.core.publish(NOW);
    assert_eq!(pool.shared.snapshot.load().strategy, strategy);
    assert!(!pool.core.is_outdated());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_nearest_return_is_true(causes in prop::collection::vec((0_u64..4, 1_u64..40), 1..12), is_rebuilt in any::<bool>()) {
        let mut pool = keys(i64::try_from(causes.len()).expect("small"), limited(0, 1));
        let want = Want { model: "gpt", ..FIRST };
        let leases: Vec<KeyLease> = causes.iter().map(|_| pool.checkout(&want, NOW - Duration::from_secs(60)).expect("usable")).collect();
        for (lease, (cause, wait)) in leases.iter().zip(&causes) {
            let slot = pool.shared.snapshot.load().table.find(lease.id()).expect("it is there").clone();
            match cause {
                0 => slot.rest(seconds(*wait)),
                1 => slot.rest_model("gpt", seconds(*wait)),
                2 => lease.learn(&left(0, *wait), "gpt", NOW),
                _ => lease.learn(&Announced { per_model: true, ..left(0, *wait) }, "gpt", NOW),
            }
        }
        if is_rebuilt {
            pool.apply(NOW);
        }
        let nearest = seconds(causes.iter().map(|(_, wait)| *wait).min().expect("some"));
        let answer = |pool: &Pool, now| pool.checkout(&want, now).map(|lease| lease.id().0);
        prop_assert_eq!(answer(&pool, NOW), Err(NoKey::AllResting(nearest)));
        pool.apply(nearest - Duration::from_millis(50));
        prop_assert_eq!(answer(&pool, nearest - Duration::from_millis(1)), Err(NoKey::AllResting(nearest)));
        let due = causes.iter().filter(|(_, wait)| seconds(*wait) == nearest).count();
        for _ in 0..due {
            prop_assert!(answer(&pool, nearest).is_ok());
        }
        let again = answer(&pool, nearest);
        let later = causes.iter().map(|(_, wait)| seconds(*wait)).filter(|until| *until > nearest).min();
        let paced = nearest + Duration::from_secs(60);
        prop_assert_eq!(again, Err(NoKey::AllResting(later.map_or(paced, |later| later.min(paced)))));
    }
}
