//! Browsers that have signed in: an opaque cookie, and the account as it is at this moment.

use database::{Clock, DatabaseError, Db, on};
use uuid::Uuid;

use crate::accounts::account_store::{Account, read_role};
use crate::secret_token::{SecretToken, TokenDigest};
use crate::time::{HOUR, MINUTE};

/// Unused for so long, a session ends.
const IDLE: i64 = 2 * HOUR;
/// Used or not, it ends after this.
const LONGEST: i64 = 12 * HOUR;
/// `seen` is not written for each request.
const COARSE: i64 = MINUTE;

/// An account that was taken out of use in the meantime gets none.
const BEGIN: &str = "\
insert into session (digest, account, started, seen)
select $1, account.id, $3, $3 from account where account.id = $2 and account.disabled is null";

const FIND: &str = "\
select account.id, account.name, account.role, session.seen
from session
join account on account.id = session.account
where session.digest = $1
and session.started > $2
and session.seen > $3
and account.disabled is null";

const SEEN: &str = "update session set seen = $2 where digest = $1 and seen < $2";

const END: &str = "delete from session where digest = $1";

const END_ALL: &str = "delete from session where account = $1";

const FORGET: &str = "delete from session where started <= $1 or seen <= $2";

pub(crate) struct Sessions {
    db: Db,
    clock: Clock,
}

impl Sessions {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// A new session, whose secret goes into the cookie.
    pub(crate) async fn begin(&self, account: Uuid) -> Result<SecretToken, DatabaseError> {
        let (cookie, now) = (SecretToken::random(), self.clock.now());
        on!(&self.db, write, pool => sqlx::query(BEGIN)
            .bind(cookie.digest().as_bytes()).bind(account).bind(now).execute(pool).await.map(drop))?;
        Ok(cookie)
    }

    /// Whose session it is, if it still is one.
    pub(crate) async fn find(&self, session: TokenDigest) -> Result<Option<Account>, DatabaseError> {
        let now = self.clock.now();
        let row: Option<(Uuid, String, String, i64)> = on!(&self.db, read, pool => sqlx::query_as(FIND)
            .bind(session.as_bytes()).bind(now - LONGEST).bind(now - IDLE).fetch_optional(pool).await)?;
        let Some((id, name, role, seen)) = row else { return Ok(None) };
        if now - seen > COARSE {
            on!(&self.db, write, pool => sqlx::query(SEEN)
                .bind(session.as_bytes()).bind(now).execute(pool).await.map(drop))?;
        }
        Ok(Some(Account { id, name, role: read_role("account", id, &role)?, is_disabled: false }))
    }

    pub(crate) async fn end(&self, session: TokenDigest) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool =>
            sqlx::query(END).bind(session.as_bytes()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Ends every session of an account.
    pub(crate) async fn end_all(&self, account: Uuid) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool => sqlx::query(END_ALL).bind(account).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Forgets what has ended by itself.
    pub(crate) async fn forget(&self) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        on!(&self.db, write, pool =>
            sqlx::query(FORGET).bind(now - LONGEST).bind(now - IDLE).execute(pool).await.map(drop))?;
        Ok(())
    }
}
