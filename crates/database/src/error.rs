//! What can go wrong with the database: a failed statement, a corrupt row, a schema of another version, a bad address.

use std::error::Error;
use std::fmt;

use sqlx::error::DatabaseError as ServerError;
use sqlx::sqlite::SqliteError;

use crate::postgres_url::InvalidPostgresUrl;
use crate::preconditions::UnmetPrecondition;
use crate::read_only_failover::record_read_only_session;
use crate::unavailable_cause::{UnavailableCause, is_read_only_session};

/// Why a call of the database failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database refused the statement, failed, or could not be reached in time.
    #[error("the database failed")]
    Database(#[source] DriverError),
    /// A stored row has a value that no version of Tasker writes.
    #[error("row {row} of {table} has an invalid value: {what}")]
    Corrupt {
        /// The table that has the row.
        table: &'static str,
        /// The row's key, as text: an id or a name.
        row: String,
        /// What is wrong with it.
        what: String,
    },
    /// The address is neither `postgres://…` nor `sqlite:PATH`.
    #[error("the address of a database must begin with postgres:// or be sqlite:PATH")]
    Url,
    /// What follows `postgres://` cannot be used.
    #[error(transparent)]
    PostgresUrl(#[from] InvalidPostgresUrl),
    /// The database cannot hold Tasker's tables.
    #[error(transparent)]
    UnmetPrecondition(#[from] UnmetPrecondition),
    /// What follows `sqlite:` is not the path of a file.
    #[error("PATH in sqlite:PATH is not the path of a file: {0}")]
    SqlitePath(&'static str),
    /// The connection that listens for notifications did not receive the one that it sent itself, so it may also miss those of
    /// other Backends.
    #[error("the connection receives no notifications: a notification that it sent to itself did not arrive")]
    NotificationsLost,
    /// A check had no answer within its time limit.
    #[error("the database did not answer in time")]
    NoAnswer,
    /// Fewer connections than [`crate::pools::PoolOptions::MIN_CONNECTIONS`] were allowed.
    #[error("{0} connections are too few: one writes, one reads and one listens for notifications")]
    TooFewConnections(u32),
    /// A newer Tasker has changed the schema so that this binary may not write it any more.
    #[error(
        "the schema of {part} is at version {found} and needs a Tasker that knows version {oldest} or newer; \
         this one knows {known}: start a newer Tasker"
    )]
    SchemaTooNew {
        /// The name of the [`crate::migration::SchemaPart`].
        part: &'static str,
        /// The version in the database.
        found: i64,
        /// The oldest version whose binaries may still use it.
        oldest: i64,
        /// The latest version of the schema in this binary.
        known: i64,
    },
}

/// The driver's error as a source. It has no source of its own, since the driver's texts contain their causes already.
#[derive(Debug)]
pub struct DriverError(pub sqlx::Error);

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // The message alone: sqlx adds the line of PostgreSQL's own source code.
            sqlx::Error::Database(refusal) => f.write_str(refusal.message()),
            // The pool reports a timeout also where nothing listens, without naming the reason.
            sqlx::Error::PoolTimedOut => f.write_str(
                "no connection in time: the server does not listen there, or all connections are in use",
            ),
            error => error.fmt(f),
        }
    }
}

impl Error for DriverError {}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(refusal) = &error
            && is_read_only_session(&**refusal)
        {
            record_read_only_session();
        }
        Self::Database(DriverError(error))
    }
}

impl DatabaseError {
    /// Whether the database is unreachable, busy or shutting down, so that the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        self.unavailable_cause().is_some()
    }

    /// Why the same call may succeed later; `None` if it would fail again.
    pub fn unavailable_cause(&self) -> Option<UnavailableCause> {
        match self {
            Self::Database(DriverError(error)) => UnavailableCause::of_driver_error(error),
            Self::NotificationsLost => Some(UnavailableCause::Unreachable),
            Self::NoAnswer => Some(UnavailableCause::TooSlow),
            _ => None,
        }
    }

    /// Whether an operator must change the URL, the credentials or the server.
    pub fn is_misconfigured(&self) -> bool {
        match self {
            Self::Url
            | Self::PostgresUrl(_)
            | Self::SqlitePath(_)
            | Self::UnmetPrecondition(_)
            | Self::Database(DriverError(sqlx::Error::Configuration(_))) => true,
            Self::Database(DriverError(sqlx::Error::Database(refusal))) => {
                // 28: the account or its password; 3D000: the database; 42501: a right. 26: a file that SQLite has not written.
                let code = refusal.code().unwrap_or_default();
                code.starts_with("28") || ["3D000", "42501", "26"].contains(&&*code)
            }
            _ => false,
        }
    }

    /// Whether the error concerns the data of one row, which no other attempt will write either. Every other error may be
    /// temporary.
    pub fn is_permanent_row_error(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Database(DriverError(sqlx::Error::Database(refusal))) => is_permanent_row_error(&**refusal),
            Self::Database(DriverError(error)) => {
                matches!(
                    error,
                    sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }
                )
            }
            _ => false,
        }
    }

    /// Whether PostgreSQL aborted this transaction because of a concurrent one (a deadlock or a serialization failure), so
    /// that it should be repeated.
    pub fn is_transaction_rollback(&self) -> bool {
        let Self::Database(DriverError(sqlx::Error::Database(refusal))) = self else { return false };
        refusal.code().is_some_and(|code| code == "40P01" || code == "40001")
    }
}

fn is_permanent_row_error(refusal: &dyn ServerError) -> bool {
    let Some(code) = refusal.code() else { return false };
    if refusal.try_downcast_ref::<SqliteError>().is_some() {
        // 18 too big, 19 a constraint, 20 a type mismatch (<https://www.sqlite.org/rescode.html>).
        return code.parse::<i32>().is_ok_and(|code| [18, 19, 20].contains(&(code & 0xff)));
    }
    // Classes of SQLSTATE: 22 data exception; 23 constraint violation; 54 a program limit exceeded.
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}
