//! A server that goes away, comes back, and cuts connections: what was answered as written is there once, and nothing
//! waits for a server that is not there.

use std::time::{Duration, Instant};

use super::*;
use crate::store::testing::Gate;

/// Longest time in which a store says that its server is away, and in which it finds it again.
const SOON: Duration = Duration::from_secs(5);

async fn a_server_that_is_away_is_missed_at_once_and_found_again(kind: Kind) {
    let database = Database::new(kind);
    let gate = Gate::before(&database).await;
    let store = open(&database.dsn_at(gate.port), Some("passphrase")).await.expect("opens");
    let writer = store.writer(1);
    let group = writer.insert_group(&definition("one"), NOW).await.expect("a group").id;
    let row = log(group, None);
    writer.commit(&[], std::slice::from_ref(&row), NOW).await.expect("commits");

    gate.shut();
    let away = Instant::now();
    for _ in 0..3 {
        // Connections that are lost are noticed one by one, as they are used.
        let refused = [
            store.groups().await.map(drop),
            store.recent_logs(None, 1).await.map(drop),
            store.logs_page(&LogFilter::default(), 1, 10, NOW).await.map(drop),
            writer.commit(&[], &[log(group, None)], NOW).await,
        ];
        for refused in refused {
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        }
    }
    assert!(away.elapsed() < SOON, "{:?}", away.elapsed());

    gate.open();
    let back = Instant::now();
    while let Err(error) = writer.commit(&[], std::slice::from_ref(&row), NOW).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(back.elapsed() < SOON, "{error}");
        tokio::task::yield_now().await;
    }
    assert_eq!(store.log_counts().await.expect("reads"), (1, 0), "what was refused is not there");
}

async fn cut_connections_lose_and_double_nothing(kind: Kind) {
    const ROWS: usize = 200;
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let key = fixture.keys(group, &["sk-1"]).await.remove(0);
    let rows: Vec<RequestLog> = (0..ROWS).map(|_| log(group, Some(&key))).collect();
    let mut failed = 0;
    for (number, rows) in rows.chunks(10).enumerate() {
        let writer = fixture.writer.clone();
        let own = rows.to_vec();
        let commit = tokio::spawn(async move { writer.commit(&[], &own, NOW).await });
        if number % 2 == 0 {
            fixture.database.cut_connections();
        }
        let mut outcome = commit.await.expect("no panic");
        while let Err(error) = outcome {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            failed += 1;
            assert!(failed < 100, "{error}");
            outcome = fixture.writer.commit(&[], rows, NOW).await;
        }
        if number % 3 == 0 {
            fixture.database.cut_connections();
            let read = fixture.store.recent_logs(None, 1).await;
            assert!(matches!(read, Ok(_) | Err(StoreError::Unavailable(_))), "{read:?}");
        }
    }
    let all = i64::try_from(ROWS).expect("few");
    let counts = async || fixture.store.log_counts().await;
    let mut counted = counts().await;
    while let Err(StoreError::Unavailable(_)) = counted {
        counted = counts().await;
    }
    assert_eq!(counted.expect("reads"), (all, 0));
    assert_eq!(fixture.store.request_totals().await.expect("totals"), (all, 0));
    assert_eq!(fixture.store.key(key.id).await.expect("reads").expect("is there").request_count, all);
}

/// A writer of a past term that is in the middle of its transaction does not get through after its successor.
async fn writers_take_turns_and_the_stale_one_loses(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let (stale, next) = (fixture.store.writer(1), fixture.store.writer(2));
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let writer = if number < 10 { stale.clone() } else { next.clone() };
            tokio::spawn(async move { writer.commit(&[], &[log(group, None)], NOW).await })
        })
        .collect();
    let mut committed = 0;
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(()) => committed += 1,
            Err(StoreError::StaleEpoch { claimed: 1, current: 2 }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(committed >= 10, "the successor's are all there");
    assert_eq!(fixture.store.log_counts().await.expect("reads"), (committed, 0));
    let refused = stale.commit(&[], &[log(group, None)], NOW).await;
    assert!(matches!(refused, Err(StoreError::StaleEpoch { claimed: 1, current: 2 })), "{refused:?}");
}

/// Lists come from the replica; what decides about writes, and the keys, do not.
async fn lists_are_read_from_the_replica(kind: Kind) {
    let (database, replica) = (Database::new(kind), Database::new(kind));
    let place = Place { dsn: database.dsn(), read_dsn: Some(replica.dsn()), extra_ca_file: None, time_zone: None };
    let opened = async |place| Store::open_with(place, None, Derivation::with_rounds(2)).await;
    let store = opened(place).await.expect("opens");
    // The replica of this test is a database of its own, in which other things stand.
    let other = opened(replica.dsn().into()).await.expect("opens");
    let (group, elsewhere) = (store.writer(1), other.writer(1));
    let group = group.insert_group(&definition("one"), NOW).await.expect("a group").id;
    store.writer(1).commit(&[], &[log(group, None)], NOW).await.expect("commits");
    let rows = [log(group, None), log(group, None)];
    elsewhere.commit(&[], &rows, NOW).await.expect("commits");
    assert_eq!(store.logs_page(&LogFilter::default(), 1, 10, NOW).await.expect("a page").total, 2);
    assert_eq!(store.request_totals().await.expect("totals"), (2, 0));
    assert_eq!(store.groups().await.expect("groups").len(), 1);
    let another = Place { dsn: database.dsn(), read_dsn: Some("./file.db"), extra_ca_file: None, time_zone: None };
    let refused = opened(another).await.err().expect("another kind").to_string();
    assert!(refused.starts_with("DATABASE_READ_DSN: "), "{refused}");
}

macro_rules! on_servers {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use super::super::Kind;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(Kind::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                super::$name(Kind::Mysql).await;
            }
        })*
    };
}

on_servers! {
    a_server_that_is_away_is_missed_at_once_and_found_again,
    cut_connections_lose_and_double_nothing,
    lists_are_read_from_the_replica,
    writers_take_turns_and_the_stale_one_loses,
}
