use proptest::prelude::*;

use super::*;
use crate::pool::{
    chance::scrambled,
    model::ModelHash,
    select::{SelectionRules, Strategy},
    slot::Slot,
};

fn by(strategy: Strategy) -> SelectionRules {
    SelectionRules { strategy, ..SelectionRules::default() }
}

fn active(count: i64) -> Vec<KeyRecord> {
    (1..=count).map(|id| record(id, KeyState::Active)).collect()
}

/// Serves so many requests one after the other; answers how many each key had.
fn serve(pool: &Pool, requests: usize, want: &Want<'_>) -> BTreeMap<i64, usize> {
    serve_at(NOW, pool, requests, want)
}

fn serve_at(now: Timestamp, pool: &Pool, requests: usize, want: &Want<'_>) -> BTreeMap<i64, usize> {
    let mut served = BTreeMap::new();
    for _ in 0..requests {
        *served.entry(pool.checkout(want, now).expect("a key is usable").id().0).or_default() += 1;
    }
    served
}

fn slot(pool: &Pool, id: i64) -> Arc<Slot> {
    pool.shared.snapshot.load().table.find(KeyId(id)).expect("the key is in the pool").clone()
}

const GPT: Want<'static> = Want { model: "gpt", ..FIRST };

#[test]
fn the_settings_name_the_rules() {
    let settings = |word: &str| gpt_load_schema::settings::Settings {
        key_selection: word.to_owned(),
        key_max_concurrency: 7,
        key_rpm: 9,
        ..gpt_load_schema::settings::Settings::defaults()
    };
    let words = ["round_robin", "weighted", "least_in_flight", "random", "sticky"];
    let strategies = words.map(|word| SelectionRules::of(&settings(word)));
    let known = [Strategy::RoundRobin, Strategy::Weighted, Strategy::LeastInFlight, Strategy::Random, Strategy::Sticky];
    assert_eq!(strategies, known.map(|strategy| SelectionRules { strategy, max_in_flight: 7, rpm: 9 }));
}

#[test]
fn weighted_keys_have_their_shares() {
    let mut records = active(4);
    (records[1].weight, records[2].weight, records[3].weight) = (2, 7, 90);
    let mut pool = Pool::of(&records, by(Strategy::Weighted));
    let served = serve(&pool, 1_000, &FIRST);
    for (id, share) in [(1, 10), (2, 20), (3, 70), (4, 900)] {
        assert!(served[&id].abs_diff(share) <= 5, "{served:?}");
    }
    records[3].weight = 1;
    pool.core.adopt(&records, None);
    pool.core.publish(NOW);
    let served = serve(&pool, 1_100, &FIRST);
    assert!(served[&4].abs_diff(100) <= 5, "a person changed the weight: {served:?}");
}

#[test]
fn random_choice_favours_nobody() {
    let pool = Pool::of(&active(10), by(Strategy::Random));
    let served = serve(&pool, 20_000, &FIRST);
    let square = |count: &usize| (i64::try_from(*count).expect("small") - 2_000).pow(2);
    // Chi-square with 9 degrees of freedom exceeds 70 once in 10^11 runs.
    assert!(served.len() == 10 && served.values().map(square).sum::<i64>() / 2_000 < 70, "{served:?}");
    let order: Vec<i64> = (0..40).map(|_| pool.next()).collect();
    assert!(order.windows(2).any(|pair| pair[1] != pair[0] % 10 + 1), "that would be a rotation");
}

#[test]
fn the_least_busy_key_serves() {
    let pool = Pool::of(&active(20), by(Strategy::LeastInFlight));
    let mut leases: Vec<KeyLease> = (0..60).map(|_| pool.checkout(&FIRST, NOW).expect("a key is usable")).collect();
    let idle = leases.iter().position(|lease| lease.id().0 == 13).expect("all keys are in use");
    leases.remove(idle);
    assert_eq!((0..5).map(|_| pool.next()).collect::<Vec<_>>(), [13; 5]);
    let snapshot = pool.shared.snapshot.load();
    assert!(snapshot.table.iter().all(|slot| (2..=3).contains(&slot.in_flight())), "all are equally busy");
    drop(leases);
    assert_eq!(serve(&pool, 40, &FIRST).len(), 20, "idle keys take turns");
}

#[test]
fn in_a_large_pool_no_key_is_much_busier_than_others() {
    let pool = Pool::of(&active(500), by(Strategy::LeastInFlight));
    let leases: Vec<KeyLease> = (0..5_000).map(|_| pool.checkout(&FIRST, NOW).expect("a key is usable")).collect();
    let busiest = pool.shared.snapshot.load().table.iter().map(|slot| slot.in_flight()).max();
    assert!(busiest.is_some_and(|busiest| busiest <= 16), "{busiest:?} of {}", leases.len());
}

#[test]
fn a_user_keeps_the_key_and_others_take_over_while_it_rests() {
    let mut pool = Pool::of(&active(20), by(Strategy::Sticky));
    let owner = |pool: &Pool, user: u64, now| {
        let want = Want { sticky: Some(scrambled(user)), ..FIRST };
        pool.checkout(&want, now).expect("a key is usable").id().0
    };
    let owners: Vec<i64> = (0..200).map(|user| owner(&pool, user, NOW)).collect();
    slot(&pool, owners[0]).rest(seconds(60));
    let unsettled: Vec<i64> = (0..200).map(|user| owner(&pool, user, NOW)).collect();
    pool.apply(NOW);
    let settled: Vec<i64> = (0..200).map(|user| owner(&pool, user, NOW)).collect();
    assert_eq!(unsettled, settled, "the rebuild moves nobody");
    for (before, after) in owners.iter().zip(&settled) {
        assert_eq!(before != after, *before == owners[0], "only those of the resting key move");
    }
    pool.apply(seconds(60));
    assert_eq!((0..200).map(|user| owner(&pool, user, seconds(60))).collect::<Vec<_>>(), owners);
    let served = serve_at(seconds(60), &pool, 40, &FIRST);
    assert_eq!(served, (1..=20).map(|id| (id, 2)).collect(), "without a user keys take turns");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_deleted_key_moves_only_its_own_users(keys in 2_i64..40, gone in any::<prop::sample::Index>(), users in prop::collection::vec(any::<u64>(), 30)) {
        let gone = i64::try_from(gone.index(usize::try_from(keys).expect("small"))).expect("small") + 1;
        let mut pool = Pool::of(&active(keys), by(Strategy::Sticky));
        let owners = |pool: &Pool| -> Vec<i64> {
            let want = |user: &u64| Want { sticky: Some(*user), ..FIRST };
            users.iter().map(|user| pool.checkout(&want(user), NOW).expect("a key is usable").id().0).collect()
        };
        let before = owners(&pool);
        pool.core.remove(&[KeyId(gone)]);
        pool.core.publish(NOW);
        for (before, after) in before.iter().zip(owners(&pool)) {
            prop_assert_eq!(*before != after, *before == gone);
        }
        pool.core.adopt(&[record(gone, KeyState::Active)], None);
        pool.core.publish(NOW);
        prop_assert_eq!(owners(&pool), before, "the share returns with the key");
    }
}

#[test]
fn worse_keys_serve_only_while_all_better_ones_rest() {
    for strategy in
        [Strategy::RoundRobin, Strategy::Weighted, Strategy::LeastInFlight, Strategy::Random, Strategy::Sticky]
    {
        let mut records = active(5);
        (records[2].priority, records[3].priority, records[4].priority) = (5, 5, 9);
        let mut pool = Pool::of(&records, by(strategy));
        let ids = |pool: &Pool, now| -> Vec<i64> {
            let want = |user| Want { sticky: Some(user), ..FIRST };
            let leases = (0..60).map(|user| pool.checkout(&want(scrambled(user)), now).expect("a key is usable"));
            let mut ids: Vec<i64> = leases.map(|lease| lease.id().0).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        assert_eq!(ids(&pool, NOW), [1, 2], "{strategy:?}");
        [1, 2].iter().for_each(|id| slot(&pool, *id).rest(seconds(60)));
        assert_eq!(ids(&pool, NOW), [3, 4], "at once");
        pool.apply(NOW);
        assert_eq!(ids(&pool, NOW), [3, 4], "and after the rebuild");
        [3, 4].iter().for_each(|id| slot(&pool, *id).rest(seconds(20)));
        pool.apply(NOW);
        assert_eq!(ids(&pool, NOW), [5]);
        pool.apply(seconds(60));
        assert_eq!(ids(&pool, seconds(60)), [1, 2]);
        records[4].priority = -1;
        pool.core.adopt(&records, None);
        pool.core.publish(seconds(60));
        assert_eq!(ids(&pool, seconds(60)), [5], "a person changed the priority");
    }
}

#[test]
fn better_keys_on_probation_serve_one_first_attempt_before_worse_active_ones() {
    let mut records = active(2);
    records[0] = record(1, KeyState::Degraded);
    records[1].priority = 1;
    let pool = Pool::of(&records, SelectionRules::default());
    let first = pool.checkout(&FIRST, NOW).expect("a key is usable");
    assert_eq!((first.id().0, pool.next(), pool.next()), (1, 2, 2));
    drop(first);
    assert_eq!(serve(&pool, 3, &RETRY), BTreeMap::from([(2, 3)]));
    slot(&pool, 2).rest(seconds(9));
    assert_eq!(serve(&pool, 3, &RETRY), BTreeMap::from([(1, 3)]), "the limit is lifted where no active key is");
}

#[test]
fn keys_bound_to_an_upstream_that_is_not_worth_asking_are_avoided() {
    let mut records = active(3);
    records[0].upstream = Some("http://a".to_owned());
    records[1].upstream = Some("http://b".to_owned());
    let mut pool = Pool::of(&records, SelectionRules::default());
    let without_a = |url: &str| url != "http://a";
    let want = Want { is_open: Some(&without_a), ..FIRST };
    assert_eq!(serve(&pool, 6, &want), BTreeMap::from([(2, 3), (3, 3)]));
    let lease = pool.checkout(&FIRST, NOW).expect("a key is usable");
    assert_eq!((lease.id().0, lease.bound_to()), (1, Some("http://a")));
    [2, 3].iter().for_each(|id| slot(&pool, *id).rest(seconds(9)));
    assert_eq!(serve(&pool, 2, &want), BTreeMap::from([(1, 2)]), "there is no other");
    records[0].upstream = None;
    pool.core.adopt(&records, None);
    assert_eq!(pool.checkout(&want, NOW).expect("a key is usable").bound_to(), None, "a person set it free");
    assert_eq!(lease.bound_to(), Some("http://a"), "a request in flight stays where it went");
}

#[test]
fn a_tried_key_comes_before_one_whose_upstream_is_not_worth_asking() {
    let mut records = active(2);
    records[1].upstream = Some("http://b".to_owned());
    let pool = Pool::of(&records, SelectionRules::default());
    let want = Want { tried: &[KeyId(1)], is_open: Some(&|_| false), ..RETRY };
    assert_eq!(serve(&pool, 3, &want), BTreeMap::from([(1, 3)]));
    slot(&pool, 1).rest(seconds(9));
    assert_eq!(serve(&pool, 3, &want), BTreeMap::from([(2, 3)]));
}

#[test]
fn a_key_that_rests_for_one_model_serves_others() {
    let mut pool = Pool::active(2);
    slot(&pool, 1).rest_model("gpt", seconds(20));
    assert_eq!(serve(&pool, 4, &GPT), BTreeMap::from([(2, 4)]));
    assert_eq!(serve(&pool, 4, &FIRST), BTreeMap::from([(1, 2), (2, 2)]));
    slot(&pool, 2).rest_model("gpt", seconds(9));
    for _ in 0..2 {
        let answer = pool.checkout(&GPT, NOW).map(|lease| lease.id().0);
        assert_eq!(answer, Err(NoKey::AllResting(seconds(9))), "before the rebuild and after");
        assert!(pool.checkout(&FIRST, NOW).is_ok());
        pool.apply(NOW);
    }
    let due = pool.core.next_due().expect("a return is on the clock");
    assert!(due < seconds(9) && due > seconds(8));
    pool.apply(due);
    assert_eq!(pool.checkout(&GPT, seconds(9)).map(|lease| lease.id().0), Ok(2));
}

#[test]
fn what_the_state_machine_says_of_a_model_holds() {
    let mut pool = Pool::active(2);
    let mut health = KeyHealth::new(KeyState::Active);
    let out = |until| gpt_load_schema::key::ModelHealth {
        model: "gpt".to_owned(),
        disabled_until: until,
        ..Default::default()
    };
    health.models = vec![out(Some(seconds(20)))];
    let stored = |health: &KeyHealth| [KeyRecord { health: health.clone(), ..record(1, KeyState::Active) }];
    pool.core.adopt(&stored(&health), None);
    pool.core.publish(NOW);
    assert_eq!(serve(&pool, 4, &GPT), BTreeMap::from([(2, 4)]));
    health.models = vec![out(None)];
    pool.core.adopt(&stored(&health), None);
    pool.core.publish(NOW);
    assert_eq!(serve(&pool, 4, &GPT), BTreeMap::from([(1, 2), (2, 2)]));
}

#[test]
fn a_model_that_many_keys_do_not_serve_has_a_rotation_of_its_own() {
    let mut pool = Pool::active(100);
    (1..=90).for_each(|id| slot(&pool, id).rest_model("gpt", seconds(20)));
    slot(&pool, 100).rest_model("rare", seconds(20));
    pool.apply(NOW);
    let snapshot = pool.shared.snapshot.load_full();
    let rotating =
        |model| -> usize { snapshot.view(ModelHash::of(model)).tiers.iter().map(|tier| tier.active.len()).sum() };
    assert_eq!((rotating("gpt"), rotating("rare"), rotating("")), (10, 100, 100));
    assert_eq!(serve(&pool, 30, &GPT), (91..=100).map(|id| (id, 3)).collect());
    let rare = serve(&pool, 99, &Want { model: "rare", ..FIRST });
    assert!(!rare.contains_key(&100) && rare.len() >= 98, "{rare:?}");
    pool.apply(seconds(20));
    assert_eq!(serve_at(seconds(20), &pool, 100, &GPT).len(), 100);
}

#[test]
fn no_key_is_overlooked_when_many_look_at_once() {
    let pool = Pool::active(40);
    (2..=40).for_each(|id| slot(&pool, id).rest(seconds(20)));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..2_000).for_each(|_| assert_eq!(pool.next(), 1)));
        }
    });
}

#[test]
fn handing_out_a_key_allocates_nothing() {
    for strategy in
        [Strategy::RoundRobin, Strategy::Weighted, Strategy::LeastInFlight, Strategy::Random, Strategy::Sticky]
    {
        let pool = Pool::of(&active(100), SelectionRules { strategy, max_in_flight: 9, rpm: 1 << 30 });
        let remaining = Remaining { left: 1 << 40, limit: None, reset_in: Duration::from_secs(60) };
        let announced = Announced { requests: Some(remaining), per_model: true, ..Announced::default() };
        let serve = |rounds: u64| {
            for user in 0..rounds {
                let want = Want { sticky: Some(scrambled(user)), tried: &[KeyId(1)], is_open: Some(&|_| true), ..GPT };
                let lease = pool.checkout(&want, NOW).expect("a key is usable");
                lease.learn(&announced, "gpt", NOW);
                let asked = Asked { upstream: &pool.upstream, model: "gpt" };
                lease.settle(Verdict::new(OutcomeClass::Success, "test"), asked, NOW);
            }
        };
        // Every key meets its limits and the model for the first time.
        serve(5_000);
        let counted = allocation_counter::measure(|| serve(1_000));
        assert_eq!(counted.count_total, 0, "{strategy:?}");
    }
}
