use std::{collections::BTreeMap, time::Duration};

use gpt_load_schema::key::KeyHealth;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{super::Verdict, *};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LIMITS: Limits = Limits {
    blacklist_threshold: 3,
    backoff_initial: Duration::from_secs(60),
    backoff_max: Duration::from_secs(1800),
    cooldown_max: Duration::from_secs(3600),
    validation_interval: Duration::from_secs(3600),
    guard: Some(GuardLimits { min_keys: 3, percent: 20 }),
};
const UP: &str = "http://up";

/// The keys of a group as their actor would keep them.
struct World {
    guard: Guard,
    texts: Texts,
    limits: Limits,
    now: Timestamp,
    /// Standing and stored failure count.
    keys: BTreeMap<i64, (Standing, i64)>,
    failures: u64,
}

impl World {
    fn new(keys: i64) -> Self {
        let active = || (Standing::stored(KeyHealth::new(KeyState::Active)), 0);
        Self {
            guard: Guard::default(),
            texts: Texts::default(),
            limits: LIMITS,
            now: NOW,
            keys: (1..=keys).map(|key| (key, active())).collect(),
            failures: 0,
        }
    }

    fn state(&self, key: i64) -> KeyState {
        self.keys[&key].0.health.state
    }

    fn count(&self, state: KeyState) -> usize {
        self.keys.values().filter(|(standing, _)| standing.health.state == state).count()
    }

    fn put(&mut self, key: i64, transition: Transition) {
        if let Some((standing, failures)) = self.keys.get_mut(&key) {
            *standing = transition.standing;
            *failures = if transition.reset_failures { 0 } else { *failures } + transition.failures;
        }
    }

    fn happens(&mut self, key: i64, event: &Event<'_>, cause: Option<Cause<'_>>) {
        let before = self.keys[&key].0.clone();
        let mut terms = Terms { limits: &self.limits, now: self.now, texts: &mut self.texts };
        let transition = self.guard.accept(KeyId(key), &before, event, cause, &mut terms);
        self.put(key, transition);
    }

    fn fails_at(&mut self, key: i64, class: OutcomeClass, upstream: &str) {
        self.fails_since(key, class, upstream, self.failures);
    }

    /// One failure of an attempt that began after `began` failures, and what the guard makes of it.
    fn fails_since(&mut self, key: i64, class: OutcomeClass, upstream: &str, began: u64) {
        self.failures += 1;
        let verdict = Verdict { message: "not for you".to_owned(), ..Verdict::new(class, "test") };
        let generation = self.keys[&key].0.health.generation;
        let key_specific = class == OutcomeClass::UpstreamFault;
        let event = Event::Outcome { generation, verdict: &verdict, model: "", key_specific };
        let upstream: Arc<str> = upstream.into();
        let cause = Cause { class, upstream: &upstream, message: &verdict.message, number: self.failures, began };
        self.happens(key, &event, Some(cause));
        let Some(limits) = self.limits.guard else { return };
        let selectable = self.keys.values().filter(|(standing, _)| standing.health.state.is_selectable()).count();
        for key in self.guard.trip(selectable as u64, &limits) {
            let before = self.keys[&key.0].0.clone();
            if let Some(transition) = self.guard.take_back(key, &before, &mut self.texts) {
                self.put(key.0, transition);
            }
        }
        self.check();
    }

    fn fails(&mut self, key: i64, class: OutcomeClass) {
        self.fails_at(key, class, UP);
    }

    fn release(&mut self, keys: &[KeyId]) {
        for key in keys {
            let transition = Guard::released(&self.keys[&key.0].0);
            self.put(key.0, transition);
        }
        self.check();
    }

    fn succeeds_at(&mut self, key: i64, upstream: &str, began: u64) {
        let failures = &mut self.failures;
        let released = self.guard.success(upstream, began, || {
            *failures += 1;
            *failures - 1
        });
        self.release(&released);
        let verdict = Verdict::new(OutcomeClass::Success, "test");
        let generation = self.keys[&key].0.health.generation;
        self.happens(key, &Event::Outcome { generation, verdict: &verdict, model: "", key_specific: false }, None);
        self.check();
    }

    fn succeeds(&mut self, key: i64) {
        self.succeeds_at(key, UP, self.failures);
    }

    fn accepts_held(&mut self) -> usize {
        let held = self.guard.accept_held();
        for held in &held {
            self.put(held.key.0, held.transition());
        }
        self.check();
        held.len()
    }

    /// What must always be so.
    fn check(&self) {
        let tripped = self.guard.tripped_bits();
        for (index, episode) in self.guard.episodes.iter().enumerate() {
            let tracks = || self.guard.tracks.values().filter(|track| track.episodes & (1 << index) != 0);
            let counted = (tracks().count(), tracks().filter(|track| track.is_out).count());
            let episode = episode.as_ref().map_or((0, 0), |episode| (episode.failed, episode.out));
            assert_eq!(episode, (counted.0 as u64, counted.1 as u64));
        }
        for (key, track) in &self.guard.tracks {
            assert_eq!(track.is_held, track.episodes & tripped != 0, "{key}");
            let published = &self.keys[&key.0].0.health;
            let other = track.other.recall().health;
            let (with, without) = if track.is_held { (&other, published) } else { (published, &other) };
            assert_eq!(track.is_out, without.state.is_selectable() && !with.state.is_selectable(), "{key}");
            assert_eq!(published.generation, other.generation);
        }
        assert!(self.keys.values().all(|(_, failures)| *failures >= 0), "no failure is taken back twice");
    }
}

#[test]
fn a_block_changes_nothing_however_often_it_comes() {
    for class in [OutcomeClass::KeyForbidden, OutcomeClass::KeyInvalid, OutcomeClass::UpstreamFault] {
        let mut world = World::new(100);
        world.keys.insert(101, (Standing::stored(KeyHealth::new(KeyState::Pending)), 0));
        let before = world.keys.clone();
        for round in 1..=3 {
            for key in (1..=101).chain(1..=101).chain(1..=101) {
                world.fails(key, class);
            }
            assert_eq!((world.count(KeyState::Degraded), world.count(KeyState::Pending)), (100, 1), "{class}");
            let [tripped] = &world.guard.tripped()[..] else { panic!("the guard has tripped") };
            assert_eq!((tripped.failed, tripped.held, &*tripped.message), (101, 101, "not for you"), "{class}");
            world.succeeds(round);
            assert_eq!(world.keys, before, "{class} {round}");
            assert!(!world.guard.is_open() && world.guard.tracks.is_empty());
        }
    }
}

#[test]
fn the_guard_trips_when_enough_keys_failed() {
    for (keys, trips_at) in [(3, 3), (10, 3), (15, 3), (20, 4), (100, 20)] {
        let mut world = World::new(keys);
        for key in 1..trips_at {
            world.fails(key, OutcomeClass::KeyInvalid);
            world.fails(key, OutcomeClass::KeyInvalid);
            assert_eq!(world.count(KeyState::Invalid), usize::try_from(key).expect("small"), "of {keys}");
            assert!(world.guard.tripped().is_empty());
        }
        world.fails(trips_at, OutcomeClass::KeyInvalid);
        assert_eq!(world.guard.tripped().len(), 1, "of {keys}");
        assert_eq!((world.count(KeyState::Invalid), world.count(KeyState::Active)), (0, (keys - trips_at) as usize));
        assert!(world.keys.values().all(|(_, failures)| *failures == 0), "counted failures are taken back");
    }
}

#[test]
fn few_keys_never_trip_it() {
    let mut world = World::new(2);
    (1..=2).for_each(|key| world.fails(key, OutcomeClass::KeyInvalid));
    assert_eq!(world.count(KeyState::Invalid), 2);
    assert!(world.guard.tripped().is_empty());
}

#[test]
fn keys_that_fail_while_others_are_served_are_to_blame() {
    let mut world = World::new(10);
    for key in 1..=5 {
        world.fails(key, OutcomeClass::KeyInvalid);
        world.succeeds(10);
    }
    assert_eq!((world.count(KeyState::Invalid), world.count(KeyState::Active)), (5, 5));
}

#[test]
fn an_answer_that_was_under_way_before_the_block_does_not_end_it() {
    let mut world = World::new(10);
    (1..=2).for_each(|key| world.fails(key, OutcomeClass::KeyForbidden));
    world.succeeds_at(9, UP, 0);
    world.fails(3, OutcomeClass::KeyForbidden);
    assert_eq!(world.guard.tripped().len(), 1);
    world.succeeds_at(9, UP, 0);
    assert_eq!(world.guard.tripped().len(), 1);
    world.succeeds_at(9, UP, 1);
    assert!(world.guard.tripped().is_empty());
}

#[test]
fn what_was_under_way_when_a_block_ended_costs_no_key() {
    let mut world = World::new(10);
    (1..=5).for_each(|key| world.fails(key, OutcomeClass::KeyInvalid));
    let under_way = world.failures;
    world.succeeds(6);
    for key in [7, 8] {
        world.fails_since(key, OutcomeClass::KeyInvalid, UP, under_way);
    }
    assert_eq!(world.count(KeyState::Active), 10, "their attempts began in the block");
    world.fails_since(7, OutcomeClass::KeyForbidden, UP, under_way);
    assert_eq!(world.state(7), KeyState::Degraded, "the block was of another class");
    world.fails_since(8, OutcomeClass::KeyInvalid, "http://other", under_way);
    assert_eq!(world.state(8), KeyState::Invalid, "and at another upstream");
    world.fails(9, OutcomeClass::KeyInvalid);
    assert_eq!(world.state(9), KeyState::Invalid, "who is refused afterwards is to blame");
}

#[test]
fn classes_and_upstreams_do_not_mix() {
    let mut world = World::new(10);
    world.fails_at(1, OutcomeClass::KeyInvalid, UP);
    world.fails_at(2, OutcomeClass::KeyInvalid, "http://other");
    world.fails_at(3, OutcomeClass::KeyForbidden, UP);
    assert!(world.guard.tripped().is_empty());
    world.succeeds_at(9, "http://other", world.failures);
    world.fails_at(4, OutcomeClass::KeyInvalid, UP);
    assert!(world.guard.tripped().is_empty());
    world.fails_at(5, OutcomeClass::KeyInvalid, UP);
    assert_eq!(world.guard.tripped().len(), 1);
    assert_eq!((world.state(1), world.state(2)), (KeyState::Degraded, KeyState::Invalid));
}

#[test]
fn two_blocked_upstreams_end_one_by_one() {
    let mut world = World::new(6);
    let before = world.keys.clone();
    for key in 1..=6 {
        world.fails_at(key, OutcomeClass::KeyInvalid, UP);
        world.fails_at(key, OutcomeClass::KeyInvalid, "http://other");
    }
    assert_eq!(world.guard.tripped().len(), 2);
    world.succeeds_at(1, UP, world.failures);
    assert_eq!(world.guard.tripped().len(), 1);
    world.succeeds_at(2, "http://other", world.failures);
    let states = |keys: &BTreeMap<i64, (Standing, i64)>| {
        keys.values().map(|(standing, failures)| (standing.health.state, *failures)).collect::<Vec<_>>()
    };
    assert_eq!(states(&world.keys), states(&before));
}

#[test]
fn what_is_held_takes_effect_when_a_person_says_so() {
    let mut world = World::new(10);
    (1..=4).for_each(|key| world.fails(key, OutcomeClass::KeyInvalid));
    world.fails(5, OutcomeClass::KeyForbidden);
    assert_eq!(world.accepts_held(), 4);
    assert_eq!((world.count(KeyState::Invalid), world.count(KeyState::Degraded)), (4, 1));
    let [(standing, failures)] = [&world.keys[&1]];
    assert_eq!((standing.health.last_error.as_deref(), *failures), (Some("not for you"), 1));
    assert!(world.guard.tripped().is_empty());
    assert_eq!(world.accepts_held(), 0);
}

#[test]
fn other_events_count_while_a_key_is_held() {
    let mut world = World::new(10);
    (1..=4).for_each(|key| world.fails(key, OutcomeClass::KeyInvalid));
    let tell = |world: &mut World, key: i64, class, wait| {
        let verdict = Verdict { retry_after: Some(Duration::from_secs(wait)), ..Verdict::new(class, "test") };
        world.happens(key, &Event::Outcome { generation: 0, verdict: &verdict, model: "", key_specific: false }, None);
        world.check();
    };
    tell(&mut world, 1, OutcomeClass::RateLimited, 90);
    tell(&mut world, 2, OutcomeClass::QuotaExhausted, 900);
    world.happens(3, &Event::Disable, None);
    world.happens(4, &Event::Restore, None);
    world.succeeds(9);
    let health = |key| &world.keys[&key].0.health;
    assert_eq!((health(1).state, health(1).resting_until), (KeyState::Active, Some(NOW + Duration::from_secs(90))));
    assert_eq!((health(2).state, health(2).disabled_until), (KeyState::Disabled, Some(NOW + Duration::from_secs(900))));
    assert_eq!((health(3).state, health(3).disabled_until), (KeyState::Disabled, None));
    assert_eq!((health(4).state, health(4).generation), (KeyState::Active, 1));
}

#[test]
fn a_key_that_returned_from_its_failures_is_judged_by_what_it_is() {
    let mut world = World::new(8);
    world.fails(1, OutcomeClass::UpstreamFault);
    let spent = Verdict::new(OutcomeClass::QuotaExhausted, "test");
    world.happens(1, &Event::Outcome { generation: 0, verdict: &spent, model: "", key_specific: false }, None);
    world.now = world.now + Duration::from_secs(60);
    world.happens(1, &Event::BackoffOver, None);
    assert_eq!((world.state(1), world.guard.is_open()), (KeyState::Degraded, false));
    [2, 3, 4, 1].iter().for_each(|key| world.fails(*key, OutcomeClass::KeyInvalid));
    assert_eq!((world.guard.tripped().len(), world.state(1)), (1, KeyState::Degraded));
}

#[test]
fn an_episode_that_lost_its_keys_is_over() {
    let mut world = World::new(5);
    (1..=3).for_each(|key| world.fails(key, OutcomeClass::KeyInvalid));
    (1..=3).for_each(|key| world.happens(key, &Event::Restore, None));
    assert!(!world.guard.is_open() && world.guard.tripped().is_empty());
}

#[test]
fn a_guard_that_is_switched_off_lets_go() {
    let mut world = World::new(5);
    let before = world.keys.clone();
    (1..=3).for_each(|key| world.fails(key, OutcomeClass::KeyInvalid));
    world.limits.guard = None;
    let released = world.guard.give_up();
    world.release(&released);
    assert_eq!(world.keys, before);
    world.fails(1, OutcomeClass::KeyInvalid);
    assert_eq!((world.state(1), world.guard.is_open()), (KeyState::Invalid, false));
}

#[test]
fn episodes_are_bounded() {
    let mut world = World::new(2);
    for number in 0..200 {
        world.fails_at(1, OutcomeClass::KeyForbidden, &format!("http://up-{number}"));
    }
    assert!(world.guard.episodes.len() <= EPISODES);
    assert_eq!(world.state(1), KeyState::Disabled);
}

#[derive(Clone, Debug)]
enum Step {
    Fails(i64, OutcomeClass, bool),
    Succeeds(i64, bool, u64),
    Happens(i64, &'static str),
    Accept,
    GiveUp,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 1..9_i64;
    let class = select(vec![OutcomeClass::KeyInvalid, OutcomeClass::KeyForbidden, OutcomeClass::UpstreamFault]);
    prop_oneof![
        12 => (key(), class, any::<bool>()).prop_map(|(key, class, other)| Step::Fails(key, class, other)),
        2 => (key(), any::<bool>(), 0..6_u64).prop_map(|(key, other, ago)| Step::Succeeds(key, other, ago)),
        4 => (key(), select(vec!["limited", "spent", "over", "disable", "enable", "restore", "invalidate", "gone"]))
            .prop_map(|(key, what)| Step::Happens(key, what)),
        1 => Just(Step::Accept),
        1 => Just(Step::GiveUp),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_confuses_the_guard(steps in vec(step(), 0..60)) {
        let mut world = World::new(8);
        let upstream = |other: bool| if other { "http://other" } else { UP };
        for step in steps {
            world.now = world.now + Duration::from_secs(20);
            match step {
                Step::Fails(key, class, other) => {
                    let before = world.keys[&key].0.health.state;
                    world.fails_at(key, class, upstream(other));
                    let is_held = world.guard.tripped().iter().any(|guard| guard.class == class && *guard.upstream == *upstream(other));
                    prop_assert!(!is_held || !before.is_selectable() || world.state(key).is_selectable());
                }
                Step::Succeeds(key, other, ago) => {
                    world.succeeds_at(key, upstream(other), world.failures.saturating_sub(ago));
                }
                Step::Happens(key, "gone") => world.guard.forget(KeyId(key)),
                Step::Happens(key, what) => {
                    let class = if what == "limited" { OutcomeClass::RateLimited } else { OutcomeClass::QuotaExhausted };
                    let (verdict, generation) = (Verdict::new(class, "test"), world.keys[&key].0.health.generation);
                    let event = match what {
                        "over" => Event::BackoffOver,
                        "disable" => Event::Disable,
                        "enable" => Event::Enable,
                        "restore" => Event::Restore,
                        "invalidate" => Event::Invalidate,
                        _ => Event::Outcome { generation, verdict: &verdict, model: "", key_specific: false },
                    };
                    world.happens(key, &event, None);
                }
                Step::Accept => _ = world.accepts_held(),
                Step::GiveUp => {
                    let released = world.guard.give_up();
                    world.release(&released);
                    prop_assert!(world.guard.tracks.is_empty());
                }
            }
            world.check();
        }
        // A success everywhere leaves nothing behind.
        [UP, "http://other"].iter().for_each(|upstream| world.succeeds_at(1, upstream, world.failures));
        prop_assert!(!world.guard.is_open() && world.guard.tracks.is_empty());
    }
}
