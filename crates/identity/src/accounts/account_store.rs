//! The table of accounts.

use database::{Clock, DatabaseError, Db, on};
use serde::Serialize;
use uuid::Uuid;

use crate::accounts::username::UserName;
use crate::role::Role;
use crate::secret_token::TokenDigest;
use crate::time::SECOND;

const FIND: &str = "\
select id, name, role, password_hash, disabled_at
from account
where lower_name = $1";

const FIND_BY_ID: &str = "\
select id, name, role, password_hash, disabled_at
from account
where id = $1";

const CREATE: &str = "\
insert into account (id, name, lower_name, password_hash, role, origin, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing";

/// A registration token is used up by the account that names it: the unique column `registration_token` lets each token create
/// one account, and the unique index on setups lets all setup links together create one. Both hold under concurrency.
const CREATE_BY_TOKEN: &str = "\
insert into account (id, name, lower_name, password_hash, role, origin, created_at, registration_token)
select $1, $2, $3, $4, token.role, token.kind, $5, token.digest
from registration_token token
where token.digest = $6
and token.expires_at > $5
and (token.kind <> 'setup' or not exists (select 1 from account where role = 'Admin'))
and (token.created_by is null or exists (
    select 1 from account inviter
    where inviter.id = token.created_by and inviter.role = 'Admin' and inviter.disabled_at is null))
on conflict do nothing";

/// Creates the operator's account or sets its password. The role of an existing account stays.
const ENSURE: &str = "\
insert into account (id, name, lower_name, password_hash, role, origin, created_at)
values ($1, $2, $3, $4, 'User', 'operator', $5)
on conflict (lower_name) do update set password_hash = excluded.password_hash";

const REPLACE_HASH: &str = "\
update account
set password_hash = $3
where id = $1 and password_hash = $2";

const LIST: &str = "\
select name, role, origin, created_at, disabled_at
from account
where lower_name > $1
order by lower_name
limit $2";

/// Locks the account and all administrators before it compares and writes, so that two of the last administrators cannot be demoted
/// or disabled at once, and returns the values that were replaced. A parameter that is `null` leaves its column as it is.
const UPDATE_POSTGRES: &str = "\
with locked as materialized (
    select id, lower_name, role, disabled_at
    from account
    where lower_name = $1 or (role = 'Admin' and disabled_at is null)
    order by id
    for update
)
update account a
set role = coalesce($2::text, before.role),
    disabled_at = case
        when $3::bigint is null then before.disabled_at
        when $3 = 0 then null
        else coalesce(before.disabled_at, $4)
    end
from locked before
where before.lower_name = $1
and a.id = before.id
and (before.role <> 'Admin' or before.disabled_at is not null
    or (coalesce($2, 'Admin') = 'Admin' and coalesce($3, 0) = 0)
    or exists (
        select 1 from locked other
        where other.id <> before.id and other.role = 'Admin' and other.disabled_at is null))
returning a.id, before.role, before.disabled_at";

/// The values that `UPDATE_SQLITE` will replace, read in the same transaction.
const BEFORE_UPDATE_SQLITE: &str = "select id, role, disabled_at from account where lower_name = ?1";

/// The update on SQLite, where a transaction excludes every other writer.
const UPDATE_SQLITE: &str = "\
update account as a
set role = coalesce(?2, a.role),
    disabled_at = case
        when ?3 is null then a.disabled_at
        when ?3 = 0 then null
        else coalesce(a.disabled_at, ?4)
    end
where a.lower_name = ?1
and (a.role <> 'Admin' or a.disabled_at is not null
    or (coalesce(?2, 'Admin') = 'Admin' and coalesce(?3, 0) = 0)
    or exists (select 1 from account o where o.role = 'Admin' and o.disabled_at is null and o.id <> a.id))";

const SET_PASSWORD: &str = "update account set password_hash = $2 where id = $1";

const ADMIN_EXISTS: &str = "select 1 from account where role = 'Admin' limit 1";

/// An account without its password hash.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) is_disabled: bool,
}

/// The right by which an account is created.
pub(crate) enum CreationRight {
    /// Registration without a token is open for this role.
    Open(Role),
    /// An administrator creates an account with this role.
    Admin(Role),
    /// A setup link or an invitation, which determines the role.
    RegistrationToken(TokenDigest),
}

impl CreationRight {
    /// The name in audit lines.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Admin(_) => "admin",
            Self::RegistrationToken(_) => "registration_token",
        }
    }
}

/// The result of creating an account.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CreateResult {
    /// The account was created and has this id.
    Created(Uuid),
    /// Another account has the name.
    NameTaken,
    /// The registration token is used up or expired, or there is a first administrator meanwhile.
    TokenInvalid,
}

/// An account as an administrator sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountSummary {
    name: String,
    role: Role,
    /// How it was created: `open`, `admin`, `setup`, `invitation` or `operator`.
    origin: String,
    /// Seconds since 1970.
    created: i64,
    disabled: bool,
}

/// New values for an account; `None` leaves a value as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountUpdate {
    pub(crate) role: Option<Role>,
    pub(crate) disabled: Option<bool>,
}

/// The account that an update has changed, and the values that it has replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BeforeUpdate {
    pub(crate) id: Uuid,
    pub(crate) role: Role,
    pub(crate) is_disabled: bool,
}

/// The result of an update.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UpdateResult {
    /// The account was updated.
    Updated(BeforeUpdate),
    /// Nothing was updated, since no administrator would be left.
    LastAdmin,
    /// There is no account of that name.
    NotFound,
}

/// The columns of `FIND` and `FIND_BY_ID`: id, name, role, password hash, disabled at.
type Row = (Uuid, String, String, String, Option<i64>);

/// Reads and writes the table `account`.
pub(crate) struct AccountStore {
    db: Db,
    clock: Clock,
}

impl AccountStore {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// The account with this name in lower case, and the hash of its password.
    pub(crate) async fn find(&self, lower_name: &str) -> Result<Option<(Account, String)>, DatabaseError> {
        let row: Option<Row> = on!(&self.db, read, pool =>
            sqlx::query_as(FIND).bind(lower_name).fetch_optional(pool).await)?;
        row.map(read).transpose()
    }

    /// The account with this id.
    pub(crate) async fn find_by_id(&self, id: Uuid) -> Result<Option<Account>, DatabaseError> {
        let row: Option<Row> =
            on!(&self.db, read, pool => sqlx::query_as(FIND_BY_ID).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(read).transpose()?.map(|(account, _)| account))
    }

    /// Creates an account if the name is free and the right still holds, in one statement.
    pub(crate) async fn create(
        &self,
        name: &UserName,
        hash: &str,
        right: &CreationRight,
    ) -> Result<CreateResult, DatabaseError> {
        let id = Uuid::new_v4();
        let is_created = match right {
            CreationRight::Open(role) => self.create_with_role(id, name, hash, *role, "open").await?,
            CreationRight::Admin(role) => self.create_with_role(id, name, hash, *role, "admin").await?,
            CreationRight::RegistrationToken(token) => self.create_by_token(id, name, hash, *token).await?,
        };
        if is_created {
            return Ok(CreateResult::Created(id));
        }
        Ok(if self.find(name.lower_case()).await?.is_some() {
            CreateResult::NameTaken
        } else {
            CreateResult::TokenInvalid
        })
    }

    async fn create_with_role(
        &self,
        id: Uuid,
        name: &UserName,
        hash: &str,
        role: Role,
        origin: &'static str,
    ) -> Result<bool, DatabaseError> {
        let now = self.clock.now();
        let created = on!(&self.db, write, pool => sqlx::query(CREATE)
            .bind(id).bind(name.as_str()).bind(name.lower_case()).bind(hash).bind(role.name()).bind(origin).bind(now)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(created == 1)
    }

    async fn create_by_token(
        &self,
        id: Uuid,
        name: &UserName,
        hash: &str,
        token: TokenDigest,
    ) -> Result<bool, DatabaseError> {
        let now = self.clock.now();
        let created = on!(&self.db, write, pool => sqlx::query(CREATE_BY_TOKEN)
            .bind(id).bind(name.as_str()).bind(name.lower_case()).bind(hash).bind(now).bind(token.as_bytes())
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(created == 1)
    }

    /// Creates the operator's account `name` unless it exists, and sets its password hash.
    pub(crate) async fn create_or_set_password(
        &self,
        name: &UserName,
        hash: &str,
    ) -> Result<(), DatabaseError> {
        let (id, now) = (Uuid::new_v4(), self.clock.now());
        on!(&self.db, write, pool => sqlx::query(ENSURE)
            .bind(id).bind(name.as_str()).bind(name.lower_case()).bind(hash).bind(now)
            .execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Replaces the password hash `old` by `new`, unless the password was changed meanwhile.
    pub(crate) async fn replace_hash(&self, id: Uuid, old: &str, new: &str) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool =>
            sqlx::query(REPLACE_HASH).bind(id).bind(old).bind(new).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// At most `limit` accounts whose names in lower case follow `after`, in the order of names.
    pub(crate) async fn list(&self, after: &str, limit: i64) -> Result<Vec<AccountSummary>, DatabaseError> {
        let rows: Vec<(String, String, String, i64, Option<i64>)> = on!(&self.db, read, pool =>
            sqlx::query_as(LIST).bind(after).bind(limit).fetch_all(pool).await)?;
        let summary =
            |(name, role, origin, created, disabled): (String, String, String, i64, Option<i64>)| {
                let role = read_role("account", Uuid::nil(), &role)?;
                Ok(AccountSummary {
                    name,
                    role,
                    origin,
                    created: created / SECOND,
                    disabled: disabled.is_some(),
                })
            };
        rows.into_iter().map(summary).collect()
    }

    /// Updates the account with this name in lower case, unless no administrator would be left.
    pub(crate) async fn update(
        &self,
        lower_name: &str,
        update: AccountUpdate,
    ) -> Result<UpdateResult, DatabaseError> {
        let (role, disabled) = (update.role.map(Role::name), update.disabled.map(i64::from));
        let row: Option<(Uuid, String, Option<i64>)> = match &self.db {
            Db::Postgres(pools) => {
                let query = sqlx::query_as(UPDATE_POSTGRES).bind(lower_name).bind(role).bind(disabled);
                query.bind(self.clock.now()).fetch_optional(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                let lower_name = lower_name.to_owned();
                database::transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let query = sqlx::query_as(BEFORE_UPDATE_SQLITE).bind(&lower_name);
                        let before = query.fetch_optional(&mut *connection).await?;
                        let query = sqlx::query(UPDATE_SQLITE).bind(&lower_name).bind(role).bind(disabled);
                        let done = query.bind(now).execute(&mut *connection).await?;
                        Ok(before.filter(|_| done.rows_affected() == 1))
                    })
                })
                .await?
            }
        };
        match row {
            Some((id, role, disabled_at)) => {
                let role = read_role("account", id, &role)?;
                Ok(UpdateResult::Updated(BeforeUpdate { id, role, is_disabled: disabled_at.is_some() }))
            }
            None if self.find(lower_name).await?.is_some() => Ok(UpdateResult::LastAdmin),
            None => Ok(UpdateResult::NotFound),
        }
    }

    /// Sets the password hash of the account with this id.
    pub(crate) async fn set_password(&self, id: Uuid, hash: &str) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool =>
            sqlx::query(SET_PASSWORD).bind(id).bind(hash).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Whether there is an account with the role `Admin`, disabled or not.
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

/// The role in a row of `table` whose key is `row`.
pub(crate) fn read_role(table: &'static str, row: Uuid, role: &str) -> Result<Role, DatabaseError> {
    Role::from_name(role).ok_or_else(|| DatabaseError::Corrupt {
        table,
        row: row.to_string(),
        what: format!("the role {role:?}"),
    })
}
