use super::*;

on_every_database! {
    hours_count_each_request_once_and_keep_what_it_took,
    an_hour_counted_without_durations_stays_so,
    the_last_minutes_are_counted_as_rows_are_stored,
    hours_count_attempts_by_class_and_what_they_took,
    counts_of_long_ago_are_forgotten,
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

async fn the_last_minutes_are_counted_as_rows_are_stored(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let row = |at, is_success| RequestLog { timestamp: Timestamp(NOW.0 + at), is_success, ..log(group, None) };
    let through = RequestLog { parent: Some((GroupId(50), "all".to_owned())), ..row(20_000, true) };
    let retry = RequestLog { request_type: RequestType::Retry, ..row(20_000, false) };
    let first = row(0, true);
    fixture.writer.commit(&[], &[first.clone(), row(9_999, false), through, retry], NOW).await.expect("committed");
    fixture.writer.commit(&[], &[first, row(10_000, true), row(20_001, true)], NOW).await.expect("committed");
    let of = |successes, failures| Requests { successes, failures, ..Requests::default() };
    let ended = async |group, from, until| {
        let at = |at| Timestamp(NOW.0 + at);
        fixture.store.requests_ended(group, at(from), at(until)).await.expect("counts")
    };
    assert_eq!(ended(None, 0, 30_000).await, of(4, 1));
    assert_eq!(ended(None, 10_000, 20_000).await, of(1, 0));
    assert_eq!(ended(Some(group), 0, 10_000).await, of(1, 1), "a row that was stored before is not counted again");
    assert_eq!(ended(Some(group), 0, 30_000).await, of(4, 1));
    assert_eq!(ended(Some(GroupId(50)), 0, 30_000).await, of(1, 0));
    assert_eq!(ended(Some(GroupId(99)), 0, 30_000).await, of(0, 0));
}

async fn hours_count_attempts_by_class_and_what_they_took(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let usage = TokenUsage { input: Some(10), output: Some(4), cached: Some(1), reasoning: None };
    let row = |hour: i64, class, usage| RequestLog {
        timestamp: Timestamp(NOW.0 + hour * HOUR + 5),
        class,
        usage,
        ..log(group, None)
    };
    let served = row(0, Some(OutcomeClass::Success), usage);
    let retry = RequestLog {
        request_type: RequestType::Retry,
        ..row(0, Some(OutcomeClass::RateLimited), TokenUsage::default())
    };
    let through = RequestLog { parent: Some((GroupId(50), "all".to_owned())), ..served.clone() };
    let through = RequestLog { id: Uuid::now_v7(), ..through };
    let refused = row(1, None, TokenUsage::default());
    let rows = [served, retry, through, refused];
    fixture.writer.commit(&[], &rows, NOW).await.expect("committed");
    fixture.writer.commit(&[], &rows[..1], NOW).await.expect("committed again");
    let outcome = |hour: i64, class: &str, attempts, requests, input, output, cached| HourOutcome {
        time: Timestamp(NOW.0 + hour * HOUR),
        class: class.to_owned(),
        attempts,
        requests,
        tokens: Tokens { input, output, cached, reasoning: 0 },
    };
    let found = async |group, from, until| {
        let at = |hour| Timestamp(NOW.0 + hour * HOUR);
        fixture.store.outcomes(group, at(from), at(until)).await.expect("outcomes")
    };
    let first_hour = [outcome(0, "rate_limited", 1, 0, 0, 0, 0), outcome(0, "success", 2, 2, 20, 8, 2)];
    assert_eq!(found(None, 0, 1).await, first_hour);
    assert_eq!(found(Some(group), 0, 1).await, first_hour);
    assert_eq!(found(None, 1, 2).await, [outcome(1, GATEWAY_CLASS, 1, 1, 0, 0, 0)]);
    assert_eq!(found(Some(GroupId(50)), 0, 9).await, [outcome(0, "success", 1, 1, 10, 4, 1)]);
    assert_eq!(found(Some(GroupId(99)), 0, 9).await, []);
}

async fn counts_of_long_ago_are_forgotten(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    fixture.writer.commit(&[], &[log(group, None)], NOW).await.expect("committed");
    let counted = async || {
        let end = Timestamp(NOW.0 + HOUR);
        let recent = fixture.store.requests_ended(None, NOW, end).await.expect("counts").total();
        (recent, fixture.store.outcomes(None, NOW, end).await.expect("outcomes").len())
    };
    for (hours, expected) in [(0, (1, 1)), (2, (1, 1)), (4, (0, 1)), (24 * 91, (0, 1)), (24 * 93, (0, 0))] {
        fixture.writer.prune_tallies(Timestamp(NOW.0 + hours * HOUR)).await.expect("pruned");
        assert_eq!(counted().await, expected, "after {hours} hours");
    }
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
