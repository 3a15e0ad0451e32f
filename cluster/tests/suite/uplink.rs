use std::time::Duration;

use gpt_load_cluster::{Cluster, uplink::Received};
use tokio::time::timeout;

use crate::place::{LONG, Place};

crate::everywhere!(
    entries_arrive_in_order_and_are_gone_when_acknowledged,
    a_new_leader_gets_first_what_its_predecessor_left,
    who_waits_is_woken,
    nothing_is_lost_when_nobody_waits_any_longer,
);

async fn receive(node: &Cluster, max: usize) -> Vec<Received> {
    node.uplink.receive(max, LONG).await.unwrap()
}

fn told(received: &[Received]) -> Vec<(&str, &[u8])> {
    received.iter().map(|entry| (entry.node.as_str(), &entry.payload[..])).collect()
}

async fn entries_arrive_in_order_and_are_gone_when_acknowledged(place: Place) {
    let (leader, a, b) = (place.join("leader").await, place.join("a").await, place.join("b").await);
    assert_eq!(leader.uplink.receive(10, Duration::ZERO).await.unwrap(), []);
    a.uplink.send(vec![0, 159, 146].into()).await.unwrap();
    b.uplink.send("two".into()).await.unwrap();
    a.uplink.send("three".into()).await.unwrap();
    assert_eq!(leader.uplink.backlog().await.unwrap(), 3);
    let first = receive(&leader, 2).await;
    assert_eq!(told(&first), [("a", &[0, 159, 146][..]), ("b", b"two")]);
    let second = receive(&leader, 2).await;
    assert_eq!(told(&second), [("a", &b"three"[..])]);
    leader.uplink.acknowledge(&first.into_iter().map(|entry| entry.id).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(leader.uplink.backlog().await.unwrap(), 1);
    assert_eq!(
        leader.uplink.receive(10, Duration::from_millis(20)).await.unwrap(),
        [],
        "what was handed out is not new"
    );
    leader.uplink.reclaim().await.unwrap();
    assert_eq!(receive(&leader, 10).await, second);
    leader.uplink.acknowledge(&[second[0].id.clone()]).await.unwrap();
    leader.uplink.acknowledge(&[second[0].id.clone()]).await.unwrap();
    assert_eq!(leader.uplink.backlog().await.unwrap(), 0);
}

async fn a_new_leader_gets_first_what_its_predecessor_left(place: Place) {
    let (old, new, node) = (place.join("old").await, place.join("new").await, place.join("node").await);
    for number in 0..7 {
        node.uplink.send(format!("{number}").into()).await.unwrap();
    }
    let held = receive(&old, 5).await;
    assert_eq!(held.len(), 5);
    old.uplink.acknowledge(&[held[1].id.clone()]).await.unwrap();
    new.uplink.reclaim().await.unwrap();
    let mut got = Vec::new();
    while got.len() < 6 {
        let batch = receive(&new, 3).await;
        assert!((1..=3).contains(&batch.len()));
        got.extend(batch.into_iter().map(|entry| String::from_utf8(entry.payload.to_vec()).unwrap()));
    }
    assert_eq!(got, ["0", "2", "3", "4", "5", "6"]);
    assert_eq!(new.uplink.receive(3, Duration::ZERO).await.unwrap(), []);
}

async fn who_waits_is_woken(place: Place) {
    let (leader, node) = (place.join("leader").await, place.join("node").await);
    assert_eq!(leader.uplink.receive(1, Duration::ZERO).await.unwrap(), []);
    let waiting = leader.clone();
    let waiting = tokio::spawn(async move { receive(&waiting, 1).await });
    tokio::task::yield_now().await;
    node.uplink.send("now".into()).await.unwrap();
    assert_eq!(told(&waiting.await.unwrap()), [("node", &b"now"[..])]);
}

async fn nothing_is_lost_when_nobody_waits_any_longer(place: Place) {
    let (leader, node) = (place.join("leader").await, place.join("node").await);
    for number in 0..20 {
        let waits = timeout(Duration::from_millis(number % 4), leader.uplink.receive(1, LONG));
        let (got, sent) = tokio::join!(waits, node.uplink.send(number.to_string().into()));
        sent.unwrap();
        let got = match got {
            Ok(got) => got.unwrap(),
            Err(_) => receive(&leader, 1).await,
        };
        assert_eq!(told(&got), [("node", number.to_string().as_bytes())]);
    }
}
