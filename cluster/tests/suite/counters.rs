use std::time::Duration;

use gpt_load_cluster::{
    Cluster,
    counters::{Limit, UsedUp},
};

use crate::place::Place;

crate::everywhere!(
    nodes_count_together,
    a_request_is_counted_in_all_limits_or_in_none,
    what_is_given_back_can_be_taken_again,
    many_at_once_never_take_more_than_there_is,
);

const HOUR: Duration = Duration::from_secs(3_600);

fn limit(counter: &str, limit: u32) -> Limit {
    Limit { counter: counter.into(), limit, interval: HOUR }
}

async fn node(place: &Place, name: &str) -> Cluster {
    let node = place.join(name).await;
    node.reachable.clone().wait_for(|reachable| *reachable).await.unwrap();
    node
}

fn refused(answer: Result<gpt_load_cluster::counters::Taken, UsedUp>) -> usize {
    let UsedUp { index, wait } = answer.unwrap_err();
    assert!(wait > HOUR / 2 && wait <= HOUR + HOUR / 32, "{wait:?}");
    index
}

async fn nodes_count_together(place: Place) {
    let (a, b) = (node(&place, "a").await, node(&place, "b").await);
    for (node, count) in [(&a, 3), (&b, 2)] {
        for _ in 0..count {
            node.counters.take(&[limit("x", 5)]).await.unwrap().unwrap();
        }
    }
    assert_eq!(refused(a.counters.take(&[limit("x", 5)]).await.unwrap()), 0);
    assert_eq!(refused(b.counters.take(&[limit("x", 5)]).await.unwrap()), 0);
    b.counters.take(&[limit("y", 5)]).await.unwrap().unwrap();
    b.counters.take(&[limit("x", 6)]).await.unwrap().unwrap();
    assert_eq!(refused(b.counters.take(&[limit("x", 6)]).await.unwrap()), 0);
}

async fn a_request_is_counted_in_all_limits_or_in_none(place: Place) {
    let a = node(&place, "a").await;
    let both = [limit("wide", 1_000), limit("narrow", 2)];
    for _ in 0..2 {
        a.counters.take(&both).await.unwrap().unwrap();
    }
    for _ in 0..3 {
        assert_eq!(refused(a.counters.take(&both).await.unwrap()), 1);
    }
    // Two were counted in the wide one: the third is the last of three.
    a.counters.take(&[limit("wide", 3)]).await.unwrap().unwrap();
    assert_eq!(refused(a.counters.take(&[limit("wide", 3)]).await.unwrap()), 0);
}

async fn what_is_given_back_can_be_taken_again(place: Place) {
    let a = node(&place, "a").await;
    for size in [1, 500] {
        let limits = [limit(&format!("of {size}"), size)];
        let mut taken = Vec::new();
        for _ in 0..size {
            taken.push(a.counters.take(&limits).await.unwrap().unwrap());
        }
        assert_eq!(refused(a.counters.take(&limits).await.unwrap()), 0);
        a.counters.give_back(&limits, &taken[0]).await.unwrap();
        a.counters.take(&limits).await.unwrap().unwrap();
        assert_eq!(refused(a.counters.take(&limits).await.unwrap()), 0);
    }
}

async fn many_at_once_never_take_more_than_there_is(place: Place) {
    let nodes = [node(&place, "a").await, node(&place, "b").await];
    for size in [10, 100] {
        let limits = [limit(&format!("of {size}"), size)];
        let takers: Vec<_> = (0..8)
            .map(|taker| {
                let (node, limits) = (nodes[taker % 2].clone(), limits.clone());
                tokio::spawn(async move {
                    let mut taken = 0;
                    for _ in 0..40 {
                        taken += u32::from(node.counters.take(&limits).await.unwrap().is_ok());
                    }
                    taken
                })
            })
            .collect();
        let mut taken = 0;
        for taker in takers {
            taken += taker.await.unwrap();
        }
        assert_eq!(taken, size);
    }
}
