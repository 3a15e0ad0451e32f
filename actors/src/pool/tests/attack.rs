//! Seams between the parts of the pool.

use super::{
    super::{model::ModelHash, slot::Slot},
    *,
};

const MODEL: Reach = Reach { model: true, account: false };

impl Pool {
    fn slot(&self, id: i64) -> Arc<Slot> {
        self.shared.snapshot.load().table.find(KeyId(id)).cloned().expect("the pool has the key")
    }

    /// One request for the model with whichever key is next; answers the key.
    fn ask(&mut self, model: &str, verdict: Verdict, now: Timestamp) -> i64 {
        let lease = self.checkout(&Want { model, ..FIRST }, now).expect("a key is usable");
        let id = lease.id().0;
        lease.settle(verdict, Asked { upstream: &self.upstream, model }, now);
        id
    }

    fn drain(&mut self) {
        self.shared.inbox.take_arrived();
        while let Some(mut outcome) = self.shared.inbox.next() {
            self.core.apply(&mut outcome);
        }
    }
}

fn refused_model() -> Verdict {
    Verdict { reach: MODEL, ..verdict(OutcomeClass::KeyForbidden, None) }
}

#[test]
fn a_key_that_goes_out_leaves_the_rotation() {
    for (class, wait) in [(OutcomeClass::KeyInvalid, None), (OutcomeClass::RateLimited, Some(60))] {
        let mut pool = Pool::active(3);
        pool.ask("", verdict(class, wait), NOW);
        pool.drain();
        assert!(pool.core.is_outdated(), "{class}: the rings still hold the key");
    }
}

#[test]
fn a_model_that_a_key_loses_changes_the_rotation() {
    let mut pool = Pool::active(2);
    for _ in 0..3 * 2 {
        pool.ask("m", refused_model(), NOW);
        pool.drain();
    }
    assert!(pool.core.is_outdated(), "the rotation does not know what the keys were refused");
    pool.core.publish(NOW);
    let snapshot = pool.shared.snapshot.load_full();
    assert!(snapshot.view(ModelHash::of("m")).tiers.is_empty());
}

#[test]
fn a_model_that_does_not_exist_makes_no_success_with_another_news() {
    let mut pool = Pool::active(1);
    pool.ask("typo", refused_model(), NOW);
    pool.apply(NOW);
    pool.ask("good", Verdict::new(OutcomeClass::Success, "test"), NOW);
    assert_eq!(pool.shared.inbox.waiting(), 0, "nothing is to be forgiven");
    pool.ask("typo", Verdict::new(OutcomeClass::Success, "test"), NOW);
    assert_eq!(pool.shared.inbox.waiting(), 1);
    pool.apply(NOW);
    assert!(pool.slot(1).is_clean());
}

#[test]
fn a_model_that_does_not_exist_trips_no_guard() {
    let mut pool = Pool::guarded(10);
    for _ in 0..4 {
        pool.ask("typo", refused_model(), NOW);
        pool.apply(NOW);
    }
    assert!(pool.handle.guard().is_empty());
    assert_eq!(pool.handle.counts().active, 10);
}

#[test]
fn a_validation_with_a_model_that_does_not_exist_takes_no_key_out() {
    for state in [KeyState::Pending, KeyState::Active] {
        let mut pool = Pool::new(&[state]);
        for round in 0..5 {
            let now = seconds(round * 1000);
            let candidate = pool.handle.candidate(KeyId(1), now).expect("the pool has the key");
            pool.handle.validated(&candidate, refused_model(), Asked { upstream: &pool.upstream, model: "typo" }, now);
            pool.apply(now);
        }
        assert_eq!(pool.slot(1).state(), KeyState::Active, "from {state}");
    }
}

#[test]
fn validations_vouch_only_for_what_came_before_them() {
    let mut pool = Pool::active(6);
    let up = pool.upstream.clone();
    pool.fail(1, OutcomeClass::UpstreamFault, None, NOW);
    for id in 2..=5 {
        let candidate = pool.handle.candidate(KeyId(id), NOW).expect("the pool has the key");
        let success = Verdict::new(OutcomeClass::Success, "test");
        pool.handle.validated(&candidate, success, Asked { upstream: &up, model: "" }, NOW);
        pool.apply(NOW);
    }
    // Key 1 recovers, and starts to fail much later while one single other key is served.
    let lease = (0..6).map(|_| pool.checkout(&FIRST, NOW).expect("usable")).find(|lease| lease.id().0 == 1);
    pool.settle(lease.expect("its turn"), OutcomeClass::Success, None, NOW);
    pool.apply(NOW);
    for round in 1..10 {
        let now = seconds(round);
        pool.fail(1, OutcomeClass::UpstreamFault, None, now);
        let lease = (0..6).map(|_| pool.checkout(&FIRST, now).expect("usable")).find(|lease| lease.id().0 == 2);
        pool.settle(lease.expect("its turn"), OutcomeClass::Success, None, now);
        pool.apply(now);
    }
    assert_eq!(pool.slot(1).state(), KeyState::Active, "one witness is not three");
}

#[test]
fn models_that_clients_make_up_take_no_room_from_real_ones() {
    let pool = Pool::active(1);
    let announced = |left| Announced {
        requests: Some(Remaining { left, limit: Some(9), reset_in: Duration::from_secs(60) }),
        per_model: true,
        ..Announced::default()
    };
    let lease = pool.checkout(&FIRST, NOW).expect("usable");
    lease.learn(&announced(5), "known", NOW);
    drop(lease);
    for number in 0..100 {
        drop(pool.checkout(&Want { model: &format!("made-up-{number}"), ..FIRST }, NOW));
    }
    let want = Want { model: "real", ..FIRST };
    let lease = pool.checkout(&want, NOW).expect("usable");
    lease.learn(&announced(0), "real", NOW);
    drop(lease);
    assert!(pool.checkout(&want, NOW).is_err(), "what was announced of the real model is remembered");
}

#[test]
fn looking_for_a_key_uses_up_no_limit_of_it() {
    let rules = select::SelectionRules { rpm: 1, max_in_flight: 1, ..select::SelectionRules::default() };
    let pool = Pool::of(&[record(1, KeyState::Active)], rules);
    for _ in 0..3 {
        assert_eq!(pool.handle.look_out(&FIRST, NOW), Ok(()));
        assert!(pool.handle.is_ready(KeyId(1), NOW));
    }
    let lease = pool.checkout(&FIRST, NOW).expect("the minute's request is left");
    assert!(pool.handle.look_out(&FIRST, NOW).is_err() && !pool.handle.is_ready(KeyId(1), NOW));
    drop(lease);
    assert_eq!(pool.slot(1).in_flight(), 0);
    assert_eq!(pool.handle.look_out(&FIRST, NOW), Err(NoKey::AllResting(seconds(60))));
}

#[test]
fn the_guard_lets_go_when_the_upstreams_change() {
    let mut pool = Pool::guarded(6);
    for _ in 0..6 {
        pool.ask("", verdict(OutcomeClass::KeyInvalid, None), NOW);
        pool.apply(NOW);
    }
    assert_eq!(pool.handle.guard().len(), 1);
    pool.upstream = "http://right".into();
    pool.shared.moves();
    pool.ask("", Verdict::new(OutcomeClass::Success, "test"), NOW);
    pool.apply(NOW);
    assert!(pool.handle.guard().is_empty(), "nobody will ever succeed at the old upstream");
    assert_eq!((pool.handle.counts().active, pool.core.accept_held()), (6, 0));
}

#[test]
fn an_announced_reset_keeps_no_key_away_for_longer_than_a_cooldown_may_last() {
    let pool = Pool::active(1);
    let year = Duration::from_secs(366 * 24 * 3600);
    let requests = Some(Remaining { left: 0, limit: None, reset_in: year });
    let lease = pool.checkout(&FIRST, NOW).expect("usable");
    lease.learn(&Announced { requests, ..Announced::default() }, "", NOW);
    drop(lease);
    assert_eq!(pool.checkout(&FIRST, NOW).err(), Some(NoKey::AllResting(seconds(3600))));
}

#[test]
fn where_all_keys_are_refused_a_model_another_key_is_asked_each_time() {
    let mut pool = Pool::of(
        &(1..=4).map(|id| record(id, KeyState::Active)).collect::<Vec<_>>(),
        select::SelectionRules { strategy: select::Strategy::Sticky, ..select::SelectionRules::default() },
    );
    for _ in 0..3 * 4 {
        pool.ask("m", refused_model(), NOW);
        pool.apply(NOW);
    }
    let mut tried = Vec::new();
    for _ in 0..4 {
        let want = Want { tried: &tried, model: "m", sticky: Some(7), ..FIRST };
        let id = pool.checkout(&want, NOW).expect("the provider shall say why").id();
        assert!(!tried.contains(&id), "{id} again, after {tried:?}");
        tried.push(id);
    }
    assert!(pool.checkout(&Want { tried: &tried, model: "m", ..FIRST }, NOW).is_ok());
}

#[test]
fn a_deleted_key_stays_deleted() {
    let pool = Pool::active(1);
    let slot = pool.slot(1);
    slot.retire();
    PoolCore::resume(pool.shared, pool.deltas);
    assert!(slot.is_gone(), "its actor died before it could publish");
}
