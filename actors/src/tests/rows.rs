use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use gpt_load_cluster::{
    Epoch,
    lease::{Lease, Role},
};
use gpt_load_schema::{
    ids::KeyId,
    key::{KeyHealth, KeyState},
    log::OutcomeClass,
    store::{KeyDelta, StoreError},
};

use super::fixture::{Node, add, log_row};
use crate::{
    commands::Reply,
    deltas::DeltaQueue,
    journal::{Journal, Ticket},
    resources::Resources,
    sync::{commit::Committer, logs::LogQueue},
};

#[actix_rt::test]
async fn a_hundred_thousand_rows_are_stored_exactly_once() {
    const ROWS: i64 = 100_000;
    let node = Node::start().await;
    std::thread::scope(|scope| {
        for part in 0..4 {
            let runtime = &node.runtime;
            scope.spawn(move || (0..ROWS / 4).for_each(|number| runtime.record(log_row(part * ROWS + number))));
        }
    });
    node.flush().await;
    assert_eq!(node.store.log_counts().await.expect("the rows are counted"), (ROWS, 0));
    let stats = node.runtime.stats();
    assert_eq!((stats.logs_waiting, stats.logs_written, stats.logs_dropped), (0, ROWS.unsigned_abs(), 0));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn stopping_stores_what_waits() {
    let node = Node::start().await;
    let group = node.group("default", 1).await;
    node.use_key(group, 1, OutcomeClass::KeyInvalid, None).await;
    node.runtime.record(log_row(1));
    let node = node.restart().await;
    assert_eq!(node.store.log_counts().await.expect("the rows are counted"), (1, 0));
    assert_eq!(node.keys(group).await[0].health.state, KeyState::Invalid);
    assert_eq!(node.pool(group).counts().invalid, 1);
    node.runtime.stop().await;
    node.runtime.stop().await;
}

/// A lease that a test gives and takes.
#[derive(Default)]
struct Switch(AtomicBool);

#[async_trait]
impl Lease for Switch {
    async fn lead(&self, above: Epoch) -> Option<Epoch> {
        self.0.load(Ordering::Acquire).then_some(Epoch(above.0 + 1))
    }

    fn current(&self) -> Option<Epoch> {
        None
    }

    fn watch(&self) -> tokio::sync::watch::Receiver<Role> {
        tokio::sync::watch::Sender::default().subscribe()
    }

    async fn release(&self) {}

    async fn close(&self) {}
}

#[actix_rt::test]
async fn nothing_is_lost_or_doubled_while_nothing_can_be_written() {
    let node = Node::start().await;
    let group = node.group("default", 1).await;
    let id: KeyId = node.keys(group).await[0].id;
    let (lease, logs, deltas) =
        (Arc::new(Switch::default()), Arc::new(LogQueue::new(1 << 20)), Arc::new(DeltaQueue::default()));
    let committer = Committer::new(
        node.store.clone(),
        lease.clone(),
        logs.clone(),
        deltas.clone(),
        Arc::new(Resources::new(node.store.clone())),
        Journal::disabled(),
        None,
    );
    let fail = || {
        deltas.push(KeyDelta { id, health: KeyHealth::new(KeyState::Degraded), failures: 1, reset_failures: false });
        logs.push(log_row(1), Ticket::default());
    };
    fail();
    for _ in 0..3 {
        assert!(matches!(committer.commit_all().await, Err(StoreError::Unavailable(_))));
    }
    fail();
    assert!(deltas.is_waiting(id));
    assert_eq!((committer.waiting(), logs.counts()), (4, (2, 0, 0)));

    lease.0.store(true, Ordering::Release);
    committer.commit_all().await.expect("all is stored");
    committer.commit_all().await.expect("nothing is left");
    assert!(!deltas.is_waiting(id));
    assert_eq!((committer.waiting(), logs.counts()), (0, (0, 2, 0)));
    assert_eq!(node.keys(group).await[0].failure_count, 2);
    assert_eq!(node.store.log_counts().await.expect("the rows are counted"), (2, 0));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn a_later_leader_in_the_database_is_outbid() {
    let node = Node::start().await;
    node.store
        .writer(41)
        .put_settings(&Default::default(), gpt_load_schema::time::Timestamp(1))
        .await
        .expect("claimed");
    node.runtime.record(log_row(1));
    node.flush().await;
    assert_eq!(node.store.epoch().await.expect("the epoch is read"), 42);
    assert_eq!(node.store.log_counts().await.expect("the rows are counted"), (1, 0));
    node.runtime.stop().await;
}

#[actix_rt::test]
async fn rows_do_not_wait_for_the_end_of_an_import() {
    const KEYS: usize = 30_000;
    let node = Node::start().await;
    let group = node.group("default", 1).await;
    let import = node.execute(add(group, 1..=KEYS));
    let mut import = std::pin::pin!(import);
    tokio::select! {
        biased;
        _ = &mut import => panic!("an import takes its time"),
        () = tokio::task::yield_now() => {}
    }
    node.runtime.record(log_row(1));
    let stored = async {
        while node.store.log_counts().await.expect("the rows are counted") != (1, 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = &mut import => panic!("the row waited for the import"),
        () = stored => {}
    }
    assert!(matches!(import.await, Reply::Added { added: 29_999, .. }));
    assert_eq!(node.pool(group).counts().active, 30_000);
    node.runtime.stop().await;
}
