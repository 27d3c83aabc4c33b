//! What can go wrong with the database: it failed, a row makes no sense, or its schema is not ours.

use std::error::Error;
use std::fmt;

use sqlx::error::DatabaseError as ServerError;
use sqlx::sqlite::SqliteError;
use uuid::Uuid;

/// Why a verb of the store could not be done.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database refused, broke, or could not be reached in time.
    #[error("the database failed")]
    Database(#[source] Cause),
    /// A stored row that no version of Tasker writes.
    #[error("row {row} of {table} does not make sense: {what}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: Uuid,
        /// What is wrong with it.
        what: String,
    },
    /// Neither `postgres://…` nor `sqlite:PATH`.
    #[error("a database is named by postgres://… or sqlite:PATH")]
    Url,
    /// `sqlite:` and something that is not the path of a file.
    #[error("sqlite:PATH names a file: {0}")]
    SqlitePath(&'static str),
    /// A newer Tasker has changed the schema so that this binary may not write it any more.
    #[error(
        "the schema of {part} is at version {found} and needs a Tasker that knows version {oldest} or newer; \
         this one knows {known}: start a newer Tasker"
    )]
    SchemaTooNew {
        /// Whose tables.
        part: &'static str,
        /// The version in the database.
        found: i64,
        /// The oldest version whose binaries may still use it.
        oldest: i64,
        /// The version that this binary brings.
        known: i64,
    },
}

/// What the driver says, told once: its texts hold their causes already.
#[derive(Debug)]
pub struct Cause(pub sqlx::Error);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // Its line is one of PostgreSQL's own source code.
            sqlx::Error::Database(refusal) => f.write_str(refusal.message()),
            // The pool tries until its time is up where nobody listens, and does not say that.
            sqlx::Error::PoolTimedOut => f.write_str(
                "no connection in time: the server does not listen there, or all connections are in use",
            ),
            error => error.fmt(f),
        }
    }
}

impl Error for Cause {}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Cause(error))
    }
}

impl DatabaseError {
    /// The database is away, busy or shutting down: asking again later is right.
    pub fn is_unavailable(&self) -> bool {
        let Self::Database(Cause(error)) = self else { return false };
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(refusal) => is_away(&**refusal),
            _ => false,
        }
    }

    /// It is about what was to be written, which no other try will write either; all else may pass.
    pub fn is_about_a_row(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Database(Cause(sqlx::Error::Database(refusal))) => is_about_a_row(&**refusal),
            Self::Database(Cause(error)) => {
                matches!(
                    error,
                    sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. }
                )
            }
            _ => false,
        }
    }

    /// Two transactions stood in each other's way and this one was chosen to go: doing it again is right.
    pub fn is_conflict(&self) -> bool {
        let Self::Database(Cause(sqlx::Error::Database(refusal))) = self else { return false };
        refusal.code().is_some_and(|code| code == "40P01" || code == "40001")
    }
}

fn is_about_a_row(refusal: &dyn ServerError) -> bool {
    let Some(code) = refusal.code() else { return false };
    if refusal.try_downcast_ref::<SqliteError>().is_some() {
        // Too big, a constraint, a type that does not fit.
        return code.parse::<i32>().is_ok_and(|code| [18, 19, 20].contains(&(code & 0xff)));
    }
    // 22: data that is none; 23: a constraint; 54: too large.
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}

fn is_away(refusal: &dyn ServerError) -> bool {
    let Some(code) = refusal.code() else { return false };
    if refusal.try_downcast_ref::<SqliteError>().is_some() {
        // Busy, locked, I/O, disk full, cannot open. The upper bytes of a code say which kind of these.
        return code.parse::<i32>().is_ok_and(|code| [5, 6, 10, 13, 14].contains(&(code & 0xff)));
    }
    // 08: connection; 25006: read-only after a failover; 53: out of something; 55P03 and 57014: timed out waiting; 57P:
    // going down.
    ["08", "53", "57P"].iter().any(|class| code.starts_with(class))
        || ["25006", "55P03", "57014"].contains(&&*code)
}
