//! Registration tokens: the setup link of the first start, and the invitations of administrators. A role is granted by
//! such a token, never by a form field.

use database::{DatabaseError, Db, ProcessClock, on};
use uuid::Uuid;

use crate::accounts::account_store::read_role;
use crate::accounts::acting_admin::{ActingAdmin, still_admin};
use crate::role::Role;
use crate::secret_token::{SecretToken, TokenDigest};
use crate::time::DAY;

const INSERT_SETUP: &str = "\
insert into registration_token (digest, kind, role, created_at, expires_at)
values ($1, 'setup', 'Admin', $2, $3)";

/// Stores an invitation while the administrator who invites is one. On PostgreSQL the administrator's row is locked, so that whoever
/// takes the role away waits for the invitation and revokes it.
macro_rules! insert_invitation {
    ($lock:literal) => {
        concat!(
            "\
insert into registration_token (digest, kind, role, created_at, expires_at, created_by, inviter_generation)
select $1, 'invitation', $2, $3, $4, acting.id, acting.token_generation
from account acting
where ",
    still_admin!("acting", "$5", "$6"),
    "
",
            $lock
        )
    };
}

const INSERT_INVITATION_POSTGRES: &str = insert_invitation!("for share");

const INSERT_INVITATION_SQLITE: &str = insert_invitation!("");

const FIND: &str = concat!(
    "\
select token.role
from registration_token token
where token.digest = $1
and token.kind = $2
and token.expires_at > $3
and not exists (select 1 from account where account.registration_token = token.digest)
and (token.kind <> 'setup' or not exists (select 1 from account where account.role = 'Admin'))
and (token.created_by is null or exists (
    select 1 from account inviter
    where ",
    still_admin!("inviter", "token.created_by", "token.inviter_generation"),
    "))"
);

const DELETE_EXPIRED: &str = "delete from registration_token where expires_at < $1";

/// The kind of a registration token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A setup link: registers the first administrator.
    Setup,
    /// An invitation: registers one account with the role that the administrator chose.
    Invitation,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Setup, Self::Invitation];

    /// The name in links, in forms and in the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Invitation => "invitation",
        }
    }

    /// The lifetime in microseconds.
    fn ttl(self) -> i64 {
        match self {
            Self::Setup => DAY,
            Self::Invitation => 7 * DAY,
        }
    }
}

/// A registration token that is valid now.
#[derive(Clone, Copy)]
pub(crate) struct RegistrationToken {
    pub(crate) digest: TokenDigest,
    /// The role of the account that it registers.
    pub(crate) role: Role,
}

/// Reads and writes the table `registration_token`.
pub(crate) struct RegistrationTokens {
    db: Db,
    clock: ProcessClock,
}

impl RegistrationTokens {
    pub(crate) fn new(db: Db, clock: ProcessClock) -> Self {
        Self { db, clock }
    }

    /// Issues a setup link's token and stores its digest.
    pub(crate) async fn issue_setup(&self) -> Result<SecretToken, DatabaseError> {
        let (token, now) = (SecretToken::random(), self.clock.now());
        on!(&self.db, write, pool => sqlx::query(INSERT_SETUP)
            .bind(token.digest().as_bytes()).bind(now).bind(now + Kind::Setup.ttl())
            .execute(pool).await.map(drop))?;
        Ok(token)
    }

    /// Issues an invitation's token and stores its digest. `None` if whoever invites is no administrator any more.
    pub(crate) async fn issue_invitation(
        &self,
        role: Role,
        acting: ActingAdmin,
    ) -> Result<Option<SecretToken>, DatabaseError> {
        let (token, now) = (SecretToken::random(), self.clock.now());
        let statement = match &self.db {
            Db::Postgres(_) => INSERT_INVITATION_POSTGRES,
            Db::Sqlite(_) => INSERT_INVITATION_SQLITE,
        };
        let stored = on!(&self.db, write, pool => sqlx::query(statement)
            .bind(token.digest().as_bytes()).bind(role.name()).bind(now).bind(now + Kind::Invitation.ttl())
            .bind(acting.id).bind(acting.generation)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok((stored == 1).then_some(token))
    }

    /// The registration token behind `token`. `None` if it was never issued, is used up or expired, or if the administrator who
    /// issued it is disabled, is no administrator any more, or has had its access tokens revoked since.
    pub(crate) async fn find(
        &self,
        kind: Kind,
        token: &str,
    ) -> Result<Option<RegistrationToken>, DatabaseError> {
        let (digest, now) = (TokenDigest::of(token), self.clock.now());
        let row: Option<(String,)> = on!(&self.db, read, pool => sqlx::query_as(FIND)
            .bind(digest.as_bytes()).bind(kind.name()).bind(now).fetch_optional(pool).await)?;
        let read = |(role,): (String,)| {
            Ok(RegistrationToken { digest, role: read_role("registration_token", Uuid::nil(), &role)? })
        };
        row.map(read).transpose()
    }

    /// Deletes expired tokens.
    pub(crate) async fn delete_expired(&self) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        on!(&self.db, write, pool => sqlx::query(DELETE_EXPIRED).bind(now).execute(pool).await.map(drop))?;
        Ok(())
    }
}
