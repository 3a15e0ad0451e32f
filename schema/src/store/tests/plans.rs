//! How databases carry out a statement.

use diesel::{
    QueryResult, QueryableByName, RunQueryDsl,
    backend::Backend,
    debug_query,
    mysql::Mysql,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_query,
    sql_types::Text,
    sqlite::Sqlite,
};

use crate::store::{
    migrate::migrate_sqlite,
    pool::open_sqlite,
    testing::{Database, Kind},
};

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// `query` as a question.
pub(in crate::store) struct Explain<Q>(pub(in crate::store) Q);

impl<Q> QueryId for Explain<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Explain<Q> {
    type SqlType = Text;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Explain<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        explain("EXPLAIN ", &self.0, out)
    }
}

impl<Q: QueryFragment<Mysql>> QueryFragment<Mysql> for Explain<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        explain("EXPLAIN FORMAT=JSON ", &self.0, out)
    }
}

fn explain<'b, DB: Backend, Q: QueryFragment<DB>>(
    word: &str,
    query: &'b Q,
    mut out: AstPass<'_, 'b, DB>,
) -> QueryResult<()> {
    out.unsafe_to_cache_prepared();
    out.push_sql(word);
    query.walk_ast(out)
}

/// The plan of `$query` on the server of `$store`, as one text; its tables should have rows, and be analysed.
macro_rules! server_plan {
    ($store:expr, $query:expr) => {{
        use diesel_async::RunQueryDsl;
        use $crate::store::{pool::Pools, tests::plans::Explain};
        let lines: Vec<String> = match &$store.engine.pools {
            Pools::Sqlite { .. } => panic!("SQLite has plans of its own"),
            Pools::Postgres(pools) => {
                Explain($query).load(&mut *pools.readers.get().await.expect("a connection")).await.expect("a plan")
            }
            Pools::Mysql(pools) => {
                Explain($query).load(&mut *pools.readers.get().await.expect("a connection")).await.expect("a plan")
            }
        };
        lines.join("\n")
    }};
}
pub(in crate::store) use server_plan;

/// Asserts that a plan of [`server_plan`] reads by `index` and never goes through the whole table.
pub(in crate::store) fn assert_server_goes_by(kind: Kind, plan: &str, index: &str, case: &str) {
    let whole = if kind == Kind::Mysql { r#""access_type": "ALL""# } else { "Seq Scan" };
    assert!(plan.contains(index) && !plan.contains(whole), "{kind:?}, {case}: {plan}");
}

/// Asserts that the rows come in their order, so that a page costs no more than itself: at most rows of one moment are
/// sorted.
pub(in crate::store) fn assert_server_reads_in_order(kind: Kind, plan: &str, case: &str) {
    let is_sort = |line: &str| match kind {
        Kind::Mysql => line.contains("temporary_table"),
        _ => line.trim_start_matches([' ', '-', '>']).starts_with("Sort  ") || line.contains("Bitmap"),
    };
    assert!(!plan.lines().any(is_sort), "{kind:?}, {case}: {plan}");
}

/// Lets the database look at what its tables hold.
pub(in crate::store) fn analyse(database: &Database, table: &str) {
    match database.kind() {
        Kind::Sqlite => {}
        Kind::Postgres => database.run(&format!("VACUUM ANALYZE {table}")),
        Kind::Mysql => database.run(&format!("ANALYZE TABLE {table}")),
    }
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
