use gpt_load_schema::{ids::KeyId, key::KeyState, store::KeySelector};

use super::{Mate, Team, until};
use crate::{
    commands::{Command, Order, Reply},
    tests::fixture::{add, definition},
};

impl Mate {
    /// Whether the node routes the group, with so many keys.
    pub(super) fn has(&self, group: gpt_load_schema::ids::GroupId, keys: i64) -> bool {
        let table = self.sink.0.load_full();
        let route = table.as_ref().and_then(|table| table.groups.iter().find(|route| route.group.id == group));
        route.is_some_and(|route| route.pool.counts().total() == keys)
    }

    fn group_names(&self) -> Vec<String> {
        let table = self.sink.0.load_full().expect("a table was published");
        table.groups.iter().map(|route| route.group.definition.name.clone()).collect()
    }
}

/// A leader's changes, one after the other, each seen by the follower.
async fn change_everything(leader: &Mate, follower: &Mate) {
    let group = leader.group("default", 3).await;
    until("keys are added", async || follower.has(group, 3)).await;
    let ids: Vec<KeyId> = leader.keys(group).await.iter().map(|key| key.id).collect();
    leader.execute(Command::DeleteKeys(group, KeySelector::Ids(vec![ids[1]]))).await;
    until("a key is deleted", async || follower.has(group, 2)).await;
    leader.execute(Command::OrderKey(group, ids[0], Order::Disable)).await;
    until("a key is disabled", async || follower.pool(group).counts().disabled == 1).await;
    leader.execute(Command::RestoreKeys(group, KeySelector::Ids(vec![ids[0]]))).await;
    until("a key is restored", async || follower.pool(group).counts().active == 2).await;
    let Reply::Added { added: 1_500, .. } = leader.execute(add(group, 10..1_510)).await else { panic!("not added") };
    until("many keys are added", async || follower.has(group, 1_502)).await;
    leader.execute(Command::DeleteKeys(group, KeySelector::State(KeyState::Active))).await;
    until("many keys are deleted", async || follower.has(group, 0)).await;
    leader.execute(Command::UpdateGroup(group, Box::new(definition("renamed")))).await;
    until("the group is renamed", async || follower.group_names() == ["renamed"]).await;
    leader.set("blacklist_threshold", "7").await;
    let threshold = || follower.sink.0.load_full().expect("a table was published").settings.blacklist_threshold;
    until("the setting is in force", async || threshold() == 7).await;
    leader.execute(Command::DeleteGroup(group)).await;
    until("the group is gone", async || follower.group_names().is_empty()).await;
}

#[actix_rt::test]
async fn a_follower_sees_what_the_leader_changes() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    change_everything(&leader, &follower).await;
    assert_eq!(follower.runtime.cluster_view().versions_behind, 0);
    leader.runtime.stop().await;
    follower.runtime.stop().await;
}

#[actix_rt::test]
async fn changes_that_nobody_heard_of_are_found_by_their_versions() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    leader.faults.mute.lock().extend(["changed", "keys"]);
    change_everything(&leader, &follower).await;
    leader.runtime.stop().await;
    follower.runtime.stop().await;
}

#[actix_rt::test]
async fn one_lost_message_is_made_up_for_with_the_next() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    let group = leader.group("default", 3).await;
    until("keys are added", async || follower.has(group, 3)).await;
    leader.faults.mute.lock().push("changed");
    leader.execute(add(group, 10..14)).await;
    leader.faults.mute.lock().clear();
    leader.execute(add(group, 20..21)).await;
    until("both additions are there", async || follower.has(group, 8)).await;
    leader.runtime.stop().await;
    follower.runtime.stop().await;
}

#[actix_rt::test]
async fn what_changed_while_a_node_was_cut_off_is_there_when_it_is_back() {
    let team = Team::new().await;
    let (leader, follower) = team.pair().await;
    follower.line.cut();
    let group = leader.group("default", 3).await;
    follower.line.mend();
    until("the group is there", async || follower.has(group, 3)).await;
    let late = team.slave("c").await;
    assert!(late.has(group, 3), "whoever starts has everything at once");
    let work = leader.runtime.key_work().delete_all(group, None).await.expect("deleted");
    assert_eq!(work, (3, 0));
    until("no key is left", async || follower.has(group, 0) && late.has(group, 0)).await;
    for mate in [late, follower, leader] {
        mate.runtime.stop().await;
    }
}
