use super::*;
use crate::key::KeyState::{Active, Disabled, Invalid, Pending};

on_every_database! {
    keys_are_chosen_by_age_state_and_last_validation_page_by_page,
}

async fn matching(fixture: &Fixture, group: GroupId, filter: &ValidationFilter) -> Vec<i64> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = fixture.store.keys_to_validate(group, filter, after, 2).await.expect("read");
        after = page.last().copied();
        if after.is_none() {
            return all;
        }
        all.extend(page.iter().map(|id| id.0));
    }
}

async fn keys_are_chosen_by_age_state_and_last_validation_page_by_page(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (group, other) = (fixture.group("one").await.id, fixture.group("two").await.id);
    fixture.keys(other, &["sk-other"]).await;
    let mut ids = Vec::new();
    let ages = [(0, Pending), (10, Pending), (10, Invalid), (20, Active)];
    for (at, state) in ages.into_iter().chain([(30, Invalid)]) {
        let value = [Secret::from(format!("sk-{}", ids.len()))];
        let at = Timestamp(NOW.0 + at);
        let added = fixture.writer.insert_keys(group, &value, state, KeySource::Manual, at).await.expect("added");
        ids.push(added.keys[0].clone());
    }
    let validated = |at: usize, when: i64| KeyDelta {
        id: ids[at].id,
        health: KeyHealth { last_validated_at: Some(Timestamp(NOW.0 + when)), ..KeyHealth::new(ids[at].health.state) },
        failures: 0,
        reset_failures: false,
    };
    fixture.writer.commit(&[validated(1, 50), validated(4, 60)], &[], NOW).await.expect("committed");

    for (since, states, before, expected) in [
        (0, &[Pending, Invalid][..], None, &[0, 1, 2, 4][..]),
        (10, &[Pending, Invalid], None, &[1, 2, 4]),
        (31, &[Pending, Invalid], None, &[]),
        (0, &[Pending, Invalid], Some(50), &[0, 2]),
        (0, &[Pending, Invalid], Some(51), &[0, 1, 2]),
        (0, &[Active, Disabled], Some(0), &[3]),
        (0, &[], None, &[]),
    ] {
        let filter = ValidationFilter {
            created_since: Timestamp(NOW.0 + since),
            states: states.to_vec(),
            validated_before: before.map(|at| Timestamp(NOW.0 + at)),
        };
        let expected: Vec<i64> = expected.iter().map(|at| ids[*at].id.0).collect();
        assert_eq!(matching(&fixture, group, &filter).await, expected, "{filter:?}");
    }
    for (since, count) in [(0, 2), (50, 2), (51, 1), (61, 0)] {
        let since = Timestamp(NOW.0 + since);
        assert_eq!(fixture.store.keys_validated_since(group, since).await.expect("read"), count);
    }
}
