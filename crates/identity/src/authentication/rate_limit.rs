//! Rate limits of networks, accounts and links, as token buckets in the database, so that they are the same after a restart and in every
//! instance.
//!
//! Only the instant at which a bucket is full again is stored: in the generic cell rate algorithm it is called the theoretical
//! arrival time.

use std::time::Duration;

use database::{DatabaseError, Db, ProcessClock, on};

use crate::time::{MINUTE, SECOND};

const FIND: &str = "select full_at from rate_limit where bucket = $1";

const CONSUME: &str = "\
insert into rate_limit (bucket, full_at)
values ($1, $2 + $3)
on conflict (bucket) do update
set full_at = case when rate_limit.full_at > $2 then rate_limit.full_at else $2 end + $3";

const DELETE_EXPIRED: &str = "delete from rate_limit where full_at < $1";

/// What is limited; each kind of request has buckets of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RateLimit {
    /// Failed sign-ins and new accounts, of a network. The limit is generous: a worker whose account does not exist yet asks again and
    /// again.
    SignIn,
    /// Failed authentications of OAuth clients, of a network. They hold back no people who sign in from there.
    Client,
    /// Sign-ins with one name from one network, the successful ones too: each costs the hash of a password.
    AccountSignIn,
    /// Invalid registration tokens that begin alike, of a network: made-up links do not count for somebody else's link that has expired.
    RegistrationToken,
    /// Devices that begin to wait, and codes of devices that do not exist, of a network.
    Device,
}

impl RateLimit {
    fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Client => "client",
            Self::AccountSignIn => "account-sign-in",
            Self::RegistrationToken => "registration-token",
            Self::Device => "device",
        }
    }

    /// How many requests at once are allowed, and after how many microseconds one more is.
    fn burst_and_interval(self) -> (i64, i64) {
        match self {
            Self::SignIn | Self::Client => (120, SECOND),
            Self::AccountSignIn => (60, SECOND / 10),
            Self::RegistrationToken => (5, 10 * MINUTE),
            Self::Device => (30, 10 * SECOND),
        }
    }
}

/// A bucket is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimited {
    /// When the next request is allowed, in whole seconds.
    pub(crate) retry_after: Duration,
}

/// The proof that a bucket was not empty, so that nothing is taken from one that was not checked.
#[derive(Debug)]
pub(crate) struct RateLimitPass {
    bucket: String,
    /// After how many microseconds the bucket has one more request.
    interval: i64,
}

/// Reads and writes the table `rate_limit`.
pub(crate) struct RateLimiter {
    db: Db,
    clock: ProcessClock,
}

impl RateLimiter {
    pub(crate) fn new(db: Db, clock: ProcessClock) -> Self {
        Self { db, clock }
    }

    /// Checks that the bucket of this key is not empty: a network, alone or with what else tells buckets apart. Nothing is consumed.
    pub(crate) async fn check(
        &self,
        limit: RateLimit,
        key: &str,
    ) -> Result<Result<RateLimitPass, RateLimited>, DatabaseError> {
        let bucket = format!("{} {key}", limit.name());
        let row: Option<(i64,)> = on!(&self.db, read, pool =>
            sqlx::query_as(FIND).bind(&bucket).fetch_optional(pool).await)?;
        let (burst, interval) = limit.burst_and_interval();
        let until_full = row.map_or(0, |(full_at,)| full_at - self.clock.now());
        let until_next = until_full - (burst - 1) * interval;
        if until_next <= 0 {
            return Ok(Ok(RateLimitPass { bucket, interval }));
        }
        let seconds = u64::try_from((until_next + SECOND - 1) / SECOND).expect("a positive number");
        Ok(Err(RateLimited { retry_after: Duration::from_secs(seconds) }))
    }

    /// Takes one request from the bucket that was checked.
    pub(crate) async fn consume(&self, pass: RateLimitPass) -> Result<(), DatabaseError> {
        let RateLimitPass { bucket, interval } = pass;
        let now = self.clock.now();
        on!(&self.db, write, pool => sqlx::query(CONSUME)
            .bind(bucket).bind(now).bind(interval).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Deletes the buckets that are full again.
    pub(crate) async fn delete_expired(&self) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        on!(&self.db, write, pool => sqlx::query(DELETE_EXPIRED).bind(now).execute(pool).await.map(drop))?;
        Ok(())
    }
}
