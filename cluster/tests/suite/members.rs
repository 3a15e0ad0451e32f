use std::time::Duration;

use gpt_load_cluster::{
    Cluster, ClusterError, NodeIdentity,
    members::{Member, MemberRole, Report},
};
use tokio::time::{interval, timeout};

use crate::place::{LONG, Place, follows, leads};

crate::everywhere!(
    everyone_is_listed_with_what_they_say_of_themselves,
    a_name_belongs_to_one_living_node,
    a_node_that_died_can_start_again_at_once,
);

/// The members, once they are what is awaited.
pub(crate) async fn listed(node: &Cluster, is_it: impl Fn(&[Member]) -> bool) -> Vec<Member> {
    let mut ticks = interval(Duration::from_millis(20));
    let seen = async {
        loop {
            ticks.tick().await;
            let members = node.members.list().await.unwrap();
            if is_it(&members) {
                return members;
            }
        }
    };
    timeout(LONG, seen).await.expect("the members stay others")
}

async fn everyone_is_listed_with_what_they_say_of_themselves(place: Place) {
    let identity = NodeIdentity { address: "10.0.0.1:3001".into(), version: "1.2.3".into(), ..NodeIdentity::new("a") };
    let a = place.try_join(identity.clone()).await.unwrap();
    leads(&a).await;
    let b = place.join_slave("b").await;
    follows(&b, "a").await;
    let report = Report { journal_bytes: 1, journal_records: 2, lag_ms: 3, versions_behind: 4 };
    a.members.report(report);
    let all = listed(&b, |members| members.iter().any(|member| member.report == report)).await;
    assert_eq!(all.len(), 2);
    assert_eq!((&all[0].node, all[0].role), (&identity, MemberRole::Leader));
    assert_eq!((all[1].node.name.as_str(), all[1].role, all[1].node.is_slave), ("b", MemberRole::Follower, true));
    let known = b.members.known();
    assert_eq!(
        known.iter().map(|member| (&member.node, member.role)).collect::<Vec<_>>(),
        [(&all[0].node, MemberRole::Leader), (&all[1].node, MemberRole::Follower),]
    );
    b.leave().await;
    let left = listed(&a, |members| members.len() == 1).await;
    assert_eq!(left[0].node.name, "a");
}

async fn a_name_belongs_to_one_living_node(place: Place) {
    let a = place.try_join(NodeIdentity { address: "10.0.0.1:3001".into(), ..NodeIdentity::new("a") }).await.unwrap();
    let refused = place.try_join(NodeIdentity::new("a")).await.unwrap_err();
    assert_eq!(refused, ClusterError::NameTaken { name: "a".into(), address: "10.0.0.1:3001".into() });
    assert_eq!(a.members.list().await.unwrap().len(), 1);
}

async fn a_node_that_died_can_start_again_at_once(place: Place) {
    let first = place.join("a").await;
    let other = place.join("other").await;
    let before = first.node.instance;
    drop(first);
    let again = place.join("a").await;
    let all = listed(&other, |members| members.len() == 2).await;
    assert_eq!(all[0].node.instance, again.node.instance);
    assert!(again.node.instance > before);
}
