//! Why a read or write did not happen.

use diesel::{
    ConnectionError,
    result::{DatabaseErrorKind, Error as QueryError},
};
use diesel_async::pooled_connection::PoolError;

/// The row of a violated foreign key, before the caller names it.
const REFERRED: &str = "a row that this one refers to";

/// Why a read or write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or is too busy; nothing was changed.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// No such row.
    #[error("{0} does not exist")]
    NotFound(&'static str),
    /// A unique constraint was violated.
    #[error("{0} already exists")]
    Duplicate(&'static str),
    /// Another node leads by now; nothing was changed.
    #[error("epoch {claimed} is stale, the database has seen {current}")]
    StaleEpoch {
        /// Epoch this writer holds.
        claimed: i64,
        /// Highest epoch in the database.
        current: i64,
    },
    /// Encryption at rest: wrong or missing key, or a damaged value.
    #[error("{0}")]
    Encryption(String),
    /// The database is of a version or program that this one cannot use.
    #[error("{0}")]
    Incompatible(String),
    /// Anything else; a defect or a damaged database.
    #[error("database failure: {0}")]
    Internal(String),
}

/// Result of a store call.
pub type StoreResult<T> = Result<T, StoreError>;

impl StoreError {
    /// A stored value that no version of the program writes.
    pub(super) fn damaged(what: &str, detail: impl std::fmt::Display) -> Self {
        Self::Internal(format!("the stored {what} is damaged: {detail}"))
    }

    /// The same failure, with the row named that another one refers to in vain.
    pub(super) fn or_missing(self, what: &'static str) -> Self {
        match self {
            Self::NotFound(REFERRED) => Self::NotFound(what),
            other => other,
        }
    }

    /// The same failure, with a violated unique constraint named.
    pub(super) fn or_duplicate(self, what: &'static str) -> Self {
        match self {
            Self::Duplicate(_) => Self::Duplicate(what),
            other => other,
        }
    }
}

/// Texts of SQLite about the file, the disk or other users of the file, never about a statement or a row; diesel has no
/// error kind of their own for them.
const SQLITE_TROUBLE: [&str; 9] = [
    "is locked",               // SQLITE_BUSY, SQLITE_LOCKED
    "locking protocol",        // SQLITE_PROTOCOL
    "disk is full",            // SQLITE_FULL
    "disk I/O error",          // SQLITE_IOERR
    "readonly database",       // SQLITE_READONLY
    "unable to open database", // SQLITE_CANTOPEN
    "out of memory",           // SQLITE_NOMEM
    "disk image is malformed", // SQLITE_CORRUPT: nobody may throw away what waits for a repaired file
    // After SQLITE_FULL, SQLITE_IOERR and SQLITE_NOMEM SQLite may have undone the transaction itself.
    "no transaction is active",
];

/// Texts of servers and drivers about the server, the way to it or other users of it. diesel tells them from defects by
/// nothing else.
const SERVER_TROUBLE: [&str; 25] = [
    // PostgreSQL
    "deadlock detected",
    "could not serialize access",
    "canceling statement due to", // a time limit, an administrator, a conflict on a replica
    "terminating connection",
    "the database system is",
    "too many clients",
    "remaining connection slots",
    "in a read-only transaction",
    "out of shared memory",
    "No space left on device",
    // MySQL, MariaDB
    "Deadlock found",
    "Lock wait timeout exceeded",
    "shutdown in progress",
    "Connection was killed",
    "execution was interrupted",
    "Too many connections",
    "has more than 'max_user_connections'",
    "--read-only",
    "is full",
    "Got error 28",
    "Lost connection",
    // mysql_async
    "Input/output error",
    "Connection to the server is closed",
    "Packet out of order",
    "Pool was disconnected",
];

fn is_trouble(message: &str) -> bool {
    SQLITE_TROUBLE.iter().chain(&SERVER_TROUBLE).any(|trouble| message.contains(trouble))
}

impl From<QueryError> for StoreError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::NotFound => Self::NotFound("the row"),
            QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::Duplicate("the row"),
            QueryError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => Self::NotFound(REFERRED),
            QueryError::DatabaseError(
                DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::ReadOnlyTransaction
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::UnableToSendCommand,
                info,
            ) => Self::Unavailable(info.message().to_owned()),
            QueryError::DatabaseError(_, info) if is_trouble(info.message()) => {
                Self::Unavailable(info.message().to_owned())
            }
            QueryError::RollbackErrorOnCommit { commit_error, .. } => Self::from(*commit_error),
            QueryError::BrokenTransactionManager => {
                Self::Unavailable("the connection was lost within a transaction".to_owned())
            }
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<ConnectionError> for StoreError {
    fn from(error: ConnectionError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<bb8::RunError<PoolError>> for StoreError {
    fn from(error: bb8::RunError<PoolError>) -> Self {
        match error {
            bb8::RunError::TimedOut => Self::Unavailable("no connection became free in time".to_owned()),
            bb8::RunError::User(PoolError::ConnectionError(error)) => error.into(),
            bb8::RunError::User(PoolError::QueryError(error)) => error.into(),
        }
    }
}
