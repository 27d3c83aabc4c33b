//! The table of grants: codes and refresh tokens, each usable once, and the end of a whole grant.

use database::{DatabaseError, Db, ProcessClock, on};
use uuid::Uuid;

use crate::accounts::account_store::Account;
use crate::grants::refresh_token::RefreshToken;
use crate::scope::Scopes;
use crate::secret_token::{SecretToken, TokenDigest};
use crate::time::{DAY, MINUTE, SECOND};

/// How long a code can be exchanged, in microseconds.
pub(crate) const CODE_TTL: i64 = MINUTE;

/// A refresh token that was not used for this long is not valid any more, in microseconds.
const REFRESH_IDLE_TIMEOUT: i64 = 30 * DAY;

/// A grant ends this long after it began, however often its tokens are refreshed, in microseconds.
const MAX_AGE: i64 = 365 * DAY;

/// For so long a refresh token may be used once more, since the answer to its first use may have been lost, in microseconds. The
/// token of that answer is then not valid.
const LOST_ANSWER_TIME: i64 = 10 * SECOND;

const START: &str = "\
insert into client_grant (id, account, client, scopes, token_generation, authenticated_at, session, code_digest, redirect_uri,
    code_challenge, nonce, started_at, redeemed_at, refresh_digest, last_used_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $12)";

/// Each code is taken once, whatever follows.
const REDEEM: &str = "\
update client_grant
set redeemed_at = $2, refresh_digest = $3, last_used_at = $2
where code_digest = $1 and redeemed_at is null and ended_at is null
returning id, account, client, scopes, token_generation, authenticated_at, redirect_uri, code_challenge, nonce, started_at";

const END_BY_CODE: &str = "update client_grant set ended_at = $2 where code_digest = $1 and ended_at is null";

macro_rules! find {
    ($further_condition:literal) => {
        concat!(
            "\
select id, account, client, scopes, token_generation, authenticated_at, redirect_uri, code_challenge, nonce, started_at
from client_grant
where id = $1 and redeemed_at is not null and ended_at is null and started_at > $2 and last_used_at > $3",
            $further_condition
        )
    };
}

const FIND: &str = find!("");

const FIND_CURRENT: &str = find!(" and refresh_digest = $4");

const ROTATE: &str = "\
update client_grant
set refresh_digest = $3, previous_digest = $2, rotated_at = $4, last_used_at = $4
where id = $1 and refresh_digest = $2 and ended_at is null";

const ROTATE_AGAIN: &str = "\
update client_grant
set refresh_digest = $3, last_used_at = $4
where id = $1 and previous_digest = $2 and rotated_at > $5 and ended_at is null";

const END: &str = "update client_grant set ended_at = $2 where id = $1 and ended_at is null";

const LIST_OF_ACCOUNT: &str = "\
select client_grant.client, min(client_grant.started_at), max(client_grant.last_used_at)
from client_grant
join account on account.id = client_grant.account and account.token_generation = client_grant.token_generation
where client_grant.account = $1 and client_grant.redeemed_at is not null and client_grant.ended_at is null
and client_grant.started_at > $2 and client_grant.last_used_at > $3
group by client_grant.client
order by client_grant.client";

const END_OF_CLIENT: &str = "\
update client_grant set ended_at = $3 where account = $1 and client = $2 and ended_at is null";

const LIST_CLIENTS: &str = "select distinct client from client_grant where ended_at is null";

const END_ALL_OF_CLIENT: &str =
    "update client_grant set ended_at = $2 where client = $1 and ended_at is null";

const IS_ALIVE: &str = "select 1 from client_grant where id = $1 and ended_at is null";

const LIST_ENDED: &str = "select id, ended_at from client_grant where ended_at > $1 order by id";

/// Of grants that never had a token nothing is kept.
const DELETE: &str = "\
delete from client_grant
where ended_at <= $1 or started_at <= $2 or last_used_at <= $3 or redeemed_at is null and started_at <= $4";

/// Reads and writes the table `client_grant`.
pub(crate) struct GrantStore {
    db: Db,
    clock: ProcessClock,
}

/// What is granted to whom.
pub(crate) struct NewGrant<'a> {
    pub(crate) account: &'a Account,
    pub(crate) client: &'a str,
    pub(crate) scopes: &'a Scopes,
    /// When the person signed in, in microseconds since 1970.
    pub(crate) authenticated_at: i64,
    /// The session in which it was allowed.
    pub(crate) session: Option<TokenDigest>,
}

/// What the request for a code named: the exchange of the code must match it.
pub(crate) struct CodeBinding<'a> {
    pub(crate) redirect_uri: &'a str,
    pub(crate) code_challenge: &'a str,
    pub(crate) nonce: Option<&'a str>,
}

/// A grant whose tokens may be issued.
pub(crate) struct Grant {
    pub(crate) id: Uuid,
    pub(crate) account: Uuid,
    pub(crate) client: String,
    pub(crate) scopes: Scopes,
    pub(crate) token_generation: i64,
    pub(crate) authenticated_at: i64,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) started_at: i64,
}

/// What an account has granted one client, in all its grants. Instants are microseconds since 1970.
pub(crate) struct ClientAccess {
    pub(crate) client: String,
    pub(crate) since: i64,
    pub(crate) last_used_at: i64,
}

/// A row of the table: the fields of [`Grant`] in their order.
type GrantRow = (Uuid, Uuid, String, String, i64, i64, Option<String>, Option<String>, Option<String>, i64);

impl GrantStore {
    pub(crate) fn new(db: Db, clock: ProcessClock) -> Self {
        Self { db, clock }
    }

    /// Starts a grant that the client gets with a code; returns the code.
    pub(crate) async fn start_with_code(
        &self,
        grant: &NewGrant<'_>,
        binding: &CodeBinding<'_>,
    ) -> Result<SecretToken, DatabaseError> {
        let code = SecretToken::random();
        self.start(grant, Some((binding, code.digest())), None).await?;
        Ok(code)
    }

    /// Starts a grant whose client gets its tokens at once; returns it with its refresh token.
    pub(crate) async fn start_at_once(&self, grant: &NewGrant<'_>) -> Result<(Grant, String), DatabaseError> {
        let refresh = SecretToken::random();
        let id = self.start(grant, None, Some(refresh.digest())).await?;
        let NewGrant { account, client, scopes, authenticated_at, .. } = *grant;
        let token = RefreshToken::text(id, &refresh);
        let grant = Grant {
            id,
            account: account.id,
            client: client.to_owned(),
            scopes: scopes.clone(),
            token_generation: account.token_generation,
            authenticated_at,
            redirect_uri: None,
            code_challenge: None,
            nonce: None,
            started_at: self.clock.now(),
        };
        Ok((grant, token))
    }

    async fn start(
        &self,
        grant: &NewGrant<'_>,
        code: Option<(&CodeBinding<'_>, TokenDigest)>,
        refresh: Option<TokenDigest>,
    ) -> Result<Uuid, DatabaseError> {
        let (id, now) = (Uuid::new_v4(), self.clock.now());
        let NewGrant { account, client, scopes, authenticated_at, session } = grant;
        let binding = code.map(|(binding, _)| binding);
        on!(&self.db, write, pool => sqlx::query(START)
            .bind(id).bind(account.id).bind(*client).bind(scopes.to_string())
            .bind(account.token_generation).bind(authenticated_at)
            .bind(session.map(|digest| digest.as_bytes().to_vec()))
            .bind(code.map(|(_, digest)| digest.as_bytes().to_vec()))
            .bind(binding.map(|binding| binding.redirect_uri))
            .bind(binding.map(|binding| binding.code_challenge))
            .bind(binding.and_then(|binding| binding.nonce))
            .bind(now).bind(refresh.is_some().then_some(now))
            .bind(refresh.map(|digest| digest.as_bytes().to_vec()))
            .execute(pool).await.map(drop))?;
        Ok(id)
    }

    /// Takes a code, which nobody can take again; returns its grant with a refresh token. `None` if there is no such code, or it has
    /// expired. If it was taken before, its grant ends: one of the two is a thief (RFC 6749, section 4.1.2).
    pub(crate) async fn redeem(&self, code: &str) -> Result<Option<(Grant, String)>, DatabaseError> {
        let (digest, now, refresh) = (TokenDigest::of(code), self.clock.now(), SecretToken::random());
        let row: Option<GrantRow> = on!(&self.db, write, pool => sqlx::query_as(REDEEM)
            .bind(digest.as_bytes()).bind(now).bind(refresh.digest().as_bytes().to_vec())
            .fetch_optional(pool).await)?;
        let Some(grant) = row.and_then(read_grant) else {
            on!(&self.db, write, pool => sqlx::query(END_BY_CODE)
                .bind(digest.as_bytes()).bind(now).execute(pool).await.map(drop))?;
            return Ok(None);
        };
        if grant.started_at + CODE_TTL <= now {
            self.end(grant.id).await?;
            return Ok(None);
        }
        let token = RefreshToken::text(grant.id, &refresh);
        Ok(Some((grant, token)))
    }

    /// The grant of a refresh token, whether or not the token is valid.
    pub(crate) async fn find(&self, grant: Uuid) -> Result<Option<Grant>, DatabaseError> {
        let now = self.clock.now();
        let row: Option<GrantRow> = on!(&self.db, read, pool => sqlx::query_as(FIND)
            .bind(grant).bind(now - MAX_AGE).bind(now - REFRESH_IDLE_TIMEOUT).fetch_optional(pool).await)?;
        Ok(row.and_then(read_grant))
    }

    /// The grant of a refresh token, if this is the one that is valid now.
    pub(crate) async fn find_current(&self, token: &RefreshToken) -> Result<Option<Grant>, DatabaseError> {
        let now = self.clock.now();
        let row: Option<GrantRow> = on!(&self.db, read, pool => sqlx::query_as(FIND_CURRENT)
            .bind(token.grant).bind(now - MAX_AGE).bind(now - REFRESH_IDLE_TIMEOUT)
            .bind(token.digest.as_bytes()).fetch_optional(pool).await)?;
        Ok(row.and_then(read_grant))
    }

    /// Replaces a refresh token by a new one, which is returned. `None` if it was not valid: then the grant has ended, since one of
    /// those who have the token is a thief (RFC 9700, section 4.14).
    pub(crate) async fn rotate(&self, token: &RefreshToken) -> Result<Option<String>, DatabaseError> {
        let (new, now) = (SecretToken::random(), self.clock.now());
        let (old, digest) = (token.digest.as_bytes().to_vec(), new.digest().as_bytes().to_vec());
        let mut rotated = on!(&self.db, write, pool => sqlx::query(ROTATE)
            .bind(token.grant).bind(&old).bind(&digest).bind(now)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        if rotated == 0 {
            rotated = on!(&self.db, write, pool => sqlx::query(ROTATE_AGAIN)
                .bind(token.grant).bind(&old).bind(&digest).bind(now).bind(now - LOST_ANSWER_TIME)
                .execute(pool).await.map(|done| done.rows_affected()))?;
        }
        if rotated == 0 {
            self.end(token.grant).await?;
            return Ok(None);
        }
        Ok(Some(RefreshToken::text(token.grant, &new)))
    }

    /// Ends a grant: its refresh token at once, its access tokens as soon as Backends have read the revocations.
    pub(crate) async fn end(&self, grant: Uuid) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool =>
            sqlx::query(END).bind(grant).bind(self.clock.now()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The clients that have grants of the account.
    pub(crate) async fn of_account(&self, account: Uuid) -> Result<Vec<ClientAccess>, DatabaseError> {
        let now = self.clock.now();
        let rows: Vec<(String, i64, i64)> = on!(&self.db, read, pool => sqlx::query_as(LIST_OF_ACCOUNT)
            .bind(account).bind(now - MAX_AGE).bind(now - REFRESH_IDLE_TIMEOUT).fetch_all(pool).await)?;
        let access = |(client, since, last_used_at)| ClientAccess { client, since, last_used_at };
        Ok(rows.into_iter().map(access).collect())
    }

    /// Ends everything that the account has granted the client.
    pub(crate) async fn end_of_client(&self, account: Uuid, client: &str) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool => sqlx::query(END_OF_CLIENT)
            .bind(account).bind(client).bind(self.clock.now()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Ends the grants of all clients that `is_known` does not know: they were removed from the settings.
    pub(crate) async fn end_of_removed_clients(
        &self,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<(), DatabaseError> {
        let clients: Vec<(String,)> =
            on!(&self.db, read, pool => sqlx::query_as(LIST_CLIENTS).fetch_all(pool).await)?;
        for (client,) in clients.into_iter().filter(|(client,)| !is_known(client)) {
            on!(&self.db, write, pool => sqlx::query(END_ALL_OF_CLIENT)
                .bind(client).bind(self.clock.now()).execute(pool).await.map(drop))?;
        }
        Ok(())
    }

    /// Whether the grant has not ended.
    pub(crate) async fn is_alive(&self, grant: Uuid) -> Result<bool, DatabaseError> {
        let row: Option<(i32,)> =
            on!(&self.db, read, pool => sqlx::query_as(IS_ALIVE).bind(grant).fetch_optional(pool).await)?;
        Ok(row.is_some())
    }

    /// The grants that have ended after this instant, and when.
    pub(crate) async fn ended_since(&self, instant: i64) -> Result<Vec<(Uuid, i64)>, DatabaseError> {
        on!(&self.db, read, pool => Ok(sqlx::query_as(LIST_ENDED).bind(instant).fetch_all(pool).await?))
    }

    /// Deletes grants whose tokens have all expired: those that have ended before `ended_before`, and those that are too old.
    pub(crate) async fn delete_expired(&self, ended_before: i64) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        on!(&self.db, write, pool => sqlx::query(DELETE)
            .bind(ended_before).bind(now - MAX_AGE).bind(now - REFRESH_IDLE_TIMEOUT).bind(now - CODE_TTL)
            .execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// The grant of a row; `None` if it names a scope that does not exist any more.
fn read_grant(row: GrantRow) -> Option<Grant> {
    let (
        id,
        account,
        client,
        scopes,
        token_generation,
        authenticated_at,
        redirect_uri,
        code_challenge,
        nonce,
        started_at,
    ) = row;
    let scopes = Scopes::parse(&scopes)?;
    Some(Grant {
        id,
        account,
        client,
        scopes,
        token_generation,
        authenticated_at,
        redirect_uri,
        code_challenge,
        nonce,
        started_at,
    })
}
