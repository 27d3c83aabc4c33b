//! Proofs: the setup link of the first start and the invitations of administrators. A role is granted by one of
//! these, never by a form field.

use database::{Clock, DatabaseError, Db, on};
use uuid::Uuid;

use crate::accounts::account_store::read_role;
use crate::role::Role;
use crate::secret_token::{SecretToken, TokenDigest};
use crate::time::DAY;

const MINT: &str = "\
insert into proof (digest, kind, role, made, made_by, expires)
values ($1, $2, $3, $4, $5, $6)";

const FIND: &str = "\
select proof.role
from proof
where proof.digest = $1
and proof.kind = $2
and proof.expires > $3
and not exists (select 1 from account where account.proof = proof.digest)
and (proof.kind <> 'setup' or not exists (select 1 from account where account.role = 'Admin'))
and (proof.made_by is null or exists (
    select 1 from account maker
    where maker.id = proof.made_by and maker.role = 'Admin' and maker.disabled is null))";

const FORGET: &str = "delete from proof where expires < $1";

/// What a proof is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Makes the first administrator.
    Setup,
    /// Makes one account of the role it was made for.
    Invitation,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Setup, Self::Invitation];

    /// Its name in links, in forms and in the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Invitation => "invitation",
        }
    }

    fn lasts(self) -> i64 {
        match self {
            Self::Setup => DAY,
            Self::Invitation => 7 * DAY,
        }
    }
}

/// A proof that holds now.
#[derive(Clone, Copy)]
pub(crate) struct RegistrationToken {
    pub(crate) digest: TokenDigest,
    pub(crate) role: Role,
}

pub(crate) struct RegistrationTokens {
    db: Db,
    clock: Clock,
}

impl RegistrationTokens {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// A new proof; only its digest is kept.
    pub(crate) async fn mint(
        &self,
        kind: Kind,
        role: Role,
        by: Option<Uuid>,
    ) -> Result<SecretToken, DatabaseError> {
        let (token, now) = (SecretToken::random(), self.clock.now());
        on!(&self.db, write, pool => sqlx::query(MINT)
            .bind(token.digest().as_bytes()).bind(kind.name()).bind(role.name())
            .bind(now).bind(by).bind(now + kind.lasts())
            .execute(pool).await.map(drop))?;
        Ok(token)
    }

    /// The proof behind `token`, unless it is spent, expired or was never made, or whoever made it is no administrator any
    /// more.
    pub(crate) async fn find(
        &self,
        kind: Kind,
        token: &str,
    ) -> Result<Option<RegistrationToken>, DatabaseError> {
        let (digest, now) = (TokenDigest::of(token), self.clock.now());
        let row: Option<(String,)> = on!(&self.db, read, pool => sqlx::query_as(FIND)
            .bind(digest.as_bytes()).bind(kind.name()).bind(now).fetch_optional(pool).await)?;
        row.map(|(role,)| Ok(RegistrationToken { digest, role: read_role("proof", Uuid::nil(), &role)? }))
            .transpose()
    }

    /// Forgets what has expired.
    pub(crate) async fn forget(&self) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        on!(&self.db, write, pool => sqlx::query(FORGET).bind(now).execute(pool).await.map(drop))?;
        Ok(())
    }
}
