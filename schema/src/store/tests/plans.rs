//! How SQLite carries out a statement.

use diesel::{
    QueryableByName, RunQueryDsl, debug_query, query_builder::QueryFragment, sql_query, sql_types::Text, sqlite::Sqlite,
};

use crate::store::{migrate::migrate_sqlite, pool::open_sqlite};

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// The steps of `query` over the tables of this program.
pub(in crate::store) fn plan<Q: QueryFragment<Sqlite>>(query: &Q) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("plan.db");
    let path = path.to_str().expect("UTF-8");
    migrate_sqlite(path).expect("the tables are made");
    let shown = debug_query::<Sqlite, _>(query).to_string();
    let (statement, _) = shown.split_once(" -- binds:").expect("diesel shows the variables after the statement");
    let steps: Vec<Step> = sql_query(format!("EXPLAIN QUERY PLAN {statement}"))
        .load(&mut open_sqlite(path).expect("opens"))
        .expect("a plan");
    steps.into_iter().map(|step| step.detail).collect()
}

/// Asserts that `query` goes by `index` alone.
pub(in crate::store) fn assert_goes_by<Q: QueryFragment<Sqlite>>(query: &Q, index: &str, case: &str) {
    let steps = plan(query);
    let reads: Vec<_> = steps.iter().filter(|step| !step.starts_with("USE TEMP B-TREE")).collect();
    assert!(
        matches!(reads[..], [step] if step.starts_with("SEARCH") && step.contains(&format!("INDEX {index} "))),
        "{case}: {steps:?}"
    );
    let sorts = steps.iter().filter(|step| step.contains("B-TREE FOR ORDER BY")).count();
    assert_eq!(sorts, 0, "{case} sorts everything: {steps:?}");
}
