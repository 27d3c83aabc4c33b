//! Sessions of signed-in browsers: a random cookie, whose digest is stored with the account.

use database::{DatabaseError, Db, ProcessClock, on};
use uuid::Uuid;

use crate::accounts::account_store::{Account, read_role};
use crate::secret_token::{SecretToken, TokenDigest};
use crate::time::{HOUR, MINUTE};

/// A session ends when it is unused for this long, in microseconds.
const IDLE_TIMEOUT: i64 = 2 * HOUR;

/// A session ends this long after it began, used or not, in microseconds.
const MAX_AGE: i64 = 12 * HOUR;

/// `last_used_at` is written at most once in this many microseconds, not for every request.
const TOUCH_INTERVAL: i64 = MINUTE;

/// So many sessions of an account are kept, the latest: each sign-in starts one.
const MAX_SESSIONS: i64 = 64;

/// A disabled account gets no session, and neither does a sign-in with a password that was replaced meanwhile.
const CREATE: &str = "\
insert into session (digest, account, token_generation, started_at, last_used_at)
select $1, account.id, account.token_generation, $3, $3 from account
where account.id = $2 and account.disabled_at is null and account.token_generation = $4";

/// The session of an account whose access tokens were revoked since it began has ended with them.
const FIND: &str = "\
select account.id, account.name, account.role, account.token_generation, session.started_at, session.last_used_at
from session
join account on account.id = session.account and account.token_generation = session.token_generation
where session.digest = $1
and session.started_at > $2
and session.last_used_at > $3
and account.disabled_at is null";

const TOUCH: &str = "update session set last_used_at = $2 where digest = $1 and last_used_at < $2";

const END: &str = "delete from session where digest = $1";

const LIST: &str = "\
select session.digest, session.started_at, session.last_used_at
from session
join account on account.id = session.account and account.token_generation = session.token_generation
where session.account = $1 and session.started_at > $2 and session.last_used_at > $3
order by session.last_used_at desc, session.digest";

const END_OF_ACCOUNT: &str = "delete from session where digest = $1 and account = $2";

/// Keeps the session that was just started and the latest ones.
const END_OLDEST: &str = "\
delete from session
where account = $1 and digest <> $2
and digest not in (
    select digest from session where account = $1 and digest <> $2 order by started_at desc, digest limit $3)";

const DELETE_EXPIRED: &str = "delete from session where started_at <= $1 or last_used_at <= $2";

/// Reads and writes the table `session`.
pub(crate) struct SessionStore {
    db: Db,
    clock: ProcessClock,
}

/// A browser that is signed in. Instants are microseconds since 1970.
pub(crate) struct BrowserSession {
    pub(crate) digest: TokenDigest,
    pub(crate) started_at: i64,
    pub(crate) last_used_at: i64,
}

impl SessionStore {
    pub(crate) fn new(db: Db, clock: ProcessClock) -> Self {
        Self { db, clock }
    }

    /// Starts a session and returns its secret, the value of the cookie. `None` if the account is disabled, or its password or role was
    /// changed since `account` was read.
    pub(crate) async fn start(&self, account: &Account) -> Result<Option<SecretToken>, DatabaseError> {
        let (cookie, now) = (SecretToken::random(), self.clock.now());
        let started = on!(&self.db, write, pool => sqlx::query(CREATE)
            .bind(cookie.digest().as_bytes()).bind(account.id).bind(now).bind(account.token_generation)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        on!(&self.db, write, pool => sqlx::query(END_OLDEST)
            .bind(account.id).bind(cookie.digest().as_bytes()).bind(MAX_SESSIONS - 1)
            .execute(pool).await.map(drop))?;
        Ok((started == 1).then_some(cookie))
    }

    /// The account of a session, as it is now, and when the session began, in microseconds since 1970. `None` if there is no such session,
    /// it has ended, or the account is disabled.
    pub(crate) async fn find(&self, session: TokenDigest) -> Result<Option<(Account, i64)>, DatabaseError> {
        let now = self.clock.now();
        let row: Option<(Uuid, String, String, i64, i64, i64)> = on!(&self.db, read, pool => sqlx::query_as(FIND)
            .bind(session.as_bytes()).bind(now - MAX_AGE).bind(now - IDLE_TIMEOUT).fetch_optional(pool).await)?;
        let Some((id, name, role, token_generation, started_at, last_used_at)) = row else { return Ok(None) };
        if now - last_used_at > TOUCH_INTERVAL {
            on!(&self.db, write, pool => sqlx::query(TOUCH)
                .bind(session.as_bytes()).bind(now).execute(pool).await.map(drop))?;
        }
        let role = read_role("account", id, &role)?;
        Ok(Some((Account { id, name, role, is_disabled: false, token_generation }, started_at)))
    }

    /// The sessions of an account, the one that was used last first.
    pub(crate) async fn of_account(&self, account: Uuid) -> Result<Vec<BrowserSession>, DatabaseError> {
        let now = self.clock.now();
        let rows: Vec<(Vec<u8>, i64, i64)> = on!(&self.db, read, pool => sqlx::query_as(LIST)
            .bind(account).bind(now - MAX_AGE).bind(now - IDLE_TIMEOUT).fetch_all(pool).await)?;
        let session = |(digest, started_at, last_used_at): (Vec<u8>, i64, i64)| {
            Some(BrowserSession { digest: TokenDigest::from_bytes(&digest)?, started_at, last_used_at })
        };
        Ok(rows.into_iter().filter_map(session).collect())
    }

    /// Ends a session of this account.
    pub(crate) async fn end_of_account(
        &self,
        session: TokenDigest,
        account: Uuid,
    ) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool => sqlx::query(END_OF_ACCOUNT)
            .bind(session.as_bytes()).bind(account).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Ends a session.
    pub(crate) async fn end(&self, session: TokenDigest) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool =>
            sqlx::query(END).bind(session.as_bytes()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Deletes sessions that have ended by their age or by disuse.
    pub(crate) async fn delete_expired(&self) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        on!(&self.db, write, pool => sqlx::query(DELETE_EXPIRED)
            .bind(now - MAX_AGE).bind(now - IDLE_TIMEOUT).execute(pool).await.map(drop))?;
        Ok(())
    }
}
