//! The lockout of accounts: a delay that grows with every failed sign-in in a row. The counts are in the database, so that
//! they are the same after a restart and in every instance.

use database::{Clock, DatabaseError, Db, on};
use uuid::Uuid;

use crate::time::{DAY, HOUR, SECOND};

/// This many failures in a row lock the account for the first time.
const MAX_FREE_FAILURES: u32 = 5;

/// The first delay in microseconds; each further failure doubles it.
const FIRST_DELAY: i64 = 30 * SECOND;

/// The longest delay in microseconds: somebody who guesses another's password cannot lock the account for longer.
const MAX_DELAY: i64 = HOUR;

/// A count is forgotten after this long without a failure, in microseconds.
const FAILURES_TTL: i64 = DAY;

const FIND: &str = "select count, last_at from failed_sign_in where account = $1";

const RECORD_FAILURE: &str = "\
insert into failed_sign_in (account, count, last_at)
values ($1, 1, $2)
on conflict (account) do update
set count = case when failed_sign_in.last_at < $3 then 1 else failed_sign_in.count + 1 end, last_at = $2";

const RESET: &str = "delete from failed_sign_in where account = $1";

const DELETE_EXPIRED: &str = "delete from failed_sign_in where last_at < $1";

/// What the failures in a row mean for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockoutStatus {
    /// There are none.
    NoFailures,
    /// There are some, and the delay is over or has not begun.
    FailuresRecorded,
    /// There are so many that even the right password is refused until the delay is over.
    LockedOut,
}

/// Reads and writes the table `failed_sign_in`.
pub(crate) struct Lockout {
    db: Db,
    clock: Clock,
}

impl Lockout {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Whether the account is locked out now.
    pub(crate) async fn status(&self, account: Uuid) -> Result<LockoutStatus, DatabaseError> {
        let row: Option<(i64, i64)> =
            on!(&self.db, read, pool => sqlx::query_as(FIND).bind(account).fetch_optional(pool).await)?;
        Ok(match row {
            None => LockoutStatus::NoFailures,
            Some((count, last_at)) if self.clock.now() < last_at + delay(count) => LockoutStatus::LockedOut,
            Some(_) => LockoutStatus::FailuresRecorded,
        })
    }

    /// Counts a failed sign-in.
    pub(crate) async fn record_failure(&self, account: Uuid) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        on!(&self.db, write, pool => sqlx::query(RECORD_FAILURE)
            .bind(account).bind(now).bind(now - FAILURES_TTL).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Deletes the failures of an account, after the right password or a new one.
    pub(crate) async fn reset(&self, account: Uuid) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool => sqlx::query(RESET).bind(account).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Deletes the counts that are too old to matter.
    pub(crate) async fn delete_expired(&self) -> Result<(), DatabaseError> {
        let before = self.clock.now() - FAILURES_TTL;
        on!(&self.db, write, pool =>
            sqlx::query(DELETE_EXPIRED).bind(before).execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// How long an account is locked after this many failures in a row, in microseconds.
fn delay(failures: i64) -> i64 {
    let failures = u32::try_from(failures).unwrap_or(u32::MAX);
    let Some(doublings) = failures.checked_sub(MAX_FREE_FAILURES) else { return 0 };
    FIRST_DELAY.checked_shl(doublings.min(16)).unwrap_or(MAX_DELAY).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_an_hour() {
        let seconds: Vec<i64> = (0..14).map(|failures| delay(failures) / SECOND).collect();
        assert_eq!(seconds, [0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(delay(i64::MAX), MAX_DELAY);
    }
}
