//! Databases on servers: looked at and brought up to date under a lock, so that nodes that start at once do it in turn.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::{
    AsyncConnection, AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl,
    async_connection_wrapper::AsyncConnectionWrapper,
};
use diesel_migrations::MigrationHarness;

use super::{Found, MYSQL, POSTGRES, found_in, refuse_newer};
use crate::{
    store::{StoreError, StoreResult, pool::blocking},
    takeover::source::Inventory,
};

/// Tables and columns, as every server lists them.
const COLUMNS: &str = "SELECT c.table_name AS table_name, c.column_name AS column_name \
     FROM information_schema.columns c JOIN information_schema.tables t \
     ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
     WHERE t.table_type = 'BASE TABLE' AND c.table_schema = ";

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
}

/// What differs between servers when tables are made.
pub(in crate::store) trait ServerSchema: AsyncConnection + Sized + 'static {
    /// The function that names the schema in use.
    const SCHEMA: &'static str;
    /// The statement that waits for the turn to look at and change tables. The turn ends with the session, or by
    /// [`ServerSchema::UNLOCK`].
    const LOCK: &'static str;
    /// Ends the turn.
    const UNLOCK: &'static str;

    /// Tables and their columns.
    async fn inventory(&mut self) -> StoreResult<Inventory>;

    /// Runs pending migrations. Blocks.
    fn run_migrations(connection: &mut AsyncConnectionWrapper<Self>) -> StoreResult<()>;
}

/// A connection whose turn it is to look at and change tables.
pub(in crate::store) struct Migrated<C>(C);

impl<C: ServerSchema> Migrated<C> {
    /// Waits for the turn.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(in crate::store) async fn turn(mut connection: C) -> StoreResult<Self> {
        connection.batch_execute(C::LOCK).await?;
        Ok(Self(connection))
    }

    /// Whose tables there are.
    ///
    /// # Errors
    /// `Incompatible` for those of another program; `place` says where they are.
    pub(in crate::store) async fn found(&mut self, place: &str) -> StoreResult<Found> {
        found_in(&self.0.inventory().await?).ok_or_else(|| {
            StoreError::Incompatible(format!(
                "the database {place} belongs to another program. Nothing was changed. Let DATABASE_DSN name another database."
            ))
        })
    }

    /// Runs pending migrations.
    ///
    /// # Errors
    /// `Incompatible` for a database of a newer version.
    pub(in crate::store) async fn migrate(self) -> StoreResult<Self> {
        let mut wrapped = AsyncConnectionWrapper::from(self.0);
        blocking(move || {
            C::run_migrations(&mut wrapped)?;
            Ok(Self(wrapped.into_inner()))
        })
        .await
    }

    /// Ends the turn.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(in crate::store) async fn end(mut self) -> StoreResult<()> {
        Ok(self.0.batch_execute(C::UNLOCK).await?)
    }
}

macro_rules! server_schema {
    ($connection:ty, $migrations:ident, $schema:expr, $lock:expr, $unlock:expr) => {
        impl ServerSchema for $connection {
            const SCHEMA: &'static str = $schema;
            const LOCK: &'static str = $lock;
            const UNLOCK: &'static str = $unlock;

            async fn inventory(&mut self) -> StoreResult<Inventory> {
                let columns: Vec<Column> = sql_query(format!("{COLUMNS}{}", Self::SCHEMA)).load(self).await?;
                let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
                for Column { table_name, column_name } in columns {
                    tables.entry(table_name).or_default().insert(column_name);
                }
                Ok(Inventory(tables))
            }

            fn run_migrations(connection: &mut AsyncConnectionWrapper<Self>) -> StoreResult<()> {
                refuse_newer(connection, &$migrations)?;
                pending(connection.run_pending_migrations($migrations))
            }
        }
    };
}

// Locks of PostgreSQL have numbers, those of one database its own; any that nobody else uses will do. Locks of MySQL have
// names of up to 64 characters, the same for the whole server.
server_schema!(
    AsyncPgConnection,
    POSTGRES,
    "current_schema()",
    "SET lock_timeout = 0; SELECT pg_advisory_lock(7454119967217345537)",
    "SELECT pg_advisory_unlock(7454119967217345537)"
);
server_schema!(
    AsyncMysqlConnection,
    MYSQL,
    "DATABASE()",
    "DO GET_LOCK(CONCAT('gpt-load tables ', LEFT(SHA2(DATABASE(), 256), 40)), 86400)",
    "DO RELEASE_LOCK(CONCAT('gpt-load tables ', LEFT(SHA2(DATABASE(), 256), 40)))"
);

fn pending<T>(result: diesel::migration::Result<T>) -> StoreResult<()> {
    let failed = |error| StoreError::Internal(format!("cannot bring the tables up to date: {error}"));
    result.map(drop).map_err(failed)
}
