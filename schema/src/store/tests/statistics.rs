use super::*;

on_every_database! {
    hours_count_each_request_once_and_keep_what_it_took,
    an_hour_counted_without_durations_stays_so,
    minutes_are_counted_in_the_log,
    a_few_keys_tell_how_all_are_stored,
}

const HOUR: i64 = 3_600_000;

async fn hours_count_each_request_once_and_keep_what_it_took(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (one, two) = (fixture.group("one").await.id, fixture.group("two").await.id);
    let row = |group, hour: i64, is_success, duration_ms| RequestLog {
        timestamp: Timestamp(NOW.0 + hour * HOUR + 7),
        is_success,
        duration_ms,
        ..log(group, None)
    };
    let retry = RequestLog { request_type: RequestType::Retry, ..row(one, 0, false, 1_000) };
    let through = RequestLog { parent: Some((GroupId(50), "all".to_owned())), ..row(two, 0, true, 30) };
    let rows = [row(one, 0, true, 10), row(one, 0, false, 20), retry, through, row(one, 1, true, 5)];
    for row in rows {
        fixture.writer.commit(&[], &[row], NOW).await.expect("committed");
    }
    let hour = |hour, successes, failures, timed, duration_ms| Hour {
        time: Timestamp(NOW.0 + hour * HOUR),
        requests: Requests { successes, failures, timed, duration_ms },
    };
    let hours = async |group, from, until| {
        let at = |hour| Timestamp(NOW.0 + hour * HOUR);
        fixture.store.hours(group, at(from), at(until)).await.expect("hours")
    };
    assert_eq!(hours(None, 0, 2).await, [hour(0, 2, 1, 3, 60), hour(1, 1, 0, 1, 5)]);
    assert_eq!(hours(None, 1, 2).await, [hour(1, 1, 0, 1, 5)]);
    assert_eq!(hours(None, 0, 1).await, [hour(0, 2, 1, 3, 60)]);
    assert_eq!(hours(Some(one), 0, 2).await, [hour(0, 1, 1, 2, 30), hour(1, 1, 0, 1, 5)]);
    assert_eq!(hours(Some(GroupId(50)), 0, 2).await, [hour(0, 1, 0, 1, 30)]);
    assert_eq!(hours(Some(GroupId(99)), 0, 2).await, []);
}

async fn an_hour_counted_without_durations_stays_so(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let sql = format!(
        "INSERT INTO group_hourly_stats (group_id, time, success_count, failure_count, created_at, updated_at)
         VALUES ({group}, {}, 4, 1, 0, 0)",
        NOW.0
    );
    fixture.database.run(&sql);
    fixture.writer.commit(&[], &[log(group, None)], NOW).await.expect("committed");
    let hours = fixture.store.hours(Some(group), NOW, Timestamp(NOW.0 + 1)).await.expect("hours");
    assert_eq!(hours[0].requests, Requests { successes: 5, failures: 1, timed: 0, duration_ms: 0 });
}

async fn minutes_are_counted_in_the_log(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let row = |at, is_success| RequestLog { timestamp: Timestamp(NOW.0 + at), is_success, ..log(group, None) };
    let through = RequestLog { parent: Some((GroupId(50), "all".to_owned())), ..row(2, true) };
    let retry = RequestLog { request_type: RequestType::Retry, ..row(2, false) };
    fixture
        .writer
        .commit(&[], &[row(0, true), row(1, false), through, retry, row(3, true)], NOW)
        .await
        .expect("committed");
    let (store, at) = (&fixture.store, |at| Timestamp(NOW.0 + at));
    assert_eq!(store.requests_ended(at(0), at(3)).await.expect("a count"), 3);
    assert_eq!(store.requests_ended(at(1), at(2)).await.expect("a count"), 1);
    let of = |successes, failures| Requests { successes, failures, ..Requests::default() };
    let ended = async |group, is_aggregate| {
        store.group_requests_ended(group, is_aggregate, at(0), at(3)).await.expect("counts")
    };
    assert_eq!(ended(group, false).await, of(2, 1));
    assert_eq!(ended(GroupId(50), true).await, of(1, 0));
    assert_eq!(ended(GroupId(99), false).await, of(0, 0));
}

async fn a_few_keys_tell_how_all_are_stored(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    assert_eq!(fixture.store.encryption_sample().await.expect("a sample"), EncryptionSample::default());
    let group = fixture.group("one").await.id;
    let values: Vec<String> = (0..30).map(|number| format!("sk-{number}")).collect();
    fixture.keys(group, &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let sample = fixture.store.encryption_sample().await.expect("a sample");
    assert_eq!(sample, EncryptionSample { keys: 20, plain: 0, readable: 20 });
}
