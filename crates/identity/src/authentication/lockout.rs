//! The lockout of accounts: a delay that grows with every failed sign-in in a row. The counts are in the database, so that
//! they are the same after a restart and in every instance.
//!
//! Failures are counted for the source that they come from, so that somebody who guesses locks out that source, and not the
//! devices and networks that the account has signed in from before.

use std::net::IpAddr;

use database::{DatabaseError, Db, ProcessClock, on};
use uuid::Uuid;
use web::network::network;

use crate::accounts::account_store::Account;
use crate::accounts::acting_admin::{ActingAdmin, still_admin};
use crate::secret_token::TokenDigest;
use crate::time::{DAY, HOUR, SECOND};

/// This many failures in a row from one source lock the account for that source for the first time.
const LOCKOUT_THRESHOLD: u32 = 5;

/// This many failures in a row from sources that are not known lock the account for all such sources.
const LOCKOUT_THRESHOLD_UNKNOWN: u32 = 20;

/// The first delay in microseconds; each further failure doubles it.
const FIRST_DELAY: i64 = 30 * SECOND;

/// The longest delay in microseconds.
const MAX_DELAY: i64 = HOUR;

/// A count is forgotten after this long without a failure, in microseconds.
const FAILURES_RETENTION: i64 = DAY;

/// A source is known for this long after the last sign-in from it, in microseconds. The cookie of a device lives as long.
pub(crate) const SOURCE_RETENTION: i64 = 180 * DAY;

/// The most known sources of an account; those with the latest sign-ins are kept. A sign-in without the cookie of a device adds one.
const MAX_KNOWN_SOURCES: i64 = 64;

/// The source of failures that stands for all sources that are not known.
const UNKNOWN: &str = "unknown";

/// The account of unknown names: no account has this id.
pub(crate) const UNKNOWN_ACCOUNT_ID: Uuid = Uuid::nil();

const FIND_KNOWN: &str =
    "select source from known_source where account = $1 and source in ($2, $3) and last_at > $4";

const FIND_FAILURES: &str =
    "select source, count, last_at from failed_sign_in where account = $1 and source in ($2, $3)";

const RECORD_FAILURE: &str = "\
insert into failed_sign_in (account, source, count, last_at)
values ($1, $2, 1, $3)
on conflict (account, source) do update
set count = case when failed_sign_in.last_at < $4 then 1 else failed_sign_in.count + 1 end, last_at = $3";

const FORGET_SOURCE: &str = "\
delete from failed_sign_in
where account = $1 and source = $2
and exists (select 1 from account where id = $1 and token_generation = $3)";

/// An administrator who acts must still be one.
const UNLOCK: &str = concat!(
    "\
delete from failed_sign_in
where account = $1
and ($2 is null or exists (
    select 1 from account acting
    where ",
    still_admin!("acting", "$2", "$3"),
    "))"
);

/// Nothing is remembered for an account that was deleted or given another password meanwhile. On PostgreSQL the account is locked, so that
/// another password waits for the row and deletes it.
macro_rules! remember {
    ($lock:literal) => {
        concat!(
            "\
insert into known_source (account, source, last_at)
select id, $2, $3 from account where id = $1 and token_generation = $4
",
            $lock,
            "
on conflict (account, source) do update set last_at = excluded.last_at"
        )
    };
}

const REMEMBER_POSTGRES: &str = remember!("for share");

const REMEMBER_SQLITE: &str = remember!("");

/// Keeps the source that was just written and those with the latest sign-ins.
const FORGET_OLDEST: &str = "\
delete from known_source
where account = $1 and source <> $2
and source not in (
    select source from known_source where account = $1 and source <> $2 order by last_at desc, source limit $3)";

const FIND_DEVICE: &str = "\
select 1
from known_source known
join account on account.id = known.account
where account.lower_name = $1 and known.source = $2 and known.last_at > $3";

const IS_ISSUED: &str = "select 1 from known_source where source = $1 limit 1";

const DELETE_EXPIRED: &str = "delete from failed_sign_in where last_at < $1";

const DELETE_EXPIRED_SOURCES: &str = "delete from known_source where last_at < $1";

/// Where a sign-in comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignInSource {
    pub(crate) address: IpAddr,
    /// The device that the cookie of a browser names.
    pub(crate) device: Option<TokenDigest>,
}

impl SignInSource {
    fn device_name(self) -> String {
        self.device.map(device_name).unwrap_or_default()
    }

    fn network_name(self) -> String {
        format!("network {}", network(self.address))
    }
}

fn device_name(device: TokenDigest) -> String {
    format!("device {device}")
}

/// What the failures in a row mean for a sign-in to one account from one source.
#[derive(Debug)]
pub(crate) struct LockoutStatus {
    account: Uuid,
    /// The generation of the account's tokens when its password hash was read.
    generation: i64,
    /// The sources under which a failure is counted.
    sources: [Option<String>; 2],
    /// Whether even the right password is refused until a delay is over.
    pub(crate) is_locked_out: bool,
}

/// Reads and writes the tables `failed_sign_in` and `known_source`.
pub(crate) struct Lockout {
    db: Db,
    clock: ProcessClock,
}

impl Lockout {
    pub(crate) fn new(db: Db, clock: ProcessClock) -> Self {
        Self { db, clock }
    }

    /// Whether the account is locked out now for this source. Failures are counted for the known device, else for the known
    /// network, else for the network and for all unknown sources together.
    pub(crate) async fn status(
        &self,
        account: &Account,
        source: SignInSource,
    ) -> Result<LockoutStatus, DatabaseError> {
        let Account { id: account, token_generation: generation, .. } = *account;
        let (device, network, now) = (source.device_name(), source.network_name(), self.clock.now());
        let known: Vec<(String,)> = on!(&self.db, read, pool => sqlx::query_as(FIND_KNOWN)
            .bind(account).bind(&device).bind(&network).bind(now - SOURCE_RETENTION).fetch_all(pool).await)?;
        let is_known = |source: &String| known.iter().any(|(known,)| known == source);
        let sources = if is_known(&device) {
            [Some(device), None]
        } else if is_known(&network) {
            [Some(network), None]
        } else {
            [Some(network), Some(UNKNOWN.to_owned())]
        };
        let [one, other] = &sources;
        let failures: Vec<(String, i64, i64)> = on!(&self.db, read, pool => sqlx::query_as(FIND_FAILURES)
            .bind(account).bind(one).bind(other).fetch_all(pool).await)?;
        let is_locked = |(source, count, last_at): &(String, i64, i64)| {
            let threshold = if source == UNKNOWN { LOCKOUT_THRESHOLD_UNKNOWN } else { LOCKOUT_THRESHOLD };
            now < last_at + delay(*count, threshold)
        };
        let is_locked_out = failures.iter().any(is_locked);
        Ok(LockoutStatus { account, generation, sources, is_locked_out })
    }

    /// Whether the account with this name in lower case has signed in from the device of this source.
    pub(crate) async fn is_known_device(
        &self,
        lower_name: &str,
        source: SignInSource,
    ) -> Result<bool, DatabaseError> {
        if source.device.is_none() {
            return Ok(false);
        }
        let since = self.clock.now() - SOURCE_RETENTION;
        let found = on!(&self.db, read, pool => sqlx::query(FIND_DEVICE)
            .bind(lower_name).bind(source.device_name()).bind(since)
            .fetch_optional(pool).await.map(|row| row.is_some()))?;
        Ok(found)
    }

    /// Counts a failed sign-in. The count of an account that is locked out is not raised. Whatever the status, two rows are
    /// written, so that the time of a refusal does not reveal whether the account is locked.
    pub(crate) async fn record_failure(&self, status: &LockoutStatus) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        for source in &status.sources {
            let (account, source) = match source {
                Some(source) if !status.is_locked_out => (status.account, source.as_str()),
                _ => (UNKNOWN_ACCOUNT_ID, UNKNOWN),
            };
            on!(&self.db, write, pool => sqlx::query(RECORD_FAILURE)
                .bind(account).bind(source).bind(now).bind(now - FAILURES_RETENTION).execute(pool).await.map(drop))?;
        }
        Ok(())
    }

    /// After a sign-in with the right password: remembers its network, and forgets the failures from there and from the known
    /// device. `false`, and nothing is changed, if the account was given another password or role since the password was checked.
    pub(crate) async fn record_success(
        &self,
        status: &LockoutStatus,
        source: SignInSource,
    ) -> Result<bool, DatabaseError> {
        let network = source.network_name();
        if !self.remember(status.account, status.generation, &network).await? {
            return Ok(false);
        }
        let [counted, _] = &status.sources;
        for source in counted.iter().chain([&network]) {
            on!(&self.db, write, pool => sqlx::query(FORGET_SOURCE)
                .bind(status.account).bind(source).bind(status.generation).execute(pool).await.map(drop))?;
        }
        Ok(true)
    }

    /// Remembers a device whose user knew the right password, unless the account was given another one since.
    pub(crate) async fn remember_device(
        &self,
        account: &Account,
        device: TokenDigest,
    ) -> Result<(), DatabaseError> {
        self.remember(account.id, account.token_generation, &device_name(device)).await.map(drop)
    }

    async fn remember(&self, account: Uuid, generation: i64, source: &str) -> Result<bool, DatabaseError> {
        let now = self.clock.now();
        let statement = match &self.db {
            Db::Postgres(_) => REMEMBER_POSTGRES,
            Db::Sqlite(_) => REMEMBER_SQLITE,
        };
        let remembered = on!(&self.db, write, pool => sqlx::query(statement)
            .bind(account).bind(source).bind(now).bind(generation)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        on!(&self.db, write, pool => sqlx::query(FORGET_OLDEST)
            .bind(account).bind(source).bind(MAX_KNOWN_SOURCES - 1).execute(pool).await.map(drop))?;
        Ok(remembered == 1)
    }

    /// Whether this Identity has issued the cookie of a device.
    pub(crate) async fn is_issued(&self, device: TokenDigest) -> Result<bool, DatabaseError> {
        let source = device_name(device);
        let found = on!(&self.db, read, pool =>
            sqlx::query(IS_ISSUED).bind(&source).fetch_optional(pool).await.map(|row| row.is_some()))?;
        Ok(found)
    }

    /// Forgets the failures of an account, from whatever source, on behalf of an administrator or of the operator of the database. Nothing
    /// is changed if the administrator is none any more.
    pub(crate) async fn unlock(
        &self,
        account: Uuid,
        acting: Option<ActingAdmin>,
    ) -> Result<(), DatabaseError> {
        let (id, generation) = (acting.map(|acting| acting.id), acting.map(|acting| acting.generation));
        on!(&self.db, write, pool => sqlx::query(UNLOCK)
            .bind(account).bind(id).bind(generation).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Deletes the counts that are too old to matter, and the sources that have not been used for long.
    pub(crate) async fn delete_expired(&self) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        for (delete, before) in
            [(DELETE_EXPIRED, now - FAILURES_RETENTION), (DELETE_EXPIRED_SOURCES, now - SOURCE_RETENTION)]
        {
            on!(&self.db, write, pool => sqlx::query(delete).bind(before).execute(pool).await.map(drop))?;
        }
        Ok(())
    }
}

/// How long an account is locked after this many failures in a row, in microseconds; zero below `threshold`.
fn delay(failures: i64, threshold: u32) -> i64 {
    let failures = u32::try_from(failures).unwrap_or(u32::MAX);
    let Some(doublings) = failures.checked_sub(threshold) else { return 0 };
    FIRST_DELAY.checked_shl(doublings.min(16)).unwrap_or(MAX_DELAY).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_an_hour() {
        let seconds: Vec<i64> = (0..14).map(|failures| delay(failures, 5) / SECOND).collect();
        assert_eq!(seconds, [0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(delay(i64::MAX, 5), MAX_DELAY);
    }
}
