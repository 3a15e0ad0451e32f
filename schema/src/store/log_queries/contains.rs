//! `LIKE` without regard to the case of letters, in the words of each database.

use diesel::{
    AppearsOnTable, Expression, IntoSql, QueryResult,
    dsl::AsExprOf,
    mysql::Mysql,
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Bool, Nullable, Text},
    sqlite::Sqlite,
};

/// Escapes the wildcards of patterns; unlike the usual backslash, every database takes it in a literal.
pub(super) const ESCAPE: char = '!';

/// Whether the text of the column `C` matches a pattern.
#[derive(Clone, Debug, QueryId, diesel::expression::ValidGrouping)]
pub(super) struct Contains<C, P> {
    column: C,
    pattern: P,
}

/// Rows whose `column` matches `pattern`, in which [`ESCAPE`] makes wildcards mean themselves.
///
/// SQLite takes ASCII letters of either case for the same, the others all letters.
pub(super) fn contains<C: Expression>(column: C, pattern: String) -> Contains<C, AsExprOf<String, Text>> {
    Contains { column, pattern: pattern.into_sql::<Text>() }
}

impl<C: Expression, P: Expression> Expression for Contains<C, P> {
    type SqlType = Nullable<Bool>;
}

impl<C: AppearsOnTable<QS>, P: AppearsOnTable<QS>, QS: ?Sized> AppearsOnTable<QS> for Contains<C, P> {}

macro_rules! in_words {
    ($database:ty, $before:expr, $between:expr, $after:expr) => {
        impl<C: QueryFragment<$database>, P: QueryFragment<$database>> QueryFragment<$database> for Contains<C, P> {
            fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, $database>) -> QueryResult<()> {
                out.push_sql($before);
                self.column.walk_ast(out.reborrow())?;
                out.push_sql($between);
                self.pattern.walk_ast(out.reborrow())?;
                out.push_sql($after);
                Ok(())
            }
        }
    };
}

in_words!(Sqlite, "(", " LIKE ", " ESCAPE '!')");
in_words!(Pg, "(", " ILIKE ", " ESCAPE '!')");
// Columns compare byte by byte.
in_words!(Mysql, "(LOWER(", ") LIKE LOWER(", ") ESCAPE '!')");
