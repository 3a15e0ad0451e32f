//! Which index each statement goes by.

use super::*;
use crate::store::{
    testing::Kind,
    tests::{
        Fixture,
        log_queries::make_rows,
        plans::{analyse, assert_goes_by, assert_server_goes_by, assert_server_reads_in_order, plan, server_plan},
    },
};

fn any() -> Conditions {
    Conditions { from: 1, until: 2, ..Conditions::default() }
}

fn rows(conditions: &Conditions, index: &str, case: &str) {
    let order = (request_logs::timestamp.desc(), request_logs::id.desc());
    let page = matching!(conditions).order(order).offset(1).limit(15).select(LogRow::as_select());
    assert_goes_by(&page, index, &format!("page of {case}"));
    let times = matching!(conditions).order(request_logs::timestamp.desc()).limit(9).select(request_logs::timestamp);
    assert_goes_by(&times, index, &format!("times of {case}"));
    let bound = driven!(conditions.driver(), conditions.from, conditions.until)
        .order(request_logs::timestamp.desc())
        .offset(9)
        .limit(1)
        .select(request_logs::timestamp);
    assert_goes_by(&bound, index, &format!("bound of {case}"));
    assert!(plan(&bound).iter().any(|step| step.contains("COVERING")), "bound of {case}");
}

#[test]
fn each_page_goes_by_one_index() {
    const TIME: &str = "idx_request_logs_time";
    const GROUP: &str = "idx_request_logs_group_time";
    const PARENT: &str = "idx_request_logs_parent_time";
    const KEY: &str = "idx_request_logs_key_time";
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        ("everything", any(), TIME, None),
        ("a model", Conditions { model: some("%a%"), ..any() }, TIME, Some(500_000)),
        ("failures", Conditions { is_success: Some(false), ..any() }, TIME, Some(2_000_000)),
        ("a status", Conditions { status_code: Some(429), ..any() }, TIME, Some(2_000_000)),
        ("finals", Conditions { request_type: some("final"), ..any() }, TIME, Some(2_000_000)),
        ("some groups", Conditions { groups: Some(vec![1, 2]), ..any() }, TIME, Some(2_000_000)),
        ("some aggregates", Conditions { parents: Some(vec![1, 2]), ..any() }, TIME, Some(500_000)),
        ("an address", Conditions { source_ip: some("::1"), ..any() }, TIME, Some(500_000)),
        ("an error", Conditions { error: some("%a%"), ..any() }, TIME, Some(500_000)),
        ("a group", Conditions { groups: Some(vec![1]), ..any() }, GROUP, None),
        (
            "a renamed group",
            Conditions { groups: Some(vec![1]), group_name: some("%a%"), ..any() },
            GROUP,
            Some(500_000),
        ),
        (
            "a group's failures",
            Conditions { groups: Some(vec![1]), is_success: Some(false), ..any() },
            GROUP,
            Some(2_000_000),
        ),
        (
            "a group's status",
            Conditions { groups: Some(vec![1]), status_code: Some(429), ..any() },
            GROUP,
            Some(500_000),
        ),
        ("a group's model", Conditions { groups: Some(vec![1]), model: some("%a%"), ..any() }, GROUP, Some(500_000)),
        ("an aggregate", Conditions { parents: Some(vec![1]), ..any() }, PARENT, None),
        (
            "an aggregate's retries",
            Conditions { parents: Some(vec![1]), request_type: some("retry"), ..any() },
            PARENT,
            Some(2_000_000),
        ),
        ("a key", Conditions { key_hash: some("h"), ..any() }, KEY, None),
        ("a key's failures", Conditions { key_hash: some("h"), is_success: Some(false), ..any() }, KEY, Some(500_000)),
        (
            "all at once",
            Conditions {
                key_hash: some("h"),
                groups: Some(vec![1]),
                parents: Some(vec![1]),
                model: some("%a%"),
                error: some("%a%"),
                is_success: Some(true),
                request_type: some("final"),
                status_code: Some(200),
                source_ip: some("::1"),
                ..any()
            },
            KEY,
            Some(500_000),
        ),
    ];
    for (case, conditions, index, searched) in cases {
        assert_eq!(conditions.searched(), searched, "{case}");
        rows(&conditions, index, case);
    }
}

#[test]
fn what_is_counted_in_an_index_reads_no_rows() {
    let some = |text: &str| Some(text.to_owned());
    let cases = [
        any(),
        Conditions { is_success: Some(false), status_code: Some(500), request_type: some("final"), ..any() },
        Conditions { groups: Some(vec![1, 2]), is_success: Some(true), ..any() },
        Conditions { groups: Some(vec![1]), is_success: Some(true), request_type: some("final"), ..any() },
        Conditions { parents: Some(vec![1]), is_success: Some(true), request_type: some("final"), ..any() },
        Conditions { key_hash: some("h"), ..any() },
    ];
    for conditions in cases {
        let times = matching!(&conditions).order(request_logs::timestamp.desc()).select(request_logs::timestamp);
        let steps = plan(&times);
        assert!(steps.iter().all(|step| step.contains("COVERING")), "{conditions:?}: {steps:?}");
    }
}

#[test]
fn attempts_and_exports_go_by_their_index() {
    let steps = plan(&attempts!("id"));
    assert!(steps[0].starts_with("SEARCH request_logs USING INDEX idx_request_logs_request "), "{steps:?}");
    for conditions in [any(), Conditions { model: Some("%a%".to_owned()), groups: Some(vec![1]), ..any() }] {
        let keys = keys_used!(&conditions, "h").limit(9);
        assert_goes_by(&keys, "idx_request_logs_key_time", "keys used");
        assert!(plan(&keys).iter().all(|step| !step.contains("B-TREE")), "groups come in order: {:?}", plan(&keys));
    }
}

/// Pages of servers, on enough rows that going through all of them would cost.
async fn pages_go_by_an_index(kind: Kind) {
    const ROWS: i64 = 100_000;
    let fixture = Fixture::new(kind).await;
    make_rows(&fixture.database, ROWS);
    // Ten groups, ten keys, an aggregate.
    let digit = if kind == Kind::Mysql { "timestamp DIV 7 % 10" } else { "timestamp / 7 % 10" };
    fixture.database.run(&format!(
        "UPDATE request_logs SET group_id = {digit}, parent_group_id = 10 + {digit}, key_hash = CONCAT('h', {digit})"
    ));
    analyse(&fixture.database, "request_logs");
    analyse(&fixture.database, "group_hourly_stats");
    let newest = crate::store::tests::NOW.0;
    let within = |conditions: Conditions| Conditions { from: newest - 5_000, until: newest, ..conditions };
    let some = |text: &str| Some(text.to_owned());
    for (case, conditions, index) in [
        ("everything", any(), "idx_request_logs_time"),
        ("a model", Conditions { model: some("%a%"), ..any() }, "idx_request_logs_time"),
        ("a group", Conditions { groups: Some(vec![1]), ..any() }, "idx_request_logs_group_time"),
        (
            "failures of a group",
            Conditions { groups: Some(vec![1]), is_success: Some(false), ..any() },
            "idx_request_logs_group_time",
        ),
        ("an aggregate", Conditions { parents: Some(vec![11]), ..any() }, "idx_request_logs_parent_time"),
        ("a key", Conditions { key_hash: some("h1"), ..any() }, "idx_request_logs_key_time"),
    ] {
        let conditions = &within(conditions);
        // The index of times holds the group, too: where groups are few, PostgreSQL may take it for the shorter way.
        let index = if kind == Kind::Postgres && conditions.groups.is_some() { "idx_request_logs_" } else { index };
        let order = (request_logs::timestamp.desc(), request_logs::id.desc());
        let page = server_plan!(
            fixture.store,
            matching!(conditions).order(order).offset(1).limit(15).select(LogRow::as_select())
        );
        assert_server_goes_by(kind, &page, index, &format!("page of {case}"));
        // How many rows hold a text no database knows; one that expects few may well sort them.
        if conditions.model.is_none() {
            assert_server_reads_in_order(kind, &page, &format!("page of {case}"));
        }
        let times = server_plan!(
            fixture.store,
            matching!(conditions).order(request_logs::timestamp.desc()).limit(9).select(request_logs::timestamp)
        );
        assert_server_goes_by(kind, &times, index, &format!("times of {case}"));
    }
    let one = server_plan!(fixture.store, attempts!("00000000-0000-7000-8000-000000000001"));
    assert!(one.contains("idx_request_logs_request"), "{one}");
}

#[tokio::test]
async fn pages_go_by_an_index_on_postgres() {
    pages_go_by_an_index(Kind::Postgres).await;
}

#[tokio::test]
async fn pages_go_by_an_index_on_mysql() {
    pages_go_by_an_index(Kind::Mysql).await;
}
