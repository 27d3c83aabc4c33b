//! The table of accounts.

use database::{DatabaseError, Db, ProcessClock, on};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::accounts::acting_admin::{ActingAdmin, Unchanged, still_admin};
use crate::accounts::username::UserName;
use crate::role::Role;
use crate::secret_token::TokenDigest;
use crate::time::SECOND;

const FIND: &str = "\
select id, name, role, password_hash, has_generated_password, disabled_at, token_generation
from account
where lower_name = $1";

const FIND_BY_ID: &str = "\
select id, name, role, password_hash, has_generated_password, disabled_at, token_generation
from account
where id = $1";

const CREATE: &str = "\
insert into account (id, name, lower_name, password_hash, has_generated_password, role, origin, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing";

/// Creates an account while the acting administrator is one. On PostgreSQL the administrator's row is locked, so that whoever takes the
/// role away waits for the new account and sees it afterwards.
macro_rules! create_by_admin {
    ($lock:literal) => {
        concat!(
            "\
insert into account (id, name, lower_name, password_hash, has_generated_password, role, origin, created_at)
select $1, $2, $3, $4, $5, $6, $7, $8
from account acting
where ",
    still_admin!("acting", "$9", "$10"),
    "
",
            $lock,
            "
on conflict do nothing"
        )
    };
}

const CREATE_BY_ADMIN_POSTGRES: &str = create_by_admin!("for share");

const CREATE_BY_ADMIN_SQLITE: &str = create_by_admin!("");

/// A registration token is used up by the account that names it: the unique column `registration_token` lets each token create
/// one account, and the unique index on setups lets all setup links together create one. Both hold under concurrency.
const CREATE_BY_TOKEN: &str = concat!(
    "\
insert into account (id, name, lower_name, password_hash, has_generated_password, role, origin, created_at, registration_token)
select $1, $2, $3, $4, $5, token.role, token.kind, $6, token.digest
from registration_token token
where token.digest = $7
and token.expires_at > $6
and (token.kind <> 'setup' or not exists (select 1 from account where role = 'Admin'))
and (token.created_by is null or exists (
    select 1 from account inviter
    where ",
    still_admin!("inviter", "token.created_by", "token.inviter_generation"),
    "))
on conflict do nothing"
);

/// Creates the operator's account unless an account has the name.
const CREATE_BY_OPERATOR: &str = "\
insert into account (id, name, lower_name, password_hash, has_generated_password, role, origin, created_at)
values ($1, $2, $3, $4, true, 'User', 'operator', $5)
on conflict do nothing";

const REPLACE_HASH: &str = "\
update account
set password_hash = $3
where id = $1 and password_hash = $2";

const LIST: &str = "\
select id, name, role, origin, created_at, disabled_at
from account
where lower_name > $1
order by lower_name
limit $2";

const FIND_SUMMARY: &str = "\
select id, name, role, origin, created_at, disabled_at
from account
where lower_name = $1";

const IS_STILL_ADMIN: &str = concat!(
    "\
select 1 from account acting
where ",
    still_admin!("acting", "$1", "$2")
);

const ADMIN_EXISTS: &str = "select 1 from account where role = 'Admin' limit 1";

/// An account without its password hash.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) is_disabled: bool,
    /// The generation of access tokens that are valid: a token of an earlier one was revoked.
    pub(crate) token_generation: i64,
}

impl Account {
    /// Whether tokens of this generation are valid, as far as the account is concerned.
    pub(crate) const fn accepts_tokens_of(&self, generation: i64) -> bool {
        !self.is_disabled && self.token_generation == generation
    }

    /// The account as an administrator who acts; `None` if it has not the role.
    pub(crate) fn acting_admin(&self) -> Option<ActingAdmin> {
        (self.role == Role::Admin).then_some(ActingAdmin { id: self.id, generation: self.token_generation })
    }
}

/// A password as it is stored.
#[derive(Debug)]
pub(crate) struct StoredPassword {
    /// A PHC string.
    pub(crate) hash: String,
    /// Whether the password was generated from 256 random bits: nobody guesses it.
    pub(crate) is_generated: bool,
}

/// The right by which an account is created.
pub(crate) enum CreationRight {
    /// Registration without a token is open for this role.
    Open(Role),
    /// An administrator creates an account with this role.
    Admin(Role, ActingAdmin),
    /// A setup link or an invitation, which determines the role.
    RegistrationToken(TokenDigest),
}

impl CreationRight {
    /// The name in audit lines.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Admin(..) => "admin",
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
    /// Whoever creates the account is no administrator any more.
    NotAdmin,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User, examples(json!({"id": "8f14e45f-ceea-467f-a9d8-0a1c2b3d4e5f", "name": "ann", "role": "Worker", "origin": "invitation", "created": 1_790_000_000, "disabled": false})))]
pub(crate) struct AccountSummary {
    /// The account's id, which tokens and the log name.
    id: Uuid,
    /// The account's name, as it was registered.
    name: String,
    /// The account's role.
    role: Role,
    /// How it was created: `open`, `admin`, `setup`, `invitation` or `operator`.
    origin: String,
    /// When it was created, in seconds since 1970.
    #[schema(minimum = 0)]
    created: i64,
    /// Whether it is disabled: it cannot sign in.
    disabled: bool,
}

/// The columns of `LIST` and `FIND_SUMMARY`: id, name, role, origin, created at, disabled at.
type SummaryRow = (Uuid, String, String, String, i64, Option<i64>);

/// The columns of `FIND` and `FIND_BY_ID`: id, name, role, password hash, whether it was generated, disabled at, token generation.
type Row = (Uuid, String, String, String, bool, Option<i64>, i64);

/// Reads and writes the table `account`.
pub(crate) struct AccountStore {
    pub(super) db: Db,
    pub(super) clock: ProcessClock,
}

impl AccountStore {
    pub(crate) fn new(db: Db, clock: ProcessClock) -> Self {
        Self { db, clock }
    }

    /// The account with this name in lower case, and its password.
    pub(crate) async fn find(
        &self,
        lower_name: &str,
    ) -> Result<Option<(Account, StoredPassword)>, DatabaseError> {
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
        password: &StoredPassword,
        right: &CreationRight,
    ) -> Result<CreateResult, DatabaseError> {
        let id = Uuid::new_v4();
        let is_created = match right {
            CreationRight::Open(role) => self.create_openly(id, name, password, *role).await?,
            CreationRight::Admin(role, acting) => {
                self.create_by_admin(id, name, password, *role, *acting).await?
            }
            CreationRight::RegistrationToken(token) => {
                self.create_by_token(id, name, password, *token).await?
            }
        };
        if is_created {
            return Ok(CreateResult::Created(id));
        }
        if let CreationRight::Admin(_, acting) = right
            && !self.is_still_admin(*acting).await?
        {
            return Ok(CreateResult::NotAdmin);
        }
        Ok(if self.find(name.lower_case()).await?.is_some() {
            CreateResult::NameTaken
        } else {
            CreateResult::TokenInvalid
        })
    }

    async fn create_openly(
        &self,
        id: Uuid,
        name: &UserName,
        password: &StoredPassword,
        role: Role,
    ) -> Result<bool, DatabaseError> {
        let now = self.clock.now();
        let created = on!(&self.db, write, pool => sqlx::query(CREATE)
            .bind(id).bind(name.as_str()).bind(name.lower_case()).bind(&password.hash).bind(password.is_generated).bind(role.name()).bind("open").bind(now)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(created == 1)
    }

    async fn create_by_admin(
        &self,
        id: Uuid,
        name: &UserName,
        password: &StoredPassword,
        role: Role,
        acting: ActingAdmin,
    ) -> Result<bool, DatabaseError> {
        let now = self.clock.now();
        let statement = match &self.db {
            Db::Postgres(_) => CREATE_BY_ADMIN_POSTGRES,
            Db::Sqlite(_) => CREATE_BY_ADMIN_SQLITE,
        };
        let created = on!(&self.db, write, pool => sqlx::query(statement)
            .bind(id).bind(name.as_str()).bind(name.lower_case()).bind(&password.hash).bind(password.is_generated).bind(role.name()).bind("admin").bind(now)
            .bind(acting.id).bind(acting.generation)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(created == 1)
    }

    async fn create_by_token(
        &self,
        id: Uuid,
        name: &UserName,
        password: &StoredPassword,
        token: TokenDigest,
    ) -> Result<bool, DatabaseError> {
        let now = self.clock.now();
        let created = on!(&self.db, write, pool => sqlx::query(CREATE_BY_TOKEN)
            .bind(id).bind(name.as_str()).bind(name.lower_case()).bind(&password.hash).bind(password.is_generated).bind(now).bind(token.as_bytes())
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(created == 1)
    }

    /// Creates the operator's account `name`; `false` if an account has the name already.
    pub(crate) async fn create_by_operator(
        &self,
        name: &UserName,
        hash: &str,
    ) -> Result<bool, DatabaseError> {
        let (id, now) = (Uuid::new_v4(), self.clock.now());
        let created = on!(&self.db, write, pool => sqlx::query(CREATE_BY_OPERATOR)
            .bind(id).bind(name.as_str()).bind(name.lower_case()).bind(hash).bind(now)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(created == 1)
    }

    /// Replaces the password hash `old` by `new`, unless the password was changed meanwhile.
    pub(crate) async fn replace_hash(&self, id: Uuid, old: &str, new: &str) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool =>
            sqlx::query(REPLACE_HASH).bind(id).bind(old).bind(new).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// At most `limit` accounts whose names in lower case follow `after`, in the order of names.
    pub(crate) async fn list(&self, after: &str, limit: i64) -> Result<Vec<AccountSummary>, DatabaseError> {
        let rows: Vec<SummaryRow> = on!(&self.db, read, pool =>
            sqlx::query_as(LIST).bind(after).bind(limit).fetch_all(pool).await)?;
        rows.into_iter().map(summary).collect()
    }

    /// The account with this name in lower case, as the API shows it.
    pub(crate) async fn find_summary(
        &self,
        lower_name: &str,
    ) -> Result<Option<AccountSummary>, DatabaseError> {
        let row: Option<SummaryRow> = on!(&self.db, read, pool =>
            sqlx::query_as(FIND_SUMMARY).bind(lower_name).fetch_optional(pool).await)?;
        row.map(summary).transpose()
    }

    /// Whether the administrator still has the role and this token generation. Called to explain why a statement changed nothing.
    pub(crate) async fn is_still_admin(&self, acting: ActingAdmin) -> Result<bool, DatabaseError> {
        let found = on!(&self.db, read, pool => sqlx::query(IS_STILL_ADMIN)
            .bind(acting.id).bind(acting.generation).fetch_optional(pool).await.map(|row| row.is_some()))?;
        Ok(found)
    }

    /// Why a statement has changed nothing of the account with this name in lower case.
    pub(super) async fn why_unchanged(
        &self,
        lower_name: &str,
        acting: ActingAdmin,
    ) -> Result<Unchanged, DatabaseError> {
        Ok(if !self.is_still_admin(acting).await? {
            Unchanged::NotAdmin
        } else if self.find(lower_name).await?.is_some() {
            Unchanged::LastAdmin
        } else {
            Unchanged::NotFound
        })
    }

    /// Whether there is an account with the role `Admin`, disabled or not.
    pub(crate) async fn admin_exists(&self) -> Result<bool, DatabaseError> {
        let row = on!(&self.db, read, pool =>
            sqlx::query(ADMIN_EXISTS).fetch_optional(pool).await.map(|row| row.is_some()))?;
        Ok(row)
    }
}

fn summary((id, name, role, origin, created, disabled): SummaryRow) -> Result<AccountSummary, DatabaseError> {
    let role = read_role("account", id, &role)?;
    Ok(AccountSummary { id, name, role, origin, created: created / SECOND, disabled: disabled.is_some() })
}

fn read(
    (id, name, role, hash, is_generated, disabled, token_generation): Row,
) -> Result<(Account, StoredPassword), DatabaseError> {
    let role = read_role("account", id, &role)?;
    let account = Account { id, name, role, is_disabled: disabled.is_some(), token_generation };
    Ok((account, StoredPassword { hash, is_generated }))
}

/// The role in a row of `table` whose key is `row`.
pub(crate) fn read_role(table: &'static str, row: Uuid, role: &str) -> Result<Role, DatabaseError> {
    Role::from_name(role).ok_or_else(|| DatabaseError::Corrupt {
        table,
        row: row.to_string(),
        what: format!("the role {role:?}"),
    })
}
