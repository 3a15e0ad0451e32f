//! Redis stops and comes back; the way to it is cut; nodes die.

use std::time::{Duration, Instant};

use gpt_load_cluster::{
    Cluster, ClusterError, Epoch, NodeIdentity,
    bus::Event,
    counters::Limit,
    lease::Role,
    memory::InMemoryCluster,
    over_redis::{self, RedisOptions},
    versions::Version,
};
use tokio::time::timeout;

use crate::{
    bus::message,
    members::listed,
    place::{LONG, Place, follows, is_away, leads, role},
    redis_server::{RedisServer, Way},
};

const FOLLOWER: Role = Role::Follower { leader: None };

async fn join(way: &Way, name: &str) -> Cluster {
    let options = RedisOptions { dsn: way.dsn.parse().unwrap(), cluster: "c".into(), extra_ca: None, patience: LONG };
    over_redis::join(&options, NodeIdentity::new(name)).await.unwrap()
}

async fn reaches(node: &Cluster, is_there: bool) {
    let mut reachable = node.reachable.clone();
    timeout(LONG, reachable.wait_for(|reachable| *reachable == is_there)).await.expect("no change").unwrap();
}

#[tokio::test]
async fn all_comes_back_with_a_redis_that_has_lost_its_memory() {
    let mut redis = RedisServer::start("s3cret").await;
    let (way_of_a, way_of_b) = (redis.way().await, redis.way().await);
    let a = join(&way_of_a, "a").await;
    leads(&a).await;
    assert_eq!(a.lease.lead(Epoch(6)).await, Some(Epoch(7)));
    let b = join(&way_of_b, "b").await;
    follows(&b, "a").await;
    reaches(&b, true).await;
    b.uplink.send("before".into()).await.unwrap();
    assert_eq!(a.uplink.receive(1, LONG).await.unwrap().len(), 1);
    let mut listener = b.bus.subscribe();
    listed(&a, |members| members.len() == 2).await;

    let stopped = Instant::now();
    redis.stop();
    role(&a, |role| *role == FOLLOWER).await;
    assert!(stopped.elapsed() < Duration::from_secs(3), "steps down before the lock is over: {:?}", stopped.elapsed());
    reaches(&b, false).await;
    is_away(a.bus.publish("topic", "".into()).await);
    is_away(b.uplink.send("lost".into()).await);
    is_away(a.versions.all().await);
    is_away(a.members.list().await);
    assert!(a.members.known().iter().any(|member| member.node.name == "b"), "who was there is remembered");
    let limit = Limit { counter: "x".into(), limit: 1, interval: Duration::from_secs(60) };
    let asked = Instant::now();
    is_away(b.counters.take(&[limit]).await);
    assert!(asked.elapsed() < Duration::from_millis(500), "a request does not wait for what is known to be away");

    redis.begin().await;
    let (a_leads, b_leads) = (a.clone(), b.clone());
    let leader = tokio::select! { epoch = leads(&a_leads) => epoch, epoch = leads(&b_leads) => epoch };
    assert_eq!(leader, Epoch(8), "greater than any before, though Redis does not know those");
    reaches(&a, true).await;
    reaches(&b, true).await;
    assert_eq!(timeout(LONG, listener.next()).await.unwrap(), Some(Event::Missed));
    a.bus.publish("topic", "again".into()).await.unwrap();
    assert_eq!(message(&mut listener).await.payload, "again");
    b.uplink.send("after".into()).await.unwrap();
    assert_eq!(a.uplink.receive(1, LONG).await.unwrap()[0].payload, "after");
    a.versions.publish("settings", Version(3)).await.unwrap();
    listed(&b, |members| members.len() == 2).await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_steps_down_before_another_leads() {
    let redis = RedisServer::start("s3cret").await;
    let (way_of_a, way_of_b) = (redis.way().await, redis.way().await);
    let a = join(&way_of_a, "a").await;
    let first = leads(&a).await;
    let b = join(&way_of_b, "b").await;
    follows(&b, "a").await;
    let mut listener = a.bus.subscribe();
    let cut = Instant::now();
    way_of_a.cut();
    let epoch = leads(&b).await;
    assert!(cut.elapsed() < Duration::from_secs(5), "{:?}", cut.elapsed());
    assert!(epoch > first);
    assert_eq!((a.lease.current(), a.lease.watch().borrow().clone()), (None, FOLLOWER));
    reaches(&a, false).await;
    way_of_a.mend();
    follows(&a, "b").await;
    reaches(&a, true).await;
    let mut missed = false;
    b.bus.publish("topic", "hello".into()).await.unwrap();
    loop {
        match timeout(LONG, listener.next()).await.unwrap().unwrap() {
            Event::Missed => missed = true,
            Event::Message(message) => break assert_eq!(message.payload, "hello"),
        }
    }
    assert!(missed);
}

#[tokio::test]
async fn another_leads_soon_after_a_leader_was_killed() {
    let place = Place::redis();
    let a = place.join("a").await;
    leads(&a).await;
    let (b, c) = (place.join("b").await, place.join_slave("c").await);
    follows(&b, "a").await;
    let killed = Instant::now();
    drop(a);
    assert_eq!(leads(&b).await, Epoch(2));
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    follows(&c, "b").await;
}

#[tokio::test(start_paused = true)]
async fn a_node_in_memory_can_be_cut_off_as_well() {
    let place = InMemoryCluster::default();
    let (a, line) = place.join(NodeIdentity::new("a")).await.unwrap();
    leads(&a).await;
    let (b, _) = place.join(NodeIdentity::new("b")).await.unwrap();
    follows(&b, "a").await;
    let mut listener = a.bus.subscribe();
    let cut = tokio::time::Instant::now();
    line.cut();
    is_away(a.bus.publish("topic", "".into()).await);
    b.bus.publish("topic", "unheard".into()).await.unwrap();
    assert_eq!(leads(&b).await, Epoch(2));
    assert!(cut.elapsed() < Duration::from_secs(4), "{:?}", cut.elapsed());
    assert_eq!(a.lease.current(), None);
    listed(&b, |members| members.len() == 1).await;
    line.mend();
    assert_eq!(listener.next().await, Some(Event::Missed));
    follows(&a, "b").await;
    listed(&b, |members| members.len() == 2).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_without_a_password() {
    let redis = RedisServer::start("s3cret").await;
    let way = redis.way().await;
    let options =
        |dsn: &str| RedisOptions { dsn: dsn.parse().unwrap(), cluster: "c".into(), extra_ca: None, patience: LONG };
    let wrong = options(&way.dsn.replace("s3cret", "wr0ng"));
    let refused = over_redis::join(&wrong, NodeIdentity::new("a")).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Refused(_)), "{refused:?}");
    let text = format!("{refused} {refused:?} {wrong:?}");
    assert!(text.contains("127.0.0.1:") && !text.contains("wr0ng") && !text.contains("s3cret"), "{text}");
    let nobody = options("redis://:s3cret@127.0.0.1:1");
    let away = over_redis::join(&nobody, NodeIdentity::new("a")).await.unwrap_err();
    assert!(matches!(away, ClusterError::Unavailable(_)) && !away.to_string().contains("s3cret"), "{away}");
    assert!(away.to_string().contains("127.0.0.1:1"), "{away}");
}
