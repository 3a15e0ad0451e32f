use super::*;
use crate::watermark::{Mark, Turn};

on_every_database! {
    each_shipment_is_stored_once,
    a_successor_shuts_its_predecessor_out,
    what_fails_or_is_stale_leaves_no_mark,
    forgotten_nodes_are_pruned,
}

fn mark(node: &str, incarnation: &str, sequence: i64) -> Mark {
    Mark { node: node.to_owned(), incarnation: incarnation.to_owned(), sequence }
}

/// Ships one row and one failure of a key.
async fn ship(fixture: &Fixture, key: &KeyRecord, mark: &Mark) -> StoreResult<Turn> {
    let delta = KeyDelta { id: key.id, health: KeyHealth::new(KeyState::Degraded), failures: 1, reset_failures: false };
    let rows = [log(key.group_id, Some(key))];
    fixture.writer.commit_marked(&[delta], &rows, &[], &OutcomeProofs::default(), Some(mark), NOW).await
}

/// Stored rows, and failures of the key.
async fn stored(fixture: &Fixture, key: &KeyRecord) -> (i64, i64) {
    let (rows, _) = fixture.store.log_counts().await.expect("counted");
    (rows, fixture.store.key(key.id).await.expect("read").expect("is there").failure_count)
}

async fn fixture(kind: Kind) -> (Fixture, KeyRecord) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let key = fixture.keys(group, &["sk-1"]).await.remove(0);
    (fixture, key)
}

async fn each_shipment_is_stored_once(kind: Kind) {
    let (fixture, key) = fixture(kind).await;
    let sent = [(1, Turn::Gap), (0, Turn::Now), (1, Turn::Now), (1, Turn::Past), (3, Turn::Gap), (2, Turn::Now)];
    for (sequence, turn) in sent {
        assert_eq!(ship(&fixture, &key, &mark("a", "i1", sequence)).await.expect("answered"), turn, "{sequence}");
    }
    assert_eq!(stored(&fixture, &key).await, (3, 3));
    assert_eq!(fixture.store.watermark("a").await.expect("read"), Some(mark("a", "i1", 2)));
    assert_eq!(fixture.store.watermark("b").await.expect("read"), None);
}

async fn a_successor_shuts_its_predecessor_out(kind: Kind) {
    let (fixture, key) = fixture(kind).await;
    let sent = [
        ("a", "i1", 0, Turn::Now),
        ("b", "i1", 0, Turn::Now),
        ("a", "i2", 1, Turn::Gap),
        ("a", "i2", 0, Turn::Now),
        ("a", "i1", 1, Turn::Superseded),
        ("a", "i1", 0, Turn::Superseded),
        ("b", "i1", 1, Turn::Now),
    ];
    for (node, incarnation, sequence, turn) in sent {
        let mark = mark(node, incarnation, sequence);
        assert_eq!(ship(&fixture, &key, &mark).await.expect("answered"), turn, "{mark:?}");
    }
    assert_eq!(stored(&fixture, &key).await, (4, 4));
}

async fn what_fails_or_is_stale_leaves_no_mark(kind: Kind) {
    let (fixture, key) = fixture(kind).await;
    fixture.store.writer(7).set_key_notes(key.id, "by the successor", NOW).await.expect("a higher epoch takes over");
    let stale = ship(&fixture, &key, &mark("a", "i1", 0)).await;
    assert!(matches!(stale, Err(StoreError::StaleEpoch { claimed: 1, current: 7 })), "{stale:?}");
    assert_eq!(fixture.store.watermark("a").await.expect("read"), None);
    assert_eq!(stored(&fixture, &key).await, (0, 0));
}

async fn forgotten_nodes_are_pruned(kind: Kind) {
    let (fixture, key) = fixture(kind).await;
    ship(&fixture, &key, &mark("a", "i1", 0)).await.expect("stored");
    assert_eq!(fixture.writer.prune_watermarks(NOW).await.expect("pruned"), 0);
    assert_eq!(fixture.writer.prune_watermarks(Timestamp(NOW.0 + 1)).await.expect("pruned"), 1);
    assert_eq!(fixture.store.watermark("a").await.expect("read"), None);
}
