use super::*;
use crate::{
    ids::KeyId,
    resource::{Resource, ResourceKind},
    store::OutcomeProofs,
};

on_every_database! {
    owners_are_found_until_they_are_forgotten,
    many_ids_are_looked_up_at_once,
    the_latest_word_rules_and_a_group_takes_its_resources_along,
    what_is_over_is_pruned_a_few_at_a_time,
}

fn file(group: GroupId, id: &str, key: i64, expires_in: i64) -> Resource {
    Resource {
        group_id: group,
        id: id.into(),
        key_id: KeyId(key),
        kind: ResourceKind::File,
        created_at: NOW,
        expires_at: Timestamp(NOW.0 + expires_in),
    }
}

/// Owners of `ids`, in order.
async fn owners(fixture: &Fixture, groups: &[GroupId], ids: &[&str], after: i64) -> Vec<(i64, String, i64)> {
    let ids: Vec<Box<str>> = ids.iter().map(|id| Box::from(*id)).collect();
    let found = fixture.store.resource_owners(groups, &ids, Timestamp(NOW.0 + after)).await.expect("owners");
    let mut found: Vec<_> =
        found.into_iter().map(|owner| (owner.group_id.0, owner.id.into_string(), owner.key_id.0)).collect();
    found.sort();
    found
}

async fn owners_are_found_until_they_are_forgotten(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (one, two) = (GroupId(1), GroupId(2));
    let stored =
        [file(one, "file-a", 7, 100), file(one, "FILE-A", 8, 100), file(two, "file-a", 9, 50), file(one, "x", 1, 0)];
    fixture.writer.commit_with(&[], &[], &stored, &OutcomeProofs::default(), NOW).await.expect("committed");
    let both = [one, two];
    let expected = [(1, "file-a".to_owned(), 7), (2, "file-a".to_owned(), 9)];
    assert_eq!(owners(&fixture, &both, &["file-a", "x", "file-b"], 0).await, expected, "no case is ignored");
    assert_eq!(owners(&fixture, &both, &["file-a"], 50).await, expected[..1]);
    assert_eq!(owners(&fixture, &[two], &["file-a"], 0).await, expected[1..]);
    assert_eq!(owners(&fixture, &both, &[], 0).await, []);
    assert_eq!(owners(&fixture, &[], &["file-a"], 0).await, []);
}

async fn many_ids_are_looked_up_at_once(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = GroupId(1);
    let ids: Vec<String> = (0..350).map(|number| format!("file-{number}")).collect();
    let stored: Vec<_> = ids.iter().map(|id| file(group, id, 1, 9)).collect();
    fixture.writer.commit_with(&[], &[], &stored, &OutcomeProofs::default(), NOW).await.expect("committed");
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(owners(&fixture, &[group], &ids, 0).await.len(), 350);
}

async fn the_latest_word_rules_and_a_group_takes_its_resources_along(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (one, two) = (fixture.group("one").await.id, fixture.group("two").await.id);
    let twice = [file(one, "a", 1, 10), file(one, "a", 2, 20), file(two, "a", 3, 20)];
    fixture
        .writer
        .commit_with(&[], &[log(one, None)], &twice, &OutcomeProofs::default(), NOW)
        .await
        .expect("committed");
    assert_eq!(owners(&fixture, &[one], &["a"], 15).await, [(one.0, "a".to_owned(), 2)]);
    fixture.writer.delete_group(one).await.expect("deleted");
    assert_eq!(owners(&fixture, &[one, two], &["a"], 0).await, [(two.0, "a".to_owned(), 3)]);
}

async fn what_is_over_is_pruned_a_few_at_a_time(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = GroupId(1);
    let stored: Vec<_> = (0..10).map(|number| file(group, &format!("f{number}"), 1, number)).collect();
    fixture.writer.commit_with(&[], &[], &stored, &OutcomeProofs::default(), NOW).await.expect("committed");
    let now = Timestamp(NOW.0 + 4);
    for expected in [3, 2, 0] {
        assert_eq!(fixture.writer.prune_resources(now, 3).await.expect("pruned"), expected);
    }
    let ids: Vec<String> = (0..10).map(|number| format!("f{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let left = owners(&fixture, &[group], &ids, -1).await;
    assert_eq!(left.iter().map(|(_, id, _)| id.as_str()).collect::<Vec<_>>(), ["f5", "f6", "f7", "f8", "f9"]);
}
