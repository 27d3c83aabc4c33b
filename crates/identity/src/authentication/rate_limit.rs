//! How often one may try: a growing delay for an account, an allowance for an address, both in the database, so that
//! neither a restart nor another instance forgets them.

use std::net::IpAddr;
use std::time::Duration;

use database::{Clock, DatabaseError, Db, on};
use uuid::Uuid;

use crate::time::{DAY, HOUR, MINUTE, SECOND};

/// Wrong passwords that cost nothing but themselves.
const FREE_MISSES: u32 = 5;
/// The first delay; each further miss doubles it.
const FIRST_DELAY: i64 = 30 * SECOND;
/// Nobody is locked out for longer by what strangers try.
const LONGEST_DELAY: i64 = HOUR;
/// After so long without a miss the counting begins anew.
const MISSES_LAST: i64 = DAY;

const MISSES: &str = "select count, last from misses where account = $1";

const MISS: &str = "\
insert into misses (account, count, last)
values ($1, 1, $2)
on conflict (account) do update
set count = case when misses.last < $3 then 1 else misses.count + 1 end, last = $2";

const CLEAR: &str = "delete from misses where account = $1";

const WHOLE_AT: &str = "select whole_at from allowance where bucket = $1";

const SPEND: &str = "\
insert into allowance (bucket, whole_at)
values ($1, $2 + $3)
on conflict (bucket) do update
set whole_at = case when allowance.whole_at > $2 then allowance.whole_at else $2 end + $3";

const FORGET_MISSES: &str = "delete from misses where last < $1";

const FORGET_ALLOWANCES: &str = "delete from allowance where whole_at < $1";

/// What an address may do, each with an allowance of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RateLimit {
    /// Fail to sign in, or make an account. Generous: a worker whose account is not there yet keeps asking.
    SignIn,
    /// Present a proof that does not hold.
    RegistrationToken,
}

impl RateLimit {
    fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::RegistrationToken => "proof",
        }
    }

    /// How many at once, and how long until one more is allowed.
    fn limits(self) -> (i64, i64) {
        match self {
            Self::SignIn => (120, SECOND),
            Self::RegistrationToken => (5, 10 * MINUTE),
        }
    }
}

/// An address has used up its allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimited {
    pub(crate) retry_after: Duration,
}

pub(crate) struct Throttle {
    db: Db,
    clock: Clock,
}

impl Throttle {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Whether an account has missed lately, and whether it has to wait for that.
    pub(crate) async fn misses(&self, account: Uuid) -> Result<FailedAttempts, DatabaseError> {
        let row: Option<(i64, i64)> =
            on!(&self.db, read, pool => sqlx::query_as(MISSES).bind(account).fetch_optional(pool).await)?;
        Ok(row.map_or(FailedAttempts::None, |(count, last)| {
            if self.clock.now() < last + delay(count) { FailedAttempts::Wait } else { FailedAttempts::Some }
        }))
    }

    /// Counts a wrong password.
    pub(crate) async fn miss(&self, account: Uuid) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        on!(&self.db, write, pool => sqlx::query(MISS)
            .bind(account).bind(now).bind(now - MISSES_LAST).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The right password came: nothing is held against the account any more.
    pub(crate) async fn clear(&self, account: Uuid) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool => sqlx::query(CLEAR).bind(account).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Refuses an address that has nothing left to spend.
    pub(crate) async fn check(
        &self,
        allowance: RateLimit,
        address: IpAddr,
    ) -> Result<Result<(), RateLimited>, DatabaseError> {
        let row: Option<(i64,)> = on!(&self.db, read, pool => sqlx::query_as(WHOLE_AT)
            .bind(bucket(allowance, address)).fetch_optional(pool).await)?;
        let (burst, step) = allowance.limits();
        let spent = row.map_or(0, |(full_at,)| full_at - self.clock.now());
        let over = spent - (burst - 1) * step;
        if over <= 0 {
            return Ok(Ok(()));
        }
        let seconds = u64::try_from((over + SECOND - 1) / SECOND).expect("more than nothing");
        Ok(Err(RateLimited { retry_after: Duration::from_secs(seconds) }))
    }

    /// Takes one from what an address may do.
    pub(crate) async fn consume(&self, allowance: RateLimit, address: IpAddr) -> Result<(), DatabaseError> {
        let (now, (_, step)) = (self.clock.now(), allowance.limits());
        on!(&self.db, write, pool => sqlx::query(SPEND)
            .bind(bucket(allowance, address)).bind(now).bind(step).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Forgets what no longer counts.
    pub(crate) async fn forget(&self) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        on!(&self.db, write, pool =>
            sqlx::query(FORGET_MISSES).bind(now - MISSES_LAST).execute(pool).await.map(drop))?;
        on!(&self.db, write, pool => sqlx::query(FORGET_ALLOWANCES).bind(now).execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// What is held against an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailedAttempts {
    None,
    Some,
    /// So much that even the right password has to wait.
    Wait,
}

/// How long an account waits after so many misses in a row.
fn delay(misses: i64) -> i64 {
    let Some(further) = u32::try_from(misses).unwrap_or(u32::MAX).checked_sub(FREE_MISSES) else { return 0 };
    FIRST_DELAY.checked_shl(further.min(16)).unwrap_or(LONGEST_DELAY).min(LONGEST_DELAY)
}

/// An IPv6 network counts as one address: whoever has one address of it has all.
fn bucket(allowance: RateLimit, address: IpAddr) -> String {
    let name = allowance.name();
    match address.to_canonical() {
        IpAddr::V4(address) => format!("{name} {address}"),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{name} {a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s103_the_delay_grows_and_has_an_end() {
        let seconds: Vec<i64> = (0..14).map(|misses| delay(misses) / SECOND).collect();
        assert_eq!(seconds, [0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(delay(i64::MAX), LONGEST_DELAY);
    }

    #[test]
    fn s104_an_ipv6_network_is_one_address() {
        let bucket = |address: &str| bucket(RateLimit::SignIn, address.parse().unwrap());
        assert_eq!(bucket("2001:db8::1"), bucket("2001:db8::ffff:1"));
        assert_ne!(bucket("2001:db8::1"), bucket("2001:db8:0:1::1"));
        assert_eq!(bucket("::ffff:10.0.0.1"), bucket("10.0.0.1"));
    }
}
