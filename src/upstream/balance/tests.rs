use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(100);

fn picks(balancer: &Balancer, count: usize) -> Vec<usize> {
    (0..count).map(|_| balancer.pick(NOW, &[])).collect()
}

#[test]
fn weights_are_spread_smoothly() {
    assert_eq!(picks(&Balancer::new(&[5, 1, 1], 5), 7), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(picks(&Balancer::new(&[1, 1], 5), 4), [0, 1, 0, 1]);
    assert_eq!(picks(&Balancer::new(&[3], 5), 2), [0, 0]);
    assert_eq!(picks(&Balancer::new(&[], 5), 1), [0]);
}

#[test]
fn weight_zero_is_a_reserve() {
    let balancer = Balancer::new(&[1, 0], 1);
    assert_eq!(picks(&balancer, 3), [0, 0, 0]);
    assert_eq!(balancer.pick(NOW, &[0]), 1);
    balancer.report(0, Health::Fault, NOW);
    assert_eq!(picks(&balancer, 3), [1, 1, 1]);
}

#[test]
fn an_open_circuit_is_passed_over_until_its_probe_is_due() {
    let balancer = Balancer::new(&[1, 1], 2);
    balancer.report(0, Health::Fault, NOW);
    balancer.report(0, Health::Fault, NOW);
    assert_eq!(picks(&balancer, 4), [1, 1, 1, 1]);
    let later = NOW + Duration::from_secs(1);
    let probes = (0..6).filter(|_| balancer.pick(later, &[]) == 0).count();
    assert_eq!(probes, 1, "one probe at a time");
    balancer.report(0, Health::Healthy, later);
    assert_eq!(balancer.states()[0].circuit, Circuit::Closed);
    let back = (0..6).filter(|_| balancer.pick(later, &[]) == 0).count();
    assert_eq!(back, 3);
}

#[test]
fn an_upstream_that_a_key_is_bound_to_is_asked_by_the_rules_of_its_breaker() {
    let balancer = Balancer::new(&[1, 0], 1);
    assert!(balancer.is_open(0, NOW) && balancer.is_open(1, NOW) && !balancer.is_open(2, NOW));
    balancer.report(1, Health::Fault, NOW);
    assert!(balancer.is_open(0, NOW) && !balancer.is_open(1, NOW));
    let later = NOW + Duration::from_secs(1);
    assert!(balancer.is_open(1, later));
    balancer.asked(1, later);
    assert!(!balancer.is_open(1, later), "one probe at a time");
    balancer.asked(2, later);
    let only = Balancer::new(&[1], 1);
    only.report(0, Health::Fault, NOW);
    assert!(only.is_open(0, NOW));
}

#[test]
fn tried_upstreams_come_last() {
    let balancer = Balancer::new(&[1, 1, 1], 5);
    assert_eq!(balancer.pick(NOW, &[0, 1]), 2);
    assert_eq!(balancer.pick(NOW, &[1, 2]), 0);
    assert!(balancer.pick(NOW, &[0, 1, 2]) < 3);
}

#[test]
fn with_all_open_the_least_bad_is_taken() {
    let balancer = Balancer::new(&[1, 1], 1);
    balancer.report(0, Health::Fault, NOW);
    balancer.report(1, Health::Fault, NOW + Duration::from_millis(10));
    assert_eq!(balancer.pick(NOW + Duration::from_millis(20), &[]), 0);
    assert_eq!(balancer.pick(NOW + Duration::from_millis(20), &[0]), 1);
    assert_eq!(
        balancer.states()[1],
        UpstreamState {
            weight: 1,
            circuit: Circuit::Open { until: NOW + Duration::from_millis(1010) },
            consecutive_faults: 1
        }
    );
}

#[test]
fn workers_share_one_rotation() {
    let balancer = Balancer::new(&[3, 1], 5);
    let counts = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..4).map(|_| threads.spawn(|| picks(&balancer, 100))).collect();
        let picked: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
        picked.iter().filter(|&&index| index == 0).count()
    });
    assert_eq!(counts, 300);
}

proptest! {
    #[test]
    fn every_round_gives_each_its_weight(weights in prop::collection::vec(1_u32..20, 2..6)) {
        let balancer = Balancer::new(&weights, 5);
        let round: u32 = weights.iter().sum();
        for _ in 0..2 {
            let picked = picks(&balancer, round as usize);
            for (index, weight) in weights.iter().enumerate() {
                prop_assert_eq!(picked.iter().filter(|&&pick| pick == index).count() as u32, *weight);
            }
        }
    }
}
