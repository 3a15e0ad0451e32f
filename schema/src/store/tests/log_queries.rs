use super::*;

on_every_database! {
    each_filter_lets_its_rows_through,
    pages_follow_one_another_also_within_a_millisecond,
    rows_show_their_key_or_say_that_it_is_not_readable,
    attempts_of_a_request_come_in_order,
    each_key_is_listed_once_with_its_newest_row,
    above_a_hundred_thousand_the_number_of_rows_is_an_estimate,
    a_search_that_would_take_too_long_ends_and_says_where,
    what_follows_a_row_comes_in_parts_and_nothing_twice,
}

/// A row `at` ms after [`NOW`].
fn row(group: GroupId, at: i64) -> RequestLog {
    RequestLog { timestamp: Timestamp(NOW.0 + at), ..log(group, None) }
}

impl Fixture {
    async fn commit(&self, rows: &[RequestLog]) {
        self.writer.commit(&[], rows, NOW).await.expect("committed");
    }

    async fn found(&self, filter: LogFilter) -> Vec<Uuid> {
        let page = self.store.logs_page(&filter, 1, 1000, NOW).await.expect("a page");
        assert_eq!(page.total, i64::try_from(page.items.len()).expect("few"), "{filter:?}");
        assert!(!page.is_estimate && page.searched_from.is_none());
        page.items.iter().map(|entry| entry.log.id).collect()
    }
}

async fn each_filter_lets_its_rows_through(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (one, two) = (fixture.group("one").await.id, fixture.group("two").await.id);
    let key = fixture.keys(one, &["sk-logged"]).await.remove(0);
    let plain = row(one, 0);
    let keyed = RequestLog { key: log(one, Some(&key)).key, ..row(one, 1) };
    let through = RequestLog { parent: Some((GroupId(50), "all_in".to_owned())), ..row(one, 2) };
    let failed = RequestLog {
        is_success: false,
        status_code: 429,
        error_message: "100% of QUOTA used".to_owned(),
        ..row(two, 3)
    };
    let named = |group_name: &str, at| RequestLog { group_name: group_name.to_owned(), ..row(two, at) };
    let renamed = named("two_b", 4);
    let retry = RequestLog { request_type: RequestType::Retry, ..named("two_b", 5) };
    let model = RequestLog { model: "o1_pro%".to_owned(), source_ip: "::1".to_owned(), ..named("two_b", 6) };
    let failed = RequestLog { group_name: "two".to_owned(), ..failed };
    let all = [plain, keyed, through, failed, renamed, retry, model];
    fixture.commit(&all).await;
    let some = |text: &str| Some(text.to_owned());
    let none = LogFilter::default;
    let at = |at: i64| Some(Timestamp(NOW.0 + at));
    let cases: Vec<(LogFilter, &[usize])> = vec![
        (none(), &[6, 5, 4, 3, 2, 1, 0]),
        (LogFilter { group_name: some("OPENAI"), ..none() }, &[2, 1, 0]),
        (LogFilter { group_name: some("two"), ..none() }, &[6, 5, 4, 3]),
        (LogFilter { group_name: some("two_b"), ..none() }, &[6, 5, 4]),
        (LogFilter { group_name: some("two_b"), is_success: Some(true), ..none() }, &[6, 5, 4]),
        (LogFilter { group_name: some("o"), ..none() }, &[6, 5, 4, 3, 2, 1, 0]),
        (LogFilter { group_name: some("o"), from: at(2), ..none() }, &[6, 5, 4, 3, 2]),
        (LogFilter { group_name: some("o%i"), ..none() }, &[]),
        (LogFilter { group_name: some("t_o"), ..none() }, &[]),
        (LogFilter { parent_group_name: some("all"), ..none() }, &[2]),
        (LogFilter { parent_group_name: some("all_in"), group_name: some("open"), ..none() }, &[2]),
        (LogFilter { parent_group_name: some("all"), group_name: some("two"), ..none() }, &[]),
        (LogFilter { parent_group_name: some("none"), ..none() }, &[]),
        (LogFilter { key: Some("sk-logged".into()), ..none() }, &[1]),
        (LogFilter { key: Some("sk-logged".into()), is_success: Some(false), ..none() }, &[]),
        (LogFilter { key: Some("sk-logge".into()), ..none() }, &[]),
        (LogFilter { model: some("GPT"), ..none() }, &[5, 4, 3, 2, 1, 0]),
        (LogFilter { model: some("_"), ..none() }, &[6]),
        (LogFilter { model: some("o1_pro%"), ..none() }, &[6]),
        (LogFilter { model: some("!"), ..none() }, &[]),
        (LogFilter { is_success: Some(false), ..none() }, &[3]),
        (LogFilter { is_success: Some(true), group_name: some("two"), ..none() }, &[6, 5, 4]),
        (LogFilter { request_type: some("retry"), ..none() }, &[5]),
        (LogFilter { request_type: some("final"), ..none() }, &[6, 4, 3, 2, 1, 0]),
        (LogFilter { request_type: some("other"), ..none() }, &[]),
        (LogFilter { status_code: Some(429), ..none() }, &[3]),
        (LogFilter { source_ip: some("::1"), ..none() }, &[6]),
        (LogFilter { source_ip: some("10.0.0."), ..none() }, &[]),
        (LogFilter { error_contains: some("100% of quota"), ..none() }, &[3]),
        (LogFilter { error_contains: some("100%quota"), ..none() }, &[]),
        (LogFilter { from: at(2), until: at(4), ..none() }, &[4, 3, 2]),
        (LogFilter { from: at(7), ..none() }, &[]),
        (LogFilter { from: at(4), until: at(2), ..none() }, &[]),
        (LogFilter { until: at(0), ..none() }, &[0]),
    ];
    for (filter, expected) in cases {
        let case = format!("{filter:?}");
        let expected: Vec<Uuid> = expected.iter().map(|row| all[*row].id).collect();
        assert_eq!(fixture.found(filter).await, expected, "{case}");
    }
}

async fn pages_follow_one_another_also_within_a_millisecond(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let rows: Vec<_> = (0..50).map(|number| row(group, number / 7)).collect();
    fixture.commit(&rows).await;
    let mut expected: Vec<_> = rows.iter().map(|row| (row.timestamp, row.id)).collect();
    expected.sort_by(|one, other| other.cmp(one));
    let expected: Vec<Uuid> = expected.into_iter().map(|(_, id)| id).collect();
    let filters = [LogFilter::default(), LogFilter { model: Some("gpt".to_owned()), ..LogFilter::default() }];
    for (filter, size) in filters.iter().flat_map(|filter| [1, 3, 7, 49, 50, 51].map(|size| (filter, size))) {
        let mut seen = Vec::new();
        for page in 1..=50_u64.div_ceil(size) + 1 {
            let LogPage { items, total, .. } = fixture.store.logs_page(filter, page, size, NOW).await.expect("a page");
            assert_eq!(total, 50);
            assert!(items.len() as u64 <= size);
            seen.extend(items.iter().map(|entry| entry.log.id));
        }
        assert_eq!(seen, expected, "pages of {size}, {filter:?}");
    }
    let beyond = fixture.store.logs_page(&filters[0], u64::MAX, 1000, NOW).await.expect("a page");
    assert_eq!((beyond.items.len(), beyond.total), (0, 50));
}

async fn rows_show_their_key_or_say_that_it_is_not_readable(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let key = fixture.keys(group, &["sk-logged"]).await.remove(0);
    let (with, without) = (RequestLog { timestamp: NOW, ..log(group, Some(&key)) }, row(group, -1));
    fixture.commit(&[with, without]).await;
    let items = fixture.store.logs_page(&LogFilter::default(), 1, 9, NOW).await.expect("a page").items;
    let shown: Vec<_> = items.iter().map(|entry| (entry.key_value.expose(), entry.key_hash.as_str())).collect();
    assert_eq!(shown, [("sk-logged", key.hash.as_str()), ("", "")]);
    fixture.database.run("UPDATE request_logs SET key_value = 'v2:1:AAAA' WHERE key_value <> ''");
    let items = fixture.store.logs_page(&LogFilter::default(), 1, 9, NOW).await.expect("a page").items;
    assert_eq!(items[0].key_value.expose(), "failed-to-decrypt");
    let used = fixture.store.keys_used(&LogFilter::default(), "", 9).await.expect("keys");
    assert_eq!(used[0].key_value.expose(), "failed-to-decrypt");
}

async fn attempts_of_a_request_come_in_order(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let request_id = Uuid::now_v7();
    let attempt = |attempt, at| RequestLog { request_id, attempt, ..row(group, at) };
    let rows = [attempt(3, 9), attempt(1, 2), row(group, 3), attempt(2, 2)];
    fixture.commit(&rows).await;
    let found = fixture.store.log_attempts(request_id).await.expect("rows");
    assert_eq!(found.iter().map(|entry| entry.log.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(fixture.store.log_attempts(Uuid::now_v7()).await.expect("rows").is_empty());
}

async fn each_key_is_listed_once_with_its_newest_row(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let group = fixture.group("one").await.id;
    let values: Vec<String> = (0..25).map(|number| format!("sk-{number}")).collect();
    let keys = fixture.keys(group, &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let use_of = |key: &KeyRecord, at, status_code| RequestLog {
        status_code,
        is_success: status_code == 200,
        timestamp: Timestamp(NOW.0 + at),
        ..log(group, Some(key))
    };
    let mut rows: Vec<_> =
        keys.iter().flat_map(|key| [use_of(key, 5, 200), use_of(key, 1, 429), use_of(key, 5, 201)]).collect();
    rows.push(row(group, 9));
    fixture.commit(&rows).await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let batch = fixture.store.keys_used(&LogFilter::default(), &after, 10).await.expect("keys");
        let Some(last) = batch.last() else { break };
        after = last.key_hash.clone();
        seen.extend(batch.into_iter().map(|used| (used.key_hash, used.status_code)));
    }
    let mut expected: Vec<_> = keys.iter().map(|key| (key.hash.clone(), 201)).collect();
    expected.sort();
    assert_eq!(seen, expected, "the row with the higher id is the newer one");
    let failed = LogFilter { is_success: Some(false), status_code: Some(429), ..LogFilter::default() };
    let failed = fixture.store.keys_used(&failed, "", 99).await.expect("keys");
    assert_eq!(failed.iter().filter(|used| used.status_code == 429).count(), 25);
    let one = LogFilter { key: Some("sk-3".into()), ..LogFilter::default() };
    let one = fixture.store.keys_used(&one, "", 99).await.expect("keys");
    assert_eq!(one.iter().map(|used| used.key_value.expose()).collect::<Vec<_>>(), ["sk-3"]);
    let late = LogFilter { from: Some(Timestamp(NOW.0 + 6)), ..LogFilter::default() };
    assert!(fixture.store.keys_used(&late, "", 99).await.expect("keys").is_empty());
}

/// Rows are made in the database, since 120,000 of them would take the commit a while.
pub(in crate::store) fn make_rows(database: &Database, count: i64) {
    let begin = NOW.0 - count;
    let (numbers, id, truth, hour) = match database.kind() {
        Kind::Sqlite => (
            format!("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count} - 1)"),
            "printf('00000000-0000-7000-8000-%012d', i)",
            ("n", "i % 4 <> 0", "0"),
            "timestamp / 3600000",
        ),
        Kind::Postgres => (
            String::new(),
            "'00000000-0000-7000-8000-' || lpad(i::text, 12, '0')",
            ("generate_series(0, LAST) AS n (i)", "i % 4 <> 0", "false"),
            "timestamp / 3600000",
        ),
        Kind::Mysql => (
            String::new(),
            "CONCAT('00000000-0000-7000-8000-', LPAD(i, 12, '0'))",
            ("(SELECT a.i * 1000 + b.i AS i FROM thousand a JOIN thousand b) AS n WHERE i <= LAST", "i % 4 <> 0", "0"),
            "timestamp DIV 3600000",
        ),
    };
    let (source, is_success, no) = truth;
    let source = source.replace("LAST", &(count - 1).to_string());
    if database.kind() == Kind::Mysql {
        database.run("CREATE TABLE thousand (i INTEGER PRIMARY KEY)");
        let numbers: Vec<String> = (0..1_000).map(|number| format!("({number})")).collect();
        database.run(&format!("INSERT INTO thousand VALUES {}", numbers.join(",")));
    }
    let columns = "id, request_id, attempt, timestamp, group_id, group_name, key_value, key_hash, model, is_success, \
         source_ip, status_code, request_path, duration, error_message, user_agent, request_type, upstream_addr, \
         is_stream, request_body";
    let rows = format!(
        "SELECT {id}, {id}, 1, {begin} + i, 1, 'openai', '', '', 'm', {is_success}, '', 200, '', 1, '', '', \
         CASE WHEN i % 5 = 0 THEN 'retry' ELSE 'final' END, '', {no}, '' FROM {source}"
    );
    database.run(&match database.kind() {
        Kind::Sqlite => format!("{numbers} INSERT INTO request_logs ({columns}) {rows}"),
        _ => format!("INSERT INTO request_logs ({columns}) {rows}"),
    });
    database.run(&format!(
        "INSERT INTO group_hourly_stats (group_id, time, success_count, failure_count, created_at, updated_at) \
         SELECT 1, {hour} * 3600000, SUM(CASE WHEN is_success THEN 1 ELSE 0 END), \
         SUM(CASE WHEN is_success THEN 0 ELSE 1 END), 0, 0 FROM request_logs \
         WHERE request_type = 'final' GROUP BY {hour}"
    ));
}

async fn above_a_hundred_thousand_the_number_of_rows_is_an_estimate(kind: Kind) {
    const ROWS: i64 = 120_000;
    let fixture = Fixture::new(kind).await;
    make_rows(&fixture.database, ROWS);
    let page =
        async |filter: &LogFilter, page, size| fixture.store.logs_page(filter, page, size, NOW).await.expect("a page");
    let all = LogFilter::default();
    let first = page(&all, 1, 10).await;
    assert!(first.is_estimate && first.searched_from.is_none());
    assert!((first.total - ROWS).abs() < ROWS / 10, "{}", first.total);
    let group = page(&LogFilter { group_name: Some("open".to_owned()), ..all.clone() }, 1, 10).await;
    assert!(group.is_estimate && (group.total - ROWS).abs() < ROWS / 10, "{}", group.total);
    let exact = page(&LogFilter { is_success: Some(true), ..all.clone() }, 1, 10).await;
    assert_eq!((exact.total, exact.is_estimate), (ROWS / 4 * 3, false));
    let hundred = LogFilter { from: Some(Timestamp(NOW.0 - 100_000)), ..all.clone() };
    assert_eq!((page(&hundred, 1, 1).await.total, page(&hundred, 1, 1).await.is_estimate), (100_000, false));
    // Pages are there beyond the rows that are counted, down to the last one.
    let last = page(&all, u64::try_from(ROWS / 1_000).expect("positive"), 1_000).await;
    let times: Vec<_> = last.items.iter().map(|entry| entry.log.timestamp.0 - (NOW.0 - ROWS)).collect();
    assert_eq!(times, (0..1_000).rev().collect::<Vec<_>>());
    assert!(page(&all, u64::try_from(ROWS).expect("positive"), 1_000).await.items.is_empty());
}

async fn a_search_that_would_take_too_long_ends_and_says_where(kind: Kind) {
    const ROWS: i64 = 500_100;
    let fixture = Fixture::new(kind).await;
    make_rows(&fixture.database, ROWS);
    let filter = LogFilter { model: Some("nothing".to_owned()), ..LogFilter::default() };
    let page = fixture.store.logs_page(&filter, 1, 10, NOW).await.expect("a page");
    let end = Timestamp(NOW.0 - 500_001);
    assert_eq!((page.total, page.is_estimate, page.searched_from), (0, true, Some(end)));
    let rest = LogFilter { until: page.searched_from, ..filter };
    let page = fixture.store.logs_page(&rest, 1, 10, NOW).await.expect("a page");
    assert_eq!((page.total, page.is_estimate, page.searched_from), (0, false, None), "the rest is searched through");
}

async fn what_follows_a_row_comes_in_parts_and_nothing_twice(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let (one, two) = (fixture.group("one").await.id, fixture.group("two").await.id);
    // Rows of one millisecond stand in the order of their ids.
    let mut rows: Vec<RequestLog> = [0, 5, 5, 5, 9].map(|at| row(one, at)).into();
    rows.push(row(two, 7));
    rows.sort_by_key(|row| (row.timestamp, row.id));
    fixture.commit(&rows).await;
    let after = async |filter: &LogFilter, id: Uuid, limit| {
        let tail = fixture.store.logs_after(filter, id, limit).await.expect("rows").expect("the row is known");
        let found: Vec<_> = tail.items.iter().map(|entry| entry.log.id).collect();
        assert_eq!(tail.searched_from, None);
        (found, tail.has_more)
    };
    let ids = |places: &[usize]| places.iter().map(|place| rows[*place].id).collect::<Vec<_>>();
    let any = LogFilter::default();
    assert_eq!(after(&any, rows[0].id, 9).await, (ids(&[5, 4, 3, 2, 1]), false));
    assert_eq!(after(&any, rows[2].id, 2).await, (ids(&[4, 3]), true));
    assert_eq!(after(&any, rows[4].id, 2).await, (ids(&[5]), false));
    assert_eq!(after(&any, rows[5].id, 2).await, (ids(&[]), false));
    let of_two = LogFilter { group_name: Some("openai".to_owned()), status_code: Some(200), ..any.clone() };
    assert_eq!(after(&of_two, rows[0].id, 1).await, (ids(&[1]), true));
    let none = LogFilter { group_name: Some("nobody".to_owned()), ..any.clone() };
    assert_eq!(after(&none, rows[0].id, 9).await, (ids(&[]), false));
    // A row that is gone tells its time by its id; an id without a time tells nothing.
    assert_eq!(after(&any, Uuid::now_v7(), 9).await, (ids(&[]), false));
    assert!(fixture.store.logs_after(&any, Uuid::nil(), 9).await.expect("an answer").is_none());
}
