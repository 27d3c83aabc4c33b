//! Accounts at rest.

use database::{Clock, DatabaseError, Db, on};
use serde::Serialize;
use uuid::Uuid;

use crate::accounts::username::UserName;
use crate::role::Role;
use crate::secret_token::TokenDigest;
use crate::time::SECOND;

const FIND: &str = "\
select id, name, role, password, disabled
from account
where folded = $1";

const BY_ID: &str = "\
select id, name, role, password, disabled
from account
where id = $1";

const OPEN: &str = "\
insert into account (id, name, folded, password, role, origin, created)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing";

/// The proof is spent by the row that names it: `unique (proof)` lets it make one account, the index on founders
/// lets all setup links together make one, and no race comes between.
const OPEN_BY_PROOF: &str = "\
insert into account (id, name, folded, password, role, origin, created, proof)
select $1, $2, $3, $4, proof.role, proof.kind, $5, proof.digest
from proof
where proof.digest = $6
and proof.expires > $5
and (proof.kind <> 'setup' or not exists (select 1 from account where role = 'Admin'))
and (proof.made_by is null or exists (
    select 1 from account maker
    where maker.id = proof.made_by and maker.role = 'Admin' and maker.disabled is null))
on conflict do nothing";

/// What the operator's own account needs: it is there, and this is its password. Its role stays what it was.
const ENSURE: &str = "\
insert into account (id, name, folded, password, role, origin, created)
values ($1, $2, $3, $4, 'User', 'operator', $5)
on conflict (folded) do update set password = excluded.password";

const REHASH: &str = "\
update account
set password = $3
where id = $1 and password = $2";

const LIST: &str = "\
select name, role, origin, created, disabled
from account
where folded > $1
order by folded
limit $2";

/// The administrators are locked, so that no two of them are the last but one at once. What is `null` stays as it is.
const CHANGE_POSTGRES: &str = "\
with admins as materialized (
    select id from account where role = 'Admin' and disabled is null order by id for update
)
update account a
set role = coalesce($2::text, a.role),
    disabled = case when $3::bigint is null then a.disabled when $3 = 0 then null else coalesce(a.disabled, $4) end
where a.folded = $1
and (a.role <> 'Admin' or a.disabled is not null
    or (coalesce($2, 'Admin') = 'Admin' and coalesce($3, 0) = 0)
    or exists (select 1 from admins where admins.id <> a.id))
returning a.id";

const CHANGE_SQLITE: &str = "\
update account as a
set role = coalesce(?2, a.role),
    disabled = case when ?3 is null then a.disabled when ?3 = 0 then null else coalesce(a.disabled, ?4) end
where a.folded = ?1
and (a.role <> 'Admin' or a.disabled is not null
    or (coalesce(?2, 'Admin') = 'Admin' and coalesce(?3, 0) = 0)
    or exists (select 1 from account o where o.role = 'Admin' and o.disabled is null and o.id <> a.id))
returning id";

const SET_PASSWORD: &str = "update account set password = $2 where id = $1";

const ADMIN_EXISTS: &str = "select 1 from account where role = 'Admin' limit 1";

/// An account, as far as the rest of Identity sees it.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) is_disabled: bool,
}

/// By what right an account is made.
pub(crate) enum CreationRight {
    /// Registration is open for this role.
    Open(Role),
    /// An administrator makes it.
    Admin(Role),
    /// A setup link or an invitation, which says the role.
    RegistrationToken(TokenDigest),
}

impl CreationRight {
    /// What the log calls it.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Admin(_) => "admin",
            Self::RegistrationToken(_) => "proof",
        }
    }
}

/// What came of making an account.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CreateResult {
    Account(Uuid),
    /// Someone has the name.
    NameTaken,
    /// The proof was spent in the meantime, or the first administrator has come another way.
    ProofSpent,
}

/// An account as an administrator sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountSummary {
    name: String,
    role: Role,
    /// By what right it was made.
    origin: String,
    /// Seconds since 1970.
    created: i64,
    disabled: bool,
}

/// What is to become otherwise; what is absent stays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) role: Option<Role>,
    pub(crate) disabled: Option<bool>,
}

/// What came of a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Account(Uuid),
    /// There would be no administrator any more.
    LastAdmin,
    /// There is no account of that name.
    NotFound,
}

type Row = (Uuid, String, String, String, Option<i64>);

pub(crate) struct Accounts {
    db: Db,
    clock: Clock,
}

impl Accounts {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// The account of that name in lower case, and the hash of its password.
    pub(crate) async fn find(&self, folded: &str) -> Result<Option<(Account, String)>, DatabaseError> {
        let row: Option<Row> = on!(&self.db, read, pool =>
            sqlx::query_as(FIND).bind(folded).fetch_optional(pool).await)?;
        row.map(read).transpose()
    }

    pub(crate) async fn by_id(&self, id: Uuid) -> Result<Option<Account>, DatabaseError> {
        let row: Option<Row> =
            on!(&self.db, read, pool => sqlx::query_as(BY_ID).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(read).transpose()?.map(|(account, _)| account))
    }

    /// Makes an account, if the name is free and its grant holds, in one statement.
    pub(crate) async fn open(
        &self,
        name: &UserName,
        hash: &str,
        grant: &CreationRight,
    ) -> Result<CreateResult, DatabaseError> {
        let id = Uuid::new_v4();
        let made = match grant {
            CreationRight::Open(role) => self.open_as(id, name, hash, *role, "open").await?,
            CreationRight::Admin(role) => self.open_as(id, name, hash, *role, "admin").await?,
            CreationRight::RegistrationToken(digest) => self.open_by_proof(id, name, hash, *digest).await?,
        };
        if made {
            return Ok(CreateResult::Account(id));
        }
        Ok(if self.find(name.folded()).await?.is_some() {
            CreateResult::NameTaken
        } else {
            CreateResult::ProofSpent
        })
    }

    async fn open_as(
        &self,
        id: Uuid,
        name: &UserName,
        hash: &str,
        role: Role,
        origin: &'static str,
    ) -> Result<bool, DatabaseError> {
        let now = self.clock.now();
        let made = on!(&self.db, write, pool => sqlx::query(OPEN)
            .bind(id).bind(name.as_str()).bind(name.folded()).bind(hash).bind(role.name()).bind(origin).bind(now)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(made == 1)
    }

    async fn open_by_proof(
        &self,
        id: Uuid,
        name: &UserName,
        hash: &str,
        proof: TokenDigest,
    ) -> Result<bool, DatabaseError> {
        let now = self.clock.now();
        let made = on!(&self.db, write, pool => sqlx::query(OPEN_BY_PROOF)
            .bind(id).bind(name.as_str()).bind(name.folded()).bind(hash).bind(now).bind(proof.as_bytes())
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(made == 1)
    }

    pub(crate) async fn ensure(&self, name: &UserName, hash: &str) -> Result<(), DatabaseError> {
        let (id, now) = (Uuid::new_v4(), self.clock.now());
        on!(&self.db, write, pool => sqlx::query(ENSURE)
            .bind(id).bind(name.as_str()).bind(name.folded()).bind(hash).bind(now)
            .execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Puts a stronger hash of the same password in the place of `old`.
    pub(crate) async fn rehash(&self, id: Uuid, old: &str, new: &str) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool =>
            sqlx::query(REHASH).bind(id).bind(old).bind(new).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Accounts whose names come after `after`, in the order of names.
    pub(crate) async fn list(&self, after: &str, limit: i64) -> Result<Vec<AccountSummary>, DatabaseError> {
        let rows: Vec<(String, String, String, i64, Option<i64>)> = on!(&self.db, read, pool =>
            sqlx::query_as(LIST).bind(after).bind(limit).fetch_all(pool).await)?;
        let listed = |(name, role, origin, created, disabled): (String, String, String, i64, Option<i64>)| {
            let role = read_role("account", Uuid::nil(), &role)?;
            Ok(AccountSummary { name, role, origin, created: created / SECOND, disabled: disabled.is_some() })
        };
        rows.into_iter().map(listed).collect()
    }

    /// Changes the account of that name in lower case; the last administrator stays one.
    pub(crate) async fn change(&self, folded: &str, change: Change) -> Result<Changed, DatabaseError> {
        let (role, disabled) = (change.role.map(Role::name), change.disabled.map(i64::from));
        let now = self.clock.now();
        let row: Option<(Uuid,)> = match &self.db {
            Db::Postgres(pools) => {
                let query = sqlx::query_as(CHANGE_POSTGRES).bind(folded).bind(role).bind(disabled).bind(now);
                query.fetch_optional(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                let query = sqlx::query_as(CHANGE_SQLITE).bind(folded).bind(role).bind(disabled).bind(now);
                query.fetch_optional(&pools.write).await?
            }
        };
        match row {
            Some((id,)) => Ok(Changed::Account(id)),
            None if self.find(folded).await?.is_some() => Ok(Changed::LastAdmin),
            None => Ok(Changed::NotFound),
        }
    }

    pub(crate) async fn set_password(&self, id: Uuid, hash: &str) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool =>
            sqlx::query(SET_PASSWORD).bind(id).bind(hash).execute(pool).await.map(drop))?;
        Ok(())
    }

    pub(crate) async fn admin_exists(&self) -> Result<bool, DatabaseError> {
        let row = on!(&self.db, read, pool =>
            sqlx::query(ADMIN_EXISTS).fetch_optional(pool).await.map(|row| row.is_some()))?;
        Ok(row)
    }
}

fn read((id, name, role, password, disabled): Row) -> Result<(Account, String), DatabaseError> {
    let role = read_role("account", id, &role)?;
    Ok((Account { id, name, role, is_disabled: disabled.is_some() }, password))
}

/// A role as a table has it.
pub(crate) fn read_role(table: &'static str, row: Uuid, role: &str) -> Result<Role, DatabaseError> {
    Role::named(role).ok_or_else(|| DatabaseError::Corrupt {
        table,
        row: row.to_string(),
        what: format!("the role {role:?}"),
    })
}
