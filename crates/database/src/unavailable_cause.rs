//! Why a database does not serve a call that it may serve later, in words and with the time after which to try again.

use std::time::Duration;

use sqlx::error::DatabaseError as ServerError;
use sqlx::sqlite::SqliteError;

/// Why a database does not serve a call that it may serve later. The texts are for callers: they name no address and no
/// table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnavailableCause {
    /// No connection can be opened, or an open one breaks.
    #[error("the database cannot be reached")]
    Unreachable,
    /// The pool has no free connection and opens none in time.
    #[error(
        "no connection to the database could be opened in time: it is unreachable, or all connections are in use"
    )]
    NoConnection,
    /// The session may only read: the server has become a standby (SQLSTATE 25006).
    #[error("the database accepts no writes: the server has become read-only")]
    ReadOnly,
    /// No disk space is left.
    #[error("the database has no free disk space")]
    DiskFull,
    /// Another session holds a lock for longer than a statement waits.
    #[error("the database is locked by another session")]
    Locked,
    /// The server has as many connections as it allows.
    #[error("the database has too many connections")]
    TooManyConnections,
    /// The server lacks memory or another resource.
    #[error("the database has run out of memory or of another resource")]
    OutOfResources,
    /// The statement took longer than a statement may take.
    #[error("the database did not answer in time")]
    TooSlow,
}

impl UnavailableCause {
    /// After what time another attempt may succeed, in whole seconds: what only an operator can correct lasts longer.
    pub const fn retry_after(self) -> Duration {
        Duration::from_secs(match self {
            Self::Unreachable | Self::NoConnection | Self::ReadOnly => 1,
            Self::Locked | Self::TooManyConnections | Self::OutOfResources | Self::TooSlow => 5,
            Self::DiskFull => 30,
        })
    }

    /// The class of the driver's `error`; `None` if another attempt would fail, too.
    pub(crate) fn of_driver_error(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Some(Self::Unreachable),
            sqlx::Error::PoolTimedOut => Some(Self::NoConnection),
            sqlx::Error::Database(refusal) => {
                let code = refusal.code()?;
                if refusal.try_downcast_ref::<SqliteError>().is_some() {
                    Self::of_result_code(&code)
                } else {
                    Self::of_sqlstate(&code)
                }
            }
            _ => None,
        }
    }

    /// The class of a result code of SQLite (<https://www.sqlite.org/rescode.html>), whose upper bytes give details.
    fn of_result_code(code: &str) -> Option<Self> {
        match code.parse::<i32>().ok()? & 0xff {
            5 | 6 => Some(Self::Locked),
            8 => Some(Self::ReadOnly),
            13 => Some(Self::DiskFull),
            10 | 14 => Some(Self::Unreachable),
            _ => None,
        }
    }

    /// The class of a SQLSTATE of PostgreSQL.
    fn of_sqlstate(code: &str) -> Option<Self> {
        match code {
            "25006" => Some(Self::ReadOnly),
            "53100" => Some(Self::DiskFull),
            "53300" => Some(Self::TooManyConnections),
            "55P03" => Some(Self::Locked),
            "57014" => Some(Self::TooSlow),
            _ if code.starts_with("53") => Some(Self::OutOfResources),
            // 08: connection; 57P: the server shuts down.
            _ if code.starts_with("08") || code.starts_with("57P") => Some(Self::Unreachable),
            _ => None,
        }
    }
}

/// Whether `refusal` says that the session may only read (SQLSTATE 25006).
pub(crate) fn is_read_only_session(refusal: &dyn ServerError) -> bool {
    refusal.code().is_some_and(|code| code == "25006")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_system_beneath_sqlite_is_a_full_disk() {
        assert_eq!(UnavailableCause::of_result_code("13"), Some(UnavailableCause::DiskFull));
        assert_eq!(
            UnavailableCause::of_result_code("517"),
            Some(UnavailableCause::Locked),
            "an extended code"
        );
    }

    #[test]
    fn the_limits_of_a_postgres_server_are_told_apart() {
        for (code, class) in [
            ("53100", UnavailableCause::DiskFull),
            ("53200", UnavailableCause::OutOfResources),
            ("53300", UnavailableCause::TooManyConnections),
            ("57P01", UnavailableCause::Unreachable),
        ] {
            assert_eq!(UnavailableCause::of_sqlstate(code), Some(class), "{code}");
        }
        assert_eq!(UnavailableCause::of_sqlstate("42P01"), None);
    }
}
