//! Correlated failures and faults of single keys, from the lease to the database's changes.

use std::collections::{BTreeSet, VecDeque};

use super::{state::Event, *};

/// Serves `requests` with 64 in flight; `answer` says how each key fares. Outcomes are applied every few requests, as the
/// actor does every few milliseconds. Answers the keys in the order of their use.
fn serve(pool: &mut Pool, requests: usize, clock: &mut Timestamp, answer: impl Fn(i64) -> OutcomeClass) -> Vec<i64> {
    let mut used = Vec::new();
    let mut in_flight = VecDeque::new();
    for number in 0..requests {
        in_flight.push_back(pool.checkout(&FIRST, *clock).expect("the pool never looks empty"));
        used.extend(in_flight.back().map(|lease| lease.id().0));
        if in_flight.len() > 64
            && let Some(lease) = in_flight.pop_front()
        {
            let class = answer(lease.id().0);
            pool.settle(lease, class, None, *clock);
        }
        if number % 48 == 0 {
            *clock = *clock + Duration::from_millis(3);
            pool.apply(*clock);
        }
    }
    for lease in in_flight {
        let class = answer(lease.id().0);
        pool.settle(lease, class, None, *clock);
    }
    *clock = *clock + Duration::from_millis(3);
    pool.apply(*clock);
    used
}

fn healths(pool: &Pool) -> Vec<KeyHealth> {
    pool.shared.snapshot.load().table.iter().map(|slot| slot.standing().health).collect()
}

fn failures(pool: &Pool) -> Vec<i64> {
    pool.shared.snapshot.load().table.iter().map(|slot| slot.counters().1).collect()
}

#[test]
fn three_blocks_in_a_row_cost_no_key() {
    for class in [OutcomeClass::KeyForbidden, OutcomeClass::KeyInvalid] {
        let mut pool = Pool::guarded(100);
        let before = healths(&pool);
        let mut clock = NOW;
        let mut stored = vec![0; 100];
        for _ in 0..3 {
            serve(&mut pool, 1_500, &mut clock, |_| class);
            let counts = pool.handle.counts();
            assert_eq!((counts.active + counts.degraded, counts.invalid + counts.disabled), (100, 0), "{class}");
            let [tripped] = &pool.handle.guard()[..] else { panic!("the guard has tripped") };
            assert_eq!((tripped.class, tripped.failed, &*tripped.upstream), (class, 100, "http://up"));
            assert!(pool.shared.watch.is_open());

            serve(&mut pool, 300, &mut clock, |_| OutcomeClass::Success);
            assert!(pool.handle.guard().is_empty() && !pool.shared.watch.is_open());
            assert_eq!(healths(&pool), before, "{class}");
            assert_eq!(failures(&pool), [0; 100]);
            for delta in pool.deltas.take(usize::MAX).deltas {
                let index = usize::try_from(delta.id.0 - 1).expect("small");
                assert_eq!(delta.health, before[index], "what is stored is as before");
                stored[index] += delta.failures;
            }
            assert_eq!(stored, [0; 100]);
        }
    }
}

#[test]
fn a_sudden_block_does_not_empty_the_pool_before_its_actor_knows() {
    let pool = Pool::guarded(20);
    let leases: Vec<KeyLease> = (0..200).map(|_| pool.checkout(&FIRST, NOW).expect("a key is usable")).collect();
    for lease in leases {
        pool.settle(lease, OutcomeClass::KeyInvalid, None, NOW);
        assert!(pool.handle.is_usable(NOW));
    }
    let used: BTreeSet<i64> = (0..40).map(|_| pool.next()).collect();
    assert_eq!(used.len(), 16, "as many are out as it takes to trip the guard");
}

#[test]
fn while_failures_are_held_back_no_key_is_marked_out() {
    let mut pool = Pool::guarded(20);
    let mut clock = NOW;
    serve(&mut pool, 500, &mut clock, |_| OutcomeClass::KeyInvalid);
    let lease = pool.checkout(&FIRST, clock).expect("a key is usable");
    let slot = pool.shared.snapshot.load().table.find(lease.id()).expect("the key is there").clone();
    pool.settle(lease, OutcomeClass::KeyInvalid, None, clock);
    assert_eq!(slot.rotation(), slot::Rotation::Probation);
    let lease = pool.checkout(&FIRST, clock).expect("a key is usable");
    let slot = pool.shared.snapshot.load().table.find(lease.id()).expect("the key is there").clone();
    lease.settle(verdict(OutcomeClass::KeyInvalid, None), Asked { upstream: &"http://other".into(), model: "" }, clock);
    assert_eq!(slot.rotation(), slot::Rotation::Out, "nothing is held back of another upstream");
}

#[test]
fn exactly_the_revoked_keys_leave() {
    let mut pool = Pool::guarded(100);
    let mut clock = NOW;
    serve(&mut pool, 200, &mut clock, |_| OutcomeClass::Success);
    let used = serve(&mut pool, 3_000, &mut clock, |key| {
        if key % 10 == 0 { OutcomeClass::KeyInvalid } else { OutcomeClass::Success }
    });
    let revoked: Vec<i64> = healths(&pool)
        .iter()
        .zip(1..)
        .filter(|(health, _)| health.state == KeyState::Invalid)
        .map(|(_, key)| key)
        .collect();
    assert_eq!(revoked, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
    assert_eq!(pool.handle.counts().active, 90);
    assert!(used[400..].iter().all(|key| key % 10 != 0), "only what was in flight could still use them");
    assert!(pool.handle.guard().is_empty());
}

#[test]
fn one_faulty_key_among_good_ones_is_found() {
    let mut pool = Pool::guarded(10);
    let mut clock = NOW;
    serve(&mut pool, 400, &mut clock, |key| if key == 4 { OutcomeClass::UpstreamFault } else { OutcomeClass::Success });
    let health = &healths(&pool)[3];
    assert_eq!((health.state, health.last_class.as_deref()), (KeyState::Disabled, Some("upstream_fault")));
    assert_eq!((pool.handle.counts().active, pool.handle.counts().disabled), (9, 1));

    clock = health.disabled_until.expect("it returns");
    pool.apply(clock);
    assert_eq!(pool.handle.counts().degraded, 1);
    serve(&mut pool, 100, &mut clock, |_| OutcomeClass::Success);
    assert_eq!(pool.handle.counts().active, 10, "it is well again");
    assert!(!pool.shared.watch.is_open());
}

#[test]
fn an_outage_of_the_provider_costs_no_key() {
    let mut pool = Pool::guarded(100);
    let mut clock = NOW;
    for _ in 0..3 {
        serve(&mut pool, 700, &mut clock, |_| OutcomeClass::Success);
        let under_way: Vec<KeyLease> = (0..50).map(|_| pool.checkout(&FIRST, clock).expect("usable")).collect();
        serve(&mut pool, 300, &mut clock, |_| OutcomeClass::UpstreamFault);
        // Streams that began before the outage end well in the middle of it.
        for lease in under_way {
            pool.settle(lease, OutcomeClass::Success, None, clock);
            serve(&mut pool, 20, &mut clock, |_| OutcomeClass::UpstreamFault);
        }
        assert_eq!(pool.handle.counts().active, 100);
    }
    assert_eq!(pool.deltas.take(9).deltas, []);
}

#[test]
fn a_threshold_of_zero_hears_of_no_fault() {
    let mut pool = Pool::guarded(4);
    pool.shared.limits.store(Arc::new(Limits { blacklist_threshold: 0, ..**pool.shared.limits.load() }));
    let mut clock = NOW;
    serve(&mut pool, 200, &mut clock, |key| if key == 1 { OutcomeClass::UpstreamFault } else { OutcomeClass::Success });
    assert_eq!((pool.handle.counts().active, pool.shared.watch.failures()), (4, 0));
}

#[test]
fn successes_are_sampled_while_a_cause_is_looked_for() {
    let mut pool = Pool::guarded(50);
    pool.fail(1, OutcomeClass::KeyInvalid, None, NOW);
    for step in 0..1_000 {
        let now = NOW + Duration::from_millis(step / 100);
        // The lease began before the failure, so the episode stays open.
        let lease = pool.checkout(&FIRST, now).expect("a key is usable");
        pool.settle(lease, OutcomeClass::Success, None, now);
    }
    assert!(pool.shared.inbox.waiting() <= 11, "one per millisecond: {}", pool.shared.inbox.waiting());
    assert!(pool.shared.inbox.waiting() >= 9);
    pool.apply(seconds(1));
    assert!(!pool.shared.watch.is_open());
    let lease = pool.checkout(&FIRST, seconds(2)).expect("a key is usable");
    pool.settle(lease, OutcomeClass::Success, None, seconds(2));
    assert_eq!(pool.shared.inbox.waiting(), 0, "all is well: nobody is told");
}

#[test]
fn what_is_held_takes_effect_when_a_person_says_so() {
    let mut pool = Pool::guarded(20);
    let mut clock = NOW;
    serve(&mut pool, 500, &mut clock, |_| OutcomeClass::KeyInvalid);
    let tripped = pool.handle.guard();
    assert_eq!((tripped[0].failed, tripped[0].held), (20, 20));
    assert_eq!(pool.core.accept_held(), 20);
    pool.apply(clock);
    assert!(pool.handle.guard().is_empty());
    assert_eq!(pool.handle.counts().invalid, 20);
    assert_eq!(failures(&pool), [1; 20]);
    let stored: Vec<_> = pool.deltas.take(99).deltas.iter().map(|delta| (delta.health.state, delta.failures)).collect();
    assert_eq!(stored, [(KeyState::Invalid, 1); 20]);
}

#[test]
fn switching_the_guard_off_lets_go_of_what_it_holds() {
    let mut pool = Pool::guarded(20);
    let mut clock = NOW;
    serve(&mut pool, 500, &mut clock, |_| OutcomeClass::KeyInvalid);
    pool.shared.limits.store(Arc::new(Limits { guard: None, ..**pool.shared.limits.load() }));
    pool.apply(clock);
    assert!(pool.handle.guard().is_empty());
    assert_eq!(pool.handle.counts().active, 20);
}

#[test]
fn a_validation_that_succeeds_frees_all() {
    let mut pool = Pool::guarded(20);
    let mut clock = NOW;
    serve(&mut pool, 500, &mut clock, |_| OutcomeClass::KeyForbidden);
    let first = pool.handle.next_doubtful(None, clock).expect("keys are held");
    let candidate = pool.handle.next_doubtful(Some(first.id), clock).expect("keys are held");
    assert_ne!(first.id, candidate.id, "each in its turn");
    let upstream = pool.upstream.clone();
    let asked = Asked { upstream: &upstream, model: "" };
    pool.handle.validated(&candidate, verdict(OutcomeClass::KeyForbidden, None), asked, clock);
    pool.apply(clock);
    assert_eq!((pool.handle.guard().len(), pool.handle.counts().degraded), (1, 20), "a failure is held as well");
    pool.handle.validated(&candidate, verdict(OutcomeClass::Success, None), asked, clock);
    pool.apply(clock);
    assert_eq!((pool.handle.guard().len(), pool.handle.counts().active), (0, 20));
    assert!(pool.handle.next_doubtful(None, clock).is_none());
}

#[test]
fn a_successor_forgets_the_episode_and_loses_no_key() {
    let mut pool = Pool::guarded(20);
    let mut clock = NOW;
    serve(&mut pool, 500, &mut clock, |_| OutcomeClass::KeyInvalid);
    // An outcome that dies with the actor leaves its mark behind.
    let slot = pool.shared.snapshot.load().table.find(KeyId(3)).expect("the key is there").clone();
    slot.hold();
    pool.core = PoolCore::resume(pool.shared.clone(), pool.deltas.clone());
    pool.core.publish(clock);
    assert!(pool.handle.guard().is_empty());
    let counts = pool.handle.counts();
    assert_eq!((counts.degraded, counts.total()), (20, 20));
    serve(&mut pool, 200, &mut clock, |_| OutcomeClass::Success);
    assert_eq!(pool.handle.counts().active, 20);
}

#[test]
fn orders_are_carried_out_and_known_keys_only() {
    let mut pool = Pool::guarded(2);
    assert!(!pool.core.order(KeyId(9), &Event::Disable, NOW));
    for (event, state) in [
        (Event::Disable, KeyState::Disabled),
        (Event::Enable, KeyState::Degraded),
        (Event::Invalidate, KeyState::Invalid),
        (Event::Restore, KeyState::Active),
    ] {
        assert!(pool.core.order(KeyId(1), &event, NOW));
        let [delta] = &pool.deltas.take(9).deltas[..] else { panic!("one change") };
        assert_eq!(delta.health.state, state);
    }
}
