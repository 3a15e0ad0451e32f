use std::time::{Duration, Instant};

use gpt_load_cluster::lease::Role;
use gpt_load_schema::{
    audit::{Actor, ActorKind, Deed, Ending, Outcome, Subject},
    store::AuditFilter,
    task::TaskKind,
    time::Timestamp,
};
use serde_json::Value;

use super::{Team, until};
use crate::{
    commands::{Command, CommandError, Reply},
    tests::fixture::{add, definition},
};

#[actix_rt::test]
async fn a_follower_refuses_writes_and_its_view_says_who_leads() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let refused = follower.runtime.execute(Command::CreateGroup(Box::new(definition("mine")))).await;
    assert!(matches!(refused, Err(CommandError::NoLeader)), "{refused:?}");
    let (of_leader, of_follower) = (leader.runtime.cluster_view(), follower.runtime.cluster_view());
    assert!(matches!(of_leader.role, Role::Leader(_)) && of_leader.is_shared);
    assert_eq!((of_leader.leader.as_deref(), of_follower.leader.as_deref()), (Some("a"), Some("a")));
    assert_eq!((of_follower.name.as_str(), of_follower.versions_behind), ("b", 0));
    follower.runtime.stop().await;
    leader.runtime.stop().await;
}

#[actix_rt::test]
async fn when_the_leader_is_killed_another_takes_over() {
    let team = Team::new().await;
    let first = team.mate("a").await;
    first.leads().await;
    let group = first.group("default", 2).await;
    let second = team.mate("b").await;
    second.follows("a").await;
    until("the second has the keys", async || second.has(group, 2)).await;
    // A task is under way at the leader when it is killed.
    let task = first.runtime.tasks().begin(TaskKind::KeyImport, "default", 9, Timestamp::now()).expect("none runs");
    until("its record is stored", async || first.store.task().await.expect("read").is_some()).await;
    second.record(5);
    first.record(3);
    let killed = Instant::now();
    let dir = first.kill().await;
    drop(task);
    second.leads().await;
    assert!(killed.elapsed() < Duration::from_secs(30), "{:?}", killed.elapsed());
    until("it has taken over", async || second.runtime.tasks().current(Timestamp::now()).is_some()).await;
    let task = second.runtime.tasks().current(Timestamp::now()).expect("it is remembered");
    assert!(!task.is_running() && task.error.is_some(), "{task:?}");
    assert!(matches!(second.execute(add(group, 5..8)).await, Reply::Added { added: 3, total: 5, .. }));
    let first = team.mate_in("c", false, dir).await;
    team.rows_are(8).await;
    assert!(first.has(group, 5));
    first.runtime.stop().await;
    second.runtime.stop().await;
    assert_eq!(team.rows().await, 8);
}

#[actix_rt::test]
async fn a_leader_that_the_database_does_not_know_any_more_steps_down() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let Some(before) = leader.cluster.lease.current() else { panic!("it leads") };
    // Its lock is its own: it may outbid whoever wrote.
    leader.store.writer(before.0 + 5).put_settings(&Default::default(), Timestamp(1)).await.expect("claimed");
    leader.record(1);
    team.rows_are(1).await;
    assert!(leader.cluster.lease.current().is_some_and(|epoch| epoch.0 > before.0 + 5));
    follower.runtime.stop().await;
    leader.runtime.stop().await;
}

#[actix_rt::test]
async fn leadership_is_handed_over_at_a_stop() {
    let team = Team::new().await;
    let first = team.mate("a").await;
    first.leads().await;
    let second = team.mate("b").await;
    second.follows("a").await;
    first.record(4);
    first.runtime.stop().await;
    second.leads().await;
    second.group("default", 1).await;
    second.record(2);
    second.runtime.stop().await;
    assert_eq!(team.rows().await, 6);
}

#[actix_rt::test]
async fn what_a_follower_has_to_note_is_noted_by_the_leader() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let deed = Deed {
        actor: Actor::of_kind(ActorKind::Unknown),
        action: "auth.failed",
        subject: Subject::of_kind("management_api"),
        at: Timestamp::now(),
    };
    follower.runtime.audit().record(deed, Ending { outcome: Outcome::Refused, ..Ending::done(Value::Null) });
    let filter = AuditFilter::default();
    let noted = async || team.store.audit_page(&filter, 1, 10).await.expect("read").items;
    until("it is noted", async || !noted().await.is_empty()).await;
    let rows = noted().await;
    assert_eq!((rows.len(), rows[0].action.as_str(), rows[0].outcome.as_str()), (1, "auth.failed", "refused"));
    follower.runtime.stop().await;
    leader.runtime.stop().await;
}
